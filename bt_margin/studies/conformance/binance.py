"""Answers to Binance's cases: its USD-M and COIN-M positions on an account, its tables, order cost, interest.

Positions are put on an account under the case's own tier (``mmr``, ``maintenance_amount``); every number is
then the account's. An isolated position stands on ``isolated_wallet``, on what ``isolated_margin`` leaves
without its unrealised profit, on ``wallet_balance``, or on its initial margin, whichever is given first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bt_margin.core import (
    Leg,
    TierTable,
    accrued,
    assumed_price,
    collateral_value,
    initial,
    liquidation_price,
    started_hours,
)
from bt_margin.engine.account import Account
from bt_margin.engine.pool import MarginMode
from bt_margin.studies.conformance.case import (
    Case,
    Inputs,
    free_below,
    price_from,
    signed,
    size_from,
    to_ms,
)
from bt_margin.studies.whatif import Holding, Terms, hold, keys, with_tier
from bt_margin.venues import venue
from bt_margin.venues.names import canonical, moment
from bt_margin.venues.spec import Venue

_MONEY = ("isolated_margin", "isolated_wallet", "margin", "wallet_balance")
_NEEDS_MONEY = ("liquidation_price", "bankruptcy_price", "margin_ratio", "available_balance")


def answer(case: Case) -> Mapping[str, Any]:
    """What Binance's rules make of a case. :raises UnknownCase: nothing here answers it."""
    say = next((say for fits, say in _WAYS if fits(case)), None)
    return case.unknown() if say is None else say(case)


def _rules(case: Case) -> Venue:
    """USD-M or COIN-M, pinned to the last day of the case's dates."""
    return venue("binancecoinm" if case.inverse else "binance", as_of=case.until)


def _rows(case: Case) -> list[Inputs]:
    """The positions of a case: a list, or the inputs themselves."""
    return list(case.inputs.get("positions", [case.inputs]))


def _symbol(case: Case, row: Inputs, number: int) -> str:
    """The position's own symbol, or one that differs from those of the others."""
    given = row.get("symbol")
    if given is not None:
        return str(given)
    return "BTC/USD:BTC" if case.inverse else f"POSITION{number}"


def _size(row: Inputs, case: Case) -> float:
    """Signed contracts; a size in USD counts contracts of 1 USD."""
    given = next((row[key] for key in ("quantity", "contracts", "size_usd") if key in row), None)
    side = row.get("side") or case.side
    return signed(row["quantity"] if given is None else given, "long" if side == "both" else side)


def _positions(case: Case) -> tuple[Venue, list[Holding]]:
    """The venue with the tiers of the case, and its positions."""
    rules, found = _rules(case), []
    for number, row in enumerate(_rows(case)):
        name, size = _symbol(case, row, number), _size(row, case)
        own = {"mmr": row.get("mmr", 0.0), "maintenance_amount": row.get("maintenance_amount", 0)}
        known = name in rules.schedules or canonical(name, rules.schedules) is not None
        rules = with_tier(rules, name, own) if "mmr" in row or not known else rules
        if case.inverse:
            face = 1.0 if "size_usd" in row else row["contract_size_usd"]
            rules = rules.with_symbols({name: {"multiplier": face}})
        mark = row.get("mark_price")
        if mark is None and "notional_at_mark" in row:
            mark = price_from(row["notional_at_mark"], size)
        entry = row["entry_price"] if mark is None else row.get("entry_price", mark)
        found.append(Holding(rules.resolve(name), size, entry, mark))
    return rules, found


def _margin(inputs: Inputs) -> float | None:
    """What an isolated position has in its own wallet; None: its initial margin."""
    found = [inputs[key] for key in _MONEY if key in inputs]
    return found[0] if found else None


def _account(case: Case, rules: Venue, held: list[Holding]) -> Account:
    """An account that holds the positions of a case."""
    inputs = case.inputs
    mode: MarginMode = "isolated" if case.isolated else "cross"
    margin = _margin(inputs)
    if margin is None and not case.has("leverage") and case.wants(*_NEEDS_MONEY):
        margin = inputs["wallet_balance"]  # names what is missing
    wallet, leverage = inputs.get("wallet_balance", 1.0), inputs.get("leverage", 1.0)
    terms = Terms(wallet, leverage, mode, case.until or 0, margin if case.isolated else None)
    account = hold(rules, held, terms)
    if (
        case.isolated and "isolated_margin" in inputs
    ):  # the API prints it with the unrealised profit
        name = keys(held)[0]
        account.charge_interest(account.position(name).unrealised(), name)
    return account


def _held(case: Case) -> Mapping[str, Any]:
    """Everything about the first position, the account it is on, and the others beside it."""
    rules, held = _positions(case)
    account = _account(case, rules, held)
    name = keys(held)[0]
    p, risk = account.position(name), account.risk(name)
    _rest_orders(account, name, case)
    found = {
        "liquidation_price": account.liquidation_price(name),
        "bankruptcy_price": account.bankruptcy_price(name),
        "unrealised_pnl": p.unrealised(),
        "isolated_wallet": p.pool.balance if p.pool is not None else None,
        "initial_margin": p.initial(),
        "position_initial_margin": p.initial(),
        "maintenance_margin": p.maintenance(),
        "notional": p.notional(),
        "notional_coin": p.notional(),
        "position_value": p.notional(),
        "margin_ratio": risk.ratio,
        "open_order_initial_margin": account.orders.total(account.book),
        "cross_wallet_balance": account.cross.balance,
        "available_balance": account.available(),
        "margin_balance": account.equity(),
    }
    if len(held) > 1:
        others = _account(case, rules, held[1:])
        found["other_maintenance_margin"] = others.maintenance()
        found["other_unrealised_pnl"] = others.cross.unrealised()
    if "exit_price" in case.inputs:
        found["realised_pnl"] = p.contract.pnl(p.size, p.entry, case.inputs["exit_price"])
    if p.leg is not None or (len(held) == 1 and case.has("other_maintenance_margin")):
        found["liquidation_price"] = _price(case, rules, held)
    return found


def _price(case: Case, rules: Venue, held: list[Holding]) -> float | None:
    """The price of a symbol held both ways, each side in its own tier, or beside others told by their sum."""
    first = held[0].symbol
    rows = zip(_rows(case), held, strict=True)
    legs = [
        Leg(rules.contract(first), one.size, one.entry, _stated(row, rules, one, case))
        for row, one in rows
        if one.symbol == first
    ]
    rest = [one for one in held if one.symbol != first]
    others = _account(case, rules, rest) if rest else None
    inputs = case.inputs
    needs = inputs.get("other_maintenance_margin", 0.0) if others is None else others.maintenance()
    gains = inputs.get("other_unrealised_pnl", 0.0) if others is None else others.cross.unrealised()
    return liquidation_price(
        legs,
        inputs["wallet_balance"],
        other_maintenance=needs,
        other_unrealised=gains,
        mark=held[0].at,
    )


def _stated(row: Inputs, rules: Venue, held: Holding, case: Case) -> TierTable:
    """The one tier a position states, else the venue's table."""
    if "mmr" in row:
        return TierTable.of([(None, row["mmr"], row.get("maintenance_amount", 0))])
    return rules.schedule(held.symbol).at(case.until or 0)


def _rest_orders(account: Account, symbol: str, case: Case) -> None:
    """Rest the orders a case states by their notional."""
    mark = account.position(symbol).mark
    for number, (key, side) in enumerate((("bid", "buy"), ("ask", "sell"))):
        notional = case.inputs.get(f"open_order_notional_{key}", 0.0)
        if notional:
            account.check_order(number, symbol, signed(size_from(notional, mark), side), mark)


def _deduction(case: Case) -> Mapping[str, Any]:
    """The amount of a tier from the one below it."""
    floor, rate, below = (case.inputs[key] for key in ("floor_n", "mmr_n", "mmr_prev"))
    amount = case.inputs["amount_prev"]
    lowest = [(free_below(amount, below), 0.0, None)] if amount else []
    table = TierTable.of([*lowest, (floor, below, None), (None, rate, None)])
    return {"maintenance_amount": table.tiers[-1].deduction}


def _tier(case: Case) -> Mapping[str, Any]:
    """The row of the venue's own table that a notional falls in."""
    coin = case.inverse or case.has("position_btc")
    notional = case.inputs["position_btc" if case.has("position_btc") else "notional"]
    symbol = case.inputs.get("symbol", "BTC/USD:BTC" if coin else "BTC/USDT:USDT")
    when = case.until
    if when is None and "old" in str(case.inputs.get("table", "")):
        when = moment("2021-02-05")
    rules = venue("binancecoinm" if coin else "binance", as_of=when)
    table = rules.schedule(symbol).at(when or to_ms(hours=1e6))
    tier = table.at(notional)
    return {
        "mmr": tier.mmr,
        "maintenance_amount": tier.deduction,
        "max_leverage": tier.max_leverage,
        "maintenance_margin": table.maintenance(notional),
    }


def _order(case: Case) -> Mapping[str, Any]:
    """What an order takes of the available balance."""
    inputs, rules, symbol = case.inputs, _rules(case), "ORDER"
    rules = with_tier(rules, symbol, {"mmr": 0.0})
    account = Account(rules, 1.0, "cross", inputs["leverage"], time=case.until or to_ms(hours=1e6))
    price, size = inputs["order_price"], _size(inputs, case)
    mark = inputs.get("mark_price", price)
    account.mark(symbol, mark)
    p = account.position(symbol)
    order = account.orders.price_in(account, p, size, price)
    if "last_price" in inputs:
        premium = rules.orders.sell_premium_at(account.time)
        taken = (
            assumed_price(size, price, mark, inputs["last_price"], premium) if premium else price
        )
        order = order._replace(notional=p.contract.notional(size, taken))
    return {
        "initial_margin": initial(order.notional, p.leverage),
        "open_loss": order.loss,
        "cost": account.orders.margin(p, extra=order),
    }


def _funding(case: Case) -> Mapping[str, Any]:
    """Every settlement between opening and closing, booked on the position."""
    inputs = case.inputs
    stamps = inputs.get("funding") or [
        {"rate": inputs["funding_rate"], "mark": inputs["mark_price"]}
    ]
    opened, closed = (moment(inputs.get(key)) for key in ("open", "close"))
    row = Inputs({**inputs, "entry_price": stamps[0]["mark"], "mmr": 0.0})
    rules, (held,) = _positions(replace(case, inputs=row))
    account = hold(rules, [held], Terms(1.0, 1.0, "cross", 0))
    for stamp in stamps:
        time = moment(stamp.get("time"))
        early = opened is not None and time is not None and time < opened
        late = closed is not None and time is not None and time > closed
        if not early and not late:
            account.book_funding(held.symbol, stamp["rate"], stamp["mark"])
    return {"funding": account.ledger.totals["funding"]}


def _interest(case: Case) -> Mapping[str, Any]:
    """Interest of a spot margin loan, by the hour begun."""
    hours = started_hours(case.inputs["hours"])
    if "hourly_rate" in case.inputs:
        rate, period = case.inputs["hourly_rate"], 1
    else:
        rate, period = case.inputs["daily_rate"], 24
    return {"interest": accrued(case.inputs["borrowed"], rate, hours, period)}


def _collateral(case: Case) -> Mapping[str, Any]:
    """What an asset counts for in multi-assets mode."""
    amount, index = case.inputs.get("asset_value_usd"), 1.0
    if amount is None:
        amount, index = case.inputs["balance"], case.inputs["index_price"]
    return {"collateral_value": collateral_value(amount, index, case.inputs["collateral_ratio"])}


#: What a case must give -> what answers it; the first that fits.
_WAYS: tuple[tuple[Callable[[Case], bool], Callable[[Case], Mapping[str, Any]]], ...] = (
    (lambda case: case.has("borrowed"), _interest),
    (lambda case: case.has("collateral_ratio"), _collateral),
    (lambda case: case.has("floor_n", "mmr_n", "mmr_prev"), _deduction),
    (lambda case: case.has("order_price", "leverage"), _order),
    (lambda case: case.wants("funding"), _funding),
    (lambda case: case.has("position_btc") or case.wants("max_leverage", "mmr"), _tier),
    (lambda case: case.has("entry_price") or case.has("positions"), _held),
    (lambda case: case.has("mark_price") and case.wants("maintenance_margin"), _held),
)
