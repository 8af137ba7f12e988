"""Everything a page shows, as plain data: what a comparison is turned into, kept in a folder, and read again.

    Bundle(meta, arrays)

``meta`` holds texts, tables and numbers as JSON has them; ``arrays`` one-dimensional arrays on the common
clock, all of its length n, NaN where there is nothing:

    time                       UTC ms of the bars (int64)
    s0.equity                  of scenario 0: equity at the close [settle], and likewise
    s0.drawdown                below its former high, as a fraction (0 or less), deposits left out
    s0.ratio                   largest maintenance / equity of any pool
    s0.leverage  s0.margin     notional / equity; initial margin in use
    s0.funding   s0.fees       cumulative effect on the equity: paid is negative
    s0.interest  s0.liquidation
    s0.p1.margin               initial margin in use in its pool 1
    y2.open high low close     last prices of symbol 2
    y2.mark                    close of its mark
    s0.y2.size                 contracts held at the close, signed; 0 when flat
    s0.y2.entry                entry price
    s0.y2.liquidation          liquidation price at the close

``meta["scenarios"]`` and ``meta["symbols"]`` name the scenarios with their pools, and the symbols.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bt_margin.errors import InputError
from bt_margin.report.curves import curves_of
from bt_margin.report.meta import meta_of
from bt_margin.report.outcome import outcome
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.write import atomic, atomic_text

FORMAT = 1
META, ARRAYS, OUTCOME = "bundle.json", "bundle.npz", "result.json"
LONGEST = 50_000_000  # numbers in one array of a file that is believed
MOST = 1 << 27  # numbers in all of them: 1 GB
MOST_META = 1 << 28  # bytes of the JSON beside them
_LISTS = ("scenarios", "symbols", "waterfalls", "markers", "fidelity", "approximations")
_TABLES = ("headline", "months", "tables", "definitions", "stamp", "settings")


@dataclass(frozen=True, eq=False)
class Bundle:
    """What a page shows: ``meta`` as JSON has it, ``arrays`` by name (see :mod:`bt_margin.report.bundle`)."""

    meta: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]

    def __repr__(self) -> str:
        names = ", ".join(str(each["name"]) for each in self.meta["scenarios"])
        return f"Bundle({self.meta['title']!r}: {names}, {self.meta['bars']:,} bars)"


def bundle_of(comparison: Comparison) -> Bundle:
    """Everything the page of a comparison shows, as plain data."""
    symbols, arrays = curves_of(comparison)
    return Bundle({"format": FORMAT, **meta_of(comparison, symbols)}, arrays)


def save(bundle: Bundle, folder: str | Path) -> list[Path]:
    """Write a bundle into a folder: ``bundle.json``, ``bundle.npz`` and ``result.json``; returns the files.

    ``result.json`` says how it ended (:mod:`bt_margin.report.outcome`) and is not needed to read the bundle.
    :raises InputError: the folder cannot be written into.
    """
    place = Path(folder)
    return [
        atomic(place / ARRAYS, lambda beside: _write_arrays(beside, bundle.arrays)),
        atomic_text(place / META, _json(bundle.meta, None)),
        atomic_text(place / OUTCOME, _json(outcome(bundle.meta), 2)),
    ]


def load(folder: str | Path) -> Bundle:
    """The bundle that :func:`save` (or ``Comparison.to_dir``) wrote into a folder.

    :raises InputError: it is not there, was written by a later version, or is damaged.
    """
    place = Path(folder)
    meta = _read_meta(place / META)
    arrays = _read_arrays(place / ARRAYS, meta.get("bars"))
    _check(meta, arrays, place)
    return Bundle(meta, arrays)


def _json(value: Any, indent: int | None) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent) + "\n"


def _write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Arrays as a compressed npz; the same numbers give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for name, values in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(values), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")  # of 1980: no clock in the file
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, content.getvalue(), compresslevel=1)


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_META:
            raise _damaged(path, f"it has {path.stat().st_size:,} bytes, more than {MOST_META:,}")
        meta = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"there is no {META} in {path.parent}; give the folder that compare(...).to_dir() "
            "or bt-margin compare --out wrote"
        ) from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give another folder") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"it is no JSON ({error})") from None
    if not isinstance(meta, dict) or not isinstance(meta.get("format"), int):
        raise _damaged(path, "it has no format")
    if meta["format"] != FORMAT:
        raise InputError(
            f"{path} has format {meta['format']}; this version reads format {FORMAT}; "
            "update bt_margin, or run the comparison again"
        )
    return meta


def _read_arrays(path: Path, bars: Any) -> dict[str, NDArray[Any]]:
    """The arrays, each a number per bar; one of another length is not read."""
    found: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(path) as packed:
            names = packed.namelist()
            if isinstance(bars, int) and bars * len(names) > MOST:
                raise ValueError(f"{len(names):,} arrays of {bars:,} numbers, more than {MOST:,}")
            for name in names:
                with packed.open(name) as content:
                    found[name.removesuffix(".npy")] = _one_array(content, name, bars)
    except FileNotFoundError:
        raise InputError(f"there is no {path.name} in {path.parent} beside {META}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; give another folder") from error
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, RuntimeError) as error:
        raise _damaged(path, str(error)) from error
    return found


def _one_array(content: Any, name: str, bars: Any) -> NDArray[Any]:
    """One array, its header judged before its numbers are read."""
    version = np.lib.format.read_magic(content)
    if version != (1, 0):
        raise ValueError(f"{name} has the array format {version}")
    shape, _, kind = np.lib.format.read_array_header_1_0(content)
    if len(shape) != 1 or kind not in (np.dtype("<f8"), np.dtype("<i8")) or shape[0] > LONGEST:
        raise ValueError(f"{name} holds {kind} of shape {shape}, not a row of float64 or int64")
    if shape != (bars,):
        raise ValueError(f"{META} tells of {bars} bars, {name} has {shape[0]}")
    raw = content.read(shape[0] * 8 + 1)
    if len(raw) != shape[0] * 8:
        raise ValueError(f"{name} holds {len(raw)} bytes, not {shape[0] * 8}")
    return np.frombuffer(raw, dtype=kind)


def _check(meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], place: Path) -> None:
    """Meta and arrays belong together and say what a page needs."""
    for name, kind in [*((n, list) for n in _LISTS), *((n, dict) for n in _TABLES)]:
        if not isinstance(meta.get(name), kind):
            raise _damaged(place / META, f"{name!r} is missing or no {kind.__name__}")
    wanted = ["time"]
    wanted += [f"s{i}.equity" for i in range(len(meta["scenarios"]))]
    wanted += [f"y{j}.close" for j in range(len(meta["symbols"]))]
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise _damaged(place / ARRAYS, f"the array {missing[0]} is missing")


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"{path} is damaged: {why}; run the comparison again")
