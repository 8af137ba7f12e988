"""Reading a file of cases, or refusing it with one line that says what is wrong and where."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from bt_margin.errors import InputError, message
from bt_margin.studies.conformance.case import NOISE, Case, Inputs, Tolerance

__all__ = ["MOST_BYTES", "MOST_CASES", "cases_of", "read_cases", "read_json"]

#: The largest file that is read, and the most cases in it.
MOST_BYTES = 16_000_000
MOST_CASES = 20_000
#: The most numbers of one case, counted through all its lists.
MOST_VALUES = 20_000
#: The largest number that is taken, in either direction.
LARGEST = 1e60
#: The largest power of ten (or of anything) that an input may name, in either direction.
MOST_POWER = 100
_POWERS = ("exponent", "resolution")
_TEXTS = ("side", "contract", "source", "formula", "as_of")


def read_cases(path: str | Path) -> list[Case]:
    """The cases of a file, in its order.

    :raises InputError: no such file, too large, no JSON, or not the schema; the message names the place.
    """
    return cases_of(read_json(path), Path(path).name)


def read_json(path: str | Path) -> Any:
    """The JSON document in a file. :raises InputError: there is none, or it is too large."""
    file = Path(path)
    try:
        with file.open("rb") as stream:  # what has no size, or grows, is bounded too
            data = stream.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            size = max(file.stat().st_size, len(data))
            raise InputError(message(f"{file} is too large", f"{size:,} bytes", f"{MOST_BYTES:,}"))
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is no text in UTF-8 (byte {error.start})") from error
    try:
        return json.loads(text, parse_constant=_no_number, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(f"{file} is not JSON: {error.msg} ({where})") from error
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{file} is not JSON that can be read: {_words(error)}") from error


def cases_of(document: Any, where: str = "the cases") -> list[Case]:
    """The cases of a document: a list of them, or an object with the list as ``examples``.

    :raises InputError: it has another shape, no case, too many, or two of one id.

    >>> document = [{"id": "a", "venue": "binance", "what": "x", "inputs": {}, "expected": {"x": 1}}]
    >>> [case.id for case in cases_of(document)]
    ['a']
    """
    if isinstance(document, Mapping):
        document = document.get("examples", document.get("cases"))
    if not isinstance(document, list):
        todo = "give a list of cases, or an object with the list under 'examples'"
        raise InputError(f"{where}: no list of cases; {todo}")
    if not document:
        raise InputError(f"{where}: the list of cases is empty")
    if len(document) > MOST_CASES:
        raise InputError(
            message(f"{where}: too many cases", len(document), f"at most {MOST_CASES}")
        )
    found = [_case(row, f"{where}, case {number}") for number, row in enumerate(document, start=1)]
    _check_ids([case.id for case in found], where)
    return found


def _case(row: Any, where: str) -> Case:
    """One case, checked."""
    if not isinstance(row, Mapping):
        raise InputError(message(f"{where} is no object", type(row).__name__))
    name = _text(row, "id", where, needed=True)
    where = f"{where} ({name})"
    kind = _text(row, "kind" if "kind" in row else "what", where, needed=True)
    inputs, expected = (_object(row, key, where) for key in ("inputs", "expected"))
    if not expected:
        raise InputError(f"{where}: 'expected' is empty; name at least one number")
    for key, value in expected.items():
        if isinstance(value, Mapping | list):
            found = type(value).__name__
            raise InputError(
                message(f"{where}: expected {key!r}", found, "a number, a text or null")
            )
    _bounded([inputs, expected], where)
    texts = {key: _text(row, key, where) for key in _TEXTS}
    if not texts["side"] and isinstance(inputs.get("side"), str):
        texts["side"] = inputs["side"]
    notes = _text(row, "notes", where) or _text(row, "note", where)
    return Case(
        id=name,
        venue=_text(row, "venue", where, needed=True),
        mode=_text(row, "mode", where),
        kind=kind,
        inputs=Inputs.of(inputs),
        expected=dict(expected),
        tolerance=_tolerances(row, expected, where),
        notes=notes,
        **texts,
    )


def _tolerances(row: Mapping[str, Any], expected: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The tolerance of every expected key."""
    usual = Tolerance(NOISE, NOISE)
    found: dict[str, Tolerance] = {}
    if "tolerance" in row:
        both = _object(row, "tolerance", where)
        unknown = [key for key in both if key not in ("abs", "rel")]
        if unknown or not both:
            raise InputError(message(f"{where}: tolerance", unknown or "nothing", "abs, rel"))
        usual = Tolerance(**{key: _amount(value, key, where) for key, value in both.items()})
    if "tolerance_abs" in row:
        for key, value in _object(row, "tolerance_abs", where).items():
            if key not in expected:
                raise InputError(f"{where}: tolerance_abs of {key!r}, which is not expected")
            found[key] = Tolerance(abs=_amount(value, key, where))
    return {key: found.get(key, usual) for key in expected}


def _amount(value: Any, key: str, where: str) -> float:
    """A tolerance. :raises InputError: no number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LARGEST:
        raise InputError(message(f"{where}: tolerance of {key!r}", repr(value), "0 or more"))
    return value


def _object(row: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    found = row.get(key)
    if not isinstance(found, dict):
        raise InputError(message(f"{where}: {key!r}", type(found).__name__, "an object"))
    return found


def _text(row: Mapping[str, Any], key: str, where: str, *, needed: bool = False) -> str:
    found = row.get(key)
    if found is None and not needed:
        return ""
    if not isinstance(found, str) or (needed and not found.strip()):
        raise InputError(message(f"{where}: {key!r}", repr(found), "a text"))
    return found


def _bounded(values: list[Any], where: str) -> None:
    """Refuse what no example holds: numbers beyond all bounds, or too many of them."""
    count, rest = 0, list(values)
    while rest:
        each = rest.pop()
        count += 1
        if count > MOST_VALUES:
            raise InputError(f"{where}: more than {MOST_VALUES:,} values; split the case")
        if isinstance(each, dict):
            _check_powers(each, where)
            rest.extend(each.values())
        elif isinstance(each, list):
            rest.extend(each)
        elif isinstance(each, int | float) and not -LARGEST < each < LARGEST:
            raise InputError(f"{where}: a number beyond ±{LARGEST:g}")


def _check_powers(values: dict[str, Any], where: str) -> None:
    """Refuse powers that no machine works out."""
    for key, value in values.items():
        if key.endswith(_POWERS) and isinstance(value, int | float) and abs(value) > MOST_POWER:
            raise InputError(message(f"{where}: {key!r}", value, f"within ±{MOST_POWER}"))


def _check_ids(ids: list[str], where: str) -> None:
    twice = [name for name, times in Counter(ids).items() if times > 1]
    if twice:
        raise InputError(f"{where}: the id {twice[0]!r} stands twice; ids must differ")


def _no_number(text: str) -> NoReturn:
    raise InputError(f"{text} is no number in JSON; use null where there is none")


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys stand once."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InputError(f"the key {key!r} stands twice in one object")
        found[key] = value
    return found


def _words(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).split(";")[0]
