"""Whole numbers of a chain: amounts in millionths, rates in parts per million, and how they are divided.

A chain computes in integers, so which way a division rounds is part of the rule. Amounts of USDC are in
millionths (``micro``), rates in millionths too (``ppm``).
"""

from __future__ import annotations

from fractions import Fraction
from numbers import Rational

__all__ = ["MILLION", "exact", "micro", "ppm", "rounded_up", "share_of", "toward_zero"]

MILLION = 1_000_000


def exact(number: float | Rational) -> Fraction:
    """The decimal a number is written as, as a fraction; a float counts as what it prints.

    >>> exact(0.1), exact(3)
    (Fraction(1, 10), Fraction(3, 1))
    """
    return Fraction(number) if isinstance(number, Rational) else Fraction(repr(float(number)))


def toward_zero(value: int, divisor: int) -> int:
    """value / divisor without its fraction; ``divisor`` above 0.

    >>> toward_zero(7, 2), toward_zero(-7, 2)
    (3, -3)
    """
    return value // divisor if value >= 0 else -(-value // divisor)


def rounded_up(value: int, divisor: int) -> int:
    """value / divisor, the next whole number above it; ``divisor`` above 0.

    >>> rounded_up(7, 2), rounded_up(-7, 2), rounded_up(6, 2)
    (4, -3, 3)
    """
    return -(-value // divisor)


def share_of(amount: int, rate: int) -> int:
    """amount · rate / 1,000,000, rounded down; ``rate`` in ppm.

    >>> share_of(150_000, 800_000)
    120000
    """
    return amount * rate // MILLION


def micro(amount: float | Rational) -> int:
    """An amount in whole millionths, what is smaller cut off.

    >>> micro(0.7 * 10), micro(-1.9999999)
    (7000000, -1999999)
    """
    found = exact(amount) * MILLION
    return toward_zero(found.numerator, found.denominator)


def ppm(rate: float | Rational) -> int:
    """A fraction in parts per million, to the nearest.

    >>> ppm(0.2), ppm(1 / 3)
    (200000, 333333)
    """
    return round(exact(rate) * MILLION)
