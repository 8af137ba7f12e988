"""The event behind an episode, and the sentence that tells it.

The engine writes down every verdict with the two numbers that decided it; here the one that parted two runs
is found and told: which run, when, which price, which margin.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

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
_MARGIN_ACTIONS = ("top_up", "transfer", "margin_mode", "leverage", "refused")


def tell(first: Track, other: Track, since: int, bar: int, end: int) -> Cause:
    """Why two runs part in ``bar`` until ``end``, having agreed last at the close of bar ``since``."""
    cause = cause_of(first, other, since, bar)
    return replace(cause, aftermath=_aftermath((first, other), bar, end, cause))


def _aftermath(tracks: Sequence[Track], bar: int, end: int, cause: Cause) -> str:
    """What else happened in these bars: further liquidations, and accounts that died."""
    fallen = [
        (track.name, note.event.id)
        for track in tracks
        for note in _between(track, bar, end, ("liquidation",))
    ]
    more = len([one for one in fallen if one != (cause.run, cause.event)])
    parts = [f"{more} more liquidation{'s' if more > 1 else ''}"] if more else []
    for track in tracks:
        died = _between(track, bar, end, ("dead",))
        parts += [f"{track.name} lost everything at {when(note.event.time)}" for note in died]
    return f"While they were apart: {', '.join(parts)}." if parts else ""


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


def funding_behind(event: Any, events: Sequence[Any]) -> float:
    """What funding took just before the breach behind a liquidation, if that is what tipped it; else 0.

    Funding tipped it when, without the payments booked right before the breach in the same pool, the
    equity would still have exceeded the maintenance margin. ``events`` are all of the run, in order.
    """
    breach = breach_behind(event, events)
    if breach is None or breach.found is None or breach.allowed is None:
        return 0.0
    paid = 0.0
    for before in reversed(events[: breach.id]):
        if before.kind != "funding" or before.pool != breach.pool or before.time != breach.time:
            break
        paid -= before.amount or 0.0
    return paid if paid > 0.0 and breach.allowed + paid > breach.found else 0.0


def breach_behind(event: Any, events: Sequence[Any]) -> Any | None:
    """The breach that led to a liquidation, or ``None`` where the engine recorded none."""
    at: Any | None = event
    while at is not None and at.cause is not None and at.cause < len(events):
        at = events[at.cause]
        if at.kind == "breach":
            return at
    return None


def when(ms: int) -> str:
    """A time for a sentence.

    >>> when(1_760_130_000_000)
    '2025-10-10 21:00 UTC'
    """
    return f"{pd.Timestamp(ms, unit='ms', tz='UTC'):%Y-%m-%d %H:%M} UTC"


def amount(value: float | None) -> str:
    """A price with as many decimals as its size calls for.

    >>> amount(61234.567), amount(0.081234), amount(None)
    ('61,234.57', '0.081234', 'unknown')
    """
    if value is None:
        return "unknown"
    digits = 2 if abs(value) >= 100 else 4 if abs(value) >= 1 else 6
    return f"{value:,.{digits}f}"


def money(value: float | None) -> str:
    """An amount of money; very small ones are not rounded to nothing.

    >>> money(1234.567), money(0.00012)
    ('1,234.57', '0.00012')
    """
    if value is None:
        return "unknown"
    return f"{value:,.3g}" if 0.0 < abs(value) < 0.005 else f"{value:,.2f}"


def size_text(value: float | None, symbol: str | None) -> str:
    """A signed size in words: ``buy 0.5 of BTC/USDT:USDT``."""
    if value is None:
        return f"trade {symbol}"
    return f"{'buy' if value > 0 else 'sell'} {abs(value):,.6g} of {symbol}"


def _weight(note: Note) -> tuple[int, int]:
    """The stronger kind first; of one kind, the later bar."""
    return -PARTING.index(note.event.kind), note.bar


def _between(track: Track, begin: int, end: int, kinds: Iterable[str]) -> list[Note]:
    """The notes of these bars (inclusive) and kinds."""
    wanted = set(kinds)
    return [n for n in track.notes if begin <= n.bar <= end and n.event.kind in wanted]


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
    event, events = note.event, [n.event for n in track.notes]
    if event.kind == "liquidation":
        kind = "funding breach" if funding_behind(event, events) else "liquidation"
        text = liquidation_sentence(track.name, event, events)
        return Cause(kind, f"{text[:-1]}; {_fate(peer, note)}.", track.name, event.id)
    if event.kind == "rejected":
        return Cause("rejected order", _rejection(track, peer, event), track.name, event.id)
    if event.kind in _MARGIN_ACTIONS:
        return Cause("margin action", _action(track, peer, event), track.name, event.id)
    if event.kind == "canceled":
        text = f"{track.name} had an order in {event.symbol} cancelled at {when(event.time)}"
        return Cause("cancelled order", f"{text} ({event.reason}).", track.name, event.id)
    text = f"{track.name} alone had a {event.kind} of {money(event.amount)} at {when(event.time)}."
    return Cause("transfer", text, track.name, event.id)


def _fate(peer: Track, note: Note) -> str:
    """What became of the same position in the other run in that bar."""
    for like in _between(peer, note.bar, note.bar, ("liquidation",)):
        if like.event.symbol == note.event.symbol:
            return f"{peer.name} was too, at the mark {amount(like.event.mark)}"
    return f"{peer.name} was not"


def liquidation_sentence(run: str, event: Any, events: Sequence[Any]) -> str:
    """One liquidation in a sentence: which mark, which equity, which maintenance."""
    decided = breach_behind(event, events) or event
    held = "position" if event.size is None else "long" if event.size < 0 else "short"
    text = f"{run} was liquidated out of its {event.symbol} {held} at {when(event.time)}"
    if event.mark is not None:
        text += f" at the mark {amount(event.mark)}"
    if decided.found is not None and decided.allowed is not None:
        text += f": {verdict_text(decided.allowed, decided.found)}"
    paid = funding_behind(event, events)
    return f"{text}{f', after paying {money(paid)} of funding' if paid else ''}."


def verdict_text(equity: float, need: float) -> str:
    """How a pool's equity stood to its maintenance margin when it was liquidated.

    >>> verdict_text(73.28, 73.28)
    'its equity had fallen to the maintenance margin of 73.28'
    >>> verdict_text(-10.0, 73.28)
    'its equity of -10.00 was already below the maintenance margin of 73.28'
    """
    if need - equity <= 1e-6 * abs(need) + 0.005:
        return f"its equity had fallen to the maintenance margin of {money(need)}"
    return (
        f"its equity of {money(equity)} was already below the maintenance margin of {money(need)}"
    )


_REASONS = {
    "margin": "needs {found} of margin, {allowed} are available",
    "lot": "is smaller than one lot of {allowed}",
    "min_notional": "is worth {found}, less than the smallest order of {allowed}",
    "leverage_cap": "makes a position worth {found}, at this leverage {allowed} are allowed",
    "dead": "comes from an account that has nothing left",
}


def _rejection(track: Track, peer: Track, event: Any) -> str:
    """An order one account could not carry."""
    text = f"{track.name} was refused an order at {when(event.time)}"
    known = _REASONS.get(event.reason)
    why = f"is refused ({event.reason.replace('_', ' ')})" if known is None else known
    show = amount if event.reason == "lot" else money
    numbers = {"found": show(event.found), "allowed": show(event.allowed)}
    order = size_text(event.size, event.symbol)
    return f"{text}: to {order} {why.format(**numbers)}; {peer.name} was not."


def _action(track: Track, peer: Track, event: Any) -> str:
    """Margin moved, or leverage or mode changed, in one run only."""
    what = {
        "top_up": "topped its margin up by",
        "transfer": "moved margin of",
        "leverage": "changed the leverage",
        "margin_mode": "changed the margin mode",
        "refused": "was refused a margin action",
    }[event.kind]
    number = f" {money(event.amount)}" if event.amount is not None else ""
    where = f" for {event.symbol}" if event.symbol else ""
    reason = f" ({event.reason.replace('_', ' ')})" if event.reason else ""
    return f"{track.name} {what}{number}{where} at {when(event.time)}{reason}; {peer.name} did not."


def _death(first: Track, other: Track, bar: int) -> Cause | None:
    """One account is dead and the other trades on."""
    last = [_last(track, bar, ("dead", "revived")) for track in (first, other)]
    dead = [note is not None and note.event.kind == "dead" for note in last]
    if dead[0] == dead[1]:
        return None
    gone, alive = (first, other) if dead[0] else (other, first)
    note = last[0] if dead[0] else last[1]
    assert note is not None
    text = f"{gone.name} has nothing left since {when(note.event.time)}; {alive.name} trades on."
    return Cause("dead account", text, gone.name, note.event.id)


def _last(track: Track, bar: int, kinds: Sequence[str]) -> Note | None:
    """The last note of these kinds up to a bar."""
    found = _between(track, 0, bar, kinds)
    return found[-1] if found else None


def _fills(first: Track, other: Track, bar: int) -> Cause:
    """No verdict parted the runs: the same order on another base, or an order of another size."""
    symbol, shares = _widest(first, other, bar)
    if symbol is None:
        return Cause("different base", "The runs hold different shares.", other.name, None)
    mine, theirs = (_traded(track, bar).get(symbol, 0.0) for track in (first, other))
    weigh = f"{shares[0]:.2%} of the equity of {first.name}, {shares[1]:.2%} of {other.name}'s"
    if not mine and not theirs:
        text = f"The position in {symbol} weighs differently now: {weigh}."
        return Cause("different base", text, other.name, None)
    bases = f"on {money(_equity(first, bar))} ({first.name}), {money(_equity(other, bar))} ({other.name})"
    if abs(mine - theirs) <= 1e-9 * max(abs(mine), abs(theirs)):
        text = f"Both {size_text(mine, symbol)}, but on different equities: {bases}."
        return Cause("different base", text, other.name, None)
    did = [size_text(s, symbol) if s else f"no order in {symbol}" for s in (mine, theirs)]
    text = f"The orders differ: {did[0]} ({first.name}), {did[1]} ({other.name}), {bases}; "
    text += f"the position is then {weigh}."
    return Cause("different size", text, other.name, None)


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
