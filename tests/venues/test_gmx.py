"""GMX V1 and V2: what the venues say of themselves, their options, and their published cases."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import bt_margin as btm
from bt_margin.errors import InputError, MarginModeRefused, UnknownSymbol
from bt_margin.studies.conformance import Case, UnknownCase, cases_of, read_cases, run_cases
from bt_margin.studies.conformance.gmx_v1 import answer as answer_v1
from bt_margin.studies.conformance.gmx_v2 import answer as answer_v2
from bt_margin.venues.margin import Held
from bt_margin.venues.margin_on_size import FactorOrFee, FactorPlusFee
from bt_margin.venues.pool_carry import HourlyBorrow, SecondBySecond
from bt_margin.venues.remaining import LostOrSold, SaleWithFees

CASES = Path(btm.__file__).parent / "venues" / "cases"
BTC, ETH, SOL = "BTC/USDC:USDC", "ETH/USDC:USDC", "SOL/USDC:USDC"
PUBLISHED = [*read_cases(CASES / "gmx_v1.json"), *read_cases(CASES / "gmx_v2.json")]


# -- published cases -------------------------------------------------------------------------------


@pytest.mark.parametrize("case", PUBLISHED, ids=[case.id for case in PUBLISHED])
def test_published_cases_come_out(case: Case) -> None:
    (outcome,) = run_cases([case])
    wrong = [(c.key, c.expected, c.ours) for c in outcome.checked if not c.ok]
    assert outcome.ok, f"{case.source}: {outcome.reason or wrong}"


def test_every_case_has_its_source_and_every_kind_is_there() -> None:
    assert len(PUBLISHED) == 70
    assert all("gmx-io/" in case.source or "derived from" in case.source for case in PUBLISHED)
    assert len({case.kind for case in PUBLISHED}) == 15


def changed(name: str, **inputs: Any) -> Any:
    """The answer to a published case with other inputs."""
    case = next(case for case in PUBLISHED if case.id == name)
    given = type(case.inputs)(case.inputs | inputs)
    side = inputs.get("side", case.side)
    again = Case(case.id, case.venue, case.mode, case.kind, given, case.expected, side=side)
    return (answer_v1 if case.venue == "gmx_v1" else answer_v2)(again)


def test_a_state_moves_with_each_of_its_numbers() -> None:
    name = "gmx_v1/long1000_37760"  # remaining 19.98 of the 20 it needs
    assert changed(name)["state"] == 2
    assert changed(name, max_leverage=51)["state"] == 0
    assert changed(name, liquidation_fee_usd=19)["state"] == 1
    assert changed(name, funding_fee_usd=14)["state"] == 1
    assert changed(name, margin_fee_bps=200)["state"] == 1
    assert changed(name, collateral_usd=99.03)["state"] == 0
    # a profit keeps a position alive, but does not count where it is validated on a change
    assert changed(name, collateral_usd=10, price=42_000)["state"] == 0
    assert changed(name, collateral_usd=10, price=42_000, count_profit=False)["state"] == 2


def test_an_unpaid_borrow_fee_moves_the_first_bound_and_leaves_the_second() -> None:
    small, large = "gmx_v1/liq_price_long90", "gmx_v1/liq_price_short1000"
    for name, moves in ((small, True), (large, False)):
        before, after = changed(name), changed(name, funding_fee_usd=1)
        assert (before["liquidation_price"] != after["liquidation_price"]) is moves
        assert after["liquidated_just_beyond"] is True


def test_impact_and_fees_count_in_the_test_and_a_positive_impact_does_not() -> None:
    name = "gmx_v2/liquidation/sol_long_coll5000"  # remaining 5,000 of 4,500 needed
    assert changed(name)["liquidatable"] is False
    assert changed(name, fees_usd=500)["liquidatable"] is False
    assert changed(name, fees_usd=500.01)["liquidatable"] is True
    assert changed(name, price_impact_usd=-500.01)["liquidatable"] is True
    ignored = {"price_impact_usd": -500.01, "max_impact_for_liquidation": 0}
    assert changed(name, **ignored)["liquidatable"] is False
    assert changed(name, fees_usd=500.01, price_impact_usd=90)["liquidatable"] is True
    assert changed(name, min_collateral_usd=5_001)["liquidatable"] is True


def test_liquidation_prices_of_shorts() -> None:
    stable = changed("gmx_v2/liq_price/long_usdc", side="short")
    assert stable["liquidation_price"] == pytest.approx(6_200)
    indexed = changed("gmx_v2/liq_price/long_eth_collateral", side="short", collateral_tokens=20)
    assert indexed["liquidation_price"] == pytest.approx(198_000 / 20)
    assert (indexed["liquidatable_inside"], indexed["liquidatable_beyond"]) == (False, True)
    covered = changed("gmx_v2/liq_price/long_eth_collateral", side="short", collateral_tokens=40)
    assert covered["liquidation_price"] is None


def test_other_numbers_of_the_same_kinds() -> None:
    kink = {"usage": None, "reserved_usd": 90, "pool_usd": 50, "open_interest_reserve_factor": 2}
    assert changed("gmx_v2/borrowing/kink_usage_90", **kink)["rate_annual"] == pytest.approx(0.555)
    paid = changed("gmx_v2/borrowing/long_14d", side="short", long_oi_usd=1, short_oi_usd=2)
    assert paid["fee_usd"] == pytest.approx(967.68)
    both = changed("gmx_v2/funding_static/14d", receiver_size_usd=50_000)
    assert both["received_usd"] == pytest.approx(both["fee_usd"] / 2)
    capped = changed("gmx_v2/funding_static/14d", max_rate_per_second=1e-11)
    assert capped["fee_usd"] == pytest.approx(200_000 * 1e-11 * 1_209_600)
    shorts = changed("gmx_v2/funding_static/14d", long_oi_usd=100_000, short_oi_usd=200_000)
    assert (shorts["rate_per_second"] < 0, shorts["fee_usd"]) == (True, pytest.approx(8.064))
    least = changed("gmx_v2/funding_adaptive/stable_4pct", min_rate_per_second=1e-4)
    assert least["charged_rate_per_second"] == 1e-4
    held = changed("gmx_v2/price_impact/long_200k_from_flat", max_impact_negative=0.001)
    assert held["impact_usd"] == -200
    fee = changed("gmx_v2/fees/open_200k_5bps", discount_factor=0.1)
    assert fee["fee_usd"] == pytest.approx(90)
    short = changed("gmx_v2/decrease/negative_pnl_10pct", side="short", fees=30)
    assert (short["collateral_after"], short["paid"]) == (50_000, pytest.approx(50))


def test_the_price_of_a_decrease_and_the_cap_of_profits() -> None:
    closing = {
        "size_delta_usd": -5_000,
        "size_usd": 10_000,
        "size_in_tokens": 5,
        "index_price": 2_000,
    }
    name = "gmx_v2/price_impact/long_200k_from_flat"
    found = changed(name, long_oi_usd=10_000, impact_factor_positive=4e-06, **closing)
    assert found["impact_usd"] == pytest.approx(300)  # 4e-6 · (10,000² − 5,000²)
    assert found["execution_price"] == pytest.approx(2_000 + 300 * 2_000 / 5_000)
    given = {"pnl_usd": 100, "pool_pnl_usd": 1_000}
    for more in ({"capped_pool_pnl_usd": 900}, {"pool_usd": 1_000, "max_pnl_factor": 0.9}):
        row = {"id": "a", "venue": "gmx_v2", "kind": "cap of profits", "formula": "gmx_v2.pnl_cap",
               "inputs": given | more, "expected": {"capped_pnl_usd": 90}}  # fmt: skip
        (outcome,) = run_cases(cases_of([row]))
        assert outcome.ok


@pytest.mark.parametrize("answer", [answer_v1, answer_v2])
def test_an_unknown_kind_says_so(answer: Any) -> None:
    row = {"id": "a", "venue": "gmx", "what": "weather", "inputs": {}, "expected": {"rain": 1}}
    with pytest.raises(UnknownCase, match="weather"):
        answer(cases_of([row])[0])


# -- the venues ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "symbols"), [("gmx_v1", (BTC, ETH)), ("gmx_v2", (BTC, ETH, SOL))])
def test_only_isolated_margin_both_sides_and_a_strict_bound(name: str, symbols: Any) -> None:
    venue = btm.venue(name)
    assert venue.modes == ("isolated",)
    assert (venue.hedge, venue.strict, venue.fee_on_entry) == (True, True, True)
    assert tuple(venue.schedules) == symbols
    assert venue.currency == "USDC"
    assert all(venue.contract(s).kind == "linear" for s in symbols)
    assert any("Cross margin" in line for line in venue.absent)
    assert all(fact.source and fact.as_of and fact.tag in set("PARCDMN") for fact in venue.facts)
    assert pickle.loads(pickle.dumps(venue)) == venue


def test_gmx_is_the_second_version_and_sol_is_not_in_the_first() -> None:
    assert btm.venue("gmx").name == "gmx_v2"
    with pytest.raises(UnknownSymbol):
        btm.venue("gmx_v1").schedule(SOL)


def test_a_cross_account_is_refused() -> None:
    for name in ("gmx_v1", "gmx_v2"):
        with pytest.raises(MarginModeRefused, match="no cross margin, only isolated"):
            btm.Account(venue=name, cash=1_000, margin_mode="cross", leverage=10)


def held(name: str, symbol: str, size: float, entry: float, leverage: float) -> tuple[Any, Held]:
    venue = btm.venue(name)
    rule = venue.margin_at(0)
    limits, taker = venue.schedule(symbol).at(0), venue.fees_at(symbol, 0).taker
    return rule, Held(venue.contract(symbol), size, entry, leverage, limits, taker, True)


@pytest.mark.parametrize("size", [2.0, -2.0])
def test_the_numbers_of_v2(size: float) -> None:
    """S = 100,000: 0.5 % and 0.06 %; opening at 200x needs the same; BTC caps 95 million."""
    rule, one = held("gmx_v2", BTC, size, 50_000.0, 200.0)
    assert isinstance(rule, FactorPlusFee)
    assert rule.requirement(one).maintenance(123.0) == pytest.approx(560)
    assert rule.initial(one, 60_000.0) == pytest.approx(560)
    assert rule.cap(one._replace(entry=0.0), 50_000.0) == 95_000_000
    assert rule.cap(one._replace(leverage=200.5), 50_000.0) == pytest.approx(0)
    tiny = one._replace(size=size / 1_000)  # S = 100: the dollar is more than 0.5 %
    assert rule.requirement(tiny).maintenance(123.0) == pytest.approx(1.06)


@pytest.mark.parametrize(
    ("symbol", "crowded", "most"), [(BTC, 6e-11, 95e6), (ETH, 6e-11, 110e6), (SOL, 2e-10, 17.5e6)]
)
def test_the_numbers_of_each_market(symbol: str, crowded: float, most: float) -> None:
    rule, one = held("gmx_v2", symbol, 1.0, 100.0, 10.0)
    assert rule.crowding[symbol] == crowded
    assert one.limits.cap(200) == most
    assert one.limits.at(1.0).mmr == 0.005
    carry = btm.venue("gmx_v2").carry
    assert isinstance(carry, SecondBySecond)
    assert {rate for _, rate in (*carry.borrow[symbol].long, *carry.borrow[symbol].short)} == {
        0.225
    }
    full = btm.venue("gmx_v2", usage=[("2025-01-01", 0.85), ("2025-02-01", 1.0)]).carry
    assert isinstance(full, SecondBySecond)
    assert [rate for _, rate in full.borrow[symbol].long] == [
        pytest.approx(0.3825),
        pytest.approx(0.9),
    ]
    market = carry.impacts[symbol]
    assert (market.most_positive, market.most_negative) == (0.004, 0.005)
    assert market.negative == pytest.approx({BTC: 9e-11, ETH: 9e-11, SOL: 1.35e-9}[symbol])


def test_the_numbers_of_v1() -> None:
    rule, one = held("gmx_v1", BTC, -2.0, 50_000.0, 10.0)
    assert isinstance(rule, FactorOrFee)
    assert rule.requirement(one).maintenance(1.0) == 2_000  # S / 50
    small = one._replace(size=-0.002)
    assert rule.requirement(small).maintenance(1.0) == pytest.approx(5.1)  # 0.1 % and 5 USD
    assert rule.initial(small, 50_000.0) == 10
    assert rule.initial(small._replace(leverage=50.0), 50_000.0) == pytest.approx(5.1)
    assert rule.cap(one._replace(leverage=50.1), 50_000.0) == 0
    carry = btm.venue("gmx_v1").carry
    assert isinstance(carry, HourlyBorrow)
    assert carry.factor == 100


def test_fees_and_policies() -> None:
    one, two = btm.venue("gmx_v1"), btm.venue("gmx_v2")
    assert [f.taker for f in (one.fees_at(BTC, 0), two.fees_at(BTC, 0))] == [0.001, 0.0006]
    assert two.fees_at(BTC, 0).liquidation == 0.002
    improving = btm.venue("gmx_v2", balance="improving").fees_at(SOL, 0)
    assert (improving.maker, improving.taker) == (0.0004, 0.0004)
    assert isinstance(two.liquidation, SaleWithFees)
    assert one.liquidation == LostOrSold(5.0)


def rates(found: Any) -> list[float]:
    return [rate for _, rate in found]


def test_rates_of_ones_own_for_each_side_and_symbol() -> None:
    own = [("2025-01-01", 0.2), ("2025-02-01", 0.3)]
    carry = btm.venue(
        "gmx_v2", usage=0.0, borrow_payer="short", borrowing={"BTC/USDC": {"long": own, "short": 0.1}},
        funding={"long": -0.5, "short": own},
    ).carry  # fmt: skip
    assert isinstance(carry, SecondBySecond)
    assert (rates(carry.borrow[BTC].long), rates(carry.borrow[BTC].short)) == ([0.2, 0.3], [0.1])
    assert (rates(carry.borrow[ETH].long), rates(carry.borrow[ETH].short)) == ([0], [0])
    assert (rates(carry.funding[ETH].long), rates(carry.funding[ETH].short)) == ([-0.5], [0.2, 0.3])
    flat = btm.venue("gmx_v2", borrowing=0.4, as_of="2025-01-15").carry
    assert isinstance(flat, SecondBySecond)
    assert (rates(flat.borrow[SOL].long), rates(flat.borrow[SOL].short)) == ([0.4], [0.4])
    pinned = btm.venue("gmx_v2", borrowing={"SOL/USDC": own}, as_of="2025-01-15").carry
    assert isinstance(pinned, SecondBySecond)
    assert rates(pinned.borrow[SOL].short) == [0.2]


def test_options_reach_the_rules() -> None:
    venue = btm.venue(
        "gmx_v2", usage=[("2025-01-01", 0.2), ("2025-02-01", 0.9)], borrow_payer="long",
        funding=-0.1, open_interest={"BTC/USDC": 1e6, "ETH-USDC": 2e6}, imbalance=-5e6,
        as_of="2025-02-01",
    )  # fmt: skip
    carry, rule = venue.carry, venue.margin_at(0)
    assert isinstance(carry, SecondBySecond)
    assert isinstance(rule, FactorPlusFee)
    # 0.9: 0.405 and a third of what lies above 0.85, times 0.45
    assert carry.borrow[BTC].long[0][1] == pytest.approx(0.555)
    assert rates(carry.borrow[BTC].short) == [0]
    assert (rates(carry.funding[SOL].long), rates(carry.funding[SOL].short)) == ([-0.1], [0.1])
    assert rule.open_interest == {BTC: 1e6, ETH: 2e6}
    assert carry.imbalance == {BTC: -5e6, ETH: -5e6, SOL: -5e6}
    plain = btm.venue("gmx_v2").carry
    assert isinstance(plain, SecondBySecond)
    assert plain.imbalance == {}
    assert rates(plain.funding[BTC].long) == [0]
    assert btm.venue("gmx_v1", utilisation=0.25).carry == HourlyBorrow(((-(2**62), 0.25),), 100)


@pytest.mark.parametrize(
    ("name", "option", "value", "names"),
    [
        ("gmx_v1", "utilisation", 1.01, "utilisation"),
        ("gmx_v1", "utilisation", -0.1, "utilisation"),
        ("gmx_v2", "usage", 2, "usage"),
        ("gmx_v2", "borrow_payer", "none", "'none'.*'both', 'long', 'short'"),
        ("gmx_v2", "funding", "high", "funding"),
        ("gmx_v2", "funding", {"long": 0.1}, "both 'long' and 'short'"),
        ("gmx_v2", "borrowing", {"BTC/USDC": {"long": 0.1, "up": 0.2}}, "both 'long' and 'short'"),
        ("gmx_v2", "borrowing", {"DOGE": 0.1}, "'DOGE'"),
        ("gmx_v2", "borrowing", 101, "borrowing"),
        ("gmx_v2", "open_interest", -1, "open_interest"),
        ("gmx_v2", "imbalance", {"DOGE": 1}, "'DOGE'"),
        ("gmx_v2", "balance", "even", "'even'"),
        ("gmx_v2", "fee", 0.1, "no option 'fee'"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    name: str, option: str, value: Any, names: str
) -> None:
    with pytest.raises(InputError, match=names):
        btm.venue(name, **{option: value})


def test_what_is_assumed_is_tagged_as_such() -> None:
    for name, topics in (
        ("gmx_v1", {"utilisation of the pool"}),
        ("gmx_v2", {"usage of the pool", "funding rate", "imbalance of the market"}),
    ):
        assumed = {fact.topic for fact in btm.venue(name).facts if fact.tag == "N"}
        assert topics <= assumed


def test_the_table_file_is_small_and_says_where_it_is_from() -> None:
    file = CASES.parent / "tables" / "gmx_v2.json"
    assert len(file.read_text(encoding="utf-8")) < 4_000
    content = json.loads(file.read_text(encoding="utf-8"))
    assert (content["dated"], "a5c0c883" in content["source"]) == ("2026-03-13", True)
