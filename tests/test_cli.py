"""The command line: verbs, exit codes, errors of one line, JSON, files."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from studies.worlds import BTC, ETH, Cycle, flat_venue, frame
from typer.testing import CliRunner, Result

from bt_margin.cli import compare as compare_verb
from bt_margin.cli import layout, shell
from bt_margin.cli import result as results
from bt_margin.cli.app import app
from bt_margin.market.files import save_market
from bt_margin.report import tables
from bt_margin.studies.compare import compare as run_both
from bt_margin.studies.comparison import Comparison
from bt_margin.venues import venue as make_venue

COMMAND = [sys.executable, "-W", "ignore", "-c", "from bt_margin.cli import main; main()"]
UP = [100.0, 100.0, *[100.0 + 2.0 * i for i in range(1, 20)]]
HEDGE = """
import backtrader as bt

class Hedge(bt.Strategy):
    params = (("exposure", 3.0),)

    def next(self):
        if len(self) == 1:
            self.order_target_percent(self.datas[0], target=self.p.exposure)
            self.order_target_percent(self.datas[1], target=-self.p.exposure)

class Fails(bt.Strategy):
    def next(self):
        1 / 0
"""


def call(*words: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a strategy file and a market of two symbols."""
    monkeypatch.setattr(sys, "path", list(sys.path))  # a strategy's folder becomes importable
    (tmp_path / "mine.py").write_text(HEDGE)
    save_market({BTC: frame(UP), ETH: frame(UP)}, tmp_path / "market")
    return tmp_path


def compare(place: Path, *words: str, strategy: str = "Hedge") -> Result:
    """``bt-margin compare`` on the folder's strategy and market."""
    where = f"{place / 'mine.py'}:{strategy}"
    return call("compare", where, "--data", str(place / "market"), *words)


def one_line(result: Result) -> str:
    """The error of a command: one line on stderr, no traceback."""
    assert result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.output
    assert result.stderr.startswith("bt-margin: error: ")
    return result.stderr


def test_compare_shows_the_table_the_verdict_and_the_liquidation(place: Path) -> None:
    result = compare(place, "--leverage", "10")
    assert result.exit_code == 0, result.stderr
    for part in ("cross", "isolated", "difference", "final equity", "Where the curves part"):
        assert part in result.stdout
    assert "isolated was liquidated" in " ".join(result.stdout.split())
    assert "\x1b[" not in result.stdout


def test_compare_writes_everything_into_the_folder(place: Path) -> None:
    out = place / "out"
    result = compare(place, "--leverage", "10", "--out", str(out))
    assert result.exit_code == 0, result.stderr
    names = {path.name for path in out.iterdir()}
    assert {"equity.csv", "equity.parquet", "summary.csv", "events.parquet"} <= names
    assert {"equity.svg", "report.html", "divergence.csv"} <= names
    assert list(pd.read_csv(out / "equity.csv").columns) == ["time", "cross", "isolated"]


def test_compare_prints_one_json_document(place: Path) -> None:
    result = compare(place, "--leverage", "10", "--json", "--bounds")
    document = json.loads(result.stdout)
    assert document["summary"]["isolated"]["liquidations"] == 1
    assert document["settings"]["cross"]["leverage"] == 10
    assert document["liquidations"][0]["certainty"] == "certain"
    assert document["synthetic"] is False
    (statement,) = document["venues"]
    rules = make_venue("binance")
    assert statement["exact"] == list(rules.exact)
    assert statement["approximated"] == list(rules.approximations)
    assert statement["absent"] == list(rules.absent)
    worths = [piece["worth"] for piece in document["divergence"]]
    finals = [document["summary"][name]["final_equity"] for name in ("cross", "isolated")]
    assert sum(worths) == pytest.approx(finals[1] - finals[0], abs=0.005)


def test_quiet_prints_the_verdict_alone(place: Path) -> None:
    result = compare(place, "--quiet")
    assert result.stdout.count("\n") == 1
    assert "ended with" in result.stdout


def test_parameters_and_scenarios_come_from_the_command_line(place: Path) -> None:
    result = compare(
        place, "--json", "--set", "exposure=0.5",
        "--scenario", "low:leverage=2,margin_mode=isolated", "--scenario", "high:leverage=20",
    )  # fmt: skip
    document = json.loads(result.stdout)
    assert list(document["summary"]) == ["low", "high"]
    assert document["stamp"]["params"] == {"exposure": 0.5}
    assert document["settings"]["low"]["margin_mode"] == "isolated"


def test_margin_calls_slippage_and_dates_reach_the_run(place: Path) -> None:
    result = compare(
        place, "--json", "--margin-call", "0.5", "--margin-call", "0.8", "--liquidation-slippage",
        "0.001", "--auto-top-up", "--since", "2025-01-01 02:00", "--until", "2025-01-01 12:00",
    )  # fmt: skip
    document = json.loads(result.stdout)
    settings = document["settings"]["cross"]
    assert settings["margin_calls"] == [0.5, 0.8]
    assert (settings["liquidation_slippage"], settings["auto_top_up"]) == (0.001, True)
    assert document["summary"]["cross"]["bars"] == 10


def test_a_venue_can_be_stated_number_by_number(place: Path) -> None:
    numbers = {
        "maintenance_rate": 0.01, "taker_fee": 0.0, "maker_fee": 0.0, "liquidation_fee": 0.0,
        "funding_interval": "8h", "residual": "trader",
    }  # fmt: skip
    words = [word for name, value in numbers.items() for word in ("--rule", f"{name}={value}")]
    document = json.loads(compare(place, "--json", "--venue", "generic", *words).stdout)
    assert document["summary"]["cross"]["fees"] == 0.0
    (fallen,) = document["liquidations"]
    assert "(1.00 % of" in fallen["explanation"]
    bare = compare(place, "--venue", "generic")
    assert bare.exit_code == 2
    assert "maintenance_rate" in one_line(bare)


def test_without_data_it_runs_on_the_sample_and_says_synthetic(place: Path) -> None:
    where = f"{place / 'mine.py'}:Hedge"
    words = ["--symbols", "BTCUSDT,ETHUSDT", "--since", "2025-10-01", "--until", "2025-10-14"]
    result = call("compare", where, *words)
    assert result.exit_code == 0, result.stderr
    assert "SYNTHETIC market" in result.stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--venue", "binanse"], "did you mean"),
        (["--set", "exposur=1"], "did you mean exposure"),
        (["--set", "exposure"], "name=value"),
        (["--scenario", "broken"], "name:key=value"),
        (["--scenario", "a:leverag=1"], "did you mean leverage"),
        (["--scenario", "x:mode=cross"], "did you mean margin_mode"),
        (["--scenario", "x:exposure=2"], "--set exposure=2"),
        (["--leverage", "500"], "leverage"),
        (["--leverage", "-1"], "leverage"),
        (["--cash", "0"], "cash"),
        (["--symbols", "SOLUSDT"], "SOL"),
        (["--since", "yesterday-ish"], "since"),
        (["--since", "2031-01-01"], "2031"),
        (["--intrabar", "worst"], "adverse"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(place: Path, words: list[str], text: str) -> None:
    result = compare(place, *words)
    assert result.exit_code == 2, result.output
    assert text in one_line(result)


def test_a_strategy_that_is_not_there_offers_the_nearest(place: Path) -> None:
    result = compare(place, strategy="Hedg")
    assert result.exit_code == 2
    assert "did you mean Hedge" in one_line(result)
    result = call("compare", str(place / "mein.py"))
    assert result.exit_code == 2
    assert "mine.py" in one_line(result)


def test_a_strategy_that_fails_is_exit_code_1_with_its_line(place: Path) -> None:
    result = compare(place, strategy="Fails")
    assert result.exit_code == 1
    assert "ZeroDivisionError" in one_line(result)
    assert "mine.py, line" in result.stderr


def test_a_parameter_the_strategy_cannot_use_is_named_with_its_value(place: Path) -> None:
    result = compare(place, "--set", "exposure=two")
    assert result.exit_code == 1
    assert "Hedge failed with exposure='two': TypeError" in one_line(result)


def test_a_number_that_is_none_is_said_shortly(place: Path) -> None:
    for verb in (("compare", "x.py"), ("calc", "BTCUSDT")):
        result = call(*verb, "--leverage", "abc")
        assert result.exit_code == 2
        assert "'abc' is not a number" in result.stderr
        assert "parse" not in result.stderr


def test_broken_data_is_named(place: Path) -> None:
    (place / "market" / "BTC_USDT_USDT_1h.csv").write_text("timestamp,open\n1,2\n")
    result = call("compare", f"{place / 'mine.py'}:Hedge", "--data", str(place / "nowhere"))
    assert result.exit_code == 2
    assert "nowhere" in one_line(result)


def test_nothing_is_left_half_written_when_the_folder_cannot_be_made(place: Path) -> None:
    (place / "file").write_text("")
    result = compare(place, "--out", str(place / "file" / "out"))
    assert result.exit_code == 2
    assert "cannot write" in one_line(result)


def test_an_unknown_option_is_exit_code_2() -> None:
    assert call("compare", "x.py", "--levrage", "3").exit_code == 2


@pytest.mark.parametrize("verb", ["compare", "sample", "calc"])
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    result = call(verb, "--help")
    assert result.exit_code == 0
    assert f"Example: bt-margin {verb}" in result.stdout


def test_calc_agrees_with_the_worked_example_of_binance() -> None:
    words = ["ETH/USDT:USDT", "--size", "3683.979", "--entry", "1456.84", "--mmr", "0.1"]
    words += ["--maintenance-amount", "135365", "--margin", "1535443.01", "--json"]
    result = call("calc", *words)
    (position,) = json.loads(result.stdout)["positions"]
    assert position["liquidation_price"] == pytest.approx(1114.78, abs=0.01)


def test_calc_takes_a_value_in_place_of_a_size_and_shows_a_table() -> None:
    words = ["BTCUSDT", "--side", "short", "--notional", "30000", "--entry", "60000"]
    result = call("calc", *words)
    assert result.exit_code == 0, result.stderr
    assert "short BTC/USDT:USDT" in result.stdout
    assert "liquidation price" in result.stdout
    assert call("calc", *words, "--quiet").stdout.count("\n") == 1


def test_calc_judges_several_positions_on_one_wallet() -> None:
    words = ["--mode", "cross", "--wallet", "5000", "--json"]
    words += ["--position", f"{BTC},long,0.5,60000", "--position", f"{ETH},short,5,3000,2900"]
    first, second = json.loads(call("calc", *words).stdout)["positions"]
    assert first["equity"] == second["equity"] == pytest.approx(5_500.0)
    assert first["liquidation_price"] < 60_000 < 2 * second["liquidation_price"] * 20


def test_calc_on_explicit_numbers_needs_no_table() -> None:
    words = ["--venue", "generic", "--mmr", "0.005", "--taker", "0", "--json"]
    result = call("calc", "XYZ", "--size", "1", "--entry", "50000", *words)
    (position,) = json.loads(result.stdout)["positions"]
    assert position["liquidation_price"] == pytest.approx(45_226.13, abs=0.01)
    assert position["affordable_size"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "no position given"),
        (["BTCUSDT"], "--entry"),
        (["BTCUSDT", "--size", "1", "--notional", "1", "--entry", "1"], "one of --size"),
        (["BTCUSDT", "--size", "-1", "--entry", "1"], "above 0"),
        (["BTCUSDT", "--size", "1", "--entry", "1", "--side", "up"], "long, short"),
        (["BTCUSDT", "--size", "1", "--entry", "1", "--mode", "cross"], "--wallet"),
        (["BTCUSDT", "--size", "1", "--entry", "1", "--max-leverage", "5"], "--mmr"),
        (["BTXUSDT", "--size", "1", "--entry", "1"], "did you mean"),
        (["--position", "BTC,long,1"], "symbol,long|short,size,entry"),
    ],
)
def test_calc_refuses_what_cannot_be_meant(words: list[str], text: str) -> None:
    result = call("calc", *words)
    assert result.exit_code == 2, result.output
    assert text in one_line(result)


def test_sample_writes_and_tells(tmp_path: Path) -> None:
    result = call("sample", "--folder", str(tmp_path), "--json")
    document = json.loads(result.stdout)
    assert document["synthetic"] is True
    assert len(document["symbols"]) == 4
    assert list(tmp_path.rglob("*.parquet"))
    assert "SYNTHETIC" in call("sample", "--folder", str(tmp_path)).stdout


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from bt_margin.cli import app; "
        "heavy = {'pandas', 'numpy', 'backtrader', 'plotly', 'ccxt', 'numba'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    started = time.perf_counter()
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True)
    assert time.perf_counter() - started < 3.0  # a busy machine; alone it takes a tenth of a second
    assert "compare" in done.stdout


def test_a_pipe_gets_plain_text_and_stderr_stays_empty(place: Path) -> None:
    words = ["compare", f"{place / 'mine.py'}:Hedge", "--data", str(place / "market")]
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=True)
    assert "\x1b[" not in done.stdout
    assert done.stderr == ""


NUMBER = re.compile(r"^[+-]?[\d,]+(\.\d+)?(e-?\d+)?( %|×)?$|^\d{4}-\d\d-\d\d \d\d:\d\d$")
REASONS = ("isolated was liquidated out of its", "The mark reached", "was refused an order")


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    """A long fight of two modes with large numbers, labelled by bounds."""
    closes = ([30_000.0] * 3 + [26_400.0, 30_000.0, 30_000.0]) * 6
    return run_both(
        Cycle, {BTC: frame(closes)}, venue=flat_venue(taker_fee=0.0005), leverage=10,
        cash=12_345_678.9, params={"exposure": 2.0}, bounds=True,
    )  # fmt: skip


def shown(result: Comparison, width: int) -> str:
    """What the terminal shows at this many columns."""
    console = Console(width=width, record=True, file=io.StringIO(), highlight=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shell, "stdout", lambda: console)
        results.show(result)
    return console.export_text()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 149, 150, 160, 170, 220])
def test_no_number_or_date_is_cut_and_the_reason_is_always_there(
    parted: Comparison, width: int
) -> None:
    text = shown(parted, width)
    lines = text.split("\n")
    assert max(len(line.rstrip()) for line in lines) <= width
    assert "…" not in text
    whole = re.split(r"\s{2,}", text.replace("\n", "  "))
    for row in tables.headline(parted)[1:]:
        for cell in row[1:]:
            assert cell == "" or cell in whole, cell
    flat = " ".join(text.split())
    first = tables.liquidation_rows(parted)[1]
    assert first[0] in text
    assert tables.episodes(parted, most=results.MOST)[1][-1].split(";")[0] in flat or width >= 150
    assert all(word in flat for word in REASONS[:1])
    assert "maintenance margin of" in flat


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_narrow_terminal_gets_the_sentence_below_its_numbers(
    parted: Comparison, width: int
) -> None:
    lines = shown(parted, width).split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith("Where the curves part"))
    assert lines[start + 1].split() == ["from", "to", "worth"] or "made of" in lines[start + 1]
    assert NUMBER.match(lines[start + 3][:16])
    assert lines[start + 4].startswith("    isolated was liquidated out of its")


def test_many_scenarios_are_printed_a_few_columns_at_a_time() -> None:
    header = ["", *[f"scenario number {i}" for i in range(6)]]
    rows = [header, ["final equity", *["12,345,678.90"] * 6]]
    found = layout.parts(rows, 80)
    assert len(found) > 1
    assert [name for part in found for name in part[0][1:]] == header[1:]
    assert all(part[1][0] == "final equity" for part in found)


def test_the_folder_is_tried_before_anything_runs(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("ran before the folder was tried")

    monkeypatch.setattr(compare_verb, "_run", never)
    (place / "file").write_text("mine")
    for bad in (place / "file", place / "file" / "out"):
        result = compare(place, "--out", str(bad))
        assert result.exit_code == 2
        assert "cannot write into" in one_line(result)
    assert (place / "file").read_text() == "mine"


def test_the_table_comes_before_the_files_and_a_failed_write_leaves_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Comparison, path: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Comparison, "report", broken)
    out = place / "out"
    result = compare(place, "--out", str(out))
    assert result.exit_code != 0
    assert "final equity" in result.stdout
    assert "No space left" in one_line(result)
    assert list(out.iterdir()) == []
