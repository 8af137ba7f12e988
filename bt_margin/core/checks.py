"""Checks on numbers at the door of core values.

They accept every real number type (int, float, numpy scalars, ``fractions.Fraction``), so that the
same values can be built with exact fractions in tests. They are used when a value is built, never
inside a formula.
"""

from __future__ import annotations

from numbers import Real

from bt_margin.errors import InputError, message

__all__ = ["above_zero", "finite", "is_finite", "not_negative"]


def is_finite(value: object) -> bool:
    """True for a real number that is neither NaN nor infinite; booleans and text are not numbers.

    >>> is_finite(1), is_finite(0.5), is_finite(float("nan")), is_finite(True), is_finite("1")
    (True, True, False, False, False)
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return bool(value - value == 0)


def finite(name: str, value: float, where: str | None = None) -> float:
    """The value itself when it is a finite number, else an InputError that names it.

    >>> finite("rate", -0.001)
    -0.001
    """
    if not is_finite(value):
        raise InputError(message(f"{name} is not a number", repr(value), "a finite number", where))
    return value


def not_negative(name: str, value: float, where: str | None = None) -> float:
    """The value itself when it is a finite number of at least 0, else an InputError.

    >>> not_negative("fee", 0)
    0
    """
    if finite(name, value, where) < 0:
        raise InputError(message(f"{name} is negative", value, "0 or more", where))
    return value


def above_zero(name: str, value: float, where: str | None = None) -> float:
    """The value itself when it is a finite number above 0, else an InputError.

    >>> above_zero("price", 0)
    Traceback (most recent call last):
        ...
    bt_margin.errors.InputError: price is not above zero: found 0, allowed more than 0
    """
    if finite(name, value, where) <= 0:
        raise InputError(message(f"{name} is not above zero", value, "more than 0", where))
    return value
