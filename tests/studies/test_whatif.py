"""What-if numbers against the venue's own worked examples and against the engine."""

from __future__ import annotations

import pytest

from bt_margin.engine.account import Account
from bt_margin.errors import InputError, UnknownMode
from bt_margin.studies.whatif import Holding, what_if, with_tier
from bt_margin.venues import venue

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
NOW = 1_790_000_000_000


def test_binance_worked_example_of_an_isolated_long() -> None:
    rules = with_tier(venue("binance"), ETH, {"mmr": 0.1, "maintenance_amount": 135_365.0})
    (answer,) = what_if(
        rules, [Holding(ETH, 3683.979, 1456.84)], wallet=1_535_443.01, leverage=3.5,
        margin_mode="isolated", margin=1_535_443.01, time=NOW,
    )  # fmt: skip
    assert answer.liquidation_price == pytest.approx(1114.78, abs=0.01)


def test_binance_worked_example_of_two_cross_longs() -> None:
    rules = with_tier(venue("binance"), ETH, {"mmr": 0.1, "maintenance_amount": 135_365.0})
    rules = with_tier(rules, BTC, {"mmr": 0.025, "maintenance_amount": 16_300.0})
    held = [Holding(ETH, 3683.979, 1456.84, 1335.18), Holding(BTC, 109.488, 32481.98, 31967.27)]
    answers = what_if(rules, held, wallet=1_535_443.01, leverage=10, margin_mode="cross", time=NOW)
    assert answers[0].liquidation_price == pytest.approx(1153.26, abs=0.01)
    assert answers[1].liquidation_price == pytest.approx(26316.89, abs=0.01)


@pytest.mark.parametrize("mode", ["cross", "isolated"])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_the_engine_says_the_same(mode: str, side: float) -> None:
    rules = venue("binance")
    account = Account(rules, 10_000.0, mode, 10, time=NOW)  # type: ignore[arg-type]  # parametrized
    account.mark(BTC, 60_000.0)
    account.fill(BTC, 0.5 * side, 60_000.0, fee=lambda size, price: 0.0)
    (answer,) = what_if(
        rules, [Holding(BTC, 0.5 * side, 60_000.0)], wallet=10_000.0, leverage=10,
        margin_mode=mode, time=NOW,
    )  # fmt: skip
    assert answer.liquidation_price == account.liquidation_price(BTC)
    assert answer.bankruptcy_price == account.bankruptcy_price(BTC)


def test_a_perfect_hedge_has_no_liquidation_price() -> None:
    held = [Holding(BTC, 1.0, 60_000.0), Holding(BTC, -1.0, 60_000.0)]
    answers = what_if(
        venue("binance"), held, wallet=5_000.0, leverage=10, margin_mode="cross", time=NOW
    )
    assert answers[0].bankruptcy_price is None
    assert answers[0].to_dict()["bankruptcy_price"] is None


def test_the_affordable_size_is_what_the_account_would_accept() -> None:
    rules = venue("binance")
    (answer,) = what_if(
        rules, [Holding(BTC, 9.0, 60_000.0)], wallet=1_000.0, leverage=10, margin_mode="cross",
        time=NOW,
    )  # fmt: skip
    account = Account(rules, 1_000.0, "cross", 10, time=NOW)
    account.mark(BTC, 60_000.0)
    assert account.preview(BTC, answer.affordable_size, 60_000.0).accepted
    assert not account.preview(BTC, answer.affordable_size * 1.01, 60_000.0).accepted


@pytest.mark.parametrize(
    ("holding", "wallet"),
    [
        (Holding(BTC, 0.0, 1.0), 1.0),
        (Holding(BTC, 1.0, -1.0), 1.0),
        (Holding(BTC, 1.0, 1.0, 0.0), 1.0),
        (Holding(BTC, 1.0, 1.0), 0.0),
        (Holding(BTC, float("nan"), 1.0), 1.0),
    ],
)
def test_nonsense_is_refused(holding: Holding, wallet: float) -> None:
    with pytest.raises(InputError):
        what_if(
            venue("binance"), [holding], wallet=wallet, leverage=1, margin_mode="cross", time=NOW
        )


def test_an_unknown_mode_offers_the_known() -> None:
    with pytest.raises(UnknownMode, match="did you mean isolated"):
        what_if(
            venue("binance"),
            [Holding(BTC, 1, 1)],
            wallet=1,
            leverage=1,
            margin_mode="isolate",
            time=0,
        )


@pytest.mark.parametrize(
    ("name", "symbol", "size", "rate", "most"),
    [
        ("okx", "BTC/USDT:USDT", 900.0, 0.004, 100.0),  # contracts of 0.01 BTC, 45,000,000 in value
        ("okx", "BTC/USDT:USDT", 1_001.0, 0.005, 66.66),
        ("krakeninverse", "BTC/USD:BTC", 900_000.0, 0.02, 25.0),
        ("krakeninverse", "BTC/USD:BTC", 400_000.0, 0.01, 50.0),
    ],
)
def test_the_rate_shown_is_that_of_the_venue_s_own_count(
    name: str, symbol: str, size: float, rate: float, most: float
) -> None:
    rules = venue(name)
    mode = rules.modes[0]
    answer, = what_if(
        rules, [Holding(symbol, size, 50_000.0)], wallet=1_000_000.0, leverage=10.0,
        margin_mode=mode, time=1_790_000_000_000,
    )  # fmt: skip
    assert (answer.maintenance_rate, answer.max_leverage) == (rate, most)
