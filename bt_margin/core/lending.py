"""Lending against collateral: health factor, what a liquidator may repay and take, and interest.

An account supplies assets and owes others. Each asset supplied counts towards debt with a share of its
value: its *loan to value* when something is borrowed, its (higher) *liquidation threshold* afterwards.

    health factor  HF = Σ supplied · threshold / Σ owed          below 1 the account may be liquidated

Seen as margin, with equity E = Σ supplied − Σ owed, the same rule is

    requirement    M = Σ supplied · (1 − threshold)              HF < 1  ⇔  E < M

Debt asks for nothing of its own, because it is already taken off the equity. Aave's protocol code (core
libraries GenericLogic, ValidationLogic, LiquidationLogic, MathUtils) is the source of every formula here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = [
    "AccountData",
    "CloseRule",
    "InterestRates",
    "Owed",
    "RateModel",
    "Seizure",
    "Supplied",
    "account_data",
    "close_factor",
    "collateral_requirement",
    "compounded_growth",
    "coverable",
    "debt_requirement",
    "health_factor",
    "health_of",
    "interest_rates",
    "linear_growth",
    "liquidation_price_long",
    "liquidation_price_short",
    "max_leverage_long",
    "max_leverage_short",
    "repayable",
    "seizure",
]

INF = float("inf")
YEAR = 31_536_000
"""Seconds of the year that rates are stated for (365 days)."""


class Supplied(NamedTuple):
    """An asset supplied as collateral: units, price, loan to value and liquidation threshold (fractions)."""

    amount: float
    price: float
    ltv: float
    threshold: float

    @property
    def value(self) -> float:
        """Worth of the collateral in the money the price is in."""
        return self.amount * self.price


class Owed(NamedTuple):
    """An asset borrowed: units and price."""

    amount: float
    price: float

    @property
    def value(self) -> float:
        """Worth of the debt in the money the price is in."""
        return self.amount * self.price


class AccountData(NamedTuple):
    """What a lending protocol knows of an account, in the money its prices are in.

    ``ltv`` and ``threshold`` are the averages over the collateral, weighted by value.
    """

    collateral: float
    debt: float
    available: float
    ltv: float
    threshold: float
    health: float

    @property
    def liquidatable(self) -> bool:
        """Whether the health factor is below 1; exactly 1 is safe."""
        return self.health < 1


def health_factor(weighted: float, debt: float) -> float:
    """HF = Σ collateral · threshold / debt; infinite without debt.

    >>> health_factor(weighted=830, debt=415)
    2.0
    """
    return weighted / debt if debt > 0 else INF


def health_of(equity: float, requirement: float, debt: float) -> float:
    """The health factor of an account stated as margin, HF = 1 + (equity − requirement) / debt.

    requirement : Σ collateral · (1 − threshold); infinite without debt

    >>> health_of(equity=100, requirement=83, debt=400) == health_factor(100 - 83 + 400, 400)
    True
    """
    return 1 + (equity - requirement) / debt if debt > 0 else INF


def account_data(supplied: Sequence[Supplied], owed: Sequence[Owed]) -> AccountData:
    """Totals, averages, health factor and what may still be borrowed of one account.

    available = max(0, Σ collateral · ltv − debt). The averages of no collateral are 0.

    >>> data = account_data([Supplied(2, 1_000, 0.75, 0.8)], [Owed(1_280, 1)])
    >>> data.available, data.health, data.liquidatable
    (220.0, 1.25, False)
    """
    collateral = sum(one.value for one in supplied)
    debt = sum(one.value for one in owed)
    lendable = sum(one.value * one.ltv for one in supplied)
    weighted = sum(one.value * one.threshold for one in supplied)
    return AccountData(
        collateral,
        debt,
        max(0, lendable - debt),
        lendable / collateral if collateral > 0 else 0.0,
        weighted / collateral if collateral > 0 else 0.0,
        health_factor(weighted, debt),
    )


# -- the same as margin --------------------------------------------------------------------------------


def collateral_requirement(value: float, share: float) -> float:
    """Equity that collateral of this value needs behind it, R = (1 − share) · value.

    share : the liquidation threshold for what must be kept, the loan to value for what must be brought

    >>> collateral_requirement(1_000, 0.75)
    250.0
    """
    return (1 - share) * value


def debt_requirement(value: float, share: float) -> float:
    """Equity that debt of this value needs, all else being collateral of one kind: R = (1/share − 1) · value.

    The proceeds of what was borrowed are supplied too: equity + debt, times share, must cover the debt.

    >>> debt_requirement(1_000, 0.8)
    250.0
    """
    return (1 / share - 1) * value


def max_leverage_long(ltv: float) -> float:
    """Most an asset can be bought with a given equity, as a multiple of it: 1 / (1 − ltv).

    >>> max_leverage_long(0.75)
    4.0
    """
    return 1 / (1 - ltv)


def max_leverage_short(ltv: float) -> float:
    """Most that can be sold short against a supplied stable, as a multiple of the equity: ltv / (1 − ltv).

    >>> max_leverage_short(0.75)
    3.0
    """
    return ltv / (1 - ltv)


def liquidation_price_long(
    amount: float, debt: float, threshold: float, *, rest: float = 0
) -> float:
    """The price at which an asset supplied against other debt has a health factor of 1.

    p = (debt − rest) / (amount · threshold)

    rest : Σ collateral · threshold of the account's other collateral

    >>> liquidation_price_long(amount=2, debt=1_600, threshold=0.8)
    1000.0
    """
    return (debt - rest) / (amount * threshold)


def liquidation_price_short(
    amount: float, collateral: float, threshold: float, *, rest: float = 0
) -> float:
    """The price at which an asset owed against a supplied stable has a health factor of 1.

    p = (collateral · threshold − rest) / amount

    rest : the account's other debt, less Σ collateral · threshold of its other collateral

    >>> liquidation_price_short(amount=2, collateral=5_000, threshold=0.8)
    2000.0
    """
    return (collateral * threshold - rest) / amount


# -- liquidation ---------------------------------------------------------------------------------------


class CloseRule(NamedTuple):
    """How much of a debt one liquidation may repay.

    half : the share while the health factor is above ``full_at``; at or below that, all of it
    small : with less collateral or less debt of the pair than this, all of it as well (0: no such rule)
    leftover : what must remain on both sides where neither is cleared (0: no such rule)
    of_total : the share is counted on the account's whole debt, otherwise on the debt of that asset
    """

    half: float = 0.5
    full_at: float = 0.95
    small: float = 0
    leftover: float = 0
    of_total: bool = False


def close_factor(health: float, collateral: float, debt: float, rule: CloseRule) -> float:
    """Share of the debt that may be repaid at once: ``rule.half``, or 1.

    collateral, debt : values of the pair that is liquidated

    >>> close_factor(0.97, 5_000, 4_000, CloseRule()), close_factor(0.95, 5_000, 4_000, CloseRule())
    (0.5, 1)
    >>> close_factor(0.97, 1_500, 1_200, CloseRule(small=2_000))
    1
    """
    if health <= rule.full_at or collateral < rule.small or debt < rule.small:
        return 1
    return rule.half


def coverable(debt: float, total: float, factor: float, rule: CloseRule) -> float:
    """The most of a debt that may be repaid at a close factor, in its value.

    debt : of the asset; total : of the account. At a factor of 1 all of the debt, else factor · debt, or,
    where the share counts on the whole, min(debt, factor · total).

    >>> coverable(600, 1_000, 0.5, CloseRule()), coverable(600, 1_000, 0.5, CloseRule(of_total=True))
    (300.0, 500.0)
    """
    if factor == 1:
        return debt
    return min(debt, factor * total) if rule.of_total else factor * debt


def repayable(
    debt: float, collateral: float, bonus: float, most: float, leftover: float = 0
) -> float:
    """The largest value that can be repaid against one collateral.

    Never more than ``most`` nor than the collateral pays for with its bonus, most ≤ collateral / (1 + bonus).
    Where that would clear neither side, at least ``leftover`` stays on both.

    >>> repayable(debt=4_000, collateral=5_250, bonus=0.05, most=2_000)
    2000
    >>> repayable(debt=4_000, collateral=2_100, bonus=0.05, most=4_000)
    2000.0
    >>> repayable(debt=4_000, collateral=2_050, bonus=0.05, most=1_800, leftover=1_000)
    1000.0
    """
    paid_for = collateral / (1 + bonus)
    if most >= debt or most >= paid_for:
        return min(debt, most, paid_for)
    return max(0, min(most, debt - leftover, (collateral - leftover) / (1 + bonus)))


class Seizure(NamedTuple):
    """What a liquidation moves, in units: collateral taken, debt repaid, and who gets the collateral."""

    seized: float
    repaid: float
    protocol_fee: float
    to_liquidator: float


def seizure(
    collateral: float,
    collateral_price: float,
    debt_to_cover: float,
    debt_price: float,
    bonus: float,
    protocol_share: float = 0,
) -> Seizure:
    """Collateral taken for repaying a debt, at a bonus; amounts in units of each asset.

    seized = debt_to_cover · debt_price / collateral_price · (1 + bonus)

    capped at the collateral there is; then repaid = collateral · collateral_price / debt_price / (1 + bonus).
    The protocol keeps ``protocol_share`` of the bonus alone: share · (seized − seized / (1 + bonus)).

    >>> seizure(10, 100, 400, 1, 0.25)
    Seizure(seized=5.0, repaid=400, protocol_fee=0.0, to_liquidator=5.0)
    >>> seizure(2.5, 100, 400, 1, 0.25)
    Seizure(seized=2.5, repaid=200.0, protocol_fee=0.0, to_liquidator=2.5)
    """
    seized = debt_to_cover * debt_price / collateral_price * (1 + bonus)
    repaid = debt_to_cover
    if seized > collateral:
        seized = collateral
        repaid = collateral * collateral_price / debt_price / (1 + bonus)
    fee = protocol_share * (seized - seized / (1 + bonus))
    return Seizure(seized, repaid, fee, seized - fee)


# -- interest ------------------------------------------------------------------------------------------


class RateModel(NamedTuple):
    """How a reserve's rates follow from its utilisation; all fractions, rates per year.

    ``optimal`` utilisation, ``base`` rate, ``slope1`` up to the optimum and ``slope2`` beyond it,
    ``reserve_factor`` the share of the interest that does not reach suppliers.
    """

    optimal: float
    base: float
    slope1: float
    slope2: float
    reserve_factor: float


class InterestRates(NamedTuple):
    """Rates per year as fractions: what borrowers pay and what suppliers get."""

    borrow: float
    supply: float


def interest_rates(
    model: RateModel, borrow_usage: float, supply_usage: float | None = None
) -> InterestRates:
    """Rates of a reserve at a utilisation U = debt / (debt + available).

        borrow = base + slope1 · U / optimal                                  for U ≤ optimal
               = base + slope1 + slope2 · (U − optimal) / (1 − optimal)       above
        supply = borrow · U_supply · (1 − reserve_factor)

    supply_usage : where part of the supply is not the reserve's own; None: the same

    >>> interest_rates(RateModel(0.5, 0.0, 0.25, 1.0, 0.5), 0.75)
    InterestRates(borrow=0.75, supply=0.28125)
    """
    borrow = model.base
    if borrow_usage > model.optimal:
        beyond = (borrow_usage - model.optimal) / (1 - model.optimal)
        borrow += model.slope1 + model.slope2 * beyond
    elif borrow_usage > 0:
        borrow += model.slope1 * borrow_usage / model.optimal
    used = borrow_usage if supply_usage is None else supply_usage
    return InterestRates(borrow, borrow * used * (1 - model.reserve_factor))


def linear_growth(rate: float, seconds: float) -> float:
    """Growth of what is supplied, 1 + rate · seconds / year.

    >>> linear_growth(0.5, 31_536_000)
    1.5
    """
    return 1 + rate * seconds / YEAR


def compounded_growth(rate: float, seconds: float) -> float:
    """Growth of what is owed, 1 + x + x²/2 + x³/6 with x = rate · seconds / year.

    The first terms of the exponential, below it by about x⁴/24.

    >>> compounded_growth(1.0, 31_536_000)
    2.6666666666666665
    """
    x = rate * seconds / YEAR
    return 1 + x + x * x / 2 + x * x * x / 6
