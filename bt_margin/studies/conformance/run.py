"""Running cases: each venue's answers beside what its sources print.

The answers of a venue are in the module of this package that has its name. It holds one function,
``answer(case)``, that translates the inputs of a case into calls of the functions the broker itself runs on,
and names their results; it calculates nothing. Answers of a venue from outside the package are made known
with :func:`answering`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from bt_margin.errors import BtMarginError, near
from bt_margin.studies.conformance.case import Case, UnknownCase, difference, within
from bt_margin.studies.conformance.reading import read_cases

__all__ = ["VENUES", "Checked", "Outcome", "answering", "run_cases"]

Answering = Callable[[Case], Mapping[str, Any]]

#: Names of venues in cases -> module of this package with the answers.
VENUES = {
    "aave_v3": "aave_v3",
    "binance": "binance",
    "bybit": "bybit",
    "dydx_v3": "dydx_v3",
    "dydx_v4": "dydx_v4",
    "gmx_v1": "gmx_v1",
    "gmx_v2": "gmx_v2",
    "hyperliquid": "hyperliquid",
    "kraken": "kraken",
    "okx": "okx",
}
_ALIASES = {
    "aave": "aave_v3",
    "binancecoinm": "binance",
    "binanceusdm": "binance",
    "dydx": "dydx_v4",
    "gmx": "gmx_v2",
    "krakenfutures": "kraken",
    "krakeninverse": "kraken",
    "krakenspot": "kraken",
}
_OWN: dict[str, Answering] = {}
#: What numbers that make no sense together lead to.
_UNUSABLE = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Checked:
    """One expected key: what was expected, what we say (None: nothing), how far off, and whether it is right.

    ``tolerance`` is the largest difference allowed, None where the two must be equal.
    """

    key: str
    expected: Any
    ours: Any
    difference: float | None
    tolerance: float | None
    ok: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one case; ``reason`` says why there is no answer ("" where there is one)."""

    case: Case
    checked: tuple[Checked, ...] = ()
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether every expected key came out right."""
        return not self.reason and all(each.ok for each in self.checked)

    def to_dict(self) -> dict[str, Any]:
        """The outcome as plain types."""
        return {
            "id": self.case.id,
            "venue": self.case.venue,
            "kind": self.case.kind,
            "ok": self.ok,
            "reason": self.reason or None,
            "source": self.case.source,
            "keys": [asdict(each) for each in self.checked],
        }


def answering(venue: str, answer: Answering) -> None:
    """Make the answers of a venue of one's own known, by the name its cases use."""
    _OWN[venue.strip().lower()] = answer


def run_cases(cases: str | Path | Iterable[Case]) -> list[Outcome]:
    """Every case of a file (or of a list), answered and compared.

    A case nobody can answer is an outcome with a reason, not an exception.

    :raises InputError: the file cannot be read.
    """
    found = read_cases(cases) if isinstance(cases, str | Path) else cases
    return [_outcome(case) for case in found]


def _outcome(case: Case) -> Outcome:
    try:
        given = _answering(case.venue)(case)
    except UnknownCase as error:
        return Outcome(case, reason=str(error))
    except BtMarginError as error:
        return Outcome(case, reason=f"refused: {error}")
    except _UNUSABLE as error:
        told = f"{type(error).__name__}: {error}"
        return Outcome(case, reason=f"the inputs of the kind {case.kind!r} cannot be used ({told})")
    checked = tuple(_checked(case, key, given) for key in case.expected)
    missing = [each for each in case.expected if each not in given]
    if len(missing) == len(checked):
        return Outcome(case, reason=f"no answer to {', '.join(missing)} of the kind {case.kind!r}")
    return Outcome(case, checked)


def _checked(case: Case, key: str, given: Mapping[str, Any]) -> Checked:
    expected, tolerance = case.expected[key], case.tolerance[key]
    ours = given.get(key)
    off = difference(expected, ours)
    exact = isinstance(expected, bool | str) or expected is None
    right = key in given and within(expected, ours, tolerance)
    return Checked(key, expected, ours, off, None if exact else tolerance.of(expected), right)


def _answering(venue: str) -> Answering:
    """The answers of a venue. :raises UnknownCase: nobody has any."""
    name = venue.strip().lower()
    if name in _OWN:
        return _OWN[name]
    name = _ALIASES.get(name, name)
    if name not in VENUES:
        hint = near(name, [*VENUES, *_ALIASES, *_OWN])
        known = ", ".join(sorted([*VENUES, *_OWN]))
        raise UnknownCase(
            f"no answers for the venue {venue!r}; known: {known}{hint and '; ' + hint}"
        )
    module = f"{__package__}.{VENUES[name]}"
    try:
        found: Answering = import_module(module).answer
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise UnknownCase(f"the venue {venue!r} has no answers yet") from error
    return found
