"""Where two runs of one strategy part, where they meet again, and what each parting was worth.

Two runs hold *the same exposure* when, symbol by symbol, signed notional over equity agrees. An **episode**
opens in the bar in which an event made the exposures differ and closes in the bar in which they agree again;
flat and flat agree. An episode of orders that merely were of another size ends early when one run alone is
liquidated: from then on that is the cause. Between episodes both runs hold the same share of a different
equity: a **stretch** of compounding on a different base. With D = equity(other) − equity(first) at the bar
closes,

    worth of a piece = D at its last bar − D before its first bar,      Σ worths = final D

and the worth is split by cause: the ledger's fees, funding, interest, liquidation fees, insurance (shortfall)
and transfers, slippage, and the price, which is what remains. Resolution: one bar.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bt_margin.errors import InvariantError, message
from bt_margin.studies.amounts import grain
from bt_margin.studies.pieces import CAUSES, Cause, Divergence, Episode, Stretch

#: Exposures closer than this share of the larger one agree: rounding to lots and fees is no parting.
TOLERANCE = 0.002
#: Kinds of episodes that no verdict of an account opened. A liquidation in one run alone ends them and opens
#: the next: orders a hundredth apart are not why one run was sold out and the other was not.
UNJUDGED = ("different base", "different size")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Note:
    """An engine event and the number of the bar it fell into."""

    bar: int
    event: Any


@dataclass(frozen=True, slots=True)
class Track:
    """One run on the common clock of a comparison.

    ``times`` : int64 ndarray of shape (n_bars,), UTC ms.  ``equity`` (n_bars,), at the closes.
    ``exposure`` symbol → (n_bars,) signed notional / equity at the closes.  ``slack`` symbol → (n_bars,)
    exposure of one lot (0 where orders are not rounded).  ``flows`` cause → (n_bars,) signed effect on the
    equity of what the ledger booked in the bar, every cause but the price.  ``notes`` in order of time.
    ``currency`` of its money; ``bare`` symbols judged by the last price for want of a mark.
    """

    name: str
    times: NDArray[np.int64]
    start: float
    equity: Floats
    exposure: Mapping[str, Floats]
    flows: Mapping[str, Floats]
    slack: Mapping[str, Floats] = field(default_factory=dict)
    notes: Sequence[Note] = ()
    currency: str = "USDT"
    bare: frozenset[str] = frozenset()
    _by_bar: dict[int, list[Note]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def notes_of(self, begin: int, end: int) -> Iterator[Note]:
        """The notes of the bars ``begin`` to ``end`` inclusive, bar by bar."""
        if not self._by_bar:
            for note in self.notes:
                self._by_bar.setdefault(note.bar, []).append(note)
        return chain.from_iterable(self._by_bar.get(bar, ()) for bar in range(begin, end + 1))


def diverge(first: Track, others: Sequence[Track], told_by: Storyteller) -> Divergence:
    """Cut the life of each pair (first, other) into episodes and stretches.

    ``told_by`` finds the event behind an episode and words it. :raises InvariantError: the pieces do not
    sum to the difference of the final equities to the cent (never the caller's fault).
    """
    pieces: list[Episode | Stretch] = []
    opening, final = {}, {}
    for other in others:
        mine = list(_pieces(first, other, told_by))
        opening[other.name] = other.start - first.start
        final[other.name] = _last(other) - _last(first)
        _check(mine, opening[other.name], final[other.name], other)
        pieces += mine
    return Divergence(tuple(pieces), opening, final, first.currency)


class Storyteller(Protocol):
    """Names the cause of an episode; :func:`bt_margin.studies.causes.tell` is the one in use."""

    def __call__(self, first: Track, other: Track, since: int, bar: int, end: int) -> Cause:
        """Why the runs part in ``bar`` until ``end``, having agreed last at the close of ``since``."""
        ...


def differing(first: Track, other: Track) -> NDArray[np.bool_]:
    """Whether the exposures differ at each bar close, any symbol: shape (n_bars,).

        |x − y| > TOLERANCE · max(|x|, |y|) + the exposure of one lot in either run

    Only the lot's rounding widens the tolerance; flat against anything but flat always differs.
    """
    parted = np.zeros(len(first.times), dtype=bool)
    flat = np.zeros(len(first.times))
    for symbol in sorted({*first.exposure, *other.exposure}):
        x, y = first.exposure.get(symbol, flat), other.exposure.get(symbol, flat)
        room = TOLERANCE * np.maximum(np.abs(x), np.abs(y))
        room = room + first.slack.get(symbol, flat) + other.slack.get(symbol, flat)
        parted |= (np.abs(x - y) > room) | ((x == 0.0) != (y == 0.0))
    return parted


def one_sided(first: Track, other: Track) -> NDArray[np.bool_]:
    """Bars in which one run was liquidated and the other was not, or at another mark.

    Such bars are episodes even if both runs are flat at the close.
    """
    seen: list[set[tuple[int, str | None, float | None]]] = [
        {
            (n.bar, n.event.symbol, n.event.mark)
            for n in track.notes
            if n.event.kind == "liquidation"
        }
        for track in (first, other)
    ]
    bars = np.zeros(len(first.times), dtype=bool)
    for bar, _, _ in seen[0] ^ seen[1]:
        bars[bar] = True
    return bars


def _pieces(first: Track, other: Track, told_by: Storyteller) -> Iterator[Episode | Stretch]:
    """The pieces of one pair, in order of time."""
    parted, forced = differing(first, other), one_sided(first, other)
    gap = _Gap(first, other)
    start, since, bars = 0, -1, len(first.times)
    for begin, end in _spans(parted, forced):
        if begin > start:
            yield gap.stretch(start, begin - 1)
        cause = told_by(first, other, since, begin, end)
        fell = _fell_later(cause, forced, begin, end)
        if fell is not None:  # the sizes are answerable for what happened until then
            cause = told_by(first, other, since, begin, fell - 1)
            yield gap.episode(begin, fell - 1, cause, False)
            begin, cause = fell, told_by(first, other, fell - 1, fell, end)
        yield gap.episode(begin, end, cause, bool(parted[end]))
        start, since = end + 1, end
    if start < bars:
        yield gap.stretch(start, bars - 1)


def _fell_later(cause: Cause, forced: NDArray[np.bool_], begin: int, end: int) -> int | None:
    """The bar of the first one-sided liquidation after an episode that no verdict opened, if there is one."""
    if cause.kind not in UNJUDGED:
        return None
    later = np.flatnonzero(forced[begin + 1 : end + 1])
    return begin + 1 + int(later[0]) if len(later) else None


def _spans(parted: NDArray[np.bool_], forced: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First and last bar of each episode; the bar in which the runs agree again still belongs to it."""
    bars, at = len(parted), 0
    starts = np.flatnonzero(parted | forced)
    agree = np.flatnonzero(~parted)
    while True:
        ahead = np.searchsorted(starts, at)
        if ahead >= len(starts):
            return
        begin = int(starts[ahead])
        back = np.searchsorted(agree, begin)
        end = int(agree[back]) if back < len(agree) else bars - 1
        yield begin, end
        at = end + 1


class _Gap:
    """The difference of two tracks, bar by bar, and pieces cut from it."""

    def __init__(self, first: Track, other: Track) -> None:
        self.first, self.other = first, other
        self.level = np.concatenate(([other.start - first.start], other.equity - first.equity))
        zero = np.zeros(len(first.times))
        self.sums = {
            cause: np.concatenate(
                ([0.0], np.cumsum(other.flows.get(cause, zero) - first.flows.get(cause, zero)))
            )
            for cause in CAUSES
            if cause != "price"
        }

    def _common(self, begin: int, end: int) -> dict[str, Any]:
        """The fields both kinds of piece share, for the bars ``begin`` to ``end`` inclusive."""
        worth = float(self.level[end + 1] - self.level[begin])
        booked = {name: float(s[end + 1] - s[begin]) for name, s in self.sums.items()}
        causes = {"price": worth - sum(booked.values())} | booked
        return {
            "first": self.first.name,
            "other": self.other.name,
            "opened": _stamp(self.first.times[begin]),
            "closed": _stamp(self.first.times[end]),
            "bars": end - begin + 1,
            "before": float(self.level[begin]),
            "worth": worth,
            "causes": causes,
        }

    def stretch(self, begin: int, end: int) -> Stretch:
        """The stretch over these bars."""
        return Stretch(**self._common(begin, end))

    def episode(self, begin: int, end: int, cause: Cause, ongoing: bool) -> Episode:
        """The episode over these bars."""
        return Episode(
            **self._common(begin, end),
            kind=cause.kind,
            sentence=cause.sentence,
            brief=cause.brief,
            aftermath=cause.aftermath,
            run=cause.run,
            event=cause.event,
            symbols=self._symbols(begin, end),
            liquidations=sum(
                note.event.kind == "liquidation" and begin <= note.bar <= end
                for note in (*self.first.notes, *self.other.notes)
            ),
            ongoing=ongoing,
        )

    def _symbols(self, begin: int, end: int) -> tuple[str, ...]:
        """The symbols whose exposures differed in these bars."""
        flat = np.zeros(len(self.first.times))
        names = sorted({*self.first.exposure, *self.other.exposure})
        part = slice(begin, end + 1)
        return tuple(
            name
            for name in names
            if np.any(
                np.abs(
                    self.first.exposure.get(name, flat)[part]
                    - self.other.exposure.get(name, flat)[part]
                )
                > 1e-9
            )
        )


def _check(
    pieces: Sequence[Episode | Stretch], opening: float, final: float, other: Track
) -> Literal[True]:
    """The law: what the pieces were worth is the difference of the final equities, to the smallest coin."""
    total = opening + sum(piece.worth for piece in pieces)
    split = sum(abs(sum(piece.causes.values()) - piece.worth) for piece in pieces)
    room = max(_room(other), 1e-12 * sum(abs(piece.worth) for piece in pieces))
    if abs(total - final) > room or split > room or any(_gaps(pieces, room)):
        raise InvariantError(
            message(
                "the sum of episodes and stretches",
                found=f"{total:.6f}",
                allowed=f"{final:.6f}, the difference of the final equities",
                where=f"divergence of {other.name!r}",
                todo="report this: it is a fault of bt_margin",
            )
        )
    return True


def _room(track: Track) -> float:
    """What rounding may leave: the smallest amount shown, and a few last digits of a large equity."""
    largest = float(np.max(np.abs(track.equity), initial=abs(track.start)))
    return max(grain(track.currency), 1e-12 * largest)


def _gaps(pieces: Sequence[Episode | Stretch], room: float) -> Iterator[bool]:
    """Whether each piece fails to begin where the one before it ended."""
    for left, right in pairwise(pieces):
        yield abs(left.after - right.before) > room or right.opened <= left.closed


def _last(track: Track) -> float:
    """The final equity of a track (its start when there were no bars)."""
    return float(track.equity[-1]) if len(track.equity) else track.start


def _stamp(ms: Any) -> pd.Timestamp:
    """UTC epoch milliseconds as a timestamp."""
    return pd.Timestamp(int(ms), unit="ms", tz="UTC")
