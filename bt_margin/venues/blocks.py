"""Liquidation block by block: a portion of each position at a time, while the account needs it.

In one block each position is liquidated once at most, by an order for a portion of it, and the account
loses no more than a limit of notional; what is small goes whole. The next block looks again. Instead
of a trading fee the account pays into the insurance fund

    fee = min( largest fee · quote,  E · ΔV / V less the slippage )

(see :mod:`bt_margin.core.fillable`). Where that takes the whole share of the equity from every
position, E / V never improves: the account is closed at once, and nothing is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from bt_margin.core.fillable import (
    bankruptcy_quote,
    insurance_delta,
    is_liquidatable,
    liquidatable,
    liquidated_size,
    most_fee,
    quote_of,
    share_of_equity,
)
from bt_margin.errors import InputError, message
from bt_margin.venues.policies import Breach, Closing, Exposed, Residual, Settle


class Sold(NamedTuple):
    """What closing a part of a position does to its account.

    ``quote`` unsigned, at the price of the fill; ``slipped`` what that price cost; ``owed`` how far
    the quote is above the bankruptcy quote (the part's share of the equity less the slippage); ``fee``
    what is paid into the fund; ``freed`` the requirement set free.
    """

    size: float
    quote: float
    slipped: float
    owed: float
    fee: float
    freed: float


@dataclass(frozen=True, slots=True)
class BlockPortions:
    """A portion of each position per block, largest notional first, until the requirement is met.

    max_fee
        largest fee, a fraction of the quote; a symbol's own liquidation fee replaces it.
    portion, smallest
        share of a position per block, and the notional that goes in any case.
    per_block
        largest notional of the account per block.
    blocks
        after so many blocks at one price what is left goes at once: a bar is not endless.

    A chain picks the next position at random; here the largest goes first.
    """

    max_fee: float
    portion: float
    smallest: float
    per_block: float
    blocks: int = 1_000
    settle: Settle = "sale"
    residual: Residual = "trader"

    def __post_init__(self) -> None:
        for name in ("portion", "per_block", "blocks"):
            if not getattr(self, name) > 0:
                raise InputError(message(name, getattr(self, name), "above 0"))
        if not (self.portion <= 1 and 0 <= self.max_fee < 1 and self.smallest >= 0):
            found = f"portion {self.portion}, max_fee {self.max_fee}, smallest {self.smallest}"
            allowed = "portion at most 1, max_fee in [0, 1), smallest 0 or more"
            raise InputError(message("a portion per block", found, allowed))

    def choose(self, breach: Breach) -> tuple[Closing, ...]:
        """The closings of the next block, or of everything when no block can help."""
        equity, maintenance = breach.equity, breach.maintenance
        whole = [self.sold(breach, p, p.size, equity, maintenance) for p in breach.positions]
        spent = max([breach.closed.get(p.key, 0) for p in breach.positions], default=0)
        if equity <= 0 or spent >= self.blocks or all(s.fee >= s.owed for s in whole):
            return self._everything(breach)
        closings: list[Closing] = []
        left = self.per_block
        for p in sorted(breach.positions, key=lambda p: (-p.notional, p.key)):
            if left <= 0 or (closings and not is_liquidatable(equity, maintenance)):
                break
            size = self.part(p, self.most(p, left))
            part = self.sold(breach, p, size, equity, maintenance)
            closings.append(self._closing(p, part))
            left -= p.contract.notional(part.size, p.mark)
            equity -= part.fee + part.slipped
            maintenance -= part.freed
        return tuple(closings)

    def most(self, p: Exposed, left: float) -> float:
        """The notional one order may take of a position while the block has so much left."""
        return min(liquidatable(p.notional, self.smallest, self.portion).most, left)

    def part(self, p: Exposed, most: float) -> float:
        """The signed size of a position that one order takes, worth no more than ``most`` unless whole."""
        return liquidated_size(p.contract, p.size, p.mark, most)

    def sold(
        self, breach: Breach, p: Exposed, size: float, equity: float, maintenance: float
    ) -> Sold:
        """What closing ``size`` of a position does while the account holds ``equity``."""
        value = p.contract.notional(size, p.mark)
        freed = p.table.maintenance(p.notional) - p.table.maintenance(p.notional - value)
        share = share_of_equity(equity, maintenance, freed) if maintenance > 0 else equity
        price = p.mark * (1 - _slippage(breach, p) * (1 if p.size > 0 else -1))
        quote = quote_of(p.contract, size, price)
        bankrupt = bankruptcy_quote(quote_of(p.contract, size, p.mark), share)
        fee = max(0.0, insurance_delta(quote, bankrupt, most_fee(quote, self.fee_of(p))))
        return Sold(size, abs(quote), abs(value - abs(quote)), quote - bankrupt, fee, freed)

    def fee_of(self, p: Exposed) -> float:
        """The largest fee of a position: its own liquidation fee where it has one."""
        return self.max_fee if p.fees is None else p.fees.liquidation

    def _everything(self, breach: Breach) -> tuple[Closing, ...]:
        """All positions, whole, each at its fee."""
        closings = []
        equity, maintenance = breach.equity, breach.maintenance
        for p in breach.positions:
            part = self.sold(breach, p, p.size, equity, maintenance)
            closings.append(self._closing(p, part))
            equity -= part.fee + part.slipped
            maintenance -= part.freed
        last = breach.positions[-1]
        if part.fee >= part.owed and equity <= abs(breach.equity) * 1e-9:
            closings[-1] = Closing(last.key, 1.0, "sale", self.fee_of(last))
        return tuple(closings)

    def _closing(self, p: Exposed, part: Sold) -> Closing:
        fraction = min(1.0, part.size / p.size)
        return Closing(p.key, fraction, "sale", part.fee / part.quote)


def _slippage(breach: Breach, p: Exposed) -> float:
    """The slippage inside the cost of selling, which counts the liquidation fee on the sold value too."""
    fee = 0.0 if p.fees is None else p.fees.liquidation
    side = 1 if p.size > 0 else -1
    return max(0.0, (breach.cost[p.key] - fee) / (1 - side * fee))
