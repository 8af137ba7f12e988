"""The naive account beside the machine: each bar of a story it understands is lived a second time by it.

It follows the neutral venue, dYdX v3 (3 % at the mark, everything taken over, nothing left) and Kraken
Futures before its sales in parts (1 % of the first level, sold whole, the rest is the trader's).

It is put into the state the account was in before the bar, so that every bar counts on its own and a
difference cannot hide behind an earlier one. It understands linear contracts, mark = last, liquidation of
whole pools, market, limit and stop orders; which of several orders of one symbol fills first in a harmless
bar, and whether an order at the edge of the margin is taken, are left to the laws of orders.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import backtrader as bt
from machine.grammar import Seeded, act, bar, setup
from machine.life import POLICIES, TIERS, Life
from machine.story import Story
from naive import Held, Naive, Order
from stories.test_twin import chosen, lived, paths

INFINITE = float("inf")


class Followed(NamedTuple):
    """What of a venue's stories the naive account can follow, and the numbers it is told of the venue.

    ``fee`` is what a script's own scheme charges: one rate for makers and takers; ``most`` the notional up
    to which ``rate`` is asked for.
    """

    symbols: tuple[int, ...] = (1, 2)
    funded: bool = True
    start: str = "2024-01-01"
    rate: float = 0.01
    fee: float = 0.0
    liquidation_fee: float = 0.0
    sale: bool = True
    nothing_left: bool = False
    most: float = INFINITE


#: of the neutral venue each story says the numbers itself; the funding of Kraken accrues
FOLLOWED = {
    "generic": Followed(),
    "dydx_v3": Followed(start="2023-01-01", rate=0.03, fee=0.0005, sale=False, nothing_left=True),
    "krakenfutures": Followed((1,), False, fee=0.0005, liquidation_fee=0.0005, most=500_000.0),
}


def rules_of(story: Story) -> Followed:
    """The numbers of a story's venue."""
    setup, found = story.setup, FOLLOWED[story.setup.venue]
    if setup.venue != "generic":
        return found
    policy = POLICIES[setup.policy]
    sale = policy.settle == "sale"
    return found._replace(
        fee=setup.fee, liquidation_fee=setup.liquidation_fee if sale else 0.0, sale=sale,
        nothing_left=policy.residual == "fund",
    )  # fmt: skip


BARS = 100
KINDS = {bt.Order.Market: "market", bt.Order.Limit: "limit", bt.Order.Stop: "stop"}
ORDERS = ("market", "market", "limit", "stop", "limit", "stop", "close", "target_size")
NEAR = 1e-6


def naive_story(seed: str) -> Story:
    """A story the naive account can follow."""
    pick = Seeded(seed)
    venue = pick.one(("generic", "generic", *FOLLOWED))
    rules = FOLLOWED[venue]
    one = replace(
        setup(pick, venue=venue), symbols=pick.one(rules.symbols), policy=pick.one((0, 1, 2)), hedge=False,
        lot=0.0, maker=1.0, mixed=False, leverage=pick.one((20.0, 10.0, 3.0)), top_up=False,
        liquidation_slippage=0.0, marks="none", feed=pick.one(("PerpData", "PandasData")),
        step=60, stamped="open", start=rules.start, detail=False, delisted=0, late=0, slip=0.0,
        slip_fixed=0.0, slip_out=False, filler="", coc=False, coo=False, checksubmit=True,
        commission=rules.fee, interest=0.0, company=1,
    )  # fmt: skip
    levels, bars = [0.0] * one.markets, []
    for _ in range(BARS):
        found = bar(pick, one, levels)
        moves = tuple(move._replace(kind="") for move in found.moves)
        acts = tuple(
            act(pick, one)._replace(name=pick.one(ORDERS), who=0, on=on)
            for on in range(one.markets) if pick.chance(0.3)
        )  # fmt: skip
        stamps = tuple(stamp._replace(when=0.0) for stamp in found.stamps if rules.funded)
        bars.append(found._replace(moves=moves, acts=acts, stamps=stamps))
    return Story(one, tuple(bars), seed)


def understood(story: Story) -> bool:
    """Whether the naive account knows everything that a story may bring."""
    s, rules = story.setup, FOLLOWED.get(story.setup.venue)
    if rules is None:
        return False
    strange = (
        s.hedge, s.symbols not in rules.symbols, not rules.funded and any(b.stamps for b in story.bars),
        s.lot, s.maker != 1.0, s.mixed, s.top_up, s.liquidation_slippage,
        s.marks != "none", s.feed == "Trickle",
        s.step != 60, s.stamped != "open", s.start != rules.start, s.detail, s.delisted, s.late,
        s.slip, s.slip_fixed, s.filler, s.coc, s.coo, not s.checksubmit,
        s.commission != rules.fee, s.interest,
        s.company > 1, s.policy % len(POLICIES) > 2, s.leverage > 20,
    )  # fmt: skip
    kinds = {a.name for b in story.bars for a in b.acts}
    moves = {m.kind for b in story.bars for m in b.moves}
    stamps = {stamp.when for b in story.bars for stamp in b.stamps}
    return not any(strange) and kinds <= {*ORDERS} and moves <= {""} and stamps <= {0.0}


@dataclass
class State:
    """The account after a bar and after what the strategy then asked for."""

    cash: float
    held: dict[str, Held]
    marks: dict[str, float]
    resting: list[tuple[str, float, str, float]]
    asked: list[tuple[str, float, str, float]]
    equity: float
    wallet: float
    skip: bool


def state_of(s: Any) -> State:
    """What the naive account must know to go on from here."""
    account, broker = s.broker.account, s.broker
    isolated = s.p.story.setup.mode == "isolated"
    held = {
        p.symbol: Held(p.size, p.entry, p.pool.balance if isolated else 0.0)
        for p in account.positions.values()
    }
    closes = {d._name: float(d.close[0]) for d in s.datas}
    skip = account.dead or bool(broker._cash_addition)
    return State(
        account.cross.balance, held, closes, _orders(s, broker.pending),
        _orders(s, broker.submitted), account.equity(), account.wallet(), skip,
    )  # fmt: skip


def _orders(s: Any, queue: Any) -> list[tuple[str, float, str, float]]:
    return [
        (o.data._name, float(o.executed.remsize), KINDS[o.exectype], float(o.created.price or 0.0))
        for o in queue
        if o is not None and o.alive()
    ]


@dataclass
class Seen:
    """A story in the words of the tests of the naive account."""

    names: tuple[str, ...]
    orders: dict[int, list[Order]]
    rates: list[tuple[int, str, float]]
    tied: bool = False


def followed(life: Life, states: dict[int, State]) -> int:
    """Hold each bar against the naive account; how many it could follow to their end."""
    story, count = life.story, 0
    rates: dict[int, list[tuple[int, str, float]]] = defaultdict(list)
    for n, one in enumerate(story.bars):
        for stamp in one.stamps:
            on = min(stamp.on, len(story.names) - 1)
            if stamp.on < len(story.names):
                rates[n] = [r for r in rates[n] if r[1] != story.names[on]]
                rates[n].append((n, story.names[on], stamp.rate))
    events: dict[int, list[Any]] = defaultdict(list)
    for event in life.broker.events:
        events[(event.time - story.start) // story.step].append(event)
    for n in range(1, len(story.bars)):
        before, after = states.get(n - 1), states.get(n)
        if before is not None and after is not None and not before.skip:
            count += _agree(story, n, before, after, events[n], rates[n])
    return count


def _agree(
    story: Story, n: int, before: State, after: State, events: list[Any], rates: Any
) -> bool:
    """The same deaths at the same prices, the same fills, sizes and money; False if left open."""
    if before.equity * story.setup.leverage > rules_of(story).most:
        return False
    one = _naive(story, before)
    orders = [Order(*each) for each in before.asked]
    seen = Seen(story.names, {n: orders}, rates)
    candles = {name: story.candles[on][n] for on, name in enumerate(story.names)}
    lows = chosen(one, seen, n, candles, story.setup.intrabar)  # type: ignore[arg-type]
    end = lived(one, seen, n, paths(candles, lows))  # type: ignore[arg-type]
    mine, other = _log(events), _named(end.log)
    noes, others = mine["rejected"], other["rejected"]
    if [x for x, _ in noes] != [x for x, _ in others]:
        return False
    if not _near(
        [p for _, p in noes], [p or q for (_, p), (_, q) in zip(others, noes, strict=True)]
    ):
        return False  # of two orders the other one
    dead, died = mine["liquidation"], other["liquidation"]
    assert [x for x, _ in dead] == [x for x, _ in died], (n, dead, died)
    if seen.tied:
        return False  # the one path or the other, which may fill other orders
    if rules_of(story).sale:
        assert _near([p for _, p in dead], [p for _, p in died]), (n, dead, died)
    names = [x for x, _ in mine["fill"]]
    ambiguous = len(names) > len(set(names)) or names != [x for x, _ in other["fill"]]
    if ambiguous and (other["rejected"] or len(orders) + len(before.resting) > 1):
        return False
    assert names == [x for x, _ in other["fill"]], (n, mine["fill"], other["fill"])
    assert _near([p for _, p in mine["fill"]], [p for _, p in other["fill"]]), (n, mine, other)
    sizes = {name: held.size for name, held in after.held.items()}
    told = {name: held.size for name, held in end.held.items()}
    assert sizes.keys() == told.keys(), (n, sizes, told)
    assert _near(list(sizes.values()), [told[name] for name in sizes]), (n, sizes, told)
    posted = sum(held.posted for held in end.held.values())
    assert _near([after.equity], [end.equity()], story.cash), (n, after.equity, end.equity())
    assert _near([after.wallet], [end.cash + posted], story.cash), (n, after.wallet)
    return True


def _naive(story: Story, before: State) -> Naive:
    setup, rules = story.setup, rules_of(story)
    rows = [(INFINITE, rules.rate, 0.0)]
    if setup.tiers:
        rows = [(INFINITE if cap is None else cap, rate, cut) for cap, rate, cut, _ in TIERS]
    one = Naive(
        before.cash, setup.mode == "isolated", setup.leverage, dict.fromkeys(story.names, rows),
        rules.fee, rules.liquidation_fee, rules.nothing_left, marks=dict(before.marks),
        held=copy.deepcopy(before.held), bars=0,
    )  # fmt: skip
    for each in before.resting:
        order = Order(*each)
        one.affords(order, order.price or one.marks[order.symbol])
        one.orders.append(order)
    return one


def _log(events: list[Any]) -> dict[str, list[tuple[str, float]]]:
    return _named([(0, e.symbol, e.kind, e.price) for e in events])


def _named(log: Any) -> dict[str, list[tuple[str, float]]]:
    kinds = ("fill", "rejected", "liquidation")
    return {k: sorted((name, p) for _, name, what, p in log if what == k) for k in kinds}


def _near(one: list[float], two: list[float], scale: float = 0.0) -> bool:
    return len(one) == len(two) and all(
        abs(a - b) <= NEAR * max(abs(a), abs(b), scale) for a, b in zip(one, two, strict=True)
    )
