"""How perpetual venues make a funding rate: premium, interest, clamps, and a chain's funding index.

A rate is a fraction of the notional; above 0 longs pay. What an account then pays is
:func:`bt_margin.core.funding.payment`. The index functions work in the integers of the dYdX chain (v4-chain
84d4664b, x/perpetuals/funding/funding.go, x/perpetuals/lib/lib.go, read 2026-03).
"""

from __future__ import annotations

from bt_margin.core.open_interest import maintenance_ppm
from bt_margin.core.quantums import share_of, toward_zero

__all__ = [
    "banded_rate",
    "clamped",
    "hourly_rate",
    "impact_notional",
    "index_delta",
    "most_rate_ppm",
    "over_hours",
    "premium",
    "settlement",
]

#: Seconds of the eight hours a rate is quoted for.
EIGHT_HOURS = 28_800
#: Decimals of USDC.
QUOTE_RESOLUTION = -6


def impact_notional(initial_fraction: float, amount: float = 500) -> float:
    """The notional whose average price is the impact price, amount / initial fraction   [quote].

    dYdX v3: 500 USDC (v4-documentation 3e475b73, perpetual contracts v3).

    >>> impact_notional(0.125)
    4000.0
    """
    return amount / initial_fraction


def premium(bid: float, ask: float, index: float) -> float:
    """Premium of the book over the index, (max(0, bid − index) − max(0, index − ask)) / index.

    bid, ask : impact prices. 0 while the index lies between them.

    >>> premium(bid=10_100, ask=10_101, index=10_000), premium(bid=99, ask=101, index=100)
    (0.01, 0.0)
    """
    return (max(0, bid - index) - max(0, index - ask)) / index


def clamped(value: float, most: float) -> float:
    """The value, no further from 0 than ``most`` (0 or more).

    >>> clamped(0.05, 0.04), clamped(-0.05, 0.04), clamped(0.01, 0.04)
    (0.04, -0.04, 0.01)
    """
    return max(-most, min(most, value))


def hourly_rate(mean_premium: float, interest: float) -> float:
    """Hourly rate of dYdX v3, mean premium of the hour / 8 + interest per hour.

    >>> hourly_rate(0.002, 0.0)
    0.00025
    """
    return mean_premium / 8 + interest


def banded_rate(mean_premium: float, interest: float, band: float) -> float:
    """Rate of an eight-hour formula, premium + clamp(interest − premium, ±band).

    Near the interest rate the premium has no effect; beyond the band the rate follows it, ``band`` away.

    >>> banded_rate(0.5, 0.25, 0.125), banded_rate(0.25, 0.25, 0.125), banded_rate(0.0, 0.25, 0.125)
    (0.375, 0.25, 0.125)
    """
    return mean_premium + clamped(interest - mean_premium, band)


def over_hours(rate: float, hours: float) -> float:
    """What an hourly rate comes to over so many hours at one price, rate · hours.

    >>> over_hours(0.25, 8)
    2.0
    """
    return rate * hours


def most_rate_ppm(factor: int, initial: int, fraction: int) -> int:
    """The largest eight-hour rate of a market, factor · (initial − maintenance), rounded down   [ppm].

    factor, initial, fraction : clamp factor, initial fraction, maintenance as a share of it   [ppm]

    >>> most_rate_ppm(6_000_000, 150_000, 800_000)
    180000
    """
    return share_of(factor, initial - maintenance_ppm(initial, fraction))


def index_delta(rate: int, seconds: int, price: int, exponent: int, resolution: int) -> int:
    """Change of a market's funding index over some seconds at an eight-hour rate.

    rate · price · 10^(exponent + resolution + 6) · seconds / 28,800, both divisions cut toward zero.

    rate : ppm. price · 10^exponent is the oracle price; 10^resolution the size of one base quantum.
    The unit is millionths of a quote quantum per base quantum.

    >>> index_delta(1_001_999, 28_800, 1_000, 0, -12), index_delta(-1_001_999, 28_800, 1_000, 0, -12)
    (1001, -1001)
    """
    power = exponent + resolution - QUOTE_RESOLUTION
    whole = rate * seconds * price
    scaled = whole * 10**power if power >= 0 else toward_zero(whole, 10**-power)
    return toward_zero(scaled, EIGHT_HOURS)


def settlement(now: int, then: int, size: int) -> int:
    """Funding of a position since its index was last noted, −(now − then) · size   [ppm of a quote quantum].

    size : signed base quantums. Credited to the balance it is divided by 1,000,000, rounded down.

    >>> settlement(now=100, then=-100, size=30_000)
    -6000000
    """
    return -(now - then) * size
