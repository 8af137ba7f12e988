"""Reserves: the table's dates, what users put on top of it, and the rates that follow."""

from __future__ import annotations

from typing import Any

import pytest

from bt_margin.core.lending import InterestRates, RateModel
from bt_margin.errors import InputError
from bt_margin.venues.aave_facts import TABLE
from bt_margin.venues.names import moment
from bt_margin.venues.reserves import (
    Reserve,
    at,
    by_asset,
    changes,
    dates,
    rate_series,
    reserves_of,
    symbols_of,
)
from bt_margin.venues.spec import ALWAYS

NEW = {
    "ltv": 0.7,
    "liquidation_threshold": 0.75,
    "liquidation_bonus": 0.075,
    "reserve_factor": 0.2,
    "optimal_usage": 0.45,
    "base_rate": 0.0,
    "slope1": 0.07,
    "slope2": 3.0,
}


def ms(day: str) -> int:
    found = moment(day)
    assert found is not None
    return found


def reserve(
    asset: str, day: str = "2026-01-01", own: Any = None, as_of: str | None = None
) -> Reserve:
    market = reserves_of(TABLE, own, None if as_of is None else ms(as_of))
    return at(market[asset], ms(day))


# -- the table -------------------------------------------------------------------------------------

#: ltv, threshold, bonus, reserve factor, optimum, slope 1, slope 2 of 2023-10-31
SNAPSHOT = {
    "WETH": (0.805, 0.83, 0.05, 0.15, 0.8, 0.028, 0.8),
    "WBTC": (0.73, 0.78, 0.05, 0.2, 0.45, 0.04, 3.0),
    "USDC": (0.77, 0.8, 0.045, 0.1, 0.9, 0.035, 0.6),
    "USDT": (0.74, 0.76, 0.045, 0.1, 0.8, 0.04, 0.75),
    "DAI": (0.77, 0.8, 0.05, 0.1, 0.9, 0.05, 0.75),
    "LUSD": (0.77, 0.8, 0.045, 0.1, 0.8, 0.04, 0.87),
    "UNI": (0.65, 0.77, 0.1, 0.2, 0.45, 0.07, 3.0),
    "LINK": (0.53, 0.68, 0.07, 0.2, 0.45, 0.07, 3.0),
    "AAVE": (0.66, 0.73, 0.075, 0.0, 0.45, 0.07, 3.0),
    "CRV": (0.35, 0.41, 0.083, 0.35, 0.7, 0.14, 3.0),
    "wstETH": (0.785, 0.81, 0.06, 0.15, 0.45, 0.045, 0.8),
}
BASE = {"CRV": 0.03, "wstETH": 0.0025}


def test_the_snapshot_holds_these_assets_and_no_others() -> None:
    assert set(reserves_of(TABLE, None, None)) == set(SNAPSHOT)


@pytest.mark.parametrize("asset", SNAPSHOT)
@pytest.mark.parametrize("day", ["2022-01-01", "2023-10-31", "2024-10-31"])
def test_the_snapshot_in_full(asset: str, day: str) -> None:
    """bgd-labs/aave-proposals-v3@ff6a99cd, AaveV3Ethereum ... 20231031_after.json"""
    found = reserve(asset, day)
    factor, optimal, slope1, slope2 = SNAPSHOT[asset][3:]
    model = RateModel(optimal, BASE.get(asset, 0.0), slope1, slope2, factor)
    lent = asset not in ("AAVE", "CRV")
    assert found == Reserve(*SNAPSHOT[asset][:3], model, lent)


@pytest.mark.parametrize(
    ("asset", "day", "field", "before", "after"),
    [
        ("WBTC", "2024-11-01", "optimal", 0.45, 0.8),
        ("WBTC", "2024-11-01", "reserve_factor", 0.2, 0.5),
        ("USDC", "2024-12-01", "slope1", 0.035, 0.125),
        ("USDT", "2024-12-01", "slope1", 0.04, 0.125),
        ("USDC", "2025-02-01", "slope1", 0.125, 0.095),
        ("USDT", "2025-03-01", "slope1", 0.095, 0.065),
        ("USDC", "2025-03-01", "slope2", 0.6, 0.35),
    ],
)
def test_later_changes_of_rates(
    asset: str, day: str, field: str, before: float, after: float
) -> None:
    history = reserves_of(TABLE, None, None)[asset]
    assert getattr(at(history, ms(day) - 1).model, field) == before
    assert getattr(at(history, ms(day)).model, field) == after


def test_later_changes_of_ratios() -> None:
    history = reserves_of(TABLE, None, None)["AAVE"]
    assert [(r.ltv, r.threshold) for _, r in history] == [(0.66, 0.73), (0.69, 0.76)]
    assert history[1][0] == ms("2025-02-01")


def test_as_of_keeps_what_was_in_force() -> None:
    assert reserve("AAVE", "2026-01-01", as_of="2025-01-31").ltv == 0.66
    assert reserve("AAVE", "2020-01-01", as_of="2025-02-01").ltv == 0.69
    assert reserve("AAVE", "2026-01-01", as_of="2020-01-01").ltv == 0.66


# -- what users state ------------------------------------------------------------------------------


def test_a_number_without_a_date_lies_on_top_of_every_table() -> None:
    own = {"USDC": {"slope1": 0.01}}
    for day in ("2022-01-01", "2024-12-15", "2025-06-01"):
        assert reserve("USDC", day, own).model.slope1 == 0.01
    assert reserve("USDC", "2025-06-01", own).model.slope2 == 0.35


def test_a_dated_number_holds_from_its_date_on() -> None:
    own = {"eth": [("2024-06-01", {"liquidation_threshold": 0.84}), ("2024-07-01", {"ltv": 0.81})]}
    found = [reserve("WETH", day, own) for day in ("2024-05-31", "2024-06-01", "2024-07-01")]
    assert [(r.ltv, r.threshold) for r in found] == [(0.805, 0.83), (0.805, 0.84), (0.81, 0.84)]


def test_a_new_asset_states_everything() -> None:
    assert reserve("LDO", own={"LDO": NEW}) == Reserve(
        0.7, 0.75, 0.075, RateModel(0.45, 0.0, 0.07, 3.0, 0.2)
    )
    part = {key: value for key, value in NEW.items() if key not in ("slope2", "ltv")}
    with pytest.raises(InputError, match=r"reserves\['LDO'\] is no asset.*misses ltv, slope2"):
        reserves_of(TABLE, {"LDO": part}, None)


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({"WETH": {"ltv": 0.9}}, "ltv 0.9, liquidation_threshold 0.83"),
        (
            {"WETH": {"liquidation_bonus": 0.3}},
            "liquidation_bonus 0.3; allowed: ltv up to the threshold",
        ),
        ({"WETH": {"ltv": 80}}, r"reserves\['WETH'\] ltv is 80; allowed: a number, at least 0"),
        ({"WETH": {"LTV": 0.8}}, r"unknown \['LTV'\]; allowed: ltv, liquidation_threshold"),
        ({"WETH": [0.8]}, "give \\(date, dict\\) pairs"),
        ({"WETH": [("2024-13-01", {"ltv": 0.8})]}, "'2024-13-01' is not a date"),
        ({"WETH": 0.8}, "is 0.8; allowed: a dict"),
        ("WETH", "reserves is 'WETH'; allowed: a dict"),
    ],
)
def test_impossible_reserves_are_refused(own: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        reserves_of(TABLE, own, None)


# -- rates -----------------------------------------------------------------------------------------


def rates_at(
    day: str, utilisation: Any = None, rates: Any = None, asset: str = "USDC"
) -> InterestRates:
    series = rate_series(asset, reserves_of(TABLE, None, None)[asset], utilisation, rates)
    return at(series.rates, ms(day))


def near(*pair: float) -> Any:
    return pytest.approx(pair, rel=1e-12)


def test_by_default_a_reserve_stands_at_its_optimum() -> None:
    assert rates_at("2024-01-01") == near(0.035, 0.035 * 0.9 * 0.9)
    assert rates_at("2024-12-01") == near(0.125, 0.125 * 0.9 * 0.9)
    assert rates_at("2024-10-31", asset="WBTC") == near(0.04, 0.04 * 0.45 * 0.8)
    assert rates_at("2024-11-01", asset="WBTC") == near(0.04, 0.04 * 0.8 * 0.5)


def test_a_utilisation_goes_through_the_model_of_its_day() -> None:
    assert rates_at("2024-01-01", 0.45) == near(0.0175, 0.0175 * 0.45 * 0.9)
    assert rates_at("2024-12-01", 0.45) == near(0.0625, 0.0625 * 0.45 * 0.9)
    assert rates_at("2024-01-01", 0.95) == near(0.335, 0.335 * 0.95 * 0.9)
    dated = [("2024-01-01", 0.45), ("2024-02-01", 0.9)]
    assert (
        rates_at("2023-12-31", dated)
        == rates_at("2024-01-31", dated)
        == near(0.0175, 0.0175 * 0.405)
    )
    assert rates_at("2024-02-01", dated)[0] == pytest.approx(0.035)


def test_stated_rates_go_before_the_model() -> None:
    assert rates_at("2024-12-01", 0.1, (0.06, 0.04)) == (0.06, 0.04)
    dated = [("2024-02-01", 0.07, 0.05), ("2024-01-01", 0.06, 0.04)]
    days = ("2020-01-01", "2024-01-01", "2024-02-01")
    assert [rates_at(day, None, dated) for day in days] == [
        (0.06, 0.04),
        (0.06, 0.04),
        (0.07, 0.05),
    ]


@pytest.mark.parametrize(
    ("utilisation", "rates", "told"),
    [
        (90, None, r"utilisation\['USDC'\] is 90; allowed: a number, at least 0 and at most 1"),
        ([], None, r"utilisation\['USDC'\] is empty"),
        ([("2024-01-01", 0.5, 0.5)], None, "give a date and 1 number"),
        ("0.5", None, "allowed: a number"),
        (None, 0.05, r"rates\['USDC'\] is 0.05; give numbers"),
        (None, (0.05,), "give a date and 2 number"),
        (None, [(None, 0.05, 0.04)], "without a date"),
        (None, (-0.05, 0.04), "at least 0"),
    ],
)
def test_impossible_rates_are_refused(utilisation: Any, rates: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        rates_at("2024-01-01", utilisation, rates)


def test_one_utilisation_is_for_all_and_a_dict_for_those_it_names() -> None:
    names = ["WETH", "USDC"]
    assert by_asset(names, 0.5, None) == [("WETH", 0.5, None), ("USDC", 0.5, None)]
    assert by_asset(names, {"eth": 0.5}, {"usdc": (1, 2)}) == [
        ("WETH", 0.5, None),
        ("USDC", None, (1, 2)),
    ]
    with pytest.raises(InputError, match=r"rates names \['SOL'\]; allowed: USDC, WETH"):
        by_asset(names, None, {"SOL": (1, 2)})


# -- dates -----------------------------------------------------------------------------------------


def test_what_repeats_itself_is_no_change() -> None:
    assert changes([1, 2, 3, 4], lambda t: t // 2) == ((1, 0), (2, 1), (4, 2))


def test_the_first_date_stands_for_ever_before() -> None:
    assert dates([(5, "a"), (9, "b")], [(5, "c"), (7, "d")]) == [ALWAYS, 7, 9]


def test_symbols_are_pairs_with_the_stable_and_wrapped_coins_have_two_names() -> None:
    found = symbols_of(["WETH", "WBTC", "DAI", "USDC"], "DAI")
    assert found == {
        "WETH/DAI": "WETH",
        "WBTC/DAI": "WBTC",
        "USDC/DAI": "USDC",
        "ETH/DAI": "WETH",
        "BTC/DAI": "WBTC",
    }
