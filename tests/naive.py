"""A second margin account, naive on purpose: slow, plain, written from the rules, not the engine.

Linear, mark = last, full-close liquidation. A step in which something happens is halved to find it.
"""

import copy
from dataclasses import dataclass, field

STEPS = 40  # per leg, before halving


@dataclass(eq=False)
class Order:
    symbol: str
    size: float
    kind: str = "market"  # or limit, stop
    price: float = 0.0
    reserved: float = 0.0

    def due(self, price: float) -> bool:
        way = 1 if (self.kind == "limit") == (self.size > 0) else -1  # met by a falling price
        return self.kind == "market" or (self.price - price) * way >= 0


@dataclass
class Held:
    size: float = 0.0
    entry: float = 0.0
    posted: float = 0.0  # the balance of its isolated pool


@dataclass
class Naive:
    cash: float
    isolated: bool
    leverage: float
    tiers: dict[str, list[tuple[float, float, float]]]  # (cap, rate, deduction); last cap infinite
    fee: float = 0.0
    liquidation_fee: float = 0.0
    nothing_left: bool = False  # takeover at the bankruptcy price, or the residual goes to a fund
    marks: dict[str, float] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    log: list[tuple[int, str, str, float]] = field(default_factory=list)
    bars: int = -1

    def maintenance(self, name: str) -> float:
        notional = abs(self.held[name].size) * self.marks[name]
        return next(notional * rate - cut for cap, rate, cut in self.tiers[name] if notional <= cap)

    def equity(self, pool: list[str] | None = None) -> float:
        held = [(self.held[name], self.marks[name]) for name in pool or self.held]
        cash = self.cash if pool is None or not self.isolated else 0.0
        return cash + sum(one.posted + one.size * (mark - one.entry) for one, mark in held)

    def breached(self) -> list[list[str]]:
        pools = [[name] for name in self.held] if self.isolated else [list(self.held)]
        return [p for p in pools if p and self.equity(p) <= sum(map(self.maintenance, p))]

    def free(self) -> float:
        used = sum(order.reserved for order in self.orders)
        if not self.isolated:
            used += sum(abs(h.size) * self.marks[n] for n, h in self.held.items()) / self.leverage
        return (self.cash if self.isolated else self.equity()) - used

    def trade(self, name: str, size: float, price: float) -> float:
        """Close what the fill closes and return the rest of it; called again, open the rest."""
        one = self.held.setdefault(name, Held())
        if one.size * size < 0:
            piece = -one.size if abs(size) > abs(one.size) else size
            back = one.posted * abs(piece / one.size)
            self.cash += back - piece * (price - one.entry)
        else:
            piece, back = size, -abs(size) * price / self.leverage * self.isolated
            one.entry = (one.size * one.entry + size * price) / (one.size + size)
            self.cash += back
        one.size, one.posted = one.size + piece, one.posted - back
        self.cash -= self.fee * abs(piece) * price
        if abs(one.size) < 1e-12:
            del self.held[name]
        return size - piece

    def affords(self, order: Order, price: float) -> bool:
        """What opens needs margin and fee from what is free; what closes needs nothing."""
        after, opened = copy.deepcopy(self), abs(order.size)
        if self.held.get(order.symbol, Held()).size * order.size < 0:
            opened = abs(after.trade(order.symbol, order.size, price))
        need = opened * price * (1 / self.leverage + self.fee)
        afforded = opened < 1e-12 or need <= after.free() + 1e-9
        order.reserved = need if afforded else 0.0
        return afforded

    def fill(self, order: Order, price: float) -> None:
        self.orders.remove(order)
        rest, accepted = order.size, self.affords(order, price)
        if accepted or self.held.get(order.symbol, Held()).size * order.size < 0:
            rest = self.trade(order.symbol, rest, price)
        if rest and accepted:
            self.trade(order.symbol, rest, price)
        for kind in ["fill"] * (accepted or rest != order.size) + ["rejected"] * (not accepted):
            self.log.append((self.bars, order.symbol, kind, price))

    def liquidate(self, pool: list[str]) -> None:
        self.orders = [o for o in self.orders if self.isolated and o.symbol not in pool]
        left = self.equity(pool)
        for name in pool:
            self.log.append((self.bars, name, "liquidation", self.marks[name]))
            left -= self.liquidation_fee * abs(self.held.pop(name).size) * self.marks[name]
        left = 0.0 if self.nothing_left else max(0.0, left)  # the fee takes no more than there is
        self.cash = left + self.cash * self.isolated

    def act(self, at_open: bool = False) -> None:
        while self.breached():
            self.liquidate(self.breached()[0])
        for order in [one for one in self.orders if one.due(self.marks[one.symbol])][:1]:
            self.fill(order, self.marks[order.symbol] if at_open else order.price)

    def pay(self, stamps: list[tuple[float, str, float]], moment: float) -> None:
        for _, name, rate in (s for s in stamps if s[0] == moment and s[1] in self.held):
            payment = self.held[name].size * self.marks[name] * rate
            self.held[name].posted -= payment * self.isolated
            self.cash -= payment * (not self.isolated)

    def happening(self, path: dict[str, list[float]], moment: float) -> bool:
        leg = min(int(moment), 2)
        for name, four in path.items():
            self.marks[name] = four[leg] + (four[leg + 1] - four[leg]) * (moment - leg)
        return any(o.due(self.marks[o.symbol]) for o in self.orders) or bool(self.breached())

    def bar(self, path: dict[str, list[float]], orders: list[Order], stamps: list) -> None:
        """Walk one bar: four prices a name in their order; a stamp is (moment 0..3, name, rate)."""
        for order in orders:  # judged at the last marks, before the bar begins
            taken = self.affords(order, order.price or self.marks[order.symbol])
            self.orders += [order] * taken
            self.log += [(self.bars, order.symbol, "rejected", order.price)] * (not taken)
        self.bars, now = self.bars + 1, 0.0
        self.pay(stamps, 0.0)
        for then in sorted({k / STEPS for k in range(3 * STEPS + 1)} | {s[0] for s in stamps}):
            while self.happening(path, then):
                late = then
                for _ in range(50):
                    middle = (now + late) / 2
                    now, late = (now, middle) if self.happening(path, middle) else (middle, late)
                self.happening(path, late)
                self.act(at_open=late == 0)
            now = then
            if then:
                self.pay(stamps, then)
                self.act()
