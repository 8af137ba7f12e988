"""The folders of symbols, and whose they are: their names do not say it all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bt_margin.errors import BtMarginError
from bt_margin.market.names import unified_symbol
from bt_margin.market.store import snapshots
from bt_margin.market.store.manifest import clash, peek
from bt_margin.market.store.places import MANIFEST, TIERS, read_dataset_name, symbol_name


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, by name; [] when it is not there."""
    return sorted(each for each in folder.iterdir() if each.is_dir()) if folder.is_dir() else []


def datasets_in(home: Path) -> list[Path]:
    """The folders of datasets in a symbol's folder that were written."""
    return [
        each
        for each in folders_in(home)
        if read_dataset_name(each.name) and (each / MANIFEST).is_file()
    ]


def owner_of(home: Path) -> str | None:
    """The symbol a folder belongs to, by the first file in it that names one; None without."""
    for folder in datasets_in(home):
        symbol = peek(folder)
        if symbol is not None:
            return symbol
    try:
        return next(iter(snapshots.read(home / TIERS, "tiers")), None)
    except BtMarginError:
        return None  # damaged: whoever reads the file is told; a list of names goes on without


def likely_owner(home: Path, known: Iterable[str]) -> str:
    """The symbol whose folder this would be: a known one, one of the usual form, or the bare name."""
    for symbol in (*known, unified_symbol(home.name)):
        if folder_of(symbol) == home.name:
            return symbol
    return home.name


def folder_of(symbol: str) -> str | None:
    """The name of a symbol's folder; None for what is no symbol."""
    try:
        return symbol_name(symbol)
    except BtMarginError:
        return None


def claim(home: Path, symbol: str) -> None:
    """Raise an `InputError` when a symbol's folder is another symbol's."""
    owner = owner_of(home)
    if owner not in (None, symbol):
        raise clash(home, str(owner), symbol)
