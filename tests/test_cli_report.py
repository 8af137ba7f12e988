"""Reports from the command line, and what a terminal shows: widths, encodings, pipes, colours, JSON."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console
from studies.worlds import BTC, ETH, Cycle, Hedge, Hold, flat_venue, frame
from typer.testing import CliRunner, Result

from bt_margin.cli import result as results
from bt_margin.cli import shell
from bt_margin.cli.app import app
from bt_margin.cli.help import continued
from bt_margin.market.files import load_market, save_market
from bt_margin.report import numbers as n
from bt_margin.report import terminal
from bt_margin.report.verdict import verdict
from bt_margin.studies.compare import compare as run_both
from bt_margin.studies.comparison import Comparison

COMMAND = [sys.executable, "-W", "ignore", "-c", "from bt_margin.cli import main; main()"]
UP = [100.0, 100.0, *[100.0 + 2.0 * i for i in range(1, 20)]]
ESCAPE = "\x1b"
STRATEGY = """
import backtrader as bt

class Hedge(bt.Strategy):
    params = (("exposure", 3.0),)

    def next(self):
        if len(self) == 1:
            self.order_target_percent(self.datas[0], target=self.p.exposure)
            self.order_target_percent(self.datas[1], target=-self.p.exposure)
"""
SCRIPT = """
import backtrader as bt
import pandas as pd

class Hold(bt.Strategy):
    def next(self):
        if len(self) == 1:
            self.buy(size=1)

def made(cash):
    cerebro = bt.Cerebro()
    index = pd.date_range("2025-01-01", periods=9, freq="h")
    bars = pd.DataFrame({c: 100.0 for c in ("open", "high", "low", "close", "volume")}, index)
    cerebro.adddata(bt.feeds.PandasData(dataname=bars), name="BTC/USDT:USDT")
    cerebro.addstrategy(Hold)
    cerebro.broker.setcash(cash)
    cerebro.run()

made(1000)
"""


def call(*words: str | Path) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


def one_line(result: Result) -> str:
    """The error of a command: one line on stderr and exit code 2."""
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("bt-margin: error: ")
    return result.stderr


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a strategy, a script and a market of two symbols."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "told.py").write_text(STRATEGY)
    (folder / "script.py").write_text(SCRIPT)
    save_market({BTC: frame(UP), ETH: frame(UP)}, folder / "market")
    return folder


def words(place: Path, *more: str | Path) -> list[str]:
    """``compare`` on the folder's strategy and market."""
    where = f"{place / 'told.py'}:Hedge"
    return ["compare", where, "--data", str(place / "market"), *map(str, more)]


@pytest.fixture(scope="module")
def kept(place: Path) -> Path:
    """A folder that ``compare --out`` wrote."""
    result = call(*words(place, "--out", place / "kept"))
    assert result.exit_code == 0, result.output
    return place / "kept"


# -- pages -------------------------------------------------------------------------------------------


def test_the_page_is_made_again_without_the_run_to_the_letter(kept: Path, tmp_path: Path) -> None:
    result = call("report", kept, "--out", tmp_path / "deep" / "again.html")
    assert result.exit_code == 0, result.output
    made = (tmp_path / "deep" / "again.html").read_text(encoding="utf-8")
    assert made == (kept / "report.html").read_text(encoding="utf-8")
    flat = " ".join(result.stdout.split())
    assert "ended with" in flat
    assert "again.html" in flat


def test_without_out_the_page_of_the_folder_is_written_anew(kept: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("bundle.json", "bundle.npz"):
        (copy / name).write_bytes((kept / name).read_bytes())
    assert call("report", copy, "--quiet").stdout == ""
    assert (copy / "report.html").read_bytes() == (kept / "report.html").read_bytes()


def test_report_prints_one_json_document(kept: Path, tmp_path: Path) -> None:
    page = tmp_path / "x.html"
    document = json.loads(call("report", kept, "--out", page, "--json").stdout)
    assert document["files"] == [str(page)]
    assert document["headline"]["liquidations"]["isolated"] == 1


def damaged(kept: Path, folder: Path, **texts: Any) -> Path:
    """A copy of a kept folder with other meta data."""
    folder.mkdir()
    meta = json.loads((kept / "bundle.json").read_text(encoding="utf-8"))
    for name, value in texts.items():
        meta.pop(name) if value is None else meta.update({name: value})
    (folder / "bundle.json").write_text(json.dumps(meta), encoding="utf-8")
    (folder / "bundle.npz").write_bytes((kept / "bundle.npz").read_bytes())
    return folder


def test_a_folder_that_is_none_is_said_in_plain_words(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("mine")
    for name in ("nowhere", "empty", "file"):
        line = one_line(call("report", tmp_path / name))
        assert name in line
        assert "Error" not in line
    assert "compare --out" in one_line(call("report", tmp_path / "empty"))
    assert not (tmp_path / "nowhere").exists()
    assert (tmp_path / "file").read_text() == "mine"


def test_another_format_and_damaged_files_are_named(kept: Path, tmp_path: Path) -> None:
    assert "format 99" in one_line(call("report", damaged(kept, tmp_path / "a", format=99)))
    assert "verdict" in one_line(call("report", damaged(kept, tmp_path / "b", verdict=None)))
    assert "damaged" in one_line(
        call("report", damaged(kept, tmp_path / "c", headline={"rows": 3}))
    )
    cut = damaged(kept, tmp_path / "d")
    (cut / "bundle.npz").write_bytes((kept / "bundle.npz").read_bytes()[:200])
    assert "damaged" in one_line(call("report", cut))
    torn = damaged(kept, tmp_path / "e")
    (torn / "bundle.json").write_text('{"format": 1,')
    assert "damaged" in one_line(call("report", torn))
    bare = damaged(kept, tmp_path / "f")
    (bare / "bundle.npz").unlink()
    assert "bundle.npz" in one_line(call("report", bare))
    assert not any(folder.joinpath("report.html").exists() for folder in tmp_path.iterdir())


def test_compare_writes_a_page_alone(place: Path, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "out.html"
    result = call(*words(place, "--report", page))
    assert result.exit_code == 0, result.output
    assert [path.name for path in page.parent.iterdir()] == ["out.html"]
    assert f"report: {page}" in result.stdout.replace("\n", " ")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_folder_and_page_together_are_the_same_page(place: Path, tmp_path: Path) -> None:
    page, out = tmp_path / "out.html", tmp_path / "out"
    document = json.loads(call(*words(place, "--report", page, "--out", out, "--json")).stdout)
    assert page.read_bytes() == (out / "report.html").read_bytes()
    assert {str(page), str(out / "report.html"), str(out / "bundle.npz")} <= set(document["files"])
    same = call(*words(place, "--report", out / "report.html", "--out", out, "--json"))
    assert json.loads(same.stdout)["files"].count(str(out / "report.html")) == 1


def test_a_page_that_has_no_place_is_refused_before_anything_runs(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bt_margin.studies.compare.compare", None)
    (tmp_path / "file").write_text("")
    folder = one_line(call(*words(place, "--report", tmp_path)))
    assert "--report" in folder
    assert "report.html" in folder
    assert "cannot write" in one_line(call(*words(place, "--report", tmp_path / "file" / "x.html")))
    run = call("run", place / "script.py", "--report", tmp_path)
    assert "--report" in one_line(run)


def test_run_writes_a_page_for_every_run_of_the_script(place: Path, tmp_path: Path) -> None:
    one = call("run", place / "script.py", "--report", tmp_path / "one.html")
    assert one.exit_code == 0, one.output
    twice = place / "twice.py"
    twice.write_text(SCRIPT + "made(2000)\n")
    result = call("run", twice, "--report", tmp_path / "all.html", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert {"one.html", "all-run1.html", "all-run2.html"} <= {p.name for p in tmp_path.iterdir()}
    assert (tmp_path / "out" / "run2" / "bundle.json").exists()
    again = call("report", tmp_path / "out" / "run2", "--out", tmp_path / "again.html")
    assert again.exit_code == 0, again.output
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "all-run2.html").read_bytes()


# -- JSON --------------------------------------------------------------------------------------------


def test_the_document_has_the_numbers_of_the_frames(place: Path) -> None:
    document = json.loads(call(*words(place, "--json", "--bounds")).stdout)
    sys.path.insert(0, str(place))
    try:
        from told import Hedge as Told
    finally:
        sys.path.remove(str(place))
    result = run_both(
        Told, load_market(place / "market"), venue="binance", leverage=10.0, bounds=True
    )
    frame_of = json.loads(json.dumps(shell.finite(result.summary.to_dict(orient="index"))))
    assert document["summary"] == frame_of
    pieces = result.divergence.to_frame()
    assert [p["worth"] for p in document["divergence"]] == list(pieces["worth"])
    ends = {name: result.equity[name].iloc[-1] for name in result.runs}
    assert {name: own["final_equity"] for name, own in document["summary"].items()} == ends
    (fall,) = document["waterfalls"]
    assert (fall["start"], fall["end"]) == (ends["cross"], ends["isolated"])
    gap = sum(step["value"] for step in fall["steps"])
    assert fall["start"] + gap == pytest.approx(fall["end"], abs=1e-9)
    fallen = result.events[result.events["kind"] == "liquidation"]
    assert [row["price"] for row in document["liquidations"]] == list(fallen["price"])
    for name, years in document["months"].items():
        total = np.prod([1.0 + year["total"] for year in years]) - 1.0
        assert total == pytest.approx(result.summary.loc[name, "total_return"], abs=1e-12)
    assert document["bars"] == len(result.index)
    assert document["from"] == result.index[0].isoformat()
    assert document["verdict"] == verdict(result)
    assert document["scenarios"] == list(result.runs)
    assert document["stamp"]["data_hash"] == result.stamp["data_hash"]


def test_every_key_of_the_document_is_explained(place: Path) -> None:
    document = json.loads(call(*words(place, "--json")).stdout)
    told = results.document.__doc__ or ""
    nested = [*document["waterfalls"][0], *document["waterfalls"][0]["steps"][0]]
    nested += [*document["liquidations"][0], *next(iter(document["months"].values()))[0]]
    for key in [*document, *nested]:
        assert f"``{key}``" in told or key == "year", key


def test_quiet_and_json_say_nothing_else(place: Path, tmp_path: Path) -> None:
    quiet = call(*words(place, "--quiet", "--out", tmp_path / "a", "--report", tmp_path / "b.html"))
    assert quiet.stdout.count("\n") == 1
    assert quiet.stderr == ""
    assert (tmp_path / "b.html").exists()
    as_json = call(*words(place, "--json"))
    assert json.loads(as_json.stdout)
    assert as_json.stderr == ""


# -- the terminal ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hedge() -> Comparison:
    """A hedge: healthy under cross, one leg cut under isolated."""
    return run_both(Hedge, {BTC: frame(UP), ETH: frame(UP)}, venue=flat_venue(), leverage=10,
                    cash=1_000)  # fmt: skip


@pytest.fixture(scope="module")
def parted() -> Comparison:
    """A long fight of two modes with many liquidations."""
    closes = ([30_000.0] * 3 + [26_400.0, 30_000.0, 30_000.0]) * 30
    return run_both(Cycle, {BTC: frame(closes)}, venue=flat_venue(taker_fee=0.0005), leverage=10,
                    cash=12_345_678.9, params={"exposure": 2.0})  # fmt: skip


def curve_of(line: str, name: str) -> str:
    """The blocks of a sparkline."""
    return line.removeprefix(name).strip().rsplit("  ", 1)[0].rstrip()


def test_sparklines_have_one_scale_and_the_final_equity(hedge: Comparison) -> None:
    cross, isolated, told = terminal.sparklines(hedge, 80)
    assert cross == "cross     ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁  1,000.00"
    assert isolated.startswith("isolated  ▁▁▁▁▁▁✕▂")
    assert isolated.endswith("█  1,856.42")
    assert told == "equity, 1,000.00 to 1,856.42 USDT; ✕ liquidation"
    plain = terminal.sparklines(hedge, 80, ascii_only=True)
    assert all(line.isascii() for line in plain)
    assert "......X::" in plain[1]


def test_every_column_is_the_last_equity_of_its_bars(parted: Comparison) -> None:
    for width in (60, 80, 133):
        (values, fallen), _ = terminal.drawn_curves(parted, width)
        assert len(values) == width
        edges = [(k + 1) * len(parted.index) // width for k in range(width)]
        expected = parted.equity["cross"].to_numpy()[np.array(edges) - 1]
        assert values.tolist() == expected.tolist()
        events = parted.events
        own = events[(events["kind"] == "liquidation") & (events["scenario"] == "cross")]
        bars = parted.index.searchsorted(own["time"], side="right") - 1
        assert fallen == {int(np.searchsorted(edges, bar, side="right")) for bar in bars}


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120, 300])
def test_sparklines_fit_whatever_the_width(parted: Comparison, width: int) -> None:
    lines = terminal.sparklines(parted, width)
    curves = [line for line in lines if set(line) & set(terminal.BLOCKS)]
    assert len(curves) == 2
    assert all(cell_len(line) <= width for line in curves)
    ends = [n.money(run.final) for run in parted.runs.values()]
    assert [line.rsplit("  ", 1)[1].strip() for line in curves] == ends


def test_long_and_wide_names_get_a_line_of_their_own() -> None:
    names = {"全仓" * 10: {"margin_mode": "cross"}, "b": {"margin_mode": "isolated"}}
    result = run_both(Hold, {BTC: frame(UP)}, venue=flat_venue(), scenarios=names, leverage=10)
    lines = terminal.sparklines(result, 60)
    assert lines[0] == "全仓" * 10
    assert lines[1].startswith("  ▁")
    wide = terminal.sparklines(result, 120)
    assert wide[0].startswith("全仓" * 10 + "  ▁")
    assert cell_len(wide[0]) == cell_len(wide[1])


def test_many_crosses_stand_below_the_curve(parted: Comparison) -> None:
    lines = terminal.sparklines(parted, 80)
    assert [set(line) <= {"✕", " "} for line in lines] == [False, False, True, False]
    assert "✕" not in lines[1]


@pytest.mark.parametrize("closes", [[100.0], [100.0] * 5, [100.0, 100.0, 50.0, 1.0, 1.0]])
def test_one_bar_flat_and_dead_accounts_are_drawn(closes: list[float]) -> None:
    result = run_both(Hold, {BTC: frame(closes)}, venue=flat_venue(), leverage=10)
    lines = terminal.sparklines(result, 80)
    assert len(lines) == 3
    assert len(curve_of(lines[0], "cross")) == len(closes)


def shown(result: Comparison, width: int) -> str:
    """What ``compare`` prints at this many columns."""
    console = Console(width=width, record=True, file=io.StringIO(), highlight=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shell, "stdout", lambda: console)
        results.show(result)
    return console.export_text()


def test_the_steps_add_up_to_the_difference(parted: Comparison) -> None:
    lines = shown(parted, 80).split("\n")
    start = next(i for i, line in enumerate(lines) if line.strip().startswith("made of"))
    worths = []
    for line in lines[start + 2 :]:
        label, worth = re.split(r"\s{2,}", line.strip())
        worths.append(float(worth.replace(",", "")))
        if label == "difference":
            break
    gap = parted.equity["isolated"].iloc[-1] - parted.equity["cross"].iloc[-1]
    assert sum(worths[:-1]) == pytest.approx(worths[-1], abs=0.005 * len(worths))
    assert worths[-1] == pytest.approx(gap, abs=0.005)


def test_the_dearest_liquidations_are_shown_in_order_of_time(parted: Comparison) -> None:
    text = shown(parted, 80)
    assert "those that cost most" in text
    part = text[text.index("Liquidations (") :]
    times = re.findall(r"^\d{4}-\d\d-\d\d \d\d:\d\d", part, re.MULTILINE)
    assert len(times) == results.MOST
    assert times == sorted(times)
    fallen = [row for row in parted.events.itertuples() if row.kind == "liquidation"]
    worst = min(fallen, key=lambda row: row.realised - row.fee)
    assert f"{worst.time:%Y-%m-%d %H:%M}" in times


def test_no_number_is_parted_from_its_sign(parted: Comparison) -> None:
    for width in range(50, 110, 3):
        assert not re.search(r"^\s*%", shown(parted, width), re.MULTILINE)


def test_many_symbols_are_counted_not_listed() -> None:
    data = {f"C{i}/USDT:USDT": frame(UP) for i in range(12)}
    result = run_both(Hold, data, venue=flat_venue(), leverage=10)
    head = " ".join(shown(result, 80).split())
    assert "C3/USDT:USDT and 8 more" in head
    assert "C7/USDT:USDT 2025" not in head


# -- terminals, pipes, encodings ---------------------------------------------------------------------


def environment(**more: str) -> dict[str, str]:
    """This process's, without what would decide about colours and widths."""
    gone = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM", "PYTHONIOENCODING")
    return {k: v for k, v in os.environ.items() if k not in gone} | more


def on_a_terminal(arguments: list[str], columns: int, **more: str) -> str:
    """What a real terminal of this width is sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs,
        env=environment(TERM="xterm-256color", **more), close_fds=True,
    )  # fmt: skip
    os.close(theirs)
    sent = b""
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        sent += piece
    os.close(ours)
    assert process.wait() == 0, sent.decode()
    return sent.decode().replace("\r\n", "\n")


def in_a_pipe(arguments: list[str], **more: str) -> tuple[str, str]:
    """What a pipe is sent, in the encoding named: stdout and stderr."""
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, env=environment(**more), check=True
    )
    encoding = more.get("PYTHONIOENCODING", "utf-8")
    return done.stdout.decode(encoding), done.stderr.decode(encoding)


def test_a_terminal_of_80_columns_gets_lines_that_fit_and_colours(place: Path) -> None:
    text = on_a_terminal(words(place), 80)
    assert f"{ESCAPE}[1m" in text
    assert f"{ESCAPE}[1;31m✕" in text
    bare = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert max(map(cell_len, bare.split("\n"))) <= 80
    assert "▁▁▁▁▁▁✕" in bare


def test_no_color_on_a_terminal_leaves_no_colour(place: Path) -> None:
    text = on_a_terminal(words(place), 60, NO_COLOR="1")
    codes = re.findall(r"\x1b\[([0-9;]*)m", text)
    assert not [code for each in codes for code in each.split(";") if code and int(code) >= 30]
    bare = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert max(map(cell_len, bare.split("\n"))) <= 60


@pytest.mark.parametrize("more", [{}, {"FORCE_COLOR": "1", "TERM": "xterm-256color"}])
def test_a_pipe_gets_no_control_characters(place: Path, more: dict[str, str]) -> None:
    hostile = f"a{ESCAPE}[31m\x07:margin_mode=cross"
    arguments = words(place, "--scenario", hostile, "--scenario", "b:margin_mode=isolated")
    out, err = in_a_pipe(arguments, **more)
    assert err == ""
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", out)
    assert [line for line in out.split("\n") if line != line.rstrip(" ")] == []
    assert "a\ufffd[31m\ufffd" in out


def test_a_reader_that_leaves_early_is_no_fault(place: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)  # nobody reads
    process = subprocess.Popen(
        [*COMMAND, *words(place)], stdout=theirs, stderr=subprocess.PIPE, env=environment()
    )
    os.close(theirs)
    _, err = process.communicate()
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_a_terminal_of_another_encoding_gets_what_it_can_show(place: Path, encoding: str) -> None:
    out, err = in_a_pipe(words(place), PYTHONIOENCODING=encoding)
    assert err == ""
    assert "......X" in out
    assert ("×" in out) == (encoding == "latin-1")
    assert "isolated - cross" in out
    assert "?" not in out


def test_an_error_cannot_steer_the_terminal(place: Path) -> None:
    line = one_line(call(*words(place, "--symbols", f"A{ESCAPE}[2J")))
    assert ESCAPE not in line
    assert "\ufffd[2J" in line


def test_one_bar_shows_all_runs_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal_file = io.StringIO()
    console = Console(file=terminal_file, force_terminal=True, width=80)
    monkeypatch.setattr("rich.console.Console", lambda **_: console)
    monkeypatch.setattr(sys, "stderr", type("Tty", (io.StringIO,), {"isatty": lambda _: True})())
    monkeypatch.setattr(shell, "_PATIENCE", 0.0)
    with shell.progress(quiet=False, runs=2) as told:
        assert told is not None
        for label in ("[b]cross", "isolated", "isolated"):  # repeated: finer bars were fetched
            for share in (0.25, 0.5, 1.0):
                told(label, share)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal_file.getvalue())
    assert re.search(r"\[b\]cross \(1 of 2\) .* 12% .*left", text)
    assert re.search(r"isolated \(2 of 2\) .* 75% .*left", text)
    assert re.search(r"isolated \(3 of 3\) .*100% .*left", text)
    with shell.progress(quiet=True) as told:
        assert told is None


# -- help --------------------------------------------------------------------------------------------


def test_the_options_of_compare_stand_in_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = call("compare", "--help").stdout
    assert re.findall(r"^(\w+):$", text, re.MULTILINE) == [
        "Arguments", "Market", "Account", "Study", "Output",
    ]  # fmt: skip
    sections = dict(re.findall(r"^(\w+):\n((?:  .*\n)+)", text, re.MULTILINE))
    assert "--exchange NAME" in sections["Market"]
    assert "--leverage NUMBER" in sections["Account"]
    assert "--scenario NAME:KEY=VALUE" in sections["Study"]
    assert all(f"  {name}" in sections["Output"] for name in ("--report FILE", "-h, --help"))


def test_a_verb_of_few_options_has_them_in_one_section() -> None:
    text = call("report", "--help").stdout
    assert re.findall(r"^(\w+):$", text, re.MULTILINE) == ["Arguments", "Options"]


@pytest.mark.parametrize(
    "verb",
    [
        *("compare", "run", "report", "download", "check", "list", "import", "export", "sample"),
        *("calc", "verify", "venues"),
    ],
)
def test_help_fits_80_columns_and_any_encoding(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = call(verb, "--help").stdout
    assert max(map(len, text.split("\n"))) <= 80
    assert text.isascii()
    assert f"Example: bt-margin {verb}" in text


def test_an_example_that_is_long_goes_on_after_a_backslash() -> None:
    command = "Example: bt-margin compare my.py --exchange okx --symbols BTC/USDT:USDT --offline"
    lines = continued(command, 50)
    assert all(len(line) <= 50 for line in lines)
    assert " ".join(line.removesuffix("\\").strip() for line in lines) == command
    assert "--symbols BTC/USDT:USDT" in " ".join(line.strip() for line in lines)
