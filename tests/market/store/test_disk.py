"""Files on disk: short writes, files that are huge, readers in the way, and memory that stays put."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from market.store.venue import Venue, bars, contents, strangers

from bt_margin.errors import InputError, StoreDamaged
from bt_margin.market.kinds import Page
from bt_margin.market.store import Dataset, commit, disk
from bt_margin.market.store.manifest import file_name

VENUE = Venue(holes=frozenset({3}))


def written(folder: Path) -> Dataset:
    dataset = VENUE.dataset(folder)
    with dataset.writing() as writer:
        writer.add(VENUE.page(0, 12))
    return dataset


def test_a_disk_that_takes_a_few_bytes_at_a_time_gets_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = contents(written(tmp_path / "whole"))
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, bytes(data[:100])))
    assert contents(written(tmp_path / "slow")) == whole


@pytest.mark.parametrize("name", ["manifest", "part"])
def test_a_file_that_grew_huge_is_refused_without_being_read(tmp_path: Path, name: str) -> None:
    dataset = written(tmp_path)
    part = dataset.state().parts["rows"]["2024"]
    path = dataset.folder / (
        "_manifest.json" if name == "manifest" else file_name("rows", "2024", part.sha256)
    )
    os.truncate(path, 400_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(StoreDamaged, match="bytes"):
            dataset.read()
        assert len(dataset.verify()) == 1
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()


def test_rows_known_already_are_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = written(tmp_path)

    def never(*args: object) -> bytes:
        raise AssertionError("a file was made")

    monkeypatch.setattr(commit, "encode", never)
    with dataset.writing() as writer:
        writer.add(Page(VENUE.span(4, 9), VENUE.page(4, 9).times, VENUE.page(4, 9).columns))
        writer.add(Page(VENUE.span(12, 20), [], ([],) * 5))
    assert dataset.covered == (VENUE.span(0, 20),)


def test_numbers_that_are_equal_are_stored_alike(tmp_path: Path) -> None:
    """There are many NaN and two zeros; the store has one of each."""
    span = VENUE.span(0, 2)
    other = np.array([0x7FF8_0000_0000_0001], np.uint64).view(np.float64)[0]
    found = []
    for nan, zero in [(np.nan, 0.0), (other, -0.0), (-np.nan, 0.0)]:
        dataset = VENUE.dataset(tmp_path / str(len(found)))
        with dataset.writing() as writer:
            column = np.array([nan, zero])
            writer.add(Page(span, [span[0], span[0] + VENUE.step], (column,) * 5))
        found.append(contents(dataset))
    assert found[0] == found[1] == found[2]


def test_a_reader_in_the_way_of_a_rename_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where a file that is open cannot be replaced or removed."""
    dataset = written(tmp_path)
    busy, replace, unlink, slept = [3], os.replace, os.unlink, []

    def replaced(source: Any, target: Any) -> None:
        if Path(target).name == "_manifest.json" and busy[0]:
            busy[0] -= 1
            raise PermissionError(13, "in use")
        replace(source, target)

    def unlinked(path: Any) -> None:
        raise PermissionError(13, "in use")

    monkeypatch.setattr(disk, "_WINDOWS", True)
    monkeypatch.setattr(disk.time, "sleep", slept.append)
    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(os, "unlink", unlinked)
    with dataset.writing() as writer:
        writer.add(VENUE.page(12, 14))
    assert len(slept) == 3
    assert bars(dataset, VENUE).keys() == {*range(14)} - {3}
    assert len(strangers(dataset)) == 1
    monkeypatch.setattr(os, "unlink", unlink)
    with dataset.writing():
        pass
    assert strangers(dataset) == set()
    busy[0] = 10**6
    with (
        pytest.raises(InputError, match="cannot be written: found in use"),
        dataset.writing() as writer,
    ):
        writer.add(VENUE.page(14, 15))


def peak_of(folder: Path, bars: int) -> int:
    """The most memory a writer and then a checker hold for so many bars [bytes]."""
    venue = Venue(timeframe="30m")
    dataset = venue.dataset(folder)
    tracemalloc.start()
    try:
        with dataset.writing() as writer:
            for first in range(0, bars, 500):
                writer.add(venue.page(first, first + 500))
                if first % 2_000 == 0:
                    writer.flush()
        assert sum(len(frame) for frame in dataset.frames()) == bars
        assert dataset.verify() == []
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_history(tmp_path: Path) -> None:
    peak_of(tmp_path / "warm", 6_000)
    assert peak_of(tmp_path / "long", 30_000) < 1.3 * peak_of(tmp_path / "short", 6_000)


def test_a_lock_that_cannot_be_made_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(disk.FileLock, "acquire", refuse)
    lock = disk.locked(tmp_path / "_lock")
    with pytest.raises(InputError, match="cannot be written: found Permission denied"), lock:
        pass
