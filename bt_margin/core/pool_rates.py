"""What a pool charges for the liquidity it reserves, and what its two sides pay each other.

Rates here are per second or per year as named, fractions of the position's size at entry. A positive funding
rate: longs pay.
"""

from __future__ import annotations

__all__ = [
    "YEAR_SECONDS",
    "accrued_on_size",
    "adaptive_funding",
    "at_least",
    "exponentiated",
    "funding_fee",
    "interval_borrow_fee",
    "interval_borrow_rate",
    "kink_borrow_rate",
    "linear_borrow_rate",
    "pays_borrowing",
    "per_second",
    "pool_usage",
    "skew",
    "static_funding",
]

INF = float("inf")
#: Seconds of the year that annual rates are stated for.
YEAR_SECONDS = 31_536_000
#: The smallest funding rate above zero that the contracts can hold, per second.
SMALLEST = 1e-30


def interval_borrow_rate(factor: int, reserved: float, pool: float, intervals: int = 1) -> int:
    """Borrow rate of whole intervals, floor(factor · reserved · intervals / pool)   [ppm of the size].

    GMX V1, contracts/core/Vault.sol:getNextFundingRate (there called funding). An empty pool charges nothing.

    >>> interval_borrow_rate(600, 100_000, 257_046), interval_borrow_rate(100, 1, 2, intervals=3)
    (233, 150)
    """
    return int(factor * reserved * intervals // pool) if pool > 0 else 0


def interval_borrow_fee(size: float, rate: float) -> float:
    """Borrow fee for a rate in ppm, |size| · rate / 1,000,000   [money].

    >>> interval_borrow_fee(-40, 250)
    0.01
    """
    return abs(size) * rate / 1_000_000


def exponentiated(value: float, exponent: float) -> float:
    """value ** exponent as the contracts take powers: 0 for a value below 1.

    GMX V2, contracts/utils/Precision.sol:applyExponentFactor.

    >>> exponentiated(100, 2), exponentiated(0.99, 2), exponentiated(7, 1)
    (10000, 0, 7)
    """
    if value < 1:
        return 0
    return value if exponent == 1 else value**exponent


def pool_usage(reserved: float, pool: float, reserve_factor: float) -> float:
    """Share of the liquidity that may be reserved which is, reserved / (pool · reserve_factor).

    GMX V2, contracts/market/MarketUtils.sol:getUsageFactor.

    >>> pool_usage(90, 100, 0.9)
    1.0
    """
    return reserved / (pool * reserve_factor)


def kink_borrow_rate(usage: float, optimal: float, base: float, above: float) -> float:
    """Borrow rate that rises faster above the optimal usage; in the time unit of ``base`` and ``above``.

        usage · base + max(0, usage − optimal) / (1 − optimal) · max(0, above − base)

    GMX V2, MarketUtils.sol:getKinkBorrowingFactor.

    >>> kink_borrow_rate(0.5, 0.75, 0.4, 0.8), kink_borrow_rate(1.0, 0.75, 0.4, 0.8)
    (0.2, 0.8)
    """
    rate = usage * base
    if usage > optimal and optimal < 1:
        rate = rate + (usage - optimal) / (1 - optimal) * max(0, above - base)
    return rate


def linear_borrow_rate(factor: float, reserved: float, pool: float, exponent: float = 1) -> float:
    """Borrow rate without a kink, factor · reserved^exponent / pool, per second.

    GMX V2, MarketUtils.sol:getBorrowingFactorPerSecond.

    >>> linear_borrow_rate(0.125, 200, 100)
    0.25
    """
    return factor * exponentiated(reserved, exponent) / pool


def pays_borrowing(own: float, other: float, skip_smaller: bool) -> bool:
    """Whether a side pays borrow fees: not when it is the smaller one and smaller sides are let off.

    own, other : open interest of the side and of its opposite; sides of equal size both pay

    >>> pays_borrowing(100, 200, True), pays_borrowing(200, 100, True), pays_borrowing(100, 200, False)
    (False, True, True)
    """
    return not skip_smaller or own >= other


def per_second(annual: float) -> float:
    """An annual rate per second, of years of 365 days.

    >>> per_second(31_536_000.0)
    1.0
    """
    return annual / YEAR_SECONDS


def accrued_on_size(size: float, rate: float, seconds: float) -> float:
    """Fee on a size at a rate per second, |size| · rate · seconds   [money].

    >>> accrued_on_size(-1_000, 0.25, 2)
    500.0
    """
    return abs(size) * rate * seconds


def skew(long: float, short: float, exponent: float = 1) -> float:
    """How uneven a market is, |long − short|^exponent / (long + short); 0 when nothing is open.

    >>> skew(300, 100)
    0.5
    """
    both = long + short
    return exponentiated(abs(long - short), exponent) / both if both else 0


def static_funding(
    long: float, short: float, factor: float, exponent: float = 1, most: float = INF
) -> float:
    """Funding rate of a market without memory, per second; + when longs pay.

        min(most, factor · |long − short|^exponent / (long + short)), paid by the larger side

    GMX V2, MarketUtils.sol:getNextFundingFactorPerSecond, without an increase factor.

    >>> static_funding(300, 100, 0.5), static_funding(100, 300, 0.5), static_funding(300, 100, 0.5, most=0.2)
    (0.25, -0.25, 0.2)
    """
    rate = min(most, factor * skew(long, short, exponent))
    return rate if long > short else -rate


def adaptive_funding(
    saved: float,
    long: float,
    short: float,
    seconds: float,
    *,
    increase: float,
    decrease: float,
    threshold_stable: float,
    threshold_decrease: float,
    exponent: float = 1,
    most: float = INF,
) -> float:
    """The funding rate after ``seconds``, starting from the ``saved`` one, per second; + when longs pay.

    With d = |long − short|^exponent / (long + short): where the skew points the same way as the rate,

        d > threshold_stable      the rate moves by d · increase · seconds towards the larger side
        d < threshold_decrease    |rate| falls by decrease · seconds, and keeps its sign
        else                      nothing changes

    where it points the other way, or the rate is 0, it moves as in the first line. |rate| ≤ most.
    GMX V2, MarketUtils.sol:getNextFundingFactorPerSecond.

    >>> keywords = dict(increase=0.5, decrease=0.25, threshold_stable=0.25, threshold_decrease=0.125)
    >>> adaptive_funding(0.0, 300, 100, 2, **keywords), adaptive_funding(1.0, 300, 100, 2, **keywords)
    (0.5, 1.5)
    >>> adaptive_funding(1.0, 201, 199, 2, **keywords), adaptive_funding(1.0, 120, 80, 2, **keywords)
    (0.5, 1.0)
    """
    d = skew(long, short, exponent)
    same = (saved > 0 and long > short) or (saved < 0 and short > long)
    if not same or d > threshold_stable:
        moved = saved + (-d if long < short else d) * increase * seconds
    elif d < threshold_decrease:
        magnitude = abs(saved) - decrease * seconds
        magnitude = magnitude if magnitude > 0 else SMALLEST
        moved = magnitude if saved > 0 else -magnitude
    else:
        moved = saved
    return max(-most, min(most, moved))


def at_least(rate: float, least: float) -> float:
    """The funding rate that is charged: at least ``least`` in magnitude; a rate of 0 as if longs paid.

    GMX V2, MarketUtils.sol:getNextFundingFactorPerSecond (the bound does not enter the saved rate).

    >>> at_least(0.125, 0.5), at_least(-0.125, 0.5), at_least(0.75, 0.5), at_least(0, 0.5)
    (0.5, -0.5, 0.75, 0.5)
    """
    if abs(rate) >= least:
        return rate
    return least if rate >= 0 else -least


def funding_fee(rate: float, payers: float, seconds: float, size: float, side: float) -> float:
    """One position's share of a side's funding, rate · payers · seconds · |size| / side   [money].

    payers : open interest of the paying side; side : that of the position's own side, which is ``payers`` for
        one who pays, and the smaller side for one who receives

    >>> funding_fee(0.25, 300, 2, 30, 300), funding_fee(0.25, 300, 2, 30, 100)
    (15.0, 45.0)
    """
    return abs(rate) * payers * seconds * abs(size) / side
