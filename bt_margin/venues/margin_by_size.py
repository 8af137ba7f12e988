"""Initial margin that grows with the size of a position, step by step, up to a largest size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bt_margin.core.size_steps import stepped_fraction
from bt_margin.core.tiers import TierTable
from bt_margin.venues.margin import Held


class SizeSteps(NamedTuple):
    """A market's initial fraction, and how it grows: sizes in base units, ``most`` the largest position."""

    base: float
    increment: float
    baseline: float
    step: float
    most: float

    def fraction(self, size: float) -> float:
        """The initial fraction of a position of this size."""
        return stepped_fraction(size, self.base, self.increment, self.baseline, self.step)


@dataclass(frozen=True, slots=True)
class SteppedInitial:
    """The table's requirement; initial margin at the larger of the size's fraction and 1 / leverage.

    initial = notional · max(I(size), 1 / leverage)

    I(size) is :func:`bt_margin.core.size_steps.stepped_fraction`.

    A symbol without steps (one of the user's own) brings notional / leverage.

    >>> from bt_margin.core.contract import Contract
    >>> rule = SteppedInitial({"X": SizeSteps(0.05, 0.01, 9, 1.5, 170)})
    >>> held = Held(Contract("X"), 12.0, 100.0, 20.0, TierTable.flat(0.03, 20), 0.0, False)
    >>> round(rule.initial(held, 100.0), 9), rule.cap(held, 100.0)
    (84.0, 17000.0)
    """

    steps: Mapping[str, SizeSteps] = field(default_factory=dict, hash=False)
    plain: bool = False
    reads_balance: bool = False

    def requirement(self, held: Held) -> TierTable:
        """The table itself: maintenance does not grow with the size."""
        return held.limits

    def initial(self, held: Held, price: float) -> float:
        """Notional times the larger of the size's fraction and 1 / leverage."""
        steps = self.steps.get(held.contract.symbol)
        rate = 1 / held.leverage
        return held.value(price) * (rate if steps is None else max(rate, steps.fraction(held.size)))

    def cap(self, held: Held, price: float) -> float:
        """The value of the largest position, 0 where the table does not allow the leverage."""
        steps, allowed = self.steps.get(held.contract.symbol), held.limits.cap(held.leverage)
        return allowed if steps is None else min(allowed, held.contract.notional(steps.most, price))
