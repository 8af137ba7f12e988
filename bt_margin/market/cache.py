"""Where generated data is kept, and how a kept market is trusted: only if its content says so."""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from bt_margin.errors import DataError
from bt_margin.market.files import load_market, save_market
from bt_margin.market.frames import CANONICAL

DATA_VARIABLE = "BT_MARGIN_DATA"
_PROJECT_LINE = "name = bt-margin"


def data_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder for generated data; it is not created here.

    The first of: `folder`, the environment variable BT_MARGIN_DATA, `data/` of the checkout one
    works in or runs from, the user's cache folder.

    >>> data_folder("somewhere").name
    'somewhere'
    """
    named = folder or os.environ.get(DATA_VARIABLE)
    if named:
        return Path(named).expanduser()
    for place in (Path.cwd(), Path(__file__).resolve().parents[2]):
        if _is_checkout(place):
            return place / "data"
    return _user_cache() / "bt_margin"


def content_stamp(frames: Mapping[str, pd.DataFrame]) -> str:
    """SHA-256 over symbols, column names, times and values; independent of how they are stored."""
    digest = hashlib.sha256()
    for symbol in sorted(frames):
        frame = frames[symbol]
        digest.update(symbol.encode())
        digest.update(pd.DatetimeIndex(frame.index).as_unit("ns").asi8.astype("<i8").tobytes())
        for name in CANONICAL:
            if name in frame.columns:
                digest.update(name.encode())
                digest.update(frame[name].to_numpy(dtype="<f8").tobytes())
    return digest.hexdigest()


def kept(
    folder: Path, recipe: str, make: Callable[[], dict[str, pd.DataFrame]]
) -> dict[str, pd.DataFrame]:
    """The market of this recipe: from the folder if it is there and whole, else made and kept.

    Every file carries the recipe and the stamp of the whole market in its attrs; files that are
    damaged, changed or of another recipe are made anew. The symbols keep the order they were
    made in. A folder that cannot be written costs a warning, not the run.
    """
    found = _read(folder)
    if found and all(frame.attrs.get("recipe") == recipe for frame in found.values()):
        stamp = content_stamp(found)
        if all(frame.attrs.get("stamp") == stamp for frame in found.values()):
            order = next(iter(found.values())).attrs.get("order", sorted(found))
            return {symbol: found[symbol] for symbol in order}
    market = make()
    stamp = content_stamp(market)
    for frame in market.values():
        frame.attrs |= {"recipe": recipe, "stamp": stamp, "order": list(market)}
    try:
        save_market(market, folder)
    except OSError as error:
        warnings.warn(f"the sample market could not be kept in {folder}: {error}", stacklevel=3)
    return market


def _read(folder: Path) -> dict[str, pd.DataFrame]:
    """What the folder holds; {} when it holds nothing that can be trusted."""
    if not folder.is_dir():
        return {}
    try:
        return load_market(folder)
    except DataError:
        return {}  # damaged: made anew, that is what the stamp is for


def _is_checkout(place: Path) -> bool:
    setup = place / "setup.cfg"
    return setup.is_file() and _PROJECT_LINE in setup.read_text(encoding="utf-8").splitlines()


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
