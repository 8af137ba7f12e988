"""The same sweep on Dask and on Ray, both started here on the loopback, and on a backend of one's own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import backtrader as bt
import joblib
import pandas as pd
import pytest
from studies.worlds import BTC, Hold, frame

from bt_margin.errors import InputError
from bt_margin.studies import backends, parcel
from bt_margin.studies.backends import Crew, each
from bt_margin.studies.cells import Cell, Job
from bt_margin.studies.sweep import sweep

DATA = {BTC: frame([100.0, 101, 99, 97, 103, 104, 92, 96, 99] * 3, funding={8: 0.001})}
GRID = {"leverage": [2, 5, 20], "margin_mode": ["cross", "isolated"]}
COMMON: dict[str, Any] = {"venue": "binance", "cash": 10_000, "engine": "full"}


def numbers(found: Any) -> pd.DataFrame:
    """The table without what may differ: how long a cell took."""
    return found.frame.drop(columns="seconds")


@pytest.fixture(scope="module")
def serial() -> pd.DataFrame:
    return numbers(sweep(Hold, DATA, GRID, backend="serial", **COMMON))


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """A client of a Dask cluster of two processes, one of them with two threads."""
    distributed = pytest.importorskip(
        "dask.distributed", reason="dask[distributed] is not installed"
    )
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, host="127.0.0.1", dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        yield client


def test_dask_gives_what_one_process_gives_to_the_last_bit(dask: Any, serial: pd.DataFrame) -> None:
    found = sweep(Hold, DATA, GRID, backend="dask", **COMMON)
    pd.testing.assert_frame_equal(numbers(found), serial, check_exact=True)
    assert dask.status == "running"  # a client that was there is left as it is


def test_dask_is_reached_at_an_address(dask: Any, serial: pd.DataFrame) -> None:
    address = dask.scheduler_info()["address"]
    found = sweep(Hold, DATA, GRID, backend="dask", address=address, **COMMON)
    pd.testing.assert_frame_equal(numbers(found), serial, check_exact=True)


def opened_by(cell: Cell, job: Job) -> Any:
    """Instead of a run: which process works, and whether it found its job in memory or in the file."""
    from bt_margin.studies.cells import Outcome

    own = next(iter(parcel._OPEN.values()))
    return Outcome(cell, {"pid": os.getpid(), "job": id(own.job), "bars": len(job.data[BTC])})


def test_dask_workers_get_the_job_as_bytes_and_open_it_once(dask: Any, tmp_path: Path) -> None:
    job = Job(Hold, DATA, {}, {"venue": "binance"})
    cells = [Cell(number, {}) for number in range(12)]
    found = list(each(job, cells, Crew("dask"), folder=tmp_path, work=opened_by))
    jobs = {(one.row["pid"], one.row["job"]) for one in found}
    assert len(jobs) == len({pid for pid, _ in jobs}) <= 2
    assert {one.row["bars"] for one in found} == {len(DATA[BTC])}


def test_no_more_workers_are_called_than_there_are_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    config = backends.joblib.parallel_config

    def noted(**how: Any) -> Any:
        asked.append(how["n_jobs"])
        return config(**how)

    monkeypatch.setattr(backends.joblib, "parallel_config", noted)
    job = Job(Hold, DATA, {}, {"venue": "binance"})
    cells = [Cell(number, {}) for number in range(3)]
    assert len(list(each(job, cells, Crew("loky", 1_024), folder=tmp_path, work=opened_by))) == 3
    assert asked == [3]


class Kills(bt.Strategy):
    """Kills the process it runs in, once."""

    params = (("flag", ""),)

    def next(self) -> None:
        if len(self) == 1:
            self.order_target_percent(target=0.5)
        if len(self) == 5 and self.broker.p.leverage == 3 and not Path(self.p.flag).exists():
            Path(self.p.flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_dask_worker_killed_in_the_middle_loses_no_cell(tmp_path: Path) -> None:
    pytest.importorskip("dask.distributed", reason="dask[distributed] is not installed")
    params = {"flag": str(tmp_path / "killed")}
    found = sweep(
        Kills, DATA, {"leverage": [1, 2, 3, 4]}, params=params, backend="dask", workers=2, **COMMON
    )
    assert (tmp_path / "killed").exists()
    assert list(found.frame["error"]) == [""] * 4
    alone = sweep(
        Kills, DATA, {"leverage": [1, 2, 3, 4]}, params=params, backend="serial", **COMMON
    )
    pd.testing.assert_frame_equal(numbers(found), numbers(alone), check_exact=True)


def test_ray_gives_what_one_process_gives_to_the_last_bit(serial: pd.DataFrame) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed")
    found = sweep(Hold, DATA, GRID, backend="ray", workers=2, **COMMON)
    pd.testing.assert_frame_equal(numbers(found), serial, check_exact=True)
    assert not ray.is_initialized()  # one that was started for the sweep is ended with it


def test_any_backend_registered_with_joblib_will_do(serial: pd.DataFrame) -> None:
    from joblib._parallel_backends import ThreadingBackend

    class Ours(ThreadingBackend):
        pass

    joblib.register_parallel_backend("ours-in-a-test", Ours)
    found = sweep(Hold, DATA, GRID, backend="ours-in-a-test", workers=2, **COMMON)
    pd.testing.assert_frame_equal(numbers(found), serial, check_exact=True)


def test_a_cluster_whose_package_is_missing_says_what_to_install(monkeypatch: Any) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(backends, "import_module", missing)
    with pytest.raises(InputError, match=r"pip install 'bt-margin\[ray\]'"):
        sweep(Hold, DATA, GRID, backend="ray", **COMMON)


def test_a_worker_that_cannot_see_the_file_says_so(tmp_path: Path) -> None:
    parcel._OPEN.clear()
    lost = parcel.Parcel(str(tmp_path / "nowhere"), "0")
    with pytest.raises(parcel.ParcelError, match="runs on another machine"):
        parcel.opened(lost)
