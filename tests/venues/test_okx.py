"""OKX: ladders by contracts and their dates, contract sizes, fees, options, published cases."""

from __future__ import annotations

import math
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import bt_margin as btm
from bt_margin.core.tiers import TierTable
from bt_margin.errors import InputError, UnknownSymbol
from bt_margin.studies.conformance import read_cases, run_cases
from bt_margin.studies.conformance.case import Case
from bt_margin.venues.contract_ladders import most_leverage, symbols_of
from bt_margin.venues.names import moment
from bt_margin.venues.okx import SPOT_FEES
from bt_margin.venues.tier_cuts import CutByTiers

BTC, ETH, COIN = "BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USD:BTC"
LISTED = [f"{coin}/USDT:USDT" for coin in ("BTC", "ETH", "SOL", "XRP", "DOGE", "BNB", "ADA", "LTC")]
CASES = read_cases(Path(str(files("bt_margin.venues").joinpath("cases/okx.json"))))


def ms(day: str) -> int:
    found = moment(day)
    assert found is not None
    return found


def table(symbol: str, day: str = "2026-06-01") -> TierTable:
    return btm.venue("okx").schedule(symbol).at(ms(day))


def rows(symbol: str, day: str, count: int = 4) -> list[tuple[float, float, float | None]]:
    return [(t.cap, t.mmr, t.max_leverage) for t in table(symbol, day).tiers[:count]]


# -- published cases -------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.id}: {case.source[:60]}")
def test_a_published_case_is_reproduced(case: Case) -> None:
    (outcome,) = run_cases([case])
    assert outcome.reason == ""
    assert [each for each in outcome.checked if not each.ok] == []


# -- ladders ---------------------------------------------------------------------------------------

#: First and last tiers as dumps and announcements print them.
GOLDEN: list[tuple[str, str, list[tuple[float, float, float]], tuple[int, float, float, float]]] = [
    (
        BTC, "2026-05-28",
        [(1_000, 0.004, 100), (5_000, 0.005, 66.66), (20_000, 0.0075, 50), (40_000, 0.0125, 40)],
        (99, 1_940_000, 0.4875, 2),
    ),
    (
        ETH, "2026-05-12",
        [(5_000, 0.004, 100), (10_000, 0.005, 66.66), (25_000, 0.0075, 50), (50_000, 0.0125, 40)],
        (99, 2_425_000, 0.4875, 2),
    ),
    (
        ETH, "2025-12-29",
        [(5_000, 0.004, 100), (10_000, 0.005, 66.66), (25_000, 0.0075, 50), (50_000, 0.0125, 40)],
        (99, 2_425_000, 0.4875, 2),
    ),
    (
        "SOL/USDT:USDT", "2026-05-12",
        [(2_500, 0.0065, 50), (10_000, 0.01, 40), (20_000, 0.015, 20), (40_000, 0.02, 18.18)],
        (93, 1_820_000, 0.465, 2),
    ),
    (
        "LTC/USDT:USDT", "2026-05-12",
        [(500, 0.0065, 50), (2_000, 0.01, 40), (6_000, 0.015, 20), (12_000, 0.02, 18.18)],
        (93, 546_000, 0.465, 2),
    ),
    (
        "ADA/USDT:USDT", "2026-05-12",
        [(2_200, 0.01, 50), (4_500, 0.015, 40), (10_000, 0.03, 20), (20_000, 0.035, 18.18)],
        (93, 910_000, 0.48, 2),
    ),
    (
        "ADA/USDT:USDT", "2023-05-19",
        [(1_500, 0.005, 75), (3_000, 0.0075, 50), (6_000, 0.01, 40), (12_000, 0.015, 33.33)],
        (98, 576_000, 0.485, 2),
    ),
    (
        COIN, "2026-01-01",
        [(500, 0.004, 100), (3_000, 0.005, 100), (12_000, 0.01, 66.66), (24_000, 0.015, 50)],
        (100, 1_176_000, 0.495, 2),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("symbol", "day", "first", "last"), GOLDEN)
def test_a_ladder_is_the_published_one(symbol: str, day: str, first: Any, last: Any) -> None:
    found = table(symbol, day)
    assert rows(symbol, day) == first
    end = found.tiers[-1]
    assert (len(found.tiers), end.cap, end.mmr, end.max_leverage) == last


def test_the_ladders_of_given_sizes_are_the_published_ones() -> None:
    names = ["0G", "ETHFI", "LUNA", "APE", "AAVE", "1INCH", "ACT", "BMNR", "BZ"]
    sizes = {f"{name}/USDT:USDT": 1.0 for name in names}
    venue = btm.venue("okx", contract_sizes=sizes)
    firsts = {
        name: [
            (t.cap, t.mmr, t.max_leverage)
            for t in venue.schedule(f"{name}/USDT:USDT").at(ms("2026-06-01")).tiers[:3]
        ]
        for name in names
    }
    assert firsts == {
        "0G": [(20_000, 0.02, 20), (42_000, 0.03, 15), (62_000, 0.04, 12.5)],
        "ETHFI": [(50_000, 0.02, 20), (100_000, 0.03, 15), (150_000, 0.04, 12.5)],
        "LUNA": [(200_000, 0.02, 20), (400_000, 0.03, 15), (620_000, 0.04, 12.5)],
        "APE": [(7_000, 0.0065, 50), (25_000, 0.01, 40), (100_000, 0.015, 20)],
        "AAVE": [(1_000, 0.0065, 50), (3_000, 0.01, 40), (8_000, 0.015, 20)],
        "1INCH": [(25_000, 0.0065, 50), (60_000, 0.01, 40), (120_000, 0.015, 20)],
        "ACT": [(300_000, 0.02, 20), (580_000, 0.03, 15), (880_000, 0.04, 12.5)],
        "BMNR": [(250, 0.035, 10), (500, 0.04, 9.52), (1_000, 0.045, 9.09)],
        "BZ": [(65_000, 0.01, 50), (130_000, 0.015, 40), (260_000, 0.03, 20)],
    }
    ends = {s: venue.schedule(s).at(ms("2026-06-01")).tiers[-1] for s in sizes}
    assert ends["BZ/USDT:USDT"].cap == 9_880_000
    assert ends["BMNR/USDT:USDT"].cap == 79_000
    assert ends["LUNA/USDT:USDT"].cap == 17_420_000


def test_every_ladder_is_whole_and_opens_out_of_breach() -> None:
    venue = btm.venue("okx", contract_sizes=dict.fromkeys(symbols_of("okx.json"), 1.0))
    taker = venue.fees_at(BTC, 0).taker
    for symbol in venue.schedules:
        for _, one in venue.schedule(symbol).tables:
            assert one.stepped
            for low, high in zip(one.tiers, one.tiers[1:], strict=False):
                assert high.floor == low.cap < high.cap, symbol
                assert low.mmr < high.mmr, symbol
                assert low.max_leverage is not None
                assert high.max_leverage is not None
                assert low.max_leverage >= high.max_leverage >= 2
                assert 1 / low.max_leverage > low.mmr + taker, symbol


def test_caps_are_reset_on_their_dates_and_rates_kept() -> None:
    """ADA: 1,500 contracts at 75x on 2023-05-19, 2,200 at 50x on 2026-05-12."""
    ada = btm.venue("okx").schedule("ADA/USDT:USDT")
    change = ms("2026-05-12")
    assert [ada.at(t).at(1).max_leverage for t in (change - 1, change)] == [75, 50]
    assert ada.next_change(ms("2025-01-01")) == change
    assert ada.is_proxy(ms("2023-05-18"))
    assert not ada.is_proxy(ms("2023-05-19"))
    own = btm.venue("okx", contract_sizes={"ETHFI/USDT:USDT": 1}).schedule("ETHFI/USDT:USDT")
    caps = [[t.cap for t in one.tiers[:4]] for _, one in own.tables]
    assert caps == [[30_000, 62_000, 100_000, 130_000], [50_000, 100_000, 150_000, 200_000]]
    assert [t.mmr for t in own.tables[0][1].tiers] == [t.mmr for t in own.tables[1][1].tiers]


def test_as_of_pins_ladder_and_fees() -> None:
    early = btm.venue("okx", as_of="2024-01-01")
    assert early.schedule("ADA/USDT:USDT").at(ms("2026-06-01")).at(1).mmr == 0.005
    assert early.schedule("ADA/USDT:USDT").next_change(0) is None
    assert early.fees_at(BTC, 0).taker == 0.0005


# -- contracts, fees, rules -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "size"),
    [
        (BTC, 0.01), (ETH, 0.1), ("SOL/USDT:USDT", 1), ("XRP/USDT:USDT", 100),
        ("ADA/USDT:USDT", 100), ("DOGE/USDT:USDT", 1000), ("BNB/USDT:USDT", 0.01),
        ("LTC/USDT:USDT", 1), (COIN, 100), ("ETH/USD:ETH", 10),
    ],
)  # fmt: skip
def test_a_contract_is_what_the_exchange_says(symbol: str, size: float) -> None:
    contract = btm.venue("okx").contract(symbol)
    assert contract.multiplier == size
    assert contract.kind == ("inverse" if contract.settle != "USDT" else "linear")


def test_ticks_and_lots_of_the_majors() -> None:
    venue = btm.venue("okx")
    found = {s: (venue.contract(s).tick, venue.contract(s).lot) for s in (BTC, ETH, COIN)}
    assert found == {BTC: (0.1, 0.01), ETH: (0.01, 0.01), COIN: (0.1, 1)}


def test_symbols_without_a_sourced_size_or_ladder_are_not_listed() -> None:
    venue = btm.venue("okx")
    assert sorted(venue.schedules) == sorted([*LISTED, COIN])
    for symbol in ("0G/USDT:USDT", "ETH/USD:ETH", "PEPE/USDT:USDT"):
        with pytest.raises(UnknownSymbol):
            venue.schedule(symbol)


def test_other_spellings_find_the_swap() -> None:
    venue = btm.venue("okx")
    assert venue.resolve("BTC-USDT-SWAP") == venue.resolve("BTC/USDT") == BTC
    assert venue.resolve("BTC-USD-SWAP") == COIN


def test_a_coin_margined_symbol_takes_a_table_of_ones_own_in_contracts() -> None:
    own = btm.venue("okx").with_symbols({"ETH/USD:ETH": {"tiers": [(500, 0.008, None, 75)]}})
    account = btm.Account(own, 100.0, "isolated", 10, currency="ETH")
    account.fill("ETH/USD:ETH", 100, 2_000)
    assert account.position("ETH/USD:ETH").multiplier == 10
    assert account.risk("ETH/USD:ETH").maintenance == pytest.approx(1_000 / 2_000 * 0.0085)
    assert account.verdict("ETH/USD:ETH", 401, 2_000) is not None


def test_fees_of_a_regular_user() -> None:
    fees = btm.venue("okx").fees_at(BTC, 0)
    assert (fees.maker, fees.taker, fees.liquidation) == (0.0002, 0.0005, 0.0005)
    assert (SPOT_FEES.maker, SPOT_FEES.taker) == (0.001, 0.0015)


def test_the_rules_of_the_venue() -> None:
    venue = btm.venue("okx")
    assert venue.liquidation == CutByTiers(2, "takeover", "fund")
    assert (venue.funding.payer, venue.funding.capped) == ("pool", True)
    assert venue.funding_interval == 8 * 3_600_000
    assert (venue.modes, venue.hedge, venue.strict) == (("cross", "isolated"), True, False)
    assert not venue.bankruptcy_fee
    assert venue.margin_calls == (pytest.approx(1 / 3),)
    assert venue.orders.fee_in_check
    rules = venue.switching
    assert (rules.scope, rules.mode_with_position) == ("symbol", False)
    assert (rules.code("leverage_max"), rules.code("margin_no_position")) == ("59102", "59300")
    assert (rules.code("in_adl"), rules.code("in_liquidation")) == ("50017", "50020")
    assert not venue.margin_at(0).plain


def test_the_fidelity_statement_says_which_way_it_errs() -> None:
    venue = btm.venue("okx")
    assert venue.exact
    assert venue.absent
    told = " ".join(venue.approximations)
    assert all(word in told for word in ("too cheap", "too dear", "too early", "too late"))
    topics = [fact.topic for fact in venue.facts]
    assert sum(topic.startswith("tiers from") for topic in topics) == 8
    assert {f"contract of {symbol}" for symbol in [*LISTED, COIN]} <= set(topics)
    assert {f.tag for f in venue.facts if "not published" in f.source} == {"N"}


# -- options ---------------------------------------------------------------------------------------


def test_a_multi_currency_account_counts_coins_at_the_rates_given() -> None:
    venue = btm.venue("okx", account="multi", discount_rates={"BTC": 0.95, "ETH": 0.9})
    assert {coin: pairs[0][1] for coin, pairs in venue.collateral.items()} == {
        "BTC": 0.95, "ETH": 0.9,
    }  # fmt: skip
    assert venue.title == "OKX multi-currency"
    assert len(venue.facts) > len(btm.venue("okx").facts)
    assert len(venue.absent) > len(btm.venue("okx").absent)
    assert not btm.venue("okx", account="multi").collateral


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"account": "portfolio"}, "'single', 'multi'"),
        ({"discount_rates": {"BTC": 0.9}}, "account='multi'"),
        ({"account": "multi", "discount_rates": {"BTC": 1.2}}, "at most 1"),
        ({"contract_sizes": {"X/USDT:USDT": 1}}, "'X/USDT:USDT'"),
        ({"contract_sizes": {"0G/USDT:USDT": 0}}, "above 0"),
        ({"contract_sizes": {"0G/USDT:USDT": math.nan}}, "above 0"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        btm.venue("okx", **options)


def test_a_given_size_replaces_a_known_one_and_keeps_its_steps() -> None:
    venue = btm.venue("okx", contract_sizes={"BNB/USDT:USDT": 0.1, BTC: 0.02})
    assert venue.contract("BNB/USDT:USDT").multiplier == 0.1
    assert (venue.contract(BTC).multiplier, venue.contract(BTC).lot) == (0.02, 0.01)


def test_the_leverage_of_a_tier_is_the_cut_inverse_of_its_rate() -> None:
    """1 / 1.5 % is 66.66 in the dumps, not 66.67."""
    most = [tier.max_leverage for tier in table(BTC).tiers]
    rates = [0.01, 0.015, *(round(0.02 + 0.005 * step, 3) for step in range(97))]
    assert most == [most_leverage(rate) for rate in rates]


def test_sizes_in_coins_are_the_same_rules_in_another_unit() -> None:
    contracts, coins = btm.venue("okx"), btm.venue("okx", coins=True)
    time = 1_780_000_000_000
    for symbol in ("BTC/USDT:USDT", "SOL/USDT:USDT", "XRP/USDT:USDT"):
        unit = contracts.contract(symbol).multiplier
        one = coins.contract(symbol)
        assert one.multiplier == 1.0
        assert (
            one.lot == pytest.approx((contracts.contract(symbol).lot or 0.0) * unit) or not one.lot
        )
        by_contract = contracts.schedule(symbol).at(time).tiers
        by_coin = coins.schedule(symbol).at(time).tiers
        assert [t.mmr for t in by_coin] == [t.mmr for t in by_contract]
        assert [t.cap for t in by_coin] == pytest.approx([t.cap * unit for t in by_contract])
    assert coins.contract("BTC/USD:BTC") == contracts.contract("BTC/USD:BTC")
    answers = []
    for rules, size in ((contracts, 2_500.0), (coins, 25.0)):
        account = btm.Account(rules, 1_000_000, "isolated", 20, time=time)
        account.mark("BTC/USDT:USDT", 50_000.0)
        account.fill("BTC/USDT:USDT", size, 50_000.0)
        answers.append(account.liquidation_price("BTC/USDT:USDT"))
        assert account.preview("BTC/USDT:USDT", size / 5).accepted
    assert answers[0] == pytest.approx(answers[1], rel=1e-12)
