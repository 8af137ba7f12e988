"""Hedge mode: both sides of a symbol through one feed."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from plugin.stage import BTC, Actor, Listener, act, bars, broker_of, kinds, venue

import bt_margin as btm
from bt_margin.errors import (
    InputError,
    LeverageRefused,
    MarginModeRefused,
    MarginRefused,
    UnknownSymbol,
)
from bt_margin.plugin.sides import HELPED, SHORT_TRADEID

TWO = ("AAA/USDT:USDT", "BBB/USDT:USDT")
LONG, SHORT = {"position_side": "long"}, {"position_side": "short"}


def hedging(**numbers: Any) -> Any:
    return replace(venue(**numbers), hedge=True)


def run(
    plan: Any, prices: Any, *, strategy: Any = Actor, frame: Any = None, **settings: Any
) -> Any:
    broker = broker_of(**{"venue": hedging(), **settings})
    return act(broker, bars(prices) if frame is None else frame, plan, strategy=strategy)


def both(long: float = 3, short: float = 1) -> Any:
    """Open both sides."""
    return lambda s: (s.buy(size=long, **LONG), s.sell(size=short, **SHORT))


def refusals(strategy: Any) -> list[tuple[int, str]]:
    return [(n, o.info.get("reason")) for n, o in strategy.orders if o.status == bt.Order.Margin]


# -- positions, trades -----------------------------------------------------------------------------


def test_a_short_opens_beside_the_long_and_the_feeds_position_is_the_net() -> None:
    seen: list[Any] = []

    def look(s: Any) -> None:
        one = [s.broker.getposition(s.data, side) for side in ("long", "short")]
        seen.append([(p.size, p.price) for p in (s.position, *one)])

    s = run(
        {1: both(), 2: look, 3: lambda s: s.sell(size=4, **SHORT), 4: look}, [100] * 3 + [110] * 2
    )
    assert seen[0] == [(2, 100.0), (3, 100.0), (-1, 100.0)]
    assert seen[1] == [(-2, 108.0), (3, 100.0), (-5, 108.0)]  # the price of the larger side
    assert [e.symbol for e in kinds(s, "fill")] == [f"{BTC} long", f"{BTC} short", f"{BTC} short"]


def test_trades_of_the_two_sides_do_not_meet() -> None:
    plan = {1: both(), 3: lambda s: s.sell(size=3, **LONG), 5: lambda s: s.buy(size=1, **SHORT)}
    s = run(plan, [100, 100, 100, 110, 110, 90, 90])
    closed = [(t.tradeid, t.pnl) for _, t in s.trades if t.isclosed]
    assert closed == [(0, 30.0), (SHORT_TRADEID, 10.0)]
    assert s.broker.getvalue() == pytest.approx(1_040.0)


def test_a_tradeid_of_ones_own_is_kept_and_liquidations_find_it() -> None:
    def open_two(s: Any) -> None:
        s.buy(size=40, tradeid=7, **LONG)
        s.buy(size=20, tradeid=8, **LONG)
        s.sell(size=10, tradeid=9, **SHORT)

    s = run({1: open_two}, [100] * 3 + [(100, 100, 80, 95), 95], margin_mode="isolated")
    forced = [o for _, o in s.orders if o.info.get("liquidation") and o.status == o.Completed]
    assert [(o.tradeid, o.executed.size, o.info["position_side"]) for o in forced] == [
        (7, -40, "long"), (8, -20, "long"),
    ]  # fmt: skip
    assert {t.tradeid for _, t in s.trades if t.isclosed} == {7, 8}


def test_one_tradeid_for_both_sides_is_the_users_choice_and_liquidations_keep_them_apart() -> None:
    def open_two(s: Any) -> None:
        s.buy(size=60, tradeid=5, **LONG)
        s.sell(size=10, tradeid=5, **SHORT)

    s = run({1: open_two}, [100] * 3 + [(100, 100, 80, 95), 95], margin_mode="isolated")
    forced = [o for _, o in s.orders if o.info.get("liquidation") and o.status == o.Completed]
    assert [(o.tradeid, o.executed.size) for o in forced] == [(5, -60)]


@pytest.mark.parametrize("longest", [0, 4096])
def test_a_side_that_opens_after_a_quiet_time_is_where_its_market_is(
    longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bt_margin.plugin.calm.Calm.longest", longest)
    rates = pd.Series(0.001, index=pd.date_range("2024-01-01", periods=60, freq="3h", tz="UTC"))
    plan = {50: lambda s: s.buy(size=3, **LONG), 130: lambda s: s.sell(size=1, **SHORT)}
    s = run(plan, [100 + n / 100 for n in range(180)], funding={BTC: rates}, leverage=2)
    start = s.broker.equity_curve[0][0]
    hours = [(e.symbol.split()[1], (e.time - start) // 3_600_000) for e in kinds(s, "funding")]
    assert [hours[0], hours[-1], len(hours)] == [("long", 51), ("short", 177), 43 + 16]
    truth = s.broker.fidelity
    assert (truth["bars"], truth["bars_without_mark"], truth["funding_charged"]) == (183, 183, 59)


def test_an_order_against_a_side_is_trimmed_and_never_turns_it() -> None:
    s = run({1: both(), 3: lambda s: s.sell(size=8, **LONG)}, [100] * 6)
    assert s.ends()[-1] == (4, "Canceled", -3.0)
    assert s.sizes[-1] == -1
    assert [p["side"] for p in s.broker.fetch_positions()] == ["short"]


def test_reducing_orders_at_rest_reserve_nothing() -> None:
    def guard(s: Any) -> None:
        s.sent["cash"] = s.broker.getcash()
        s.sell(size=3, exectype=bt.Order.Stop, price=50.0, **LONG)
        s.buy(size=1, exectype=bt.Order.Stop, price=190.0, **SHORT)

    s = run({1: both(), 3: guard, 5: lambda s: s.sent.update(later=s.broker.getcash())}, [100] * 6)
    assert s.sent["cash"] == s.sent["later"] == pytest.approx(960.0)


def test_funding_is_paid_by_the_one_and_received_by_the_other() -> None:
    funding = {BTC: [(pd.Timestamp("2024-01-01 03:00", tz="UTC"), 0.01)]}
    s = run({1: both()}, [100] * 6, funding=funding)
    paid = {e.symbol: e.amount for e in kinds(s, "funding")}
    assert paid == pytest.approx({f"{BTC} long": -3.0, f"{BTC} short": 1.0})


def test_a_side_made_late_pays_no_earlier_settlement() -> None:
    times = pd.date_range("2024-01-01 01:00", periods=10, freq="h", tz="UTC")
    funding = {BTC: pd.Series(0.001, index=times)}
    s = run({1: lambda s: s.buy(size=1, **LONG), 6: lambda s: s.sell(size=1, **SHORT)}, [100] * 10,
            funding=funding)  # fmt: skip
    hours = [(e.time // 3_600_000) % 24 for e in kinds(s, "funding") if e.symbol == f"{BTC} short"]
    assert hours == [7, 8, 9]


@pytest.mark.parametrize("int2pnl", [True, False])
def test_a_trades_pnlcomm_has_the_funding_of_its_own_side(int2pnl: bool) -> None:
    funding = {BTC: [(pd.Timestamp("2024-01-01 03:00", tz="UTC"), 0.01)]}
    plan = {1: both(), 5: lambda s: s.close()}
    s = run(plan, [100] * 8, funding=funding, int2pnl=int2pnl)
    net = {t.tradeid: t.pnlcomm for _, t in s.trades if t.isclosed}
    assert net == pytest.approx(
        {0: -3.0, SHORT_TRADEID: 1.0} if int2pnl else {0: 0, SHORT_TRADEID: 0}
    )


# -- closing ---------------------------------------------------------------------------------------


def test_close_without_a_side_closes_both() -> None:
    s = run({1: both(2, 2), 3: lambda s: s.sent.update(order=s.close())}, [100] * 6)
    assert s.broker.fetch_positions() == []
    assert [e.size for e in kinds(s, "fill")] == [2, -2, -2, 2]
    assert s.sent["order"].info["position_side"] == "long"


def test_close_and_targets_look_at_the_side_they_are_asked_about() -> None:
    def act_on(s: Any) -> None:
        s.close(**LONG)
        s.order_target_size(target=-4, **SHORT)

    s = run({1: both(), 3: act_on, 5: lambda s: s.order_target_value(target=-100.0, **SHORT),
             7: lambda s: s.order_target_percent(target=0.5, **LONG)}, [100] * 10)  # fmt: skip
    filled = [(e.symbol.split()[1], e.size) for e in kinds(s, "fill")]
    assert filled[2:] == [("long", -3), ("short", -3), ("short", 3.0), ("long", pytest.approx(5.0))]


def test_strategies_are_left_as_they_were() -> None:
    s = run({1: both()}, [100] * 4)
    assert not set(HELPED) & set(vars(s))


def test_an_order_without_a_side_reduces_the_only_side_that_is_open() -> None:
    plan = {1: lambda s: s.sell(size=2, **SHORT), 3: lambda s: s.buy(size=5)}
    s = run(plan, [100] * 6)
    assert [(e.symbol, e.size) for e in kinds(s, "fill")] == [
        (f"{BTC} short", -2),
        (f"{BTC} short", 2),
    ]
    assert [t.tradeid for _, t in s.trades] == [SHORT_TRADEID, SHORT_TRADEID]


# -- refusals --------------------------------------------------------------------------------------


def test_a_venue_without_hedge_mode_refuses_sides() -> None:
    s = run({1: lambda s: s.buy(size=1, **LONG)}, [100] * 4, venue=venue())
    assert refusals(s) == [(2, "no_hedge_mode")]
    assert s.sizes[-1] == 0


def test_one_way_and_sides_of_one_symbol_do_not_mix() -> None:
    plan = {
        1: lambda s: s.buy(size=1),
        3: lambda s: s.buy(size=1, **LONG),
        4: lambda s: s.close(),
        6: both(),
        8: lambda s: s.buy(size=1),
        9: lambda s: s.sell(size=1),
    }
    s = run(plan, [100] * 12)
    assert refusals(s) == [(4, "one_way_position"), (9, "position_side"), (10, "position_side")]
    assert s.sizes[-1] == 2


def test_orders_that_wait_count_as_well() -> None:
    def rest(s: Any) -> None:
        s.sent["rests"] = s.buy(size=1, exectype=bt.Order.Limit, price=50.0, **LONG)

    plan = {1: rest, 3: lambda s: s.buy(size=1), 4: lambda s: s.cancel(s.sent["rests"]),
            5: lambda s: s.buy(size=1, exectype=bt.Order.Limit, price=50.0), 7: both()}  # fmt: skip
    s = run(plan, [100] * 10)
    reasons = [(4, "position_side"), (8, "one_way_position"), (8, "one_way_position")]
    assert refusals(s) == reasons


def test_nothing_is_mixed_where_orders_are_not_checked_either() -> None:
    plan = {1: lambda s: s.buy(size=1), 3: both()}
    s = run(plan, [100] * 6, checksubmit=False)
    assert [reason for _, reason in refusals(s)] == ["one_way_position"] * 2


def test_a_side_that_is_none_is_the_callers_mistake() -> None:
    with pytest.raises(InputError, match="position_side: found 'up'"):
        run({1: lambda s: s.buy(size=1, position_side="up")}, [100] * 3)


# -- brackets, OCO, margin -------------------------------------------------------------------------


def test_a_bracket_of_one_side_leaves_the_other_alone() -> None:
    def bracket(s: Any) -> None:
        s.buy_bracket(size=2, exectype=bt.Order.Market, stopprice=90.0, limitprice=110.0, **LONG)
        s.sell(size=1, **SHORT)

    s = run({1: bracket}, [100] * 3 + [(100, 112, 100, 112)] * 3)
    assert s.ends() == [
        (2, "Completed", 2), (2, "Completed", -1), (4, "Completed", -2), (4, "Canceled", 0),
    ]  # fmt: skip
    assert s.sizes[-1] == -1


def test_children_of_a_bracket_take_the_side_of_their_parent() -> None:
    def send(s: Any) -> None:
        parent = s.sell(size=2, transmit=False, **SHORT)
        s.buy(size=2, exectype=bt.Order.Stop, price=110.0, parent=parent)

    s = run({1: send}, [100] * 3 + [(100, 112, 100, 112)] * 2)
    assert [(e.symbol, e.size, e.price) for e in kinds(s, "fill")] == [
        (f"{BTC} short", -2, 100.0), (f"{BTC} short", 2, 110.0),
    ]  # fmt: skip


def test_oco_of_one_side() -> None:
    def guard(s: Any) -> None:
        stop = s.sell(size=3, exectype=bt.Order.Stop, price=90.0, **LONG)
        s.sell(size=3, exectype=bt.Order.Limit, price=120.0, oco=stop, **LONG)

    s = run({1: both(), 3: guard}, [100] * 4 + [(100, 100, 85, 85)] * 2)
    assert [(n, status) for n, status, _ in s.ends()[2:]] == [(5, "Completed"), (5, "Canceled")]
    assert s.sizes[-1] == -1


def test_cross_sides_share_one_liquidation_price_and_isolated_sides_have_their_own() -> None:
    prices = {}
    for mode in ("cross", "isolated"):
        s = run({1: both(30, 10)}, [100] * 4, margin_mode=mode)
        prices[mode] = [p["liquidationPrice"] for p in s.broker.fetch_positions()]
    # 1000 + 20·(P − 100) = 0.005·40·P;  and 300 + 30·(P − 100) = 0.005·30·P, 100 − 10·(P − 100) = 0.05·P
    assert prices["cross"] == pytest.approx([1_000 / 19.8] * 2)
    assert prices["isolated"] == pytest.approx([2_700 / 29.85, 1_100 / 10.05])


@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_a_crash_takes_the_long_at_the_formulas_price(mode: str) -> None:
    s = run({1: both(60, 10)}, [100] * 3 + [(100, 100, 70, 75), 75], margin_mode=mode,
            strategy=Listener)  # fmt: skip
    fell = kinds(s, "liquidation")
    # cross: 1000 + 50·(P − 100) = 0.005·70·P; isolated: 600 + 60·(P − 100) = 0.005·60·P
    price = 4_000 / 49.65 if mode == "cross" else 5_400 / 59.7
    lost = {"cross": {f"{BTC} long", f"{BTC} short"}, "isolated": {f"{BTC} long"}}
    assert {e.symbol for e in fell} == lost[mode]
    assert [e.price for e in fell] == pytest.approx([price] * len(fell))
    assert [e for _, kind, e in s.told if kind == "liquidation"] == fell
    s.broker.account.audit()


def test_a_mode_the_venue_has_not_is_refused_with_sides_as_without() -> None:
    def switch(s: Any) -> None:
        with pytest.raises(MarginModeRefused, match="has no isolated margin"):
            s.broker.set_margin_mode("isolated", s.data)

    plan = {0: switch, 1: both(), 2: switch}
    run(plan, [100] * 4, venue=replace(hedging(), modes=("cross",)))


def test_a_symbols_leverage_holds_for_both_sides_or_for_neither() -> None:
    def change(s: Any) -> None:
        s.broker.set_leverage(20, s.data)
        s.sent["two"] = [p["leverage"] for p in s.broker.fetch_positions()]
        with pytest.raises(LeverageRefused):
            s.broker.set_leverage(1.05, s.data)
        s.sent["same"] = [p["leverage"] for p in s.broker.fetch_positions()]

    s = run({1: both(40, 10), 3: change}, [100] * 5)
    assert s.sent["two"] == s.sent["same"] == [20, 20]
    assert len(kinds(s, "refused")) == 1


def test_margin_is_added_to_the_side_that_is_named() -> None:
    def add(s: Any) -> None:
        s.broker.add_margin(s.data, 50.0, position_side="short")
        with pytest.raises(MarginRefused):
            s.broker.add_margin(s.data, 50.0)

    s = run({1: both(), 3: add}, [100] * 5, margin_mode="isolated")
    assert [p["positionMargin"] for p in s.broker.fetch_positions()] == [30.0, 60.0]


def test_settings_made_before_a_side_is_opened_hold_for_it() -> None:
    def first(s: Any) -> None:
        s.broker.set_leverage(5, s.data)
        s.broker.set_margin_mode("isolated", s.data)
        both()(s)

    s = run({1: first}, [100] * 4)
    shown = [(p["leverage"], p["marginMode"]) for p in s.broker.fetch_positions()]
    assert shown == [(5.0, "isolated")] * 2


def test_what_is_shown_of_the_two_sides() -> None:
    s = run({1: both(), 4: lambda s: s.close(**SHORT)}, [100] * 7)
    rows = s.broker.fetch_positions([s.data])
    shown = [(p["symbol"], p["side"], p["contracts"], p["hedged"]) for p in rows]
    assert shown == [(BTC, "long", 3.0, True), (BTC, "short", 0.0, True)]
    quiet = run({}, [100] * 3)
    assert [p["hedged"] for p in quiet.broker.fetch_positions([quiet.data])] == [False]


def test_a_preview_of_a_side_is_its_fill() -> None:
    def look(s: Any) -> None:
        s.sent["ahead"] = s.broker.preview(s.data, -2, position_side="short")
        s.sent["trimmed"] = s.broker.preview(s.data, -9, position_side="long")
        s.sell(size=2, **SHORT)

    s = run({1: both(), 3: look}, [100] * 5)
    assert (s.sent["ahead"].size, s.sent["trimmed"].size) == (-3.0, 0.0)
    shown = s.broker.fetch_positions()[1]["liquidationPrice"]
    assert s.sent["ahead"].liquidation_price == shown


def test_a_preview_on_a_venue_without_hedge_mode_says_so() -> None:
    def look(s: Any) -> None:
        with pytest.raises((InputError, UnknownSymbol), match="hedge mode"):
            s.broker.preview(s.data, 1, position_side="long")

    run({2: look}, [100] * 3, venue=venue())


def test_a_delisted_market_settles_both_sides() -> None:
    end = pd.Timestamp("2024-01-01 04:00", tz="UTC")
    s = run({1: both()}, [100] * 4 + [120] * 3, delisted={BTC: end})
    assert [(e.symbol, e.size) for e in kinds(s, "fill")][2:] == [
        (f"{BTC} long", -3),
        (f"{BTC} short", 1),
    ]
    assert s.sizes[-1] == 0
    assert sum(t.isclosed for _, t in s.trades) == 2


def test_detail_of_the_symbol_serves_both_sides() -> None:
    finer = bars([100.0] * 12 + [(100, 100, 79, 90)] * 4 + [90.0] * 8, freq="15min")
    frame = bars([100] * 3 + [(100, 100, 79, 90), 90, 90])
    s = run({1: both(60, 1)}, [], frame=frame, detail={BTC: finer})
    assert kinds(s, "liquidation")
    assert s.broker.fidelity["walked"]
    assert not s.broker.fidelity["walked_blind"]
    blind = run({1: both(60, 1)}, [], frame=frame)
    assert {symbol for symbol, *_ in blind.broker.fidelity["walked_blind"]} == {BTC}


# -- against two feeds -----------------------------------------------------------------------------


class TwoWays(bt.Strategy):
    """The same random orders, either as sides of one feed or on two feeds with the same prices."""

    params = (("seed", 0), ("sides", True))

    def __init__(self) -> None:
        self.random = random.Random(self.p.seed)
        self.open: list[Any] = []

    def next(self) -> None:
        dice = self.random
        self.open = [order for order in self.open if order.alive()]
        for place, side in enumerate(("long", "short")):
            draw, size, away = dice.random(), dice.choice((2, 5, 20)), dice.uniform(0.005, 0.04)
            cancels = dice.random() < 0.1
            if draw > 0.35:
                continue
            price = self.data.close[0]
            opens = draw < 0.2
            buys = opens == (side == "long")
            kind, at = bt.Order.Market, None
            if 0.05 < draw < 0.12 or draw > 0.3:
                kind, at = bt.Order.Limit, price * (1 - away if buys else 1 + away)
            elif draw > 0.25:
                kind, at = bt.Order.Stop, price * (1 + away if buys else 1 - away)
            named = {"position_side": side} if self.p.sides else {"reduce_only": not opens}
            data = self.data if self.p.sides else self.datas[place]
            send = self.buy if buys else self.sell
            self.open.append(send(data=data, size=size, exectype=kind, price=at, **named))
            if cancels:
                self.cancel(self.open[0])


def wild(seed: int, count: int = 160) -> pd.DataFrame:
    """A restless market with marks of its own and funding."""
    dice, price, rows = random.Random(seed), 100.0, []
    for _ in range(count):
        start, price = price, price * (1 + dice.gauss(0, 0.02))
        high = max(start, price) * (1 + abs(dice.gauss(0, 0.012)))
        low = min(start, price) * (1 - abs(dice.gauss(0, 0.012)))
        rows.append((start, high, low, price))
    frame = bars(rows)
    marks = {f"mark_{name}": frame[name] * 1.001 for name in ("open", "high", "low", "close")}
    rates = [dice.choice((0.001, -0.001)) if n % 4 == 0 else float("nan") for n in range(count)]
    return frame.assign(**marks, funding_rate=rates)


def told(broker: Any) -> list[Any]:
    """The events and entries with the sides of the one and the symbols of the other named alike."""
    names = {f"{TWO[0]} long": "L", f"{TWO[0]} short": "S", TWO[0]: "L", TWO[1]: "S", None: ""}
    events = [(e.kind, names[e.symbol], e.time, e.size, e.price, e.amount) for e in broker.events]
    # which of two orders of one bar is told first is the feeds' order
    return sorted(events, key=lambda row: (row[2], row[0], row[1], row[3] or 0.0, row[4] or 0.0))


@pytest.mark.parametrize("mode", ["cross", "isolated"])
@pytest.mark.parametrize("seed", range(6))
def test_two_sides_of_one_feed_are_two_feeds_with_the_same_prices(seed: int, mode: str) -> None:
    frame, found = wild(seed), []
    rules = replace(hedging(taker_fee=0.0005, maker_fee=0.0002, liquidation_fee=0.01), hedge=True)
    for sides in (True, False):
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.broker = broker_of(venue=rules, margin_mode=mode, leverage=20, cash=600.0)
        for name in TWO[:1] if sides else TWO:
            cerebro.adddata(btm.PerpData(dataname=frame, name=name))
        cerebro.addstrategy(TwoWays, seed=seed, sides=sides)
        cerebro.run()
        found.append(cerebro.broker)
    one, two = found
    assert [row[:3] for row in told(one)] == [row[:3] for row in told(two)]
    assert list(one.equity_curve[0]) == list(two.equity_curve[0])
    assert list(one.equity_curve[1]) == pytest.approx(list(two.equity_curve[1]), rel=1e-9, abs=1e-6)
    assert one.account.ledger.totals == pytest.approx(two.account.ledger.totals, abs=1e-6)


def test_the_wild_markets_do_liquidate() -> None:
    fell = 0
    for seed in range(6):
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.broker = broker_of(venue=hedging(), margin_mode="isolated", leverage=20, cash=600.0)
        cerebro.adddata(btm.PerpData(dataname=wild(seed), name=TWO[0]))
        cerebro.addstrategy(TwoWays, seed=seed)
        cerebro.run()
        sides = {e.symbol for e in cerebro.broker.events if e.kind == "liquidation"}
        fell += len(sides)
    assert fell >= 4


# -- studies ---------------------------------------------------------------------------------------


class Straddle(bt.Strategy):
    """Both sides from the first bar on; the short is given up in the middle."""

    def next(self) -> None:
        if len(self) == 1:
            self.buy(size=60, **LONG)
            self.sell(size=10, **SHORT)
        if len(self) == 4:
            self.close(**SHORT)


def test_a_comparison_of_sides_adds_up_side_by_side() -> None:
    frame = bars([100] * 3 + [98, 97, (97, 97, 80, 85), 86, 90])
    result = btm.compare(Straddle, {BTC: frame}, venue=hedging(), leverage=10, cash=1_000)
    isolated = result.runs["isolated"]
    fell = isolated.events.query("kind == 'liquidation'")
    assert fell["symbol"].tolist() == [f"{BTC} long"]
    moved = sum(e.amount for e in isolated.broker.account.ledger)
    assert moved == pytest.approx(isolated.final)
    ends = {name: run.final for name, run in result.runs.items()}
    parts = sum(piece.worth for piece in result.divergence)
    assert parts == pytest.approx(ends["isolated"] - ends["cross"])
    assert set(result.runs["cross"].held.symbols) == {f"{BTC} long", f"{BTC} short"}


def test_the_report_of_a_hedged_comparison_is_made(tmp_path: Any) -> None:
    frame = bars([100] * 3 + [98, 97, (97, 97, 80, 85), 86, 90])
    result = btm.compare(Straddle, {BTC: frame}, venue=hedging(), leverage=10, cash=1_000)
    page = result.report(tmp_path / "out.html")
    assert f"{BTC} long" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", ["cross", "isolated"])
@pytest.mark.parametrize("name", ["binance", "bybit", "okx"])
def test_a_crash_at_the_venues_with_hedge_mode(name: str, mode: str) -> None:
    rules = btm.venue(name)
    assert rules.hedge
    size = 0.02 / rules.contract(BTC).multiplier
    prices = [50_000.0] * 3 + [(50_000, 50_000, 38_000, 40_000), 40_000]
    broker = btm.MarginBroker(venue=rules, margin_mode=mode, leverage=10, cash=150.0, debug=True)
    shown: list[Any] = []

    def look(s: Any) -> None:
        shown.extend(p["liquidationPrice"] for p in s.broker.fetch_positions())

    s = act(broker, bars(prices), {1: both(size, size / 4), 3: look})
    account, fell = s.broker.account, kinds(s, "liquidation")
    account.audit()
    assert fell
    assert fell[0].mark == pytest.approx(shown[0], rel=1e-9)
    assert len({round(p, 6) for p in shown}) == (1 if mode == "cross" else 2)
    assert {e.symbol for e in fell} <= {f"{BTC} long", f"{BTC} short"}
    held = sum(p.unrealised() for p in account.positions.values())
    assert sum(e.amount for e in account.ledger) + held == pytest.approx(
        s.broker.getvalue(), abs=1e-5
    )
    assert all(t.isclosed or t.justopened for _, t in s.trades)


@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_both_sides_of_a_coin_contract_told_in_dollars(mode: str) -> None:
    coin = "BTC/USD:BTC"
    broker = broker_of(
        venue=hedging(), margin_mode=mode, cash={"BTC": 1.0}, currency="USD",
        symbols={coin: {"multiplier": 100.0}},
    )  # fmt: skip
    prices = [20_000.0] * 3 + [(20_000, 20_000, 17_000, 18_000), 18_000, 18_000]
    plan = {1: both(1_500, 300), 5: lambda s: s.close()}
    s = act(broker, {coin: bars(prices)}, plan)
    fell = kinds(s, "liquidation")
    # cross: 1 + q/20,000 − q/P = 0.005·180,000/P with q = 120,000; isolated: 0.75, q = 150,000 alone
    backing, net, gross = (1.0, 120_000, 180_000) if mode == "cross" else (0.75, 150_000, 150_000)
    price = (net + 0.005 * gross) / (backing + net / 20_000)
    assert fell[0].price == pytest.approx(price)
    left = sum(e.amount for e in s.broker.account.ledger)
    assert s.broker.getvalue() == pytest.approx(left * 18_000)
    pnl = {t.tradeid: t.pnl for _, t in s.trades if t.isclosed}
    out = price if mode == "cross" else 18_000
    assert pnl[0] == pytest.approx(150_000 * (price / 20_000 - 1))
    assert pnl[SHORT_TRADEID] == pytest.approx(30_000 * (1 - out / 20_000))


def test_a_second_run_is_the_first_again() -> None:
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker = broker_of(venue=hedging())
    cerebro.adddata(btm.PerpData(dataname=wild(1), name=TWO[0]))
    cerebro.addstrategy(TwoWays, seed=1)
    found = []
    for _ in range(2):
        cerebro.run()
        found.append((told(cerebro.broker), list(cerebro.broker.equity_curve[1])))
    assert found[0] == found[1]
