"""A dataset keeps what the venue said, asks for what it did not say, and remembers both."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from market.store.venue import BTC, HOUR, NEW_YEAR, Clock, Venue, bars, contents, strangers

from bt_margin.errors import DataError, InputError
from bt_margin.market.kinds import Page
from bt_margin.market.store import Gap, Store
from bt_margin.market.store import parts as parts_module
from bt_margin.market.store.writer import MOST_ROWS

HOURLY = Venue()
NOW = 1_750_000_000_000


def test_a_dataset_nobody_wrote_is_empty_and_says_so(tmp_path: Path) -> None:
    dataset = HOURLY.dataset(tmp_path)
    assert not dataset.exists
    assert (dataset.rows, dataset.first, dataset.last, dataset.size) == (0, None, None, 0)
    assert (dataset.covered, dataset.gaps, dataset.revisions) == ((), (), ())
    assert dataset.settled_at is None
    assert dataset.missing(HOURLY.span(0, 3)) == [HOURLY.span(0, 3)]
    assert list(dataset.frames()) == list(dataset.pages()) == dataset.verify() == []
    frame = dataset.read()
    assert list(frame.columns) == ["open", "high", "low", "close", "volume"]
    assert frame.dtypes.tolist() == [np.float64] * 5
    assert str(frame.index.dtype) == "datetime64[ns, UTC]"
    assert not tmp_path.exists() or list(tmp_path.iterdir()) == []


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    dataset = HOURLY.dataset(tmp_path)
    with dataset.writing() as writer:
        writer.add(HOURLY.page(0, 12))
    assert dataset.exists
    assert bars(dataset, HOURLY) == {bar: HOURLY.value(bar) for bar in range(12)}
    frame = dataset.read()
    assert frame.index.name == "timestamp"
    assert frame.index[6] == pd.Timestamp("2024-01-01", tz="UTC")
    assert dataset.rows == 12
    assert (dataset.first, dataset.last) == (HOURLY.start, HOURLY.span(11, 12)[0])
    assert dataset.covered == (HOURLY.span(0, 12),)
    assert sorted(dataset.state().parts["rows"]) == ["2023", "2024"]
    assert dataset.size == sum(len(data) for data in contents(dataset)["files"].values())


def test_the_folder_is_a_parquet_dataset_to_others(tmp_path: Path) -> None:
    venue = Venue(holes=frozenset({4}))
    dataset = venue.dataset(tmp_path)
    with dataset.writing() as writer:
        writer.add(venue.page(0, 12))
        writer.add(venue.page(5, 7, changed={5: 1.0}))
    frame = pd.read_parquet(dataset.folder)
    assert frame["open"].tolist() == dataset.read()["open"].tolist()
    assert list(frame.columns) == ["timestamp", *dataset.read().columns]


def test_missing_is_asked_at_both_ends_and_in_the_middle(tmp_path: Path) -> None:
    dataset = HOURLY.dataset(tmp_path)
    with dataset.writing() as writer:
        writer.add(HOURLY.page(2, 4))
        writer.add(HOURLY.page(6, 8))
    wanted = [HOURLY.span(0, 2), HOURLY.span(4, 6), HOURLY.span(8, 9)]
    assert dataset.missing(HOURLY.span(0, 9)) == wanted
    assert dataset.missing(HOURLY.span(2, 4)) == []
    assert dataset.missing((HOURLY.span(3, 4)[0] + 1, HOURLY.span(5, 6)[0] + 1)) == [
        HOURLY.span(4, 6)
    ]


def test_a_span_without_a_bar_in_it_is_not_missing(tmp_path: Path) -> None:
    dataset = HOURLY.dataset(tmp_path)
    start = HOURLY.start
    assert dataset.missing((start + 1, start + HOUR)) == []
    with dataset.writing() as writer:
        writer.add(HOURLY.page(1, 3))
    assert dataset.missing((start + 1, start + 2 * HOUR + 1)) == []


def test_funding_keeps_the_stamps_as_they_are(tmp_path: Path) -> None:
    dataset = Store(tmp_path).dataset("bybit", BTC, "funding")
    stamps = [NEW_YEAR + 7, NEW_YEAR + 8 * HOUR + 53]
    page = Page((NEW_YEAR, NEW_YEAR + 9 * HOUR), stamps, ([1e-4, -2e-4], [42_000.5, float("nan")]))
    with dataset.writing() as writer:
        writer.add(page)
    frame = dataset.read()
    assert frame.index.as_unit("ms").asi8.tolist() == stamps
    assert frame["funding_rate"].tolist() == [1e-4, -2e-4]
    assert math.isnan(frame["mark"].iloc[1])
    assert dataset.missing((NEW_YEAR - 5, NEW_YEAR + 5)) == [(NEW_YEAR - 5, NEW_YEAR)]
    assert dataset.folder.name == "funding"


def test_a_volume_the_venue_does_not_give_is_nan(tmp_path: Path) -> None:
    dataset = Store(tmp_path).dataset("okx", BTC, "mark", "1h")
    page = Page((NEW_YEAR, NEW_YEAR + HOUR), [NEW_YEAR], ([1.0], [2.0], [0.5], [1.0], [None]))
    for _ in range(2):
        with dataset.writing() as writer:
            writer.add(page)
    assert math.isnan(dataset.read()["volume"].iloc[0])
    assert dataset.revisions == ()


def test_equal_rows_again_are_nothing_new(tmp_path: Path) -> None:
    dataset = HOURLY.dataset(tmp_path)
    for first, stop in [(0, 12), (3, 9), (0, 12)]:
        with dataset.writing() as writer:
            writer.add(HOURLY.page(first, stop))
    once = HOURLY.dataset(tmp_path / "once")
    with once.writing() as writer:
        writer.add(HOURLY.page(0, 12))
    assert contents(dataset) == contents(once)
    assert dataset.revisions == ()


def test_a_row_told_otherwise_is_replaced_and_the_old_one_kept(tmp_path: Path) -> None:
    clock = Clock(100)
    dataset = HOURLY.dataset(Store(tmp_path, clock=clock))
    with dataset.writing() as writer:
        writer.add(HOURLY.page(0, 12))
        clock.at = 200
        writer.add(HOURLY.page(7, 9, changed={8: 5.0}))
    clock.at = 300
    with dataset.writing() as writer:
        writer.add(HOURLY.page(8, 9, changed={8: 6.0}))
        writer.add(HOURLY.page(2, 3, changed={2: 7.0}))
        writer.add(HOURLY.page(6, 7, changed={6: 9.0}))
    assert bars(dataset, HOURLY) == {bar: HOURLY.value(bar) for bar in range(12)} | {
        8: 6.0,
        2: 7.0,
        6: 9.0,
    }
    found = [(r.time, r.old[0], r.new[0], r.seen) for r in dataset.revisions]
    two, six, eight = (HOURLY.span(bar, bar + 1)[0] for bar in (2, 6, 8))
    assert found == [
        (two, HOURLY.value(2), 7.0, 300),
        (six, HOURLY.value(6), 9.0, 300),
        (eight, HOURLY.value(8), 5.0, 200),
        (eight, 5.0, 6.0, 300),
    ]
    assert len(dataset.revisions[0].old) == len(dataset.revisions[0].new) == 5


def test_what_is_left_open_is_kept_but_not_covered(tmp_path: Path) -> None:
    dataset = HOURLY.dataset(tmp_path)
    with dataset.writing() as writer:
        writer.add(HOURLY.page(0, 10, opened=[3, 8, 9], hidden=[3, 4, 9]))
    assert dataset.missing(HOURLY.span(0, 10)) == [HOURLY.span(3, 4), HOURLY.span(8, 10)]
    assert dataset.gaps == (Gap(*HOURLY.span(4, 5), NOW),)
    assert 8 not in bars(dataset, HOURLY)


def test_a_row_inside_an_open_stretch_is_kept_and_asked_for_again(tmp_path: Path) -> None:
    dataset = HOURLY.dataset(tmp_path)
    page = HOURLY.page(0, 2)
    with dataset.writing() as writer:
        writer.add(Page(page.span, page.times, page.columns, open=(HOURLY.span(1, 2),)))
    assert bars(dataset, HOURLY).keys() == {0, 1}
    assert dataset.missing(HOURLY.span(0, 2)) == [HOURLY.span(1, 2)]


@pytest.mark.parametrize("late_first", [False, True])
def test_a_gap_shrinks_when_rows_come_and_never_covers_one(
    tmp_path: Path, late_first: bool
) -> None:
    dataset = HOURLY.dataset(tmp_path)
    pages = [HOURLY.page(0, 12, hidden=[4, 5, 6, 7]), HOURLY.page(5, 7)]
    for page in reversed(pages) if late_first else pages:
        with dataset.writing() as writer:
            writer.add(page)
    assert dataset.gaps == (Gap(*HOURLY.span(4, 5), NOW), Gap(*HOURLY.span(7, 8), NOW))
    assert bars(dataset, HOURLY).keys() == {*range(12)} - {4, 7}
    with dataset.writing() as writer:
        writer.add(HOURLY.page(0, 12))
    assert dataset.gaps == ()
    assert not list(dataset.folder.glob("_gaps*"))


def test_a_gap_across_two_parts_is_one_gap_with_the_time_of_the_newest_check(
    tmp_path: Path,
) -> None:
    clock = Clock(100)
    dataset = HOURLY.dataset(Store(tmp_path, clock=clock))
    with dataset.writing() as writer:
        writer.add(HOURLY.page(0, 12, hidden=range(4, 9)))
        assert dataset.gaps == ()
    assert sorted(dataset.state().parts["gaps"]) == ["2023", "2024"]
    assert dataset.gaps == (Gap(*HOURLY.span(4, 9), 100),)
    clock.at = 200
    with dataset.writing() as writer:
        writer.add(HOURLY.page(7, 12, hidden=range(4, 9)))
    assert dataset.gaps == (Gap(*HOURLY.span(4, 7), 100), Gap(*HOURLY.span(7, 9), 200))


def test_forgotten_is_missing_again_and_fetched_again_is_as_before(tmp_path: Path) -> None:
    venue = Venue(holes=frozenset({3, 7}))
    dataset = venue.dataset(tmp_path)
    with dataset.writing() as writer:
        writer.add(venue.page(0, 12))
    before = contents(dataset)
    with dataset.writing() as writer:
        writer.forget(venue.span(2, 8))
    assert dataset.missing(venue.span(0, 12)) == [venue.span(2, 8)]
    assert dataset.gaps == ()
    assert bars(dataset, venue).keys() == {0, 1, 8, 9, 10, 11}
    assert dataset.verify() == []
    with dataset.writing() as writer:
        writer.add(venue.page(2, 8))
    assert contents(dataset) == before


def test_forgetting_what_is_not_there_writes_nothing(tmp_path: Path) -> None:
    dataset = HOURLY.dataset(tmp_path)
    with dataset.writing() as writer:
        writer.add(HOURLY.page(0, 4))
        writer.flush()
        serial = dataset.state().serial
        writer.forget(HOURLY.span(6, 9))
        writer.forget((HOURLY.start + 1, HOURLY.start + 2))
        writer.forget((-5, 5))
    assert dataset.state().serial == serial
    assert dataset.rows == 4


def test_reading_opens_only_the_parts_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venue = Venue(timeframe="15m")
    dataset = venue.dataset(tmp_path)
    with dataset.writing() as writer:
        writer.add(venue.page(0, 4 * 24 * 200))
    opened = []
    load = parts_module.load

    def watched(*args: object) -> object:
        opened.append(args[3])
        return load(*args)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(parts_module, "load", watched)
    day = pd.Timestamp("2024-03-10", tz="UTC").value // 10**6
    frame = dataset.read((day, day + 24 * HOUR))
    assert len(frame) == 96
    assert opened == ["2024-03"]
    assert dataset.read((0, 1)).empty
    assert len(opened) == 1
    assert len(dataset.read((day, day + 30 * 24 * HOUR))) == 30 * 96
    assert opened[1:] == ["2024-03", "2024-04"]


def test_frames_of_a_span_are_its_rows_part_by_part(tmp_path: Path) -> None:
    venue = Venue(timeframe="15m")
    dataset = venue.dataset(tmp_path)
    with dataset.writing() as writer:
        writer.add(venue.page(0, 4 * 24 * 70))
    span = venue.span(10, 5000)
    frames = list(dataset.frames(span))
    assert len(frames) > 2
    pd.testing.assert_frame_equal(pd.concat(frames), dataset.read(span))
    assert all(len(set(frame.index.month)) == 1 for frame in frames)


def test_the_page_log_tells_what_was_asked_and_what_came(tmp_path: Path) -> None:
    dataset = HOURLY.dataset(tmp_path)
    with dataset.writing() as writer:
        writer.add(HOURLY.page(0, 4, hidden=[2], opened=[3]), {"url": "klines"})
        writer.flush({"ccxt": "4.5"})
        writer.add(HOURLY.page(4, 5))
    first, second = dataset.pages()
    assert first == {
        "at": NOW,
        "span": list(HOURLY.span(0, 4)),
        "rows": 2,
        "first": HOURLY.start,
        "last": HOURLY.start + HOUR,
        "holes": [list(HOURLY.span(2, 3))],
        "open": [list(HOURLY.span(3, 4))],
        "requests": 1,
        "note": {"url": "klines"},
    }
    assert second["span"] == list(HOURLY.span(4, 5))
    assert dataset.provenance == {
        "ccxt": "4.5",
        "requests": 2,
        "first_download": NOW,
        "last_download": NOW,
    }


def test_provenance_told_after_the_last_page_is_kept_too(tmp_path: Path) -> None:
    dataset = HOURLY.dataset(tmp_path)
    with dataset.writing(provenance={"class": "binanceusdm"}) as writer:
        writer.add(HOURLY.page(0, 4))
        writer.flush()
        writer.flush({"ccxt": "4.5"})
    assert dataset.provenance["ccxt"] == "4.5"
    assert dataset.provenance["class"] == "binanceusdm"
    serial = dataset.state().serial
    with dataset.writing(provenance={"ccxt": "4.5"}):
        pass
    assert dataset.state().serial == serial
    assert dataset.rows == 4


def test_the_manifest_does_not_grow_with_pages(tmp_path: Path) -> None:
    sizes = []
    for pages in (2, 40):
        dataset = HOURLY.dataset(tmp_path / str(pages))
        for bar in range(pages):
            with dataset.writing() as writer:
                writer.add(HOURLY.page(6 + bar * 2, 8 + bar * 2, hidden=[6 + bar * 2]))
        sizes.append((dataset.folder / "_manifest.json").stat().st_size)
    assert sizes[1] - sizes[0] < 12


class Rising:
    """A timer that goes on by a step with every look."""

    def __init__(self, step: float) -> None:
        self.step, self.at = step, 0.0

    def __call__(self) -> float:
        self.at += self.step
        return self.at


@pytest.mark.parametrize(("step", "committed"), [(0.001, 0), (6.0, 3)])
def test_a_writer_commits_by_itself_after_a_while(
    tmp_path: Path, step: float, committed: int
) -> None:
    dataset = HOURLY.dataset(Store(tmp_path, timer=Rising(step)))
    with dataset.writing() as writer:
        for bar in range(3):
            writer.add(HOURLY.page(bar, bar + 1))
        assert dataset.rows == committed
    assert dataset.rows == 3


def test_a_writer_commits_by_itself_when_it_holds_much(tmp_path: Path) -> None:
    venue = Venue(timeframe="1m")
    dataset = venue.dataset(Store(tmp_path, timer=lambda: 0.0))
    with dataset.writing() as writer:
        writer.add(venue.page(0, MOST_ROWS))
        assert dataset.rows == 0
        writer.add(venue.page(MOST_ROWS, MOST_ROWS + 1))
        assert dataset.rows == MOST_ROWS + 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_was_added_is_committed_when_the_block_ends_in_an_error(
    tmp_path: Path, error: type[BaseException]
) -> None:
    dataset = HOURLY.dataset(tmp_path)
    writing = dataset.writing()
    writer = writing.__enter__()
    writer.add(HOURLY.page(0, 4))
    assert not writing.__exit__(error, error(), None)
    assert dataset.rows == 4
    with pytest.raises(InputError, match="closed"):
        writer.add(HOURLY.page(4, 5))


START = HOURLY.start
FIVE = ([1.0],) * 5
BAD_PAGES = {
    "a row before the span": Page((START + HOUR, START + 2 * HOUR), [START], FIVE),
    "a row at the end of the span": Page((START, START + HOUR), [START + HOUR], FIVE),
    "a row off the grid": Page((START, START + HOUR), [START + 1], FIVE),
    "times that fall": Page((START, START + 9 * HOUR), [START + HOUR, START], ([1.0, 2.0],) * 5),
    "times twice": Page((START, START + 9 * HOUR), [START, START], ([1.0, 2.0],) * 5),
    "times of fractions": Page((START, START + HOUR), [float(START)], FIVE),  # type: ignore[list-item]  # bad on purpose
    "a column missing": Page((START, START + HOUR), [START], FIVE[:4]),
    "a column too short": Page((START, START + HOUR), [START], (*FIVE[:4], [])),
    "a word for a number": Page((START, START + HOUR), [START], (*FIVE[:4], ["x"])),  # type: ignore[list-item]  # bad on purpose
    "a hole outside": Page(
        (START, START + HOUR), [], ([],) * 5, holes=((START, START + 2 * HOUR),)
    ),
    "an open stretch outside": Page(
        (START, START + HOUR), [], ([],) * 5, open=((0, START + HOUR),)
    ),
    "a span backwards": Page((START, START - HOUR), [], ([],) * 5),
    "a span before 1970": Page((-HOUR, START), [], ([],) * 5),
    "a span after 2262": Page((START, 10**16), [], ([],) * 5),
}


@pytest.mark.parametrize("name", BAD_PAGES)
def test_a_page_that_breaks_its_word_is_refused_and_nothing_of_it_taken(
    tmp_path: Path, name: str
) -> None:
    dataset = HOURLY.dataset(tmp_path)
    with dataset.writing() as writer:
        writer.add(HOURLY.page(20, 21))
        with pytest.raises(DataError, match=r"a page .*binanceusdm BTC/USDT:USDT ohlcv 1h"):
            writer.add(BAD_PAGES[name])
    assert dataset.covered == (HOURLY.span(20, 21),)
    assert dataset.rows == 1


def test_numbers_of_numpy_are_as_good_as_any(tmp_path: Path) -> None:
    page = HOURLY.page(0, 8, hidden=[2])
    many = Page(
        tuple(np.array(page.span)),
        np.array(page.times),
        tuple(map(np.array, page.columns)),
        tuple(tuple(np.array(hole)) for hole in page.holes),
    )
    one, other = HOURLY.dataset(tmp_path / "a"), HOURLY.dataset(tmp_path / "b")
    for dataset, told in ((one, page), (other, many)):
        with dataset.writing() as writer:
            writer.add(told)
    assert contents(one) == contents(other)


@pytest.mark.parametrize("note", [{"x": float("nan")}, {"x": object()}, {"x": "y" * 20_000}])
def test_a_note_that_cannot_be_kept_is_refused(tmp_path: Path, note: dict[str, object]) -> None:
    dataset = HOURLY.dataset(tmp_path)
    with dataset.writing() as writer, pytest.raises(InputError, match="note is"):
        writer.add(HOURLY.page(0, 1), note)
    assert not dataset.exists


def test_files_of_others_in_the_folder_stay_and_ours_without_a_name_go(tmp_path: Path) -> None:
    dataset = HOURLY.dataset(tmp_path)
    with dataset.writing() as writer:
        writer.add(HOURLY.page(0, 4))
    mine = ["2024.00000000.parquet", "_gaps.2024.00000000.parquet", "_2024.00000000.parquet.tmp"]
    theirs = ["notes.txt", "2024.parquet", "_own.tmp", "other.tmp"]
    for name in [*mine, "__manifest.json.tmp", *theirs]:
        (dataset.folder / name).write_bytes(b"x")
    with dataset.writing():
        pass
    assert strangers(dataset) == set(theirs)
