"""The README keeps its promises: its commands are the ones CI runs, and its Python runs."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

import bt_margin as btm

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "bash" for line in text.splitlines() if line]


def command(marker: str) -> str:
    """The only command of the README that holds ``marker``."""
    (found,) = (line for line in COMMANDS if marker in line)
    return found


def test_the_first_two_commands_install_and_work_alone_in_a_fresh_clone() -> None:
    assert COMMANDS[0].endswith("--out out")
    assert COMMANDS[1].endswith("-m pytest -n auto")
    for line in COMMANDS[:2]:
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install ")


def test_ci_reads_both_commands_from_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    markers = re.findall(r"readme_command '([^']+)'", script)
    assert [command(marker) for marker in markers] == COMMANDS[:2]
    assert all(README.count(marker) == 1 for marker in markers)


def test_the_commands_are_good_shell_and_name_files_that_exist() -> None:
    for line in COMMANDS:
        subprocess.run(["bash", "-n", "-c", line], check=True)
        named = [word for word in shlex.split(line) if word.endswith((".py", ".md", ".json"))]
        assert [word for word in named if not (ROOT / word).exists()] == []


def test_the_python_of_the_readme_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    for kind, text in BLOCKS:
        if kind == "python":
            exec(compile(text, "README.md", "exec"), names)
    assert "isolated" in capsys.readouterr().out


def test_pictures_and_local_links_exist() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (ROOT / target).exists()] == []


class Venue:
    """Answers like a ccxt exchange: bars forward from ``since``, funding every eight hours, some ms late."""

    def __init__(self, first: int, bars: int) -> None:
        self.first, self.bars = first, bars
        self.asked: list[tuple[int, int]] = []

    def parse_timeframe(self, timeframe: str) -> int:
        return {"1h": 3_600}[timeframe]

    def fetch_ohlcv(
        self, symbol: str, timeframe: str, since: int, limit: int, params: dict[str, str]
    ) -> list[list[float]]:
        self.asked.append((since, limit))
        price = 99.0 if params.get("price") == "mark" else 100.0
        times = [self.first + i * 3_600_000 for i in range(self.bars)]
        rows = [[t, price, price + 1, price - 1, price, 5.0] for t in times if t >= since]
        return rows[:limit]

    def fetch_funding_rate_history(
        self, symbol: str, since: int, limit: int
    ) -> list[dict[str, float]]:
        times = [self.first + i * 28_800_000 + 7 for i in range(1 + self.bars // 8)]
        return [{"timestamp": t, "fundingRate": 0.0001} for t in times if t >= since][:limit]


def test_the_ccxt_history_of_the_readme_is_a_frame_the_feed_takes() -> None:
    block = next(text for kind, text in BLOCKS if kind == "python" and "def history(" in text)
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)
    start = 1_704_067_200_000
    venue = Venue(start, 1_200)
    frame = names["history"](venue, "BTC/USDT:USDT", "1h", start, start + 1_000 * 3_600_000)
    assert len(frame) == 1_000
    assert frame.index.is_monotonic_increasing
    assert frame.index.is_unique
    assert (frame["mark_close"] == 99.0).all()
    assert frame["funding_rate"].count() == 125
    assert frame["funding_rate"].first_valid_index() == frame.index[0]
    assert all(limit == 499 for _, limit in venue.asked)
    feed = btm.PerpData(dataname=frame, name="BTC/USDT:USDT")
    assert feed.mark_available
    assert len(feed.funding_stamps()) == 125
