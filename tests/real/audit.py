"""A second opinion on a finished run, from raw files and its event list alone.

Every number the engine states is worked out again: fees, funding, entries, wallets, pools, the equity of
every bar, the requirement from the tier table, each crossing, each bankruptcy price. The reverse is looked
at too: every bar of every pool, for a liquidation that should have been and was not.

Along a straight leg equity is straight and the requirement of continuous tiers is convex, so health
(equity − requirement) is concave: it falls through zero at most once, and a leg whose two ends are healthy
is healthy throughout. That makes plain bisection exact and the scan complete. Only the two joint paths
(all lows first, all highs first) and orders that fill at the open are understood.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from real.rawdata import HOUR, Raw, ladder, liquidation_fee, required, taker, when

TOLERANCE = 1e-9
Marks = dict[str, float]


@dataclass
class Pool:
    """A balance and what it backs: signed size and average entry per symbol."""

    balance: float = 0.0
    held: dict[str, tuple[float, float]] = field(default_factory=dict)

    def equity(self, marks: Marks) -> float:
        return self.balance + sum(n * (marks[s] - e) for s, (n, e) in self.held.items())

    def need(self, time: int, marks: Marks) -> float:
        return sum(required(s, time, abs(n) * marks[s]) for s, (n, _) in self.held.items())

    def health(self, time: int, marks: Marks) -> float:
        return self.equity(marks) - self.need(time, marks)


@dataclass(frozen=True)
class Found:
    """One liquidation, explained by the second opinion."""

    scenario: str
    time: int
    pool: str
    symbol: str
    size: float
    entry: float
    wallet: float
    mark: float
    marks: Marks
    equity: float
    need: float
    tier: tuple[float, float]
    where: str
    settle: str
    price: float
    before: float

    def line(self) -> str:
        """A row for people."""
        side = "long" if self.size > 0 else "short"
        others = ", ".join(f"{s[:-10]} {m:.6g}" for s, m in self.marks.items())
        return (
            f"{self.scenario} {when(self.time)} {self.symbol} {side} {abs(self.size):g} @ {self.entry:.8g}; "
            f"wallet {self.wallet:,.2f}; marks {others}; equity {self.equity:,.4f} = maintenance "
            f"{self.need:,.4f} (tier {self.tier[0]:.2%} − {self.tier[1]:,.0f}); {self.where}; "
            f"{self.settle} at {self.price:.8g}; health at the close before {self.before:,.2f}"
        )


@dataclass
class Road:
    """What is left of one path through a bar for one pool: where it stands, the nodes ahead."""

    low_first: bool
    at: Marks
    ahead: list[Marks]

    def crossing(self, pool: Pool, time: int) -> tuple[Marks, str] | None:
        """The first marks at which the pool is in breach, or None; the road is walked up to there."""
        if pool.health(time, self.at) <= 0:
            return self.at, "at the open" if len(self.ahead) == 3 else "at a node"
        while self.ahead:
            end = self.ahead[0]
            if pool.health(time, end) <= 0:
                self.at = bisect(pool, time, self.at, end)
                names = ("second leg", "third leg")
                leg = "first leg" if len(self.ahead) == 3 else names[2 - len(self.ahead)]
                return self.at, f"{'low' if self.low_first else 'high'} first, {leg}"
            self.at = self.ahead.pop(0)
        return None


def bisect(pool: Pool, time: int, start: Marks, end: Marks) -> Marks:
    """Where health reaches zero between a healthy and a breached point."""
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        marks = {s: start[s] + (end[s] - start[s]) * middle for s in start}
        low, high = (middle, high) if pool.health(time, marks) > 0 else (low, middle)
    return {s: start[s] + (end[s] - start[s]) * high for s in start}


def near(one: float, other: float, scale: float = 0.0) -> bool:
    """Equal to 1e-9 of the larger, or of ``scale``."""
    return abs(one - other) <= TOLERANCE * max(abs(one), abs(other), scale, 1e-12)


class Auditor:
    """Goes through one run, bar by bar and event by event; ``wrong`` collects what does not agree."""

    def __init__(self, run: Any, raw: dict[str, Raw], mode: str, leverage: float) -> None:
        self.run, self.raw, self.mode, self.leverage = run, raw, mode, leverage
        self.wallet = Pool()
        self.pools: dict[str, Pool] = {"cross:USDT": self.wallet}
        self.known: Marks = {}
        self.roads: dict[str, list[Road]] = {}
        self.taking: dict[str, float] = {}
        self.wrong: list[str] = []
        self.found: list[Found] = []
        self.checked = {"bars": 0, "pool bars": 0, "fundings": 0, "fills": 0, "breaches": 0}
        self.breach: dict[str, Any] = {}
        self.before: dict[str, float] = {}

    def go(self) -> Auditor:
        """Audit the whole run."""
        times = [int(t.value // 1_000_000) for t in self.run.equity.index]
        equity = self.run.equity.tolist()
        events = list(self.run.broker.events)
        place = 0
        for time, claimed in zip(times, equity, strict=True):
            of_bar = []
            while place < len(events) and events[place].time < time + HOUR:
                of_bar.append(events[place])
                place += 1
            self.bar(time, of_bar)
            mine = sum(p.equity(self.known) for p in self.pools.values())
            self.expect(near(mine, claimed, 1.0), time, f"equity {claimed!r}, mine {mine!r}")
        self.expect(place == len(events), times[-1], "events beyond the last bar")
        return self

    def expect(self, true: bool, time: int, text: str) -> None:
        if not true:
            self.wrong.append(f"{self.mode} {when(time)}: {text}")

    # -- one bar --------------------------------------------------------------------------------

    def bar(self, time: int, events: list[Any]) -> None:
        self.checked["bars"] += 1
        self.roads = {}
        self.before = {k: p.health(time, self.known) for k, p in self.pools.items() if p.held}
        due = {
            s: raw.rates[time]
            for s, raw in self.raw.items()
            if time in raw.rates and self.pool_of(s) is not None
        }
        for event in events:
            self.expect(event.time == time, time, f"{event.kind} at {when(event.time)}")
            if event.kind == "funding":
                self.funding(time, event, due)
                continue
            act = getattr(self, f"on_{event.kind}", None)
            if act is not None:
                act(time, event)
        self.expect(not due, time, f"funding not charged: {due}")
        for key, pool in self.pools.items():
            if pool.held:
                self.checked["pool bars"] += 1
                self.survived(time, key, pool)
        for symbol, raw in self.raw.items():
            if time in raw.last:
                self.known[symbol] = raw.mark(time)[3]

    def survived(self, time: int, key: str, pool: Pool) -> None:
        """The rest of the bar must be free of breaches: no liquidation was missed."""
        ends = [road.crossing(pool, time) for road in self.roads_of(time, key, pool)]
        text = f"{key} should have been liquidated: {ends}"
        if key in self.roads:
            self.expect(None in ends, time, text)
        else:
            self.expect(ends == [None, None], time, text)

    def roads_of(self, time: int, key: str, pool: Pool) -> list[Road]:
        """The paths still possible for a pool in this bar."""
        if key in self.roads:
            return self.roads[key]
        bars = {s: self.raw[s].mark(time) for s in self.raw if time in self.raw[s].last}
        nodes = [{s: bars[s][i] for s in bars} for i in range(4)]
        first, high, low, close = nodes
        return [Road(True, first, [low, high, close]), Road(False, first, [high, low, close])]

    def pool_of(self, symbol: str) -> Pool | None:
        return next((p for p in self.pools.values() if symbol in p.held), None)

    # -- money ----------------------------------------------------------------------------------

    def on_deposit(self, time: int, event: Any) -> None:
        self.wallet.balance += event.amount

    def funding(self, time: int, event: Any, due: dict[str, float]) -> None:
        """Charged once, at its time, on what was held before, at the last known mark; longs pay."""
        self.checked["fundings"] += 1
        rate = due.pop(event.symbol, None)
        self.expect(rate is not None, time, f"funding of {event.symbol} not due, or charged twice")
        pool = self.pool_of(event.symbol)
        assert pool is not None
        size = pool.held[event.symbol][0]
        amount = -size * self.known[event.symbol] * (rate or 0.0)
        self.expect(near(amount, event.amount), time, f"funding {event.amount!r}, mine {amount!r}")
        pool.balance += amount
        self.settled(time, event, pool)

    def on_fill(self, time: int, event: Any) -> None:
        self.checked["fills"] += 1
        symbol, size, price = event.symbol, event.size, event.price
        self.expect(price == self.raw[symbol].last[time][0], time, f"fill at {price}, not the open")
        pool = self.pool_of(symbol)
        held, entry = pool.held[symbol] if pool else (0.0, 0.0)
        opposite = held * size < 0
        closed = (-held if abs(size) >= abs(held) else size) if opposite else 0.0
        rate = taker(time)
        if closed and pool is not None:
            self.close(pool, symbol, closed, price, abs(closed) * price * rate)
        opened = size - closed
        if opened:
            left, old = (held + closed, entry) if held + closed else (0.0, 0.0)
            key = "cross:USDT" if self.mode == "cross" else f"isolated:{symbol}"
            pool = self.pools.setdefault(key, Pool())
            average = (left * old + opened * price) / (left + opened)
            pool.held[symbol] = (left + opened, average)
            posted = abs(opened) * price / self.leverage if self.mode == "isolated" else 0.0
            self.wallet.balance -= posted + abs(opened) * price * rate
            if pool is not self.wallet:
                pool.balance += posted
        fee = abs(size) * price * rate
        self.expect(near(fee, event.fee), time, f"fee {event.fee!r}, mine {fee!r}")

    def close(self, pool: Pool, symbol: str, size: float, price: float, fee: float) -> None:
        """A part (or all) of a position is closed by an order; its share of the margin comes home."""
        held, entry = pool.held[symbol]
        realised = -size * (price - entry)
        share = -size / held
        back = max(0.0, pool.balance * share + realised - fee)
        pool.balance += realised - fee
        if abs(share - 1) < 1e-12:
            del pool.held[symbol]
            back = max(0.0, pool.balance)
        else:
            pool.held[symbol] = (held + size, entry)
        if pool is not self.wallet:
            pool.balance -= back
            self.wallet.balance += back

    def settled(self, time: int, event: Any, pool: Pool) -> None:
        ok = near(pool.balance, event.balance, 1.0)
        self.expect(ok, time, f"{event.kind}: balance {event.balance!r}, mine {pool.balance!r}")

    # -- liquidations ---------------------------------------------------------------------------

    def on_breach(self, time: int, event: Any) -> None:
        """The marks of the breach are the first crossing on one of the two joint paths."""
        self.checked["breaches"] += 1
        pool = self.pools[event.pool]
        claimed = dict(event.info["marks"])
        kept, told, mine = [], [], ""
        for road in self.roads_of(time, event.pool, pool):
            crossing = road.crossing(pool, time)
            told.append(crossing)
            if crossing and all(near(crossing[0][s], m) for s, m in claimed.items()):
                kept.append(road)
                mine = mine or crossing[1]
        self.expect(bool(kept), time, f"{event.pool} breach at {claimed}, mine {told}")
        self.roads[event.pool] = kept
        for symbol, mark in claimed.items():
            _, high, low, _ = self.raw[symbol].mark(time)
            inside = low * (1 - 1e-12) <= mark <= high * (1 + 1e-12)
            self.expect(inside, time, f"mark {mark} outside the bar's {low} to {high}")
        equity, need = pool.equity(claimed), pool.need(time, claimed)
        scale = sum(abs(n) * claimed[s] for s, (n, _) in pool.held.items())
        self.expect(near(need, event.found), time, f"need {event.found!r}, mine {need!r}")
        ok = near(equity, event.allowed, scale)
        self.expect(ok, time, f"equity {event.allowed!r}, mine {equity!r}")
        if len(claimed) == 1 and mine != "at the open":
            ((symbol, mark),) = claimed.items()
            ok = near(closed_form(pool, symbol, time), mark)
            self.expect(
                ok, time, f"{symbol} at {mark!r}, by the formula {closed_form(pool, symbol, time)}"
            )
        self.breach = {"marks": claimed, "equity": equity, "need": need, "where": mine,
                       "wallet": pool.balance}  # fmt: skip
        self.taking = {}

    def on_liquidation(self, time: int, event: Any) -> None:
        pool, symbol = self.pools[event.pool], event.symbol
        size, entry = pool.held[symbol]
        marks = self.breach["marks"]
        mark, settle = marks[symbol], event.info["settle"]
        if settle == "takeover":
            self.taking = self.taking or bankruptcy(pool, time, marks)
            price, fee = self.taking[symbol], 0.0
        else:
            price, fee = mark, abs(event.size) * mark * liquidation_fee(symbol)
        realised = -event.size * (price - entry)
        scale = abs(size) * mark
        self.expect(near(price, event.price), time, f"closed at {event.price!r}, mine {price!r}")
        self.expect(near(fee, event.fee, 1e-3), time, f"fee {event.fee!r}, mine {fee!r}")
        ok = near(realised, event.realised, scale)
        self.expect(ok, time, f"realised {event.realised!r}, mine {realised!r}")
        self.note(time, event, size, entry, price, settle)
        pool.balance += realised - fee
        if abs(size + event.size) <= 1e-12 * abs(size):
            del pool.held[symbol]
        else:
            pool.held[symbol] = (size + event.size, entry)
        if not pool.held:
            ruined = abs(pool.balance) <= TOLERANCE * scale
            self.expect(
                ruined or pool.balance < 0 or settle == "sale", time, f"left {pool.balance}"
            )
            if ruined:
                pool.balance = 0.0

    def note(
        self, time: int, event: Any, size: float, entry: float, price: float, settle: str
    ) -> None:
        marks = self.breach["marks"]
        notional = abs(size) * marks[event.symbol]
        one, two = (required(event.symbol, time, notional * f) for f in (1.0, 1.0 - 1e-9))
        rate = (one - two) / (notional * 1e-9)
        tier = (round(rate, 6), round(rate * notional - one, 3) + 0.0)
        self.found.append(
            Found(self.mode, time, event.pool, event.symbol, size, entry, self.breach["wallet"],
                  marks[event.symbol], marks, self.breach["equity"], self.breach["need"],
                  tier, self.breach["where"], settle, price,
                  self.before.get(event.pool, float("nan")))
        )  # fmt: skip

    def on_shortfall(self, time: int, event: Any) -> None:
        pool = self.pools[event.pool]
        ok = pool.balance < 0 and near(-pool.balance, event.amount, 1e-3) and not pool.held
        self.expect(ok, time, f"shortfall {event.amount!r}, mine {-pool.balance!r}")
        pool.balance = 0.0


def closed_form(pool: Pool, symbol: str, time: int) -> float:
    """The venue's printed formula for one position, with the tier its value has at the price itself.

    (wallet + deduction − size · entry) / (|size| · rate − size)
    """
    size, entry = pool.held[symbol]
    floor = 0.0
    for cap, rate, deduction in ladder(symbol, time):
        price = (pool.balance + deduction - size * entry) / (abs(size) * rate - size)
        if floor * (1 - 1e-12) <= abs(size) * price <= cap * (1 + 1e-12):
            return price
        floor = cap
    return float("nan")


def bankruptcy(pool: Pool, time: int, marks: Marks) -> Marks:
    """Prices at which nothing is left: the positions share the pool's equity by their requirements."""
    equity = pool.equity(marks)
    if equity <= 0:
        return {s: marks[s] for s in pool.held}
    needs = {s: required(s, time, abs(n) * marks[s]) for s, (n, _) in pool.held.items()}
    total = sum(needs.values())
    return {s: marks[s] - equity * needs[s] / total / n for s, (n, _) in pool.held.items()}
