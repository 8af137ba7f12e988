"""Every kind of damage is found, said in one line, and can be repaired by fetching again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from market.store.venue import Venue, bars, contents, strangers

from bt_margin.errors import InputError, StoreDamaged
from bt_margin.market.store import Dataset
from bt_margin.market.store.manifest import Manifest, dump, file_name
from bt_margin.market.store.parts import decode, encode, part_of

VENUE = Venue(holes=frozenset({2, 8, 9}))
TODO = "run `bt-margin check --repair`"


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    found = VENUE.dataset(tmp_path)
    with found.writing() as writer:
        writer.add(VENUE.page(0, 12, changed={7: 1.0}))
        writer.add(VENUE.page(7, 8))
    return found


def part(dataset: Dataset, family: str, period: str) -> Path:
    return dataset.folder / file_name(family, period, dataset.state().parts[family][period].sha256)


def delete(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = [delete, cut, grow, flip, empty]
FILES = [("rows", "2023"), ("rows", "2024"), ("gaps", "2024"), ("revisions", "2024")]


@pytest.mark.parametrize("damage", [*DAMAGES, folder])
@pytest.mark.parametrize(("family", "period"), FILES)
def test_a_damaged_file_is_found_told_and_repaired(
    dataset: Dataset, damage: Callable[[Path], None], family: str, period: str
) -> None:
    whole = contents(dataset)
    path = part(dataset, family, period)
    damage(path)
    (problem,) = dataset.verify()
    assert problem.file == path
    assert problem.family == family
    assert str(path) in problem.text
    assert problem.text.endswith(TODO)
    assert "\n" not in problem.text
    read = {
        "rows": dataset.read,
        "gaps": lambda: dataset.gaps,
        "revisions": lambda: dataset.revisions,
    }
    with pytest.raises(StoreDamaged, match=path.name):
        read[family]()
    if path.is_dir():
        path.rmdir()
    assert dataset.repair() == [problem] or damage is folder
    assert dataset.verify() == []
    missing = dataset.missing(VENUE.span(0, 12))
    assert missing == (
        []
        if family == "revisions"
        else [VENUE.span(0, 6) if period == "2023" else VENUE.span(6, 12)]
    )
    with dataset.writing() as writer:
        writer.add(VENUE.page(0, 12))
    rows = contents(dataset)
    assert bars(dataset, VENUE) == {
        bar: VENUE.value(bar) for bar in range(12) if bar not in VENUE.holes
    }
    assert (rows["covered"], rows["gaps"]) == (whole["covered"], whole["gaps"])
    assert strangers(dataset) == set()


def test_writing_onto_a_damaged_file_says_so_and_leaves_the_rest_alone(dataset: Dataset) -> None:
    flip(part(dataset, "rows", "2024"))
    with (
        pytest.raises(StoreDamaged, match=r"damaged.*2024\..*parquet.*--repair"),
        dataset.writing() as writer,
    ):
        writer.add(VENUE.page(11, 13))
    part(dataset, "rows", "2024").unlink()
    with (
        pytest.raises(StoreDamaged, match=r"missing.*2024\..*parquet.*--repair"),
        dataset.writing() as writer,
    ):
        writer.add(VENUE.page(11, 13))
    assert dataset.covered == (VENUE.span(0, 12),)
    assert len(dataset.read(VENUE.span(0, 6))) == 5


def forge(
    dataset: Dataset, family: str, period: str, change: Callable[[list[Any]], list[Any]]
) -> None:
    """Write a file with other rows and a manifest that knows its hash."""
    state = dataset.state()
    old = state.parts[family][period]
    columns = decode(family, state.kind, part(dataset, family, period).read_bytes())
    new = change([np.array(column) for column in columns])
    data = encode(family, state.kind, new)
    made = replace(part_of(data, np.asarray(new[0])), first=old.first, last=old.last, rows=old.rows)
    (dataset.folder / file_name(family, period, made.sha256)).write_bytes(data)
    parts = {name: dict(each) for name, each in state.parts.items()}
    parts[family][period] = made
    (dataset.folder / "_manifest.json").write_bytes(dump(replace(state, parts=parts)))


def first_time(by: int) -> Callable[[list[Any]], list[Any]]:
    def change(columns: list[Any]) -> list[Any]:
        columns[0][1] += by
        return columns

    return change


def backwards(columns: list[Any]) -> list[Any]:
    return [column[::-1] for column in columns]


def shorter(columns: list[Any]) -> list[Any]:
    return [column[:-1] for column in columns]


def longer(columns: list[Any]) -> list[Any]:
    columns[1] = columns[1] + 5 * VENUE.step
    return columns


@pytest.mark.parametrize(
    ("family", "change", "says"),
    [
        ("rows", first_time(1), "off their grid"),
        ("rows", first_time(-VENUE.step), "not in order"),
        ("rows", first_time(10**11), "outside of 2024"),
        ("rows", backwards, "not in order"),
        ("rows", shorter, "3 rows instead of 4"),
        ("rows", lambda columns: [column[1:] for column in columns], "3 rows instead of 4"),
        ("gaps", lambda columns: [columns[0], columns[0], columns[2]], "not in order"),
        ("gaps", longer, "nobody has asked for"),
        ("gaps", lambda c: [c[0], c[1] + VENUE.step, c[2]], "with rows in them"),
    ],
)
def test_files_that_hash_well_but_do_not_fit_are_found(
    dataset: Dataset, family: str, change: Callable[[list[Any]], list[Any]], says: str
) -> None:
    forge(dataset, family, "2024", change)
    (problem,) = dataset.verify()
    assert says in problem.text
    assert problem.span is not None
    dataset.repair()
    assert dataset.verify() == []
    assert dataset.missing(VENUE.span(0, 12)) == [VENUE.span(6, 12)]


def test_a_page_log_that_lost_lines_is_found_and_goes_on(dataset: Dataset) -> None:
    log = dataset.folder / "_pages.jsonl"
    log.write_bytes(log.read_bytes()[:-10])
    (problem,) = dataset.verify()
    assert problem.family == "pages"
    assert len(list(dataset.pages())) == 1
    dataset.repair()
    assert dataset.verify() == []
    with dataset.writing() as writer:
        writer.add(VENUE.page(12, 13))
    assert [page["span"][0] for page in dataset.pages()] == [VENUE.start, VENUE.span(12, 13)[0]]
    log.unlink()
    assert [p.family for p in dataset.repair()] == ["pages"]
    assert list(dataset.pages()) == []


def edit(**changes: object) -> Callable[[dict[str, Any]], object]:
    """A change to the manifest's body under a checksum that fits."""

    def run(body: dict[str, Any]) -> object:
        body |= changes
        body.pop("checksum")
        text = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
        return body | {"checksum": hashlib.sha256(text).hexdigest()}

    return run


PART = {"sha256": "0" * 64, "size": 1, "rows": 1, "first": 1, "last": 1}


def with_part(period: str, **changes: object) -> Callable[[dict[str, Any]], object]:
    return edit(parts={"rows": {period: PART | changes}, "gaps": {}, "revisions": {}})


MALFORMED: dict[str, bytes | Callable[[dict[str, Any]], object]] = {
    "nothing": b"",
    "half": b'{"format":1,"cov',
    "no JSON": b"<html>",
    "not text": b"\xff\xfe\x00",
    "a list": b"[]",
    "NaN": b'{"format":NaN}',
    "very deep": b"[" * 100_000,
    "a very long number": b'{"serial":' + b"9" * 10_000 + b"}",
    "too large": b" " * 16_000_001,
    "another checksum": lambda body: body | {"serial": 99},
    "no checksum": lambda body: {key: body[key] for key in body if key != "checksum"},
    "covered backwards": edit(covered=[[5, 3]]),
    "covered twice": edit(covered=[[1, 3], [2, 5]]),
    "covered text": edit(covered="all"),
    "covered endless": edit(covered=[[0, 10**30]]),
    "a serial that is true": edit(serial=True),
    "a log below zero": edit(log=-1),
    "a kind nobody knows": edit(kind="trades"),
    "no timeframe": edit(timeframe="1x"),
    "a symbol that is a number": edit(symbol=5),
    "no parts": edit(parts=None),
    "other families": edit(parts={"rows": {}}),
    "a path for a period": with_part("../../2024"),
    "a month in years": with_part("2024-01"),
    "a hash with a path": with_part("1970", sha256="../" * 21 + "x"),
    "a size beyond all files": with_part("1970", size=10**13),
    "a size of gigabytes": with_part("1970", size=3 * 10**9),
    "rows outside their period": with_part("2024"),
    "no rows": with_part("1970", rows=0),
    "last before first": with_part("1970", first=5, last=4),
    "provenance that is a list": edit(provenance=[]),
}


def spoil(dataset: Dataset, how: bytes | Callable[[dict[str, Any]], object]) -> None:
    path = dataset.folder / "_manifest.json"
    if isinstance(how, bytes):
        path.write_bytes(how)
    else:
        path.write_text(json.dumps(how(json.loads(path.read_bytes()))))


@pytest.mark.parametrize("name", MALFORMED)
def test_a_bad_manifest_is_one_clear_line_and_is_made_anew_from_the_files(
    dataset: Dataset, name: str
) -> None:
    files = contents(dataset)["files"]
    spoil(dataset, MALFORMED[name])
    if name == "a symbol that is a number":
        spoil(dataset, b"{}")
    for act in (dataset.read, lambda: dataset.covered, lambda: dataset.writing().__enter__()):
        with pytest.raises(StoreDamaged) as caught:
            act()
        text = str(caught.value)
        assert str(dataset.folder / "_manifest.json") in text
        assert text.endswith(TODO)
        assert "\n" not in text
        assert len(text) < 500
    (problem,) = dataset.verify()
    assert problem.family == "manifest"
    assert dataset.repair() == [problem]
    assert bars(dataset, VENUE).keys() == {*range(12)} - VENUE.holes
    assert dataset.missing(VENUE.span(0, 12)) == [VENUE.span(2, 3), VENUE.span(8, 10)]
    assert len(dataset.revisions) == 1
    assert dataset.verify() == []
    with dataset.writing() as writer:
        writer.add(VENUE.page(0, 12))
    assert contents(dataset)["files"] == files
    assert strangers(dataset) == set()


def test_a_manifest_is_not_made_anew_from_files_that_are_not_whole(dataset: Dataset) -> None:
    flip(part(dataset, "rows", "2023"))
    (dataset.folder / "_manifest.json").write_bytes(b"")
    dataset.repair()
    assert bars(dataset, VENUE).keys() == {6, 7, 10, 11}
    assert dataset.missing(VENUE.span(0, 12)) == [VENUE.span(0, 6), VENUE.span(8, 10)]


def test_a_store_of_a_newer_version_is_left_alone(dataset: Dataset) -> None:
    spoil(dataset, edit(format=2))
    before = {path: path.read_bytes() for path in dataset.folder.iterdir()}
    for act in (dataset.read, dataset.verify, dataset.repair):
        with pytest.raises(InputError, match=r"newer store: found 2.*update bt-margin"):
            act()
    assert {path: path.read_bytes() for path in dataset.folder.iterdir()} == before


def test_a_folder_moved_to_another_place_is_told(dataset: Dataset) -> None:
    other = dataset.folder.with_name("mark_1h")
    dataset.folder.rename(other)
    moved = Dataset(other, Manifest(dataset.exchange, dataset.symbol, "mark", "1h"))
    with pytest.raises(StoreDamaged, match="another dataset: found binanceusdm ohlcv 1h"):
        moved.read()
