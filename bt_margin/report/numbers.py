"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from bt_margin.studies import amounts
from bt_margin.studies.amounts import fixed

NOTHING = "–"
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _known(value: Any) -> bool:
    return value is not None and not pd.isna(value)


def money(value: Any, unit: str = "USDT") -> str:
    """An amount with the digits of its currency.

    >>> money(1234.5), money(-0.00123), money(float("nan"))
    ('1,234.50', '-0.00123', '–')
    >>> money(0.5, "BTC")
    '0.50000000'
    """
    return amounts.money(float(value), unit) if _known(value) else NOTHING


def percent(value: Any) -> str:
    """A fraction in per cent.

    >>> percent(-0.1234), percent(math.inf)
    ('-12.34 %', '–')
    """
    if not _known(value) or math.isinf(value):
        return NOTHING
    return f"{fixed(value * 100, 2)} %"


def points(value: Any) -> str:
    """The difference of two fractions, in percentage points.

    >>> points(-2.5673)
    '-256.73 pp'
    """
    return percent(value).replace(" %", " pp")


def adding_up(
    start: float, steps: Sequence[float], end: float, digits: int
) -> tuple[float, list[float], float]:
    """Start, steps and end with so many digits, such that what is shown adds up to the last one.

    Steps are rounded one by one; what that leaves over goes, one last digit each, to the steps that were
    rounded furthest the other way.

    >>> adding_up(10.0, [0.335, 0.335, 0.33], 11.0, 2)
    (10.0, [0.33, 0.34, 0.33], 11.0)
    """
    unit = 10.0**digits
    exact = [float(step) * unit for step in steps]
    first, last = round(start * unit), round(end * unit)
    whole = [round(value) for value in exact]
    left = last - first - sum(whole)
    way = 1 if left > 0 else -1
    order = sorted(range(len(whole)), key=lambda k: way * (whole[k] - exact[k]))
    for k in order[: abs(left)]:
        whole[k] += way
    return first / unit, [value / unit for value in whole], last / unit


def ratio(value: Any) -> str:
    """A plain number with two decimals.

    >>> ratio(1.239)
    '1.24'
    """
    return fixed(value, 2) if _known(value) and not math.isinf(value) else NOTHING


def count(value: Any) -> str:
    """A whole number.

    >>> count(12345)
    '12,345'
    """
    return f"{int(value):,}" if _known(value) else NOTHING


def times(value: Any) -> str:
    """A leverage.

    >>> times(9.876)
    '9.88×'
    """
    return f"{fixed(value, 2)}×" if _known(value) else NOTHING


def plural(number: int, one: str, many: str = "") -> str:
    """A counted thing.

    >>> plural(1, "bar"), plural(2, "bar"), plural(1200, "loss", "losses")
    ('1 bar', '2 bars', '1,200 losses')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def date(value: Any) -> str:
    """A time to the minute, UTC.

    >>> date(pd.Timestamp("2025-10-10 21:00", tz="UTC"))
    '2025-10-10 21:00'
    """
    return f"{value:%Y-%m-%d %H:%M}" if _known(value) else NOTHING


def moment(value: Any) -> str:
    """A time for a sentence; UTC epoch milliseconds will do as well.

    >>> moment(1_760_130_000_000)
    '10 Oct 2025 at 21:00 UTC'
    """
    at = value if isinstance(value, pd.Timestamp) else pd.Timestamp(int(value), unit="ms", tz="UTC")
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year} at {at:%H:%M} UTC"


def days(value: Any) -> str:
    """A length of time in days.

    >>> days(12.345), days(0.0)
    ('12.3 days', '0.0 days')
    """
    return f"{fixed(value, 1)} days" if _known(value) else NOTHING


def change(value: Any) -> str:
    """A fraction in per cent, with its sign.

    >>> change(0.18), change(-0.06), change(0.0)
    ('+18.00 %', '-6.00 %', '0.00 %')
    """
    return signed(percent, value)


def price(value: Any) -> str:
    """A price with the decimals its size calls for.

    >>> price(61234.5), price(0.0812345)
    ('61,234.50', '0.0812345')
    """
    if not _known(value):
        return NOTHING
    return f"{value:,.2f}" if abs(value) >= 100 else f"{value:,.6g}"


def signed(show: Callable[[Any], str], value: Any) -> str:
    """A difference: with its plus sign.

    >>> signed(money, 3.0), signed(money, -3.0), signed(times, -0.001)
    ('+3.00', '-3.00', '0.00×')
    """
    text = show(value)
    nothing = not any(digit in text for digit in "123456789")
    return f"+{text}" if not nothing and value > 0 else text
