"""Binance's answers to cases in other words and with other inputs than those we ship."""

from __future__ import annotations

from typing import Any

import pytest

from bt_margin.studies.conformance import cases_of, run_cases


def said(inputs: dict[str, Any], *expected: str, **words: str) -> dict[str, Any]:
    """The answers to a case made of these inputs."""
    row = {"id": "x", "venue": "binance", "mode": "isolated", "side": "long", "what": "any words"}
    row |= {"inputs": inputs, "expected": dict.fromkeys(expected, 0.0), **words}
    (outcome,) = run_cases(cases_of([row]))
    assert outcome.reason == ""
    return {each.key: each.ours for each in outcome.checked}


def test_a_coin_position_by_its_size_in_usd_and_by_its_contracts() -> None:
    """COIN-M FAQ: size · (side + mmr) / (side · size / EP + WB + cum)."""
    common = {
        "entry_price": 20_000,
        "wallet_balance": 0.05,
        "mmr": 0.005,
        "maintenance_amount": 0.001,
    }
    price = 10_000 * 1.005 / (10_000 / 20_000 + 0.05 + 0.001)
    for size in ({"size_usd": 10_000}, {"contracts": 100, "contract_size_usd": 100}):
        found = said(
            {**common, **size}, "liquidation_price", "bankruptcy_price", contract="inverse"
        )
        assert found["liquidation_price"] == pytest.approx(price)
        assert found["bankruptcy_price"] == pytest.approx(10_000 / 0.55)


def test_margin_that_is_not_given_is_value_over_leverage() -> None:
    inputs = {"quantity": 10_000 / 65_000, "entry_price": 65_000, "leverage": 10, "mmr": 0.005}
    found = said(inputs, "liquidation_price", "bankruptcy_price", "initial_margin")
    assert found["liquidation_price"] == pytest.approx(58_793.97, abs=0.01)
    assert found["bankruptcy_price"] == pytest.approx(58_500)
    assert found["initial_margin"] == pytest.approx(1_000)


def test_the_venues_own_table_of_the_cases_date() -> None:
    inputs = {
        "symbol": "BTCUSDT",
        "quantity": 10_000 / 65_000,
        "entry_price": 65_000,
        "leverage": 10,
    }
    found = said(inputs, "liquidation_price", as_of="2026-09-30")
    assert found["liquidation_price"] == pytest.approx(58_734.94, abs=0.01)
    row = {"symbol": "SOLUSDT", "notional": 10_000}
    assert said(row, "mmr", as_of="2023-06-01") == {"mmr": 0.02}
    assert said(row, "mmr", "max_leverage", as_of="2026-09-30") == {
        "mmr": 0.005,
        "max_leverage": 100,
    }


def test_both_sides_of_a_symbol_each_in_its_own_tier() -> None:
    """USD-M FAQ, cross in hedge mode: one common price."""
    long_ = {"symbol": "BTCUSDT", "side": "long", "quantity": 2.0, "entry_price": 30_000.0}
    short = {"symbol": "BTCUSDT", "side": "short", "quantity": 0.5, "entry_price": 31_000.0}
    long_ |= {"mmr": 0.005, "maintenance_amount": 50.0}
    short |= {"mmr": 0.004, "maintenance_amount": 0.0}
    published = (9_000 + 50 - 2 * 30_000 + 0.5 * 31_000) / (2 * 0.005 + 0.5 * 0.004 - 2 + 0.5)
    inputs = {"wallet_balance": 9_000.0, "positions": [long_, short]}
    found = said(inputs, "liquidation_price", mode="cross")
    assert found["liquidation_price"] == pytest.approx(published)


def test_others_told_by_their_sums() -> None:
    inputs = {
        "wallet_balance": 1_535_443.01, "quantity": 3683.979, "entry_price": 1456.84, "mmr": 0.1,
        "maintenance_amount": 135_365.0, "mark_price": 1335.18,
        "other_maintenance_margin": 71_200.81144, "other_unrealised_pnl": -56_354.57,
    }  # fmt: skip
    assert said(inputs, "liquidation_price", mode="cross")["liquidation_price"] == pytest.approx(
        1_153.26, abs=0.01
    )


def test_a_sell_is_margined_above_the_last_price_since_its_date() -> None:
    inputs = {
        "order_price": 100,
        "quantity": 1,
        "leverage": 10,
        "mark_price": 101,
        "last_price": 102,
    }
    new = said(inputs, "initial_margin", "open_loss", "cost", side="short", as_of="2026-02")
    assert new["initial_margin"] == pytest.approx(10.2153)
    assert new["cost"] == pytest.approx(11.2153)
    old = said(inputs, "initial_margin", "cost", side="short", as_of="2024-11")
    assert old == {"initial_margin": pytest.approx(10.0), "cost": pytest.approx(11.0)}


def test_funding_of_one_settlement_linear_and_inverse() -> None:
    row = {"mark_price": 20_000, "funding_rate": 0.0001}
    assert said({**row, "quantity": 3}, "funding")["funding"] == pytest.approx(-6.0)
    coins = {**row, "contracts": 100, "contract_size_usd": 100}
    found = said(coins, "funding", contract="inverse", side="short")
    assert found["funding"] == pytest.approx(0.00005)


def test_funding_counts_only_settlements_while_the_position_is_open() -> None:
    stamps = [{"time": f"2024-01-0{day}T00:00Z", "rate": 0.001, "mark": 100.0} for day in (1, 2, 3)]
    inputs = {"quantity": 1, "funding": stamps, "open": "2024-01-01T08:00:00Z"}
    found = said({**inputs, "close": "2024-01-02T00:00:00Z"}, "funding")
    assert found["funding"] == pytest.approx(-0.1)
    assert said(inputs, "funding")["funding"] == pytest.approx(-0.2)


def test_a_realised_profit_and_a_margin_ratio() -> None:
    inputs = {"quantity": 0.1, "entry_price": 50_000, "mark_price": 49_000, "mmr": 0.004}
    inputs |= {"wallet_balance": 1_000, "exit_price": 52_000}
    found = said(inputs, "margin_ratio", "margin_balance", "realised_pnl", mode="cross")
    assert found["margin_ratio"] == pytest.approx(19.6 / 900)
    assert found["margin_balance"] == pytest.approx(900)
    assert found["realised_pnl"] == pytest.approx(200)


def test_collateral_by_balance_and_price() -> None:
    inputs = {"balance": 2, "index_price": 500, "collateral_ratio": 0.95}
    assert said(inputs, "collateral_value") == {"collateral_value": pytest.approx(950)}


def test_money_that_a_price_needs_is_asked_for() -> None:
    row = {
        "id": "x",
        "venue": "binance",
        "mode": "cross",
        "what": "liquidation price",
        "side": "long",
    }
    row |= {"inputs": {"quantity": 1, "entry_price": 10, "mmr": 0.01}}
    (outcome,) = run_cases(cases_of([row | {"expected": {"liquidation_price": 1}}]))
    assert "no 'wallet_balance'" in outcome.reason
