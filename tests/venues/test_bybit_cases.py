"""Bybit's answers to published cases: which rule a case is about, and cases of other wording."""

from __future__ import annotations

from typing import Any

import pytest

from bt_margin.studies.conformance import UnknownCase, cases_of
from bt_margin.studies.conformance.bybit import answer

LONG = {"quantity": 1, "entry_price": 20_000, "leverage": 50, "mmr": 0.005}
COIN = {"size_usd": 10_000, "entry_price": 8_000, "mmr": 0.005, "taker_fee": 0.00075}


def told(inputs: dict[str, Any], *wanted: str, mode: str = "isolated", **row: Any) -> Any:
    """What is answered, of the wanted keys alone."""
    case = {
        "id": "x", "venue": "bybit", "mode": mode, "what": "anything", "side": "long",
        "inputs": inputs, "expected": dict.fromkeys(wanted, 0.0), **row,
    }  # fmt: skip
    (found,) = cases_of([case])
    answers = answer(found)
    return answers[wanted[0]] if len(wanted) == 1 else [answers[key] for key in wanted]


BEFORE, SINCE = 19_700.0, 19_600 / 0.995


@pytest.mark.parametrize(
    ("texts", "price"),
    [
        ({}, SINCE),
        ({"as_of": "2025-09-01"}, BEFORE),
        ({"as_of": "2025-09-02"}, SINCE),
        ({"as_of": "2022-2026"}, SINCE),
        ({"as_of": "2022-2026", "formula": "BYB_LIQ_ENTRY (rule before 2025-09-02)"}, BEFORE),
        ({"as_of": "2024", "formula": "mark rule since 2025-09-02, IM on entry value"}, SINCE),
        ({"formula": "MM on entry value"}, BEFORE),
        ({"formula": "MM on mark value, IM on entry value"}, SINCE),
        ({"what": "liquidation price until 2025-09-01"}, BEFORE),
        ({"as_of": "undated"}, SINCE),
    ],
)
def test_the_rule_is_the_one_the_case_is_about(texts: dict[str, str], price: float) -> None:
    assert told(LONG, "liquidation_price", **texts) == pytest.approx(price, abs=1e-9)


def test_a_date_among_the_inputs_counts_when_no_text_tells() -> None:
    early, late = dict(LONG, date="2025-09-01"), dict(LONG, date="2025-09-03")
    assert told(early, "liquidation_price") == pytest.approx(BEFORE)
    assert told(late, "liquidation_price") == pytest.approx(SINCE)


def test_prices_are_on_the_tick_where_it_is_told_up_for_a_long_and_down_for_a_short() -> None:
    inputs = dict(LONG, tick=0.5)
    assert told(inputs, "liquidation_price") == 19_698.5
    assert told(inputs, "liquidation_price", side="short") == 20_298.5  # of 20,298.507
    assert told(LONG, "liquidation_price", side="short") == pytest.approx(20_400 / 1.005)


def test_a_short_of_the_legacy_cross_account() -> None:
    """Bust: (1 − fee)·size / (size/entry − balance), by the mirror of the page's formula."""
    price, bust = told(
        dict(COIN, account_balance=0.5), "liquidation_price", "bankruptcy_price",
        mode="cross (legacy inverse)", contract="inverse", side="short", as_of="2020",
    )  # fmt: skip
    assert bust == pytest.approx((1 - 0.00075) * 10_000 / (1.25 - 0.5))
    spare = 0.5 - 1.25 * 0.005 - 10_000 * 0.00075 / bust
    assert price == pytest.approx(10_000 / (1.25 - spare))


def test_open_orders_take_part_of_a_legacy_balance() -> None:
    rest = {"mode": "cross", "contract": "inverse", "as_of": "2020"}
    bare = told(dict(COIN, account_balance=0.5), "liquidation_price", **rest)
    less = told(dict(COIN, account_balance=0.5, order_margin=0.1), "liquidation_price", **rest)
    assert 10_000 / bare - 10_000 / less == pytest.approx(0.1)


def test_an_inverse_position_with_margin_added_in_each_era() -> None:
    inputs = {
        "size_usd": 200, "entry_price": 1812.70004844, "margin_incl_close_fee": 0.01926611,
        "mmr": 0.005, "taker_fee": 0.0006,
    }  # fmt: skip
    rest = {"mode": "isolated with added margin", "contract": "inverse"}
    value = 200 / 1812.70004844
    bust = 200 * 1.0006 / (value + 0.01926611)
    found = told(inputs, "liquidation_price", "bankruptcy_price", as_of="2023-05-16", **rest)
    assert found == pytest.approx([200 / (200 / bust - 0.005 * value), bust])
    found = told(inputs, "liquidation_price", as_of="2026-05-16", **rest)
    assert found == pytest.approx(200 * 1.005 / (200 / bust))


def test_a_position_beside_others_in_cross() -> None:
    inputs = dict(
        LONG, wallet_balance=3_000, other_maintenance_margin=500, other_unrealised_pnl=-200
    )
    price = told(inputs, "liquidation_price", mode="cross")
    assert 3_000 - 200 + price - 20_000 == pytest.approx(500 + price * 0.005)


def test_the_venues_own_tables_by_number_and_by_value() -> None:
    wanted = ("mmr", "deduction", "max_leverage", "maintenance_margin", "tier")
    found = told({"symbol": "BTC/USDT", "position_value": 3_000_000}, *wanted, mode="any")
    assert found == [0.0063, 3_020, 80, 3_000_000 * 0.0063 - 3_020, 3]
    assert told({"table": "ETHUSDT", "tier": 5}, "deduction", mode="any") == 2_700


def test_deductions_of_a_ladder_that_the_case_brings() -> None:
    rows = [[1_000, 0.01], [5_000, 0.02], [None, 0.05]]
    assert told({"tiers": rows}, "deduction", mode="any") == pytest.approx(160)
    named = [{"cap": 1_000, "mmr": 0.01}, {"risk_limit": 5_000, "mmr": 0.02}]
    assert told({"tiers": named, "tier": 2}, "deduction", mode="any") == pytest.approx(10)


def test_orders_positions_results_and_interest() -> None:
    short = {"quantity": 1, "price": 50_000, "leverage": 10, "taker_fee": 0.00055}
    assert told(short, "close_fee", "order_cost", side="short") == pytest.approx([30.25, 5_057.75])
    closed = dict(LONG, exit_price=19_000)
    assert told(closed, "realised_pnl", side="short") == 1_000
    assert told({"borrowed": 2, "hourly_rate": 1e-6, "hours": 24}, "interest") == pytest.approx(
        4.8e-5
    )
    assert told(dict(LONG, mark_price=21_000), "unrealised_pnl", "position_value") == [
        1_000,
        21_000,
    ]


def test_what_cannot_be_answered_says_so() -> None:
    with pytest.raises(UnknownCase, match="bybit has no answer"):
        told({"colour": 3}, "taste")
    with pytest.raises(UnknownCase, match="bybit has no answer"):
        told({"table": "RVN/USDT", "tier": 21}, "deduction", mode="any")
    with pytest.raises(UnknownCase, match="no 'account_balance'"):
        told(COIN, "liquidation_price", mode="cross (legacy)", contract="inverse")
