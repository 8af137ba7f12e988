"""What a tape holds: the intents of one run, how its orders fared, and what no tape can hold."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from bt_margin.studies.replay.layout import (
    ADD_CASH,
    ADD_MARGIN,
    CANCEL,
    CLOSE_ALL,
    REDUCE_MARGIN,
    SET_LEVERAGE,
    SET_MODE,
    VERBS,
)
from bt_margin.studies.replay.shares import Seen, Steps

#: Verbs that are no orders.
ACTIONS = frozenset((CANCEL, SET_LEVERAGE, SET_MODE, ADD_MARGIN, REDUCE_MARGIN, ADD_CASH))
#: backtrader's types of orders, by number.
TYPES = ("Market", "Close", "Limit", "Stop", "StopLimit", "StopTrail", "StopTrailLimit")


class Terms(NamedTuple):
    """How an order waits; as it stands, at the market.

    kind : backtrader's number of the type; ``price`` trigger or limit, ``limit`` of a stop-limit
    valid : the feed's time [days] after which it expires, 0 never; ``session`` the end of its session
    trail, trail_share : distance of a trailing stop, as money and as a share of the price
    marked : the mark triggers it
    group, family : number on the tape of the order whose end is its own too, and of its bracket's parent
    """

    kind: int = 0
    price: float = 0.0
    limit: float = 0.0
    valid: float = 0.0
    session: float = 0.0
    trail: float = 0.0
    trail_share: float = 0.0
    marked: bool = False
    group: int = -1
    family: int = -1


AT_ONCE = Terms()


class Intent(NamedTuple):
    """One thing asked for at the close of a bar: units + share · equity at the close of ``share_bar``.

    Its number is its place on the tape. A cancel names an order by its number in ``units``. ``whole``: the
    size of an order that is also all of the position it is against.
    """

    bar: int
    symbol: str
    verb: int
    units: float = 0.0
    share: float = 0.0
    share_bar: int = 0
    reduce_only: bool = False
    steps: Steps = ()
    terms: Terms = AT_ONCE
    whole: bool = False

    def __str__(self) -> str:
        amount = (
            f"{self.units:g}" if not self.share else f"{self.units:g} + {self.share:g} of equity"
        )
        kind = f" {TYPES[self.terms.kind]} at {self.terms.price:g}" if self.terms.kind else ""
        return f"bar {self.bar}: {VERBS[self.verb]} {self.symbol} {amount}{kind}"

    def like(self, other: Intent) -> bool:
        """Whether the two ask for the same."""
        same = self[:3] == other[:3] and self[5:7] == other[5:7]
        numbers = zip(
            (*self[3:5], *self.terms), (*other[3:5], *other.terms), strict=True
        )  # fmt: skip
        return same and all(math.isclose(a, b, rel_tol=1e-12, abs_tol=0.0) for a, b in numbers)


def inserted(
    intents: Sequence[Intent], fates: Sequence[Fate] | None, more: Sequence[Intent]
) -> tuple[tuple[Intent, ...], tuple[Fate, ...] | None]:
    """A tape with something more at the close of one bar, after all that was asked for there.

    Later intents move on, so whoever names one by its number names another number.
    """
    place = bisect_right([one.bar for one in intents], more[0].bar)

    def moved(number: float) -> float:
        return number + len(more) if number >= place else number

    def renamed(one: Intent) -> Intent:
        terms = one.terms._replace(
            group=int(moved(one.terms.group)), family=int(moved(one.terms.family))
        )
        units = moved(one.units) if one.verb == CANCEL else one.units
        return one._replace(terms=terms, units=units)

    own = [renamed(one) for one in intents]
    ends = None if fates is None else tuple(f._replace(tag=int(moved(f.tag))) for f in fates)
    return (*own[:place], *more, *own[place:]), ends


class Fate(NamedTuple):
    """In which bar an order of the tape ended of itself, and how (``FILLED``, ``IDLE``, ``EXPIRED``)."""

    bar: int
    tag: int
    how: int


@dataclass
class Tape:
    """The intents of one run, and what it did that no tape can hold.

    ``beyond`` the first thing asked for that the kernel does not do ("": none); ``seen`` what the strategy
    has looked at; ``surprised`` the bar of the first refusal or liquidation, None when there was none;
    ``liquidated`` whether there was one; ``fates`` the orders that ended of themselves, in that order;
    ``refused`` whether an action was refused.
    """

    intents: list[Intent] = field(default_factory=list)
    beyond: str = ""
    seen: Seen = field(default_factory=Seen)
    surprised: int | None = None
    liquidated: bool = False
    fates: list[Fate] = field(default_factory=list)
    refused: bool = False

    def refuse(self, why: str) -> None:
        """Note something no tape can hold."""
        self.beyond = self.beyond or why

    @property
    def rests(self) -> bool:
        """Whether something else than orders at the market was asked for."""
        return any(one.verb in ACTIONS or one.terms != AT_ONCE for one in self.intents)

    def closings(self) -> Tape:
        """The same with every order that was as large as the position read as "all of it"."""
        read = [
            one._replace(verb=CLOSE_ALL, units=0.0, share=0.0, share_bar=0, steps=())
            if one.whole
            else one
            for one in self.intents
        ]
        return replace(self, intents=read)

    @property
    def crowded(self) -> bool:
        """Whether more than two orders may end with one another."""
        groups = Counter(one.terms.group for one in self.intents if one.terms.group >= 0)
        return max(groups.values(), default=0) > 1

    def first_difference(self, other: Tape, until: int | None = None) -> str:
        """The first intent in which two tapes differ before a bar, in words; "" when they do not."""
        one, two = ([i for i in t.intents if until is None or i.bar < until] for t in (self, other))
        for a, b in zip(one, two, strict=False):
            if not a.like(b):
                return f"{a}, in the other account {b}"
        if len(one) != len(two):
            longer = one if len(one) > len(two) else two
            return f"{longer[min(len(one), len(two))]}, in the other account nothing"
        return ""
