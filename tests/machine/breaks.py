"""For each law a way to break the code that the law must notice: one method replaced, nothing else touched.

A damage is called with the method it replaces and whatever the method is given.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import backtrader as bt
from machine.witness import ALIKE, ENDED, NAIVE

from bt_margin.engine.account import Account
from bt_margin.engine.book import Book
from bt_margin.engine.cashier import Cashier
from bt_margin.engine.pool import Pool, Position
from bt_margin.engine.reading import AccountView
from bt_margin.engine.step import Stepper
from bt_margin.plugin.admission import Admission
from bt_margin.plugin.booking import Booking
from bt_margin.plugin.broker import MarginBroker
from bt_margin.plugin.forced import Forced
from bt_margin.plugin.notices import Notices
from bt_margin.venues.policies import FullClose

COUNT = itertools.count(1)


def lose_a_cent(was: Any, self: Any, pool: Pool, kind: str, amount: float, *more: Any) -> None:
    """Money that changes without an entry."""
    was(self, pool, kind, amount, *more)
    pool.balance -= 1e-6 * abs(amount)


def mix_up(was: Any, self: Any, pool: Pool, kind: str, amount: float, *more: Any) -> None:
    """The free wallet pays the funding that the ledger charges to isolated pools."""
    was(self, pool, kind, amount, *more)
    if kind == "funding":
        pool.balance -= amount
        self.cross.balance += amount


def look_away(was: Any, self: Any, pending: Any, read: Any) -> set[str]:
    """Every bar is taken for harmless."""
    return set()


def call_nobody(was: Any, stepper: Any, *found: Any) -> Any:
    """No look at the thresholds in a bar without danger."""
    risky = was(stepper, *found)
    stepper._calling = False
    return risky


def forgive(was: Any, self: Any, pool: Pool, event: int) -> float:
    """Nobody bears a loss beyond the collateral."""
    return 0.0


def reach_into_cross(was: Any, self: Any, pool: Pool, event: int) -> float:
    """The rest of the account bears it."""
    if pool is not self.cross and pool.balance < 0:
        self.move_money(self.cross, pool, -pool.balance, pool.symbol, event)
    return float(was(self, pool, event))


def bury_early(was: Any, self: Any, pool: Pool, cause: int) -> None:
    """Every pool that ends is the end of the account."""
    was(self, pool, cause)
    self.dead = True


def do_nothing(*anything: Any) -> None:
    """What should be done is not."""


def misprice(was: Any, self: Any, quote: Any, size: float, price: float) -> None:
    """backtrader's entry price is the last fill's."""
    was(self, quote, size, price)
    self.positions[quote.data].price = price if quote.position.size else 0.0


def into_cross(was: Any, self: Any, p: Any, mode: str) -> None:
    """Every position is backed by the whole account, whatever its mode."""
    was(self, p, "cross")


def only_time(was: Any, self: Any, time: int) -> None:
    """The clock goes on, the tables stay."""
    self.time = time


def no_shares(was: Any, self: Any) -> None:
    """Who pays in gets nothing for it."""
    before = self._fundshares
    was(self)
    self._fundshares = before


def tell_twice(was: Any, self: Any, order: Any) -> None:
    """Every notice comes twice."""
    was(self, order)
    was(self, order)


def hush(status: str) -> Callable[..., None]:
    """Nobody is told of one status."""

    def damage(was: Any, self: Any, order: Any) -> None:
        if order.getstatusname() != status:
            was(self, order)
        else:
            self.account.release(order.ref)

    return damage


def dearer(was: Any, self: Any, event: Any) -> None:
    """The strategy hears of another price than the account booked."""
    was(self, replace(event, price=event.price * 1.01))


def poorer(was: Any, self: Any, event: Any) -> None:
    """The strategy hears of another result than the account booked."""
    was(self, replace(event, realised=event.realised * 1.01))


def smaller(was: Any, self: Any, event: Any) -> None:
    """The strategy hears of half of what was closed."""
    was(self, replace(event, size=event.size * 0.5))


def say_nothing(was: Any, self: Any) -> None:
    """The dead are not told that they are."""


def backwards(was: Any, self: Any, kind: str, *more: Any, **facts: Any) -> Any:
    """A breach names what comes after it as its cause."""
    return was(self, kind, *more, **{**facts, **({"cause": 10**9} if kind == "breach" else {})})


def rounded(was: Any, self: Any, kind: str, *more: Any, **facts: Any) -> Any:
    """Events tell balances cut to whole numbers of a thousand."""
    event = was(self, kind, *more, **facts)
    if event.balance:
        self.events[-1] = event = replace(event, balance=round(event.balance, -3) + 1)
    return event


def luckier(was: Any, self: Any, p: Any, made: Any, *more: Any, **facts: Any) -> Any:
    """A hundredth more is booked than was earned."""
    change = getattr(made, "_replace", None) or partial(replace, made)
    return was(self, p, change(realised=made.realised * 1.01), *more, **facts)


def without_reason(was: Any, self: Any, order: Any) -> Any:
    """An order is refused in silence."""
    found = was(self, order)
    order.info.pop("reason", None)
    return found


def all_of_it(was: Any, self: Any, order: Any, *more: Any) -> float:
    """Reduce-only means nothing."""
    return float(order.executed.remsize)


def beyond(
    was: Any, self: Any, order: Any, ago: Any = None, price: Any = None, *more: Any, **n: Any
) -> None:
    """Limit orders pay a hundredth more than they asked."""
    if price is not None and order.exectype == bt.Order.Limit:
        price *= 1.01 if order.isbuy() else 0.99
    was(self, order, ago, price, *more, **n)


def for_free(was: Any, self: Any, quote: Any, fill: Any) -> float:
    """Trades never hear of funding."""
    return 0.0 * float(was(self, quote, fill))


def of_the_deposit(was: Any, self: Any, pool: Any, amount: float, cause: int) -> None:
    """A shortfall blames the first event of all."""
    was(self, pool, amount, 0)


def twice_a_bar(was: Any, self: Any) -> None:
    """A bar is written down twice."""
    was(self)
    times, values = self.equity_curve
    times.append(times[-1])
    values.append(values[-1])


def drift(was: Any, self: Any, time: int, fresh: Any, matcher: Any) -> None:
    """Marks creep after the close."""
    was(self, time, fresh, matcher)
    for quote in fresh:
        quote.position.mark *= 1.00001


def richer(was: Any, self: Any) -> float:
    """Who asks twice is told another number."""
    return float(was(self)) * 1.01


def elsewhere(was: Any, self: Any, symbol: str, size: float, price: float, **more: Any) -> Any:
    """Fills at a price no market had."""
    return was(self, symbol, size, price * 1.3, **more)


def again(was: Any, self: Any, *found: Any, **named: Any) -> Any:
    """Funding is charged twice."""
    was(self, *found, **named)
    return was(self, *found, **named)


def forget_trades(was: Any, self: Any, *found: Any, **named: Any) -> None:
    """Nobody is told of trades."""
    self._tradespending = []
    was(self, *[x for x in found if x], **{k: v for k, v in named.items() if k == "qorders"})


def children_stay(was: Any, self: Any, order: Any, cancel: bool = False) -> None:
    """The exits of a bracket do not cancel each other."""
    if order.parent is None:
        was(self, order, cancel)


def for_ever(was: Any, self: Any) -> bool:
    """No order runs out."""
    return False


def flatter(was: Any, self: Any, *found: Any, **named: Any) -> Any:
    """A preview shows half of the fee."""
    told = was(self, *found, **named)
    return replace(told, fee=told.fee * 0.5 - 1.0)


def generous(was: Any, self: Any) -> Any:
    """A copy has more than the account."""
    twin = was(self)
    twin.cross.balance += 1.0
    return twin


def give_up(*anything: Any) -> None:
    """A mistake that any interpreter finds."""
    raise ZeroDivisionError


def by_chance(was: Any, self: Any, amount: float, *rest: Any) -> Any:
    """What is paid in at first is worth more each time that anybody does it."""
    first = not self.ledger.totals["deposit"]
    return was(self, amount + 0.01 * next(COUNT) * first, *rest)


def dearer_fees(was: Any, self: Any, *found: Any) -> Any:
    """Fees are half as high again."""
    rule = was(self, *found)
    return lambda size, price: 1.5 * rule(size, price) + 1e-4 * abs(size) * price


def hopeful(was: Any, self: Any) -> tuple[float, float]:
    """Half of what must be kept counts when it is looked whether a bar is harmless."""
    equity, need = was(self)
    return equity + 0.5 * need, 0.5 * need


def stricter(was: Any, self: Any) -> float:
    """Pools are asked for half as much again."""
    return 1.5 * float(was(self))


def in_halves(was: Any, self: Any, breach: Any) -> Any:
    """Who closes whole positions closes halves of them."""
    return tuple(one._replace(fraction=0.5 * one.fraction) for one in was(self, breach))


def of_closings(change: Callable[[Any], Any]) -> Callable[..., Any]:
    """The plan of every liquidation is another."""

    def damage(
        was: Any, self: Any, p: Any, made: Any, price: float, kind: str, *m: Any, **f: Any
    ) -> Any:
        return was(self, p, change(made) if kind == "liquidation" else made, price, kind, *m, **f)

    return damage


def overcharged(made: Any) -> Any:
    """Liquidation fees are half as high again."""
    return made._replace(closing_fee=1.5 * made.closing_fee)


def let_off(made: Any) -> Any:
    """A tenth of the loss is left to the trader."""
    return made._replace(realised=made.realised + 0.1 * abs(made.realised))


def of_its_own(was: Any, self: Any, p: Any, pool: Any, amount: float) -> float:
    """Each position pays its own funding, whatever the venue says."""
    return amount


def longer(was: Any, self: Any, time: int) -> None:
    """Interest of an hour is charged again with each bar."""
    self.carried -= 3_600_000 if self.carried < time else 0
    was(self, time)


def stale(was: Any, self: Any) -> None:
    """What is asked of a position is not asked again."""


BREAKS: dict[str, tuple[type, str, Callable[..., Any]]] = {
    "the_money_adds_up": (Book, "_post", lose_a_cent),
    "no_pool_is_in_breach": (Stepper, "_risky", look_away),
    "equity_is_never_below_zero": (Book, "_cover", forgive),
    "the_dead_have_nothing": (Book, "_settle_empty", bury_early),
    "margin_is_reserved_for_live_orders_alone": (Account, "release", do_nothing),
    "backtraders_books_are_the_accounts": (Booking, "_mirror", misprice),
    "open_trades_are_the_position": (Booking, "_note_lot", do_nothing),
    "a_position_is_in_the_pool_of_its_mode": (Book, "attach", into_cross),
    "leverage_is_what_the_table_in_force_allows": (Account, "clock", only_time),
    "what_is_asked_is_what_the_rules_in_force_say": (Position, "refresh", stale),
    "a_ratio_at_a_threshold_has_called": (Stepper, "_risky", call_nobody),
    "the_fund_is_its_shares": (MarginBroker, "_move_cash", no_shares),
    "each_balance_is_the_sum_of_its_entries": (Book, "_post", mix_up),
    "each_event_tells_the_balance_it_left": (Book, "record", rounded),
    "an_isolated_pool_never_loses_more_than_was_posted": (Book, "_cover", reach_into_cross),
    "what_was_traded_is_what_was_earned": (Book, "commit", luckier),
    "orders_go_through_legal_statuses": (Admission, "notify", tell_twice),
    "every_status_is_told": (Admission, "notify", hush("Canceled")),
    "each_fill_is_told_once": (Admission, "notify", hush("Completed")),
    "each_liquidation_is_told_as_orders": (Forced, "book_liquidation", smaller),
    "a_refused_order_says_why": (Admission, "admit", without_reason),
    "a_reducing_order_never_opens": (Booking, "_fill_size", all_of_it),
    "a_limit_is_kept": (Booking, "_execute", beyond),
    "orders_earn_what_the_ledger_realised": (Forced, "book_liquidation", poorer),
    "trades_earn_what_the_ledger_realised": (Forced, "book_liquidation", dearer),
    "trades_cost_what_the_ledger_charged": (Booking, "_funding_share", for_free),
    "the_dead_trade_nothing_until_cash_is_added": (Account, "dead_refusal", say_nothing),
    "every_event_is_found_by_its_number": (Book, "record", backwards),
    "every_event_has_its_cause": (Book, "_shortfall", of_the_deposit),
    "the_equity_curve_has_every_bar_once": (MarginBroker, "_close_books", twice_a_bar),
    "a_position_stands_at_its_last_mark": (Stepper, "step", drift),
    "cash_and_value_are_told": (MarginBroker, "get_fundvalue", richer),
    "the_markets_were_what_they_were": (Account, "fill", elsewhere),
    "funding_is_paid_once_on_what_was_held": (Cashier, "book_funding", again),
    "everybody_hears_of_liquidations_and_margin_calls": (Notices, "notify_fund", do_nothing),
    "each_trade_is_told_as_it_opens_and_as_it_closes": (bt.Strategy, "_notify", forget_trades),
    "of_a_group_one_is_filled": (Admission, "_ococheck", do_nothing),
    "a_bracket_has_one_end": (bt.brokers.BackBroker, "_bracketize", children_stay),
    "what_has_run_out_is_not_filled": (bt.Order, "expire", for_ever),
    "a_preview_is_the_fill": (AccountView, "preview", flatter),
    "no_pool_past_its_published_bound_survives": (Pool, "worst", hopeful),
    "each_liquidation_began_at_the_published_bound": (Pool, "maintenance", stricter),
    "parts_are_sold_where_the_venue_sells_parts": (FullClose, "choose", in_halves),
    "a_liquidation_costs_what_the_venue_says": (Book, "commit", of_closings(overcharged)),
    "what_is_left_goes_where_the_venue_says": (Book, "commit", of_closings(let_off)),
    "funding_is_taken_from_where_the_venue_says": (Cashier, "_paid_elsewhere", of_its_own),
    "what_is_held_costs_what_the_venue_publishes": (Cashier, "accrue", longer),
    "a_fill_costs_what_the_venue_says_and_averages": (AccountView, "venue_fee", dearer_fees),
    "a_copy_through_pickle_is_the_same": (Account, "fork", generous),
    ENDED: (MarginBroker, "cancel_pool", give_up),
    ALIKE: (Account, "deposit", by_chance),
    NAIVE: (AccountView, "venue_fee", dearer_fees),
}


#: laws of mechanisms, and where the first stories meet them
WHERE = {
    "a_bracket_has_one_end": "generic",
    "an_isolated_pool_never_loses_more_than_was_posted": "generic",
    "parts_are_sold_where_the_venue_sells_parts": "krakeninverse",
    "each_liquidation_began_at_the_published_bound": "generic",
    "funding_is_taken_from_where_the_venue_says": "bybit",
    "what_is_held_costs_what_the_venue_publishes": "gmx_v1",
    "a_liquidation_costs_what_the_venue_says": "krakenfutures",
    "what_is_left_goes_where_the_venue_says": "krakenfutures",
}


def broken(law: str, monkeypatch: Any) -> None:
    """Break the code so that the law must notice."""
    owner, name, damage = BREAKS[law]
    was = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *found, **named: damage(was, *found, **named))
