"""Answers to OKX's cases: positions on an account, ladders by contracts, spot and portfolio margin, history.

A position is put on an account under the case's own tier (``mmr``, ``taker_fee``), or under the venue's
ladder where the case names a ``symbol`` instead; the numbers are then the account's. What OKX prints as
maintenance margin is without the fee, its margin ratio is equity over the requirement with it. Where the
equity at the mark is told, the position is one entered at the mark.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bt_margin.core import Contract, Leg, TierTable, accrued, collateral_value, liquidation_price
from bt_margin.core.display import one_tick_early
from bt_margin.core.liability import (
    Borrowing,
    borrowed_to_open,
    debt_liquidation_price,
    debt_margin_ratio,
)
from bt_margin.core.outcome import closed_outcome, price_of_pnl
from bt_margin.core.portfolio import portfolio_requirement, scaled_charge
from bt_margin.engine.account import Account
from bt_margin.engine.pool import MarginMode, Position
from bt_margin.studies.conformance.case import Case, Inputs, price_from, signed, size_from
from bt_margin.studies.whatif import Holding, Terms, hold, with_tier
from bt_margin.venues import venue
from bt_margin.venues.contract_ladders import most_leverage
from bt_margin.venues.margin import Held
from bt_margin.venues.margin_by_contracts import (
    ByContracts,
    equity_at_level,
    margin_level,
    tier_by_contracts,
    tier_number,
)
from bt_margin.venues.spec import Venue

#: Names of one thing, the first that is given counts.
_FACES = ("contract_value", "contract_size", "ct_val", "multiplier")
_SIZES = ("size_usd", "face_usd", "face", "quantity", "base_quantity", "size")
_MONEY = ("margin", "isolated_margin", "wallet_balance", "account_balance", "balance", "wallet")
_OTHERS = ("other_maintenance_margin", "other_maintenance", "other_requirement")
_GAINS = ("other_unrealised_pnl", "other_unrealised")
#: A wallet that pays every funding in full.
_DEEP = 1e15
_LATE = 4_102_444_800_000


def answer(case: Case) -> Mapping[str, Any]:
    """What OKX's rules make of a case. :raises UnknownCase: nothing here answers it."""
    say = next((say for fits, say in _WAYS if fits(case)), None)
    return case.unknown() if say is None else say(case)


def _first(inputs: Inputs, *keys: str) -> Any:
    """The first of these that is given, None when none is."""
    return next((inputs[key] for key in keys if inputs.get(key) is not None), None)


def _units(case: Case) -> tuple[float, float]:
    """How many units the case is about, without a sign, and what one of them is: contracts, coins or USD."""
    inputs = case.inputs
    faces = [inputs[key] for key in inputs if key.startswith(_FACES)]
    if "contracts" in inputs and faces:
        return abs(inputs["contracts"]), faces[0]
    size = _first(inputs, *_SIZES)
    return abs(inputs["contracts"] if size is None else size), 1.0


# -- positions ------------------------------------------------------------------------------------


def _rules(case: Case) -> tuple[Venue, str]:
    """The venue on the last day of the case's dates, and the symbol the case is about."""
    rules, inputs = venue("okx", as_of=case.until), case.inputs
    if "symbol" in inputs and "mmr" not in inputs:
        return rules, rules.resolve(inputs["symbol"])
    symbol = "COIN/USD:COIN" if case.inverse else "COIN/USDT:USDT"
    tier = {"mmr": inputs.get("mmr", 0.0), "taker": inputs.get("taker_fee")}
    own = with_tier(rules, symbol, tier).with_symbols({symbol: {"multiplier": _units(case)[1]}})
    return own, symbol


def _size(case: Case) -> float:
    """Signed units; a long where the side makes no difference."""
    side = case.side if case.side not in ("", "both") else "long"
    return signed(_units(case)[0], side)


def _prices(case: Case, rules: Venue, symbol: str) -> tuple[float | None, float]:
    """Entry and mark of a position; the mark as told, by its profit or its value, else the entry."""
    inputs, size, contract = case.inputs, _size(case), rules.contract(symbol)
    entry = _first(inputs, "entry_price", "open", "open_price")
    mark = _first(inputs, "mark_price", "mark")
    if mark is None and entry is not None and "unrealised_pnl" in inputs:
        mark = price_of_pnl(contract, size, entry, inputs["unrealised_pnl"])
    value = _first(inputs, "notional_at_mark", "notional_usd", "notional")
    if mark is None and value is not None:
        one = contract.notional(size, 1.0)
        mark = size_from(one, value) if case.inverse else price_from(value, one)
    if mark is None:
        mark = inputs["entry_price"] if entry is None else entry
    return entry, mark


def _equity(case: Case, rules: Venue, held: Holding) -> float | None:
    """The equity at the mark, where the case tells it, or its margin level without any money."""
    inputs, when = case.inputs, case.until or _LATE
    told = _first(inputs, *(key for key in inputs if "equity" in key), "margin_balance", "eq")
    level = _first(inputs, "margin_ratio", "margin_level")
    if told is not None or level is None or _first(inputs, *_MONEY) is not None:
        return None if told is None else float(told)
    contract, limits = rules.contract(held.symbol), rules.schedule(held.symbol).at(when)
    taker = rules.fees_at(held.symbol, when).taker
    seen = Held(contract, held.size, held.at, 1.0, limits, taker, isolated=False)
    need = ByContracts().requirement(seen).maintenance(contract.notional(held.size, held.at))
    return equity_at_level(level, need)


def _holding(case: Case, rules: Venue, symbol: str) -> tuple[Holding, float | None]:
    """The position of a case and what it stands on: with its equity told, it is entered at the mark."""
    entry, mark = _prices(case, rules, symbol)
    at_mark = Holding(symbol, _size(case), mark, mark)
    equity = _equity(case, rules, at_mark)
    if equity is not None or entry is None:
        return at_mark, _first(case.inputs, *_MONEY) if equity is None else equity
    return Holding(symbol, at_mark.size, entry, mark), _first(case.inputs, *_MONEY)


def _account(case: Case, rules: Venue, held: Holding, money: float | None) -> Account:
    """An account that holds the position of a case on its money."""
    mode: MarginMode = "isolated" if case.isolated else "cross"
    leverage = case.inputs.get("leverage", 1.0)
    margin = money if case.isolated else None
    return hold(rules, [held], Terms(money or 1.0, leverage, mode, case.until or _LATE, margin))


def _held(case: Case) -> Mapping[str, Any]:
    """Everything about a position and what it stands on."""
    rules, symbol = _rules(case)
    held, money = _holding(case, rules, symbol)
    account = _account(case, rules, held, money)
    p, risk = account.position(symbol), account.risk(symbol)
    entry, mark = _prices(case, rules, symbol)
    asked = ByContracts().requirement(p.held()._replace(taker=0.0))
    level = margin_level(risk.equity, p.maintenance())
    return {
        "mark_price": p.mark,
        "notional": p.notional(),
        "unrealised_pnl": p.unrealised() if entry is None else p.contract.pnl(p.size, entry, mark),
        "initial_margin": p.initial(),
        "maintenance_margin": asked.maintenance(p.notional()),
        "requirement": p.maintenance(),
        "margin_ratio": level,
        "margin_level": level,
        "liquidation_price": _shown(case, p, account, money),
        "bankruptcy_price": account.bankruptcy_price(symbol),
        "margin_balance": risk.equity,
        "equity": risk.equity,
    }


def _shown(case: Case, p: Position, account: Account, money: float | None) -> float | None:
    """The liquidation price as OKX shows it: where the case tells the tick, one tick early."""
    inputs = case.inputs
    price = account.liquidation_price(p.symbol)
    if _first(inputs, *_OTHERS, *_GAINS) is not None:
        price = liquidation_price(
            [Leg(p.contract, p.size, p.entry, p.table)],
            p.pool.balance if money is None and p.pool is not None else money or 0.0,
            other_maintenance=_first(inputs, *_OTHERS) or 0.0,
            other_unrealised=_first(inputs, *_GAINS) or 0.0,
            mark=p.mark,
        )
    tick = inputs.get("tick")
    return price if price is None or tick is None else one_tick_early(price, p.size, tick)


def _funding(case: Case) -> Mapping[str, Any]:
    """One settlement, booked on the position; without a balance nothing caps it."""
    rules, symbol = _rules(case)
    held, money = _holding(case, rules, symbol)
    account = _account(case, rules, held, _DEEP if money is None else money)
    rate = _first(case.inputs, "funding_rate", "rate")
    account.book_funding(symbol, rate, held.at)
    return {"funding": account.ledger.totals["funding"]}


def _history(case: Case) -> Mapping[str, Any]:
    """A closed position, as the position history tells it."""
    inputs, face = case.inputs, _units(case)[1]
    outcome = closed_outcome(
        Contract("COIN", kind="inverse" if case.inverse else "linear", multiplier=face),
        _size(case),
        _first(inputs, "open", "open_price", "entry_price"),
        _first(inputs, "close", "close_price", "exit_price"),
        inputs.get("leverage", 1.0),
        fee=inputs.get("fee", 0.0),
        funding=_first(inputs, "funding", "funding_fee") or 0.0,
        penalty=_first(inputs, "liq_penalty", "liquidation_penalty", "penalty") or 0.0,
    )
    return {"pnl": outcome.pnl, "realised_pnl": outcome.realised, "pnl_ratio": outcome.ratio}


# -- tiers ----------------------------------------------------------------------------------------


def _tier(case: Case) -> Mapping[str, Any]:
    """The tier of a number of contracts, in the case's own table or the venue's."""
    count = abs(_size(case))
    rows = _first(case.inputs, "tiers", "table")
    if isinstance(rows, list):
        limits = TierTable.of([_row(row) for row in rows], stepped=True)
    else:
        rules = venue("okx", as_of=case.until)
        limits = rules.schedule(case.inputs["symbol"]).at(case.until or _LATE)
    tier = tier_by_contracts(limits, count)
    most = tier.max_leverage
    return {"tier": tier_number(limits, count), "mmr": tier.mmr, "max_leverage": most}


def _row(row: Any) -> tuple[float, float, float, float | None]:
    """A tier as cap in contracts, rate, no deduction, most leverage."""
    if isinstance(row, Inputs):
        cap = _first(row, "cap_contracts", "max_contracts", "cap")
        return cap, row["mmr"], 0.0, row.get("max_leverage")
    return row[0], row[1], 0.0, row[2] if len(row) > 2 else None


def _most(case: Case) -> Mapping[str, Any]:
    """The most leverage of an initial rate."""
    return {"max_leverage": most_leverage(case.inputs["imr"])}


# -- spot margin ----------------------------------------------------------------------------------


def _opened(case: Case) -> Mapping[str, Any]:
    """A spot margin position right after opening."""
    inputs, size = case.inputs, _size(case)
    in_base = _margin_currency(case) == "base"
    price = _first(inputs, "price", "entry_price")
    margin, held = borrowed_to_open(size, price, inputs["leverage"], margin_in_base=in_base)
    return {
        "margin": margin,
        "margin_base" if in_base else "margin_quote": margin,
        "assets_base": held.base,
        "assets_quote": held.quote,
        "liability_base": held.base_owed,
        "liability_quote": held.quote_owed,
    }


def _margin_currency(case: Case) -> str:
    """``"base"`` or ``"quote"``: as told, else base for a long and quote for a short."""
    told = case.inputs.get("margin_currency") or case.inputs.get("margin_in")
    for name in ("base", "quote"):
        if told == name or case.wants(f"margin_{name}") or case.has(f"margin_{name}"):
            return name
    for text in (case.kind, case.mode):
        for name in ("base", "quote"):
            if f"{name} margin" in text or f"margin in {name}" in text:
                return name
    return "base" if _is_long(case) else "quote"


def _is_long(case: Case) -> bool:
    return signed(1, case.side) > 0


def _debt(case: Case) -> Mapping[str, Any]:
    """A spot margin position by its assets and its liability."""
    inputs, held = case.inputs, _borrowing(case)
    mmr, fee = inputs["mmr"], inputs.get("taker_fee", 0.0)
    found: dict[str, Any] = {"liquidation_price": debt_liquidation_price(held, mmr, fee)}
    mark = _first(inputs, "mark_price", "mark", "price")
    if mark is None:
        return found
    return found | {
        "maintenance_margin": held.maintenance(mark, mmr),
        "margin_ratio": debt_margin_ratio(held, mark, mmr, fee),
    }


def _borrowing(case: Case) -> Borrowing:
    """What is held and owed; names without a currency are those of the side."""
    inputs, long = case.inputs, _is_long(case)
    held, owed = ("base", "quote") if long else ("quote", "base")
    assets = {
        name: _first(inputs, f"position_assets_{name}", f"assets_{name}") or 0.0
        for name in ("base", "quote")
    }
    assets[held] = assets[held] or _first(inputs, "position_assets", "assets") or 0.0
    debts = {name: _first(inputs, f"liability_{name}") or 0.0 for name in ("base", "quote")}
    debts[owed] = debts[owed] or _first(inputs, "liability") or 0.0
    start = Borrowing(assets["base"], assets["quote"], abs(debts["base"]), abs(debts["quote"]))
    margin = {name: inputs.get(f"margin_{name}", 0.0) for name in ("base", "quote")}
    if "margin" in inputs:
        margin[_margin_currency(case)] = inputs["margin"]
    interest = {name: abs(inputs.get(f"interest_{name}", 0.0)) for name in ("base", "quote")}
    if "interest" in inputs:
        interest[owed] = abs(inputs["interest"])
    return start.plus(margin["base"], margin["quote"], interest["base"], interest["quote"])


def _interest(case: Case) -> Mapping[str, Any]:
    """Interest of a loan, by the hour."""
    inputs = case.inputs
    hourly = "hourly_rate" in inputs
    rate = inputs["hourly_rate" if hourly else "daily_rate"]
    return {
        "interest": accrued(inputs["borrowed"], rate, inputs.get("hours", 1), 1 if hourly else 24)
    }


# -- accounts of several coins --------------------------------------------------------------------


def _collateral(case: Case) -> Mapping[str, Any]:
    """What a coin counts for in a multi-currency account."""
    inputs = case.inputs
    amount = _first(inputs, "asset_value_usd", "amount", "equity")
    price = _first(inputs, "price", "index_price") if "amount" in inputs else None
    value = collateral_value(amount, 1 if price is None else price, inputs["discount_rate"])
    return {"collateral_value": value, "adjusted_equity": value}


def _portfolio(case: Case) -> Mapping[str, Any]:
    """The minimum charge of a risk unit after scaling, and the requirement it makes."""
    charge = scaled_charge(case.inputs["mr7_raw"], case.inputs["tiers"])
    return {"mr7_adj": charge, "mmr": portfolio_requirement(case.inputs.get("mr", 0), charge)}


def _spot(case: Case) -> bool:
    return "spot" in case.mode or case.contract == "spot"


#: What a case must give -> what answers it; the first that fits.
_WAYS: tuple[tuple[Callable[[Case], bool], Callable[[Case], Mapping[str, Any]]], ...] = (
    (lambda case: case.has("mr7_raw", "tiers"), _portfolio),
    (lambda case: case.has("discount_rate"), _collateral),
    (lambda case: case.has("borrowed"), _interest),
    (lambda case: any(key.startswith("liability") for key in case.inputs), _debt),
    (lambda case: _spot(case) and case.has("leverage"), _opened),
    (lambda case: case.wants("pnl", "realised_pnl", "pnl_ratio"), _history),
    (lambda case: case.wants("funding"), _funding),
    (lambda case: case.wants("tier", "mmr", "max_leverage") and case.has("contracts"), _tier),
    (lambda case: case.has("imr") and case.wants("max_leverage"), _most),
    (lambda case: _first(case.inputs, "contracts", *_SIZES) is not None, _held),
)
