"""What people type on the command line, as values."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any

from bt_margin.errors import InputError

_OPENING, _CLOSING = "([{", ")]}"


def assignments(texts: Sequence[str], option: str) -> dict[str, Any]:
    """``name=value`` texts as a dict; values are Python literals, anything else is a text.

    :raises InputError: no equals sign, no name, or a name given twice.

    >>> assignments(["fast=20", "exposure=1.5", "mode=slow", "on=True"], "--set")
    {'fast': 20, 'exposure': 1.5, 'mode': 'slow', 'on': True}
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InputError(f"{option} {text!r} is not of the form name=value")
        if name in found:
            raise InputError(f"{option} gives {name!r} twice; give it once")
        found[name] = literal(value.strip())
    return found


def literal(text: str) -> Any:
    """A Python literal, or the text itself.

    >>> literal("[1, 2]"), literal("BTC/USDT:USDT")
    ([1, 2], 'BTC/USDT:USDT')
    >>> literal("{[]: 1}"), literal("-" * 9_999 + "1")[:3]
    ('{[]: 1}', '---')
    """
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # nested too deep
        return text


def scenarios(texts: Sequence[str]) -> dict[str, dict[str, Any]] | None:
    """``name:key=value,key=value`` texts as named scenarios; ``None`` when there are none.

    :raises InputError: no colon, no name, a name given twice, or an assignment that is none.

    >>> scenarios(["5x:margin_mode=cross,leverage=5"])
    {'5x': {'margin_mode': 'cross', 'leverage': 5}}
    """
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        name, colon, rest = text.partition(":")
        name = name.strip()
        if not colon or not name or not rest.strip():
            raise InputError(f"--scenario {text!r} is not of the form name:key=value,key=value")
        if name in found:
            raise InputError(f"--scenario gives {name!r} twice; names must differ")
        found[name] = assignments(list(pieces(rest)), f"--scenario {name}")
    return found or None


def pieces(text: str) -> Iterator[str]:
    """A text cut at its commas, except inside brackets.

    >>> list(pieces("a=1,b={'x': 1, 'y': 2},c=3"))
    ['a=1', "b={'x': 1, 'y': 2}", 'c=3']
    """
    depth, start = 0, 0
    for place, letter in enumerate(text):
        depth += (letter in _OPENING) - (letter in _CLOSING)
        if letter == "," and not depth:
            yield text[start:place]
            start = place + 1
    yield text[start:]


def names(text: str | None) -> list[str] | None:
    """A list written with commas.

    >>> names("BTC/USDT:USDT, ETHUSDT")
    ['BTC/USDT:USDT', 'ETHUSDT']
    """
    if text is None:
        return None
    return [name.strip() for name in text.split(",") if name.strip()]


def position(text: str) -> tuple[str, float, float, float | None]:
    """``symbol,side,size,entry[,mark]`` as symbol, signed size, entry and mark.

    :raises InputError: anything else.

    >>> position("BTC/USDT:USDT,short,0.5,60000")
    ('BTC/USDT:USDT', -0.5, 60000.0, None)
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (4, 5):
        raise InputError(
            f"--position {text!r} is not of the form symbol,long|short,size,entry or with a mark at the end"
        )
    symbol, side, *numbers = parts
    values = [number(each, f"--position {text!r}") for each in numbers]
    return symbol, sign(side) * values[0], values[1], values[2] if len(values) > 2 else None


def number(text: str, where: str) -> float:
    """A number. :raises InputError: something else."""
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{where}: {text!r} is not a number") from None


def sign(side: str) -> float:
    """+1 for long, −1 for short. :raises InputError: neither.

    >>> sign("long"), sign("SELL")
    (1.0, -1.0)
    """
    known = {"long": 1.0, "buy": 1.0, "short": -1.0, "sell": -1.0}
    if side.lower() not in known:
        raise InputError(f"side {side!r} is not known; allowed: long, short")
    return known[side.lower()]
