"""Aave v3: what the venue knows, on which date, and what a user may put in its place."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

import bt_margin as btm
from bt_margin.errors import InputError, LeverageError, UnknownSymbol
from bt_margin.market.rates import load_rates
from bt_margin.studies.conformance import Outcome, cases_of, read_cases, run_cases
from bt_margin.venues import aave_facts
from bt_margin.venues.carry import Carried, PoolView
from bt_margin.venues.close_factor import CloseFactor
from bt_margin.venues.lending_carry import LendingCarry
from bt_margin.venues.loan_to_value import LoanToValue, StableSupplied
from bt_margin.venues.names import moment
from bt_margin.venues.spec import ALWAYS

CASES = Path(aave_facts.__file__).with_name("cases") / "aave_v3.json"
AAVE = btm.venue("aave_v3")
ETH = "WETH/USDC"


def ms(day: str) -> int:
    found = moment(day)
    assert found is not None
    return found


def policy(venue: Any, day: str) -> CloseFactor:
    found = venue.liquidation_at(ms(day))
    assert isinstance(found, CloseFactor)
    return found


# -- symbols ---------------------------------------------------------------------------------------


def test_assets_of_the_snapshot_against_the_stable() -> None:
    coins = {symbol.partition("/")[0] for symbol in AAVE.schedules}
    listed = {"WETH", "WBTC", "wstETH", "LINK", "UNI", "AAVE", "CRV", "DAI", "LUSD", "USDT"}
    assert coins == listed | {"ETH", "BTC"}
    assert AAVE.currency == "USDC"
    contract = AAVE.contract("WETH/USDC")
    assert (contract.kind, contract.multiplier, contract.settle) == ("linear", 1, "USDC")
    assert AAVE.resolve("wethusdc") == "WETH/USDC"
    with pytest.raises(UnknownSymbol, match="SOL/USDC"):
        AAVE.resolve("SOL/USDC")


@pytest.mark.parametrize(
    ("name", "wrapped"), [("ETH/USDC", "WETH/USDC"), ("BTC/USDC", "WBTC/USDC")]
)
def test_wrapped_coins_have_the_same_terms_under_their_own_names(name: str, wrapped: str) -> None:
    assert AAVE.schedule(name) == AAVE.schedule(wrapped)
    rule = AAVE.margin_at(0)
    assert isinstance(rule, LoanToValue)
    assert rule.ltv[name] == rule.ltv[wrapped]
    assert isinstance(AAVE.carry, LendingCarry)
    assert AAVE.carry.assets[name] == AAVE.carry.assets[wrapped]
    assert policy(AAVE, "2024-01-01").bonuses[name] == policy(AAVE, "2024-01-01").bonuses[wrapped]


def test_the_alias() -> None:
    assert btm.venue("aave", as_of="2024-01-01") == btm.venue("aave_v3", as_of="2024-01-01")


def test_another_stable() -> None:
    venue = btm.venue("aave_v3", stable="dai")
    assert venue.currency == "DAI"
    assert "WETH/DAI" in venue.schedules
    assert "DAI/DAI" not in venue.schedules
    assert policy(venue, "2024-01-01").stable == 0.05
    for wrong in ("SOL", 3, "CRV"):
        with pytest.raises(InputError, match="stable"):
            btm.venue("aave_v3", stable=wrong)


# -- terms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "kept", "leverage"),
    [
        ("WETH/USDC", 0.17, 1 / 0.195),
        ("WBTC/USDC", 0.22, 1 / 0.27),
        ("LINK/USDC", 0.32, 0.77 / 0.23),  # a short may have more than a long
        ("AAVE/USDC", 0.27, 1 / 0.34),  # nobody lends it
        ("CRV/USDC", 0.59, 1 / 0.65),
    ],
)
def test_a_long_keeps_what_the_threshold_leaves(symbol: str, kept: float, leverage: float) -> None:
    table = AAVE.schedule(symbol).at(ms("2024-01-01"))
    assert table.maintenance(1_000) == pytest.approx(1_000 * kept)
    assert table.max_leverage(0) == pytest.approx(leverage)


def test_leverage_above_the_loan_to_value_is_refused() -> None:
    with pytest.raises(LeverageError, match=r"5\.12821, the most the venue allows for WETH/USDC"):
        btm.Account(AAVE, leverage=5.2).position("WETH/USDC")


def test_only_what_is_lent_can_be_sold_short() -> None:
    rule = AAVE.margin_at(0)
    assert isinstance(rule, LoanToValue)
    assert rule.not_lent == {"AAVE/USDC", "CRV/USDC"}
    assert (rule.stable, rule.ltv["WETH/USDC"]) == (0.77, 0.805)


def test_swaps_cost_what_the_user_says() -> None:
    assert AAVE.fees_at("WETH/USDC", 0).taker == AAVE.fees_at("WETH/USDC", 0).maker == 0.0005
    assert btm.venue("aave_v3", taker_fee=0.003).fees_at("WETH/USDC", 0).taker == 0.003
    with pytest.raises(InputError, match="taker_fee"):
        btm.venue("aave_v3", taker_fee=0.3)
    (fact,) = [fact for fact in AAVE.facts if fact.topic == "swap cost"]
    assert (fact.tag, fact.source) == ("N", "not published; our choice")
    told = [f for f in btm.venue("aave_v3", taker_fee=0.003).facts if f.topic == "swap cost"]
    assert [(f.value, f.tag) for f in told] == [("0.003", "D")]


def test_interest_is_on_the_stable_and_on_the_asset_at_their_rates() -> None:
    """A day of 2024-01: 1,600 USDC owed at 3.5 %, WETH worth 2,000 supplied at 2.8 % · 0.8 · 0.85."""
    long = Carried("WETH/USDC", AAVE.contract("WETH/USDC"), 1.0, 2_000.0, 2_000.0, 0, 5.0)
    view = PoolView(400.0, (long,), True)
    assert AAVE.carry is not None
    day = ms("2024-01-02")
    stable, asset = AAVE.carry.due(view, day, day + 86_400_000)
    assert stable.amount == pytest.approx(1_600 * 0.035 / 365, rel=1e-4)
    assert asset.amount == pytest.approx(-2_000 * 0.028 * 0.8 * 0.85 / 365, rel=1e-9)


def test_a_utilisation_or_rates_of_one_s_own() -> None:
    low = btm.venue("aave_v3", utilisation=0.4, rates={"USDC": (0.1, 0.09)}).carry
    assert isinstance(low, LendingCarry)
    assert low.stable.rates[0][1] == (0.1, 0.09)
    assert low.assets["WETH/USDC"].rates[0][1].borrow == pytest.approx(0.014)


def test_an_asset_of_one_s_own() -> None:
    own = {
        "ltv": 0.6, "liquidation_threshold": 0.7, "liquidation_bonus": 0.08, "reserve_factor": 0.2,
        "optimal_usage": 0.45, "base_rate": 0.0, "slope1": 0.07, "slope2": 3.0,
    }  # fmt: skip
    venue = btm.venue("aave_v3", reserves={"SOL": own})
    assert venue.schedule("SOL/USDC").at(0).maintenance(100) == pytest.approx(30)
    assert policy(venue, "2024-01-01").bonuses["SOL/USDC"] == 0.08
    account = btm.Account(venue, cash=1_000, leverage=2)
    account.mark("SOL/USDC", 100.0)
    assert account.fill("SOL/USDC", 19, 100.0).refusal is None


TABLE = """timestamp,asset,variable_borrow_rate,liquidity_rate,ltv,liquidation_threshold,liquidation_bonus
2024-01-01T00:00:00Z,WETH,0.021,0.015,0.8,0.82,0.05
2024-01-02T00:00:00Z,WETH,0.024,0.017,0.8,0.82,0.06
2024-01-02T00:00:00Z,USDC,0.061,0.049,,,
"""


def test_a_table_of_rates_as_files_hold_them(tmp_path: Path) -> None:
    """Rates and risk parameters of its assets from its dates on; the others by their models."""
    file = tmp_path / "aave.csv"
    file.write_text(TABLE)
    table = load_rates(file)
    venue = btm.venue("aave_v3", rates=table, reserves={"WETH": {"ltv": 0.81}})
    carry = venue.carry
    assert isinstance(carry, LendingCarry)
    assert carry.stable.rates == ((ms("2024-01-02"), (0.061, 0.049)),)
    days = [ms("2024-01-01"), ms("2024-01-02")]
    assert carry.assets[ETH].rates == ((days[0], (0.021, 0.015)), (days[1], (0.024, 0.017)))
    assert isinstance(AAVE.carry, LendingCarry)
    assert carry.assets["WBTC/USDC"] == AAVE.carry.assets["WBTC/USDC"]
    assert venue.schedule(ETH).at(days[0] - 1).maintenance(100) == pytest.approx(17)
    assert venue.schedule(ETH).at(days[0]).maintenance(100) == pytest.approx(18)
    assert [policy(venue, d).bonuses[ETH] for d in ("2024-01-01", "2024-01-02")] == [0.05, 0.06]
    rules = [venue.margin_at(ms(day)) for day in ("2023-12-31", "2024-01-01")]
    assert [r.ltv[ETH] for r in rules if isinstance(r, LoanToValue)] == [0.81, 0.81]
    told = [f.value for f in venue.facts if f.topic == "rates"]
    assert told == ["a table of 3 rows"]
    assert btm.venue("aave_v3", rates=table.to_dict("records")).carry is not None


@pytest.mark.parametrize(
    ("rates", "told"),
    [
        ("aave.csv", "rates is 'aave.csv'; give a dict by asset, or rows with timestamp"),
        ([], "rates has no rows"),
        ([{"asset": "WETH"}], "each needs timestamp, asset, variable_borrow_rate, liquidity_rate"),
        ([("2024-01-01", 0.1)], "each needs timestamp"),
        (0.05, "rates is 0.05"),
    ],
)
def test_what_is_no_table_of_rates(rates: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        btm.venue("aave_v3", rates=rates)


# -- dates -----------------------------------------------------------------------------------------


def test_the_code_changes_on_its_date() -> None:
    rules = [
        policy(AAVE, day).rule for day in ("2023-06-01", "2025-02-24", "2025-02-25", "2026-01-01")
    ]
    old, new = aave_facts.close_rule("3.0"), aave_facts.close_rule("3.3")
    assert rules == [old, old, new, new]
    assert (old.small, old.leftover, old.of_total) == (0, 0, False)
    assert (new.small, new.leftover, new.of_total) == (2_000, 1_000, True)
    assert {rule.full_at for rule in rules} == {0.95}
    assert {rule.half for rule in rules} == {0.5}
    assert AAVE.next_change(ms("2025-02-24")) == ms("2025-02-25")


@pytest.mark.parametrize(
    ("day", "version"), [("2023-01-01", "3.0"), ("2024-12-31", "3.0"), ("2025-02-25", "3.3")]
)
def test_as_of_pins_the_code(day: str, version: str) -> None:
    venue = btm.venue("aave_v3", as_of=day)
    assert venue.liquidation_changes == ()
    assert policy(venue, "2022-01-01") == policy(venue, "2026-01-01")
    assert policy(venue, "2026-01-01").rule == aave_facts.close_rule(version)


def test_the_version_can_be_stated() -> None:
    venue = btm.venue("aave_v3", code_version="3.3")
    assert venue.liquidation_changes == ()
    assert policy(venue, "2022-01-01").rule.small == 2_000
    old = btm.venue("aave_v3", code_version="v3.0.1", as_of="2026-01-01")
    assert policy(old, "2026-01-01").rule.small == 0
    for wrong in ("4.0", "three", "", "2"):
        with pytest.raises(InputError, match="code_version"):
            btm.venue("aave_v3", code_version=wrong)


def test_the_ratios_change_on_their_date() -> None:
    schedule = AAVE.schedule("AAVE/USDC")
    assert [since for since, _ in schedule.tables] == [ms("2023-10-31"), ms("2025-02-01")]
    assert schedule.at(ms("2025-01-31")).maintenance(100) == pytest.approx(27)
    assert schedule.at(ms("2025-02-01")).maintenance(100) == pytest.approx(24)
    assert schedule.is_proxy(ms("2023-10-30"))
    assert [since for since, _ in AAVE.margin] == [ALWAYS, ms("2025-02-01")]
    rules = [AAVE.margin_at(ms(day)) for day in ("2025-01-31", "2025-02-01")]
    assert [r.ltv["AAVE/USDC"] for r in rules if isinstance(r, LoanToValue)] == [0.66, 0.69]
    assert len(AAVE.schedule("WETH/USDC").tables) == 1


def test_dated_ratios_of_one_s_own_reach_every_rule() -> None:
    own: Any = {
        "USDC": [("2024-06-01", {"ltv": 0.75, "liquidation_threshold": 0.78})],
        "WETH": [("2024-06-01", {"liquidation_bonus": 0.06})],
    }
    venue = btm.venue("aave_v3", reserves=own)
    assert isinstance(venue.shared, StableSupplied)
    assert venue.shared.thresholds == ((ALWAYS, 0.8), (ms("2024-06-01"), 0.78))
    rules = [venue.margin_at(ms(day)) for day in ("2024-05-31", "2024-06-01")]
    assert [r.stable for r in rules if isinstance(r, LoanToValue)] == [0.77, 0.75]
    assert [policy(venue, d).bonuses["ETH/USDC"] for d in ("2024-05-31", "2024-06-01")] == [
        0.05,
        0.06,
    ]
    most = [t.max_leverage(0) for _, t in venue.schedule("LINK/USDC").tables]
    assert most == [pytest.approx(0.77 / 0.23), pytest.approx(3.0)]


# -- what is said of it ----------------------------------------------------------------------------


def test_the_venue_is_strict_and_states_its_fidelity() -> None:
    assert AAVE.strict
    assert AAVE.modes == ("cross", "isolated")
    assert AAVE.exact
    assert AAVE.approximations
    assert AAVE.absent
    assert all(f.topic and f.value and f.source and f.as_of for f in AAVE.facts)
    assert {f.tag for f in AAVE.facts} <= set("PARCDMN")
    (switch,) = [f for f in AAVE.facts if f.topic == "code 3.3 from"]
    assert switch.tag == "M"


def test_it_can_be_sent_to_another_process() -> None:
    assert pickle.loads(pickle.dumps(AAVE)) == AAVE
    assert hash(AAVE) == hash(btm.venue("aave_v3"))


# -- published cases -------------------------------------------------------------------------------

OUTCOMES: list[Outcome] = run_cases(read_cases(CASES))


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda o: o.case.id)
def test_published_cases(outcome: Outcome) -> None:
    assert outcome.case.source
    assert outcome.reason == ""
    assert [each for each in outcome.checked if not each.ok] == []


def case(kind: str, inputs: dict[str, Any], expected: dict[str, Any], as_of: str = "") -> Outcome:
    (found,) = run_cases(
        cases_of([{"id": kind, "venue": "aave", "kind": kind, "inputs": inputs,
                   "expected": expected, "as_of": as_of}])
    )  # fmt: skip
    return found


def test_cases_of_other_numbers() -> None:
    """Two collaterals, a date in place of a version, half of the whole debt, a short from its side."""
    collateral = [
        {"asset": "WETH", "amount": 2, "price": 1_500, "ltv": 0.8, "lt": 0.825},
        {"asset": "WBTC", "amount": 0.1, "price": 30_000, "ltv": 0.7, "lt": 0.75},
    ]
    debt = [{"asset": "DAI", "amount": 4_000, "price": 1}]
    wanted = {"health_factor": 4_725 / 4_000, "available_borrows_usd": 500, "ltv": 0.75}
    assert case("account_data", {"collateral": collateral, "debt": debt}, wanted).ok
    given = {"health_factor": 0.97, "reserve_collateral_usd": 900, "reserve_debt_usd": 800}
    assert case("close_factor", given, {"close_factor": 0.5}, "2024-05").ok
    assert case("close_factor", given, {"close_factor": 1}, "2025-05").ok
    assert "code_version" in case("close_factor", given, {"close_factor": 1}).reason
    given = {"health_factor": 0.97, "reserve_collateral_usd": 9_000, "reserve_debt_usd": 4_000,
             "total_debt_usd": 6_000, "code_version": "3.4"}  # fmt: skip
    assert case("close_factor", given, {"close_factor": 0.5, "max_repaid_usd": 3_000}).ok
    short = {
        "side": "short",
        "liquidation_threshold": 0.75,
        "stable_collateral": 800,
        "asset_debt": 2,
    }
    assert case("liquidation_price", short, {"liquidation_price": 300, "health_factor_there": 1}).ok


def test_an_unknown_kind_says_so() -> None:
    assert "no answer to the kind 'yield'" in case("yield", {}, {"apy": 1}).reason
