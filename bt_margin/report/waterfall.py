"""From one final equity to the other, step by step: what each cause of the difference was worth.

The pieces of a divergence (:mod:`bt_margin.studies.divergence`) are sorted by what opened them, and the costs
by kind. Nothing is estimated: start + Σ steps = end, to the smallest amount that is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bt_margin.report.numbers import moment, money, plural
from bt_margin.studies.amounts import grain
from bt_margin.studies.causes import tell
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.divergence import Floats, Track, diverge
from bt_margin.studies.pieces import CAUSES, Divergence, Episode, Stretch

#: What opened an episode → the step its prices count to.
STEP_OF = {
    "liquidation": "afterwards",
    "funding breach": "afterwards",
    "dead account": "afterwards",
    "rejected order": "refused",
    "margin action": "actions",
    "cancelled order": "actions",
    "transfer": "actions",
    "different base": "sizes",
    "different size": "sizes",
}
#: Causes that are steps of their own, and the steps they are.
COSTS = {
    "funding": "funding",
    "fees": "fees",
    "interest": "interest",
    "liquidation_fee": "liquidation_costs",
    "shortfall": "fund",
    "slippage": "slippage",
    "transfers": "transfers",
}
#: Step → label, in the order in which a waterfall shows them.
LABELS = {
    "cash": "cash at the start",
    "liquidations": "liquidations",
    "afterwards": "positions missing afterwards",
    "liquidation_costs": "liquidation costs",
    "fund": "borne by the fund",
    "refused": "refused orders",
    "actions": "margin moved, orders cancelled",
    "sizes": "orders of another size",
    "compounding": "compounding",
    "funding": "funding",
    "fees": "fees",
    "interest": "interest",
    "slippage": "slippage",
    "transfers": "deposits and withdrawals",
    "other": "other",
}
#: The steps that together are what liquidations did.
FAMILY = ("liquidations", "afterwards", "liquidation_costs", "fund")


@dataclass(slots=True)
class Pair:
    """Two runs and what lies between their final equities.

    ``steps`` step → worth [settle], other − first; ``led`` step → the episode that weighs most in it;
    ``counts`` step → how many episodes there are in it.
    """

    first: Track
    other: Track
    pieces: Sequence[Episode | Stretch]
    steps: dict[str, float] = field(default_factory=dict)
    led: dict[str, Episode] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def start(self) -> float:
        """The final equity of the first."""
        return _final(self.first)

    @property
    def end(self) -> float:
        """The final equity of the other."""
        return _final(self.other)

    @property
    def gap(self) -> float:
        """The difference of the final equities: the sum of the steps."""
        return self.end - self.start

    @property
    def episodes(self) -> list[Episode]:
        """The pieces in which the runs were apart."""
        return [piece for piece in self.pieces if isinstance(piece, Episode)]


def waterfalls(comparison: Comparison) -> list[dict[str, Any]]:
    """One waterfall for each run after the first, as plain data.

    ``start`` and ``end`` are the final equities, each of ``steps`` has a ``key``, a ``label``, a ``value``, a
    ``sentence`` and the ``time`` (UTC ms) of what weighs most in it, or None.
    """
    others = [track.name for track in comparison.tracks[1:]]
    return [_plain(between(comparison, comparison.first.name, name)) for name in others]


def between(comparison: Comparison, first: str, other: str) -> Pair:
    """The difference of any two runs of a comparison, in steps."""
    tracks = {track.name: track for track in comparison.tracks}
    if first == comparison.first.name:
        book: Divergence = comparison.divergence
    else:
        book = diverge(tracks[first], [tracks[other]], tell)
    mine = [piece for piece in book if piece.other == other]
    return pair_of(tracks[first], tracks[other], mine)


def pair_of(first: Track, other: Track, pieces: Sequence[Episode | Stretch]) -> Pair:
    """The steps of a pair of runs from the pieces of its divergence."""
    pair = Pair(first, other, pieces)
    steps = dict.fromkeys(LABELS, 0.0)
    steps["cash"] = other.start - first.start
    fallen = _Fallen(first, other)
    for piece in pieces:
        for cause in CAUSES:
            if cause in COSTS:
                steps[COSTS[cause]] += piece.causes[cause]
        if isinstance(piece, Stretch):
            steps["compounding"] += piece.causes["price"]
            continue
        key = STEP_OF.get(piece.kind, "other")
        at_once = fallen.worth(piece) if key == "afterwards" else 0.0
        steps["liquidations"] += at_once
        steps[key] += piece.causes["price"] - at_once
        for name in (key, "liquidations") if key == "afterwards" else (key,):
            pair.counts[name] = pair.counts.get(name, 0) + 1
            if name not in pair.led or abs(piece.worth) > abs(pair.led[name].worth):
                pair.led[name] = piece
    steps["other"] += pair.gap - sum(steps.values())
    pair.steps = _settled(steps, grain(first.currency))
    return pair


def _settled(steps: Mapping[str, float], least: float) -> dict[str, float]:
    """The steps worth showing; what is too small to be seen counts to the others."""
    kept = {k: v for k, v in steps.items() if k != "other" and abs(v) >= least}
    rest = sum(steps.values()) - sum(kept.values())
    if abs(rest) >= least:
        kept["other"] = rest
    elif kept:
        kept[max(kept, key=lambda key: abs(kept[key]))] += rest
    return kept


class _Fallen:
    """What prices did to the difference in the bars in which a run was liquidated."""

    def __init__(self, first: Track, other: Track) -> None:
        self.times = first.times
        level = np.concatenate(([other.start - first.start], other.equity - first.equity))
        moved: Floats = np.diff(level)
        for cause in CAUSES:
            for track, sign in ((other, 1.0), (first, -1.0)):
                if cause in track.flows:
                    moved = moved - sign * track.flows[cause]
        bars = np.zeros(len(moved), dtype=bool)
        notes = [*first.notes, *other.notes]
        bars[[note.bar for note in notes if note.event.kind == "liquidation"]] = True
        self.sums = np.concatenate(([0.0], np.cumsum(np.where(bars, moved, 0.0))))

    def worth(self, piece: Episode) -> float:
        """The same within an episode."""
        begin, end = (
            int(np.searchsorted(self.times, int(stamp.timestamp() * 1000)))
            for stamp in (piece.opened, piece.closed)
        )
        return float(self.sums[end + 1] - self.sums[begin])


def _plain(pair: Pair) -> dict[str, Any]:
    """A waterfall as plain data."""
    return {
        "from": pair.first.name,
        "to": pair.other.name,
        "start": pair.start,
        "end": pair.end,
        "steps": list(_steps(pair)),
    }


def _steps(pair: Pair) -> Iterator[dict[str, Any]]:
    for key, label in LABELS.items():
        if key not in pair.steps:
            continue
        led = pair.led.get(key)
        yield {
            "key": key,
            "label": label,
            "value": pair.steps[key],
            "sentence": sentence(pair, key),
            "time": None if led is None else int(led.opened.timestamp() * 1000),
        }


def sentence(pair: Pair, key: str) -> str:
    """What a step is, with the episode that weighs most in it."""
    first, other = pair.first.name, pair.other.name
    said = _MEANING[key].format(first=first, other=other)
    led = pair.led.get(key)
    if led is None:
        return said
    count = pair.counts[key]
    told = led.brief or led.sentence.rstrip(".")
    if count == 1:
        return f"{said} {_upper(told)}."
    worth = money(abs(led.worth), pair.first.currency)
    return (
        f"{said} {plural(count, 'parting')}; the one worth most ({worth}) began on "
        f"{moment(led.opened)}: {told}."
    )


_MEANING = {
    "cash": "{other} began with other cash than {first}.",
    "liquidations": "What prices did in the bars of the liquidations: one run sold out, the other held on.",
    "afterwards": "What prices did to positions that one run held on and the other had lost.",
    "liquidation_costs": "Liquidation fees, and margin handed over to the fund: {other} less {first}.",
    "fund": "Losses beyond the margin, borne by the insurance fund: {other} less {first}.",
    "refused": "What prices did to positions that one account could carry and the other could not.",
    "actions": "What prices did after margin was moved or an order cancelled in one run alone.",
    "sizes": "What prices did to orders that were sized differently.",
    "compounding": "The same positions, held on another equity.",
    "funding": "Funding received less paid: {other} less {first}.",
    "fees": "Trading fees: {other} less {first}.",
    "interest": "Interest on borrowed money: {other} less {first}.",
    "slippage": "Slippage of fills and liquidation sales: {other} less {first}.",
    "transfers": "Money put in or taken out: {other} less {first}.",
    "other": "What is too small to be named.",
}


def _upper(text: str) -> str:
    """A sentence's first letter: names of the two margin modes take a capital, other names stay."""
    return text[:1].upper() + text[1:] if text.split(" ", 1)[0] in ("cross", "isolated") else text


def _final(track: Track) -> float:
    return float(track.equity[-1]) if len(track.equity) else track.start
