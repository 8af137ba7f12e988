"""Rows of replayed cells by hand: trades, margin in use, and how near an account came to its end."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest
from replay.stories import COIN, Scripted

import bt_margin as btm
from bt_margin.studies.cells import Cell, Job
from bt_margin.studies.replay import entry, replayed

ONE, TWO = "AAA/USDT:USDT", "BBB/USDT:USDT"


def row(
    prices: dict[str, list[float]], script: list[tuple[Any, ...]], **said: Any
) -> dict[str, Any]:
    """The row of one cell, whose bars have one price each; it is run in full and compared as well."""
    frames = {}
    for name, own in prices.items():
        index = pd.date_range("2025-01-01", periods=len(own), freq="1h", tz="UTC")
        frames[name] = pd.DataFrame(dict.fromkeys(["open", "high", "low", "close"], own), index)
        frames[name]["volume"] = 1.0
    venue = btm.venue(
        "generic", maintenance_rate=0.01, taker_fee=said.pop("taker_fee", 0.0), maker_fee=0.0,
        liquidation_fee=0.0, funding_interval="8h", residual="trader",
        currency="BTC" if COIN in prices else "USDT",
    )  # fmt: skip
    common = {"venue": venue, "cash": 1_000.0, "leverage": 5.0, **said}
    asked = [(bar, name, "trade", size, {}) for bar, name, size in script]
    found = replayed(Job(Scripted, frames, {"script": asked}, common), [Cell(0, {})])
    assert (found.wrong, found.left, found.checked) == ("", (), (0,))
    return dict(found.outcomes[0].row)


MODES = pytest.mark.parametrize("mode", ["cross", "isolated"])


@MODES
def test_a_part_closed_belongs_to_its_trade_and_a_flip_ends_one_and_begins_another(
    mode: str,
) -> None:
    script = [(0, ONE, 2.0), (1, ONE, -1.0), (2, ONE, -3.0), (3, ONE, 2.0)]
    found = row({ONE: [100.0, 100.0, 110.0, 106.0, 107.0, 107.0]}, script, margin_mode=mode)
    # long 2 from 100: one sold at 110, one at 106; short 2 from 106, bought back at 107
    assert (found["trades"], found["win_rate"]) == (2, 0.5)
    assert found["expectancy"] == pytest.approx((16.0 - 2.0) / 2)
    assert found["profit_factor"] == pytest.approx(16.0 / 2.0)
    assert found["payoff"] == pytest.approx(16.0 / 2.0)
    assert found["average_margin"] == pytest.approx((200 + 110 + 212) / 5 / 6)
    shares = [200 / 1_000, 110 / 1_020, 212 / 1_016]
    assert found["average_leverage"] == pytest.approx(sum(shares) / 6)
    assert found["max_leverage"] == pytest.approx(212 / 1_016)
    assert found["price_result"] == pytest.approx(14.0)


def test_the_fees_of_a_flip_go_to_the_trade_they_close_and_to_the_one_they_open() -> None:
    script = [(0, ONE, 1.0), (1, ONE, -4.0), (2, ONE, 3.0)]
    found = row({ONE: [100.0] * 5}, script, taker_fee=0.001)
    assert (found["trades"], found["win_rate"], found["profit_factor"]) == (2, 0.0, 0.0)
    assert found["expectancy"] == pytest.approx(-(0.2 + 0.6) / 2)
    lost = row({ONE: [100.0, 100.0, 101.0, 101.0]}, script[:2], taker_fee=0.001)
    assert (lost["trades"], lost["expectancy"]) == (1, pytest.approx(1.0 - 0.1 - 0.101))


@MODES
def test_funding_and_fees_can_make_a_winning_trade_a_lost_one(mode: str) -> None:
    index = pd.date_range("2025-01-01", periods=3, freq="2h", tz="UTC")
    rates = {ONE: pd.Series([0.0, 0.005, 0.0], index)}
    script = [(0, ONE, 2.0), (2, ONE, -2.0)]
    found = row({ONE: [100.0, 100.0, 100.0, 100.2]}, script, funding=rates, margin_mode=mode)
    assert (found["trades"], found["win_rate"]) == (1, 0.0)
    assert found["expectancy"] == pytest.approx(0.4 - 1.0)


def test_what_the_fund_bears_is_no_loss_of_the_trade() -> None:
    script = [(0, ONE, 10.0)]
    found = row({ONE: [100.0, 100.0, 60.0]}, script, margin_mode="isolated")
    # 200 posted, 400 lost at the gap: the fund bears the other 200
    assert (found["liquidations"], found["trades"], found["win_rate"]) == (1, 1, 0.0)
    assert (found["expectancy"], found["shortfall"]) == (
        pytest.approx(-200.0),
        pytest.approx(200.0),
    )
    assert (found["final_equity"], found["min_margin_buffer"]) == (pytest.approx(800.0), 0.0)


def test_a_position_that_is_open_at_the_end_is_no_closed_trade() -> None:
    found = row({ONE: [100.0, 100.0, 120.0]}, [(0, ONE, 1.0)])
    assert found["trades"] == 0
    assert math.isnan(found["win_rate"])
    assert math.isnan(found["expectancy"])
    assert (found["exposure"], found["max_leverage"]) == (pytest.approx(2 / 3), 120 / 1_020)


def test_margin_ratios_of_several_pools() -> None:
    prices = {ONE: [100.0, 100.0, 80.9, 90.0], TWO: [10.0, 10.0, 10.0, 10.0]}
    script = [(0, ONE, 5.0), (0, TWO, -20.0)]
    found = row(prices, script, margin_mode="isolated")
    # 100 posted for 5 at 100: at 80.9 there are 4.5 left and 4.045 asked
    assert found["min_margin_buffer"] == pytest.approx(1.0 - 4.045 / 4.5)
    assert found["time_at_risk"] == 0.25
    assert found["average_margin"] == pytest.approx((700 + 604.5 + 650) / 5 / 4)
    cross = row(prices, script, margin_mode="cross")
    assert cross["time_at_risk"] == 0.0
    assert cross["min_margin_buffer"] == pytest.approx(1.0 - 7 / 1_000)  # at the first close


@MODES
def test_coins_of_inverse_contracts(mode: str) -> None:
    script = [(0, COIN, 100.0), (2, COIN, -100.0)]
    found = row(
        {COIN: [20_000.0, 20_000.0, 25_000.0, 40_000.0, 40_000.0]}, script, cash=1.0,
        margin_mode=mode, symbols={COIN: {"multiplier": 100.0}},
    )  # fmt: skip
    assert (found["trades"], found["expectancy"]) == (
        1,
        pytest.approx(10_000 * (1 / 2e4 - 1 / 4e4)),
    )
    assert found["average_margin"] == pytest.approx((0.5 + 0.4) / 5 / 5)
    assert found["max_leverage"] == pytest.approx(0.5)


def test_slippage_is_lost_on_what_was_filled_and_not_on_what_was_refused() -> None:
    script = [(0, ONE, 10.0), (1, ONE, -10.0), (2, ONE, 80.0)]
    prices = {ONE: [100.0, 100.0, 100.0, 100.0, 99.0]}
    found = row(prices, script, slip_perc=0.001, slip_open=True, slip_out=True)
    assert found["rejected_orders"] == 1
    assert found["slippage"] == pytest.approx(-2.0)
    assert found["price_result"] == pytest.approx(0.0, abs=1e-9)


def test_a_statistic_that_differs_is_found_by_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*given: Any) -> dict[str, Any]:
        return entry_row(*given) | {"average_margin": 7.0}

    entry_row = entry.row_of
    monkeypatch.setattr(entry, "row_of", wrong)
    with pytest.raises(AssertionError, match=r"average_margin is 7\.0 in the kernel"):
        row({ONE: [100.0, 100.0, 110.0]}, [(0, ONE, 1.0)])
