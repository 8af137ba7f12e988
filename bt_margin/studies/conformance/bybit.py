"""Answers to Bybit's cases: positions on an account, tables, order cost, funding, interest, the ADL trigger.

A position is put on an account under the case's own tier (``mmr``, ``maintenance_amount``, ``taker_fee``), at
a moment when the rule the case is about was in force; the numbers are then the account's. An isolated
position stands on the margin that is given, else on its initial margin, and on ``extra_margin`` besides.
Prices are rounded as the venue shows them where the case tells the tick. A case without a taker fee leaves
it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bt_margin.core import (
    Contract,
    Leg,
    TierTable,
    accrued,
    bankruptcy_price,
    fee,
    initial,
    liquidation_price,
)
from bt_margin.core.adl import (
    deleveraged_loss,
    drawdown_ratio,
    starts_deleveraging,
    stops_deleveraging,
)
from bt_margin.core.closing_fee import closing_fee, legacy_cross_price, opening_cost
from bt_margin.core.ticks import round_early
from bt_margin.engine.account import Account
from bt_margin.engine.pool import MarginMode
from bt_margin.studies.conformance.case import Case, Inputs, signed
from bt_margin.studies.whatif import Holding, Terms, hold, with_tier
from bt_margin.venues import venue
from bt_margin.venues.bybit import MARK_VALUE_SINCE
from bt_margin.venues.margin_fee_reserve import EntryValueWithReserve, standard_reserve
from bt_margin.venues.names import moment
from bt_margin.venues.spec import ALWAYS, Venue

#: Names of one thing, the first that is given counts.
_SIZES = ("quantity", "qty", "base_quantity", "size_usd", "contracts", "size")
_PRICES = ("price", "order_price", "entry_price")
_MARKS = ("mark_price", "mark")
_MARGINS = ("margin_incl_close_fee", "isolated_margin", "position_margin", "position_balance")
_WALLETS = ("account_balance", "wallet_balance", "margin_balance", "balance", "wallet")
_OTHERS = ("other_maintenance_margin", "other_maintenance", "mm_other", "order_margin")
_GAINS = ("other_unrealised_pnl", "other_unrealised")
_AMOUNTS = ("maintenance_amount", "deduction", "mm_deduction")
_EXTRAS = ("extra_margin", "added_margin")
_TABLES = ("table", "symbol")
_VALUES = ("position_value", "notional", "value")
#: How texts of a case name the two rules; the first that is found counts.
_RULES = (
    ("before 2025", ALWAYS), ("until 2025", ALWAYS), ("liq_entry", ALWAYS),
    ("since 2025", MARK_VALUE_SINCE), ("from 2025", MARK_VALUE_SINCE),
    ("after 2025", MARK_VALUE_SINCE), ("liq_mark", MARK_VALUE_SINCE),
    ("mark value", MARK_VALUE_SINCE), ("entry value", ALWAYS),
)  # fmt: skip
#: Before this, inverse contracts had cross accounts of their own.
_UNIFIED_SINCE = moment("2022-01-01") or 0


def answer(case: Case) -> Mapping[str, Any]:
    """What Bybit's rules make of a case. :raises UnknownCase: nothing here answers it."""
    say = next((say for fits, say in _WAYS if fits(case)), None)
    return case.unknown() if say is None else say(case)


def _first(inputs: Inputs, *keys: str) -> Any:
    """The first of these that is given, None when none is."""
    return next((inputs[key] for key in keys if inputs.get(key) is not None), None)


def _time(case: Case) -> int:
    """A moment of the rule the case is about: as its texts say, else the end of its dates, else now."""
    for text in (case.formula, case.kind, case.mode):
        for words, since in _RULES:
            if words in text.lower():
                return since
    told = next((case.inputs[key] for key in ("time", "date") if case.has(key)), None)
    if isinstance(told, int | str):
        return moment(told) or MARK_VALUE_SINCE
    return MARK_VALUE_SINCE if case.until is None else case.until


# -- positions -------------------------------------------------------------------------------------


def _side(case: Case) -> str:
    return "long" if case.side in ("", "both") else case.side


def _size(case: Case) -> float:
    """Signed contracts: coins of a linear contract, USD of an inverse one."""
    count = _first(case.inputs, *_SIZES)
    return signed(case.inputs["quantity"] if count is None else count, _side(case))


def _symbol(case: Case) -> str:
    """The symbol a case names, or one of its kind."""
    told = _first(case.inputs, *_TABLES)
    return str(told) if told else "BTC/USD:BTC" if case.inverse else "BTC/USDT:USDT"


def _rules(case: Case) -> tuple[Venue, str]:
    """The venue with the tier, the fee and the tick of the case."""
    rules, symbol, inputs = venue("bybit"), _symbol(case), case.inputs
    taker = inputs.get("taker_fee", 0.0)
    if "mmr" in inputs or symbol not in rules.schedules:
        amount = _first(inputs, *_AMOUNTS)
        tier = {"mmr": inputs.get("mmr", 0.0), "maintenance_amount": amount, "taker": taker}
        rules = with_tier(rules, symbol, tier)
    else:
        rules = with_tier(rules, symbol, {"taker": taker})
    return rules.with_symbols({symbol: {"tick": inputs.get("tick")}}), symbol


def _account(case: Case) -> tuple[Account, str]:
    """An account that holds the position of a case."""
    inputs, (rules, symbol) = case.inputs, _rules(case)
    entry, mark = inputs.get("entry_price"), _first(inputs, *_MARKS)
    held = Holding(symbol, _size(case), inputs["mark_price"] if entry is None else entry, mark)
    mode: MarginMode = "isolated" if case.isolated else "cross"
    margin = _first(inputs, *_MARGINS) if case.isolated else None
    wallet = _first(inputs, *_WALLETS) or 1.0
    terms = Terms(wallet, inputs.get("leverage", 1.0), mode, _time(case), margin)
    account = hold(rules, [held], terms)
    extra = _first(inputs, *_EXTRAS)
    if extra and case.isolated:
        account.deposit(extra)
        account.add_margin(symbol, extra)
    return account, symbol


def _held(case: Case) -> Mapping[str, Any]:
    """Everything about a position and what it stands on."""
    account, symbol = _account(case)
    p, risk = account.position(symbol), account.risk(symbol)
    entered = isinstance(p.rule, EntryValueWithReserve)
    price, bust = account.liquidation_price(symbol), account.bankruptcy_price(symbol)
    if _first(case.inputs, *_OTHERS, *_GAINS) is not None:
        price = liquidation_price(
            [Leg(p.contract, p.size, p.entry, p.table)],
            account.cross.balance,
            other_maintenance=_first(case.inputs, *_OTHERS) or 0.0,
            other_unrealised=_first(case.inputs, *_GAINS) or 0.0,
            mark=p.mark,
        )
    value = p.contract.notional(p.size, p.entry if entered else p.mark)
    reserve = standard_reserve(p.held())
    return {
        "position_value": value,
        "unrealised_pnl": p.unrealised(),
        "initial_margin": p.initial(),
        "maintenance_margin": p.maintenance(),
        "fee_to_close": reserve,
        "close_fee": reserve,
        "isolated_margin": p.pool.balance if p.pool is not None else None,
        "margin_ratio": risk.ratio,
        "account_mm_rate": risk.ratio,
        "liquidation_price": _shown(p.contract, p.size, price),
        "bankruptcy_price": _shown(p.contract, p.size, bust),
    }


def _shown(contract: Contract, size: float, price: float | None) -> float | None:
    """A price as the venue shows it."""
    return None if price is None else round_early(contract, size, price)


def _is_legacy(case: Case) -> bool:
    """Whether a case is about the cross account that an inverse contract's coin had of its own."""
    old = case.until is not None and case.until < _UNIFIED_SINCE
    return case.inverse and not case.isolated and ("legacy" in case.mode or old)


def _legacy(case: Case) -> Mapping[str, Any]:
    """The only position of a coin's own cross account; only its liquidation price is rounded."""
    inputs, (rules, symbol) = case.inputs, _rules(case)
    contract, size, entry = rules.contract(symbol), _size(case), inputs["entry_price"]
    balance, taker = _first(inputs, *_WALLETS), inputs.get("taker_fee", 0.0)
    price = legacy_cross_price(
        contract,
        size,
        entry,
        inputs["account_balance"] if balance is None else balance,
        inputs["mmr"],
        taker,
        deduction=_first(inputs, *_AMOUNTS) or 0.0,
        order_margin=inputs.get("order_margin", 0.0),
    )
    leg = Leg(contract, size, entry, TierTable.flat(inputs["mmr"]))
    bust = bankruptcy_price([leg], balance, fee_rate=taker)
    return {
        "liquidation_price": _shown(contract, size, price),
        "bankruptcy_price": bust,
    }


# -- orders ----------------------------------------------------------------------------------------


def _order(case: Case) -> Mapping[str, Any]:
    """What an order takes of the available balance, part by part."""
    inputs, (rules, symbol) = case.inputs, _rules(case)
    contract, size, leverage = rules.contract(symbol), _size(case), inputs["leverage"]
    price, taker = _first(inputs, *_PRICES), inputs.get("taker_fee", 0.0)
    value = contract.notional(size, price)
    reserve = closing_fee(contract, size, price, leverage, taker)
    return {
        "order_value": value,
        "initial_margin": initial(value, leverage),
        "open_fee": fee(value, taker),
        "close_fee": reserve,
        "fee_to_close": reserve,
        "order_cost": opening_cost(contract, size, price, leverage, taker),
    }


# -- tables ----------------------------------------------------------------------------------------


def _table(case: Case) -> TierTable:
    """The table a case names, on the last day of its dates."""
    rules = venue("bybit")
    return rules.schedule(_symbol(case)).at(case.until or MARK_VALUE_SINCE)


def _tier(case: Case) -> Mapping[str, Any]:
    """A row of a table, by its number or by the value that falls in it."""
    table, value = _table(case), _first(case.inputs, *_VALUES)
    rows = list(enumerate(table.tiers, start=1))
    wanted = case.inputs.get("tier")
    for number, tier in rows:
        if number == wanted or (wanted is None and tier == table.at(value)):
            return {
                "tier": number,
                "mmr": tier.mmr,
                "deduction": tier.deduction,
                "maintenance_amount": tier.deduction,
                "max_leverage": tier.max_leverage,
                "cap": tier.cap,
                "maintenance_margin": None if value is None else table.maintenance(value),
            }
    return case.unknown()


def _deduction(case: Case) -> Mapping[str, Any]:
    """The deductions of a ladder given by caps and rates, the last one asked for."""
    rows = [
        (
            _first(row, "cap", "risk_limit") if isinstance(row, Inputs) else row[0],
            row["mmr"] if isinstance(row, Inputs) else row[1],
            None,
        )
        for row in case.inputs["tiers"]
    ]
    tiers = TierTable.of(rows).tiers
    wanted = case.inputs.get("tier", len(tiers))
    found = next(tier for number, tier in enumerate(tiers, start=1) if number == wanted)
    return {"deduction": found.deduction, "maintenance_amount": found.deduction}


# -- money -----------------------------------------------------------------------------------------


def _funding(case: Case) -> Mapping[str, Any]:
    """One settlement, booked on the position."""
    account, symbol = _account(case)
    rate = _first(case.inputs, "funding_rate", "rate")
    account.book_funding(symbol, rate, _first(case.inputs, *_MARKS))
    return {"funding": account.ledger.totals["funding"]}


def _interest(case: Case) -> Mapping[str, Any]:
    """Interest of a borrowed coin, by the hour."""
    inputs = case.inputs
    hours = inputs.get("hours", 1)
    return {"interest": accrued(inputs["borrowed"], inputs["hourly_rate"], hours, 1)}


def _realised(case: Case) -> Mapping[str, Any]:
    """The result of a closed position."""
    rules, symbol = _rules(case)
    entry, closed = case.inputs["entry_price"], case.inputs["exit_price"]
    result = rules.contract(symbol).pnl(_size(case), entry, closed)
    return {"realised_pnl": result, "closed_pnl": result, "pnl": result}


def _adl(case: Case) -> Mapping[str, Any]:
    """A symbol's drawdown against the pool of its insurance fund."""
    inputs = case.inputs
    change = inputs.get("symbol_pnl_change")
    pnl = _first(inputs, "symbol_pnl", "current_pnl") if change is None else change
    highest = _first(inputs, "symbol_8h_max_pnl", "max_pnl") or 0 if change is None else 0
    pool = _first(inputs, "pool_8h_max_balance", "pool_balance")
    ratio, threshold = drawdown_ratio(pnl, highest, pool), inputs.get("insurance_pnl_ratio", -0.3)
    balance, trigger = inputs.get("pool_balance", pool), inputs.get("adl_trigger_threshold", 0)
    return {
        "pnl_ratio": ratio,
        "adl_value": deleveraged_loss(pnl, highest, pool, threshold),
        "adl_triggered": starts_deleveraging(ratio, balance, threshold, trigger),
        "adl_stopped": stops_deleveraging(ratio, balance, inputs.get("adl_stop_ratio", -0.25)),
    }


#: What a case must give -> what answers it; the first that fits.
_WAYS: tuple[tuple[Callable[[Case], bool], Callable[[Case], Mapping[str, Any]]], ...] = (
    (lambda case: case.has("borrowed", "hourly_rate"), _interest),
    (lambda case: case.wants("pnl_ratio", "adl_value"), _adl),
    (lambda case: case.wants("funding"), _funding),
    (lambda case: case.has("exit_price"), _realised),
    (lambda case: case.wants("order_cost", "open_fee"), _order),
    (lambda case: case.has("tiers"), _deduction),
    (lambda case: not case.has("entry_price") and case.has("tier"), _tier),
    (lambda case: not case.has("entry_price") and _first(case.inputs, *_VALUES) is not None, _tier),
    (_is_legacy, _legacy),
    (lambda case: _first(case.inputs, *_SIZES) is not None, _held),
)
