"""The store of a sweep: killed at any moment it goes on, and it knows its own job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from studies.worlds import BTC, Hold, frame

from bt_margin.errors import InputError
from bt_margin.studies.cells import COLUMNS
from bt_margin.studies.sweep import sweep
from bt_margin.studies.sweep_store import CELLS, JOB, LOCK, data_digest

DATA = {BTC: frame([100.0, 101, 99, 97, 103, 104] * 4)}
GRID = {"leverage": [2, 5, 10], "margin_mode": ["cross", "isolated"]}
COMMON: dict[str, Any] = {"venue": "binance", "cash": 10_000, "backend": "serial", "engine": "full"}


def run(place: Path, **changes: Any) -> Any:
    return sweep(
        Hold, changes.pop("data", DATA), changes.pop("grid", GRID), store=place, **COMMON | changes
    )


def lines(place: Path) -> list[Any]:
    return [json.loads(line) for line in (place / CELLS).read_text().splitlines()]


def test_a_finished_store_gives_the_same_table_without_running_anything(tmp_path: Path) -> None:
    first, again = run(tmp_path), run(tmp_path)
    pd.testing.assert_frame_equal(first.frame, again.frame, check_exact=True)
    assert len(lines(tmp_path)) == 6


@pytest.mark.parametrize("cut", [1, 40, 300])
def test_a_line_cut_short_by_a_kill_is_done_again(tmp_path: Path, cut: int) -> None:
    first = run(tmp_path)
    log = tmp_path / CELLS
    log.write_bytes(log.read_bytes()[:-cut])
    again = run(tmp_path)
    seconds = ["seconds"]
    pd.testing.assert_frame_equal(
        first.frame.drop(columns=seconds), again.frame.drop(columns=seconds), check_exact=True
    )
    assert sorted(line[0] for line in lines(tmp_path)) == list(range(6))


def test_missing_and_failed_numbers_come_back_as_they_were(tmp_path: Path) -> None:
    first = run(tmp_path, grid={"leverage": [2, 900]})
    again = run(tmp_path, grid={"leverage": [2, 900]})
    pd.testing.assert_frame_equal(first.frame, again.frame, check_exact=True)
    assert again.frame["final_equity"].isna().tolist() == [False, True]
    assert len(lines(tmp_path)[0]) == 4 + len(COLUMNS)


OTHER = {BTC: frame([100.0, 101, 99, 97, 103, 104] * 3 + [100.0, 101, 99, 97, 103, 104.5])}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"cash": 9_000}, "settings cash was 10000, is 9000"),
        ({"params": {"exposure": 2.0}}, "params exposure was null, is 2.0"),
        (
            {"grid": {"leverage": [2, 5, 11], "margin_mode": ["cross", "isolated"]}},
            "values leverage was",
        ),
        ({"data": OTHER}, "data BTC/USDT:USDT was"),
        ({"seed": 3}, "settings seed was 0, is 3"),
        ({"venue": "okx"}, 'settings venue was "binance", is "okx"'),
    ],
)
def test_a_changed_job_is_refused_with_what_changed(tmp_path: Path, change: Any, told: str) -> None:
    run(tmp_path)
    kept = (tmp_path / CELLS).read_bytes()
    with pytest.raises(InputError) as refused:
        run(tmp_path, **change)
    assert told in str(refused.value)
    assert (tmp_path / CELLS).read_bytes() == kept


def test_changed_code_of_the_strategy_is_refused(tmp_path: Path) -> None:
    from bt_margin.studies.load import find_strategy

    file, place = tmp_path / "mine.py", tmp_path / "kept"
    text = "import backtrader as bt\nclass Mine(bt.Strategy):\n    def next(self):\n        {}\n"
    file.write_text(text.format("pass"))
    sweep(find_strategy(str(file)), DATA, GRID, store=place, **COMMON)
    file.write_text(text.format("self.buy()"))
    with pytest.raises(InputError, match="code of the strategy was"):
        sweep(find_strategy(str(file)), DATA, GRID, store=place, **COMMON)


def test_a_folder_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="a folder of its own"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_two_sweeps_cannot_write_to_one_store(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / LOCK).write_text(str(os.getppid()))
    with pytest.raises(InputError, match="another sweep is writing"):
        run(tmp_path)


def test_the_lock_of_a_process_that_is_gone_does_not_count(tmp_path: Path) -> None:
    run(tmp_path)
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    (tmp_path / LOCK).write_text(str(gone.pid))
    run(tmp_path)
    assert not (tmp_path / LOCK).exists()


def test_what_is_nested_too_deep_is_no_description_and_no_cell(tmp_path: Path) -> None:
    first = run(tmp_path)
    with (tmp_path / CELLS).open("a", encoding="utf-8") as log:
        log.write("[" * 100_000 + "\n")
    pd.testing.assert_frame_equal(first.frame, run(tmp_path).frame, check_exact=True)
    (tmp_path / JOB).write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        run(tmp_path)


def test_a_damaged_description_is_told(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / JOB).write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        run(tmp_path)


def test_the_digest_of_data_sees_funding_and_every_number() -> None:
    own = DATA[BTC]
    other = own.copy()
    other.iloc[-1, 0] += 1e-9
    funded = own.copy()
    funded.attrs["funding"] = pd.Series([0.1], own.index[:1])
    assert len({data_digest(each) for each in (own, other, funded)}) == 3
    assert data_digest(own.copy()) == data_digest(own)


KILLED = """
import os, signal, sys
import pandas as pd
from studies.worlds import BTC, Hold, frame
from bt_margin.studies.sweep import sweep


def stop(label, share):
    if share > 0.3 and len(sys.argv) > 3:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    found = sweep(
        Hold, {BTC: frame([100.0, 101, 99] * 4)}, {"leverage": [1, 2, 3, 4, 5, 6, 7, 8]},
        store=sys.argv[1], venue="binance", workers=2, engine="full", progress=stop,
    )
    found.frame.drop(columns="seconds").to_pickle(sys.argv[2])
"""


def test_a_sweep_killed_outright_goes_on_and_leaves_no_data_behind(tmp_path: Path) -> None:
    script, place, table, temporary = (tmp_path / name for name in ("s.py", "kept", "table", "tmp"))
    temporary.mkdir()
    script.write_text(KILLED)
    root = Path(__file__).parents[2]
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": f"{root}:{root / 'tests'}"}
    words = [sys.executable, str(script), str(place), str(table)]
    # the output is open until the last of its processes is gone, the one that tidies up included
    killed = subprocess.run(
        [*words, "kill"], env=environment, capture_output=True, timeout=120, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert 3 <= len(lines(place)) < 8
    assert [path.name for path in temporary.iterdir() if "sweep" in path.name] == []
    done = subprocess.run(words, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(line[0] for line in lines(place)) == list(range(8))
    alone = sweep(
        Hold, {BTC: frame([100.0, 101, 99] * 4)}, {"leverage": [1, 2, 3, 4, 5, 6, 7, 8]},
        venue="binance", backend="serial", engine="full",
    )  # fmt: skip
    found = pd.read_pickle(table)
    pd.testing.assert_frame_equal(found, alone.frame.drop(columns="seconds"), check_exact=True)
