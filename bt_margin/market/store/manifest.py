"""The manifest of a dataset: what is covered, and by which files. Its rename is the commit.

    <store>/<exchange>/<symbol>/<kind>_<timeframe>/_manifest.json

Files hold a period each (a month or a year) and are named by their content, so a manifest and the
files it names never disagree. There are three families of them:

    rows        2024-01.1f2e3d4c.parquet               what the venue delivered
    gaps        _gaps.2024-01.1f2e3d4c.parquet         what it has no rows for, and when that was checked
    revisions   _revisions.2024-01.1f2e3d4c.parquet    what it said before it said otherwise

The manifest grows with the periods, not with the pages.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bt_margin.errors import BtMarginError, InputError, message
from bt_margin.market.kinds import Grid
from bt_margin.market.store.disk import damaged, first_line, read_json, to_json
from bt_margin.market.store.places import LATEST, MANIFEST, dataset_name, period_span, unit_of
from bt_margin.market.store.spans import Spans, joined

FORMAT = 1
FAMILIES = ("rows", "gaps", "revisions")
MOST_BYTES = 16_000_000
MOST_PART = 2_000_000_000
_SHA = re.compile(r"[0-9a-f]{64}")
_PERIODS = {"M": re.compile(r"(19[7-9]|2[0-2]\d)\d-(0[1-9]|1[0-2])"), "Y": re.compile(r"[12]\d{3}")}
_FILE = re.compile(r"(?:_(gaps|revisions)\.)?(\d{4}(?:-\d\d)?)\.([0-9a-f]{8})\.parquet")

Parts = Mapping[str, "Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """One file: its SHA-256, bytes and rows, and the times of its first and last row [ms]."""

    sha256: str
    size: int
    rows: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """One committed state of a dataset.

    serial : how many commits came before, plus one; 0 for a dataset nobody has written
    covered : the spans the venue has answered for, joined
    parts : by family and period
    log : how many bytes of the page log belong to this state
    provenance : where the rows come from: requests, first and last download, ccxt version ...
    """

    exchange: str
    symbol: str
    kind: str
    timeframe: str
    serial: int = 0
    covered: Spans = ()
    parts: Mapping[str, Parts] = field(default_factory=lambda: {name: {} for name in FAMILIES})
    log: int = 0
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def grid(self) -> Grid | None:
        """Where the bars open; None for funding, which has no grid."""
        return Grid.of(self.timeframe) if self.timeframe else None

    @property
    def step(self) -> int:
        """How much time a row fills [ms]: a bar, or the one instant of a settlement."""
        return self.grid.step if self.grid else 1

    @property
    def unit(self) -> str:
        """The length of a part: "M" or "Y"."""
        return unit_of(self.kind, self.timeframe)

    def files(self) -> set[str]:
        """The names of all files of this state."""
        return {
            file_name(family, period, part.sha256)
            for family, parts in self.parts.items()
            for period, part in parts.items()
        }


def file_name(family: str, period: str, sha256: str) -> str:
    """The name of a file by its family, period and content.

    >>> file_name("rows", "2024-01", "0123456789abcdef"), file_name("gaps", "2024", "fedcba987")
    ('2024-01.01234567.parquet', '_gaps.2024.fedcba98.parquet')
    """
    return f"{'' if family == 'rows' else f'_{family}.'}{period}.{sha256[:8]}.parquet"


def read_file_name(name: str) -> tuple[str, str, str] | None:
    """Family, period and the first eight digits of the hash; None for a name that is none of ours.

    >>> read_file_name("_gaps.2024.fedcba98.parquet"), read_file_name("mine.parquet")
    (('gaps', '2024', 'fedcba98'), None)
    """
    match = _FILE.fullmatch(name)
    return (match[1] or "rows", match[2], match[3]) if match else None


def dump(manifest: Manifest) -> bytes:
    """The bytes of a manifest, with their own checksum."""
    body = asdict(manifest) | {"format": FORMAT}
    checksum = hashlib.sha256(to_json(body, "provenance")).hexdigest()
    return to_json(body | {"checksum": checksum}, "provenance") + b"\n"


def load(folder: Path, owner: Manifest) -> Manifest:
    """The manifest in a folder, or `owner` itself, the empty one, when there is none.

    Raises `StoreDamaged` when the file is malformed, changed or of another dataset, and `InputError`
    when the folder belongs to another symbol or was written by a newer version.
    """
    path = folder / MANIFEST
    try:
        body = read_json(path, MOST_BYTES)
    except FileNotFoundError:
        return owner
    except OSError as error:
        raise damaged("the manifest cannot be read", path, first_line(error)) from error
    if isinstance(body.get("format"), int) and body["format"] > FORMAT:
        allowed = f"up to {FORMAT}"
        raise InputError(
            message("a newer store", body["format"], allowed, str(path), "update bt-margin")
        )
    checksum = body.pop("checksum", None)
    if checksum != hashlib.sha256(to_json(body, "the manifest")).hexdigest():
        raise damaged("the manifest was changed", path, "a checksum that does not fit")
    try:
        manifest = _manifest(body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged("the manifest is malformed", path, first_line(error)) from error
    _check_owner(manifest, owner, path)
    return manifest


def peek(folder: Path) -> str | None:
    """The symbol a folder's manifest names; None when it cannot be read."""
    try:
        symbol = read_json(folder / MANIFEST, MOST_BYTES).get("symbol")
    except (BtMarginError, OSError):
        return None
    return symbol if isinstance(symbol, str) else None


def _check_owner(manifest: Manifest, owner: Manifest, path: Path) -> None:
    if manifest.symbol != owner.symbol:
        raise clash(path.parent.parent, manifest.symbol, owner.symbol)
    mine = (owner.exchange, owner.kind, owner.timeframe)
    other = (manifest.exchange, manifest.kind, manifest.timeframe)
    if mine != other:
        todo = "move the folder back to where it was, or delete it"
        raise damaged("a folder of another dataset", path, " ".join(other).strip(), todo)


def clash(folder: Path, found: str, wanted: str) -> InputError:
    """The error for two symbols whose names make the same folder."""
    todo = "keep one of them in another store"
    text = f"two symbols share one folder, {wanted!r} and"
    return InputError(message(text, repr(found), None, str(folder), todo))


def _manifest(body: Mapping[str, Any]) -> Manifest:
    names = ("exchange", "symbol", "kind", "timeframe")
    texts = {name: _text(body[name]) for name in names}
    dataset_name(texts["kind"], texts["timeframe"])
    unit = unit_of(texts["kind"], texts["timeframe"])
    covered = tuple((_number(start), _number(stop)) for start, stop in body["covered"])
    if covered != joined(covered):
        raise ValueError("covered spans that are not sorted and apart")
    if set(body["parts"]) != set(FAMILIES) or not isinstance(body["provenance"], dict):
        raise ValueError("other entries than expected")
    parts = {family: _parts(body["parts"][family], unit) for family in FAMILIES}
    serial, log = _number(body["serial"]), _number(body["log"])
    return Manifest(
        **texts, serial=serial, covered=covered, parts=parts, log=log, provenance=body["provenance"]
    )


def _parts(found: Mapping[str, Mapping[str, Any]], unit: str) -> dict[str, Part]:
    return {period: _part(period, found[period], unit) for period in sorted(found)}


def _part(period: str, found: Mapping[str, Any], unit: str) -> Part:
    if not _PERIODS[unit].fullmatch(period):
        raise ValueError(f"{period!r} is not a period")
    sha256 = _text(found["sha256"])
    if not _SHA.fullmatch(sha256):
        raise ValueError(f"{sha256[:80]!r} is not a SHA-256")
    size, rows, first, last = (_number(found[name]) for name in ("size", "rows", "first", "last"))
    start, stop = period_span(period)
    if size > MOST_PART:
        raise ValueError(f"a file of {size:,} bytes")
    if not rows or not start <= first <= last < stop:
        raise ValueError(f"rows of {period} outside of it")
    return Part(sha256, size, rows, first, last)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:80]!r} is not text")
    return value


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= LATEST:
        raise ValueError(f"{str(value)[:80]!r} is not a count or a time")
    return value
