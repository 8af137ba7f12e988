"""Answers to cases of GMX V1: states, what each returns, borrow fees, liquidation prices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bt_margin.core import Contract, Leg, TierTable, change, liquidation_price, pool_perps
from bt_margin.core.pool_rates import interval_borrow_fee, interval_borrow_rate
from bt_margin.studies.conformance.case import Case, Inputs, from_bps, signed
from bt_margin.venues.gmx_v1 import LIQUIDATION_FEE, MARGIN_FEE, MAX_LEVERAGE

#: How far beside a liquidation price the state is looked up, as a fraction of it.
BESIDE = 1e-9


def answer(case: Case) -> Mapping[str, Any]:
    """Everything asked for that the inputs tell. :raises UnknownCase: the kind is not one of these."""
    kinds: dict[str, Callable[[Inputs, str], dict[str, Any]]] = {
        "pnl_and_liquidation_state": _state,
        "payout_after_max_leverage_liquidation": _payout,
        "borrow_rate": _borrow,
        "fees_taken_on_liquidation": _fees_taken,
        "liquidation_price": _price,
        "average_price": _average,
    }
    found = kinds.get(case.kind)
    return case.unknown() if found is None else found(case.inputs, case.side)


def _size(given: Inputs, side: str) -> float:
    return signed(given["size_usd"], side)


def _pnl(given: Inputs, side: str) -> float:
    return pool_perps.size_pnl(_size(given, side), given["average_price"], given["price"])


def _rate(given: Inputs) -> float:
    return from_bps(given["margin_fee_bps"]) if "margin_fee_bps" in given else MARGIN_FEE


def _borrow_fee(given: Inputs) -> float:
    """The borrow fee due: stated, or by the rate of so many intervals."""
    if "funding_rate_factor" in given:
        fee: float = _borrow(given, "")["fee_usd"]
        return fee
    due: float = given.get("funding_fee_usd", 0)
    return due


def _fees(given: Inputs) -> float:
    return pool_perps.margin_fees(given["size_usd"], _rate(given), _borrow_fee(given))


def _state_at(given: Inputs, side: str, pnl: float) -> int:
    return pool_perps.liquidation_state(
        given["collateral_usd"],
        pnl,
        _size(given, side),
        _fees(given),
        given.get("liquidation_fee_usd", LIQUIDATION_FEE),
        given.get("max_leverage", MAX_LEVERAGE),
    )


def _state(given: Inputs, side: str) -> dict[str, Any]:
    pnl = _pnl(given, side)
    counted = pnl if given.get("count_profit", True) else min(0, pnl)
    return {"pnl": pnl, "state": _state_at(given, side, counted), "fees_usd": _fees(given)}


def _payout(given: Inputs, side: str) -> dict[str, Any]:
    paid = pool_perps.payout(given["collateral_usd"], _pnl(given, side), _fees(given))
    tokens = pool_perps.tokens_of(paid, given["price"])
    return {"payout_usd": paid, "payout_btc": tokens, "payout_tokens": tokens}


def _borrow(given: Inputs, side: str) -> dict[str, Any]:
    rate = interval_borrow_rate(
        given["funding_rate_factor"],
        given["reserved_tokens"],
        given["pool_tokens"],
        given.get("intervals", 1),
    )
    return {"rate_ppm": rate, "fee_usd": interval_borrow_fee(given.get("size_usd", 0), rate)}


def _fees_taken(given: Inputs, side: str) -> dict[str, Any]:
    taken = pool_perps.fees_taken(given["collateral_usd"], _pnl(given, side), _fees(given))
    return {
        "fees_usd": taken,
        "fees_satoshi": pool_perps.token_units(taken, given["price"], 8),
        "fees_tokens": pool_perps.tokens_of(taken, given["price"]),
    }


def _price(given: Inputs, side: str) -> dict[str, Any]:
    """The liquidation price under the requirement the venue's rule makes, and the states beside it."""
    size, average = _size(given, side), given["average_price"]
    required = pool_perps.required_remaining(
        size,
        _fees(given),
        given.get("liquidation_fee_usd", LIQUIDATION_FEE),
        given.get("max_leverage", MAX_LEVERAGE),
    )
    tokens = pool_perps.tokens_of(size, average)
    leg = Leg(Contract("the index"), tokens, average, TierTable.fixed(required))
    price = liquidation_price([leg], given["collateral_usd"])
    if price is None:
        return {"liquidation_price": None}
    inside, beyond = (
        _state_at(given, side, pool_perps.size_pnl(size, average, at))
        for at in (
            pool_perps.slipped(price, size, -BESIDE),
            pool_perps.slipped(price, size, BESIDE),
        )
    )
    return {
        "liquidation_price": price,
        "state_just_inside": inside,
        "state_just_beyond": beyond,
        "liquidated_just_beyond": beyond != pool_perps.HEALTHY,
    }


def _average(given: Inputs, side: str) -> dict[str, Any]:
    """The entry after an increase, by the rule of every linear contract."""
    average, price = given["average_price"], given["price"]
    after = change(
        Contract("the index"),
        pool_perps.tokens_of(_size(given, side), average),
        average,
        pool_perps.tokens_of(signed(given["size_delta_usd"], side), price),
        price,
    )
    return {"average_price": after.entry, "next_average_price": after.entry}
