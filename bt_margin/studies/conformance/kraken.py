"""Answers to Kraken's cases: futures positions (linear and inverse), spot margin, its fees, funding.

Positions are put on an account of the venue under the case's own rates (``mmr``, ``imr``), or under the
venue's levels of the case's date; every number is then the account's. Spot cases leave fees out, as the
venue's examples do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bt_margin.core.contract import Contract
from bt_margin.core.funding_accrual import accrued_payment
from bt_margin.core.liquidation import Leg, liquidation_price
from bt_margin.core.margin import affordable_size
from bt_margin.core.tiers import TierTable
from bt_margin.engine.account import Account
from bt_margin.engine.pool import MarginMode, Position
from bt_margin.studies.conformance.case import Case, signed, size_from, to_ms, to_percent
from bt_margin.studies.whatif import Holding, Terms, hold
from bt_margin.venues import venue
from bt_margin.venues.margin_by_level import (
    counted,
    initial_rate,
    level,
    level_table,
    opening_share,
)
from bt_margin.venues.margin_level import margin_level
from bt_margin.venues.rollover import completed, margin_fees, opening_cost, started
from bt_margin.venues.spec import Venue

#: Names of a position's price, of what backs it, of its size, of a rate per four hours.
_MARKS = ("mark_price", "mark", "price_2")
_MONEY = (
    "isolated_margin",
    "margin",
    "wallet",
    "wallet_balance",
    "trade_balance",
    "equity",
    "balance",
)
_SIZES = ("size_usd", "contracts", "quantity", "qty", "size")
_RATES = ("rate_per_4h", "margin_fee", "rollover_fee", "rate")
_NEEDS_MONEY = ("liquidation_price", "bankruptcy_price", "margin_ratio", "equity", "free_margin")
_MOST = 1e9


def answer(case: Case) -> Mapping[str, Any]:
    """What Kraken's rules make of a case. :raises UnknownCase: nothing here answers it."""
    say = next((say for fits, say in _WAYS if fits(case)), None)
    return case.unknown() if say is None else say(case)


def _given(case: Case, names: tuple[str, ...], otherwise: Any = None) -> Any:
    """The first of these inputs that is there."""
    return next((case.inputs[name] for name in names if name in case.inputs), otherwise)


def _side(case: Case) -> str:
    """The side of the position; what holds for both is asked of a long."""
    return "long" if case.side in ("", "both", "any") else case.side


# -- futures ----------------------------------------------------------------------------------------


def _inverse(case: Case) -> bool:
    return case.inverse or case.has("size_usd")


def _futures(case: Case) -> Mapping[str, Any]:
    """A position of the futures venue, at its mark and at its entry."""
    rules, symbol = _futures_rules(case)
    size = signed(_given(case, _SIZES, 0.0), _side(case))
    entry = _given(case, ("entry_price", "price", *_MARKS))
    there, opened = (
        _futures_account(case, rules, Holding(symbol, size, entry, mark))
        for mark in (_given(case, _MARKS), None)
    )
    p, first, risk = there.position(symbol), opened.position(symbol), there.risk(symbol)
    tier = level(p.held(), p.mark)
    found: dict[str, Any] = {
        "position_value": p.notional(),
        "notional": p.notional(),
        "initial_margin": p.initial(),
        "initial_margin_at_entry": first.initial(),
        "initial_margin_usd": _in_dollars(p),
        "maintenance_margin": p.maintenance(),
        "maintenance_margin_at_entry": first.maintenance(),
        "mmr": tier.mmr,
        "imr": initial_rate(tier),
        "unrealised_pnl": p.unrealised(),
        "liquidation_price": there.liquidation_price(symbol),
        "bankruptcy_price": there.bankruptcy_price(symbol),
        "equity": risk.equity,
        "margin_ratio": risk.ratio,
    }
    money = _given(case, _MONEY)
    if case.has("other_maintenance_margin") or case.has("other_unrealised_pnl"):
        found["liquidation_price"] = liquidation_price(
            [Leg(p.contract, p.size, p.entry, p.table)],
            0.0 if money is None else money,
            other_maintenance=case.inputs.get("other_maintenance_margin", 0),
            other_unrealised=case.inputs.get("other_unrealised_pnl", 0),
        )
    alone = money is None and not (case.isolated and case.has("leverage"))
    return {key: found[key] for key in found if not (alone and key in _NEEDS_MONEY)}


def _in_dollars(p: Position) -> float:
    """Initial margin in USD; of an inverse position at its face value."""
    if p.contract.kind != "inverse":
        return p.initial()
    return opening_share(p.limits, counted(p.held(), p.mark))


def _futures_rules(case: Case) -> tuple[Venue, str]:
    """The venue on the last day of the case's dates, with the rates of the case, and the symbol."""
    name, usual = (
        ("krakeninverse", "BTC/USD:BTC") if _inverse(case) else ("krakenfutures", "BTC/USD:USD")
    )
    rules = venue(name, as_of=case.until)
    symbol = str(case.inputs.get("symbol", usual))
    if not case.has("mmr"):
        return rules, rules.resolve(symbol)
    own = level_table([(None, case.inputs.get("imr"), case.inputs["mmr"])])
    return rules.with_symbols({symbol: {"tiers": own}}), symbol


def _futures_account(case: Case, rules: Venue, held: Holding) -> Account:
    most = min(rules.schedule(held.symbol).at(case.until or 0).max_leverage(0.0), _MOST)
    mode: MarginMode = "isolated" if case.isolated else "cross"
    money = _given(case, _MONEY)
    wallet = 1.0 if money is None else money
    terms = Terms(wallet, case.inputs.get("leverage", most), mode, case.until or 0, money)
    return hold(rules, [held], terms)


# -- spot margin ------------------------------------------------------------------------------------


def _is_spot(case: Case) -> bool:
    return "spot" in case.mode or case.contract == "spot"


def _spot(case: Case) -> Mapping[str, Any]:
    """A spot position at its opening, and at a later price when the case has one."""
    inputs, symbol = case.inputs, "BTC/USD"
    price = inputs.get("entry_price", 1.0)
    value = _given(case, ("notional", "cost"))
    size = _given(case, ("quantity", "qty"))
    amount = size_from(value, price) if size is None else size
    held = Holding(symbol, signed(amount, _side(case)), price)
    account = _spot_account(case, held)
    found = _levels(account, account.position(symbol))
    calling = _spot_account(case, held, liquidation_level=0.8)
    found |= {
        "borrowed": found["borrowed_btc"],
        "margin_call_price": calling.liquidation_price(symbol),
        "liquidation_price": account.liquidation_price(symbol),
        "bankruptcy_price": account.bankruptcy_price(symbol),
        f"further_notional_at_{inputs['leverage']:g}x": _further(account, held, inputs["leverage"]),
    }
    found |= {f"{key}_open": found[key] for key in ("used_margin", "margin_level", "equity")}
    later = _given(case, _MARKS)
    if later is not None:
        moved = _spot_account(case, replace(held, mark=later))
        now = _levels(moved, moved.position(symbol))
        found |= now | {f"{key}_2": value for key, value in now.items()}
    return found


def _spot_account(case: Case, held: Holding, **options: float) -> Account:
    """An account without fees, under any leverage."""
    rules = replace(venue("krakenspot", as_of=case.until, **options), carry=None)
    rules = rules.with_symbols({held.symbol: {"tiers": TierTable.flat(0.0)}})
    leverage, cash = case.inputs["leverage"], _given(case, _MONEY, 1.0)
    return hold(rules, [held], Terms(cash, leverage, "cross", case.until or 0))


def _levels(account: Account, p: Position) -> dict[str, Any]:
    """Equity, used and free margin and the margin level, in per cent as the venue prints it."""
    equity, used = account.equity(), account.initial()
    return {
        "borrowed_btc": abs(p.size),
        "equity": equity,
        "used_margin": used,
        "free_margin": account.available(),
        "margin_level": to_percent(margin_level(equity, used)),
        "unrealised_pnl": p.unrealised(),
    }


def _further(account: Account, held: Holding, leverage: float) -> float:
    """Value of the largest position that the free margin opens beside this one."""
    p, free = account.position(held.symbol), account.available()
    more = affordable_size(p.contract, held.size, held.entry, free, leverage)
    return p.contract.notional(more, held.entry)


# -- fees and funding -------------------------------------------------------------------------------


def _opening(case: Case) -> Mapping[str, Any]:
    inputs = case.inputs
    spot = Holding("BTC/USD", signed(inputs["cost"], _side(case)), 1.0)
    opening = inputs.get("margin_opening_fee", 0.0)
    found = {"fee": opening_cost(inputs["cost"], inputs["trade_fee"], opening)}
    if case.has("leverage"):
        used = _spot_account(case, spot).initial()
        found |= {"margin": used, "used_margin": used}
    return found


def _interest(case: Case) -> Mapping[str, Any]:
    """Margin fees; freqtrade counts each rollover period that has begun, the venue those completed."""
    told = f"{case.source} {case.formula}".lower()
    counted = started if "freqtrade" in told or "ceil" in told else completed
    borrowed = _given(case, ("borrowed", "cost", "notional"))
    held = to_ms(hours=case.inputs["hours"])
    return {"interest": margin_fees(borrowed, _given(case, _RATES), held, periods=counted)}


def _funding(case: Case) -> Mapping[str, Any]:
    """Funding over the part of an hour a position was held; received is above 0."""
    contract = Contract("BTC/USD:BTC", "inverse") if _inverse(case) else Contract("BTC/USD:USD")
    size = signed(_given(case, _SIZES), _side(case))
    rate = _given(case, ("rate", "funding_rate", "relative_rate"))
    share = _given(case, ("time_in_ratio", "fraction_of_hour", "hours"), 1.0)
    return {"funding": accrued_payment(contract, size, _given(case, _MARKS), rate, share)}


_WAYS: tuple[tuple[Callable[[Case], bool], Callable[[Case], Mapping[str, Any]]], ...] = (
    (lambda case: case.wants("funding"), _funding),
    (lambda case: case.wants("interest"), _interest),
    (lambda case: case.wants("fee") and case.has("cost", "trade_fee"), _opening),
    (_is_spot, _spot),
    (lambda case: _given(case, _SIZES) is not None, _futures),
)
