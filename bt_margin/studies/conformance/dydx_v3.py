"""Answers to cases of dYdX v3: liquidation and close price, funding, impact notional, initial fraction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bt_margin.core.contract import Contract
from bt_margin.core.fillable import close_price
from bt_margin.core.funding import payment
from bt_margin.core.funding_rates import hourly_rate, impact_notional, over_hours, premium
from bt_margin.core.liquidation import Leg, liquidation_price
from bt_margin.core.subaccounts import Perpetual, Subaccount
from bt_margin.core.tiers import TierTable
from bt_margin.studies.conformance.case import Case, Inputs, signed
from bt_margin.venues.margin_by_size import SizeSteps

PERPETUAL = Contract("perpetual", settle="USDC")
#: Interest of an hour.
INTEREST = 0.0000125


def answer(case: Case) -> Mapping[str, Any]:
    """Everything asked for that the inputs tell. :raises UnknownCase: the kind is not one of these."""
    found = _KINDS.get(case.kind)
    return case.unknown() if found is None else found(case.inputs, case.side)


def _impact(given: Inputs, side: str) -> dict[str, Any]:
    return {"impact_notional": impact_notional(given["imf"], given.get("amount", 500))}


def _rate(given: Inputs, side: str) -> dict[str, Any]:
    if "avg_premium" in given:
        mean = given["avg_premium"]
    else:
        bid = given["impact_bid" if "impact_bid" in given else "impact_ask"]
        mean = premium(bid, given.get("impact_ask", bid), given["index"])
    rate = hourly_rate(mean, given.get("interest", INTEREST))
    return {
        "premium": mean,
        "rate_over_8h": over_hours(rate, 8),
        "hourly_rate": rate,
        "rate_1h": rate,
    }


def _payment(given: Inputs, side: str) -> dict[str, Any]:
    size = signed(given["size"], side) if side else given["size"]
    rate = given["hourly_rate"]
    return {"payment": payment(PERPETUAL, size, given["oracle_price"], rate)}


def _held(given: Inputs, side: str) -> Subaccount:
    """The account with its position first; where the equity is given, that is what the balance leaves."""
    rows = given.get("positions", [given])
    perpetuals = [
        Perpetual(
            signed(row["size"], side) if side else row["size"], row["oracle_price"], 0, row["mmf"]
        )
        for row in rows
    ]
    return Subaccount(given["quote_balance"], tuple(perpetuals))


def _close(given: Inputs, side: str) -> dict[str, Any]:
    held = _held(given, side)
    first, *others = held.positions
    closed = close_price(first.size, first.price, held.equity, held.maintenance, first.maintenance)
    after = Subaccount(held.quote, (first._replace(price=closed), *others))
    return {"close_price": closed, "account_value_after_close": after.equity}


def _price(given: Inputs, side: str) -> dict[str, Any]:
    size, price = signed(given["size"], side or "long"), given["oracle_price"]
    equity = given["equity"] if "equity" in given else _held(given, side).equity
    leg = Leg(PERPETUAL, size, price, TierTable.flat(given["mmf"]))
    other = given.get("other_positions_mmr", 0)
    return {"liquidation_price": liquidation_price([leg], equity, other_maintenance=other)}


def _fraction(given: Inputs, side: str) -> dict[str, Any]:
    grows = given["incremental_imf"], given["baseline_size"], given["incremental_size"]
    steps = SizeSteps(given["base_imf"], *grows, given.get("max_size", float("inf")))
    return {"imf": steps.fraction(given["size"])}


_KINDS: dict[str, Callable[[Inputs, str], dict[str, Any]]] = {
    "impact_notional": _impact,
    "funding_rate": _rate,
    "funding_payment": _payment,
    "liquidation_close_price": _close,
    "liquidation_price": _price,
    "initial_margin_fraction": _fraction,
}
