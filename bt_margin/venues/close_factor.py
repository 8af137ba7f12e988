"""Liquidation by a close factor: a liquidator repays part of a debt and takes collateral with a bonus.

Each call concerns one debt and one collateral of the account. Up to the close factor of the debt is repaid,
and collateral worth (1 + bonus) times that is taken (:mod:`bt_margin.core.lending`). As closings:

    stable owed, X supplied     X is sold for repaid · (1 + bonus) and pays the bonus: a fee of
                                bonus / (1 + bonus) on what is sold
    Y owed, stable supplied     Y is bought back for what is repaid, and pays the bonus on it
    Y owed, X supplied          both: Y without a fee, X as above

Which debt and which collateral is the liquidator's choice; here it is the pair that earns the largest bonus,
the dearest one for the account (of equal ones the first by name). What is left when no collateral remains is
bad debt: everything is closed, and the engine books what is missing as a shortfall.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from bt_margin.core import lending
from bt_margin.core.lending import CloseRule
from bt_margin.errors import InputError
from bt_margin.venues.policies import Breach, Closing, Exposed, Residual, Settle

#: A part that leaves less than this share of a position closes all of it.
DUST = 1e-12


class Side(NamedTuple):
    """One debt or one collateral of the account; ``position`` None is the stable, its bonus as collateral."""

    value: float
    bonus: float
    position: Exposed | None

    @property
    def name(self) -> str:
        """The position's key; the stable comes before every name."""
        return "" if self.position is None else self.position.key


class Call(NamedTuple):
    """One liquidation call: which debt, which collateral, and the value repaid."""

    debt: Side
    collateral: Side
    repaid: float

    @property
    def seized(self) -> float:
        """Value of the collateral taken."""
        found = lending.seizure(self.collateral.value, 1, self.repaid, 1, self.collateral.bonus)
        return found.seized


@dataclass(frozen=True, slots=True)
class CloseFactor:
    """Repay up to the close factor, pay the bonus, ask again while the health factor is below 1.

    rule : how much of a debt one call may repay
    stable : liquidation bonus of the stable as collateral
    bonuses : liquidation bonus of each symbol's asset as collateral
    """

    rule: CloseRule
    stable: float
    bonuses: Mapping[str, float] = field(hash=False)
    settle: Settle = "sale"
    residual: Residual = "trader"

    def choose(self, breach: Breach) -> tuple[Closing, ...]:
        """The dearest call; everything when it takes the last collateral, or when there is none."""
        cash = breach.equity - sum(_signed(p) for p in breach.positions)
        debts, collaterals = self._sides(breach, cash)
        total = sum(side.value for side in debts)
        health = lending.health_of(breach.equity, breach.maintenance, total)
        calls = [self._call(d, c, total, health) for d in debts for c in collaterals]
        if not calls:
            return self._everything(breach, cash)
        best = max(calls, key=lambda call: call.repaid * call.collateral.bonus)
        exhausted = best.seized >= best.collateral.value * (1 - DUST)
        if best.repaid <= 0 or (
            exhausted and len(collaterals) == 1 and best.repaid < total * (1 - DUST)
        ):
            return self._everything(breach, cash)
        return self._closings(best)

    def _sides(self, breach: Breach, cash: float) -> tuple[list[Side], list[Side]]:
        """Debts and collaterals of the account, each by name, the stable first."""
        ordered = sorted(breach.positions, key=lambda p: p.key)
        debts = [Side(p.notional, 0.0, p) for p in ordered if p.size < 0]
        collaterals = [Side(p.notional, self.bonus(p), p) for p in ordered if p.size > 0]
        if cash < 0:
            debts.insert(0, Side(-cash, 0.0, None))
        elif cash > 0:
            collaterals.insert(0, Side(cash, self.stable, None))
        return debts, collaterals

    def _call(self, debt: Side, collateral: Side, total: float, health: float) -> Call:
        factor = lending.close_factor(health, collateral.value, debt.value, self.rule)
        most = lending.coverable(debt.value, total, factor, self.rule)
        repaid = lending.repayable(
            debt.value, collateral.value, collateral.bonus, most, self.rule.leftover
        )
        return Call(debt, collateral, repaid)

    def _closings(self, call: Call) -> tuple[Closing, ...]:
        """A call as closings of positions; those of the stable need none."""
        found: list[Closing] = []
        if call.debt.position is not None:
            fee = call.collateral.bonus if call.collateral.position is None else 0.0
            found.append(_part(call.debt, call.repaid, fee))
        if call.collateral.position is not None:
            found.append(_part(call.collateral, call.seized, _of_sale(call.collateral.bonus)))
        return tuple(found)

    def _everything(self, breach: Breach, cash: float) -> tuple[Closing, ...]:
        """All positions, whole: longs pay their bonus, shorts the one of the stable that backs them."""
        bonus = self.stable if cash > 0 else 0.0
        return tuple(
            Closing(p.key, 1.0, "sale", _of_sale(self.bonus(p)) if p.size > 0 else bonus)
            for p in sorted(breach.positions, key=lambda p: (p.size < 0, p.key))
        )

    def bonus(self, p: Exposed) -> float:
        """Liquidation bonus of a position's asset; InputError where none is known."""
        symbol = p.contract.symbol
        if symbol not in self.bonuses:
            raise InputError(
                f"no liquidation bonus is known for {symbol}; tell the venue about its asset: "
                "reserves={asset: dict(liquidation_bonus=..., ...)}"
            )
        return self.bonuses[symbol]


def _signed(p: Exposed) -> float:
    """Value of a position at the mark, below 0 when short."""
    return p.notional if p.size > 0 else -p.notional


def _of_sale(bonus: float) -> float:
    """The bonus as a share of what is sold: repaid · bonus of repaid · (1 + bonus)."""
    return bonus / (1 + bonus)


def _part(side: Side, value: float, fee: float) -> Closing:
    fraction = value / side.value
    return Closing(side.name, 1.0 if fraction >= 1 - DUST else fraction, "sale", fee)
