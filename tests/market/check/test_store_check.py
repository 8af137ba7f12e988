"""The check of a store: what the venue confirmed is a fact, the rest is not, and repairs mend it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from market.check.plants import PRICES
from market.check.worlds import synthetic

from bt_margin.errors import ExchangeUnreachable
from bt_margin.market.check import (
    Finding,
    check_frames,
    check_paths,
    check_store,
    repair,
    spans_to_repair,
)
from bt_margin.market.kinds import Page, Span
from bt_margin.market.store import Store

EXCHANGE, BTC, HOUR = "binanceusdm", "BTC/USDT:USDT", 3_600_000
NOW = int(pd.Timestamp("2026-11-01", tz="UTC").value // 1_000_000)


class Venue:
    """A venue that holds the synthetic market and answers any span."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder, clock=lambda: NOW)
        self.tables = {
            name: table
            for name, table in synthetic().items()
            if name in ("ohlcv", "mark", "funding")
        }
        self.asked: list[tuple[str, list[Span]]] = []

    def times(self, kind: str) -> np.ndarray:
        index = pd.DatetimeIndex(self.tables[kind]["timestamp"])
        return index.as_unit("ns").asi8 // 1_000_000

    def page(self, kind: str, span: Span, holes: Sequence[Span] = ()) -> Page:
        times = self.times(kind)
        inside = (times >= span[0]) & (times < span[1])
        table = self.tables[kind][inside]
        names = ["funding_rate"] if kind == "funding" else [*PRICES, "volume"]
        columns = [table[name].to_numpy() for name in names]
        if kind == "funding":
            columns.append(np.full(len(table), np.nan))
        return Page(span, times[inside].tolist(), tuple(c.tolist() for c in columns), tuple(holes))

    def whole(self, kind: str) -> Span:
        times = self.times(kind)
        return int(times[0]), int(times[-1]) + HOUR

    def fill(self, kind: str, *pages: Page) -> None:
        timeframe = "" if kind == "funding" else "1h"
        with self.store.dataset(EXCHANGE, BTC, kind, timeframe).writing() as writer:
            for page in pages or (self.page(kind, self.whole(kind)),):
                writer.add(page)

    def fetch(
        self, exchange: str, symbol: str, kind: str, timeframe: str, spans: Sequence[Span]
    ) -> None:
        self.asked.append((kind, list(spans)))
        with self.store.dataset(exchange, symbol, kind, timeframe).writing() as writer:
            for span in spans:
                writer.add(self.page(kind, span))


@pytest.fixture
def venue(tmp_path: Path) -> Venue:
    return Venue(tmp_path)


def grave(findings: Sequence[Finding]) -> list[tuple[str, str, str]]:
    return [(each.kind, each.severity, each.data) for each in findings if each.severity != "info"]


def without(page: Page, first: int, last: int) -> Page:
    """The page with rows [first, last) lost on the way."""
    keep = [place for place in range(len(page.times)) if not first <= place < last]
    columns = tuple([column[place] for place in keep] for column in page.columns)
    return Page(page.span, [page.times[place] for place in keep], columns)


def part_of(venue: Venue, kind: str) -> Path:
    """The second data file of a dataset."""
    folder = venue.store.dataset(EXCHANGE, BTC, kind, "1h").folder
    return sorted(path for path in folder.iterdir() if path.suffix == ".parquet")[-1]


def test_a_whole_store_is_clean(venue: Venue) -> None:
    for kind in venue.tables:
        venue.fill(kind)
    found = check_store(venue.store, now=NOW)
    assert grave(found) == []
    assert {each.data for each in found} == {"funding"}
    assert grave(check_store(venue.store.folder, EXCHANGE, ["BTCUSDT"], now=NOW)) == []
    assert check_store(venue.store, "okx", now=NOW) == []
    assert check_paths([venue.store.folder], now=NOW).datasets == 3


def test_holes_are_told_by_what_is_known_of_them(venue: Venue) -> None:
    start, stop = venue.whole("ohlcv")
    confirmed = start + 100 * HOUR, start + 103 * HOUR
    unasked = start + 500 * HOUR, start + 505 * HOUR
    lost = start + 800 * HOUR, start + 802 * HOUR
    first = without(venue.page("ohlcv", (start, unasked[0])), 100, 103)
    first = Page(first.span, first.times, first.columns, (confirmed,))
    rest = venue.page("ohlcv", (unasked[1], stop))
    place = (lost[0] - unasked[1]) // HOUR
    venue.fill("ohlcv", first, without(rest, place, place + 2))
    found = check_store(venue.store, now=NOW)
    told = [(each.kind, each.severity, each.start, each.stop + HOUR, each.count) for each in found]
    assert told == [
        ("gap", "error", *lost, 2),
        ("not asked", "error", *unasked, 5),
        ("gap", "info", *confirmed, 3),
    ]
    assert spans_to_repair(found) == {(EXCHANGE, BTC, "ohlcv", "1h"): [unasked, lost]}


def test_a_settlement_the_venue_confirmed_to_lack_is_a_fact(venue: Venue) -> None:
    whole = venue.page("funding", venue.whole("funding"))
    hole = whole.times[100] - HOUR, whole.times[100] + HOUR
    lost = without(whole, 100, 101)
    venue.fill("funding", Page(lost.span, lost.times, lost.columns, (hole,)))
    assert [(f.kind, f.severity) for f in check_store(venue.store, now=NOW)] == [
        ("intervals", "info"),
        ("settlement missing", "info"),
    ]


def test_a_bar_taken_before_it_closed_is_an_error(tmp_path: Path) -> None:
    venue = Venue(tmp_path)
    _, stop = venue.whole("ohlcv")
    venue.store = Store(tmp_path, clock=lambda: stop - 1)
    venue.fill("ohlcv")
    assert grave(check_store(venue.store, now=NOW)) == [("unfinished", "error", "ohlcv/1h")]


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "manifest"])
def test_a_damaged_store_is_told_and_mended(venue: Venue, damage: str) -> None:
    for kind in venue.tables:
        venue.fill(kind)
    before = {kind: data(venue, kind) for kind in venue.tables}
    path = part_of(venue, "mark")
    if damage == "changed":
        body = bytearray(path.read_bytes())
        body[len(body) // 2] ^= 1
        path.write_bytes(bytes(body))
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "gone":
        path.unlink()
    else:
        path.with_name("_manifest.json").write_text("{")
    found = check_store(venue.store, now=NOW)
    assert {each[:2] for each in grave(found)} == {("store", "error")}
    assert {each.data for each in found if each.kind == "store"} == {"mark/1h"}
    done = repair(venue.store, found, venue.fetch)
    assert grave(done.left) == []
    assert done.failed == {}
    assert {kind: data(venue, kind).equals(before[kind]) for kind in before} == dict.fromkeys(
        before, True
    )


def data(venue: Venue, kind: str) -> pd.DataFrame:
    return venue.store.dataset(EXCHANGE, BTC, kind, "" if kind == "funding" else "1h").read()


def test_bars_spoiled_on_the_way_are_mended_and_kept_among_the_revisions(venue: Venue) -> None:
    page = venue.page("ohlcv", venue.whole("ohlcv"))
    columns = [list(column) for column in page.columns]
    for column in columns[:4]:
        column[700] *= 1.3
        column[900] = -column[900]
    venue.fill("ohlcv", Page(page.span, page.times, tuple(columns)))
    venue.fill("mark")
    rates = venue.page("funding", venue.whole("funding"))
    venue.fill("funding", without(rates, 60, 61))
    found = check_store(venue.store, now=NOW)
    assert {each[0] for each in grave(found)} >= {"bad tick", "price", "settlement missing"}
    done = repair(venue.store, found, venue.fetch)
    assert grave(done.left) == []
    assert {kind for kind, _ in venue.asked} >= {"ohlcv", "funding"}
    assert len(venue.store.dataset(EXCHANGE, BTC, "ohlcv", "1h").revisions) == 2
    assert data(venue, "ohlcv")["close"].tolist() == venue.tables["ohlcv"]["close"].tolist()


def test_what_the_venue_gives_again_stays_and_is_told_again(venue: Venue) -> None:
    table = venue.tables["ohlcv"] = venue.tables["ohlcv"].copy()
    table.loc[700, "high"] = table.loc[700, "high"] * 1.5
    venue.fill("ohlcv")
    venue.fill("mark")
    found = check_store(venue.store, now=NOW)
    assert [each[0] for each in grave(found)] == ["mark wick"]
    time = int(venue.times("ohlcv")[700])
    done = repair(venue.store, found, venue.fetch)
    assert done.asked == {(EXCHANGE, BTC, "ohlcv", "1h"): [(time, time + HOUR)]}
    assert grave(done.left) == grave(found)


def test_a_venue_that_does_not_answer_is_told_and_nothing_is_lost(venue: Venue) -> None:
    page = venue.page("ohlcv", venue.whole("ohlcv"))
    venue.fill("ohlcv", without(page, 50, 60))
    rows = venue.store.dataset(EXCHANGE, BTC, "ohlcv", "1h").rows

    def silent(*_: object) -> None:
        raise ExchangeUnreachable("no answer for an hour", exchange=EXCHANGE)

    done = repair(venue.store, check_store(venue.store, now=NOW), silent)
    assert done.failed == {(EXCHANGE, BTC, "ohlcv", "1h"): "no answer for an hour"}
    assert grave(done.left) == [("gap", "error", "ohlcv/1h")]
    assert venue.store.dataset(EXCHANGE, BTC, "ohlcv", "1h").rows == rows


def test_facts_files_and_frames_are_not_asked_for_again() -> None:
    facts = [
        Finding("gap", "info", EXCHANGE, BTC, "ohlcv/1h", HOUR, HOUR, 1, ""),
        Finding(
            "gap", "error", EXCHANGE, BTC, "binance_BTCUSDT_ohlcv_1h.parquet", HOUR, HOUR, 1, ""
        ),
        Finding("zero volume", "warning", EXCHANGE, BTC, "ohlcv/1h", HOUR, HOUR, 1, ""),
        Finding("gap", "error", "", BTC, "ohlcv/1h", HOUR, HOUR, 1, ""),
    ]
    assert spans_to_repair([*facts, *check_frames({}, now=NOW)]) == {}


def test_spans_of_one_dataset_are_merged_and_settlements_widened_by_their_jitter() -> None:
    def found(data: str, start: int, stop: int) -> Finding:
        return Finding("price", "error", EXCHANGE, BTC, data, start * HOUR, stop * HOUR, 1, "")

    spans = spans_to_repair(
        [
            found("mark/1h", 5, 6),
            found("mark/1h", 7, 7),
            found("mark/1h", 1, 1),
            found("funding", 8, 8),
        ]
    )
    assert spans == {
        (EXCHANGE, BTC, "mark", "1h"): [(HOUR, 2 * HOUR), (5 * HOUR, 8 * HOUR)],
        (EXCHANGE, BTC, "funding", ""): [(8 * HOUR - 60_000, 8 * HOUR + 60_000)],
    }
