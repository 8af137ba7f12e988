"""A writer that dies, or a disk that fails, at every single step of a commit."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from market.store.venue import BTC, EXCHANGE, NEW_YEAR, Clock, Venue, contents, strangers

from bt_margin.errors import InputError
from bt_margin.market.store import Dataset, Store

STEPS = ("open", "write", "fsync", "replace", "unlink", "ftruncate", "mkdir")
VENUE = Venue(holes=frozenset({2, 8}))


class Killed(BaseException):
    """The end of a process: nothing it would do after this reaches the disk."""


class Disk:
    """Counts the steps that reach the disk; at one of them it fails, once or for good.

    dead : after the failing step nothing works any more, as for a process that was killed
    """

    def __init__(self, fail_at: int | None, *, dead: bool = False) -> None:
        self.fail_at, self.dead = fail_at, dead
        self.done: list[tuple[str, str]] = []
        self.failed = False

    def step(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **more: Any) -> Any:
            if str(args[0]).endswith("_lock"):
                return real(*args, **more)
            if self.failed and self.dead:
                raise Killed
            self.done.append((name, str(args[1] if name == "replace" else args[0])))
            if len(self.done) - 1 == self.fail_at:
                self.failed = True
                self._half(name, real, args)
                if self.dead:
                    raise Killed
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **more)

        return run

    @staticmethod
    def _half(name: str, real: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """A write that fails leaves half of its bytes; a file to be made may be there, empty."""
        if name == "write":
            real(args[0], bytes(args[1])[: len(args[1]) // 2])

    @contextmanager
    def running(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in STEPS:
                patch.setattr(os, name, self.step(name, getattr(os, name)))
            yield


def build(dataset: Dataset) -> None:
    """The state before: both years, a gap, a row told otherwise."""
    with dataset.writing() as writer:
        writer.add(VENUE.page(0, 8))
        writer.add(VENUE.page(6, 8, changed={7: 1.0}))


def change(dataset: Dataset) -> None:
    """The commit under test: new rows and gaps in both years, another change, a filled gap."""
    with dataset.writing() as writer:
        writer.add(VENUE.page(8, 12))
        writer.add(VENUE.page(0, 1, changed={0: 2.0}))
        writer.add(Venue().page(2, 3))


def forget(dataset: Dataset) -> None:
    with dataset.writing() as writer:
        writer.forget(VENUE.span(1, 7))


def state_of(dataset: Dataset) -> dict[str, Any]:
    return contents(dataset) | {"revisions": dataset.revisions, "log": len(list(dataset.pages()))}


def reopened(folder: Path) -> Dataset:
    """The dataset as the next process finds it, after its writer has swept."""
    dataset = VENUE.dataset(folder)
    with dataset.writing():
        pass
    assert strangers(dataset) == set()
    assert dataset.verify() == []
    return dataset


def legal(folder: Path, act: Callable[[Dataset], None], first: bool) -> list[dict[str, Any]]:
    dataset = VENUE.dataset(folder)
    if not first:
        build(dataset)
    before = state_of(dataset)
    act(dataset)
    return [before, state_of(dataset)]


def count_steps(folder: Path, act: Callable[[Dataset], None], first: bool) -> int:
    dataset = VENUE.dataset(folder)
    if not first:
        build(dataset)
    disk = Disk(None)
    with disk.running():
        act(dataset)
    return len(disk.done)


ACTS = [(change, True), (change, False), (forget, False)]


@pytest.mark.parametrize(("act", "first"), ACTS)
def test_killed_at_any_step_the_store_is_in_one_of_the_two_legal_states(
    tmp_path: Path, act: Callable[[Dataset], None], first: bool
) -> None:
    states = legal(tmp_path / "legal", act, first)
    assert states[0] != states[1]
    met = []
    for at in range(count_steps(tmp_path / "count", act, first)):
        folder = tmp_path / str(at)
        dataset = VENUE.dataset(folder)
        if not first:
            build(dataset)
        with Disk(at, dead=True).running(), suppress(Killed):
            act(dataset)
        met.append(states.index(state_of(VENUE.dataset(folder))))
        assert states.index(state_of(reopened(folder))) == met[-1]
        if not met[-1]:
            act(VENUE.dataset(folder))
            assert state_of(VENUE.dataset(folder)) == states[1]
    assert met == sorted(met)
    assert set(met) == {0, 1}


@pytest.mark.parametrize(("act", "first"), ACTS[:2])
def test_a_step_that_fails_once_is_told_in_one_line_and_nothing_is_lost(
    tmp_path: Path, act: Callable[[Dataset], None], first: bool
) -> None:
    states = legal(tmp_path / "legal", act, first)
    for at in range(count_steps(tmp_path / "count", act, first)):
        folder = tmp_path / str(at)
        dataset = VENUE.dataset(folder)
        if not first:
            build(dataset)
        with Disk(at).running():
            try:
                act(dataset)
            except InputError as error:
                told = str(error)
                assert told.startswith("the store cannot be written: found No space left on device")
                assert "\n" not in told
        assert state_of(reopened(folder)) in states
        act(dataset)
        assert contents(dataset) == {key: states[1][key] for key in ("files", "covered", "gaps")}


def test_a_flush_that_failed_is_made_good_by_the_next_one_and_counts_once(tmp_path: Path) -> None:
    whole = VENUE.dataset(tmp_path / "whole")
    with whole.writing() as writer:
        writer.add(VENUE.page(0, 8))
        writer.flush()
        writer.add(VENUE.page(8, 12))
    wanted = state_of(whole), whole.provenance
    steps = count_steps(tmp_path / "count", change, first=True)
    failed = 0
    for at in range(steps):
        dataset = VENUE.dataset(tmp_path / str(at))
        disk = Disk(at)
        with suppress(InputError), dataset.writing() as writer:
            writer.add(VENUE.page(0, 8))
            with disk.running(), suppress(InputError):
                writer.flush()
            failed += disk.failed
            writer.add(VENUE.page(8, 12))
        assert (state_of(dataset), dataset.provenance) == wanted
    assert failed > 10


def test_nothing_is_named_before_it_is_on_the_disk(tmp_path: Path) -> None:
    """Each file is flushed before its rename, and the parts' names before the manifest's."""
    dataset = VENUE.dataset(tmp_path)
    build(dataset)
    handles: dict[int, str] = {}
    told: list[tuple[str, str]] = []
    real_open, real_fsync, real_replace, real_unlink = os.open, os.fsync, os.replace, os.unlink

    def opened(path: Any, *args: Any, **more: Any) -> int:
        handle = real_open(path, *args, **more)
        handles[handle] = Path(path).name
        return handle

    def synced(handle: int) -> None:
        told.append(("fsync", handles[handle]))
        real_fsync(handle)

    def replaced(source: Any, target: Any) -> None:
        assert told[-1] == ("fsync", Path(source).name)
        told.append(("replace", Path(target).name))
        real_replace(source, target)

    def unlinked(path: Any) -> None:
        told.append(("unlink", Path(path).name))
        real_unlink(path)

    with pytest.MonkeyPatch.context() as patch:
        for name, fake in [
            ("open", opened),
            ("fsync", synced),
            ("replace", replaced),
            ("unlink", unlinked),
        ]:
            patch.setattr(os, name, fake)
        change(dataset)
    commit = told.index(("replace", "_manifest.json"))
    folder = ("fsync", dataset.folder.name)
    renames = [n for n, (what, _) in enumerate(told) if what == "replace" and n != commit]
    removals = [n for n, (what, _) in enumerate(told) if what == "unlink"]
    assert len(renames) >= 4
    assert len(removals) >= 3
    assert max(renames) < told.index(folder) < told.index(("fsync", "_pages.jsonl")) < commit
    assert told[commit + 1] == folder
    assert min(removals) > commit + 1


def test_metadata_killed_at_any_step_is_the_old_or_the_new(tmp_path: Path) -> None:
    def put(store: Store, leverage: int, at: int) -> None:
        store.put_market(EXCHANGE, {"symbol": BTC, "max_leverage": leverage}, at)
        store.put_tiers(EXCHANGE, BTC, {"floor": [0, leverage]}, at)

    store = Store(tmp_path / "count", clock=Clock())
    put(store, 20, NEW_YEAR)
    disk = Disk(None)
    with disk.running():
        put(store, 50, NEW_YEAR + 1)
    for at in range(len(disk.done)):
        store = Store(tmp_path / str(at))
        put(store, 20, NEW_YEAR)
        with Disk(at, dead=True).running(), suppress(Killed):
            put(store, 50, NEW_YEAR + 1)
        market, tiers = store.market(EXCHANGE, BTC), store.tiers(EXCHANGE, BTC)
        assert market is not None
        assert market["max_leverage"] in (20, 50)
        assert [each["at"] for each in tiers] in ([NEW_YEAR], [NEW_YEAR, NEW_YEAR + 1])
        put(store, 50, NEW_YEAR + 1)
        assert [each["tiers"]["floor"][1] for each in store.tiers(EXCHANGE, BTC)] == [20, 50]
        assert [each["at"] for each in store.market_history(EXCHANGE, BTC)] == [
            NEW_YEAR,
            NEW_YEAR + 1,
        ]
