"""One strategy on several venues: what each venue's own contract on the coin is."""

from __future__ import annotations

import backtrader as bt
import pytest
from studies.worlds import frame

from bt_margin.errors import InputError, UnknownSymbol
from bt_margin.studies.compare import compare
from bt_margin.venues import venue

INVERSE = "BTC/USD:BTC"


class Levered(bt.Strategy):  # type: ignore[misc]  # backtrader ships no types
    """One and a half times the equity, once."""

    def next(self) -> None:
        if len(self) == 1:
            self.order_target_percent(target=1.5)


def test_inverse_contracts_are_compared_across_venues() -> None:
    """Isolated at 3x from 60,000: bankrupt at 60,000 · 3 / 4 = 45,000, liquidated above it by each rate."""
    closes = [60_000.0, 60_000.0, 55_000.0, 50_000.0, 44_000.0]
    result = compare(
        Levered,
        {INVERSE: frame(closes)},
        venues=["binancecoinm", "bybit", "okx", "krakeninverse"],
        leverage=3,
        cash={"BTC": 1.0},
        as_of="2026-06-01",
    )
    marks = {
        name: round(event.mark, 1)
        for name, run in result.runs.items()
        for event in run.broker.events
        if event.kind == "liquidation"
    }
    assert "krakeninverse cross" in result.runs
    assert marks == {
        "binancecoinm isolated": 45_180.0,
        "bybit isolated": 45_225.0,
        "okx isolated": 45_247.5,
    }


def test_a_venue_without_inverse_contracts_refuses_them() -> None:
    with pytest.raises(UnknownSymbol, match="has no contract like 'BTC/USD:BTC'"):
        compare(Levered, {INVERSE: frame([1.0, 1.0])}, venues=["hyperliquid"], cash=1.0)


@pytest.mark.parametrize(("day", "mark"), [("2025-09-01", 58_825.0), ("2025-09-03", 58_793.97)])
def test_a_date_pins_every_venue(day: str, mark: float) -> None:
    """Bybit before and after its requirement went from the entry to the mark."""
    result = compare(
        Levered, {"BTC/USDT:USDT": frame([65_000.0, 65_000.0, 50_000.0])},
        venues=["bybit", "binance"], leverage=10, cash=10_000.0, as_of=day,
    )  # fmt: skip
    (fallen,) = [e for e in result.runs["bybit isolated"].broker.events if e.kind == "liquidation"]
    assert round(fallen.mark, 2) == mark


def test_a_date_comes_too_late_for_a_venue_that_is_made() -> None:
    with pytest.raises(InputError, match="comes too late for the venue binance"):
        compare(
            Levered, {"BTC/USDT:USDT": frame([1.0])}, venues=[venue("binance")], as_of="2025-09-01"
        )
