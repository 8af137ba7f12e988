"""Binance: the published tables, their dates, fees and rules."""

import math

import pytest

import bt_margin as btm
from bt_margin.core.tiers import TierTable
from bt_margin.errors import UnknownSymbol
from bt_margin.venues.names import moment
from bt_margin.venues.policies import JustEnough

FILES = {"binance": 8, "binancecoinm": 2}
MAJORS = [f"{coin}/USDT:USDT" for coin in ["BTC", "ETH", "SOL", "BNB", "XRP", "DOGE", "ADA", "LTC"]]
ALTS = [f"{coin}/USDT:USDT" for coin in ["1INCH", "ALGO", "AVAX", "CHZ", "LINK", "RVN", "SUSHI"]]


def ms(day: str) -> int:
    found = moment(day)
    assert found is not None
    return found


def rows(table: TierTable) -> list[tuple[float, float, float, float | None]]:
    return [(t.cap, t.mmr, t.deduction, t.max_leverage) for t in table.tiers]


# -- every snapshot -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_every_table_of_every_snapshot_is_whole(name: str) -> None:
    venue = btm.venue(name)
    dates: set[int] = set()
    for symbol in venue.schedules:
        for since, table in venue.schedule(symbol).tables:
            dates.add(since)
            assert table.tiers[0].floor == 0, symbol
            assert table.tiers[0].deduction == 0, symbol
            for low, high in zip(table.tiers, table.tiers[1:], strict=False):
                assert high.floor == low.cap < high.cap, symbol
                assert low.mmr < high.mmr < 1, symbol
                derived = low.deduction + high.floor * (high.mmr - low.mmr)
                assert abs(derived - high.deduction) < (1 if name == "binance" else 1e-9), symbol
                assert low.max_leverage is not None, symbol
                assert high.max_leverage is not None, symbol
                assert low.max_leverage > high.max_leverage >= 1, symbol
                # trap 6: a position at the most leverage is not in breach when it opens
                assert 1 / high.max_leverage > high.mmr or high.max_leverage == 1, symbol
    assert len(dates) == FILES[name]


@pytest.mark.parametrize("name", FILES)
def test_maintenance_is_continuous_at_every_edge(name: str) -> None:
    """trap 8: a cent more notional never costs more than a cent of maintenance."""
    venue = btm.venue(name)
    for symbol in venue.schedules:
        for _, table in venue.schedule(symbol).tables:
            for edge in table.edges:
                jump = table.maintenance(edge * (1 + 1e-9)) - table.maintenance(edge)
                assert 0 <= jump <= edge * 2e-9, (symbol, edge)


def test_every_named_coin_has_its_history() -> None:
    venue = btm.venue("binance")
    for symbol in MAJORS + ALTS:
        assert len(venue.schedule(symbol).tables) >= 6, symbol
    assert len(venue.schedule("BTC/USDT:USDT").tables) == 8
    assert len(venue.schedule("ETH/USDT:USDT").tables) == 7
    assert "ORCA/USDT:USDT" in venue.schedules
    assert len(venue.schedules) > 900


# -- golden tables, 2026-09-29 --------------------------------------------------------------------

M = 1_000_000
GOLDEN = {
    "BTC": [
        (300_000, 0.004, 0, 150),
        (800_000, 0.005, 300, 100),
        (3 * M, 0.0065, 1_500, 75),
        (12 * M, 0.01, 12_000, 50),
        (70 * M, 0.02, 132_000, 25),
        (100 * M, 0.025, 482_000, 20),
        (230 * M, 0.05, 2_982_000, 10),
        (480 * M, 0.1, 14_482_000, 5),
        (600 * M, 0.125, 26_482_000, 4),
        (800 * M, 0.15, 41_482_000, 3),
        (1_200 * M, 0.25, 121_482_000, 2),
        (1_800 * M, 0.5, 421_482_000, 1),
    ],
    "ETH": [
        (300_000, 0.004, 0, 150),
        (800_000, 0.005, 300, 100),
        (3 * M, 0.0065, 1_500, 75),
        (12 * M, 0.01, 12_000, 50),
        (50 * M, 0.02, 132_000, 25),
        (65 * M, 0.025, 382_000, 20),
        (150 * M, 0.05, 2_007_000, 10),
        (320 * M, 0.1, 9_507_000, 5),
        (400 * M, 0.125, 17_507_000, 4),
        (530 * M, 0.15, 27_507_000, 3),
        (800 * M, 0.25, 80_507_000, 2),
        (1_200 * M, 0.5, 280_507_000, 1),
    ],
    "SOL": [
        (50_000, 0.005, 0, 100),
        (400_000, 0.0065, 75, 75),
        (1 * M, 0.01, 1_475, 50),
        (4 * M, 0.02, 11_475, 25),
        (8 * M, 0.025, 31_475, 20),
        (40 * M, 0.05, 231_475, 10),
        (80 * M, 0.1, 2_231_475, 5),
        (100 * M, 0.125, 4_231_475, 4),
        (200 * M, 0.25, 16_731_475, 2),
        (400 * M, 0.5, 66_731_475, 1),
    ],
    "1INCH": [
        (5_000, 0.01, 0, 75),
        (10_000, 0.015, 25, 50),
        (25_000, 0.02, 75, 25),
        (50_000, 0.025, 200, 20),
        (125_000, 0.05, 1_450, 10),
        (250_000, 0.1, 7_700, 5),
        (500_000, 0.125, 13_950, 4),
        (1 * M, 0.1667, 34_800, 3),
        (7.5 * M, 0.25, 118_100, 2),
        (12.5 * M, 0.5, 1_993_100, 1),
    ],
}


@pytest.mark.parametrize("coin", GOLDEN)
def test_the_table_of_2026_09_29(coin: str) -> None:
    table = btm.venue("binance").schedule(f"{coin}/USDT:USDT").at(ms("2026-10-01"))
    assert rows(table) == GOLDEN[coin]


COINM = [5, 10, 20, 50, 100, 200, 400, 1000, math.inf]


def test_the_coin_table() -> None:
    table = btm.venue("binancecoinm").schedule("BTC/USD:BTC").at(ms("2024-01-01"))
    assert [tier.cap for tier in table.tiers] == COINM
    assert [t.mmr for t in table.tiers] == [
        0.004, 0.005, 0.01, 0.025, 0.05, 0.1, 0.125, 0.15, 0.25,
    ]
    assert [t.max_leverage for t in table.tiers] == [125, 100, 50, 20, 10, 5, 4, 3, 2]
    assert [t.deduction for t in table.tiers] == [
        0, 0.005, 0.055, 0.355, 1.605, 6.605, 11.605, 21.605, 121.605,
    ]


# -- worked examples of the venue's own pages -----------------------------------------------------


def test_the_two_position_example_of_2021() -> None:
    """ETH at 10 % less 135,365 and BTC at 2.5 % less 16,300."""
    venue = btm.venue("binance", as_of="2021-03-26")
    eth = venue.schedule("ETH/USDT:USDT").at(0).at(3_683.979 * 1_335.18)
    btc = venue.schedule("BTC/USDT:USDT").at(0).at(109.488 * 31_967.27)
    assert (eth.mmr, eth.deduction) == (0.1, 135_365)
    assert (btc.mmr, btc.deduction) == (0.025, 16_300)


@pytest.mark.parametrize(("day", "deduction"), [("2021-03-01", 11.81), ("2021-08-01", 11.605)])
def test_three_hundred_coins_before_and_after_the_change(day: str, deduction: float) -> None:
    tier = btm.venue("binancecoinm").schedule("BTC/USD:BTC").at(ms(day)).at(300)
    assert (tier.mmr, tier.deduction) == (0.125, deduction)


def test_the_coin_maintenance_of_a_hundred_contracts() -> None:
    venue = btm.venue("binancecoinm")
    contract = venue.contract("BTC/USD:BTC")
    assert (contract.kind, contract.multiplier, contract.settle) == ("inverse", 100, "BTC")
    notional = contract.notional(100, 25_000)
    assert notional == pytest.approx(0.4, abs=1e-12)
    table = venue.schedule("BTC/USD:BTC").at(ms("2023-06-01"))
    assert table.maintenance(notional) == pytest.approx(0.0016, abs=1e-12)


# -- dates ----------------------------------------------------------------------------------------


def test_the_first_btc_tier_grows_on_the_date_of_the_snapshot() -> None:
    """trap 53: yesterday's bars get yesterday's table."""
    schedule = btm.venue("binance").schedule("BTC/USDT:USDT")
    change = ms("2025-11-30")
    before, after = schedule.at(change - 1), schedule.at(change)
    assert (before.tiers[0].cap, before.tiers[0].max_leverage) == (50_000, 125)
    assert (after.tiers[0].cap, after.tiers[0].max_leverage) == (300_000, 150)
    assert schedule.next_change(change - 1) == change
    assert schedule.next_change(ms("2026-09-29")) is None


def test_solana_had_two_per_cent_in_january_2023() -> None:
    assert btm.venue("binance").schedule("SOL/USDT:USDT").at(ms("2023-02-01")).at(1).mmr == 0.02


def test_before_its_first_snapshot_a_symbol_uses_it_and_says_so() -> None:
    venue = btm.venue("binance")
    btc, sol, orca = (venue.schedule(f"{c}/USDT:USDT") for c in ("BTC", "SOL", "ORCA"))
    assert btc.is_proxy(ms("2020-03-12"))
    assert not btc.is_proxy(ms("2021-05-19"))
    assert sol.is_proxy(ms("2021-05-19"))
    assert orca.is_proxy(ms("2025-10-10"))
    assert orca.at(ms("2025-10-10")) == orca.at(ms("2026-09-29"))


def test_the_oldest_tables_have_the_leverage_of_their_rates() -> None:
    table = btm.venue("binance").schedule("BTC/USDT:USDT").at(ms("2021-01-15"))
    assert [t.max_leverage for t in table.tiers] == [125, 100, 50, 20, 10, 5, 4, 3, 2]
    assert table.tiers[-1].cap == math.inf
    assert table.cap(100) == 250_000


def test_as_of_pins_tables_fees_and_rules() -> None:
    old = btm.venue("binance", as_of="2023-06-01")
    assert old.schedule("BTC/USDT:USDT").at(ms("2026-10-01")).tiers[0].cap == 50_000
    assert old.schedule("BTC/USDT:USDT").next_change(0) is None
    assert old.fees_at("BTC/USDT:USDT", ms("2026-10-01")).taker == 0.0004
    assert old.orders.sell_premium_at(ms("2026-10-01")) == 0.0
    new = btm.venue("binance", as_of="2026-09-29")
    assert new.schedule("BTC/USDT:USDT").at(0).tiers[0].cap == 300_000
    assert new.fees_at("BTC/USDT:USDT", 0).taker == 0.0005
    assert new.orders.sell_premium_at(0) == 0.0015
    assert old != new
    assert btm.venue("binance", as_of="2010-01-01").fees_at("BTC/USDT:USDT", 0).taker == 0.0004


# -- fees and rules -------------------------------------------------------------------------------


def test_fees_change_on_their_date_and_liquidation_fees_are_per_symbol() -> None:
    venue = btm.venue("binance")
    day = ms("2024-04-28")
    assert venue.fees_at("BTC/USDT:USDT", day - 1).taker == 0.0004
    assert venue.fees_at("BTC/USDT:USDT", day).taker == 0.0005
    assert venue.fees_at("BTC/USDT:USDT", day).maker == 0.0002
    fees = {c: venue.fees_at(f"{c}/USDT:USDT", day).liquidation for c in ("BTC", "SOL", "DOGE")}
    assert fees == {"BTC": 0.0125, "SOL": 0.015, "DOGE": 0.01}
    assert venue.fees_at("ORCA/USDT:USDT", day).liquidation == 0.0125
    assert venue.fees_at("DOGEUSDT", day).liquidation == 0.01


def test_coin_fees() -> None:
    fees = btm.venue("binancecoinm").fees_at("BTC/USD:BTC", ms("2024-01-01"))
    assert (fees.maker, fees.taker, fees.liquidation) == (0.0001, 0.0005, 0.015)
    assert btm.venue("binancecoinm").currency == "BTC"


@pytest.mark.parametrize("name", FILES)
def test_rules(name: str) -> None:
    venue = btm.venue(name)
    assert venue.funding_interval == 8 * 3_600_000
    assert (venue.liquidation.settle, venue.liquidation.residual) == ("takeover", "fund")
    assert isinstance(venue.liquidation, JustEnough)
    assert (venue.orders.fee_in_check, venue.orders.open_loss) == (False, True)
    assert venue.orders.sell_premium_at(ms("2026-01-04")) == 0.0
    assert venue.orders.sell_premium_at(ms("2026-01-05")) == 0.0015
    rules = venue.switching
    assert not rules.mode_with_position
    assert not rules.mode_with_orders
    assert not rules.lower_leverage_isolated
    assert rules.code("mode_with_position") == "-4048"
    assert rules.code("mode_with_orders") == "-4047"
    assert rules.code("lower_leverage_isolated") == "-4161"
    assert rules.code("leverage_above_cap") == "-2027"
    assert rules.code("nothing of the kind") == ""


def test_contract_steps() -> None:
    venue = btm.venue("binance")
    btc = venue.contract("BTC/USDT:USDT")
    assert (btc.tick, btc.lot, btc.min_notional, btc.multiplier) == (0.1, 0.001, 100, 1)
    orca = venue.contract("ORCA/USDT:USDT")
    assert (orca.tick, orca.lot, orca.min_notional) == (None, None, 5.0)
    assert venue.contract("ETH/BTC:BTC").min_notional is None
    for symbol in venue.schedules:
        assert venue.contract(symbol).symbol == symbol
        assert venue.contract(symbol).kind == "linear"


# -- symbols --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["BTC/USDT:USDT", "BTCUSDT", "BTC/USDT", "BTCUSDT.P", "BTC-USDT", "btcusdt"]
)
def test_other_spellings_are_understood(name: str) -> None:
    venue = btm.venue("binance")
    assert venue.resolve(name) == "BTC/USDT:USDT"
    assert venue.contract(name) == venue.contract("BTC/USDT:USDT")
    assert venue.schedule(name) == venue.schedule("BTC/USDT:USDT")


@pytest.mark.parametrize("name", ["BTC/USD:BTC", "BTCUSD", "BTCUSD_PERP", "BTC-USD"])
def test_other_spellings_of_the_coin_contract(name: str) -> None:
    assert btm.venue("binancecoinm").resolve(name) == "BTC/USD:BTC"


@pytest.mark.parametrize(
    ("name", "near"), [("BTC", "'BTC/USDT:USDT'"), ("SOLUDST", "'SOL/USDT:USDT'")]
)
def test_an_unknown_symbol_names_the_nearest_and_the_remedy(name: str, near: str) -> None:
    """trap 54: one symbol without a table says what to do, instead of stopping everything."""
    with pytest.raises(UnknownSymbol) as caught:
        btm.venue("binance").schedule(name)
    text = str(caught.value)
    assert near in text
    assert f"symbols={{'{name}': dict(tiers=[" in text


def test_a_symbol_like_nothing_else_has_no_hint() -> None:
    with pytest.raises(UnknownSymbol, match=r"known\)\. To use it"):
        btm.venue("binance").contract("%%%%")
