"""Tiers that came with the data stand in where the venue has no table of its own."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from plugin.stage import BTC, bars, venue
from plugin.stage import Actor as Idle

import bt_margin as btm
from bt_margin.errors import UnknownSymbol
from bt_margin.studies.rules import downloaded_tiers

NEW = "BRANDNEW/USDT:USDT"
AT = 1_767_225_600_000  # 2026-01-01
BANDS = [
    {"floor": 0.0, "cap": 5_000.0, "rate": 0.02, "amount": 0.0, "max_leverage": 25.0},
    {"floor": 5_000.0, "cap": None, "rate": 0.05, "amount": 150.0, "max_leverage": 10.0},
]


def frame(**tiers: Any) -> pd.DataFrame:
    made = bars([100.0] * 5)
    value = {
        "tiers": BANDS,
        "stepped": False,
        "source": "binanceusdm fetch_leverage_tiers",
        **tiers,
    }
    made.attrs = {"tiers": [{"at": AT, "tiers": value}], "contract": {"lot": 0.1, "tick": None}}
    return made


def test_a_coin_without_a_table_is_run_by_the_tiers_its_data_brought() -> None:
    run = btm.run(Idle, {NEW: frame()}, venue="binance", leverage=10, cash=1_000)
    table = run.broker.account.position(NEW).table
    assert [(tier.cap, tier.mmr, tier.deduction, tier.max_leverage) for tier in table.tiers] == [
        (5_000.0, 0.02, 0.0, 25.0),
        (float("inf"), 0.05, 150.0, 10.0),
    ]
    assert run.broker.account.position(NEW).contract.lot == 0.1
    assert any("read from binanceusdm" in n and "on 2026-01-01" in n for n in run.fidelity["notes"])


def test_without_them_the_coin_is_unknown() -> None:
    with pytest.raises(UnknownSymbol, match="has no tier table"):
        btm.run(Idle, {NEW: bars([100.0] * 5)}, venue="binance", leverage=10)


@pytest.mark.parametrize(
    ("symbol", "rules", "more"),
    [
        (BTC, "binance", {}),  # the venue's own dated table is better
        (NEW, venue(), {}),  # its numbers were stated
        (NEW, "binance", {"stepped": True}),  # a rate for the whole position is another rule
    ],
)
def test_they_stand_in_nowhere_else(symbol: str, rules: Any, more: dict[str, Any]) -> None:
    given = {"venue": rules, "leverage": 5}
    assert downloaded_tiers(given, {symbol: frame(**more)}) == (given, [])


def test_what_the_caller_states_is_stronger() -> None:
    own = {"venue": "binance", "symbols": {NEW: {"tiers": [(None, 0.1, 0)]}}}
    assert downloaded_tiers(own, {NEW: frame()}) == (own, [])
    partly = {"venue": "binance", "symbols": {NEW: {"lot": 1.0}}}
    found, notes = downloaded_tiers(partly, {NEW: frame()})
    assert found["symbols"][NEW]["lot"] == 1.0
    assert len(notes) == 1
