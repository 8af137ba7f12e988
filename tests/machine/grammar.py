"""The grammar of stories: one set of choices, drawn from a seed or by hypothesis.

:class:`Seeded` draws long stories at the speed of ``random``; :class:`Drawn` lets hypothesis choose, and
shrink what it chose.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from math import log
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st
from machine.acts import ORDERS, OTHERS
from machine.life import LOOPS, POLICIES
from machine.markets import PLACES
from machine.story import STILL, Act, Bar, Move, Setup, Stamp, Story

T = TypeVar("T")


class Pick(Protocol):
    """Whoever chooses."""

    def one(self, options: Sequence[T]) -> T:
        """One of several; the first is the plainest."""

    def real(self, low: float, high: float) -> float:
        """A number with four decimals."""

    def chance(self, share: float) -> bool:
        """Yes or no."""


class Seeded:
    """Chooses from a seed."""

    def __init__(self, seed: Any) -> None:
        self.random = random.Random(seed)

    def one(self, options: Sequence[T]) -> T:
        return options[int(self.random.random() * len(options))]

    def real(self, low: float, high: float) -> float:
        return round(low + (high - low) * self.random.random(), 4)

    def chance(self, share: float) -> bool:
        return self.random.random() < share


class Drawn:
    """Lets hypothesis choose."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self.draw = draw

    def one(self, options: Sequence[T]) -> T:
        found: T = self.draw(st.sampled_from(options))
        return found

    def real(self, low: float, high: float) -> float:
        """Nought, if it lies between, is what a number shrinks to."""
        return int(self.draw(st.integers(round(low * 10_000), round(high * 10_000)))) / 10_000

    def chance(self, share: float) -> bool:
        return int(self.draw(st.integers(0, 999))) >= round(1000 * (1 - share))


# -- the account ----------------------------------------------------------------------------------------


#: twice as often as the others: where a story says every number of its venue itself
WHERE = ("generic", *(name for name in PLACES if name != "generic"), "inverse", "generic")


def setup(pick: Pick, bars: int = 50, venue: str = "") -> Setup:
    """Any account; half of what can be peculiar about it is not, most of the time."""
    venue = venue or pick.one(WHERE)
    place = PLACES[venue]
    both = len(place.modes) > 1
    return Setup(
        venue=venue,
        symbols=pick.one((1, 2, 3)) if len(place.markets) > place.needs else 1,
        hedge=place.hedge and pick.chance(0.4),
        mode=pick.one(place.modes),
        mixed=pick.chance(0.25) and both and not place.together,
        leverage=pick.one(place.leverages),
        intrabar=pick.one(("adverse", "favourable", "nearest")),
        top_up=pick.chance(0.25),
        liquidation_slippage=pick.one((0.0, 0.002)),
        calls=pick.one(((0.8,), (0.5, 0.9), ())),
        start=pick.one(place.dates) + pick.one(("", "T12:00", "T21:00")),
        **_numbers(pick, venue),
        **_data(pick, bars),
        **_desk(pick, venue),
    )


def _numbers(pick: Pick, venue: str) -> dict[str, Any]:
    """The numbers of a venue that has none of its own."""
    if PLACES[venue].venue != "generic":
        return {}
    return {
        "policy": pick.one(range(len(POLICIES))),
        "tiers": pick.chance(0.5),
        "fee": pick.one((0.0005, 0.0, 0.002)),
        "maker": pick.one((0.4, 1.0, -0.2)),
        "liquidation_fee": pick.one((0.0, 0.005, 0.02)),
        "lot": pick.one((0.0, 0.0, 0.01)),
    }


def _data(pick: Pick, bars: int) -> dict[str, Any]:
    """The feeds and the loop that reads them."""
    return {
        "marks": pick.one(("none", "columns", "given")),
        "funding": pick.one(("given", "attrs")),
        "feed": pick.one(("PerpData", "PandasData", "PerpData", "Trickle")),
        "loop": pick.one(tuple(LOOPS)),
        "step": pick.one((60, 15, 240)),
        "stamped": pick.one(("open", "open", "open", "close")),
        "detail": pick.chance(0.15),
        "delisted": pick.one(range(max(2, bars // 2), bars)) if pick.chance(0.2) else 0,
        "delisting": pick.one(("settle", "settle", "hold")),
        "late": pick.one(range(1, max(2, bars // 3))) if pick.chance(0.2) else 0,
    }


def _desk(pick: Pick, venue: str) -> dict[str, Any]:
    """What a script sets on its broker."""
    return {
        "company": pick.one((1, 1, 2)),
        "slip": pick.one((0.0, 0.0, 0.001, 0.01)),
        "slip_fixed": pick.one((0.0, 0.0, 0.0, 0.01)),
        "slip_out": pick.chance(0.1),
        "filler": pick.one(("", "", "", "size", "share", "point")),
        "coc": pick.chance(0.15),
        "coo": pick.chance(0.15),
        "int2pnl": not pick.chance(0.15),
        "checksubmit": not pick.chance(0.1),
        "quick": pick.chance(0.15),
        "fund": pick.chance(0.25),
        "commission": pick.one((0.0, 0.0, 0.0007)),
        "interest": pick.one((0.0, 0.0, 0.0, 0.5)) if PLACES[venue].margins else 0.0,
    }


# -- one bar --------------------------------------------------------------------------------------------


def move(pick: Pick, level: float = 0.0) -> Move:
    """Mostly a calm bar; ``level`` is how far (in logarithms) the price has come, and pulls it back."""
    pull = -0.02 * level
    kind = pick.one(KINDS_OF_BAR)
    if kind in ("missing", "nan"):
        return Move(kind=kind)
    gap = body = 0.0
    up, down = pick.real(0.0, 0.006), pick.real(0.0, 0.006)
    premium = pick.real(-0.002, 0.002)
    if kind == "gap":
        gap = pick.real(-0.04, 0.04)
    elif kind == "jump":
        gap = pick.real(-0.35, 0.35)
    elif kind == "wick":
        up, down = (0.0, pick.real(0.0, 0.15)) if pick.chance(0.5) else (pick.real(0.0, 0.15), 0.0)
    elif kind == "apart":
        premium = pick.real(-0.05, 0.05)
    body = round(pull + pick.real(-0.015, 0.015), 4)
    return Move(gap, body, up, down, premium, kind if kind in ("no mark", "calm mark") else "")


KINDS_OF_BAR = (
    *(["calm"] * 30), *(["gap"] * 6), *(["wick"] * 4), "jump", "apart", "no mark", "calm mark",
    "calm mark", "missing", "missing", "nan",
)  # fmt: skip


def act(pick: Pick, setup: Setup) -> Act:
    """An order mostly."""
    return Act(
        pick.one(OTHERS if pick.chance(0.18) else ORDERS),
        pick.one(range(setup.company)),
        pick.one(range(setup.markets)),
        pick.real(-1.2, 1.2),
        pick.real(-0.006, 0.02),
        pick.one(range(8)),
    )


def stamps(pick: Pick, setup: Setup) -> tuple[Stamp, ...]:
    """Rarely a settlement: at the open, somewhere inside, at any rate a venue has ever charged."""
    if not pick.chance(0.12):
        return ()
    when = pick.one((0.0, 0.0, 0.0, 0.5, 0.9))
    on = pick.one(range(setup.markets))
    return (Stamp(pick.real(-0.004, 0.004), on, when),)


def bar(pick: Pick, setup: Setup, levels: list[float]) -> Bar:
    """One moment; ``levels`` is where the prices are, and goes with them."""
    moves = []
    for on in range(setup.markets):
        one = move(pick, levels[on])
        levels[on] += log((1 + one.gap) * (1 + one.body))
        moves.append(one)
    acts = []
    while len(acts) < 4 and pick.chance(0.28):
        acts.append(act(pick, setup))
    return Bar(tuple(moves), tuple(acts), stamps(pick, setup))


def story(seed: str, longest: int = 3_000, venue: str = "") -> Story:
    """A story of its own from a seed: most are short, some go on for thousands of bars."""
    pick = Seeded(seed)
    bars = pick.one(tuple(n for n in (40, 150, 400, 1_000, 3_000) if n <= longest) or (longest,))
    one = setup(pick, bars, venue)
    levels = [0.0] * one.markets
    return Story(one, tuple(bar(pick, one, levels) for _ in range(bars)), seed)


__all__ = ["STILL", "Drawn", "Seeded", "act", "bar", "move", "setup", "stamps", "story"]
