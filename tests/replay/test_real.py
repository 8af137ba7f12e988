"""Real BTC, ETH, SOL and DOGE: the kernel against the full engine, every event and every bar's equity."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from real.rawdata import VARIABLE, folder

from bt_margin.studies.cells import Cell, Job
from bt_margin.studies.replay import replayed

STRATEGIES = Path(__file__).resolve().parents[2] / "strategies"
PRICES = ("open", "high", "low", "close")


@pytest.fixture(autouse=True, scope="module")
def market() -> None:
    """Every test here needs the real market."""
    if not folder().is_dir():
        pytest.skip(
            f"no real market data: neither {VARIABLE} nor ../shared/market beside the checkout"
        )


def strategy(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"replayed_{name}", STRATEGIES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # backtrader looks its strategies' modules up
    spec.loader.exec_module(module)
    return getattr(module, name.capitalize())


def load(coins: tuple[str, ...], since: str, until: str) -> tuple[dict[str, Any], dict[str, Any]]:
    found, funding = {}, {}
    for coin in coins:
        kinds = {}
        for kind in ("ohlcv_1h", "mark_1h", "funding_*"):
            file = next(iter(folder().glob(f"binance_{coin}USDT_{kind}.parquet")))
            frame = pd.read_parquet(file)
            kinds[kind] = frame.set_index(frame.columns[0]).loc[since:until]
        frame = kinds["ohlcv_1h"].copy()
        for price in PRICES:
            frame[f"mark_{price}"] = kinds["mark_1h"][price].reindex(frame.index)
        found[f"{coin}/USDT:USDT"] = frame
        funding[f"{coin}/USDT:USDT"] = kinds["funding_*"].iloc[:, 0]
    return found, funding


@pytest.mark.parametrize(("name", "coins", "since", "until"), [
    ("trend", ("BTC", "ETH"), "2021-03", "2021-08"),
    ("trend", ("SOL",), "2022-09", "2023-01"),
    ("trend", ("DOGE", "SOL"), "2025-08", "2025-11"),
    ("pairs", ("BTC", "ETH"), "2022-01", "2022-07"),
    ("carry", ("BTC", "ETH"), "2022-01", "2022-07"),
])  # fmt: skip
def test_strategies_on_real_history(
    name: str, coins: tuple[str, ...], since: str, until: str
) -> None:
    data, funding = load(coins, since, until)
    if any(frame.empty for frame in data.values()):
        pytest.skip("this part of the history is not there")
    common = {"venue": "binance", "cash": 20_000.0, "funding": funding}
    cells = [
        Cell(k, {"leverage": leverage, "margin_mode": mode, "params.exposure": 1.0})
        for k, (leverage, mode) in enumerate(
            (leverage, mode) for leverage in (3.0, 8.0, 20.0) for mode in ("cross", "isolated")
        )
    ]
    found = replayed(Job(strategy(name), data, {}, common), cells, check=len(cells))
    assert found.wrong == ""
    assert len(found.checked) == len(found.outcomes) >= 1


def test_a_strategy_that_sells_at_its_average_entry_is_run_in_full() -> None:
    """The grid's limits stand above its average entry, which the lots an account can afford decide."""
    data, funding = load(("BTC",), "2022-05", "2022-05")
    common = {"venue": "binance", "cash": 20_000.0, "funding": funding}
    found = replayed(Job(strategy("grid"), data, {}, common), [Cell(0, {"leverage": 3.0})])
    assert found.outcomes == ()
    assert "reads its account" in found.left[0].reason
