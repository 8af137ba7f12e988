"""Margin fractions of a market in parts per million, and initial margin that grows with open interest.

A market has a base initial fraction and a maintenance fraction of it. While the open interest of the
market (as a notional) lies between two caps, the initial fraction climbs in a straight line from its base
to the whole notional; the maintenance requirement is always taken from the base.

Everything is in the integers of the dYdX chain (v4-chain 84d4664b, x/perpetuals/types/liquidity_tier.go and
x/perpetuals/lib/lib.go, read 2026-03): fractions in ppm, amounts in millionths of USDC.
"""

from __future__ import annotations

from fractions import Fraction

from bt_margin.core.quantums import MILLION, rounded_up, share_of
from bt_margin.errors import InputError, message

__all__ = ["initial_margin", "initial_ppm", "maintenance_margin", "maintenance_ppm"]

Amount = int | Fraction
"""An amount without noise: whole, or a fraction."""


def initial_ppm(base: int, open_interest: Amount, lower: Amount, upper: Amount) -> int:
    """The initial fraction in force, rounded down   [ppm].

    base                                                          up to the lower cap, or without caps
    base + (open_interest − lower) · (1 − base) / (upper − lower)       between the caps
    1                                                             from the upper cap on

    base : the fraction of the market's tier   [ppm]
    open_interest, lower, upper : notionals in one common unit; an upper cap of 0 switches growth off

    Raises InputError for a base above 1, or a lower cap above the upper.

    >>> initial_ppm(200_000, 1_500_000, 1_000_000, 2_000_000)
    600000
    >>> initial_ppm(200_000, 9_999_999, 0, 0)
    200000
    """
    if not 0 <= base <= MILLION:
        raise InputError(message("initial fraction", base, f"0 to {MILLION} ppm"))
    if lower > upper:
        raise InputError(message("lower cap of open interest", lower, f"at most {upper}"))
    if upper == 0 or open_interest <= lower:
        return base
    if open_interest >= upper:
        return MILLION
    return base + (MILLION - base) * (open_interest - lower) // (upper - lower)


def maintenance_ppm(base: int, fraction: int) -> int:
    """Maintenance as a share of the notional, base · fraction rounded down   [ppm].

    >>> maintenance_ppm(150_000, 800_000)
    120000
    """
    return share_of(base, fraction)


def initial_margin(notional: int, rate: int, chosen: int = 0) -> int:
    """Initial margin, notional · max(rate, chosen) rounded up   [unit of the notional].

    rate : the fraction in force, ``chosen`` the one a trader set by a leverage (0: none)   [ppm]

    >>> initial_margin(123_456, 567_243), initial_margin(1_000, 50_000, 200_000)
    (70030, 200)
    """
    return rounded_up(notional * max(rate, chosen), MILLION)


def maintenance_margin(notional: int, base: int, fraction: int) -> int:
    """Maintenance margin, base initial margin · fraction, each rounded up   [unit of the notional].

    Neither open interest nor a chosen leverage has a part in it.

    >>> maintenance_margin(9_200_311_488, 250_000, 600_000)
    1380046724
    """
    return rounded_up(initial_margin(notional, base) * fraction, MILLION)
