"""The points of a sweep as people type them: ``--grid`` and ``--draw``."""

from __future__ import annotations

from typing import Any

from bt_margin.cli import parse
from bt_margin.errors import InputError

MOST = 1_000_000  # values of one range
_EPSILON = 1e-9


def grids(texts: list[str]) -> dict[str, list[Any]]:
    """``--grid`` as values by name.

    >>> grids(["leverage=1:5:2", "margin_mode=cross,isolated", "params.share=0.5:0.7:0.1"])
    {'leverage': [1, 3, 5], 'margin_mode': ['cross', 'isolated'], 'params.share': [0.5, 0.6, 0.7]}

    :raises InputError: no such form, a range that never ends, a name twice.
    """
    found: dict[str, list[Any]] = {}
    for name, text in _named(texts, "--grid"):
        if name in found:
            raise _wrong("--grid", f"{name} is given twice")
        found[name] = [
            each for piece in parse.pieces(text) for each in _values(name, piece.strip())
        ]
    return found


def _values(name: str, piece: str) -> list[Any]:
    """One value, or those of a range: low:high or low:high:step, both ends included."""
    ends = [parse.literal(part) for part in piece.split(":")]
    if not piece or len(ends) not in (2, 3) or not all(_is_number(end) for end in ends):
        return [parse.literal(piece)]
    low, high, step = (*ends, 1)[:3]
    if step <= 0 or high < low:
        raise _wrong("--grid", f"{name}={piece}: a range is low:high:step, rising, step above 0")
    count = int((high - low) / step + _EPSILON) + 1
    if count > MOST:
        raise _wrong("--grid", f"{name}={piece} has {count:,} values")
    values = [low + place * step for place in range(count)]
    return [value if isinstance(value, int) else float(f"{value:.12g}") for value in values]


def sources(texts: list[str]) -> dict[str, Any]:
    """``--draw`` as distributions by name.

    >>> sources(["leverage=log:1:50", "margin_mode=cross,isolated"])
    {'leverage': Uniform(low=1, high=50, log=True, whole=False), 'margin_mode': ['cross', 'isolated']}
    """
    from bt_margin.studies.sweep_grid import Uniform

    found: dict[str, Any] = {}
    for name, text in _named(texts, "--draw"):
        if name in found:
            raise _wrong("--draw", f"{name} is given twice")
        words = [word.strip() for word in text.split(":")]
        kinds, ends = set(words[:-2]), [parse.literal(word) for word in words[-2:]]
        if len(words) >= 2 and kinds <= {"log", "whole"} and all(map(_is_number, ends)):
            found[name] = Uniform(ends[0], ends[1], log="log" in kinds, whole="whole" in kinds)
        else:
            found[name] = [parse.literal(piece.strip()) for piece in parse.pieces(text)]
    return found


def _named(texts: list[str], option: str) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in texts]
    for text, (name, equals, rest) in zip(texts, pairs, strict=True):
        if not equals or not name.strip() or not rest.strip():
            raise _wrong(option, f"{text!r} is not of the form name=values")
    return [(name.strip(), rest.strip()) for name, _, rest in pairs]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _wrong(option: str, words: str) -> InputError:
    return InputError(f"{option} {words}")
