"""``bt-margin survival`` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from bt_margin.cli.app import app
from bt_margin.cli.survival import _probes, _searched
from bt_margin.errors import InputError

STRATEGY = """
import backtrader as bt


class Hold(bt.Strategy):
    params = (("exposure", 2.0),)

    def next(self):
        if not self.position:
            self.order_target_percent(target=self.p.exposure)
"""
MARKET = ["--symbols", "BTC/USDT:USDT", "--since", "2025-10-05", "--until", "2025-10-14"]
STUDY = ["--starts", "2d", "--horizon", "4d", "--leverages", "5,10,20,40", "--backend", "serial"]


@pytest.fixture
def strategy(tmp_path: Path) -> str:
    file = tmp_path / "hold.py"
    file.write_text(STRATEGY)
    return str(file)


def said(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["survival", *words])
    assert done.exit_code == code, done.output
    return done.output


def test_what_survives_is_shown_and_written(strategy: str, tmp_path: Path) -> None:
    out, page = tmp_path / "out", tmp_path / "page.html"
    text = said(strategy, *MARKET, *STUDY, "--out", str(out), "--report", str(page))
    for words in ("SYNTHETIC market", "highest leverage that every start survives", "isolated",
                  "liquidated within 4 days", "warm-up"):  # fmt: skip
        assert words in text
    runs = pd.read_csv(out / "runs.csv")
    assert set(runs["leverage"]) == {5.0, 10.0, 20.0, 40.0}
    assert set(runs["synthetic"]) == {"SYNTHETIC"}
    assert "SYNTHETIC market" in page.read_text("utf-8")


def test_one_json_document_has_everything(strategy: str) -> None:
    found = json.loads(said(strategy, *MARKET, *STUDY, "--json", "--modes", "isolated"))
    assert found["horizon_days"] == 4.0
    assert found["synthetic"] is True
    assert {row["margin_mode"] for row in found["frontier"]} == {"isolated"}
    assert len(found["runs"]) == found["starts"] * 4
    assert found["verdict"].startswith("Hold from")


def test_quiet_is_one_sentence(strategy: str) -> None:
    text = said(strategy, *MARKET, *STUDY, "--quiet")
    assert len(text.splitlines()) == 1


def test_wallets_are_searched_downwards(strategy: str) -> None:
    words = ["--starts", "2025-10-06", "--horizon", "2d", "--wallets", "500:1500:500"]
    found = json.loads(said(strategy, *MARKET, *words, "--backend", "serial", "--json"))
    assert found["variable"] == "cash"
    assert {row["cash"] for row in found["rungs"]} == {500.0, 1000.0, 1500.0}


def test_both_engines_find_the_same_frontier(strategy: str) -> None:
    found = {}
    for engine in ("auto", "replay", "full"):
        words = [*MARKET, *STUDY, "--method", "grid", "--engine", engine, "--json"]
        found[engine] = json.loads(said(strategy, *words))
    full = pd.DataFrame(found["full"]["frontier"])
    for engine in ("auto", "replay"):
        pd.testing.assert_frame_equal(pd.DataFrame(found[engine]["frontier"]), full, rtol=1e-9)
    used = {engine: {run["engine"] for run in told["runs"]} for engine, told in found.items()}
    assert used["full"] == {"full"}
    assert "replay" in used["auto"] & used["replay"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--engine", "fast"], "engine"),
        (["--leverages", "five"], "not a number"),
        (["--leverages", "5", "--wallets", "100"], "give one"),
        (["--horizon", "long"], "a length of time"),
        (["--method", "guess"], "method"),
        (["--horizon", "900d"], "no start fits"),
    ],
)
def test_what_cannot_be_meant_is_one_line(strategy: str, words: list[str], told: str) -> None:
    text = said(strategy, *MARKET, "--backend", "serial", *words, code=2)
    assert told in text
    assert len(text.splitlines()) == 1


def test_values_are_read_as_typed() -> None:
    assert _searched("leverages", "1:4,10") == {"leverages": [1.0, 2.0, 3.0, 4.0, 10.0]}
    assert _probes("5") == 5
    assert _probes("5,10") == [5.0, 10.0]
    with pytest.raises(InputError, match="not a number"):
        _probes("few")
