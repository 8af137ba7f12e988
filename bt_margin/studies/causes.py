"""The event behind an episode, and the sentence that tells it.

The engine writes down every verdict with the two numbers that decided it; here the one that parted two runs
is found and told: which run, when, which price, which margin.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from bt_margin.studies import sentences as say
from bt_margin.studies.amounts import grain, money
from bt_margin.studies.breaches import funding_behind
from bt_margin.studies.divergence import Note, Track
from bt_margin.studies.pieces import Cause

#: Kinds of events that can part two runs, the strongest first.
PARTING = (
    "liquidation",
    "rejected",
    "refused",
    "top_up",
    "transfer",
    "margin_mode",
    "leverage",
    "deposit",
    "withdrawal",
    "canceled",
)
DIED = "lost everything"
_MARGIN_ACTIONS = ("top_up", "transfer", "margin_mode", "leverage", "refused")


def tell(first: Track, other: Track, since: int, bar: int, end: int) -> Cause:
    """Why two runs part in ``bar`` until ``end``, having agreed last at the close of bar ``since``."""
    cause = cause_of(first, other, since, bar)
    return replace(cause, aftermath=_aftermath((first, other), bar, end, cause))


def _aftermath(tracks: Sequence[Track], bar: int, end: int, cause: Cause) -> str:
    """What else happened in these bars: accounts that died first, then further liquidations."""
    fallen = [
        (track.name, note.event.id)
        for track in tracks
        for note in _between(track, bar, end, ("liquidation",))
    ]
    more = len([one for one in fallen if one != (cause.run, cause.event)])
    died = [
        f"{track.name} {DIED} at {say.when(note.event.time)}."
        for track in tracks
        for note in _between(track, bar, end, ("dead",))
    ]
    rest = f"While they were apart: {more} more liquidation{'s' if more > 1 else ''}."
    return " ".join([*died, *([rest] if more else [])])


def cause_of(first: Track, other: Track, since: int, bar: int) -> Cause:
    """The event that parted the exposures of two runs in ``bar``.

    A liquidation in one run alone comes first, then the death of an account, then the other one-sided
    events of the bar, then those since the runs last agreed (an order refused yesterday shows when the
    other run's order fills today), then the fills.
    """
    here = _one_sided(first, other, bar, bar)
    fallen = [pair for pair in here if pair[1].event.kind == "liquidation"]
    gone = None if fallen else _death(first, other, bar)
    if gone is not None:
        return gone
    found = fallen or here or _one_sided(first, other, since + 1, bar)
    if not found:
        return _fills(first, other, bar)
    track, note = max(found, key=lambda pair: _weight(pair[1]))
    return _told(track, other if track is first else first, note)


def _weight(note: Note) -> tuple[int, int]:
    """The stronger kind first; of one kind, the later bar."""
    return -PARTING.index(note.event.kind), note.bar


def _between(track: Track, begin: int, end: int, kinds: Iterable[str]) -> list[Note]:
    """The notes of these bars (inclusive) and kinds."""
    wanted = set(kinds)
    return [note for note in track.notes_of(begin, end) if note.event.kind in wanted]


def _one_sided(first: Track, other: Track, begin: int, end: int) -> list[tuple[Track, Note]]:
    """Parting events of one run that have no like in the other in the same bar."""
    mine = [(track, _between(track, begin, end, PARTING)) for track in (first, other)]
    keys = [{_key(note) for note in notes} for _, notes in mine]
    return [
        (track, note)
        for (track, notes), theirs in zip(mine, reversed(keys), strict=True)
        for note in notes
        if _key(note) not in theirs
    ]


def _key(note: Note) -> tuple[Any, ...]:
    """What makes two events of two runs alike; liquidations at different marks are not."""
    event = note.event
    mark = event.mark if event.kind == "liquidation" else None
    return note.bar, event.kind, event.symbol, mark


def _told(track: Track, peer: Track, note: Note) -> Cause:
    """A one-sided event as a cause."""
    event = note.event
    if event.kind == "liquidation":
        tipped = funding_behind(event, [n.event for n in track.notes])
        kind = "funding breach" if tipped else "liquidation"
        text = f"{say.liquidation(track, event)}; {_fate(peer, note)}."
        return Cause(kind, text, track.name, event.id, say.liquidation_brief(track, event))
    if event.kind == "rejected":
        text, brief = say.rejection(track, peer, event), say.rejection_brief(track, event)
        return Cause("rejected order", text, track.name, event.id, brief)
    if event.kind in _MARGIN_ACTIONS:
        brief = say.action(track, event)
        text = f"{brief}; {peer.name} did not."
        return Cause("margin action", text, track.name, event.id, brief)
    if event.kind == "canceled":
        brief = f"{track.name} had an order in {event.symbol} cancelled at {say.when(event.time)}"
        return Cause("cancelled order", f"{brief} ({event.reason}).", track.name, event.id, brief)
    moved = money(event.amount, track.currency)
    brief = f"{track.name} alone had a {event.kind} of {moved} at {say.when(event.time)}"
    return Cause("transfer", f"{brief}.", track.name, event.id, brief)


def _fate(peer: Track, note: Note) -> str:
    """What became of the same position in the other run in that bar."""
    for like in _between(peer, note.bar, note.bar, ("liquidation",)):
        if like.event.symbol == note.event.symbol:
            return f"{peer.name} was too, {say.at_mark(peer, like.event)}"
    return f"{peer.name} was not"


def _death(first: Track, other: Track, bar: int) -> Cause | None:
    """One account is dead and the other trades on; who has an equity is alive."""
    if min(first.equity[bar], other.equity[bar]) > grain(first.currency):
        return None
    last = [_last(track, bar, ("dead", "revived")) for track in (first, other)]
    dead = [note is not None and note.event.kind == "dead" for note in last]
    if dead[0] == dead[1]:
        return None
    gone, alive = (first, other) if dead[0] else (other, first)
    note = last[0] if dead[0] else last[1]
    assert note is not None
    text = (
        f"{gone.name} has nothing left since {say.when(note.event.time)}; {alive.name} trades on."
    )
    brief = f"{gone.name} had nothing left since {say.when(note.event.time)}"
    return Cause("dead account", text, gone.name, note.event.id, brief)


def _last(track: Track, bar: int, kinds: Sequence[str]) -> Note | None:
    """The last note of these kinds up to a bar."""
    found = _between(track, 0, bar, kinds)
    return found[-1] if found else None


def _fills(first: Track, other: Track, bar: int) -> Cause:
    """No verdict parted the runs: the same order on another base, or an order of another size."""
    symbol, shares = _widest(first, other, bar)
    name = other.name
    if symbol is None:
        return Cause("different base", "The runs hold different shares.", name, None)
    mine, theirs = (_traded(track, bar).get(symbol, 0.0) for track in (first, other))
    weigh = f"{shares[0]:.2%} of the equity of {first.name}, {shares[1]:.2%} of {name}'s"
    at = say.when(int(first.times[bar]))
    if not mine and not theirs:
        text = f"The position in {symbol} weighs differently now: {weigh}."
        brief = f"the position in {symbol} began to weigh differently at {at}"
        return Cause("different base", text, name, None, brief)
    base = [f"{money(_equity(t, bar), t.currency)} ({t.name})" for t in (first, other)]
    brief = f"the orders in {symbol} at {at} were sized on {base[0]} and {base[1]}"
    if abs(mine - theirs) <= 1e-9 * max(abs(mine), abs(theirs)):
        text = (
            f"Both {say.size_text(mine, symbol)}, but on different equities: on {', '.join(base)}."
        )
        return Cause("different base", text, name, None, brief)
    did = [say.size_text(s, symbol) if s else f"no order in {symbol}" for s in (mine, theirs)]
    text = f"The orders differ: {did[0]} ({first.name}), {did[1]} ({name}), on {', '.join(base)}; "
    text += f"the position is then {weigh}."
    return Cause("different size", text, name, None, brief)


def _widest(first: Track, other: Track, bar: int) -> tuple[str | None, tuple[float, float]]:
    """The symbol whose exposures differ most at the close of a bar, and both exposures."""
    best, found = 0.0, (0.0, 0.0)
    name: str | None = None
    for symbol in sorted({*first.exposure, *other.exposure}):
        x, y = (
            float(track.exposure[symbol][bar]) if symbol in track.exposure else 0.0
            for track in (first, other)
        )
        if abs(x - y) > best:
            best, found, name = abs(x - y), (x, y), symbol
    return name, found


def _traded(track: Track, bar: int) -> dict[str, float]:
    """What a run bought (+) and sold (−) in a bar, symbol by symbol."""
    total: dict[str, float] = {}
    for note in _between(track, bar, bar, ("fill", "liquidation")):
        event = note.event
        total[event.symbol] = total.get(event.symbol, 0.0) + (event.size or 0.0)
    return {symbol: size for symbol, size in total.items() if size}


def _equity(track: Track, bar: int) -> float:
    """The equity at the close of the bar before: what orders of this bar were sized on."""
    return float(track.equity[bar - 1]) if bar else track.start
