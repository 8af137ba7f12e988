"""Real processes: killed at random moments, writing the same data at once, reading meanwhile."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from market.store.venue import HOUR, Clock, Venue, bars, contents, strangers

from bt_margin.errors import InputError
from bt_margin.market.store import Dataset, Store

ROOT = Path(__file__).resolve().parents[3]
VENUE = Venue(timeframe="30m", holes=frozenset({*range(40, 44), 333, 334, 700}))
BARS = 1_500  # a month and a bit: three parts
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a process that can be forked")
CHILD = """
import random, sys
from pathlib import Path
from market.store.test_processes import download
chance = random.Random(int(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
download(Path(sys.argv[1]), chance)
"""


def download(
    folder: Path, chance: random.Random, pipe: int | None = None, pace: int | None = None
) -> None:
    """Fetch what is missing in pages of a random width, committed every few of them.

    pipe : told one byte for each page taken
    pace : asked for one byte before each page
    """
    dataset = VENUE.dataset(folder)
    while dataset.missing(VENUE.span(0, BARS)):
        with dataset.writing() as writer:
            spans = dataset.missing(VENUE.span(0, BARS))
            chance.shuffle(spans)
            for start, stop in spans[:3]:
                first, last = ((edge - VENUE.start) // VENUE.step for edge in (start, stop))
                width = chance.randint(1, 120)
                if pace is not None:
                    os.read(pace, 1)
                writer.add(VENUE.page(first, min(last, first + width)))
                if pipe is not None:
                    os.write(pipe, b".")
                if chance.random() < 0.7:
                    writer.flush()


def start(folder: Path, seed: int) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), str(seed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )


def go(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == "ready\n"
    child.stdin.write("go\n")
    child.stdin.close()


def end(child: subprocess.Popen[str]) -> int:
    code = child.wait(60)
    assert child.stdout is not None
    child.stdout.close()
    return code


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What an uninterrupted download holds."""
    dataset = VENUE.dataset(tmp_path_factory.mktemp("whole"))
    with dataset.writing() as writer:
        writer.add(VENUE.page(0, BARS))
    return contents(dataset)


@contextmanager
def forked(folder: Path, seed: int) -> Iterator[int]:
    """A child that downloads and tells of each page; killed and waited for at the end of the block."""
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(heard)
            download(folder, random.Random(seed), told)
        finally:
            os._exit(0)
    os.close(told)
    try:
        yield heard
    finally:
        os.close(heard)
        os.kill(child, 9)
        os.waitpid(child, 0)


@FORKS
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_killed_fifty_times_and_resumed_the_store_is_that_of_one_download(
    tmp_path: Path, whole: dict[str, object]
) -> None:
    chance = random.Random(4)
    dataset = VENUE.dataset(tmp_path)
    unfinished = grown = 0
    for seed in range(50):
        before = dataset.state().serial
        with forked(tmp_path, seed) as heard:
            for _ in range(chance.randint(1, 6)):
                os.read(heard, 1)
            threading.Event().wait(chance.uniform(0, 0.01))
        rows = bars(dataset, VENUE)
        assert all(value == VENUE.value(bar) for bar, value in rows.items())
        grown += dataset.state().serial > before
        unfinished += bool(dataset.missing(VENUE.span(0, BARS)))
        if not dataset.missing(VENUE.span(0, BARS)):
            with dataset.writing() as writer:
                writer.forget(VENUE.span(chance.randrange(BARS), BARS))
    download(tmp_path, chance)
    assert unfinished > 10
    assert grown > 10
    assert contents(dataset) == whole
    assert strangers(dataset) == set()
    assert dataset.verify() == []
    assert dataset.revisions == ()


def test_two_processes_that_write_the_same_dataset_end_as_one(
    tmp_path: Path, whole: dict[str, object]
) -> None:
    children = [start(tmp_path, seed) for seed in (1, 2)]
    for child in children:
        go(child)
    assert [end(child) for child in children] == [0, 0]
    dataset = VENUE.dataset(tmp_path)
    assert contents(dataset) == whole
    assert strangers(dataset) == set()
    assert dataset.verify() == []


def paced(folder: Path, pace: int, heard: int) -> int:
    """A child that downloads one page for each byte it is sent; its number."""
    child = os.fork()
    if child == 0:
        try:
            os.close(heard)
            download(folder, random.Random(7), pace=pace)
        finally:
            os._exit(0)
    os.close(pace)
    return child


@FORKS
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_reader_sees_only_committed_states_while_others_write(
    tmp_path: Path, whole: dict[str, object]
) -> None:
    pace, go_on = os.pipe()
    child = paced(tmp_path, pace, go_on)
    dataset, states = VENUE.dataset(tmp_path), set()
    try:
        while os.waitpid(child, os.WNOHANG)[0] == 0:
            with suppress(BrokenPipeError):
                os.write(go_on, b".")
            found = bars(dataset, VENUE)
            assert all(value == VENUE.value(bar) for bar, value in found.items())
            states.add(len(found))
            assert sum(len(frame) for frame in dataset.frames()) >= len(found)
            assert all(gap.stop - gap.start <= 4 * VENUE.step for gap in dataset.gaps)
            assert dataset.verify() == []
    finally:
        os.close(go_on)
    assert len(states) > 3
    assert contents(dataset) == whole


class Slow:
    """A reader that is overtaken by a commit between the manifest and the file."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset, self.overtaken = dataset, 0

    def __call__(self, *args: object) -> object:
        if self.overtaken < 2:
            self.overtaken += 1
            with self.dataset.writing() as writer:
                writer.add(VENUE.page(9 + self.overtaken, 10 + self.overtaken))
        return self.load(*args)  # type: ignore[operator]  # set by the test

    load: object = None


def test_a_reader_that_is_overtaken_reads_the_newer_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bt_margin.market.store import dataset as module

    dataset = VENUE.dataset(tmp_path)
    with dataset.writing() as writer:
        writer.add(VENUE.page(0, 10))
    slow = Slow(dataset)
    slow.load = module.load_rows
    monkeypatch.setattr(module, "load_rows", slow)
    assert bars(dataset, VENUE).keys() == {*range(12)}
    assert slow.overtaken == 2


def test_a_second_writer_waits_is_told_once_and_then_writes(tmp_path: Path) -> None:
    dataset = VENUE.dataset(tmp_path)
    inside, told, order = threading.Event(), [], []

    def first() -> None:
        with VENUE.dataset(tmp_path).writing() as writer:
            writer.add(VENUE.page(0, 5))
            inside.set()
            waiting.wait(10)
            order.append("first")

    waiting = threading.Event()

    def tell(text: str) -> None:
        told.append(text)
        waiting.set()

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(10)
    with dataset.writing(told=tell) as writer:
        order.append("second")
        writer.add(VENUE.page(5, 9))
    thread.join()
    assert order == ["first", "second"]
    assert told == [f"waiting: another process writes {dataset.folder}"]
    assert bars(dataset, VENUE).keys() == {*range(9)}


@pytest.mark.parametrize("wait", [0, 0.01])
def test_a_writer_that_may_not_wait_longer_says_who_holds_it_up(
    tmp_path: Path, wait: float
) -> None:
    dataset = VENUE.dataset(tmp_path)
    with (
        dataset.writing(),
        pytest.raises(InputError, match=r"another process is writing.*ohlcv_30m"),
        VENUE.dataset(tmp_path).writing(wait=wait),
    ):
        pass


def test_facts_put_by_many_at_once_are_all_kept(tmp_path: Path) -> None:
    def put(name: str) -> None:
        for number in range(12):
            store = Store(tmp_path)
            store.put_market("okx", {"symbol": f"{name}{number}/USDT:USDT"}, 1)
            store.put_tiers("okx", "BTC/USDT:USDT", {name: number}, 100 * number + ord(name))

    threads = [threading.Thread(target=put, args=(name,)) for name in "AB"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Store(tmp_path).markets("okx")) == 24
    assert len(Store(tmp_path).tiers("okx", "BTC/USDT:USDT")) == 24


def test_other_datasets_are_not_held_up(tmp_path: Path) -> None:
    store = Store(tmp_path, clock=Clock())
    other = Venue(kind="mark", timeframe="30m")
    with VENUE.dataset(store).writing(), other.dataset(store).writing(wait=0) as writer:
        writer.add(other.page(0, 3))
        assert other.dataset(store).missing((other.start, other.start + HOUR)) != []
    assert other.dataset(store).rows == 3
