"""The equity of an account as a number that remembers where it came from.

While a tape is recorded, ``broker.getvalue()`` answers with a :class:`Share`: a float that is also
``units + share · equity`` of a known bar. Sums and products with plain numbers stay shares, so that "half of
my equity, in coins" is recorded as such and not as the number it happened to be. Whatever else is done with
it (compared, rounded, mixed with the equity of another bar) makes it a plain number, and is noted: then the
strategy looks at its account.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: What was done to the equity, step by step: so that a kernel can do the same, to the last bit.
Steps = tuple[tuple[int, float], ...]
TIMES, OVER, PLUS = 1, 2, 3
MOST_STEPS = 4
"""Of more steps only their sum total is kept: units + share · equity."""


class Seen:
    """What a strategy has looked at on its account."""

    def __init__(self) -> None:
        self.first = ""

    def note(self, what: str) -> None:
        """Remember the first look."""
        self.first = self.first or what


class Share(float):
    """``units + share · equity`` at the close of ``bar``, and its value in the account at hand.

    >>> half = 0.5 * Share.of(1_000.0, 7, Seen()) / 20.0
    >>> float.__repr__(half), half.share, half.bar, -(half + 1.0) == -26.0
    ('25.0', 0.025, 7, True)
    """

    __slots__ = ("bar", "seen", "share", "steps", "units")
    __array_ufunc__ = None  # numpy leaves the arithmetic to this class
    units: float
    share: float
    bar: int
    seen: Seen
    steps: Steps | None

    @classmethod
    def of(cls, equity: float, bar: int, seen: Seen) -> Share:
        """The equity itself."""
        return cls._made(equity, (0.0, 1.0), bar, seen, ())

    @classmethod
    def _made(
        cls, value: float, line: tuple[float, float], bar: int, seen: Seen, steps: Steps | None
    ) -> Share:
        made = cls(value)
        (made.units, made.share), made.bar, made.seen, made.steps = line, bar, seen, steps
        return made

    def plain(self) -> float:
        """Its value, and nothing else."""
        return float.__float__(self)

    def _with(self, value: float, units: float, share: float, *step: tuple[int, float]) -> Share:
        steps = None if self.steps is None or not step else (*self.steps, *step)
        return self._made(value, (units, share), self.bar, self.seen, steps)

    def _look(self) -> float:
        self.seen.note("the equity of the account was looked at as a number")
        return self.plain()

    def _plus(self, other: Any, sign: float, own: float) -> Any:
        """own · self + sign · other."""
        if isinstance(other, Share):
            value = own * self.plain() + sign * other.plain()
            if other.bar != self.bar:
                self._look()
                return value
            return self._with(
                value, own * self.units + sign * other.units, own * self.share + sign * other.share
            )
        try:
            number = float(other)
        except (TypeError, ValueError):
            return NotImplemented
        step = ((TIMES, own),) if own < 0.0 else ()
        value = own * self.plain() + sign * number
        units, share = own * self.units + sign * number, own * self.share
        return self._with(value, units, share, *step, (PLUS, sign * number))

    def __add__(self, other: Any) -> Any:
        return self._plus(other, 1.0, 1.0)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._plus(other, -1.0, 1.0)

    def __rsub__(self, other: Any) -> Any:
        return self._plus(other, 1.0, -1.0)

    def __neg__(self) -> Any:
        return self._with(-self.plain(), -self.units, -self.share, (TIMES, -1.0))

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        if self.units:
            return abs(self._look())
        sign = -1.0 if self.share < 0.0 else 1.0
        return self._with(abs(self.plain()), 0.0, abs(self.share), (TIMES, sign))

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Share):
            return self._look() * other.plain()
        try:
            number = float(other)
        except (TypeError, ValueError):
            return NotImplemented
        made = self.plain() * number, self.units * number, self.share * number
        return self._with(*made, (TIMES, number))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if isinstance(other, Share):
            if other.share and not other.units and not self.units:
                return self.share / other.share  # of one bar or of two: the same shares of the same
            return self._look() / other.plain()
        try:
            number = float(other)
        except (TypeError, ValueError):
            return NotImplemented
        made = self.plain() / number, self.units / number, self.share / number
        return self._with(*made, (OVER, number))

    def __bool__(self) -> bool:
        if self.units:
            self._look()
        return bool(self.share) if not self.units else self.plain() != 0.0

    def __hash__(self) -> int:
        return hash(self._look())

    def __reduce__(self) -> Any:
        return float, (self._look(),)


def _looking(name: str) -> Callable[..., Any]:
    """An operation of floats that makes a share a plain number."""
    plain = getattr(float, name)

    def looked(self: Share, *others: Any) -> Any:
        return plain(self._look(), *others)

    return looked


for _name in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__", "__float__", "__int__",
              "__round__", "__trunc__", "__floor__", "__ceil__", "__floordiv__", "__rfloordiv__",
              "__mod__", "__rmod__", "__divmod__", "__rdivmod__", "__pow__", "__rpow__",
              "__rtruediv__", "is_integer", "as_integer_ratio", "hex"):  # fmt: skip
    setattr(Share, _name, _looking(_name))
