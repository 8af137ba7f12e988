"""Kraken's three venues: the published levels, their dates, limits, fees, rules, and the worked cases."""

from __future__ import annotations

import pickle
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest

import bt_margin as btm
from bt_margin.core.tiers import TierTable
from bt_margin.errors import InputError, MarginModeRefused, UnknownSymbol
from bt_margin.studies.conformance import Case, read_cases, run_cases
from bt_margin.venues.margin import Held
from bt_margin.venues.margin_by_level import ByLevel, ByLevelAlone, level_table
from bt_margin.venues.margin_level import MarginLevel
from bt_margin.venues.names import moment
from bt_margin.venues.oldest_first import OldestFirst
from bt_margin.venues.partial_sale import PartialSale
from bt_margin.venues.policies import FullClose, LargestLossFirst
from bt_margin.venues.rollover import RolloverFees
from bt_margin.venues.spec import Venue

NAMES = ["krakenfutures", "krakeninverse", "krakenspot"]
CASES = read_cases(Path(str(files("bt_margin.venues").joinpath("cases/kraken.json"))))
M, K = 1_000_000, 1_000


def ms(day: str) -> int:
    found = moment(day)
    assert found is not None
    return found


def rows(table: TierTable) -> list[tuple[float, float, float]]:
    """(end of the level, initial rate, maintenance rate) of every level."""
    return [(t.cap, 1 / (t.max_leverage or 0), t.mmr) for t in table.tiers]


def rates(*levels: tuple[float, float]) -> list[tuple[float, float, float]]:
    return [(end, pytest.approx(imr), imr / 2) for end, imr in levels]


INF = float("inf")
MAJOR = rates(
    (500 * K, 0.02), (2 * M, 0.04), (5 * M, 0.1), (10 * M, 0.2), (30 * M, 0.3), (INF, 0.5)
)
GOLDEN = {
    ("krakenfutures", "BTC/USD:USD", "2022-06-01"): MAJOR,
    ("krakenfutures", "BTC/USD:USD", "2025-09-23"): MAJOR,
    ("krakenfutures", "ETH/USD:USD", "2026-10-01"): MAJOR,
    ("krakenfutures", "BTC/USD:USD", "2025-09-24"): rates(
        (1 * M, 0.01), (3 * M, 0.02), (5 * M, 0.04), (10 * M, 0.2), (30 * M, 0.3), (INF, 0.5)
    ),
    ("krakenfutures", "LTC/USD:USD", "2024-01-01"): rates(
        (250 * K, 0.02), (500 * K, 0.04), (2 * M, 0.1), (5 * M, 0.2), (10 * M, 0.3), (INF, 0.5)
    ),
    ("krakenfutures", "DOGE/USD:USD", "2024-01-01"): rates(
        (250 * K, 0.02), (500 * K, 0.04), (2 * M, 0.1), (5 * M, 0.2), (10 * M, 0.3), (INF, 0.5)
    ),
    ("krakenfutures", "FTM/USD:USD", "2024-01-01"): rates(
        (250 * K, 0.04), (1 * M, 0.1), (2 * M, 0.2), (INF, 0.5)
    ),
    ("krakenfutures", "PEPE/USD:USD", "2024-01-01"): rates(
        (10 * K, 0.05), (250 * K, 0.1), (1.25 * M, 0.3), (INF, 0.5)
    ),
    ("krakeninverse", "BTC/USD:BTC", "2019-03-05"): rates(
        (500 * K, 0.02), (1 * M, 0.04), (3 * M, 0.06), (INF, 0.1)
    ),
    ("krakeninverse", "ETH/USD:ETH", "2023-05-24"): rates(
        (250 * K, 0.02), (500 * K, 0.04), (2 * M, 0.06), (INF, 0.1)
    ),
    ("krakeninverse", "BTC/USD:BTC", "2023-05-25"): rates(
        (500 * K, 0.02), (1 * M, 0.04), (3 * M, 0.06), (6 * M, 0.1), (12 * M, 0.15),
        (20 * M, 0.25), (50 * M, 0.3), (INF, 0.4),
    ),
    ("krakeninverse", "ETH/USD:ETH", "2024-01-01"): rates(
        (250 * K, 0.02), (500 * K, 0.04), (2 * M, 0.06), (5 * M, 0.1), (8 * M, 0.15),
        (15 * M, 0.25), (30 * M, 0.3), (INF, 0.4),
    ),
    ("krakeninverse", "LTC/USD:LTC", "2024-01-01"): rates(
        (250 * K, 0.02), (500 * K, 0.04), (2 * M, 0.06), (4 * M, 0.1), (INF, 0.15)
    ),
    ("krakeninverse", "BCH/USD:BCH", "2024-01-01"): rates(
        (500 * K, 0.04), (2 * M, 0.06), (3 * M, 0.1), (5 * M, 0.2), (INF, 0.5)
    ),
    ("krakeninverse", "XRP/USD:XRP", "2024-01-01"): rates((1 * M, 0.1), (INF, 0.2)),
    ("krakeninverse", "XRP/USD:XRP", "2020-01-01"): rates(
        (250 * K, 0.02), (500 * K, 0.04), (2 * M, 0.06), (INF, 0.1)
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "symbol", "day"), GOLDEN)
def test_the_levels_in_force_on_a_day(name: str, symbol: str, day: str) -> None:
    wanted = GOLDEN[name, symbol, day]
    assert rows(btm.venue(name).schedule(symbol).at(ms(day))) == wanted
    pinned = btm.venue(name, as_of=day).schedule(symbol)
    assert rows(pinned.at(0)) == rows(pinned.at(ms("2030-01-01"))) == wanted
    assert not pinned.at(0).stepped
    whole = btm.venue(name, as_of=day, levels="whole").schedule(symbol).at(0)
    assert (rows(whole), whole.stepped) == (wanted, True)
    assert {tier.deduction for tier in whole.tiers} == {0}


@pytest.mark.parametrize("name", ["krakenfutures", "krakeninverse"])
def test_every_level_keeps_half_of_what_it_asks_at_first(name: str) -> None:
    venue = btm.venue(name)
    for symbol in venue.schedules:
        for _, table in venue.schedule(symbol).tables:
            for tier in table.tiers:
                assert tier.max_leverage is not None
                assert 1 / tier.max_leverage == pytest.approx(2 * tier.mmr), symbol
            assert [t.deduction for t in table.tiers] == pytest.approx(deductions(table)), symbol


def deductions(table: TierTable) -> list[float]:
    """deduction_n = floor_n · (mmr_n − mmr_{n−1}) + deduction_{n−1}."""
    found = [0.0]
    for below, tier in pairwise(table.tiers):
        found.append(tier.floor * (tier.mmr - below.mmr) + found[-1])
    return found


@pytest.mark.parametrize(
    ("name", "symbol", "day", "parts"),
    [
        ("krakenfutures", "BTC/USD:USD", "2024-01-01", [(500 * K, 0.02), (1.5 * M, 0.04), (1 * M, 0.1)]),
        ("krakenfutures", "BTC/USD:USD", "2026-01-01", [(1 * M, 0.01), (2 * M, 0.02), (500 * K, 0.04)]),
        ("krakeninverse", "BTC/USD:BTC", "2024-01-01", [(500 * K, 0.02), (500 * K, 0.04)]),
        ("krakeninverse", "BTC/USD:BTC", "2019-06-01", [(500 * K, 0.02), (500 * K, 0.04), (7, 0.06)]),
        ("krakeninverse", "ETH/USD:ETH", "2024-01-01", [(250 * K, 0.02), (250 * K, 0.04), (9, 0.06)]),
    ],
)  # fmt: skip
def test_a_position_over_several_levels_adds_their_parts_up(
    name: str, symbol: str, day: str, parts: list[tuple[float, float]]
) -> None:
    """Initial margin in USD, at 200 USD a coin; the requirement is half of it."""
    venue, face = btm.venue(name), sum(part for part, _ in parts)
    one = held(venue, symbol, day, face / (200.0 if name == "krakenfutures" else 1.0), leverage=100)
    rule, unit = venue.margin_at(ms(day)), 1.0 if name == "krakenfutures" else 200.0
    asked = sum(part * rate for part, rate in parts)
    assert rule.initial(one, 200.0) == pytest.approx(asked / unit)
    notional = one.value(200.0)
    assert rule.requirement(one).maintenance(notional) == pytest.approx(asked / 2 / unit)
    whole = btm.venue(name, levels="whole")
    limits = whole.schedule(symbol).at(ms(day))
    steps = whole.margin_at(ms(day)).initial(one._replace(limits=limits), 200.0)
    assert steps == pytest.approx(face * parts[-1][1] / unit)


@pytest.mark.parametrize("name", ["krakenfutures", "krakeninverse"])
def test_the_reading_of_the_levels_is_an_option(name: str) -> None:
    assert btm.venue(name, levels="marginal") == btm.venue(name)
    whole = btm.venue(name, levels="whole")
    assert {getattr(rule, "marginal", None) for _, rule in whole.margin} == {False}
    extra = set(whole.approximations) - set(btm.venue(name).approximations)
    assert len(extra) == 1
    assert "too early" in extra.pop()
    for wrong in ("parts", "", None, True, ["whole"]):
        with pytest.raises(InputError, match=r"levels .* allowed: 'marginal', 'whole'"):
            btm.venue(name, levels=wrong)


def test_what_is_inferred_of_the_levels_is_said() -> None:
    for name, tags in (("krakenfutures", ["D"]), ("krakeninverse", ["P", "D", "D"])):
        venue = btm.venue(name)
        facts = [f for f in venue.facts if f.topic.startswith("levels") and "part" in f.value]
        assert [fact.tag for fact in facts] == tags
        assert all("inferred" in fact.value for fact in facts if fact.tag == "D")
        assert any("inferred" in each for each in venue.approximations)


def held(venue: Venue, symbol: str, day: str, size: float, leverage: float = 10.0) -> Held:
    contract = venue.contract(symbol)
    table = venue.schedule(symbol).at(ms(day))
    return Held(contract, size, 100.0, leverage, table, 0.0005, False)


@pytest.mark.parametrize(
    ("name", "symbol", "day", "most"),
    [
        ("krakenfutures", "BTC/USD:USD", "2021-01-01", 1_200),
        ("krakenfutures", "ETH/USD:USD", "2026-01-01", 16_000),
        ("krakenfutures", "PEPE/USD:USD", "2026-01-01", 10**12),
        ("krakeninverse", "BTC/USD:BTC", "2023-05-24", 6 * M),
        ("krakeninverse", "ETH/USD:ETH", "2020-01-01", 5 * M),
        ("krakeninverse", "BTC/USD:BTC", "2023-05-25", 75 * M),
        ("krakeninverse", "ETH/USD:ETH", "2025-01-01", 45 * M),
        ("krakeninverse", "XRP/USD:XRP", "2020-01-01", 4 * M),
        ("krakeninverse", "XRP/USD:XRP", "2025-01-01", 3 * M),
    ],
)
def test_the_largest_position_of_a_day(name: str, symbol: str, day: str, most: float) -> None:
    for venue in (btm.venue(name), btm.venue(name, as_of=day)):
        rule = venue.margin_at(ms(day))
        one = held(venue, symbol, day, 1.0, leverage=50)
        assert rule.cap(one, 200.0) == pytest.approx(one.contract.notional(most, 200.0))


def test_leverage_counts_on_linear_contracts_and_not_on_inverse_ones() -> None:
    linear, inverse = btm.venue("krakenfutures"), btm.venue("krakeninverse")
    one = held(linear, "BTC/USD:USD", "2024-01-01", 10.0)
    assert linear.margin_at(0).initial(one, 100.0) == 100.0
    assert linear.margin_at(0).initial(one._replace(leverage=50.0), 100.0) == pytest.approx(20.0)
    coin = held(inverse, "BTC/USD:BTC", "2024-01-01", 1_000)
    asked = {inverse.margin_at(0).initial(coin._replace(leverage=x), 100.0) for x in (1, 10, 50)}
    assert asked == {0.2}
    assert {type(rule) for _, rule in linear.margin} == {ByLevel}
    assert {type(rule) for _, rule in inverse.margin} == {ByLevelAlone}


# -- symbols ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", ["SOL/USD:USD", "XRP/USD:USD", "ADA/USD:USD"])
def test_a_contract_without_published_levels_is_refused_until_it_brings_its_own(
    symbol: str,
) -> None:
    venue = btm.venue("krakenfutures")
    with pytest.raises(UnknownSymbol, match=r"pass its own table.*tiers"):
        venue.schedule(symbol)
    table = level_table([(100_000, 0.1, 0.05), (None, 0.2, 0.1)])
    assert not table.stepped
    own = venue.with_symbols({symbol: {"tiers": table}})
    assert own.schedule(symbol).at(0) is table
    assert own.contract(symbol).settle == "USD"
    assert own.margin_at(0).cap(held(own, symbol, "2024-01-01", 1.0), 10.0) == INF


def test_symbols_settle_where_their_venue_settles() -> None:
    assert {c.settle for c in btm.venue("krakenfutures").contracts.values()} == {"USD"}
    assert {c.settle for c in btm.venue("krakenspot").contracts.values()} == {"USD"}
    coins = btm.venue("krakeninverse").contracts
    assert {s: (c.kind, c.multiplier, c.settle) for s, c in coins.items()} == {
        f"{coin}/USD:{coin}": ("inverse", 1, coin) for coin in ("BTC", "ETH", "LTC", "BCH", "XRP")
    }
    assert btm.venue("krakenfutures").resolve("BTCUSD") == "BTC/USD:USD"
    assert btm.venue("krakenspot").resolve("ETHUSD") == "ETH/USD"


@pytest.mark.parametrize(
    ("symbol", "tick", "lot"),
    [("BTC/USD:USD", 1, 0.0001), ("ETH/USD:USD", 0.1, 0.001), ("PEPE/USD:USD", 1e-10, 1_000)],
)
def test_ticks_and_lots(symbol: str, tick: float, lot: float) -> None:
    contract = btm.venue("krakenfutures").contract(symbol)
    assert (contract.tick, contract.lot, contract.multiplier) == (tick, lot, 1)


# -- rules and dates -------------------------------------------------------------------------------


def test_liquidation_changes_on_2026_03_26() -> None:
    venue, day = btm.venue("krakenfutures"), ms("2026-03-26")
    assert venue.liquidation_at(day - 1) == LargestLossFirst("sale", "trader")
    assert venue.liquidation_at(day) == PartialSale(0.9)
    assert venue.next_change(ms("2025-01-01")) == day
    assert venue.next_change(day) is None
    before, since = (btm.venue("krakenfutures", as_of=d) for d in ("2026-03-25", "2026-03-26"))
    assert before.liquidation_at(day) == LargestLossFirst("sale", "trader")
    assert since.liquidation_at(0) == PartialSale(0.9)


def test_what_is_not_published_can_be_set() -> None:
    own = btm.venue("krakenfutures", partial_target=0.8, liquidation_fee=0.002)
    day = ms("2026-03-26")
    assert own.liquidation_at(day) == PartialSale(0.8)
    assert own.fees_at("BTC/USD:USD", day).liquidation == 0.002
    assert own.fees_at("BTC/USD:USD", day - 1).liquidation == 0.0005
    spot = btm.venue("krakenspot", liquidation_level=0.6)
    assert spot.margin_calls == (pytest.approx(0.75),)
    assert (spot.margin_at(0), spot.liquidation) == (MarginLevel(0.6), OldestFirst(0.6))


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("krakenfutures", {"partial_target": 1.0}),
        ("krakenfutures", {"partial_target": "0.9"}),
        ("krakenfutures", {"liquidation_fee": 5}),
        ("krakenfutures", {"liquidation_fee": -0.001}),
        ("krakenspot", {"liquidation_level": 0}),
        ("krakenspot", {"liquidation_level": 80}),
    ],
)
def test_an_option_out_of_range_is_refused(name: str, option: dict[str, object]) -> None:
    with pytest.raises(InputError):
        btm.venue(name, **option)


def test_the_inverse_venue_sells_the_whole_and_leaves_the_rest_to_the_trader() -> None:
    venue = btm.venue("krakeninverse")
    assert venue.liquidation_at(ms("2026-10-01")) == FullClose("sale", "trader")
    assert venue.bankruptcy_fee is False


@pytest.mark.parametrize(
    ("name", "modes", "strict", "calls", "accrues", "currency"),
    [
        ("krakenfutures", ("cross", "isolated"), True, (0.8,), True, "USD"),
        ("krakeninverse", ("cross",), True, (0.8,), True, "BTC"),
        ("krakenspot", ("cross",), False, (0.5,), False, "USD"),
    ],
)
def test_the_rules_of_each_venue(
    name: str, modes: tuple[str, ...], strict: bool, calls: object, accrues: bool, currency: str
) -> None:
    venue = btm.venue(name)
    assert (venue.modes, venue.strict, venue.margin_calls) == (modes, strict, calls)
    assert (venue.funding.accrues, venue.currency, venue.hedge) == (accrues, currency, False)
    assert venue.funding_interval == (4 if name == "krakenspot" else 1) * 3_600_000


@pytest.mark.parametrize("name", ["krakeninverse", "krakenspot"])
def test_there_is_no_isolated_margin(name: str) -> None:
    with pytest.raises(MarginModeRefused, match="only cross"):
        btm.Account(btm.venue(name), cash=1.0, margin_mode="isolated")


@pytest.mark.parametrize(
    ("name", "symbol", "day", "maker", "taker", "liquidation"),
    [
        ("krakenfutures", "BTC/USD:USD", "2024-01-01", 0.0002, 0.0005, 0.0005),
        ("krakeninverse", "BTC/USD:BTC", "2020-01-01", 0.0002, 0.0005, 0.0005),
        ("krakenspot", "BTC/USD", "2024-12-31", 0.0016, 0.0026, 0.0026),
        ("krakenspot", "BTC/USD", "2025-01-01", 0.0025, 0.0040, 0.0040),
    ],
)
def test_the_fees_of_a_day(
    name: str, symbol: str, day: str, maker: float, taker: float, liquidation: float
) -> None:
    for venue in (btm.venue(name), btm.venue(name, as_of=day)):
        fees = venue.fees_at(symbol, ms(day))
        assert (fees.maker, fees.taker, fees.liquidation) == (maker, taker, liquidation)


@pytest.mark.parametrize(
    ("symbol", "day", "most"),
    [("BTC/USD", "2024-12-31", 5), ("BTC/USD", "2025-01-01", 10), ("ETH/USD", "2026-01-01", 5)],
)
def test_the_most_leverage_of_a_pair(symbol: str, day: str, most: float) -> None:
    assert btm.venue("krakenspot").schedule(symbol).at(ms(day)).max_leverage(0) == most
    assert btm.venue("krakenspot", as_of=day).schedule(symbol).at(0).max_leverage(0) == most


@pytest.mark.parametrize(
    ("day", "size", "symbol", "rate"),
    [
        ("2021-01-25", 1, "ETH/USD", 0.0002),
        ("2026-02-09", 1, "BTC/USD", 0.0002),
        ("2026-02-10", 1, "BTC/USD", 0.00025),
        ("2026-02-10", -1, "BTC/USD", 0.0001),
        ("2026-02-10", -1, "ETH/USD", 0.0002),
    ],
)
def test_the_rate_of_what_is_borrowed(day: str, size: float, symbol: str, rate: float) -> None:
    for venue in (btm.venue("krakenspot"), btm.venue("krakenspot", as_of=day)):
        carry = venue.carry
        assert isinstance(carry, RolloverFees)
        account = btm.Account(venue, cash=10_000, leverage=2, time=ms(day))
        seen = account.position(symbol).seen()._replace(size=size, entry=100.0, opened=ms(day))
        assert carry.rate(seen) == rate


# -- the fidelity statement and the cases ----------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_venue_says_what_is_exact_what_is_not_and_what_is_absent(name: str) -> None:
    venue = btm.venue(name)
    assert venue.exact
    assert venue.approximations
    assert venue.absent
    for fact in venue.facts:
        assert fact.topic, fact
        assert fact.value, fact
        assert fact.source, fact
        assert fact.as_of, fact
        assert fact.tag in "PARCDMN", fact
    ours = [f for f in venue.facts if "our choice" in f.source]
    assert ours
    assert {f.tag for f in ours} == {"N"}


@pytest.mark.parametrize("name", NAMES)
def test_a_venue_can_go_to_another_process(name: str) -> None:
    for venue in (btm.venue(name), btm.venue(name, as_of="2024-01-01")):
        assert pickle.loads(pickle.dumps(venue)) == venue


def test_kraken_alone_means_spot_margin() -> None:
    assert btm.venue("kraken").name == "krakenspot"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.id}: {case.source}")
def test_a_published_case(case: Case) -> None:
    (outcome,) = run_cases([case])
    assert outcome.reason == ""
    assert [(c.key, c.expected, c.ours) for c in outcome.checked if not c.ok] == []


@pytest.mark.parametrize("key", ["mmr", "size_usd", "wallet", "entry_price"])
def test_an_answer_depends_on_every_input(key: str) -> None:
    case = next(case for case in CASES if case.id == "kra-inv-1000")
    spoilt = dict(case.inputs) | {key: case.inputs[key] * 1.1}
    (outcome,) = run_cases([changed(case, spoilt)])
    assert not outcome.ok


def changed(case: Case, inputs: dict[str, object]) -> Case:
    return replace(case, inputs=type(case.inputs)(inputs))


def test_a_case_without_what_it_needs_is_not_answered() -> None:
    case = next(case for case in CASES if case.id == "kra-inv-1000")
    less = {key: value for key, value in case.inputs.items() if key != "wallet"}
    (outcome,) = run_cases([changed(case, less)])
    assert not outcome.ok
    assert [c.key for c in outcome.checked if c.ours is None] == [
        "liquidation_price",
        "bankruptcy_price",
    ]


def test_coins_with_a_haircut_of_one_s_own_back_the_flex_account() -> None:
    rules = btm.venue("krakenfutures", haircuts={"BTC": 0.03})
    account = btm.Account(
        rules, 1_000, leverage=10, collateral={"BTC": 1.0}, time=1_720_000_000_000
    )
    account.mark("BTC/USD:USD", 50_000.0)
    assert account.available() == pytest.approx(1_000 + 0.97 * 50_000)
    assert account.equity() == pytest.approx(51_000)
    with pytest.raises(InputError, match="haircuts"):
        btm.venue("krakenfutures", haircuts={"BTC": 1.5})
