"""The end of a market: what is open is closed at the last mark, and nothing trades there any more."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from plugin.stage import BTC, ETH, act, bars, broker_of, kinds
from plugin.twin import LOOPS

import bt_margin as btm
from bt_margin.errors import UnknownMode

START = 1_704_067_200_000  # 2024-01-01
HOUR = 3_600_000


def two_markets(**attrs: Any) -> dict[str, pd.DataFrame]:
    """BTC for ten bars, ETH for five of them: 100, 100, 110, 120, 130."""
    gone = bars([100, 100, 110, 120, 130])
    gone.attrs = attrs
    return {BTC: bars([1_000] * 10), ETH: gone}


def buy_eth(strategy: Any, size: float = 5) -> None:
    strategy.buy(data=strategy.datas[1], size=size)


def live(plan: Any, *, delisted_at: int | None = 5, loop: str = "runonce", **settings: Any) -> Any:
    end = None if delisted_at is None else START + delisted_at * HOUR
    frames = two_markets(**({} if end is None else {"delisted": end}))
    return act(broker_of(**settings), frames, plan, feed=btm.PerpData, run=LOOPS[loop])


OUT_OF_STEP = [name for name in LOOPS if name != "exactbars 1"]  # which backtrader cannot do then


@pytest.mark.parametrize("loop", OUT_OF_STEP)
@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_what_is_open_is_closed_at_the_last_mark_without_a_fee(mode: str, loop: str) -> None:
    run = live({1: buy_eth}, margin_mode=mode, loop=loop)
    over, settled = kinds(run, "delisted")[0], kinds(run, "fill")[-1]
    assert (over.symbol, over.time) == (ETH, START + 5 * HOUR)
    assert (settled.size, settled.price, settled.fee, settled.cause) == (-5, 130, 0, over.id)
    assert settled.realised == 5 * 30
    assert run.broker.getvalue() == run.broker.account.wallet() == 1_150
    assert list(run.broker.account.pools) == ["cross:USDT"]
    run.broker.account.audit()


def test_the_strategy_is_told_by_a_completed_order_and_a_closed_trade() -> None:
    run = live({1: buy_eth})
    told = [(bar, o) for bar, o in run.orders if o.info.get("delisted")]
    assert {bar for bar, _ in told} == {6}
    assert told[-1][1].status == bt.Order.Completed
    assert told[-1][1].executed.price == 130
    assert not told[-1][1].info.get("liquidation")
    assert [(bar, t.isclosed, t.pnl) for bar, t in run.trades] == [(2, False, 0), (6, True, 150)]
    assert run.getposition(run.datas[1]).size == 0


def test_its_orders_go_and_new_ones_are_refused_with_the_reason() -> None:
    def rest(s: Any) -> None:
        s.resting = s.buy(data=s.datas[1], size=1, exectype=bt.Order.Limit, price=50)

    def late(s: Any) -> None:
        s.late = s.buy(data=s.datas[1], size=1)

    run = live({1: rest, 8: late})
    assert run.resting.status == bt.Order.Canceled
    assert run.resting.info.reason == "delisted"
    assert run.late.status == bt.Order.Margin
    assert run.late.info.reason == "delisted 2024-01-01 05:00 UTC"
    assert [e.reason for e in kinds(run, "rejected")] == ["delisted 2024-01-01 05:00 UTC"]
    assert run.broker.account.orders.reserved == 0


def test_a_market_that_only_lacks_bars_is_kept_at_its_last_mark() -> None:
    run = live({1: buy_eth}, delisted_at=None)
    assert kinds(run, "delisted") == []
    assert run.getposition(run.datas[1]).size == 5
    assert run.broker.getvalue() == 1_150


def test_holding_on_is_a_policy_with_a_name() -> None:
    run = live({1: buy_eth}, delisting="hold")
    assert kinds(run, "delisted") == []
    assert run.getposition(run.datas[1]).size == 5
    with pytest.raises(UnknownMode, match="allowed: settle, hold"):
        broker_of(delisting="keep")


def test_the_end_of_a_plain_feeds_market_is_given_to_the_broker() -> None:
    frames, ends = two_markets(), {ETH: pd.Timestamp("2024-01-01 05:00", tz="UTC")}
    run = act(broker_of(delisted=ends), frames, {1: buy_eth})
    assert [e.symbol for e in kinds(run, "delisted")] == [ETH]
    assert run.getposition(run.datas[1]).size == 0


def test_no_funding_is_paid_on_a_market_that_is_over() -> None:
    rates = pd.Series(0.01, pd.date_range("2024-01-01 01:00", periods=9, freq="h", tz="UTC"))
    run = act(
        broker_of(delisted={ETH: START + 5 * HOUR}, funding={ETH: rates}),
        two_markets(),
        {1: buy_eth},
    )
    assert [(e.time - START) // HOUR for e in kinds(run, "funding")] == [2, 3, 4]


def test_funding_that_was_due_before_the_end_is_paid_though_there_were_no_more_bars() -> None:
    rates = pd.Series(0.01, pd.date_range("2024-01-01 01:00", periods=9, freq="h", tz="UTC"))
    run = act(
        broker_of(delisted={ETH: START + 8 * HOUR}, funding={ETH: rates}),
        two_markets(),
        {1: buy_eth},
    )
    assert [(e.time - START) // HOUR for e in kinds(run, "funding")] == [2, 3, 4, 5, 6, 7]
    assert [e.amount for e in kinds(run, "funding")][-3:] == [pytest.approx(-0.01 * 5 * 130)] * 3
