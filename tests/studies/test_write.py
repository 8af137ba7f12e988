"""Files appear whole or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
import pytest

from bt_margin.errors import InputError
from bt_margin.studies.write import atomic, drop_stale, staged, tried, usable, write_tables


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def half(path: Path) -> None:
        path.write_text("ha")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        atomic(target, half)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_tables_come_back_as_they_went_in(tmp_path: Path) -> None:
    times = pd.date_range("2025-01-01", periods=2, freq="h", tz="UTC")
    table = pd.DataFrame({"time": times, "x": [1.5, None], "info": [{"a": 1}, {}]})
    write_tables(tmp_path, {"events": table}, synthetic=False)
    back = pd.read_parquet(tmp_path / "events.parquet")
    assert list(back["x"].isna()) == [False, True]
    assert list(back["info"]) == ['{"a": 1}', ""]
    assert pd.read_csv(tmp_path / "events.csv")["time"].iloc[0] == "2025-01-01T00:00:00+0000"


def test_a_long_table_is_written_as_parquet_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bt_margin.studies.write.MOST_AS_TEXT", 2)
    table = pd.DataFrame({"symbol": pd.Categorical(["A", "B", "A"]), "x": [1.0, 2.0, 3.0]})
    write_tables(tmp_path, {"long": table, "short": table[:2]}, synthetic=False)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"long.parquet", "short.parquet", "short.csv"}
    assert list(pd.read_parquet(tmp_path / "long.parquet")["symbol"]) == ["A", "B", "A"]


def test_the_text_of_a_shorter_run_does_not_stay_beside_a_longer_one(tmp_path: Path) -> None:
    for name in ("positions.csv", "equity.csv", "mine.csv"):
        (tmp_path / name).write_text("old")
    drop_stale(tmp_path, ["positions", "equity", "events"], [tmp_path / "equity.csv"])
    assert {path.name for path in tmp_path.iterdir()} == {"equity.csv", "mine.csv"}


def test_made_up_data_is_marked_in_every_table(tmp_path: Path) -> None:
    write_tables(tmp_path, {"equity": pd.DataFrame({"cross": [1.0]})}, synthetic=True)
    assert pd.read_csv(tmp_path / "equity.csv")["synthetic"].iloc[0] == "SYNTHETIC"


def test_a_place_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(InputError, match="choose another place"):
        atomic(blocked / "inside.csv", lambda path: None)


def fails_half_way(folder: Path) -> None:
    """Writes one of two files and breaks."""
    with staged(folder) as (place, _):
        (place / "a.txt").write_text("changed")
        raise ZeroDivisionError


def test_several_files_appear_together_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with staged(folder) as (place, written):
        (place / "a.txt").write_text("a")
        (place / "b.txt").write_text("b")
        assert not list(folder.glob("*.txt"))
    assert written == [folder / "a.txt", folder / "b.txt"]
    with pytest.raises(ZeroDivisionError):
        fails_half_way(folder)
    assert (folder / "a.txt").read_text() == "a"
    assert {path.name for path in folder.iterdir()} == {"a.txt", "b.txt"}


def test_a_file_is_no_folder_and_what_was_made_in_vain_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="it is a file, not a folder"):
        usable(tmp_path / "file")

    def full(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(InputError, match="Permission denied"):
        usable(tmp_path / "deep" / "out")
    assert not (tmp_path / "deep").exists()


def test_trying_a_folder_leaves_no_trace(tmp_path: Path) -> None:
    assert tried(tmp_path / "deep" / "out") == tmp_path / "deep" / "out"
    assert list(tmp_path.iterdir()) == []
    assert tried(tmp_path) == tmp_path
