"""Files into the store: what they cover and no more, twice the same, disagreements said."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from market.shapes.makers import (
    COIN,
    HOUR,
    PERP,
    SPOT,
    START,
    bars,
    candles,
    funding,
    klines,
    packed,
    settlements,
    times_of,
    written,
)

from bt_margin.errors import InputError
from bt_margin.market.kinds import Page
from bt_margin.market.shapes import Asked, Piece, write_foreign
from bt_margin.market.shapes.intake import Failed, Taken, holes_between, take, take_files
from bt_margin.market.shapes.piece import to_times
from bt_margin.market.store import Dataset, Store

EXCHANGE = "binanceusdm"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data")


def taken(store: Store, piece: Piece, file: Path | None = None) -> Taken:
    return take(store, EXCHANGE, piece, file or Path("rows.csv"))


def fingerprint(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but the locks."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "_lock"]
    return {str(path): path.read_bytes() for path in files}


def rows_of(dataset: Dataset) -> list[list[float]]:
    return [list(row) for row in dataset.read().itertuples(index=False)]


def dataset(store: Store, kind: str = "ohlcv") -> Dataset:
    return store.dataset(EXCHANGE, PERP, kind, "" if kind == "funding" else "1h")


def without(piece: Piece, *places: int) -> Piece:
    """The piece with some rows missing."""
    kept = [place for place in range(len(piece.frame)) if place not in places]
    return Piece(piece.symbol, piece.kind, piece.timeframe, piece.frame.iloc[kept])


def run(store: Store, *places: Path, **told: Any) -> tuple[list[Taken], list[Failed], list[str]]:
    """An import, sorted into what came, what failed and what was left alone."""
    left: list[str] = []
    shape = told.pop("shape", None)
    exchange = told.pop("exchange", EXCHANGE)
    found = list(take_files(store, exchange, list(places), Asked(**told), shape, left=left.append))
    came = [each for each in found if isinstance(each, Taken)]
    return came, [each for each in found if isinstance(each, Failed)], left


def test_rows_arrive_value_for_value_and_cover_what_they_cover(store: Store) -> None:
    piece = bars()
    told = taken(store, piece)
    assert (told.rows, told.new, told.changed, told.same, told.missing) == (30, 30, 0, 0, 0)
    found = dataset(store)
    pd.testing.assert_frame_equal(found.read(), piece.frame, check_exact=True, check_freq=False)
    assert found.covered == ((START, START + 30 * HOUR),)


def test_holes_inside_stay_missing_so_that_a_download_fetches_them(store: Store) -> None:
    told = taken(store, without(bars(), 5, 6, 20))
    assert told.missing == 3
    span = (START - HOUR, START + 31 * HOUR)
    assert dataset(store).missing(span) == [
        (START - HOUR, START),
        (START + 5 * HOUR, START + 7 * HOUR),
        (START + 20 * HOUR, START + 21 * HOUR),
        (START + 30 * HOUR, START + 31 * HOUR),
    ]
    assert dataset(store).gaps == ()
    taken(store, bars())
    assert dataset(store).covered == ((START, START + 30 * HOUR),)


def test_long_files_are_cut_into_pages_that_hang_together(store: Store) -> None:
    piece = without(bars(count=25_000), 9_999, 10_000, 19_998)
    taken(store, piece)
    assert dataset(store).rows == 24_997
    span = (START, START + 25_000 * HOUR)
    gone = [(hour, START + hour * HOUR) for hour in (9_999, 19_998)]
    assert dataset(store).missing(span) == [
        (gone[0][1], gone[0][1] + 2 * HOUR),
        (gone[1][1], gone[1][1] + HOUR),
    ]


@pytest.mark.parametrize(
    "piece", [without(bars(), 5), funding(), funding(mark=True), bars(kind="mark")]
)
def test_the_same_file_again_changes_not_a_byte(store: Store, piece: Piece) -> None:
    taken(store, piece)
    before = fingerprint(store.folder)
    again = taken(store, piece)
    assert (again.new, again.changed, again.same) == (0, 0, again.rows)
    assert fingerprint(store.folder) == before


def test_rows_that_differ_stand_and_the_old_are_kept(store: Store) -> None:
    taken(store, bars())
    other = bars().frame.copy()
    other.iloc[7, 3] = other.iloc[7, 1]
    told = taken(store, Piece(PERP, "ohlcv", "1h", other))
    assert (told.new, told.changed) == (0, 1)
    assert rows_of(dataset(store))[7] == other.iloc[7].tolist()
    (revision,) = dataset(store).revisions
    assert revision.old == tuple(bars().frame.iloc[7])


def test_where_rows_came_from_is_kept(store: Store, tmp_path: Path) -> None:
    (file,) = write_foreign([bars()], tmp_path, "freqtrade")
    run(store, file)
    assert dataset(store).provenance["imported"] == [{"file": file.name, "shape": "freqtrade"}]
    (line,) = dataset(store).pages()
    assert line["note"] == {"import": {"file": file.name, "shape": "freqtrade"}}
    assert dataset(store).provenance["requests"] == 0


def test_the_names_kept_are_a_constant_number(store: Store) -> None:
    for number in range(60):
        taken(store, bars(count=1, start=START + number * HOUR), Path(f"{number}.csv"))
    names = dataset(store).provenance["imported"]
    assert [each["file"] for each in names] == [f"{number}.csv" for number in range(10, 60)]


def test_a_bar_that_had_not_closed_when_the_file_was_written_is_left_out(
    store: Store, tmp_path: Path
) -> None:
    (file,) = write_foreign([bars()], tmp_path, "ccxt")
    os.utime(file, (0, (START + 29 * HOUR) / 1000 + 600))
    (told,), _, _ = run(store, file)
    assert (told.rows, told.unfinished) == (29, 1)
    assert dataset(store).covered == ((START, START + 29 * HOUR),)


def test_bars_that_have_not_closed_yet_are_left_out(store: Store) -> None:
    now = START + 10 * HOUR
    told = take(store, EXCHANGE, bars(), Path("rows.csv"), now=now)
    assert (told.rows, told.unfinished) == (10, 20)
    with pytest.raises(InputError, match="no closed bar in the file"):
        take(store, EXCHANGE, bars(), Path("rows.csv"), now=START)


def test_the_volume_of_a_mark_is_no_disagreement(store: Store) -> None:
    with dataset(store, "mark").writing() as writer:
        frame = bars(kind="mark").frame
        columns = [*frame.to_numpy().T[:4], np.full(30, np.nan)]
        writer.add(Page((START, START + 30 * HOUR), times_of(frame), tuple(columns)))
    before = fingerprint(store.folder)
    assert taken(store, bars(kind="mark")).changed == 0
    assert fingerprint(store.folder) == before


@pytest.mark.parametrize(
    ("hours", "holes"),
    [
        ([0, 8, 16, 24], []),
        ([0, 8, 24, 32], [1]),
        ([0, 8, 16, 20, 24, 25, 26], []),
        ([0, 1, 2, 10, 11], [2]),
        ([0, 16], [0]),
        ([0, 8], []),
        ([0, 24, 48, 72], []),
        ([0, 8, 16, 40, 64, 72, 80], [2, 3]),
        ([0], []),
    ],
)
def test_a_settlement_may_be_missing_where_the_distance_stands_out(
    hours: list[int], holes: list[int]
) -> None:
    found = holes_between(np.array(hours) * HOUR)
    assert np.flatnonzero(found).tolist() == holes


def test_funding_covers_from_stamp_to_stamp_and_leaves_holes_missing(store: Store) -> None:
    taken(store, without(funding(), 10, 11, 20))
    stamps = [time - time % 60_000 for time in times_of(funding().frame)]
    assert dataset(store, "funding").covered == (
        (stamps[0], stamps[9] + 60_000),
        (stamps[12], stamps[19] + 60_000),
        (stamps[21], stamps[29] + 60_000),
    )


def test_months_of_funding_taken_one_after_the_other_hang_together(store: Store) -> None:
    whole = funding(count=60).frame
    for place in (40, 0, 20):
        part = whole.iloc[place : place + 20]
        taken(store, Piece(PERP, "funding", "", part))
    (only,) = dataset(store, "funding").covered
    assert only[1] - only[0] == 59 * 8 * HOUR + 60_000
    assert dataset(store, "funding").rows == 60


def test_a_rounded_stamp_is_the_settlement_that_is_stored_and_its_mark_stays(
    store: Store,
) -> None:
    exact = funding(mark=True)
    taken(store, exact)
    before = fingerprint(store.folder)
    floored = settlements().set_axis(exact.frame.index.floor("min"), axis=0)
    floored["funding_rate"] = exact.frame["funding_rate"].to_numpy()
    told = taken(store, Piece(PERP, "funding", "", floored))
    assert (told.new, told.changed) == (0, 0)
    assert fingerprint(store.folder) == before
    floored.iloc[4, 0] = 0.5
    assert taken(store, Piece(PERP, "funding", "", floored)).changed == 1
    assert times_of(dataset(store, "funding").read()) == times_of(exact.frame)
    (revision,) = dataset(store, "funding").revisions
    assert revision.new[1] == revision.old[1] == exact.frame["mark"].iloc[4]


def test_a_download_after_an_import_does_not_fetch_the_last_settlement_again(
    store: Store,
) -> None:
    """Rounded stamps would come back as second settlements, some milliseconds later."""
    taken(
        store,
        Piece(
            PERP,
            "funding",
            "",
            settlements(3).set_axis(to_times(np.arange(1, 4) * 8 * HOUR), axis=0),
        ),
    )
    ((start, stop),) = dataset(store, "funding").covered
    assert (start, stop) == (8 * HOUR, 24 * HOUR + 60_000)


def test_a_folder_of_the_archive_comes_in_whole(store: Store, tmp_path: Path) -> None:
    whole = candles(1500)
    place = tmp_path / "data/futures/um/monthly"
    for month, part in whole.groupby(whole.index.strftime("%Y-%m")):
        packed(place / f"klines/BTCUSDT/1h/BTCUSDT-1h-{month}.zip", klines(part))
        written(place / f"markPriceKlines/BTCUSDT/1h/BTCUSDT-1h-{month}.csv", klines(part))
    written(place / "klines/BTCUSDT/1h/BTCUSDT-1h-2024-01.zip.CHECKSUM.bak", "?")
    written(place / "manifest.csv", "file,rows,when\na,b,c\n")
    written(place / "premiumIndexKlines/BTCUSDT/1h/BTCUSDT-1h-2024-01.csv", klines(whole))
    came, failed, left = run(store, tmp_path / "data")
    assert not failed
    assert {(each.kind, each.missing) for each in came} == {("ohlcv", 0), ("mark", 0)}
    assert sorted(Path(name).name for name in left) == ["BTCUSDT-1h-2024-01.csv", "manifest.csv"]
    assert dataset(store).rows == dataset(store, "mark").rows == 1500
    assert len(dataset(store).covered) == 1


def test_a_broken_file_does_not_stop_the_others(store: Store, tmp_path: Path) -> None:
    write_foreign([bars()], tmp_path / "in", "freqtrade")
    (tmp_path / "in/futures/ETH_USDT_USDT-1h-futures.feather").write_bytes(b"half")
    written(tmp_path / "in/BTCUSDT-1h-2024-01.zip", "no zip")
    came, failed, _ = run(store, tmp_path / "in")
    assert [each.symbol for each in came] == [PERP]
    assert sorted(Path(each.file).name for each in failed) == [
        "BTCUSDT-1h-2024-01.zip",
        "ETH_USDT_USDT-1h-futures.feather",
    ]


def test_split_files_of_another_venue_are_left_alone_in_a_folder(
    store: Store, tmp_path: Path
) -> None:
    for venue in ("binance", "okx"):
        write_foreign([bars(), funding()], tmp_path / "in", "split", exchange=venue)
    came, failed, left = run(store, tmp_path / "in")
    assert {Path(each.file).name.partition("_")[0] for each in came} == {"binance"}
    assert len(left) == 2
    assert not failed


@pytest.mark.parametrize(
    ("exchange", "kept"),
    [("binanceusdm", [PERP]), ("binancecoinm", [COIN]), ("binance", [COIN, SPOT, PERP])],
)
def test_an_archive_of_all_markets_gives_an_exchange_those_it_lists(
    store: Store, tmp_path: Path, exchange: str, kept: list[str]
) -> None:
    for symbol in (PERP, COIN, SPOT):
        write_foreign([bars(symbol)], tmp_path / "in", "binance")
        write_foreign([bars(symbol)], tmp_path / "in", "freqtrade")
    came, failed, left = run(store, tmp_path / "in", exchange=exchange)
    assert sorted({each.symbol for each in came}) == kept
    assert (failed, len(left)) == ([], 6 - 2 * len(kept))


def test_rows_of_a_market_the_exchange_has_not_are_refused(store: Store, tmp_path: Path) -> None:
    (path,) = write_foreign([bars(SPOT)], tmp_path, "freqtrade")
    _, (failed,), _ = run(store, path)
    assert "binanceusdm lists no spot markets: found BTC/USDT, allowed linear" in str(failed.error)


def test_a_store_inside_a_folder_is_not_read_as_files(store: Store, tmp_path: Path) -> None:
    taken(store, bars())
    assert run(store, store.folder) == ([], [], [])


def test_a_path_that_is_not_there_is_said_at_once(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="file not found"):
        run(store, tmp_path / "nowhere")


def test_a_file_named_itself_is_not_passed_over(store: Store, tmp_path: Path) -> None:
    path = written(tmp_path / "manifest.csv", "file,rows,when\na,b,c\n")
    _, (failed,), _ = run(store, path)
    assert "--shape" in str(failed.error)


def test_what_the_user_says_holds_for_every_file(store: Store, tmp_path: Path) -> None:
    (path,) = write_foreign([bars(SPOT)], tmp_path, "ccxt")
    bare = path.rename(tmp_path / "rows.csv")
    came, _, _ = run(store, bare, symbol="ETH/USDT", kind="index", exchange="kraken")
    assert [(e.exchange, e.symbol, e.kind) for e in came] == [("kraken", "ETH/USDT", "index")]
