"""A published case: what goes in, what must come out, how exactly, and who said so.

Two spellings are read, those that public collections of worked examples use:

    kind of the case      "what" or "kind"
    its tolerance         "tolerance_abs": {key: number}, or "tolerance": {"abs": number, "rel": number}

An answer counts as right when ``|x − expected| ≤ max(abs, rel · |expected|)``. Where neither is stated the
tolerance is the noise of floats, :data:`NOISE`, absolute and relative. Truth values, texts and null must be
equal.

The helpers here (:func:`signed`, :func:`scaled`, :func:`to_ms`, ...) are for what an answer needs besides the
calls it makes: signs and units. Formulas belong to ``core`` and ``venues``.
"""

from __future__ import annotations

import math
import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any, NamedTuple, NoReturn

from bt_margin.errors import InputError

__all__ = [
    "NOISE",
    "Case",
    "Inputs",
    "Tolerance",
    "UnknownCase",
    "difference",
    "free_below",
    "from_bps",
    "from_micro",
    "from_percent",
    "from_ppm",
    "price_from",
    "scaled",
    "signed",
    "size_from",
    "span",
    "to_bps",
    "to_micro",
    "to_ms",
    "to_percent",
    "to_ppm",
    "within",
]

#: Tolerance, absolute and relative, of a number whose case states none.
NOISE = 1e-9
_SIGNS = {"long": 1, "buy": 1, "short": -1, "sell": -1}
_DATE = re.compile(r"\b((?:19|20)\d\d)(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01]))?)?\b")


class UnknownCase(InputError):
    """A case that cannot be answered: its kind is not known, or an input it needs is missing."""


class Text(str):
    """A text among the inputs: it is compared and looked up, never multiplied.

    >>> Text("long") == "long"
    True
    >>> Text("long") * 3
    Traceback (most recent call last):
    bt_margin.studies.conformance.case.UnknownCase: 'long' stands where a number belongs
    """

    __slots__ = ()

    def __mul__(self, other: object) -> NoReturn:
        raise UnknownCase(f"{str(self)!r} stands where a number belongs")

    __rmul__ = __mul__


class Inputs(dict[str, Any]):
    """The inputs of a case; one that is asked for and missing is named.

    >>> Inputs({"mmr": 0.01})["mmr"]
    0.01
    >>> Inputs({"mmr": 0.01})["size"]
    Traceback (most recent call last):
    bt_margin.studies.conformance.case.UnknownCase: the inputs have no 'size'; they have mmr
    """

    def __missing__(self, key: str) -> NoReturn:
        known = ", ".join(self) or "none"
        raise UnknownCase(f"the inputs have no {key!r}; they have {known}")

    @classmethod
    def of(cls, value: Any) -> Any:
        """The value with every dict inside it as inputs, and every text as one that is no number."""
        if isinstance(value, Mapping):
            return cls({str(key): cls.of(each) for key, each in value.items()})
        if isinstance(value, str):
            return Text(value)
        return [cls.of(each) for each in value] if isinstance(value, list) else value


class Tolerance(NamedTuple):
    """How far off a number may be: ``abs`` in its own unit, ``rel`` as a fraction of it."""

    abs: float = 0.0
    rel: float = 0.0

    def of(self, expected: float) -> float:
        """The largest difference allowed.

        >>> Tolerance(0.25, 0.5).of(-3), Tolerance(0.25, 0.01).of(3)
        (1.5, 0.25)
        """
        return max(self.abs, self.rel * abs(expected))


@dataclass(frozen=True, slots=True)
class Case:
    """One worked example of a venue.

    ``side`` is ``"long"``, ``"short"`` or what else the case says; ``kind`` what is computed (``what`` or
    ``kind``); ``tolerance`` per key of ``expected``; ``formula`` and ``as_of`` as the case words them.
    """

    id: str
    venue: str
    mode: str
    kind: str
    inputs: Inputs
    expected: Mapping[str, Any]
    tolerance: Mapping[str, Tolerance] = field(default_factory=dict)
    side: str = ""
    contract: str = ""
    source: str = ""
    formula: str = ""
    as_of: str = ""
    notes: str = ""

    @property
    def isolated(self) -> bool:
        """Whether the case is about isolated margin."""
        return "isolated" in self.mode

    @property
    def inverse(self) -> bool:
        """Whether the case is about an inverse contract."""
        return self.contract == "inverse"

    @property
    def since(self) -> int | None:
        """The first moment of the first date that ``as_of`` names (UTC ms)."""
        found = span(self.as_of)
        return None if found is None else found[0]

    @property
    def until(self) -> int | None:
        """The last moment of the last date that ``as_of`` names (UTC ms)."""
        found = span(self.as_of)
        return None if found is None else found[1]

    def wants(self, *keys: str) -> bool:
        """Whether any of these is expected."""
        return any(key in self.expected for key in keys)

    def has(self, *keys: str) -> bool:
        """Whether all of these are given."""
        return all(key in self.inputs for key in keys)

    def unknown(self) -> NoReturn:
        """Say that this case cannot be answered. :raises UnknownCase: always."""
        given, wanted = ", ".join(self.inputs), ", ".join(self.expected)
        raise UnknownCase(
            f"{self.venue} has no answer to the kind {self.kind!r} ({wanted} from {given})"
        )


def signed(size: float, side: str) -> float:
    """A size with the sign of its side; long and buy are positive, short and sell negative.

    >>> signed(2, "long"), signed(2.0, "short"), signed(0.01, "long closed")
    (2, -2.0, 0.01)

    :raises UnknownCase: neither.
    """
    sign = _SIGNS.get(side.strip().lower().partition(" ")[0])
    if sign is None:
        raise UnknownCase(f"side {side!r} is not known; allowed: long, short, buy, sell")
    return abs(size) if sign > 0 else -abs(size)


def scaled(value: float, power: int) -> float:
    """The value times ten to a power; whole numbers stay whole where they can.

    >>> scaled(1.5, 6), scaled(150_000, -6), scaled(3, 2)
    (1500000.0, 0.15, 300)
    """
    factor: int = 10 ** abs(power)
    return value * factor if power >= 0 else value / factor


def from_ppm(value: float) -> float:
    """Parts per million as a fraction.

    >>> from_ppm(200_000)
    0.2
    """
    return scaled(value, -6)


def to_ppm(value: float) -> float:
    """A fraction as parts per million.

    >>> to_ppm(0.2)
    200000.0
    """
    return scaled(value, 6)


def from_micro(value: float) -> float:
    """Millionths of a unit as units."""
    return scaled(value, -6)


def to_micro(value: float) -> float:
    """Units as millionths."""
    return scaled(value, 6)


def from_bps(value: float) -> float:
    """Basis points as a fraction.

    >>> from_bps(10)
    0.001
    """
    return scaled(value, -4)


def to_bps(value: float) -> float:
    """A fraction as basis points."""
    return scaled(value, 4)


def from_percent(value: float) -> float:
    """Per cent as a fraction."""
    return scaled(value, -2)


def to_percent(value: float) -> float:
    """A fraction as per cent."""
    return scaled(value, 2)


def price_from(notional: float, size: float) -> float:
    """The price of a linear position that payloads state by its notional.

    >>> price_from(300.0, -2)
    150.0
    """
    return notional / abs(size)


def size_from(notional: float, price: float) -> float:
    """The unsigned size of a linear order that payloads state by its notional.

    >>> size_from(300.0, 150.0)
    2.0
    """
    return notional / price


def free_below(amount: float, rate: float) -> float:
    """The notional up to which nothing is asked when a tier of this rate has this deduction.

    >>> free_below(50.0, 0.005)
    10000.0
    """
    return amount / rate


def to_ms(*, hours: float = 0, seconds: float = 0) -> int:
    """A length of time in milliseconds.

    >>> to_ms(hours=8), to_ms(seconds=600)
    (28800000, 600000)
    """
    return round(hours * 3_600_000 + seconds * 1_000)


def span(text: str) -> tuple[int, int] | None:
    """First and last moment (UTC ms) of the dates a text names; None when it names none.

    A year alone is all of it, a month likewise.

    >>> span("2021-07+") == (1_625_097_600_000, 1_627_775_999_999)
    True
    >>> span("2020-2021 (tier 50k)") == (1_577_836_800_000, 1_640_995_199_999)
    True
    >>> span("undated") is None
    True
    """
    found = [_bounds(*match.groups()) for match in _DATE.finditer(text)]
    return (min(a for a, _ in found), max(b for _, b in found)) if found else None


def _bounds(year: str, month: str | None, day: str | None) -> tuple[int, int]:
    """First and last millisecond of a date, a month or a year."""
    first, last = int(month or 1), int(month or 12)
    days = monthrange(int(year), last)[1]
    begin = datetime(int(year), first, min(int(day or 1), days), tzinfo=timezone.utc)
    end = datetime(int(year), last, min(int(day or days), days), tzinfo=timezone.utc)
    stop = end + timedelta(days=1)
    return round(begin.timestamp() * 1000), round(stop.timestamp() * 1000) - 1


def difference(expected: Any, ours: Any) -> float | None:
    """Ours less expected; None when one of them is no finite number.

    >>> difference(2.5, 2), difference(None, 2), difference(True, 1)
    (-0.5, None, None)
    """
    if not (_numeric(expected) and _numeric(ours)):
        return None
    if isinstance(expected, int) and isinstance(ours, int):
        return ours - expected
    try:
        return float(ours - expected)
    except OverflowError:
        return None


def within(expected: Any, ours: Any, tolerance: Tolerance) -> bool:
    """Whether an answer is right.

    >>> within(2.5, 2.51, Tolerance(0.01)), within(True, 1, Tolerance(1)), within(None, None, Tolerance())
    (True, False, True)
    """
    if not _numeric(expected):
        return type(expected) is type(ours) and bool(expected == ours)
    off = difference(expected, ours)
    return off is not None and abs(off) <= tolerance.of(expected)


def _numeric(value: Any) -> bool:
    """A finite number; truth values are none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        return False
    return isinstance(value, int) or math.isfinite(value)
