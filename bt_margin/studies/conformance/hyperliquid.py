"""Answers to cases of Hyperliquid: liquidation price, margin tiers, funding rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bt_margin.core.contract import Contract
from bt_margin.core.funding import payment
from bt_margin.core.funding_rates import banded_rate, clamped, hourly_rate, premium
from bt_margin.core.leverage_tiers import half_rate, leverage_table
from bt_margin.core.liquidation import Leg, liquidation_price
from bt_margin.core.subaccounts import Perpetual, Subaccount
from bt_margin.core.tiers import TierTable
from bt_margin.studies.conformance.case import (
    Case,
    Inputs,
    Tolerance,
    price_from,
    signed,
    within,
)

PERPETUAL = Contract("perpetual", settle="USDC")
#: Interest and band of eight hours, and the largest rate of an hour.
INTEREST, BAND, MOST = 0.0001, 0.0005, 0.04


def answer(case: Case) -> Mapping[str, Any]:
    """Everything asked for that the inputs tell. :raises UnknownCase: the kind is not one of these."""
    found = _KINDS.get(case.kind)
    return case.unknown() if found is None else found(case.inputs, case.side)


def _bands(given: Inputs) -> TierTable:
    return leverage_table([(row["lower_notional"], row["max_leverage"]) for row in given["tiers"]])


def _table(given: Inputs) -> TierTable:
    """All bands, or the one that is known to be in force."""
    if "tiers" in given:
        return _bands(given)
    rate = given.get("maintenance_rate")
    rate = half_rate(given["max_leverage"]) if rate is None else rate
    return TierTable.of([(None, rate, given.get("deduction", 0))])


def _price(given: Inputs, side: str) -> dict[str, Any]:
    size = signed(given["size"], side or "long")
    if "mark_notional" in given:
        price: Any = price_from(given["mark_notional"], size)
    else:
        price = given[_first(given, "mark_price", "entry_price")]
    money = given[_first(given, *_MONEY)]
    others = tuple(map(_beside, given.get("other_positions", [])))
    needed = Subaccount(0, others).maintenance
    other = next((given[key] for key in _OTHERS if key in given), needed)
    leg = Leg(PERPETUAL, size, price, _table(given))
    return {"liquidation_price": liquidation_price([leg], money, other_maintenance=other)}


def _beside(row: Inputs) -> Perpetual:
    """Another position of the account, in its first band."""
    price = row[_first(row, "mark_price", "entry_price")]
    return Perpetual(row["size"], price, 0, half_rate(row["max_leverage"]))


def _first(given: Inputs, *keys: str) -> str:
    """The first of the keys that is given; the first of all when none is."""
    return next((key for key in keys if key in given), keys[0])


_MONEY = ("isolated_margin", "account_value", "equity", "margin", "wallet_balance")
_OTHERS = ("other_positions_mm", "other_positions_mmr", "other_maintenance_margin")


def _tiers(given: Inputs, side: str) -> dict[str, Any]:
    table = _bands(given)
    found: dict[str, Any] = {}
    joined = []
    for number, tier in enumerate(table.tiers, start=1):
        found |= {f"rate_tier{number}": tier.mmr, f"deduction_tier{number}": tier.deduction}
        above = TierTable.of([(None, tier.mmr, tier.deduction)]).maintenance(tier.floor)
        joined.append(within(table.maintenance(tier.floor), above, Tolerance(abs=1e-6, rel=1e-12)))
    found["mm_continuous_at_boundary"] = all(joined)
    if "notional" in given:
        found["maintenance_margin"] = table.maintenance(given["notional"])
    return found


def _rate(given: Inputs, side: str) -> dict[str, Any]:
    if "premium" in given:
        over = given["premium"]
    else:
        bid = given[_first(given, "impact_bid", "impact_ask")]
        spot = given[_first(given, "spot", "oracle_price")]
        over = premium(bid, given.get("impact_ask", bid), spot)
    rate = banded_rate(over, given.get("interest_8h", INTEREST), given.get("clamp", BAND))
    hourly = clamped(hourly_rate(rate, 0), given.get("cap_per_hour", MOST))
    return {"premium": over, "rate_8h": rate, "rate_1h": hourly, "hourly_rate": hourly}


def _payment(given: Inputs, side: str) -> dict[str, Any]:
    size = signed(given["size"], side) if side else given["size"]
    rate = given["hourly_rate"]
    return {"payment": payment(PERPETUAL, size, given["oracle_price"], rate)}


_KINDS: dict[str, Callable[[Inputs, str], dict[str, Any]]] = {
    "liquidation_price": _price,
    "tier_deduction": _tiers,
    "funding_rate": _rate,
    "funding_payment": _payment,
}
