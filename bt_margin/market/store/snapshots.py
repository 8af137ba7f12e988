"""Dated snapshots of facts that change by themselves: market metadata and tiers, in JSON files.

A snapshot is added only when it differs from the one before, so the history is that of changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from bt_margin.errors import InputError, message
from bt_margin.market.store.disk import (
    Told,
    damaged,
    first_line,
    locked,
    make_folder,
    read_json,
    sync_folder,
    to_json,
    writable,
    write_whole,
)
from bt_margin.market.store.places import LATEST, LOCK

FORMAT = 1
MOST_BYTES = 64_000_000
AGAIN = "delete it; the next download asks for it again"

Dated = list[dict[str, Any]]


def added(found: Dated, key: str, value: Mapping[str, Any], at: int) -> Dated:
    """The snapshots with one more, by date; as they were when it says what the one before said.

    >>> added([{"at": 5, "tiers": {"a": 1}}], "tiers", {"a": 1}, 9)
    [{'at': 5, 'tiers': {'a': 1}}]
    >>> added([{"at": 5, "tiers": {"a": 1}}], "tiers", {"a": 2}, 9)[-1]
    {'at': 9, 'tiers': {'a': 2}}
    """
    before = [each for each in found if each["at"] <= at]
    if before and before[-1][key] == value:
        return found
    after = [each for each in found if each["at"] > at]
    same_time = before and before[-1]["at"] == at
    return [*(before[:-1] if same_time else before), {"at": at, key: dict(value)}, *after]


def read(path: Path, key: str) -> dict[str, Dated]:
    """The snapshots in a file, by symbol; {} without a file; `StoreDamaged` when malformed."""
    try:
        body = read_json(path, MOST_BYTES, AGAIN)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise damaged("a file cannot be read", path, first_line(error), AGAIN) from error
    if isinstance(body.get("format"), int) and body["format"] > FORMAT:
        allowed = f"up to {FORMAT}"
        raise InputError(
            message("a newer store", body["format"], allowed, str(path), "update bt-margin")
        )
    found = body.get("snapshots")
    if not isinstance(found, dict) or not all(_is_dated(each, key) for each in found.values()):
        raise damaged("a file is malformed", path, todo=AGAIN)
    return found


def _is_dated(found: object, key: str) -> bool:
    if not isinstance(found, list) or not found:
        return False
    fits = all(
        isinstance(each, dict)
        and each.keys() == {"at", key}
        and type(each["at"]) is int
        and 0 <= each["at"] <= LATEST
        and isinstance(each[key], dict)
        for each in found
    )
    return fits and all(a["at"] < b["at"] for a, b in pairwise(found))


def change(
    path: Path,
    key: str,
    new: Callable[[dict[str, Dated]], dict[str, Dated]],
    told: Told | None = None,
) -> None:
    """Rewrite a file of snapshots under the lock of its folder; not touched when nothing changed."""
    with writable(path):
        make_folder(path.parent)
    with locked(path.parent / LOCK, told=told):
        before = read(path, key)
        after = new(before)
        if after == before:
            return
        data = to_json({"format": FORMAT, "snapshots": after}, key)
        with writable(path):
            write_whole(path, data + b"\n")
            sync_folder(path.parent)
