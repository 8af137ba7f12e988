"""Series handed to the broker: funding, marks and finer bars in all the shapes people have them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from plugin.stage import BTC, ETH, act, bars, broker_of, kinds

import bt_margin as btm
from bt_margin.errors import DataError, InputError, MissingData, UnknownSymbol
from bt_margin.plugin.series import detail_of, epoch_ms, marks_of, stamps_of

HOUR = 3_600_000
START = 1_704_067_200_000  # 2024-01-01
STILL = bars([100] * 26)
EIGHTS = pd.Series(
    [0.001, 0.002, 0.003], pd.date_range("2024-01-01 08:00", periods=3, freq="8h", tz="UTC")
)
TIMES = [START + 8 * HOUR, START + 16 * HOUR, START + 24 * HOUR]


def hold(**settings: Any) -> Any:
    """Ten long from 01:00 to the end."""
    return act(broker_of(**settings), STILL, {1: lambda s: s.buy(size=10)})


SHAPES: dict[str, Any] = {
    "series": EIGHTS,
    "mapping": dict(EIGHTS.items()),
    "pairs": list(EIGHTS.items()),
    "pairs of ms": list(zip(TIMES, EIGHTS, strict=True)),
    "triples": [(t, r, 100.0) for t, r in zip(TIMES, EIGHTS, strict=True)],
    "frame": pd.DataFrame({"funding_rate": EIGHTS}),
    "frame with mark": pd.DataFrame({"rate": EIGHTS, "mark": [100.0, np.nan, 100.0]}),
    "another time zone": EIGHTS.tz_convert("Asia/Tokyo"),
    "text": {"2024-01-01T08:00+00:00": 0.001, "2024-01-01T16:00+00:00": 0.002,
             "2024-01-02T01:00+01:00": 0.003},
    "datetimes": {t.to_pydatetime(): r for t, r in EIGHTS.items()},
    "some milliseconds off": [(t + d, r) for t, r, d in zip(TIMES, EIGHTS, (-3, 7, 999), strict=True)],
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_funding_in_every_shape(shape: str) -> None:
    run = hold(funding={BTC: SHAPES[shape]})
    assert [e.amount for e in kinds(run, "funding")] == [-1, -2, -3]
    assert [e.time for e in kinds(run, "funding")] == TIMES
    assert run.broker.fidelity["funding_charged"] == 3
    assert run.broker.fidelity["symbols_without_funding"] == ()


@pytest.mark.parametrize("name", [BTC, "BTC", "BTCUSDT", "my feed"])
def test_a_series_is_found_under_any_name_of_the_symbol(name: str) -> None:
    broker = btm.MarginBroker(
        venue="binance", funding={name: EIGHTS}, mark={name: STILL}, names={"my feed": BTC},
        cash=10_000.0,
    )  # fmt: skip
    run = act(broker, {"my feed": STILL}, {1: lambda s: s.buy(size=10)})
    assert [e.amount for e in kinds(run, "funding")] == [-1, -2, -3]
    assert run.broker.fidelity["mark_share"] == 1.0


def test_funding_ends_with_its_series_and_before_the_position_there_is_none() -> None:
    """trap 47"""
    early = pd.Series(0.001, pd.date_range("2023-12-31", periods=4, freq="8h", tz="UTC"))
    assert [e.amount for e in kinds(hold(funding={BTC: early}), "funding")] == []


def test_funding_belongs_to_the_trade_when_asked_for() -> None:
    def close(s: Any) -> None:
        s.sell(size=4)
        s.sell(size=6)

    for into_trades, total in ((True, 1 + 2), (False, 0)):
        broker = broker_of(funding={BTC: EIGHTS}, int2pnl=into_trades)
        run = act(broker, STILL, {1: lambda s: s.buy(size=10), 20: close})
        (trade,) = (t for _, t in run.trades if t.isclosed)
        assert trade.pnl - trade.pnlcomm == pytest.approx(total)
        assert run.broker.getvalue() == pytest.approx(1_000 - 3)
        shares = [o.executed.comm for _, o in run.orders if o.issell() and not o.alive()]
        assert shares == [pytest.approx(total * 0.4), pytest.approx(total * 0.6)]


def test_marks_decide_equity_and_unmarked_bars_are_counted() -> None:
    marks = bars([100] * 20 + [99] * 6)
    run = hold(mark={BTC: marks})
    assert run.values[-1] == pytest.approx(990)
    assert run.broker.getvalue([run.data]) == 1_000  # the notional is at the close
    run = hold(mark={BTC: marks.iloc[:20]})
    assert run.broker.fidelity["bars_without_mark"] == 6
    assert any(
        "6 bars of " in note and "had no mark" in note for note in run.broker.fidelity["notes"]
    )
    run = hold()
    assert any("No mark prices" in note for note in run.broker.fidelity["notes"])


def test_a_series_of_closing_marks() -> None:
    closes = pd.Series(99.0, STILL.index)
    assert hold(mark={BTC: closes}).values[-1] == pytest.approx(990)


@pytest.mark.parametrize("what", ["funding", "mark"])
def test_what_is_required_must_be_there(what: str) -> None:
    with pytest.raises(MissingData, match=rf"{what} was required.*{BTC}"):
        hold(require=what)
    one = {what: {BTC: {"funding": EIGHTS, "mark": STILL}[what]}}
    with pytest.raises(MissingData, match=rf"{what} was required.*{ETH}"):
        act(broker_of(require=(what,), **one), {BTC: STILL, ETH: STILL})
    given = {"funding": {BTC: EIGHTS}, "mark": {BTC: STILL}}
    assert hold(require=("funding", "mark"), **given).position.size == 10


@pytest.mark.parametrize("what", ["funding", "mark"])
def test_series_for_symbols_that_nothing_trades(what: str) -> None:
    series = {"funding": EIGHTS, "mark": STILL}[what]
    with pytest.raises(InputError, match=rf"{what}= has series for 'BTC/USDT'.*{BTC}"):
        hold(**{what: {"BTC/USDT": series}})
    assert hold(**{what: {BTC: series, ETH: series}}).position.size == 10


NAIVE = bars([100] * 3, tz=None)
BROKEN: dict[str, tuple[str, Any, str]] = {
    "naive times": ("funding", pd.Series(0.1, NAIVE.index), "no time zone.*tz_localize"),
    "naive marks": ("mark", NAIVE, "no time zone.*tz_localize"),
    "naive finer bars": ("detail", NAIVE, "no time zone.*tz_localize"),
    "rates that are none": ("funding", [(START, float("nan"))], "funding rate.*nan"),
    "two rates for one time": ("funding", [(START, 0.1), (START, 0.2)], "two funding rates"),
    "no rate column": ("funding", pd.DataFrame({"x": EIGHTS}), "funding_rate; found.*x"),
    "a rate in words": ("funding", [(START, "high")], "high"),
    "a mark of zero": ("funding", [(START, 0.1, 0.0)], "mark.*0"),
    "no time at all": ("funding", [(None, 0.1)], "None is not a time"),
    "a time in words": ("funding", [("noon", 0.1)], "noon"),
    "half a pair": ("funding", [(START,)], "pair"),
    "not a series": ("funding", 0.0001, "0.0001"),
    "marks upside down": (
        "mark", STILL.assign(high=90.0), "2024-01-01 00:00.*high 90.*highest",
    ),
    "marks without columns": ("mark", STILL[["open", "close"]], "needs the columns"),
    "marks of zero": ("mark", pd.Series(0.0, STILL.index), "is no bar"),
    "marks that are no series": ("mark", 5.0, "5.0"),
    "finer bars that are none": ("detail", EIGHTS, "needs a DataFrame"),
    "finer bars without a close": ("detail", STILL[["open"]], "needs a DataFrame"),
    "marks twice": ("mark", pd.concat([STILL.iloc[:2], STILL.iloc[1:2]]), "01:00 UTC appears twice"),
    "marks unsorted": ("mark", STILL.iloc[::-1], "comes after a later"),
    "closing marks unsorted": ("mark", STILL["close"].iloc[::-1], "comes after a later"),
    "an empty frame of finer bars": ("detail", STILL.iloc[:0], "needs a DataFrame"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_series_is_named(case: str) -> None:
    what, series, words = BROKEN[case]
    with pytest.raises(DataError, match=words) as found:
        hold(**{what: {BTC: series}})
    assert BTC in str(found.value)


def test_finer_bars_for_an_unknown_symbol() -> None:
    with pytest.raises(UnknownSymbol, match="BTC/USDT:USDT"):
        btm.MarginBroker(venue="binance", detail={"BTC/USTD:USDT": STILL})


def test_times_are_read_as_milliseconds() -> None:
    assert epoch_ms(START, "x") == epoch_ms(np.int64(START), "x") == START
    assert epoch_ms(pd.Timestamp(START, unit="ms", tz="UTC"), "x") == START
    assert epoch_ms(dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc), "x") == START
    assert epoch_ms("2024-01-01 00:00Z", "x") == START


def test_rows_without_a_mark_are_left_out() -> None:
    frame = STILL.copy()
    frame.iloc[3, :4] = np.nan
    assert len(marks_of(frame, "X")) == 25
    assert len(detail_of(frame, "X").bars) == 25
    assert stamps_of([], "X") == ()
