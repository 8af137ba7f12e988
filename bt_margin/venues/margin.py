"""Margin rules: what a position must keep, and what it must bring.

A rule is a pure choice of a venue. It is shown one position as numbers (:class:`Held`) and answers

``requirement``
    the maintenance requirement as a tier table of the notional at the mark. Whatever a venue's rule is
    (at the mark or at the entry value, by notional or by contracts, with fees inside, fixed in money), as
    long as the position does not change it is a chain of straight lines in the notional, and that is what
    a tier table is (``TierTable.fixed``, ``TierTable.raised``).
``initial``
    the margin a position of that size locks at a price; at least notional / leverage where the leverage is
    the trader's choice.
``cap``
    the largest notional the venue lets a position have at the leverage; infinite where a larger one only
    asks for more margin.

The engine asks for the requirement anew when size, entry, leverage, mode or the tables in force change, and
when ``reads_balance`` is set also when the isolated balance does; the formulas of :mod:`bt_margin.core`
then do with it what they do with every table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from bt_margin.core.contract import Contract
from bt_margin.core.tiers import Tier, TierTable


class Held(NamedTuple):
    """A position as a margin rule sees it.

    ``size`` signed contracts and average ``entry``; ``limits`` the venue's table of the symbol in force;
    ``taker`` the taker fee rate; ``isolated`` whether it stands alone, and then ``balance`` what its pool
    holds (0 in cross); ``opposite`` the signed size of the symbol's other side in hedge mode.
    """

    contract: Contract
    size: float
    entry: float
    leverage: float
    limits: TierTable
    taker: float
    isolated: bool
    balance: float = 0.0
    opposite: float = 0.0

    @property
    def side(self) -> int:
        """+1 long, −1 short."""
        return 1 if self.size > 0 else -1

    def value(self, price: float) -> float:
        """Unsigned notional at a price   [settle]."""
        return self.contract.notional(self.size, price)


class MarginRule(Protocol):
    """What the engine asks of a rule."""

    @property
    def plain(self) -> bool:
        """Whether the requirement is the venue's own table and the initial margin notional / leverage."""

    @property
    def reads_balance(self) -> bool:
        """Whether the requirement depends on the balance of an isolated pool."""

    def requirement(self, held: Held) -> TierTable:
        """The maintenance requirement as a table of the notional at the mark."""

    def initial(self, held: Held, price: float) -> float:
        """Initial margin of the position at a price   [settle]: the mark, or that of a fill."""

    def cap(self, held: Held, price: float) -> float:
        """The largest notional at the position's leverage, valued at ``price``   [settle]."""


def tier_of(rule: MarginRule, held: Held, price: float) -> Tier:
    """The tier of the venue's table a position is in: by its notional, or as the rule's own ``tier`` says.

    >>> from bt_margin.core.tiers import Tier, TierTable
    >>> table = TierTable.of([(50_000, 0.004, 0), (None, 0.005, 50)])
    >>> tier_of(AtMark(), Held(Contract("X"), 2.0, 30_000.0, 10.0, table, 0.0, False), 30_000.0).mmr
    0.005
    """
    own: Callable[[Held, float], Tier] | None = getattr(rule, "tier", None)
    return held.limits.at(held.value(price)) if own is None else own(held, price)


@dataclass(frozen=True, slots=True)
class AtMark:
    """The venue's table at the mark notional; initial margin = notional / leverage; nothing else.

    >>> from bt_margin.core.tiers import Tier, TierTable
    >>> held = Held(Contract("X"), 2.0, 100.0, 10.0, TierTable.flat(0.01), 0.0005, False)
    >>> AtMark().requirement(held).maintenance(held.value(110.0)), AtMark().initial(held, 110.0)
    (2.2, 22.0)
    """

    plain: bool = True
    reads_balance: bool = False

    def requirement(self, held: Held) -> TierTable:
        """The table itself."""
        return held.limits

    def initial(self, held: Held, price: float) -> float:
        """Notional at the price over leverage."""
        return held.value(price) / held.leverage

    def cap(self, held: Held, price: float) -> float:
        """The cap of the highest tier that allows the leverage."""
        return held.limits.cap(held.leverage)
