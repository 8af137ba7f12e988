"""A story of the machine: how an account is set up, what its markets do, what its strategies do. Data only.

Everything is relative (a move to the close before it, a size to what can be afforded), so that any part can
be left out and the rest still means something: that is what lets a failure shrink.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple

from machine.markets import PLACES, Place

from bt_margin.venues import venue

MINUTE = 60_000
CONTRACT = 100.0
"""What a coin contract is worth in quote currency."""

Prices = tuple[float, float, float, float]


class Move(NamedTuple):
    """A symbol's bar: each number is a share of the price it starts from.

    ``kind``: ``"missing"`` (no bar), ``"nan"`` (a bar without prices), ``"no mark"`` (last stands in),
    ``"calm mark"`` (the mark does not follow the wicks).
    """

    gap: float = 0.0
    body: float = 0.0
    up: float = 0.0
    down: float = 0.0
    premium: float = 0.0
    kind: str = ""

    def candle(self, close: float) -> Prices:
        """Open, high, low, close after a close."""
        start = close * (1.0 + self.gap)
        end = start * (1.0 + self.body)
        return (
            start,
            max(start, end) * (1.0 + self.up),
            min(start, end) * (1.0 - self.down),
            end,
        )

    def mark(self, candle: Prices) -> Prices | None:
        """The mark beside a candle; None where there is none."""
        if self.kind == "no mark":
            return None
        o, h, lo, c = candle
        if self.kind == "calm mark":
            h, lo = max(o, c), min(o, c)
        factor = 1.0 + self.premium
        return (o * factor, h * factor, lo * factor, c * factor)


class Act(NamedTuple):
    """What a strategy does: ``share`` of what it can afford (its sign is the side), ``away`` from it."""

    name: str
    who: int = 0
    on: int = 0
    share: float = 0.5
    away: float = 0.01
    pick: int = 0


class Stamp(NamedTuple):
    """A settlement of funding: ``when`` within the bar, 0 at its open."""

    rate: float
    on: int = 0
    when: float = 0.0


class Bar(NamedTuple):
    """One moment: the moves of the symbols (those left out stand still), what is paid, what is done."""

    moves: tuple[Move, ...] = ()
    acts: tuple[Act, ...] = ()
    stamps: tuple[Stamp, ...] = ()


STILL = Move()


@dataclass(frozen=True)
class Setup:
    """The account and the run; every default is the plainest choice."""

    venue: str = "generic"
    symbols: int = 1
    hedge: bool = False
    policy: int = 0
    tiers: bool = False
    fee: float = 0.0
    maker: float = 1.0
    liquidation_fee: float = 0.0
    lot: float = 0.0
    mode: str = "cross"
    mixed: bool = False
    leverage: float = 10.0
    intrabar: str = "adverse"
    top_up: bool = False
    liquidation_slippage: float = 0.0
    calls: tuple[float, ...] = (0.8,)
    marks: str = "none"
    funding: str = "given"
    feed: str = "PerpData"
    loop: str = "runonce"
    step: int = 60
    stamped: str = "open"
    start: str = "2024-01-01"
    detail: bool = False
    delisted: int = 0
    delisting: str = "settle"
    late: int = 0
    company: int = 1
    slip: float = 0.0
    slip_fixed: float = 0.0
    slip_out: bool = False
    filler: str = ""
    coc: bool = False
    coo: bool = False
    int2pnl: bool = True
    checksubmit: bool = True
    quick: bool = False
    fund: bool = False
    commission: float = 0.0
    interest: float = 0.0

    def __repr__(self) -> str:
        told = [f"{n}={getattr(self, n)!r}" for n, plain in DEFAULTS.items() if self.differs(n)]
        return f"Setup({', '.join(told)})"

    def differs(self, name: str) -> bool:
        """Whether a choice is not the plainest."""
        return bool(getattr(self, name) != DEFAULTS[name])

    @property
    def place(self) -> Place:
        """The venue and the account at it."""
        return PLACES[self.venue]

    @property
    def markets(self) -> int:
        """How many symbols are traded."""
        place = self.place
        return min(len(place.markets), max(1, place.needs, self.symbols))


DEFAULTS: dict[str, Any] = {f.name: f.default for f in fields(Setup)}


@dataclass(frozen=True)
class Story:
    """A setup and its bars; ``seed`` says where it came from."""

    setup: Setup
    bars: tuple[Bar, ...]
    seed: str = ""

    @property
    def coin(self) -> bool:
        """Whether contracts are inverse."""
        return all(name.endswith((":BTC", ":ETH")) for name in self.names)

    @property
    def feed(self) -> str:
        """The kind of feed; a live one loses its only bar where buffers are bounded to one."""
        setup = self.setup
        return "PandasData" if self.in_step and setup.loop == "exactbars 1" else setup.feed

    @property
    def in_step(self) -> bool:
        """Whether all feeds must have all bars: bounded buffers and late ones of live feeds ask for it."""
        live = self.setup.feed == "Trickle" and len(self.names) > 1
        return live or self.setup.loop == "exactbars 1"

    @property
    def cash(self) -> float:
        """The size of the account at the start, in what it is told in."""
        place = self.setup.place
        if not isinstance(place.cash, dict) and not place.collateral:
            return float(place.cash)
        return 40_000.0 if place.currency else 10_000.0

    def wallet(self, currency: str) -> float:
        """What was paid into a wallet at the start, in its own currency."""
        cash = self.setup.place.cash
        return float(cash.get(currency, 0.0) if isinstance(cash, dict) else cash)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The symbols."""
        return tuple(self.setup.place.markets)[: self.setup.markets]

    @property
    def hedge(self) -> bool:
        """Whether strategies name sides: only where the venue has them."""
        return self.setup.hedge and self.setup.place.hedge

    @cached_property
    def plenty(self) -> tuple[float, ...]:
        """What the market of each symbol trades on a bar, in contracts: many times what the account can."""
        if self.setup.place.venue == "generic":
            return (200.0 if self.coin else 10.0,) * len(self.names)
        contracts = [self._contract(name) for name in self.names]
        firsts = [self.setup.place.markets[name] for name in self.names]
        each = [one.notional(1.0, price) for one, price in zip(contracts, firsts, strict=True)]
        if not (self.coin and self.setup.place.currency is None):  # told in what prices are
            each = [
                worth * (price if one.kind == "inverse" else 1.0)
                for worth, one, price in zip(each, contracts, firsts, strict=True)
            ]
        return tuple(4.0 * self.cash / worth for worth in each)

    def _contract(self, name: str) -> Any:
        place = self.setup.place
        return venue(place.venue, **place.options).contract(name)

    @property
    def step(self) -> int:
        """Length of a bar in milliseconds."""
        return self.setup.step * MINUTE

    @cached_property
    def start(self) -> int:
        """When the first bar opens, epoch milliseconds."""
        day = dt.datetime.fromisoformat(self.setup.start).replace(tzinfo=dt.timezone.utc)
        return round(day.timestamp() * 1000)

    def time(self, bar: int) -> int:
        """When a bar opens."""
        return self.start + bar * self.step

    @property
    def moments(self) -> int:
        """How many of its bars any feed has at all."""
        every = range(len(self.names))
        return sum(
            any(self.move(bar, on).kind != "missing" for on in every)
            for bar in range(len(self.bars))
        )

    def move(self, bar: int, on: int) -> Move:
        """The move of a symbol, with what the setup says of its beginning and end."""
        moves, setup = self.bars[bar].moves, self.setup
        last = on == len(self.names) - 1
        end = max(1, min(setup.delisted or len(self.bars), len(self.bars)))
        if on and last and bar < min(setup.late, end - 1) and not self.in_step:
            return Move(kind="missing")
        if on and last and bar >= end and not self.in_step:
            return Move(kind="missing")
        found = moves[on] if on < len(moves) else STILL
        if self.in_step and found.kind == "missing":
            return found._replace(kind="")
        if self.feed == "PerpData" and found.kind == "nan":
            return found._replace(kind="missing")  # which refuses bars without prices
        return found

    @cached_property
    def candles(self) -> tuple[tuple[Prices | None, ...], ...]:
        """Per symbol and bar the last prices; None where the bar is missing or without prices."""
        return tuple(self._candles(on) for on in range(len(self.names)))

    def _candles(self, on: int) -> tuple[Prices | None, ...]:
        close, found = self.setup.place.markets[self.names[on]], []
        for bar in range(len(self.bars)):
            move = self.move(bar, on)
            if move.kind in ("missing", "nan"):
                found.append(None)
                continue
            candle = move.candle(close)
            close = candle[3]
            found.append(candle)
        return tuple(found)

    @cached_property
    def marks(self) -> tuple[tuple[Prices | None, ...], ...]:
        """Per symbol and bar the marks the account must see: the venue's, or last where it has none."""
        told = []
        for on in range(len(self.names)):
            row = []
            for bar, candle in enumerate(self.candles[on]):
                mark = None if candle is None else self.move(bar, on).mark(candle)
                row.append(candle if mark is None or not self.marked else mark)
            told.append(tuple(row))
        return tuple(told)

    @property
    def marked(self) -> bool:
        """Whether there are marks at all: only one kind of feed has columns of them."""
        setup = self.setup
        return setup.marks == "given" or (setup.marks == "columns" and self.feed == "PerpData")

    @cached_property
    def stamps(self) -> tuple[tuple[tuple[int, float], ...], ...]:
        """Per symbol the settlements of funding: time and rate."""
        found: list[dict[int, float]] = [{} for _ in self.names]
        for bar, one in enumerate(self.bars):
            for stamp in one.stamps:
                if stamp.on < len(found):
                    minutes = int(stamp.when * self.setup.step)
                    found[stamp.on][self.time(bar) + minutes * MINUTE] = stamp.rate
        return tuple(tuple(sorted(each.items())) for each in found)

    def __repr__(self) -> str:
        lines = ",\n        ".join(map(_terse, self.bars))
        return (
            f"Story(\n    {self.setup!r},\n    (\n        {lines},\n    ),\n    {self.seed!r},\n)"
        )


def _terse(thing: Any) -> str:
    """A tuple with names, without what is as it always is."""
    if not hasattr(thing, "_fields"):
        return repr(thing)
    told = []
    for name, value in zip(thing._fields, thing, strict=True):
        if value != thing._field_defaults.get(name):
            many = isinstance(value, tuple)
            text = f"({''.join(_terse(each) + ', ' for each in value)})" if many else repr(value)
            told.append(f"{name}={text.replace(', )', ',)')}")
    return f"{type(thing).__name__}({', '.join(told)})"
