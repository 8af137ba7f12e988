"""Laws of the account and of what scripts are told: on every bar, and at the end of a run.

Each law is a function named by its sentence. A law of a bar is shown the strategy, a law of the end the
finished run (``story``, ``broker``, ``strategies``). ``strategy.told`` holds what it was notified of, orders
as ``(bar, "order", ref, status, price, size done, size left, ...)``. :mod:`machine.breaks` keeps for each
law a way to break the code that the law must notice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

from bt_margin.engine.events import KINDS
from bt_margin.engine.margin_calls import RELEASE
from bt_margin.plugin.broker import NOTHING

FIRST = {"Submitted", "Accepted"}
OVER = {"Completed", "Canceled", "Expired", "Margin", "Rejected"}
FOLLOWS = {
    "Submitted": {"Accepted", "Canceled", "Margin", "Rejected"},
    "Accepted": {"Partial", *OVER},
    "Partial": {"Partial", *OVER},
}
#: events in which a position suffers, as opposed to those in which its owner posts margin
SUFFERED = ("funding", "liquidation", "shortfall", "breach")
Law = Callable[[Any], None]


def scale_of(broker: Any) -> float:
    """The size of the account, against which the noise of floats is measured."""
    totals = broker.account.ledger.totals.values()
    began = broker.startingcash if broker.startingcash > 0.0 else 0.0
    return max(float(began), *map(abs, totals))


def same(one: float, two: float, scale: float = 1.0, rel: float = 1e-9) -> bool:
    """Equal but for the noise of floats."""
    return abs(one - two) <= rel * max(abs(one), abs(two), scale)


# -- what the strategy sees on every bar ----------------------------------------------------------------


def the_money_adds_up(s: Any) -> None:
    s.broker.account.audit()


def no_pool_is_in_breach(s: Any) -> None:
    for pool in s.broker.account.pools.values():
        equity, need = pool.equity(), pool.maintenance()
        healthy = equity >= need if pool.strict else equity > need
        assert not pool.positions or healthy, (pool, equity, need)


def equity_is_never_below_zero(s: Any) -> None:
    account = s.broker.account
    assert account.equity() >= -1e-9 * scale_of(s.broker)
    for pool in account.pools.values():  # one that owes can only stand on coins that are pledged
        assert pool.positions or pool.balance >= 0 or pool.backing() > 0, pool
    for vault in account.vault.values():
        assert vault.balance >= 0, vault


def the_dead_have_nothing(s: Any) -> None:
    account = s.broker.account
    assert not account.dead or account.equity() <= 1e-9 * scale_of(s.broker)


def margin_is_reserved_for_live_orders_alone(s: Any) -> None:
    reserved = s.broker.account.orders
    resting = {order.ref: order for order in s.broker.pending if order.alive()}
    assert set(reserved.symbol_of) == set(resting)
    for entries in reserved.by_symbol.values():
        for ref, entry in entries.items():
            left = resting[ref].executed.remsize
            assert same(entry.size, left, abs(entry.size)), (ref, entry, left)


def backtraders_books_are_the_accounts(s: Any) -> None:
    """Of either kind of contract: value, cash, positions (the net of two sides), the worth of each."""
    account, scale = s.broker.account, scale_of(s.broker)
    if s.broker.getvalue() != s.broker.getvalue():  # a coin has no price yet
        assert not all(account.rate(unit) for unit in (*account.wallets, *account.vault))
        return
    assert abs(s.broker.getvalue() - max(0.0, account.equity())) <= 2e-6 + 1e-9 * scale  # the floor
    free = sum(account.available(home) * account.rate(u) for u, home in account.wallets.items())
    assert same(s.broker.getcash(), max(0.0, free), scale)
    for data in s.datas:
        own, held = account.position(data._name), s.getposition(data)
        sides = [account.book.get(f"{data._name} {side}") for side in ("long", "short")]
        for p in (side for side in sides if side is not None):
            half = s.broker.getposition(data, p.leg)
            assert (half.size, half.price) == (p.size, p.entry if p.size else 0.0), p
            assert not (own.size and p.size), (own, p)
        whole = [p for p in (own, *sides) if p is not None]
        size = sum(p.size for p in whole)
        assert same(held.size, size, max(abs(p.size) for p in whole)), (held.size, size)
        if held.size:
            assert held.price == max(whole, key=lambda p: abs(p.size)).entry
        if held.size and len(data) and data.close[0] > 0.0:
            worth = own.contract.notional(held.size, data.close[0]) * told_at(
                account, own, data.close[0]
            )
            assert same(abs(s.broker.getvalue([data])), worth, scale), data._name


def told_at(account: Any, p: Any, price: float) -> float:
    """What a unit of what a contract settles in is worth at a price, in what backtrader is told."""
    return price if p.inverse and p.contract.settle != account.currency else 1.0


def open_trades_are_the_position(s: Any) -> None:
    """However many strategies and trade ids share it."""
    for data in s.datas:
        size = s.getposition(data).size
        parts = [
            trade.size
            for strategy in s.cerebro.runningstrats
            for trades in strategy._trades.get(data, {}).values()
            for trade in trades
        ]
        assert same(sum(parts), size, 1 + sum(map(abs, parts))), (data._name, sum(parts), size)


def a_position_is_in_the_pool_of_its_mode(s: Any) -> None:
    account = s.broker.account
    for key, pool in account.pools.items():
        assert pool.key == key, pool
        assert pool in account.wallets.values() or len(pool.positions) == 1, pool
        for p in pool.positions:
            assert p.size, p
            assert p.pool is pool, p
            assert account.pool_key(p) == key, (p, key)
    for p in account.book.values():
        assert bool(p.size) == (p.pool is not None), p


def leverage_is_what_the_table_in_force_allows(s: Any) -> None:
    account = s.broker.account
    for p in account.book.values():
        assert p.limits == account.venue.schedule(p.market).at(account.time), p
        assert p.leverage <= p.limits.max_leverage(0.0), p


def what_is_asked_is_what_the_rules_in_force_say(s: Any) -> None:
    """Of each position as it now stands, and of a pool as a whole; nothing is left from before."""
    account = s.broker.account
    venue, now = account.venue, account.time
    asked: dict[str, Any] = s.__dict__.setdefault("asked", {})
    for p in account.book.values():
        assert p.rule is venue.margin_at(now), p
        assert p.taker == venue.fees_at(p.market, now).taker, p
        if p.size:
            held = p.held()
            if asked.get(p.symbol) != (held, id(p.table)):  # asked once of the same
                assert p.table == p.rule.requirement(held), p
                asked[p.symbol] = (held, id(p.table))
    for pool in account.pools.values():
        whole = venue.shared.of(pool.seen(), now) if venue.shared and pool.positions else 0.0
        assert same(pool.shared, whole, abs(pool.balance)), (pool, pool.shared, whole)
    for pledge in account.cross.pledges:
        assert pledge.ratio == venue.collateral_ratio(pledge.coin, now), pledge.coin


def a_ratio_at_a_threshold_has_called(s: Any) -> None:
    """As the bar left it: at a threshold it has called, far below one it calls no more."""
    account = s.broker.account
    if s is not s.cerebro.runningstrats[0]:
        return  # the first may have moved margin since
    for pool in account.pools.values():
        equity, need = pool.equity(), pool.maintenance()
        for threshold in account.margin_calls if pool.positions else ():
            edge = threshold * (RELEASE if threshold in pool.called else 1.0) * equity
            called = need >= edge if equity > 0.0 else True
            near = same(need, edge, abs(equity), 1e-7)
            assert near or called == (threshold in pool.called), (pool, need, equity, pool.called)


def the_fund_is_its_shares(s: Any) -> None:
    """Money that is paid in or out buys or sells shares at their value before it, coins at theirs."""
    broker, account = s.broker, s.broker.account
    value, shares, worth = broker.getvalue(), broker.get_fundshares(), broker.get_fundvalue()
    if value != value:  # coins without a price yet; the fund begins with the first
        return
    assert same(shares * worth, value, value), (shares, worth, value)
    rates = {unit: account.rate(unit) for unit in (*account.wallets, *account.vault)}
    now = (len(account.events), shares, worth, rates)
    since, had, each, rated = s.__dict__.setdefault("fund_before", now)
    moved = sum(
        event.amount * rated[event.pool.partition(":")[2]]
        for event in account.events[since:]
        if event.kind in ("deposit", "withdrawal")
    )
    bought = moved / each if each > NOTHING else 0.0
    assert each <= NOTHING or same(shares, had + bought, abs(shares) + abs(had), 1e-6), (
        had,
        shares,
    )
    s.fund_before = now


# -- what is left at the end ----------------------------------------------------------------------------


def each_balance_is_the_sum_of_its_entries(life: Any) -> None:
    account = life.broker.account
    sums: dict[str, float] = defaultdict(float)
    most: dict[str, float] = defaultdict(float)
    for entry in account.ledger:
        sums[entry.pool] += entry.amount
        most[entry.pool] = max(most[entry.pool], abs(entry.amount), abs(sums[entry.pool]))
    pools = {**account.pools, **{vault.key: vault for vault in account.vault.values()}}
    for key in {**sums, **pools}:
        balance = pools[key].balance if key in pools else 0.0
        assert same(sums[key], balance, most[key]), (key, sums[key], balance)


def each_event_tells_the_balance_it_left(life: Any) -> None:
    """The sum of the entries up to it; what a shortfall bears right after it is borne already."""
    account, scale = life.broker.account, scale_of(life.broker)
    by_event: dict[int, list[Any]] = defaultdict(list)
    for entry in account.ledger:
        by_event[entry.event].append(entry)
    sums: dict[str, float] = defaultdict(float)
    for event, after in zip_longest(account.events, account.events[1:]):
        for entry in by_event.pop(event.id, ()):
            sums[entry.pool] += entry.amount
        if event.pool is not None and event.balance is not None:
            found = sums[event.pool]
            borne = after is not None and (after.kind, after.cause) == ("shortfall", event.id)
            if borne and event.kind != "conversion":  # which tells what the coins did not fetch
                found += after.amount
            assert same(event.balance, found, scale), (event, found)
    assert not by_event


def an_isolated_pool_never_loses_more_than_was_posted(life: Any) -> None:
    """Nothing is taken from the cross pool when it suffers; and what it lost, whenever flat, was posted.

    Where the venue's funding is paid by the wallet, the wallet pays that, as far as it reaches.
    """
    account, scale = life.broker.account, scale_of(life.broker)
    posted: dict[str, float] = defaultdict(float)
    lost: dict[str, float] = defaultdict(float)
    by_event: dict[int, list[Any]] = defaultdict(list)
    for entry in account.ledger:
        by_event[entry.event].append(entry)
    for event in account.events:
        pool = event.pool or ""
        for entry in by_event[event.id]:
            if entry.pool.startswith("isolated:"):
                (posted if entry.kind == "transfer" else lost)[entry.pool] += entry.amount
            elif event.kind in SUFFERED and pool.startswith("isolated:"):
                funded = (account.venue.funding.payer, entry.kind) == ("wallet", "funding")
                assert entry.amount >= 0 or funded, entry
        if event.kind == "liquidation" and event.info["whole"]:
            missing = [e.amount for e in by_event[event.id + 1] if e.kind == "insurance"]
            assert -lost[pool] <= posted[pool] + sum(missing) + 1e-9 * scale, event


def what_was_traded_is_what_was_earned(life: Any) -> None:
    """Each symbol's profit, from sizes and prices alone: what was paid, received and is still held."""
    account = life.broker.account
    flows: dict[str, list[float]] = defaultdict(list)
    booked: dict[str, list[float]] = defaultdict(list)
    for event in account.events:
        if event.kind in ("fill", "liquidation"):
            contract = account.position(event.symbol).contract
            flows[event.symbol].append(
                -event.size * contract.multiplier * contract.worth(event.price)
            )
            booked[event.symbol].append(event.realised)
    for symbol, paid in flows.items():
        p = account.position(symbol)
        held = p.size * p.multiplier * p.worth(p.mark)
        ours = sum(paid) + held
        told = sum(booked[symbol]) + p.unrealised()
        # a takeover at the bankruptcy price leaves exactly nothing: cut to a billionth of its result
        turnover = sum(map(abs, paid)) + abs(held)
        assert abs(ours - told) <= 1e-9 * turnover, (symbol, ours, told)


def orders_go_through_legal_statuses(life: Any) -> None:
    """Submitted, accepted, perhaps in parts, over: once, with no size lost on the way."""
    for strategy in life.strategies:
        last: dict[int, str] = {}
        whole: dict[int, float] = {}
        for line in strategy.told:
            if line[1] != "order":
                continue
            ref, status, done, rest = line[2], line[3], line[5], line[6]
            assert status in (FOLLOWS.get(last[ref], ()) if ref in last else FIRST), line
            size = whole.setdefault(ref, done + rest)
            if abs(size) < float("inf"):  # not of an order for no number of contracts
                assert abs(done + rest - size) <= 3e-6 + 1e-9 * abs(size), line
            assert status != "Completed" or not rest, line
            last[ref] = status


def every_status_is_told(life: Any) -> None:
    """The last that a strategy hears of each of its orders is how the order is, or waits to be told."""
    for strategy in life.strategies:
        waiting = untold(life, strategy)
        last: dict[int, str] = {}
        for line in strategy.told:
            if line[1] == "order":
                last[line[2]] = line[3]
        base = getattr(strategy, "base", 0)
        for order in life.broker.orders:
            if order.owner is strategy and order.ref not in waiting:
                told = last.get(order.ref - base)
                assert told == order.getstatusname(), (order.ref, told, order.getstatusname())


def untold(life: Any, strategy: Any) -> set[int]:
    """Orders of which notices wait for a bar that does not come any more."""
    queued = [*life.broker.notifs, *strategy._orderspending]
    return {note.ref for note in queued if note is not None}


def each_fill_is_told_once(life: Any) -> None:
    """As many notices in which an order's size grew as the account has fills of it."""
    grown: dict[int, int] = defaultdict(int)
    waiting: set[int] = set()
    for strategy in life.strategies:
        waiting |= untold(life, strategy)
        done: dict[int, float] = {}
        base = getattr(strategy, "base", 0)
        for line in strategy.told:
            if line[1] == "order":
                grown[line[2] + base] += line[5] != done.get(line[2], 0.0)
                done[line[2]] = line[5]
    fills: dict[int, int] = defaultdict(int)
    for event in life.broker.events:
        if event.kind == "fill" and event.order is not None:
            fills[event.order] += 1
    left_out = waiting | {o.ref for o in life.broker.orders if "event" in o.info}
    for ref in {*grown, *fills} - left_out:
        assert grown[ref] == fills[ref], (ref, grown[ref], fills[ref])


def each_liquidation_is_told_as_orders(life: Any) -> None:
    """Whose sizes and results sum to what the account has closed.

    Of trades that offset each other the results may be as large as the price is far: they are the noise's.
    """
    scale = scale_of(life.broker)
    gross: dict[int, float] = defaultdict(float)
    sizes: dict[int, float] = defaultdict(float)
    results: dict[int, float] = defaultdict(float)
    for order in life.broker.orders:
        if "event" in order.info:
            sizes[order.info["event"]] += order.executed.size
            results[order.info["event"]] += order.executed.pnl
            gross[order.info["event"]] += abs(order.executed.pnl)
    for event in life.broker.events:
        told = event.kind == "liquidation" or (event.kind == "fill" and event.order is None)
        if told:
            # of a trillionth of a contract the trade may be over already
            assert same(sizes.pop(event.id, 0.0), event.size, max(0.01, abs(event.size))), event
            p = life.broker.account.position(event.symbol)
            realised = event.realised * told_at(life.broker.account, p, event.price)
            noise = max(scale, gross[event.id])
            assert same(results[event.id], realised, noise), (event, results[event.id])
    assert not sizes


def a_refused_order_says_why(life: Any) -> None:
    rejected = {e.order for e in life.broker.events if e.kind == "rejected"}
    for order in life.broker.orders:
        if order.getstatusname() == "Margin":
            assert order.info.get("reason"), order.ref
            assert order.ref in rejected, order.ref


def a_reducing_order_never_opens(life: Any) -> None:
    for order in life.broker.orders:
        if order.info.get("reduce_only"):
            assert not any(bit.opened for bit in order.executed.exbits), order.ref


def a_limit_is_kept(life: Any) -> None:
    """Slippage included, unless it may leave the bar; backtrader lets stop-limits slip."""
    p = life.broker.p
    if p.slip_out:
        return
    kinds = ("Limit",) if p.slip_perc or p.slip_fixed else ("Limit", "StopLimit")
    for order in life.broker.orders:
        bound = order.created.pricelimit or order.created.price
        limited = order.getordername() in kinds and not order.info.get("liquidation")
        if limited and order.executed.size and bound:
            for bit in order.executed.exbits:
                worse = (bit.price - bound) * (1 if order.isbuy() else -1)
                assert worse <= 1e-9 * bound, (order.ref, bit.price, bound)


def orders_earn_what_the_ledger_realised(life: Any) -> None:
    if not life.broker.p.checksubmit:
        return  # of orders that are not checked backtrader keeps no list
    account = life.broker.account
    earned = [order.executed.pnl for order in life.broker.orders]
    booked = [
        event.realised * told_at(account, account.position(event.symbol), event.price)
        for event in account.events
        if event.kind in ("fill", "liquidation")
    ]
    scale = max(scale_of(life.broker), sum(map(abs, earned)))
    assert same(sum(earned), sum(booked), scale), (sum(earned), sum(booked))


def trades_of(life: Any, data: Any) -> Any:
    """Every trade of a feed, open or over, of every strategy."""
    for strategy in life.strategies:
        for trades in strategy._trades.get(data, {}).values():
            yield from trades


def sides_of(account: Any, symbol: str) -> list[Any]:
    """A symbol's position, and those of its sides where they are held."""
    names = (symbol, f"{symbol} long", f"{symbol} short")
    return [account.book[name] for name in names if name in account.book]


def trades_earn_what_the_ledger_realised(life: Any) -> None:
    """Trades of several owners and ids may offset each other: what is open of them counts at the mark.

    Not asked of coin contracts: backtrader's trades average prices, not their reciprocals.
    """
    account, scale = life.broker.account, scale_of(life.broker)
    for data in life.broker.cerebro.datas:
        sides = sides_of(account, data._name)
        if sides[0].inverse:
            continue
        earned, mark = 0.0, next((p.mark for p in sides if p.size), sides[0].mark)
        for trade in trades_of(life, data):
            earned += trade.pnl + sides[0].contract.pnl(trade.size, trade.price or mark, mark)
            scale += abs(trade.pnl)
        names = {p.symbol for p in sides}
        booked = [e.amount for e in account.ledger if e.kind == "realised" and e.symbol in names]
        held = sum(p.unrealised() for p in sides)
        assert same(earned, sum(booked) + held, scale), (data._name, earned, sum(booked), held)


def trades_cost_what_the_ledger_charged(life: Any) -> None:
    """Fees, and with ``int2pnl`` the funding and interest of what was closed.

    Interest that a venue charges the account and no position is no trade's. Not asked of coin contracts that
    are told in another currency: their funding is told at the price of the trade that closes.
    """
    account, broker = life.broker.account, life.broker
    broker._absorb_funding()
    kinds = {"fee", "liquidation_fee"} | ({"funding", "interest"} if broker.p.int2pnl else set())
    for data in broker.cerebro.datas:
        sides = sides_of(account, data._name)
        if sides[0].contract.settle != account.currency:
            continue
        names = {p.symbol for p in sides}
        paid = -sum(e.amount for e in account.ledger if e.symbol in names and e.kind in kinds)
        if broker.p.int2pnl:  # what is open still waits for its end
            paid -= broker.d_credit[data] + sum(broker.d_credit[name] for name in names)
        told = sum(trade.commission for trade in trades_of(life, data))
        assert same(told, paid, scale_of(broker)), (data._name, told, paid)


def the_dead_trade_nothing_until_cash_is_added(life: Any) -> None:
    dead, events = False, life.broker.events
    for event in events:
        if event.kind == "revived":
            assert (dead, events[event.cause].kind) == (True, "deposit"), event
        dead = event.kind == "dead" or (dead and event.kind != "revived")
        assert not dead or event.kind not in ("fill", "liquidation", "funding"), event
        if dead and event.kind == "rejected":
            # which numbers an order has and which side it means is asked before whose it is
            sides = ("position_side", "one_way_position")
            assert event.reason in ("dead", "size", "price", *sides), event


def every_event_is_found_by_its_number(life: Any) -> None:
    """In the order of time, and a cause comes before what it caused."""
    time = 0
    for place, event in enumerate(life.broker.events):
        assert event.id == place, event
        assert event.kind in KINDS, event
        assert event.cause is None or event.cause < event.id, event
        if (
            event.kind != "funding"
        ):  # which is told with its own moment, the others with their bar's
            assert event.time >= time, event
            time = event.time


def every_event_has_its_cause(life: Any) -> None:
    """A liquidation its breach, a shortfall what closed the position, a death what took the last of it."""
    causes = {
        "liquidation": ("breach",),
        "canceled": ("breach",),
        "shortfall": ("liquidation", "fill", "interest", "conversion"),
        "dead": ("liquidation", "fill", "interest", "conversion"),
        "revived": ("deposit",),
    }
    events = life.broker.events
    for event in events:
        wanted = causes.get(event.kind)
        if wanted is not None:
            assert event.cause is not None, event
            assert events[event.cause].kind in wanted, (event, events[event.cause])


def the_equity_curve_has_every_bar_once(life: Any) -> None:
    times, values = life.broker.equity_curve
    assert list(times) == sorted(set(times))
    assert len(times) == len(values)
    scale = scale_of(life.broker)
    assert same(values[-1], life.broker.account.equity(), scale) or not times[-1]


ON_EVERY_BAR, AT_THE_END = (
    (
        the_money_adds_up,
        no_pool_is_in_breach,
        equity_is_never_below_zero,
        the_dead_have_nothing,
        margin_is_reserved_for_live_orders_alone,
        backtraders_books_are_the_accounts,
        open_trades_are_the_position,
        a_position_is_in_the_pool_of_its_mode,
        leverage_is_what_the_table_in_force_allows,
        what_is_asked_is_what_the_rules_in_force_say,
        a_ratio_at_a_threshold_has_called,
        the_fund_is_its_shares,
    ),
    (
        each_balance_is_the_sum_of_its_entries,
        each_event_tells_the_balance_it_left,
        an_isolated_pool_never_loses_more_than_was_posted,
        what_was_traded_is_what_was_earned,
        orders_go_through_legal_statuses,
        every_status_is_told,
        each_fill_is_told_once,
        each_liquidation_is_told_as_orders,
        a_refused_order_says_why,
        a_reducing_order_never_opens,
        a_limit_is_kept,
        orders_earn_what_the_ledger_realised,
        trades_earn_what_the_ledger_realised,
        trades_cost_what_the_ledger_charged,
        the_dead_trade_nothing_until_cash_is_added,
        every_event_is_found_by_its_number,
        every_event_has_its_cause,
        the_equity_curve_has_every_bar_once,
    ),
)
"""Laws of any run, on every bar and at the end; :mod:`plugin.restless` keeps them too."""
