"""Answers to cases of dYdX v4: margin in the integers of the chain, liquidation orders, funding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bt_margin.core.contract import Contract
from bt_margin.core.fillable import (
    bankruptcy_quote,
    fillable_price,
    insurance_delta,
    is_liquidatable,
    liquidatable,
    most_fee,
    quote_of,
    share_of_equity,
)
from bt_margin.core.funding import payment
from bt_margin.core.funding_rates import index_delta, most_rate_ppm, over_hours, settlement
from bt_margin.core.liquidation import Leg, liquidation_price
from bt_margin.core.open_interest import (
    initial_margin,
    initial_ppm,
    maintenance_margin,
    maintenance_ppm,
)
from bt_margin.core.quantums import exact, micro, ppm
from bt_margin.core.subaccounts import Perpetual, Subaccount
from bt_margin.core.tiers import TierTable
from bt_margin.studies.conformance.case import Case, Inputs, from_micro, from_ppm, signed
from bt_margin.venues.blocks import BlockPortions
from bt_margin.venues.policies import Exposed

#: A linear contract that leaves whole numbers and fractions what they are.
PERPETUAL = Contract("perpetual", multiplier=1, settle="USDC")


def answer(case: Case) -> Mapping[str, Any]:
    """Everything asked for that the inputs tell. :raises UnknownCase: the kind is not one of these."""
    found = _KINDS.get(case.kind)
    return case.unknown() if found is None else found(case.inputs, case.side)


# -- fractions and requirements --------------------------------------------------------------------


def _scaled_fraction(given: Inputs, side: str) -> dict[str, Any]:
    interest = exact(given["open_notional"])
    caps = exact(given["lower_cap"]), exact(given["upper_cap"])
    rate = initial_ppm(given["base_imf_ppm"], interest, *caps)
    return {"imf_eff_ppm": rate, "imf_eff": from_ppm(rate)}


def _maintenance_fraction(given: Inputs, side: str) -> dict[str, Any]:
    rate = maintenance_ppm(given["imf_ppm"], given["maintenance_fraction_ppm"])
    return {"mmf_ppm": rate, "mmf": from_ppm(rate)}


def _initial_margin(given: Inputs, side: str) -> dict[str, Any]:
    caps = given.get("lower_cap_micro", 0), given.get("upper_cap_micro", 0)
    rate = initial_ppm(given["base_imf_ppm"], given.get("open_notional_micro", 0), *caps)
    chosen = given.get("custom_imf_ppm", 0)
    return {"initial_margin_micro": initial_margin(given["notional_micro"], rate, chosen)}


def _requirement(given: Inputs, side: str) -> dict[str, Any]:
    price: Any = exact(given["oracle_price"])
    size: Any = exact(given["size"])
    known: Any = exact(given.get("open_interest", 0))
    value, interest = (micro(PERPETUAL.notional(each, price)) for each in (size, known))
    base = ppm(given["base_imf"])
    caps = micro(given.get("lower_cap_usdc", 0)), micro(given.get("upper_cap_usdc", 0))
    rate = initial_ppm(base, interest, *caps)
    needed = maintenance_margin(value, base, ppm(given["maintenance_fraction"]))
    chosen = ppm(given.get("custom_imf", 0))
    return {
        "initial_margin": from_micro(initial_margin(value, rate, chosen)),
        "maintenance_margin": from_micro(needed),
        "imf_eff": from_ppm(rate),
    }


# -- subaccounts -----------------------------------------------------------------------------------


def _perpetual(row: Inputs) -> Perpetual:
    return Perpetual(row["size"], row["oracle_price"], row.get("imf", 0), row["mmf"])


def _held(given: Inputs) -> Subaccount:
    return Subaccount(given["quote_balance"], tuple(map(_perpetual, given["positions"])))


def _chosen(given: Inputs) -> Perpetual:
    """The position that is closed; the first one when no market is named."""
    rows = given["positions"]
    market = given.get("close_market")
    fitting = [row for row in rows if market in (None, row.get("market"))]
    return _perpetual(fitting[0])


def _summary(given: Inputs, side: str) -> dict[str, Any]:
    held = _held(given)
    return {
        "net_collateral": held.equity,
        "equity": held.equity,
        "imr": held.initial,
        "mmr": held.maintenance,
        "liquidatable": is_liquidatable(held.equity, held.maintenance),
    }


def _trigger(given: Inputs, side: str) -> dict[str, Any]:
    return {"liquidatable": is_liquidatable(given["net_collateral"], given["mmr"])}


def _closed(given: Inputs, p: Perpetual) -> Perpetual:
    """The part of a position that is closed, all of it when no size is named."""
    size = abs(given.get("close_size", p.size))
    return p._replace(size=size if p.size > 0 else -size)


def _bankrupt_at(given: Inputs, held: Subaccount, closed: Perpetual) -> float:
    freed = Subaccount(0, (closed,)).maintenance
    share = share_of_equity(held.equity, held.maintenance, freed)
    return bankruptcy_quote(quote_of(PERPETUAL, closed.size, closed.price), share)


def _bankruptcy(given: Inputs, side: str) -> dict[str, Any]:
    closed = _closed(given, _chosen(given))
    return {"bankruptcy_quote": _bankrupt_at(given, _held(given), closed)}


def _fillable(given: Inputs, side: str) -> dict[str, Any]:
    held, p = _held(given), _chosen(given)
    terms = given["bankruptcy_adjustment"], given["spread_to_maintenance_margin_ratio"]
    price = fillable_price(p.size, p.price, held.equity, held.maintenance, p.maintenance, *terms)
    return {"fillable_price": price}


def _delta(given: Inputs, side: str) -> dict[str, Any]:
    closed = _closed(given, _chosen(given))
    quote = quote_of(PERPETUAL, closed.size, given["fill_price"])
    bankrupt = _bankrupt_at(given, _held(given), closed)
    most = most_fee(quote, given["max_liquidation_fee"])
    return {
        "insurance_delta": insurance_delta(quote, bankrupt, most),
        "bankruptcy_quote": bankrupt,
    }


# -- liquidation orders ----------------------------------------------------------------------------


def _limits(given: Inputs, side: str) -> dict[str, Any]:
    found = liquidatable(
        given["position_notional"],
        given["min_position_notional_liquidated"],
        given["max_position_portion_liquidated"],
    )
    return {"min_notional": found.least, "max_notional": found.most}


def _size(given: Inputs, side: str) -> dict[str, Any]:
    step = given.get("step_size") or None
    contract = Contract("perpetual", settle="USDC", lot=step)
    size, price = signed(given["size"], side or "long"), given["oracle_price"]
    left = given.get("subaccount_block_notional_left")
    policy = BlockPortions(
        max_fee=given.get("max_liquidation_fee", 0),
        portion=given["max_position_portion_liquidated"],
        smallest=given["min_position_notional_liquidated"],
        per_block=float("inf") if left is None else left,
    )
    p = Exposed("perpetual", contract, size, price, 0.0, TierTable.flat(0))
    return {"liquidated_size": abs(policy.part(p, policy.most(p, policy.per_block)))}


def _price(given: Inputs, side: str) -> dict[str, Any]:
    size, price = signed(given["size"], side or "long"), given["oracle_price"]
    others = tuple(map(_perpetual, given.get("other_positions", [])))
    if "equity" in given:
        equity = given["equity"]
    else:
        equity = Subaccount(given["quote_balance"], (Perpetual(size, price), *others)).equity
    other = given.get("other_positions_mmr", Subaccount(0, others).maintenance)
    leg = Leg(PERPETUAL, size, price, TierTable.flat(given["mmf"]))
    return {"liquidation_price": liquidation_price([leg], equity, other_maintenance=other)}


# -- funding ---------------------------------------------------------------------------------------


def _clamp(given: Inputs, side: str) -> dict[str, Any]:
    fractions = given["imf_ppm"], given["maintenance_fraction_ppm"]
    return {"max_abs_rate_8h_ppm": most_rate_ppm(given["clamp_factor_ppm"], *fractions)}


def _index(given: Inputs, side: str) -> dict[str, Any]:
    scales = given["price_value"], given["price_exponent"], given["atomic_resolution"]
    return {"index_delta": index_delta(given["rate_8h_ppm"], given["seconds"], *scales)}


def _settlement(given: Inputs, side: str) -> dict[str, Any]:
    indexes = given["index_now"], given["index_at_last_settlement"]
    return {"settlement_ppm": settlement(*indexes, given["size_quantums"])}


def _cost(given: Inputs, side: str) -> dict[str, Any]:
    if "position_notional" in given:
        size, price = signed(1, side or "long"), given["position_notional"]
    else:
        size, price = signed(given["size"], side or "long"), given["oracle_price"]
    rate = over_hours(given["hourly_rate"], given.get("hours", 1))
    paid = -payment(PERPETUAL, size, price, rate)
    return {"paid": paid, "paid_by_long": paid, "paid_by_short": paid, "payment": -paid}


_KINDS: dict[str, Callable[[Inputs, str], dict[str, Any]]] = {
    "oi_scaled_initial_margin_fraction": _scaled_fraction,
    "maintenance_margin_fraction": _maintenance_fraction,
    "initial_margin_micro_usdc": _initial_margin,
    "margin_requirement": _requirement,
    "account_summary": _summary,
    "account_liquidation": _summary,
    "liquidation_trigger": _trigger,
    "bankruptcy_quote_amount": _bankruptcy,
    "fillable_price": _fillable,
    "insurance_fund_delta": _delta,
    "max_min_notional_liquidatable": _limits,
    "liquidation_size": _size,
    "liquidation_price": _price,
    "max_abs_8h_funding_rate_ppm": _clamp,
    "funding_index_delta": _index,
    "funding_settlement_ppm": _settlement,
    "funding_cost_over_hours": _cost,
}
