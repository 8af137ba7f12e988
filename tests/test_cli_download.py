"""bt-margin download, and compare on an exchange: against a server that answers as the venue does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from market.loopback import Coin, Loopback, loopback, ms
from typer.testing import CliRunner, Result

from bt_margin.cli import download, shell
from bt_margin.cli.app import app
from bt_margin.market.download import FinerBars
from bt_margin.market.filling import Job, Progress
from bt_margin.market.store import Store

BTC = "BTC/USDT:USDT"
NOW = ms("2024-03-01 00:30")
TURNS = """
import backtrader as bt

class Turns(bt.Strategy):
    "Long and short in turns, with many times its money."

    params = (("exposure", 9.0),)

    def next(self):
        if len(self) % 48 == 1:
            side = 1 if len(self) % 96 == 1 else -1
            self.order_target_percent(target=side * self.p.exposure)
"""


@pytest.fixture
def server() -> Iterator[Loopback]:
    coins = (Coin("BTC", listed=ms("2024-01-01")), Coin("ETH", listed=ms("2024-01-01")))
    with loopback("binanceusdm", *coins, now=NOW) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, server: Loopback) -> Path:
    """A folder with the options that lead to the server, and a strategy."""
    (tmp_path / "options.json").write_text(json.dumps(server.exchange_options))
    (tmp_path / "turns.py").write_text(TURNS)
    return tmp_path


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def market(
    place: Path, *words: str, exchange: str = "binanceusdm", since: str = "2024-02-01"
) -> list[str]:
    return [
        "--exchange", exchange, "--symbols", BTC, "--since", since, "--store", str(place / "data"),
        "--exchange-options", str(place / "options.json"), *words,
    ]  # fmt: skip


def test_a_download_says_what_came_and_the_second_one_that_nothing_is_new(place: Path) -> None:
    first = call("download", *market(place))
    assert first.exit_code == 0, first.output
    assert "binanceusdm BTC/USDT:USDT mark 1h" in first.stdout
    assert "apiKey" in first.stdout  # why there are no tiers
    assert Store(place / "data").dataset("binanceusdm", BTC, "ohlcv", "1h").rows == 696
    second = call("download", *market(place, "--until", "2024-02-20"))
    assert second.exit_code == 0
    assert second.stdout.count("nothing new") == 3


def test_json_is_one_document_and_quiet_is_silent(place: Path) -> None:
    told = json.loads(call("download", *market(place, "--json", "--kinds", "ohlcv,funding")).stdout)
    assert told["complete"] is True
    assert [row["rows_fetched"] for row in told["datasets"]] == [696, 88]
    assert [row["error"] for row in told["datasets"]] == [None, None]
    assert call("download", *market(place, "--quiet")).output == ""


def test_exit_codes_tell_all_some_nothing_and_a_mistake(place: Path, server: Loopback) -> None:
    some = call("download", *market(place, "--kinds", "ohlcv,tiers"))
    assert some.exit_code == 3
    assert "API key" in some.stderr
    assert some.stderr.count("bt-margin: error:") == 1
    server.faults.add("451", times=50)
    nothing = call("download", *market(place, since="2024-01-01"))
    assert nothing.exit_code == 1
    assert "restricted" in nothing.stderr or "451" in nothing.stderr
    mistake = call("download", *market(place, exchange="binanceusd"))
    assert mistake.exit_code == 2
    assert "binanceusdm" in mistake.stderr


def test_compare_on_an_exchange_is_one_command(place: Path, server: Loopback) -> None:
    strategy = str(place / "turns.py")
    found = call(
        "compare", strategy, *market(place, "--leverage", "10", "--out", str(place / "out"))
    )
    assert found.exit_code == 0, found.output
    assert "isolated" in found.stdout
    assert (place / "out" / "report.html").is_file()
    count = sum(server.requests.values())
    again = call(
        "compare", strategy, *market(place, "--offline", "--until", "2024-03-01", "--quiet")
    )
    assert again.exit_code == 0, again.output
    assert sum(server.requests.values()) == count


def test_finer_bars_come_for_dangerous_bars_alone(place: Path, server: Loopback) -> None:
    words = market(place, "--leverage", "25", "--set", "exposure=24", "--detail", "1m")
    found = call("compare", str(place / "turns.py"), *words)
    assert found.exit_code == 0, found.output
    assert "walked along finer bars." in found.stdout
    minutes = Store(place / "data").dataset("binanceusdm", BTC, "ohlcv", "1m")
    assert 0 < minutes.rows < 60 * 60  # far fewer than the month's 41,760
    assert minutes.rows % 60 == 0


def test_a_venue_without_a_rule_book_is_asked_for(place: Path) -> None:
    found = call("compare", str(place / "turns.py"), *market(place, exchange="gate"))
    assert found.exit_code == 2
    assert "no rule book" in found.stderr
    assert "--venue" in found.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--exchange", "okx"], "needs --symbols as well"),
        (["--exchange", "okx", "--symbols", BTC], "needs --since as well"),
        (["--exchange", "okx", "--data", "."], "name two markets"),
        (["--offline"], "name the exchange"),
        (["--detail", "1m"], "name the exchange"),
    ],
)
def test_options_that_do_not_go_together(place: Path, words: list[str], told: str) -> None:
    found = call("compare", str(place / "turns.py"), "--venue", "binance", *words)
    assert found.exit_code == 2
    assert told in found.stderr


def test_an_options_file_that_is_none_is_one_line(place: Path) -> None:
    (place / "options.json").write_text("{")
    found = call("download", *market(place))
    assert found.exit_code == 2
    assert len(found.stderr.splitlines()) == 1
    assert "options.json" in found.stderr


def test_what_concerns_the_work_is_told_as_it_happens_and_not_kept(place: Path) -> None:
    found = call("download", *market(place, "--kinds", "ohlcv"))
    assert "this computer's clock" in found.stderr
    assert "this computer's" not in found.stdout
    told = json.loads(call("download", *market(place, "--json")).stdout)
    assert "this computer's" in "".join(told["asides"])
    assert "this computer's" not in "".join(told["notes"])


def test_quiet_is_not_silent_about_what_failed(place: Path) -> None:
    words = market(place, "--quiet")
    words[words.index(BTC)] = "ETC/USDT:USDT"
    found = call("download", *words)
    assert found.exit_code == 1
    assert found.stdout == ""
    [line] = found.stderr.splitlines()  # four datasets, one reason, one name
    assert line.startswith("bt-margin: error: binanceusdm ETC/USDT:USDT: binanceusdm has no market")


def test_a_reason_that_concerns_an_exchange_is_said_once(place: Path) -> None:
    found = call("download", *market(place, "--kinds", "tiers"))
    assert found.stderr.count("BTC/USDT:USDT") == 1
    words = market(place)
    words[words.index(BTC)] = f"{BTC},ETC/USDT:USDT"
    assert call("download", *words).stdout.count("API key") == 1


def test_a_mistake_in_a_policy_is_told_before_anything_is_fetched(
    place: Path, server: Loopback
) -> None:
    for option in ("--missing-funding", "--missing-marks"):
        found = call("compare", str(place / "turns.py"), *market(place, option, "nonsense"))
        assert found.exit_code == 2
        assert "unknown policy" in found.stderr
    found = call("compare", str(place / "missing.py"), *market(place))
    assert found.exit_code == 2
    assert call("compare", str(place / "turns.py"), *market(place, "--detail", "1x")).exit_code == 2
    assert not server.requests


def test_again_takes_over_what_the_venue_corrected_long_ago(place: Path, server: Loopback) -> None:
    call("download", *market(place, "--kinds", "ohlcv"))
    data = Store(place / "data").dataset("binanceusdm", BTC, "ohlcv", "1h")
    server.revise(BTC, "ohlcv", "1h", ms("2024-02-10"))
    server.revise(BTC, "ohlcv", "1h", ms("2024-02-20"))
    call("download", *market(place, "--kinds", "ohlcv"))
    assert not data.revisions  # only the newest bar is looked at again
    found = call("download", *market(place, "--kinds", "ohlcv", "--again"))
    assert "revised bars" in found.stdout
    assert [each.time for each in data.revisions] == [ms("2024-02-10"), ms("2024-02-20")]


def test_a_market_that_is_gone_can_be_used_from_the_store(place: Path, server: Loopback) -> None:
    call("download", *market(place))
    server.delist(BTC, ms("2024-02-20"), gone=True)
    found = call("download", *market(place))
    assert found.exit_code == 1
    assert "--offline" in found.stderr
    words = market(place, "--offline", "--quiet")
    assert call("compare", str(place / "turns.py"), *words).exit_code == 0


def test_gaps_before_the_first_bar_are_none_in_the_list(place: Path) -> None:
    call("download", *market(place, "--kinds", "ohlcv", since="2023-12-01"))
    [row] = json.loads(call("list", "--store", str(place / "data"), "--json").stdout)["datasets"]
    assert row["first"].startswith("2024-01-01")
    assert row["gap_bars"] == 0


def test_check_leaves_no_file_of_the_store_alone_and_export_overlooks_single_hours(
    place: Path, server: Loopback
) -> None:
    words = market(place)
    options = json.loads((place / "options.json").read_text())
    key = json.dumps(options | {"apiKey": "key", "secret": "secret"})
    (place / "options.json").write_text(key)
    call("download", *words)
    assert (place / "data/binanceusdm/BTC_USDT_USDT/tiers.json").is_file()
    told = json.loads(call("check", str(place / "data"), "--json").stdout)
    assert told["left_alone"] == []
    finer = FinerBars(
        "binanceusdm", "1m", store=place / "data", exchange_options=server.exchange_options
    )
    finer(BTC, [(ms("2024-02-02"), ms("2024-02-02 01:00"))])
    here = [
        "--store",
        str(place / "data"),
        "--exchange",
        "binanceusdm",
        "--out",
        str(place / "out"),
    ]
    found = call("export", *here, "--shape", "ccxt")
    assert found.exit_code == 0, found.output
    assert sorted(each.name for each in (place / "out").iterdir()) == [
        "BTC_USDT_USDT-funding.json", "BTC_USDT_USDT-mark-1h.csv", "BTC_USDT_USDT-ohlcv-1h.csv",
    ]  # fmt: skip


def test_on_eighty_columns_the_table_is_one_and_the_time_left_is_seen(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "WIDE", 80)
    found = call("download", *market(place))
    assert found.stdout.count("new rows") == 1
    assert all(len(line) <= 80 for line in found.stdout.splitlines() if "binanceusdm BTC" in line)
    shown = StringIO()
    monkeypatch.setattr("sys.stderr", Terminal(shown))
    monkeypatch.setenv("COLUMNS", "80")
    job = Job("binanceusdm", BTC, "funding", "1h", (), rows=99_999_999)
    with download.bars(quiet=False) as told:
        assert told is not None
        told(Progress(job, 50, 100, NOW))
    assert "2024-03-01" in shown.getvalue()
    assert "--:--" in shown.getvalue()  # nothing is cut off the end of the line


class Terminal(StringIO):
    """A text stream that says it is a terminal, and writes elsewhere."""

    def __init__(self, to: StringIO) -> None:
        super().__init__()
        self.to = to

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return self.to.write(text)


def test_damaged_markets_are_found_taken_out_and_fetched_anew(place: Path) -> None:
    words = market(place, "--kinds", "ohlcv")
    assert call("download", *words).exit_code == 0
    facts = place / "data" / "binanceusdm" / "_markets.json"
    facts.write_text("{")
    found = call("check", str(place / "data"))
    assert found.exit_code == 1
    assert "_markets.json" in found.stdout
    options = str(place / "options.json")
    mended = call("check", str(place / "data"), "--repair", "--exchange-options", options)
    assert mended.exit_code == 0, mended.output
    assert call("download", *words).exit_code == 0
    assert Store(place / "data").market("binanceusdm", BTC) is not None


def test_each_exchange_has_its_own_table_of_options(place: Path, server: Loopback) -> None:
    with loopback("bybit", Coin("BTC", listed=ms("2024-01-01")), now=NOW) as other:
        tables = {"binanceusdm": server.exchange_options, "bybit": other.exchange_options}
        (place / "options.json").write_text(json.dumps({"timeout": 5_000, **tables}))
        found = call("download", *market(place, "--kinds", "ohlcv", exchange="binanceusdm,bybit"))
    assert found.exit_code == 0, found.output
    assert [Store(place / "data").dataset(e, BTC, "ohlcv", "1h").rows for e in tables] == [696, 696]
