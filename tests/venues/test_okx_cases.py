"""OKX's answers to cases of other numbers and wordings: each expectation is worked out by hand here."""

from __future__ import annotations

from typing import Any

import pytest

from bt_margin.studies.conformance import cases_of, run_cases

RATE = 0.004 + 0.0005
TIER = {"mmr": 0.004, "taker_fee": 0.0005}


def told(inputs: dict[str, Any], expected: dict[str, Any], **more: Any) -> Any:
    row = {
        "id": "one", "venue": "okx", "mode": "cross", "contract": "linear", "side": "long",
        "what": "something", "source": "by hand", "as_of": "2024-05",
    }  # fmt: skip
    (outcome,) = run_cases(cases_of([row | more | {"inputs": inputs, "expected": expected}]))
    return outcome


def check(inputs: dict[str, Any], expected: dict[str, Any], **more: Any) -> None:
    outcome = told(inputs, expected, **more)
    assert outcome.reason == ""
    assert [each for each in outcome.checked if not each.ok] == []


@pytest.mark.parametrize("name", ["equity", "account_equity", "margin_balance"])
@pytest.mark.parametrize(("side", "sign"), [("long", 1), ("short", -1)])
def test_cross_from_the_equity_at_the_mark(name: str, side: str, sign: int) -> None:
    """(qty · mark − sign · E) / (qty · (1 − sign · rate))."""
    inputs = TIER | {"quantity": 2, "mark_price": 30_000, name: 9_000, "leverage": 5}
    price = (60_000 - sign * 9_000) / (2 * (1 - sign * RATE))
    expected = {
        "liquidation_price": price,
        "initial_margin": 12_000,
        "maintenance_margin": 240,
        "margin_ratio": 9_000 / 270,
    }
    check(inputs, expected, side=side)
    check(inputs | {"entry_price": 20_000}, expected, side=side)


@pytest.mark.parametrize(("side", "sign"), [("long", 1), ("short", -1)])
def test_cross_from_the_wallet_and_what_else_it_backs(side: str, sign: int) -> None:
    """(T − B + sign · qty · EP) / (qty · (sign − rate)) with B = wallet + other profit."""
    inputs = TIER | {
        "wallet_balance": 5_000, "quantity": 1, "entry_price": 30_000, "mark_price": 31_000,
        "other_maintenance_margin": 300, "other_unrealised_pnl": -700,
    }  # fmt: skip
    price = (300 - 4_300 + sign * 30_000) / (sign - RATE)
    check(inputs, {"liquidation_price": price, "unrealised_pnl": sign * 1_000}, side=side)


@pytest.mark.parametrize(("side", "sign"), [("long", 1), ("short", -1)])
def test_inverse_isolated_with_and_without_its_tick(side: str, sign: int) -> None:
    """F · (1 + sign · rate) / (F / EP + sign · margin)."""
    inputs = TIER | {
        "contracts": 30, "contract_value_usd": 100, "entry_price": 20_000, "margin": 0.015,
        "mark_price": 25_000,
    }  # fmt: skip
    price = 3_000 * (1 + sign * RATE) / (3_000 / 20_000 + sign * 0.015)
    own = {"mode": "isolated", "contract": "inverse", "side": side}
    profit = sign * 3_000 * (1 / 20_000 - 1 / 25_000)
    level = (0.015 + profit) / (3_000 / 25_000 * RATE)
    expected = {
        "unrealised_pnl": profit,
        "maintenance_margin": 3_000 / 25_000 * 0.004,
        "margin_ratio": level,
    }
    check(inputs, expected | {"liquidation_price": price}, **own)
    check(inputs | {"tick": 0.5}, {"liquidation_price": price + sign * 0.5}, **own)
    by_size = {k: v for k, v in inputs.items() if not k.startswith("contract")}
    check(by_size | {"size_usd": 3_000}, {"liquidation_price": price}, **own)


def test_isolated_without_its_margin_stands_on_its_initial_margin() -> None:
    price = (10 - 10 / 3) / (1 - 0.0106)
    inputs = {"entry_price": 10, "quantity": 1, "leverage": 3, "mmr": 0.01, "taker_fee": 0.0006}
    check(
        inputs,
        {"liquidation_price": price, "bankruptcy_price": 20 / 3, "initial_margin": 10 / 3},
        mode="isolated",
    )


def test_contracts_on_the_ladder_of_the_venue() -> None:
    """6,000 contracts of 0.01 are in the third tier: 0.75 %."""
    inputs = {
        "symbol": "BTC-USDT-SWAP", "contracts": 6_000, "entry_price": 50_000, "leverage": 20,
    }  # fmt: skip
    price = (50_000 - 2_500) / (1 - 0.008)
    check(inputs, {"liquidation_price": price}, mode="isolated", as_of="2026-05-28")


def test_a_tier_of_a_table_that_the_case_brings() -> None:
    rows = [[10, 0.01, 50], [20, 0.02, 25]]
    check({"contracts": 10.5, "tiers": rows}, {"tier": 2, "mmr": 0.02, "max_leverage": 25})
    named = [{"cap_contracts": 10, "mmr": 0.01}, {"cap_contracts": 20, "mmr": 0.02}]
    check({"contracts": 10, "table": named}, {"tier": 1, "mmr": 0.01})
    check({"imr": 0.03}, {"max_leverage": 33.33})


@pytest.mark.parametrize(
    ("inputs", "side", "price"),
    [
        (
            {"position_assets_base": 1, "margin_base": 0.1, "liability_quote": 100},
            "long",
            100 / 1.1,
        ),
        ({"position_assets_base": 1.1, "liability_quote": -100}, "long", 100 / 1.1),
        ({"position_assets_base": 2, "margin_quote": 20, "liability_quote": 200}, "long", None),
        ({"position_assets_quote": 120, "liability_base": 1}, "short", 120.0),
        ({"position_assets_quote": 120, "liability_base": 1, "interest": 0.2}, "short", 100.0),
        ({"position_assets": 1, "margin": 0.25, "liability": 100, "interest": 25}, "long", 100.0),
    ],
)
def test_spot_margin_by_its_assets_and_its_debt(
    inputs: dict[str, Any], side: str, price: float | None
) -> None:
    factor = 1.05 * 1.0015
    expected = (200 * factor - 20) / 2 if price is None else price
    if price is not None:
        expected = price * factor if side == "long" else price / factor
    own = {"mode": "isolated spot margin", "contract": "spot", "side": side}
    check(inputs | {"mmr": 0.05, "taker_fee": 0.0015}, {"liquidation_price": expected}, **own)


def test_the_margin_level_of_a_spot_long() -> None:
    inputs = {
        "position_assets_base": 1.1, "liability_quote": 10_000, "mmr": 0.03, "taker_fee": 0.001,
        "mark_price": 9_800,
    }  # fmt: skip
    level = (1.1 * 9_800 - 10_000) / (300 + 10_000 * 1.03 * 0.001)
    own = {"mode": "isolated spot margin", "contract": "spot"}
    check(inputs, {"margin_ratio": level, "maintenance_margin": 300}, **own)


def test_openings_of_spot_margin() -> None:
    own = {"mode": "isolated spot margin", "contract": "spot"}
    inputs = {"quantity": 2, "leverage": 4, "price": 100}
    in_quote = {"margin_quote": 50, "assets_base": 2, "liability_quote": 200}
    check(inputs, in_quote, **own)
    short = {"margin_quote": 50, "assets_quote": 250, "liability_base": 2}
    check(inputs, short, side="short", **own)
    check(inputs, {"margin": 0.5, "assets_base": 2.5}, what="long with base margin", **own)


@pytest.mark.parametrize(("side", "sign"), [("long", 1), ("short", -1)])
def test_funding_in_full_and_capped(side: str, sign: int) -> None:
    inputs = TIER | {"quantity": 2, "mark_price": 100, "funding_rate": 0.01}
    check(inputs, {"funding": -sign * 2}, side=side)
    poor = inputs | {"equity": 1.5}
    capped = told(poor, {"funding": 0.0}, side=side).checked[0].ours
    assert capped == pytest.approx(-(1.5 - 200 * RATE) if sign > 0 else 2.0, abs=1e-6)
    coin = TIER | {
        "contracts": 5, "contract_value_usd": 100, "mark_price": 20_000, "funding_rate": -0.001,
    }  # fmt: skip
    check(coin, {"funding": sign * 500 / 20_000 * 0.001}, side=side, contract="inverse")


def test_history_portfolio_interest_and_discount() -> None:
    inverse = {"contracts": 3, "contract_value_usd": 100, "open": 100, "close": 125, "leverage": 2}
    gain = 300 * (1 / 100 - 1 / 125)
    expected = {"pnl": gain, "realised_pnl": gain - 0.1, "pnl_ratio": (gain - 0.1) / 1.5}
    check(inverse | {"fee": -0.04, "liq_penalty": -0.06}, expected, contract="inverse")
    tiers = [[10_000, 1], [70_000, 2], [170_000, 4]]
    check({"mr": 9, "mr7_raw": 100_000, "tiers": tiers}, {"mr7_adj": 250_000, "mmr": 250_000})
    check({"borrowed": 1_000, "hourly_rate": 1e-5, "hours": 3}, {"interest": 0.03})
    check({"asset_value_usd": 1_000, "discount_rate": 0.9}, {"collateral_value": 900})
    check({"amount": 2, "price": 50, "discount_rate": 0.9}, {"adjusted_equity": 90})


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [({"colour": "blue"}, {"shade": 1}), ({"quantity": 1, "mmr": 0.01}, {"liquidation_price": 1})],
)
def test_what_cannot_be_answered_says_so(inputs: dict[str, Any], expected: dict[str, Any]) -> None:
    outcome = told(inputs, expected)
    assert not outcome.ok
    assert outcome.reason
