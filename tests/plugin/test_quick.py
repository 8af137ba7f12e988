"""Quick twins of backtrader's own: the same orders, to the last attribute."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from plugin.twin import walk

from bt_margin.plugin.quick import Maker

KINDS = (None, *range(8))
SESSIONS = (None, dt.time(17, 0), dt.time(0, 0), dt.time(23, 59, 59))


def of(order: Any) -> dict[str, Any]:
    """All an order is, its number aside; its parameters are its own or its params'."""
    found = {name: getattr(order, name) for name in order.params._getkeys()}
    own = {name: value for name, value in vars(order).items() if name not in ("params", "p", "ref")}
    for name in ("created", "executed"):
        own[name] = {k: v if k != "exbits" else list(v) for k, v in vars(own[name]).items()}
    stated = {name: getattr(order.params, name) for name in order.params._getkeys()}
    return {**found, **own, "stated": stated, "info": dict(order.info)}


class Compares(bt.Strategy):
    """Makes each order twice, as backtrader does and quickly, on every bar."""

    params: Any = (("maker", None), ("seed", 0))

    def next(self) -> None:
        draw = random.Random(self.p.seed * 10_007 + len(self))
        price = draw.choice([None, 0.0, 99.0])
        valid = draw.choice([None, None, None, dt.timedelta(hours=3), 0, dt.timedelta()])
        given = {
            "owner": self, "size": draw.choice([1, 2.5, 0]), "price": price,
            "pricelimit": draw.choice([None, 101.0]), "exectype": draw.choice(KINDS), "valid": valid,
            "tradeid": draw.randrange(3), "trailamount": draw.choice([None, 2.0]),
            "trailpercent": None, "parent": None, "transmit": draw.random() < 0.5,
            "histnotify": draw.random() < 0.5,
        }  # fmt: skip
        kind = draw.choice([bt.BuyOrder, bt.SellOrder])
        quick, slow = self.p.maker.order(kind, self.data, **given), kind(data=self.data, **given)
        assert type(quick) is type(slow)
        assert slow.ref == quick.ref + 1
        assert of(quick) == of(slow)


@pytest.mark.parametrize("sessionend", SESSIONS, ids=str)
@pytest.mark.parametrize("freq", ["7h", "37min", "D"])
def test_an_order_made_quickly_is_backtraders_own(freq: str, sessionend: Any) -> None:
    frame = walk(300, freq=freq)
    frame.index += pd.Timedelta(minutes=59, seconds=59, microseconds=999_990)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame, sessionend=sessionend))
    for seed in range(3):
        cerebro.addstrategy(Compares, maker=Maker(), seed=seed)
    assert len(cerebro.run()) == 3


def test_a_maker_serves_feeds_with_sessions_of_their_own() -> None:
    """One maker, two feeds, either with its end."""

    class Both(bt.Strategy):
        params: Any = (("maker", Maker()),)

        def next(self) -> None:
            plain = {
                "owner": self, "size": 1, "price": None, "pricelimit": None, "exectype": None,
                "valid": None, "tradeid": 0, "trailamount": None, "trailpercent": None,
                "parent": None, "transmit": True, "histnotify": False,
            }  # fmt: skip
            for data in self.datas:
                quick = self.p.maker.order(bt.BuyOrder, data, **plain)
                assert quick.dteos == bt.BuyOrder(data=data, **plain).dteos

    cerebro = bt.Cerebro(stdstats=False)
    for end in (dt.time(17), dt.time(9, 30)):
        cerebro.adddata(bt.feeds.PandasData(dataname=walk(200, freq="h"), sessionend=end))
    cerebro.addstrategy(Both)
    assert cerebro.run()
