"""The kernel broken by hand, place by place: each break must show in a few stories.

BT_MARGIN_PLAIN_KERNEL=1 python -m replay.breaks
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from replay.stories import difference

from bt_margin.studies import replay as kernel
from bt_margin.studies.replay import reserving, resting
from bt_margin.studies.replay.layout import CASH, DEAL_COVERED, EXPIRES, MARK, ORDERS, POSTED
from bt_margin.studies.replay.market import Unfit
from bt_margin.studies.replay.orders import Extra, Verdict

MODULES = tuple(part for part in vars(kernel).values() if isinstance(part, ModuleType))
MOST = 150
"""Stories told before a break counts as unnoticed."""


@contextmanager
def broken(name: str, other: Callable[[Any], Any]) -> Iterator[None]:
    """A function of the kernel replaced, wherever it is called from."""
    kept = [(module, getattr(module, name)) for module in MODULES if hasattr(module, name)]
    for module, original in kept:
        setattr(module, name, other(original))
    try:
        yield
    finally:
        for module, original in kept:
            setattr(module, name, original)


def _paid_twice(original: Any) -> Any:
    def settle(w: Any, r: Any, c: Any, st: Any, s: int, stamp: int, price: float) -> None:
        original(w, r, c, st, s, stamp, price * 1.0001)

    return settle


def _extra(original: Any) -> Any:
    def priced(r: Any, st: Any, s: int, size: float, price: float) -> Extra:
        return Extra(*original(r, st, s, size, price)[:2], 0.0)

    return priced


def _late(original: Any) -> Any:
    def crossing(
        r: Any, c: Any, st: Any, pool: int, road: Any, leg: int, now: float, end: float
    ) -> float:
        found: float = original(r, c, st, pool, road, leg, now, end)
        return found if found > 1.0 else (found + end) / 2.0

    return crossing


def _wide(original: Any) -> Any:
    def set_guards(r: Any, c: Any, st: Any) -> bool:
        found: bool = original(r, c, st)
        held = st.held[:, MARK]
        st.numbers[8, : len(held)] -= 0.2 * held
        st.numbers[9, : len(held)] += 0.2 * held
        return found

    return set_guards


def _cash(original: Any) -> Any:
    def settle_empty(w: Any, r: Any, c: Any, st: Any, pool: int) -> None:
        original(w, r, c, st, pool)
        st.money[CASH] += 1e-5

    return settle_empty


def _unborne(original: Any) -> Any:
    def end_trade(st: Any, s: int) -> None:
        st.held[s, DEAL_COVERED] = 0.0
        original(st, s)

    return end_trade


def _one_fee(original: Any) -> Any:
    def keep_trade(st: Any, s: int, change: Any, fees: Any, forced: int) -> None:
        original(st, s, change, (fees[0] + fees[1], 0.0), forced)

    return keep_trade


def _long(original: Any) -> Any:
    def queue_up(w: Any, r: Any, st: Any, i: int, t: int, size: float) -> None:
        original(w, r, st, i, t, size)
        st.queue[st.counts[ORDERS] - 1, EXPIRES] += 1

    return queue_up


def _at_once(original: Any) -> Any:
    def next_order(*given: Any) -> Any:
        found, u, at = original(*given)
        return found, (given[-1] if found >= 0 else u), at

    return next_order


def _unposted(original: Any) -> Any:
    def set_leverage(w: Any, r: Any, c: Any, st: Any, s: int, leverage: float) -> bool:
        before, posted = st.money[CASH], st.held[s, POSTED]
        done: bool = original(w, r, c, st, s, leverage)
        st.money[CASH], st.held[s, POSTED] = before, posted
        return done

    return set_leverage


def _late_cash(original: Any) -> Any:
    def move_cash(w: Any, r: Any, c: Any, st: Any, t: int, equity: Any) -> None:
        original(w, r, c, st, t - 1, equity)

    return move_cash


def _bare(original: Any) -> Any:
    def required(r: Any, st: Any, s: int, *position: float) -> Any:
        return original(r, st, s, *position)._replace(amount=0.0)

    return required


BREAKS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "what the fund bears": ("cover", lambda f: lambda st, pool: 0.0),
    "lots of a partial sale": ("rounded", lambda f: lambda r, st, s, x: st.held[s, 0] * x),
    "which extreme comes first": ("choose_path", lambda f: lambda *a: not f(*a)),
    "the mark of a settlement": ("settle", _paid_twice),
    "the cap at a leverage": ("over_cap", lambda f: lambda *a: Verdict(0, 0.0, 0.0)),
    "new tables": ("change_tables", lambda f: lambda *a: None),
    "margin calls": ("call_margins", lambda f: lambda *a: None),
    "the open loss of an order": ("priced", _extra),
    "the place of a crossing": ("crossing", _late),
    "what closing orders free": ("freed", lambda f: lambda *a: 0.0),
    "guards of calm stretches": ("set_guards", _wide),
    "who loses most": ("worse", lambda f: lambda r, st, a, b: not f(r, st, a, b)),
    "orders cancelled before a liquidation": ("cancel_orders", lambda f: lambda *a: None),
    "margin orders reserve": ("total_reserved", lambda f: lambda *a: 0.0),
    "slippage of a fill": ("slid", lambda f: lambda c, buys, bound, price, slips: price),
    "money left in a flat pool": ("settle_empty", _cash),
    "what the fund bears of a trade": ("end_trade", _unborne),
    "the fees of a flip": ("keep_trade", _one_fee),
    "the ratio at a close": ("surely_below", lambda f: lambda *a: True),
    "the margin of several positions": ("weigh_many", lambda f: lambda *a: None),
    "when a waiting order needs a closer look": (
        "first_reached",
        lambda f: lambda w, st, t, end: end,
    ),
    "the time of an order": ("queue_up", _long),
    "orders that end together": ("end_group", lambda f: lambda *a: None),
    "initial margins as a rule says": ("ruled_margin", lambda f: lambda *a: 1.001 * float(f(*a))),
    "brackets": ("end", lambda f: lambda st, q, how, t: resting.drop(st, q)),
    "trailing stops": ("trail", lambda f: lambda *a: None),
    "the maker's fee": ("fill", lambda f: lambda *a: f(*a[:-1], 0)),
    "where a walk meets an order": ("next_order", _at_once),
    "what a trial withdraws": ("end_rivals", lambda f: resting.drop),
    "the close an order was not filled at": ("finish", lambda f: lambda *a: None),
    "marks while orders wait": ("leave_marks", lambda f: lambda *a: None),
    "a stop that has become a limit": ("stops_at", lambda f: lambda order: order[resting.TYPE] > 2),
    "what orders reserve of the margin that moves": ("available", lambda f: reserving.unreserved),
    "the wallet when a leverage is lowered": ("set_leverage", _unposted),
    "cash that comes a bar late": ("move_cash", _late_cash),
    "the fee of closing in reserve": ("requirement", _bare),
    "initial margin of parts in levels": ("opening_share", lambda f: lambda *a: 1.001 * f(*a)),
    "initial margin in steps of size": ("stepped_fraction", lambda f: lambda n, base, *a: base),
    "the tier of a number of contracts": ("tier_of_count", lambda f: lambda caps, first, *a: first),
    "a large position sold in two steps": ("first_part", lambda f: lambda *a: 1.0),
    "the part that restores the target": ("restoring", lambda f: lambda *a: min(1.0, 1.01 * f(*a))),
    "down a ladder of tiers": ("laddered", lambda f: lambda *a: 1.0),
    "down two tiers of contracts": ("cut_down", lambda f: lambda *a: 1.0),
    "what a block pays into the fund": ("insurance_delta", lambda f: lambda q, b, most: most),
    "the fee inside a bankruptcy price": (
        "moved",
        lambda f: lambda r, st, s, loss, fee: f(r, st, s, loss, 0.0),
    ),
    "what a fill leaves of an isolated position": (
        "looked_at",
        lambda f: lambda r, st, s, made, price: made,
    ),
    "orders of both sides under a rule": ("asked_by_orders", lambda f: lambda *a: 0.9 * f(*a)),
}


#: Venues whose stories are told to find a break.
AT = {
    "initial margins as a rule says": "bybit",
    "the fee of closing in reserve": "bybit",
    "initial margin of parts in levels": "krakenfutures",
    "initial margin in steps of size": "dydx_v3",
    "the tier of a number of contracts": "okx",
    "a large position sold in two steps": "hyperliquid",
    "the part that restores the target": "krakenfutures",
    "down a ladder of tiers": "bybit",
    "down two tiers of contracts": "okx",
    "what a block pays into the fund": "dydx_v4",
}


def noticed(name: str, other: Callable[[Any], Any], venue: str | None = None) -> int:
    """The first story (of those at a venue) that shows the break; -1 when none does."""
    with broken(name, other):
        for seed in range(MOST):
            try:
                if difference(seed, venue):
                    return seed
            except Unfit:  # not this story
                continue
            except (ArithmeticError, IndexError):
                return seed
    return -1


def main() -> int:
    """Every break, one after the other; a number on the command line: only so many of them."""
    some = list(BREAKS.items())[: int(sys.argv[1]) if len(sys.argv) > 1 else None]
    missed = 0
    for what, how in some:
        seed = noticed(*how, AT.get(what))
        print(f"{what}: " + ("NOT NOTICED" if seed < 0 else f"story {seed}"), flush=True)
        missed += seed < 0
    return missed


if __name__ == "__main__":
    sys.exit(main())
