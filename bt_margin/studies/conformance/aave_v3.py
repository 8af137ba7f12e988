"""Answers to published cases of Aave v3."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bt_margin.core import lending
from bt_margin.core.lending import Owed, RateModel, Supplied
from bt_margin.studies.conformance.case import Case
from bt_margin.venues.aave_facts import close_rule, versions


def answer(case: Case) -> Mapping[str, Any]:
    """Everything the inputs of a case determine, by the names of its kind.

    :raises UnknownCase: the kind is not known, or an input is missing.
    """
    found = _KINDS.get(case.kind)
    return case.unknown() if found is None else found(case)


def _account_data(case: Case) -> Mapping[str, Any]:
    supplied = [
        Supplied(one["amount"], one["price"], one["ltv"], one["lt"])
        for one in case.inputs["collateral"]
    ]
    owed = [Owed(one["amount"], one["price"]) for one in case.inputs["debt"]]
    data = lending.account_data(supplied, owed)
    return {
        "collateral_usd": data.collateral,
        "debt_usd": data.debt,
        "available_borrows_usd": data.available,
        "ltv": data.ltv,
        "liquidation_threshold": data.threshold,
        "health_factor": data.health,
        "liquidatable": data.liquidatable,
    }


def _liquidation_amounts(case: Case) -> Mapping[str, Any]:
    given = case.inputs
    found = lending.seizure(
        given["collateral_amount"],
        given["collateral_price"],
        given["debt_to_cover"],
        given["debt_price"],
        given["liquidation_bonus"],
        given.get("protocol_fee_share_of_bonus", 0),
    )
    return {
        "seized": found.seized,
        "debt_repaid": found.repaid,
        "protocol_fee": found.protocol_fee,
        "to_liquidator": found.to_liquidator,
    }


def _close_factor(case: Case) -> Mapping[str, Any]:
    given = case.inputs
    collateral, debt = given["reserve_collateral_usd"], given["reserve_debt_usd"]
    stated = given["code_version"] if case.since is None else given.get("code_version")
    rule = close_rule(versions(stated, case.since)[0][1])
    factor = lending.close_factor(given["health_factor"], collateral, debt, rule)
    whole = given.get("total_debt_usd", debt)
    return {
        "close_factor": factor,
        "max_repaid_usd": lending.coverable(debt, whole, factor, rule),
    }


def _interest_rates(case: Case) -> Mapping[str, Any]:
    given = case.inputs
    model = RateModel(
        given["optimal_usage"],
        given["base"],
        given["slope1"],
        given["slope2"],
        given["reserve_factor"],
    )
    rates = lending.interest_rates(model, given["borrow_usage"], given.get("supply_usage"))
    return {"variable_borrow_rate": rates.borrow, "supply_rate": rates.supply}


def _supply_growth(case: Case) -> Mapping[str, Any]:
    return {"growth": lending.linear_growth(case.inputs["rate"], case.inputs["seconds"])}


def _borrow_growth(case: Case) -> Mapping[str, Any]:
    return {"growth": lending.compounded_growth(case.inputs["rate"], case.inputs["seconds"])}


def _liquidation_price(case: Case) -> Mapping[str, Any]:
    return _long(case) if case.has("stable_debt") else _short(case)


def _long(case: Case) -> Mapping[str, Any]:
    amount, debt = case.inputs["collateral_asset_amount"], case.inputs["stable_debt"]
    threshold = case.inputs["liquidation_threshold"]
    price = lending.liquidation_price_long(amount, debt, threshold)
    there = lending.account_data([Supplied(amount, price, 0, threshold)], [Owed(debt, 1)])
    return {"liquidation_price": price, "health_factor_there": there.health}


def _short(case: Case) -> Mapping[str, Any]:
    amount, collateral = case.inputs["asset_debt"], case.inputs["stable_collateral"]
    threshold = case.inputs["liquidation_threshold"]
    price = lending.liquidation_price_short(amount, collateral, threshold)
    there = lending.account_data([Supplied(collateral, 1, 0, threshold)], [Owed(amount, price)])
    return {"liquidation_price": price, "health_factor_there": there.health}


_KINDS: Mapping[str, Callable[[Case], Mapping[str, Any]]] = {
    "account_data": _account_data,
    "close_factor": _close_factor,
    "interest_rates": _interest_rates,
    "liquidation_amounts": _liquidation_amounts,
    "liquidation_price": _liquidation_price,
    "supply_index_growth": _supply_growth,
    "variable_borrow_index_growth": _borrow_growth,
}
