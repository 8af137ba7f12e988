"""Shocks for any history: what happens to its prices, its funding, its venue, or the line to it.

    Gap            all prices from a bar on are so much lower or higher
    Wick           one bar reaches so far and comes back: the last price only, or the mark as well
    FundingSpike   some settlements in a row have this rate
    Depeg          a coin is worth less for a while, and with it what is priced in it
    TierTightening every maintenance requirement times a factor, from a moment on
    Outage         no order and no cancellation arrives for so long
    Slippage       fills and liquidation sales are so much worse, all the way
    CrashAt        a crash of the library, scaled to each coin

Shocks are applied one after the other, each to what the one before has left; frames are checked again at the
end. Nothing but what a shock names is changed, and no random number is drawn. A shock that would change
nothing (a date outside the data, a symbol that is not there) is refused, because it would pass for a test.

On the command line and in lists they may be written as texts: ``"gap=-0.3@2025-10-01"``
(:mod:`bt_margin.studies.shock_texts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from bt_margin.errors import InputError, message
from bt_margin.market.frames import FUNDING, LAST, MARK, validate_frames
from bt_margin.market.times import epoch_of, moment_of
from bt_margin.studies.bend import bent, step_of
from bt_margin.studies.crashes import Crash, crash
from bt_margin.studies.tightened import tightened

Frames = Mapping[str, pd.DataFrame]
Keywords = Mapping[str, Any]
HOUR = 3_600_000  # ms


class Shock:
    """What every shock can do; most do one of these things."""

    def on_market(self, frames: Frames) -> dict[str, pd.DataFrame]:
        """The frames by symbol after the shock; those it leaves alone are the very same objects."""
        return dict(frames)

    def on_account(self, keywords: Keywords, frames: Frames) -> dict[str, Any]:
        """The keywords of the broker after the shock; ``frames`` are those the run reads."""
        return dict(keywords)

    def silences(self) -> tuple[tuple[int, int], ...]:
        """When no order arrives: pairs of UTC ms, the end not included."""
        return ()


@dataclass(frozen=True, slots=True)
class Gap(Shock):
    """Last and mark are ``size`` (−0.3: 30 % lower) from the first bar at or after ``at`` on, for good.

    ``symbols`` limits it to these; the jump lies between the close before and the open of that bar.
    """

    size: float
    at: Any
    symbols: tuple[str, ...] = ()

    def on_market(self, frames: Frames) -> dict[str, pd.DataFrame]:
        """Every price from that bar on, times 1 + size."""
        factor = 1.0 + _move(self.size, "gap")
        return _each(self, frames, lambda frame, row: _scaled(frame, slice(row, None), factor))


@dataclass(frozen=True, slots=True)
class Wick(Shock):
    """The bar at ``at`` reaches ``size`` from its open and closes where it did: a spike of the last price.

    ``mark=True`` lets the mark reach as far from its own open; else the mark knows nothing of it.
    """

    size: float
    at: Any
    mark: bool = False
    symbols: tuple[str, ...] = ()

    def on_market(self, frames: Frames) -> dict[str, pd.DataFrame]:
        """One low (or high) of the last price, or of both."""
        _move(self.size, "wick")
        return _each(self, frames, self._reach)

    def _reach(self, frame: pd.DataFrame, row: int) -> pd.DataFrame:
        out = frame.copy()
        for names in (LAST, MARK) if self.mark else (LAST,):
            if names[0] not in frame:
                continue
            place, better = (names[2], min) if self.size < 0.0 else (names[1], max)
            values = frame[place].to_numpy(dtype=np.float64, copy=True)
            values[row] = better(values[row], float(frame[names[0]].iloc[row]) * (1.0 + self.size))
            out[place] = values
        return out


@dataclass(frozen=True, slots=True)
class FundingSpike(Shock):
    """The next ``settlements`` from ``at`` on have this rate (fraction; positive: longs pay)."""

    rate: float
    at: Any
    settlements: int = 1
    symbols: tuple[str, ...] = ()

    def on_market(self, frames: Frames) -> dict[str, pd.DataFrame]:
        """Rates of settlements the data has; none is added."""
        if not np.isfinite(self.rate) or self.settlements < 1:
            found = f"{self.rate!r}, {self.settlements!r} times"
            raise InputError(message("funding spike", found, "a rate, once or more"))
        return _each(self, frames, self._settle)

    def _settle(self, frame: pd.DataFrame, row: int) -> pd.DataFrame:
        rates = np.full(len(frame), np.nan)
        if FUNDING in frame:
            rates = frame[FUNDING].to_numpy(dtype=np.float64, copy=True)
        places = np.flatnonzero(np.isfinite(rates[row:]))[: self.settlements] + row
        if not len(places):
            raise InputError(
                f"funding spike at {self.at}: the data has no settlement from then on; "
                "give data with funding_rate, or an earlier moment"
            )
        rates[places] = self.rate
        return frame.assign(**{FUNDING: rates})


@dataclass(frozen=True, slots=True)
class Depeg(Shock):
    """A coin's worth changes by ``size`` (−0.1: a tenth less) for ``hours``; 0 hours: for good.

    What is quoted in the coin costs more of it: BTC/USDT prices are divided by 1 + size. What the coin is the
    base of (USDC/USDT, or a perpetual whose margin is that coin) is multiplied. Equity is told in the
    account's currency, as the venue does: with USDT off its peg that is USDT.
    """

    size: float
    at: Any
    hours: float = 0.0
    coin: str = "USDT"

    def on_market(self, frames: Frames) -> dict[str, pd.DataFrame]:
        """Prices of everything quoted in the coin, and of the coin itself."""
        worth, out, begun = 1.0 + _move(self.size, "depeg"), dict(frames), epoch_of(self.at, "at")
        touched = False
        for symbol, frame in frames.items():
            base, _, rest = symbol.partition("/")
            quote = rest.partition(":")[0]
            if self.coin not in (base, quote):
                continue
            end = begun + self.hours * HOUR if self.hours else float("inf")
            rows = _rows(frame, begun, end)
            if rows.stop > rows.start:
                touched = True
                out[symbol] = _scaled(frame, rows, worth if base == self.coin else 1.0 / worth)
        if not touched:
            raise InputError(
                f"depeg of {self.coin} at {self.at}: no symbol is quoted in it then, nor is it one of them; "
                f"the data has {', '.join(frames)}"
            )
        return out


@dataclass(frozen=True, slots=True)
class TierTightening(Shock):
    """Every maintenance requirement is ``factor`` times what the venue asks, from ``at`` on.

    Initial margin, caps and leverages stay. ``symbols`` limits it to these, on venues with tier tables.
    """

    factor: float
    at: Any
    symbols: tuple[str, ...] = ()

    def on_market(self, frames: Frames) -> dict[str, pd.DataFrame]:
        """The frames themselves; the moment has to lie in them."""
        _first(self, frames)
        return dict(frames)

    def on_account(self, keywords: Keywords, frames: Frames) -> dict[str, Any]:
        """The venue with a dated change of its requirement."""
        chosen = self.symbols or tuple(frames)
        return tightened(keywords, frames, chosen, self.factor, epoch_of(self.at, "at"))


@dataclass(frozen=True, slots=True)
class Outage(Shock):
    """No order and no cancellation reaches the venue for ``hours`` from ``at`` on.

    Orders sent then are rejected (``order.info.reason == "outage"``); what rests there goes on to fill, and
    the venue goes on to liquidate (:mod:`bt_margin.plugin.outages`).
    """

    at: Any
    hours: float

    def on_market(self, frames: Frames) -> dict[str, pd.DataFrame]:
        """The frames themselves; the moment has to lie in them."""
        if not self.hours > 0.0:
            raise InputError(message("outage", f"{self.hours!r} hours", "more than 0"))
        _first(self, frames)
        return dict(frames)

    def silences(self) -> tuple[tuple[int, int], ...]:
        """From ``at`` for so many hours."""
        begun = epoch_of(self.at, "at")
        return ((begun, begun + round(self.hours * HOUR)),)


@dataclass(frozen=True, slots=True)
class Slippage(Shock):
    """Thin books all the way: market and stop orders fill ``orders`` worse, liquidations ``liquidations``.

    Both are fractions of the price and come on top of what the broker was given; fills may leave the bar.
    """

    orders: float = 0.0
    liquidations: float = 0.0

    def on_account(self, keywords: Keywords, frames: Frames) -> dict[str, Any]:
        """The broker's own slippage settings."""
        for name, rate in (("orders", self.orders), ("liquidations", self.liquidations)):
            if not 0.0 <= rate < 1.0:
                raise InputError(message(f"slippage of {name}", rate, "0 or more, below 1"))
        full = dict(keywords)
        full["liquidation_slippage"] = full.get("liquidation_slippage", 0.0) + self.liquidations
        if self.orders:
            full["slip_perc"] = full.get("slip_perc", 0.0) + self.orders
            full |= {"slip_open": True, "slip_out": True}
        return full


@dataclass(frozen=True, slots=True)
class CrashAt(Shock):
    """A crash of the library over the history from ``at`` on, each coin by its own figures.

    Symbols that are not traded yet, or no more, are left alone.
    ``crash`` its name or the crash itself; ``scale`` makes it deeper or shallower (2: the price falls to the
    square of what it fell to). ``like`` says for coins without figures whose they take, ``{"PEPE": "DOGE"}``;
    the others fall like the crash's middling coin.
    """

    crash: str | Crash
    at: Any
    scale: float = 1.0
    like: Mapping[str, str] | None = None

    @property
    def found(self) -> Crash:
        """The crash itself."""
        return crash(self.crash) if isinstance(self.crash, str) else self.crash

    def on_market(self, frames: Frames) -> dict[str, pd.DataFrame]:
        """The frames bent through the crash's levels (:mod:`bt_margin.studies.bend`)."""
        if not 0.0 < self.scale <= 10.0:
            raise InputError(message("scale of a crash", self.scale, "above 0, at most 10"))
        traded = _first(self, frames)
        at, like, which = moment_of(self.at, "at"), dict(self.like or {}), self.found
        out = dict(frames)
        for symbol in traded:
            coin = coin_of(symbol)
            out[symbol] = bent(frames[symbol], which.fall(like.get(coin, coin)), at, self.scale)
        return out


def coin_of(symbol: str) -> str:
    """The coin a symbol is about, without the thousands that small coins are traded in.

    >>> coin_of("1000PEPE/USDT:USDT"), coin_of("BTC/USD:BTC"), coin_of("DOGEUSDT")
    ('PEPE', 'BTC', 'DOGE')
    """
    base = symbol.partition("/")[0]
    for quote in ("USDT", "USDC", "USD"):
        if "/" not in symbol and base.endswith(quote) and base != quote:
            base = base.removesuffix(quote)
    return base.lstrip("0123456789") or base


def shocked(frames: Frames, shocks: Sequence[Shock]) -> dict[str, pd.DataFrame]:
    """The market after all shocks, one after the other; each frame is checked and keeps its ``attrs``.

    :raises InputError: a shock that would change nothing.
    """
    out = dict(frames)
    for shock in shocks:
        out = shock.on_market(out)
    if any(out[symbol] is not frames[symbol] for symbol in frames):
        kept = {symbol: dict(frame.attrs) for symbol, frame in frames.items()}
        out = validate_frames(out)
        for symbol, frame in out.items():
            frame.attrs = kept[symbol]
    return out


def under(keywords: Keywords, frames: Frames, shocks: Sequence[Shock]) -> dict[str, Any]:
    """The keywords of the broker under all shocks."""
    full = dict(keywords)
    for shock in shocks:
        full = shock.on_account(full, frames)
    return full


def silences(shocks: Sequence[Shock]) -> tuple[tuple[int, int], ...]:
    """All hours in which no order arrives."""
    return tuple(span for shock in shocks for span in shock.silences())


def _move(size: float, name: str) -> float:
    """A change of price that leaves a price. :raises InputError: it does not, or changes nothing."""
    if not (np.isfinite(size) and size > -1.0 and size != 0.0):
        raise InputError(message(f"size of a {name}", size, "above -1 and not 0, e.g. -0.3"))
    return float(size)


def _rows(frame: pd.DataFrame, begun: int, end: float) -> slice:
    """The bars that open within a span of time (UTC ms)."""
    times = pd.DatetimeIndex(frame.index).as_unit("ms").asi8
    return slice(int(np.searchsorted(times, begun)), int(np.searchsorted(times, end)))


def _first(shock: Any, frames: Frames) -> dict[str, int]:
    """The first bar at or after the shock, by symbol. :raises InputError: no symbol has it."""
    asked = getattr(shock, "symbols", ())
    missing = [name for name in asked if name not in frames]
    name = type(shock).__name__
    if missing:
        raise InputError(f"{name} for {missing[0]}: the data has {', '.join(frames)}")
    begun, rows = epoch_of(shock.at, f"{name} at"), {}
    for symbol in asked or frames:
        frame = frames[symbol]
        row = _rows(frame, begun, begun).start
        late = pd.DatetimeIndex(frame.index).as_unit("ms").asi8[0] - step_of(frame) // 10**6
        if row < len(frame) and begun > late:
            rows[symbol] = row
    if not rows:
        spans = ", ".join(
            f"{s} {f.index[0]:%Y-%m-%d} to {f.index[-1]:%Y-%m-%d}" for s, f in frames.items()
        )
        raise InputError(f"{name} at {shock.at} lies outside the data: {spans}")
    return rows


def _each(shock: Any, frames: Frames, change: Any) -> dict[str, pd.DataFrame]:
    """The frames, those changed that the shock is for."""
    rows = _first(shock, frames)
    return {s: change(f, rows[s]) if s in rows else f for s, f in frames.items()}


def _scaled(frame: pd.DataFrame, rows: slice, factor: float) -> pd.DataFrame:
    """All prices of some bars times a factor."""
    changed: dict[str, npt.NDArray[np.float64]] = {}
    for name in (*LAST, *MARK):
        if name in frame:
            values = frame[name].to_numpy(dtype=np.float64, copy=True)
            values[rows] *= factor
            changed[name] = values
    return frame.assign(**changed)
