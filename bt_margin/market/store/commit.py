"""The next state of a dataset: files under names of their own, then one rename that makes it so.

The order of things, each on the disk before the next: new files, their names, the page log, the
manifest under a temporary name, its rename (the commit), the folder. Only then do files go that
nothing names any more. Whatever a killed writer left is swept by the next.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bt_margin.market.store.disk import append, sync_folder, temporary_of, write_whole
from bt_margin.market.store.manifest import (
    Manifest,
    Part,
    dump,
    file_name,
    read_file_name,
)
from bt_margin.market.store.parts import encode, part_of
from bt_margin.market.store.places import MANIFEST, PAGES
from bt_margin.market.store.spans import Spans

Columns = Sequence[npt.NDArray[np.generic]]


class Commit:
    """A state in the making; nobody sees it before `finish`."""

    def __init__(self, folder: Path, state: Manifest) -> None:
        self.folder = folder
        self.state = state
        self.parts: dict[str, dict[str, Part]] = {
            family: dict(parts) for family, parts in state.parts.items()
        }
        self._wrote = False

    def put(self, family: str, period: str, columns: Columns) -> None:
        """Write a period's file, or drop it from the state when there are no rows for it."""
        times = np.asarray(columns[0], np.int64)
        if not len(times):
            self.drop(family, period)
            return
        data = encode(family, self.state.kind, columns)
        part = part_of(data, times)
        if part == self.parts[family].get(period):
            return
        write_whole(self.folder / file_name(family, period, part.sha256), data)
        self.parts[family][period] = part
        self._wrote = True

    def drop(self, family: str, period: str) -> None:
        """Leave a period's file out of the next state."""
        self.parts[family].pop(period, None)

    def finish(self, covered: Spans, log: bytes, provenance: Mapping[str, Any]) -> Manifest:
        """Publish the state, with these lines appended to the page log."""
        if self._wrote:
            sync_folder(self.folder)
        length = append(self.folder / PAGES, log, self.state.log) if log else self.state.log
        parts = {family: dict(sorted(each.items())) for family, each in self.parts.items()}
        state = replace(
            self.state,
            serial=self.state.serial + 1,
            covered=covered,
            parts=parts,
            log=length,
            provenance=provenance,
        )
        write_whole(self.folder / MANIFEST, dump(state))
        sync_folder(self.folder)
        sweep(self.folder, state)
        return state


def sweep(folder: Path, state: Manifest) -> None:
    """Remove the store's own files that the state does not name; files of others stay.

    A file that cannot be removed (a reader on Windows has it open) is left to the next writer.
    """
    named = state.files()
    temporary = {temporary_of(folder / MANIFEST).name}
    for path in sorted(folder.iterdir()):
        part = path.name.removeprefix("_").removesuffix(".tmp")
        ours = read_file_name(path.name) or (path.name.endswith(".tmp") and read_file_name(part))
        if path.name not in named and (ours or path.name in temporary):
            with suppress(OSError):
                os.unlink(path)
