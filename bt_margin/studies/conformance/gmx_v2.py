"""Answers to cases of GMX V2: the liquidation test, borrow fees, funding, price impact, partial closing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bt_margin.core import Contract, Leg, TierTable, liquidation_price, pool_perps, pool_rates
from bt_margin.core import price_impact as impacts
from bt_margin.studies.conformance.case import Case, Inputs, signed

#: How far beside a liquidation price the test is repeated, as a fraction of it.
BESIDE = 1e-9


def answer(case: Case) -> Mapping[str, Any]:
    """Everything asked for that the inputs tell. :raises UnknownCase: the kind is not one of these."""
    kinds: dict[str, Callable[[Inputs, str], dict[str, Any]]] = {
        "liquidation_check": _check,
        "liquidation_price": _price,
        "borrowing_fee": _borrowing,
        "kink_borrowing_rate": _kink,
        "borrowing_rate": _kink,
        "funding_fee": _funding,
        "funding_rate": _funding,
        "adaptive_funding_rate": _adaptive,
        "price_impact": _impact,
        "apply_impact_factor": _factor,
        "position_fee": _fee,
        "partial_decrease": _decrease,
        "pnl_cap": _cap,
        "capped_pnl": _cap,
    }
    found = kinds.get(case.kind)
    if found is None and case.formula == "gmx_v2.pnl_cap":
        found = _cap
    return case.unknown() if found is None else found(case.inputs, case.side)


def _tokens(given: Inputs, side: str) -> float:
    return signed(given["size_in_tokens"], side)


def _impact_counted(given: Inputs) -> float:
    impact: float = given.get("price_impact_usd", 0)
    if "max_impact_for_liquidation" not in given:
        return min(0, impact)
    most = given["max_impact_for_liquidation"]
    return pool_perps.counted_impact(impact, given["size_usd"], most)


def _remaining(given: Inputs, side: str, price: float) -> float:
    """Collateral left at an index price; collateral in the index token moves with it."""
    at = price if given.get("collateral_is_index_token") else given["collateral_price"]
    return pool_perps.collateral_left(
        pool_perps.worth_of(given["collateral_tokens"], at),
        _pnl(given, side, price),
        _impact_counted(given),
        given.get("fees_usd", 0),
    )


def _pnl(given: Inputs, side: str, price: float) -> float:
    size = signed(given["size_usd"], side)
    return pool_perps.token_pnl(size, _tokens(given, side), price)


def _liquidatable(given: Inputs, side: str, price: float) -> bool:
    return pool_perps.is_liquidatable(
        _remaining(given, side, price),
        given["size_usd"],
        given["min_collateral_factor"],
        given.get("min_collateral_usd", 1),
    )


def _check(given: Inputs, side: str) -> dict[str, Any]:
    price = given["index_price"]
    at = price if given.get("collateral_is_index_token") else given["collateral_price"]
    pnl, held = _pnl(given, side, price), given["collateral_tokens"]
    paid = pool_perps.payout(pool_perps.worth_of(held, at), pnl, given.get("fees_usd", 0))
    return {
        "liquidatable": _liquidatable(given, side, price),
        "pnl_usd": pnl,
        "remaining_usd": _remaining(given, side, price),
        "payout_usd": paid,
        "payout_collateral_tokens": pool_perps.tokens_of(paid, at),
    }


def _price(given: Inputs, side: str) -> dict[str, Any]:
    indexed = given.get("collateral_is_index_token", False)
    price = _indexed_price(given, side) if indexed else _stable_price(given, side)
    if price is None:
        return {"liquidation_price": None}
    sided = _tokens(given, side)
    inside, beyond = (pool_perps.slipped(price, sided, by) for by in (-BESIDE, BESIDE))
    return {
        "liquidation_price": price,
        "liquidatable_inside": _liquidatable(given, side, inside),
        "liquidatable_beyond": _liquidatable(given, side, beyond),
    }


def _needed(given: Inputs) -> float:
    """What collateral and profit must come to."""
    return pool_perps.required_before_costs(
        pool_perps.required_collateral(
            given["size_usd"], given["min_collateral_factor"], given.get("min_collateral_usd", 1)
        ),
        given.get("fees_usd", 0),
        _impact_counted(given),
    )


def _stable_price(given: Inputs, side: str) -> float | None:
    """Collateral that stands still: a linear contract with a requirement fixed in money."""
    tokens = _tokens(given, side)
    average = pool_perps.tokens_of(signed(given["size_usd"], side), tokens)
    leg = Leg(Contract("the index"), tokens, average, TierTable.fixed(_needed(given)))
    held = pool_perps.worth_of(given["collateral_tokens"], given["collateral_price"])
    return liquidation_price([leg], held)


def _indexed_price(given: Inputs, side: str) -> float | None:
    """Collateral in the index token, which moves with the price."""
    size = signed(given["size_usd"], side)
    held, tokens = given["collateral_tokens"], _tokens(given, side)
    return pool_perps.liquidation_price_on_size(size, tokens, _needed(given), 0, held)


def _borrowing(given: Inputs, side: str) -> dict[str, Any]:
    rate = _borrow_rate(given, side)
    fee = pool_rates.accrued_on_size(given["size_usd"], rate, given["seconds"])
    return {"rate_per_second": rate, "fee_usd": fee}


def _borrow_rate(given: Inputs, side: str) -> float:
    """Per second: 0 for a side that is let off, else with or without a kink, as the inputs go."""
    if "long_oi_usd" in given and "short_oi_usd" in given:
        sides = (given["long_oi_usd"], given["short_oi_usd"])
        own, other = sides if side == "long" else sides[::-1]
        if not pool_rates.pays_borrowing(own, other, given.get("skip_smaller_side", True)):
            return 0
    if "optimal" in given:
        return pool_rates.per_second(_kink(given, side)["rate_annual"])
    return pool_rates.linear_borrow_rate(
        given["borrowing_factor_per_second"],
        given["reserved_usd"],
        given["pool_usd"],
        given.get("exponent", 1),
    )


def _kink(given: Inputs, side: str) -> dict[str, Any]:
    used = given.get("usage")
    if used is None:
        used = pool_rates.pool_usage(
            given["reserved_usd"], given["pool_usd"], given["open_interest_reserve_factor"]
        )
    rate = pool_rates.kink_borrow_rate(
        used, given["optimal"], given["base_annual"], given["above_annual"]
    )
    return {"usage": used, "rate_annual": rate, "rate_per_second": pool_rates.per_second(rate)}


def _funding(given: Inputs, side: str) -> dict[str, Any]:
    long, short = given["long_oi_usd"], given["short_oi_usd"]
    rate = pool_rates.static_funding(
        long,
        short,
        given["funding_factor"],
        given.get("exponent", 1),
        given.get("max_rate_per_second", pool_rates.INF),
    )
    payers, takers = (long, short) if rate > 0 else (short, long)
    found: dict[str, Any] = {"rate_per_second": rate}
    for key, name, own in (
        ("payer_size_usd", "fee", payers),
        ("receiver_size_usd", "received", takers),
    ):
        if key in given:
            fee = pool_rates.funding_fee(rate, payers, given["seconds"], given[key], own)
            found[f"{name}_usd"] = fee
            if "collateral_price" in given:
                found[f"{name}_tokens"] = pool_perps.tokens_of(fee, given["collateral_price"])
    return found


def _adaptive(given: Inputs, side: str) -> dict[str, Any]:
    saved = pool_rates.adaptive_funding(
        given["saved_rate_per_second"],
        given["long_oi_usd"],
        given["short_oi_usd"],
        given["seconds"],
        increase=given["increase_factor"],
        decrease=given["decrease_factor"],
        threshold_stable=given["threshold_stable"],
        threshold_decrease=given["threshold_decrease"],
        exponent=given.get("exponent", 1),
        most=given.get("max_rate_per_second", pool_rates.INF),
    )
    charged = pool_rates.at_least(saved, given.get("min_rate_per_second", 0))
    return {"next_rate_per_second": saved, "charged_rate_per_second": charged}


def _impact(given: Inputs, side: str) -> dict[str, Any]:
    side = given.get("oi_side", side)
    size = given["size_delta_usd"]
    exponent = given.get("exponent", 2)
    impact = impacts.price_impact(
        given["long_oi_usd"],
        given["short_oi_usd"],
        size,
        signed(1, side),
        positive=given["impact_factor_positive"],
        negative=given["impact_factor_negative"],
        positive_exponent=given.get("exponent_positive", exponent),
        negative_exponent=given.get("exponent_negative", exponent),
    )
    impact = impacts.capped_impact(
        impact,
        size,
        given.get("max_impact_negative", 1),
        given.get("max_impact_positive", 1),
        given.get("impact_pool_usd", impacts.INF),
    )
    found: dict[str, Any] = {"impact_usd": impact}
    moved = signed(size, side)
    if size > 0 and "index_price" in given:
        found["execution_price"] = impacts.increase_price(moved, impact, given["index_price"])
    elif size < 0 and all(key in given for key in ("index_price", "size_usd", "size_in_tokens")):
        found["execution_price"] = impacts.decrease_price(
            signed(given["size_usd"], side),
            _tokens(given, side),
            moved,
            impact,
            given["index_price"],
        )
    return found


def _factor(given: Inputs, side: str) -> dict[str, Any]:
    found = impacts.applied_factor(given["diff_usd"], given["factor"], given["exponent"])
    return {"impact_usd": found}


def _fee(given: Inputs, side: str) -> dict[str, Any]:
    fee = pool_perps.position_fee(
        given["size_delta_usd"], given["position_fee_factor"], given.get("discount_factor", 0)
    )
    found: dict[str, Any] = {"fee_usd": fee}
    if "collateral_price" in given:
        found["fee_tokens"] = pool_perps.tokens_of(fee, given["collateral_price"])
    return found


def _decrease(given: Inputs, side: str) -> dict[str, Any]:
    left = pool_perps.decreased(
        signed(given["size_usd"], side),
        _tokens(given, side),
        given["collateral_tokens"],
        signed(given["decrease_usd"], side),
        given["index_price"],
        collateral_price=given.get("collateral_price", 1),
        fees=given.get("fees", 0),
        withdrawn=given.get("collateral_withdrawn", 0),
    )
    return {
        "collateral_after": left.collateral,
        "size_in_tokens_after": abs(left.tokens),
        "size_usd_after": abs(left.size),
        "paid": left.paid,
    }


def _cap(given: Inputs, side: str) -> dict[str, Any]:
    """The pool's profits are capped to a number, or to a share of what the pool is worth."""
    if "capped_pool_pnl_usd" in given:
        limit, most = given["capped_pool_pnl_usd"], 1
    else:
        limit = _first(given, "pool_usd", "pool_value_usd")
        most = _first(given, "max_pnl_factor", "max_pnl_factor_traders")
    pnl = _first(given, "pnl_usd", "position_pnl_usd")
    capped = pool_perps.capped_pnl(pnl, given["pool_pnl_usd"], limit, most)
    return dict.fromkeys(("pnl_usd", "capped_pnl_usd", "position_pnl_usd"), capped)


def _first(given: Inputs, *names: str) -> Any:
    """The input that goes by one of these names; the first is the one that is missed."""
    return given[next((name for name in names if name in given), names[0])]
