"""``list``, ``import`` and ``export`` on the command line: tables, JSON, exit codes, one-line errors."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from market.shapes.makers import HOUR, PERP, START, bars, funding, klines, written
from typer.testing import CliRunner, Result

from bt_margin.cli import store_tables, store_verbs
from bt_margin.market.shapes import write_foreign
from bt_margin.market.store import Store

app = typer.Typer(rich_markup_mode=None)
app.command("list")(store_verbs.list_)
app.command("import")(store_verbs.import_)
app.command("export")(store_verbs.export)

EXCHANGE = "binanceusdm"


def call(*words: object) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


def one_line(result: Result) -> str:
    """The error of a command: one line on stderr, no traceback."""
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("bt-margin: error: ")
    assert "Traceback" not in result.output
    return result.stderr


def document(result: Result) -> Any:
    """The one JSON document on stdout."""
    return json.loads(result.stdout)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with files in `in/` and nothing else."""
    write_foreign([bars(), bars(kind="mark"), funding()], tmp_path / "in", "freqtrade")
    return tmp_path


@pytest.fixture
def filled(place: Path) -> Path:
    """The same after an import."""
    result = call("import", place / "in", "--exchange", EXCHANGE, "--store", place / "data")
    assert result.exit_code == 0, result.output
    return place


@pytest.mark.parametrize("verb", ["list", "import", "export"])
def test_help_has_an_example(verb: str) -> None:
    result = call(verb, "--help")
    assert result.exit_code == 0
    assert f"Example: bt-margin {verb}" in result.stdout
    assert "--json" in result.stdout
    assert "--quiet" in result.stdout


def test_import_says_what_came(place: Path) -> None:
    result = call("import", place / "in", "--exchange", EXCHANGE, "--store", place / "data")
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert f"{PERP} ohlcv 1h 1 2024-01-01 00:00 2024-01-02 05:00 30 30 0" in text
    assert f"kept in: {place / 'data' / EXCHANGE}" in result.stdout
    assert "\x1b[" not in result.stdout
    again = call("import", place / "in", "--exchange", EXCHANGE, "--store", place / "data")
    assert "05:00 30 0 0" in " ".join(again.stdout.split())


def test_import_tells_disagreement_holes_and_open_bars(filled: Path) -> None:
    frame = bars().frame.drop(bars().frame.index[4])
    frame.iloc[0, 4] = 1.0
    path = written(filled / "BTCUSDT-1h-2024-01.csv", klines(frame))
    result = call("import", path, "--exchange", EXCHANGE, "--store", filled / "data")
    assert result.exit_code == 0, result.stderr
    assert "1 row differs from what was stored; the new values stand" in result.stdout
    assert "1 bar missing inside the files; a download fetches them" in result.stdout


def test_import_as_json(place: Path) -> None:
    written(place / "in/notes.csv", "a,b,c\nx,y,z\n")
    data = place / "data"
    result = call("import", place / "in", "--exchange", EXCHANGE, "--store", data, "--json")
    found = document(result)
    assert [each["kind"] for each in found["taken"]] == ["ohlcv", "mark", "funding"]
    first = found["taken"][0]
    assert (first["new"], first["changed"], first["same"], first["missing"]) == (30, 0, 0, 0)
    assert first["first"] == "2024-01-01T00:00:00+00:00"
    assert found["failed"] == []
    assert [Path(name).name for name in found["left_alone"]] == ["notes.csv"]


def test_import_quiet_prints_nothing(place: Path) -> None:
    data = place / "data"
    result = call("import", place / "in", "--exchange", EXCHANGE, "--store", data, "--quiet")
    assert (result.exit_code, result.output) == (0, "")


def test_some_files_bad_is_another_exit_code_than_all_files_bad(place: Path) -> None:
    bad = place / "in/futures/ETH_USDT_USDT-1h-futures.feather"
    bad.write_bytes(b"half")
    data = place / "data"
    result = call("import", place / "in", "--exchange", EXCHANGE, "--store", data)
    assert result.exit_code == 3
    assert str(bad) in one_line(result)
    result = call("import", bad, "--exchange", EXCHANGE, "--store", data)
    assert result.exit_code == 2
    assert str(bad) in one_line(result)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere", "--exchange", EXCHANGE], "file not found"),
        (["in", "--exchange", "../x"], "not a name of an exchange"),
        (["in", "--exchange", EXCHANGE, "--shape", "feather"], "unknown shape"),
        (["in", "--exchange", EXCHANGE, "--kind", "tiers"], "unknown kind"),
        (["in", "--exchange", EXCHANGE, "--timeframe", "1M"], "months have no fixed length"),
        (["in", "--exchange", EXCHANGE, "--symbol", "bitcoin"], "not a symbol"),
        (["empty", "--exchange", EXCHANGE], "no file of a known shape"),
    ],
)
def test_a_mistake_in_an_import_is_one_line(place: Path, words: list[str], told: str) -> None:
    (place / "empty").mkdir()
    words[0] = str(place / words[0])
    result = call("import", *words, "--store", place / "data")
    assert result.exit_code == 2
    assert told in result.stderr.splitlines()[0]
    assert all(line.startswith("bt-margin: error: ") for line in result.stderr.splitlines())


def test_list_is_a_table(filled: Path) -> None:
    result = call("list", "--store", filled / "data")
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    for part in (
        "missing bars",
        EXCHANGE,
        f"{PERP} ohlcv 1h 2024-01-01 00:00",
        f"{PERP} funding 2024",
        "kB",
    ):
        assert part in text


def test_list_counts_missing_bars_and_gaps(filled: Path) -> None:
    from bt_margin.market.kinds import Page

    dataset = Store(filled / "data").dataset(EXCHANGE, PERP, "ohlcv", "1h")
    hole = (START + 40 * HOUR, START + 43 * HOUR)
    late = Page((hole[0], hole[1] + HOUR), [hole[1]], ([1.0],) * 5, holes=(hole,))
    with dataset.writing() as writer:
        writer.add(late)
    result = call("list", "--store", filled / "data", "--json")
    rows = {row["kind"]: row for row in document(result)["datasets"]}
    assert (rows["ohlcv"]["missing_bars"], rows["ohlcv"]["gap_bars"]) == (10, 3)
    assert rows["ohlcv"]["rows"] == 31
    assert rows["ohlcv"]["size"] == dataset.size
    assert rows["mark"]["missing_bars"] == 0
    assert rows["funding"]["missing_spans"] == 0


def test_list_shows_tiers_by_their_dates(filled: Path) -> None:
    Store(filled / "data").put_tiers(EXCHANGE, PERP, {"tiers": []}, START)
    rows = document(call("list", "--store", filled / "data", "--json"))["datasets"]
    (tiers,) = [row for row in rows if row["kind"] == "tiers"]
    assert (tiers["rows"], tiers["first"]) == (1, "2024-01-01T00:00:00+00:00")
    assert "tiers" in call("list", "--store", filled / "data").stdout


def test_list_quiet_names_the_datasets(filled: Path) -> None:
    result = call("list", "--store", filled / "data", "--quiet")
    assert result.stdout.splitlines() == [
        f"{EXCHANGE} {PERP} funding",
        f"{EXCHANGE} {PERP} mark 1h",
        f"{EXCHANGE} {PERP} ohlcv 1h",
    ]


def test_a_store_of_nothing_says_what_fills_it(tmp_path: Path) -> None:
    for words, told in (
        (("--store", tmp_path / "none"), f"there is no store at {tmp_path / 'none'}"),
        (("--store", tmp_path), f"nothing in {tmp_path}"),
        (("--store", tmp_path, "--exchange", "kraken"), f"nothing of kraken in {tmp_path}"),
    ):
        result = call("list", *words)
        assert result.exit_code == 0
        assert told in result.stdout
        assert store_tables.DOWNLOAD in result.stdout
        assert store_tables.IMPORT in result.stdout
        assert document(call("list", *words, "--json"))["datasets"] == []


def test_damaged_tiers_are_listed_and_told(filled: Path) -> None:
    Store(filled / "data").put_tiers(EXCHANGE, PERP, {"tiers": []}, START)
    (tiers,) = (filled / "data").rglob("*tiers.json")
    tiers.write_text("{")
    result = call("list", "--store", filled / "data")
    assert result.exit_code == 2
    assert "tiers" in result.stdout


def test_a_name_ccxt_does_not_know_is_remarked_on(place: Path) -> None:
    words = ("import", place / "in", "--store", place / "data", "--exchange")
    assert "no ccxt class" not in call(*words, EXCHANGE).stdout
    assert "did you mean binanceusdm" in " ".join(call(*words, "binanceusd").stdout.split())


def test_another_writer_is_waited_for_with_a_word(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bt_margin.market.store import Dataset

    own = Dataset.writing

    def busy(dataset: Dataset, **told: Any) -> Any:
        told["told"]("waiting for another writer")
        return own(dataset, **told)

    monkeypatch.setattr(Dataset, "writing", busy)
    result = call("import", filled / "in", "--exchange", EXCHANGE, "--store", filled / "data")
    assert result.exit_code == 0
    assert result.stderr.splitlines() == ["bt-margin: waiting for another writer"] * 3


def test_a_damaged_dataset_is_listed_and_told(filled: Path) -> None:
    folder = Store(filled / "data").dataset(EXCHANGE, PERP, "ohlcv", "1h").folder
    (folder / "_manifest.json").write_text("{")
    result = call("list", "--store", filled / "data")
    assert result.exit_code == 2
    assert "damaged" in result.stdout
    assert "bt-margin check" in one_line(result)


@pytest.mark.parametrize("shape", ["ccxt", "binance", "freqtrade", "split", "csv", "parquet"])
def test_export_tells_what_it_wrote(filled: Path, shape: str) -> None:
    words = ("--exchange", EXCHANGE, "--store", filled / "data", "--shape", shape)
    out = filled / "deep" / "out"
    result = call("export", *words, "--out", out)
    assert result.exit_code == 0, result.stderr
    files = {str(path) for path in out.rglob("*.*") if not path.name.endswith(".meta.json")}
    assert files
    lines = result.stdout.splitlines()
    assert {line.strip() for line in lines if line.startswith("  ")} == files
    assert re.match(rf"{PERP}: .*ohlcv 30", lines[0])
    told = document(call("export", *words, "--out", out, "--json"))
    assert set(told["symbols"][0]["files"]) == files
    quiet = call("export", *words, "--out", out, "--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")


def test_what_was_exported_comes_back(filled: Path) -> None:
    words = ("--exchange", EXCHANGE, "--store", filled / "data", "--shape", "binance")
    call("export", *words, "--out", filled / "out")
    other = filled / "other"
    assert call("import", filled / "out", "--exchange", EXCHANGE, "--store", other).exit_code == 0
    for each in Store(filled / "data").datasets():
        twin = Store(other).dataset(each.exchange, each.symbol, each.kind, each.timeframe)
        assert twin.read().equals(each.read())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--exchange", "kraken"], "nothing of kraken in the store"),
        (["--symbols", "BTD/USDT:USDT"], "did you mean BTC/USDT:USDT?"),
        (["--shape", "freqtrad"], "did you mean freqtrade?"),
        (["--kinds", "marks"], "unknown kind"),
        (["--since", "soon"], "--since is not a time"),
        (["--since", "2030-01-01"], "nothing written"),
        (["--timeframe", "4h"], "no bars of BTC/USDT:USDT in 4h"),
    ],
)
def test_a_mistake_in_an_export_is_one_line(filled: Path, words: list[str], told: str) -> None:
    usual = {"--exchange": EXCHANGE, "--shape": "ccxt"}
    usual.update(dict(zip(words[::2], words[1::2], strict=True)))
    options = [part for pair in usual.items() for part in pair]
    result = call("export", *options, "--store", filled / "data", "--out", filled / "out")
    assert result.exit_code == 2
    assert told in one_line(result)


def test_help_loads_neither_pandas_nor_ccxt() -> None:
    code = (
        "import sys, bt_margin.cli.store_verbs\n"
        "assert not {'pandas', 'pyarrow', 'ccxt', 'rich.table'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
