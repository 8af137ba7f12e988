"""Shocks: each changes what it names and nothing else; on prices, on the venue, on the line to it."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from studies.worlds import BTC, ETH, Hold, flat_venue, frame

from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.errors import InputError
from bt_margin.market.frames import LAST, MARK, validate_frames
from bt_margin.market.synthetic import generate_market
from bt_margin.plugin import assemble
from bt_margin.plugin.outages import cut_off
from bt_margin.studies.result import Run
from bt_margin.studies.run import run_prepared
from bt_margin.studies.shock_texts import shock_of
from bt_margin.studies.shocks import (
    CrashAt,
    Depeg,
    FundingSpike,
    Gap,
    Outage,
    Shock,
    Slippage,
    TierTightening,
    Wick,
    coin_of,
    shocked,
    silences,
    under,
)
from bt_margin.studies.tightened import capped, later
from bt_margin.venues import venue

MARKET = generate_market(seed=3, hours=400)
AT = MARKET[BTC].index[200]


def changed(shock: Shock, symbol: str = BTC) -> pd.DataFrame:
    """Where a shock changed the frame of a symbol."""
    out, own = shocked(MARKET, [shock])[symbol], MARKET[symbol]
    return (out != own) & ~(out.isna() & own.isna())


def ran(frames: dict[str, pd.DataFrame], strategy: Any, shocks: list[Shock], **broker: Any) -> Run:
    """One run under shocks, as a stress test makes it."""
    keywords = {"venue": flat_venue(), "cash": 1_000.0, "leverage": 10.0} | broker
    market = shocked(validate_frames(frames), shocks)
    cerebro = assemble.build(strategy, market, {})
    full = under(keywords, market, shocks)
    for name in ("slip_perc", "slip_open", "slip_out"):
        if name in full:
            setattr(cerebro.broker.p, name, full[name])
    cut_off(cerebro, silences(shocks), 3_600_000)
    return run_prepared(cerebro, market, full, "run", None)


# -- prices ------------------------------------------------------------------------------------------


def test_a_gap_moves_every_price_from_its_bar_on() -> None:
    out = shocked(MARKET, [Gap(-0.3, AT)])
    for symbol, own in MARKET.items():
        prices = [*LAST, *MARK]
        np.testing.assert_allclose(out[symbol][prices].iloc[200:], own[prices].iloc[200:] * 0.7)
        pd.testing.assert_frame_equal(out[symbol].iloc[:200], own.iloc[:200])
        pd.testing.assert_series_equal(out[symbol]["volume"], own["volume"])
        pd.testing.assert_series_equal(out[symbol]["funding_rate"], own["funding_rate"])


def test_a_gap_for_one_symbol_leaves_the_others_the_very_same() -> None:
    out = Gap(-0.3, AT, (ETH,)).on_market(MARKET)
    assert out[BTC] is MARKET[BTC]
    assert out[ETH]["close"].iloc[-1] == pytest.approx(0.7 * MARKET[ETH]["close"].iloc[-1])


def test_a_wick_is_one_number_of_the_last_price() -> None:
    where = changed(Wick(-0.5, AT))
    assert int(where.to_numpy().sum()) == 1
    assert where.loc[AT, "low"]
    low = shocked(MARKET, [Wick(-0.5, AT)])[BTC].loc[AT, "low"]
    assert low == 0.5 * MARKET[BTC].loc[AT, "open"]


def test_a_wick_of_the_mark_as_well_is_two_and_one_upwards_is_in_the_highs() -> None:
    assert list(changed(Wick(-0.5, AT, mark=True)).sum().loc[lambda n: n > 0].index) == [
        "low",
        "mark_low",
    ]
    assert list(changed(Wick(0.5, AT, mark=True)).sum().loc[lambda n: n > 0].index) == [
        "high",
        "mark_high",
    ]


def test_a_wick_within_the_bar_changes_nothing() -> None:
    assert not changed(Wick(-1e-9, AT)).to_numpy().any()


def test_a_funding_spike_changes_the_next_settlements_alone() -> None:
    out = shocked(MARKET, [FundingSpike(-0.02, AT, 3)])[BTC]["funding_rate"]
    own = MARKET[BTC]["funding_rate"]
    moved = out[(out != own) & out.notna()]
    assert list(moved) == [-0.02] * 3
    assert moved.index[0] >= AT
    assert list(own.index[own.notna()]) == list(out.index[out.notna()])


def test_a_depeg_of_the_quote_raises_prices_for_its_hours() -> None:
    out = shocked(MARKET, [Depeg(-0.2, AT, 24.0)])[BTC]
    ratio = out["close"] / MARKET[BTC]["close"]
    assert set(ratio.iloc[200:224].round(12)) == {1.25}
    assert set(ratio.drop(ratio.index[200:224])) == {1.0}


def test_a_depeg_of_what_is_traded_lowers_its_price() -> None:
    market = {"USDC/USDT": MARKET[BTC], ETH: MARKET[ETH]}
    out = shocked(market, [Depeg(-0.1, AT, coin="USDC")])
    assert out["USDC/USDT"]["close"].iloc[-1] == pytest.approx(0.9 * MARKET[BTC]["close"].iloc[-1])
    assert out[ETH] is not None
    pd.testing.assert_frame_equal(out[ETH], MARKET[ETH])


def test_a_crash_takes_each_coin_by_its_own_figures_or_another_coins() -> None:
    begun = MARKET[BTC].index[100]
    out = shocked(MARKET, [CrashAt("2025-10-10", begun, like={"ETH": "DOGE"})])
    for symbol, depth in ((BTC, 0.8353), (ETH, 0.3344), ("SOL/USDT:USDT", 0.6374)):
        opened = MARKET[symbol].loc[begun, "open"]
        window = out[symbol]["low"].iloc[100:134]
        assert window.min() == pytest.approx(depth * opened, rel=1e-12)


def test_a_symbol_that_comes_later_has_not_seen_the_crash() -> None:
    late = {BTC: MARKET[BTC], ETH: MARKET[ETH].iloc[300:]}
    out = CrashAt("2025-10-10", MARKET[BTC].index[100]).on_market(late)
    assert out[ETH] is late[ETH]
    assert out[BTC]["low"].min() < 0.84 * MARKET[BTC]["open"].iloc[100]


def test_shocks_compose_in_their_order_and_the_frames_stay_valid() -> None:
    shocks: list[Shock] = [
        CrashAt("2020-03-12", MARKET[BTC].index[50]),
        Gap(-0.3, AT),
        Wick(-0.5, AT),
        Wick(1.5, MARKET[BTC].index[250], mark=True),
        FundingSpike(0.01, AT),
        Depeg(-0.1, AT, 10.0),
        Outage(AT, 5.0),
        Slippage(0.001, 0.01),
        TierTightening(2.0, AT),
    ]
    out = shocked(MARKET, shocks)
    checked = validate_frames(out)
    for symbol in MARKET:
        pd.testing.assert_frame_equal(out[symbol], checked[symbol])
        assert out[symbol].attrs == MARKET[symbol].attrs
        again = shocked(MARKET, shocks)[symbol]
        assert again.to_numpy().tobytes() == out[symbol].to_numpy().tobytes()
    gapped = shocked(MARKET, [Gap(-0.3, AT), Wick(-0.5, AT)])[BTC].loc[AT, "low"]
    assert gapped == pytest.approx(0.35 * MARKET[BTC].loc[AT, "open"])


def test_what_is_shocked_is_left_alone() -> None:
    before = {symbol: own.copy() for symbol, own in MARKET.items()}
    shocked(MARKET, [Gap(-0.3, AT), CrashAt("ftx", AT), FundingSpike(0.01, AT)])
    for symbol, own in MARKET.items():
        pd.testing.assert_frame_equal(own, before[symbol])


@pytest.mark.parametrize(
    ("shock", "says"),
    [
        (Gap(-1.0, AT), "size of a gap"),
        (Gap(0.0, AT), "size of a gap"),
        (Gap(-0.3, "2031-01-01"), "outside the data"),
        (Gap(-0.3, "2011-01-01"), "outside the data"),
        (Gap(-0.3, AT, ("XRP",)), "Gap for XRP: the data has"),
        (Wick(float("nan"), AT), "size of a wick"),
        (FundingSpike(-0.02, AT, 0), "once or more"),
        (FundingSpike(-0.02, MARKET[BTC].index[-1]), "no settlement"),
        (Depeg(-0.1, AT, coin="DAI"), "depeg of DAI"),
        (Outage(AT, 0.0), "more than 0"),
        (Outage("2031-01-01", 1.0), "outside the data"),
        (TierTightening(2.0, "2031-01-01"), "outside the data"),
        (CrashAt("ftx", AT, scale=0.0), "scale of a crash"),
    ],
)
def test_a_shock_that_cannot_be_meant_is_refused(shock: Shock, says: str) -> None:
    with pytest.raises(InputError, match=says):
        shocked(MARKET, [shock])


def test_coins_behind_symbols() -> None:
    assert [coin_of(s) for s in ("1000SHIB/USDT:USDT", "ETHUSDT", "SOL/USD:SOL", "1INCH")] == [
        "SHIB",
        "ETH",
        "SOL",
        "INCH",
    ]


# -- the venue ---------------------------------------------------------------------------------------


def test_tier_tightening_liquidates_from_its_moment_on_what_lived_before() -> None:
    bars = {BTC: frame([100.0] * 20)}
    calm = ran(bars, Hold, [])
    tight = ran(bars, Hold, [TierTightening(40.0, "2025-01-01T10:00")])
    assert not (calm.events["kind"] == "liquidation").any()
    fell = tight.events[tight.events["kind"] == "liquidation"]
    assert list(fell["time"].dt.hour) == [10]


def test_tightened_tables_hold_from_the_moment_and_initial_margin_stays() -> None:
    own = under({"venue": "binance"}, MARKET, [TierTightening(2.0, "2025-01-01", (BTC,))])["venue"]
    before, after = 1_735_689_599_999, 1_735_689_600_000
    plain = venue("binance")
    for ms, factor in ((before, 1.0), (after, 2.0)):
        table, usual = own.schedule(BTC).at(ms), plain.schedule(BTC).at(ms)
        for notional in (1_000.0, 5e6, 4e7):
            assert table.maintenance(notional) == pytest.approx(
                factor * usual.maintenance(notional)
            )
        assert table.max_leverage(1_000.0) == usual.max_leverage(1_000.0)
    assert own.schedule(ETH).at(after) == plain.schedule(ETH).at(after)
    later = [since for since, _ in plain.schedule(BTC).tables if since > after]
    for since in later:
        usual = plain.schedule(BTC).at(since)
        assert own.schedule(BTC).at(since).maintenance(1e3) == 2.0 * usual.maintenance(1e3)


def test_a_tightening_on_the_very_day_of_a_new_table_takes_that_table() -> None:
    day = 1_700_000_000_000
    tables = ((day - 10, TierTable.flat(0.01)), (day, TierTable.flat(0.02)))
    own = later(TierSchedule(tables), 3.0, day)
    assert [own.at(ms).at(1.0).mmr for ms in (day - 11, day - 1, day, day + 1)] == [
        0.01, 0.01, pytest.approx(0.06), pytest.approx(0.06),
    ]  # fmt: skip
    early = later(TierSchedule(tables), 3.0, day - 20)
    assert [early.at(ms).at(1.0).mmr for ms in (day - 21, day - 20, day)] == [
        0.01, pytest.approx(0.03), pytest.approx(0.06),
    ]  # fmt: skip


def test_a_rate_never_reaches_one_and_the_table_stays_continuous() -> None:
    table = capped(venue("binance").schedule(BTC).at(0), 5.0)
    assert max(tier.mmr for tier in table.tiers) == 0.999
    for tier in table.tiers[1:]:
        near = (table.maintenance(tier.floor), table.maintenance(tier.floor * (1 + 1e-12)))
        assert near[0] == pytest.approx(near[1], rel=1e-3)


def test_own_tiers_are_tightened_too_and_other_settings_stay() -> None:
    said = {BTC: {"maintenance_rate": 0.01, "leverage": 7}}
    full = under({"venue": flat_venue(), "symbols": said}, MARKET, [TierTightening(3.0, AT)])
    assert full["symbols"] == {BTC: {"leverage": 7}}
    ms = int(AT.timestamp() * 1000)
    assert full["venue"].schedule(BTC).at(ms).at(1.0).mmr == pytest.approx(0.03)
    assert full["venue"].schedule(ETH).at(ms).at(1.0).mmr == pytest.approx(0.015)
    assert full["venue"].schedule(BTC).at(ms - 1).at(1.0).mmr == 0.01
    assert said == {BTC: {"maintenance_rate": 0.01, "leverage": 7}}


@pytest.mark.parametrize("name", ["okx", "hyperliquid", "bybit", "dydx_v4"])
def test_venues_with_rules_of_their_own_ask_for_more_as_well(name: str) -> None:
    rules = venue(name, **({"coins": True} if name == "okx" else {})).standing_for([BTC])
    bars = {BTC: frame([100_000.0] * 12 + [95_500.0] * 8)}
    calm = ran(bars, Hold, [], venue=rules, leverage=10.0)
    tight = ran(bars, Hold, [TierTightening(40.0, "2025-01-01T04:00")], venue=rules, leverage=10.0)
    assert not (calm.events["kind"] == "liquidation").any()
    assert (tight.events["kind"] == "liquidation").any()


def test_slippage_comes_on_top_and_costs_what_it_says() -> None:
    bars = {BTC: frame([100.0] * 6)}
    fills = [
        ran(bars, Hold, shocks).events.query("kind == 'fill'")["price"].iloc[0]
        for shocks in ([], [Slippage(0.01)])
    ]
    assert fills == [100.0, pytest.approx(101.0)]
    full = under({"liquidation_slippage": 0.01}, bars, [Slippage(0.0, 0.02), Slippage(0.0, 0.03)])
    assert full["liquidation_slippage"] == pytest.approx(0.06)
    with pytest.raises(InputError, match="slippage of liquidations"):
        under({}, bars, [Slippage(0.0, 1.0)])


# -- the line to the venue ---------------------------------------------------------------------------


class Sends(bt.Strategy):
    """One buy at each close; a resting order that it tries to cancel from the third bar on."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str, Any]] = []
        self.resting: Any = None

    def notify_order(self, order: Any) -> None:
        self.told.append((len(self), order.getstatusname(), order.info.get("reason")))

    def next(self) -> None:
        if len(self) == 1:
            self.resting = self.buy(size=1.0, price=50.0, exectype=bt.Order.Limit)
        if len(self) in (2, 5, 8):
            self.buy(size=1.0)
        if len(self) in (4, 5):
            self.cancel(self.resting)


def test_during_an_outage_orders_are_rejected_with_a_reason_and_afterwards_not() -> None:
    run = ran({BTC: frame([100.0] * 12)}, Sends, [Outage("2025-01-01T05:00", 3.0)])
    assert [t for t in run.strategy.told if t[1] == "Rejected"] == [(6, "Rejected", "outage")]
    refused = run.events[run.events["kind"] == "rejected"]
    assert list(refused["reason"]) == ["outage"]
    assert run.broker.account.positions[BTC].size == 2.0


def test_during_an_outage_nothing_can_be_cancelled_and_what_rests_fills() -> None:
    closes = [100.0] * 5 + [100.0, 49.0, 49.0, 49.0, 49.0]
    free = ran({BTC: frame(closes)}, Sends, [])
    assert free.strategy.resting.getstatusname() == "Canceled"
    cut = ran({BTC: frame(closes)}, Sends, [Outage("2025-01-01T02:00", 6.0)])
    assert cut.strategy.resting.getstatusname() == "Completed"


def test_the_venue_still_liquidates_during_an_outage() -> None:
    class Panic(Hold):
        def next(self) -> None:
            super().next()
            if len(self) == 4:
                self.close()

    closes = [100.0] * 4 + [95.0, 90.0, 80.0, 80.0]
    free = ran({BTC: frame(closes)}, Panic, [])
    cut = ran({BTC: frame(closes)}, Panic, [Outage("2025-01-01T03:30", 2.0)])
    assert not (free.events["kind"] == "liquidation").any()
    assert (cut.events["kind"] == "liquidation").any()


def test_guards_are_gone_with_the_run() -> None:
    run = ran({BTC: frame([100.0] * 6)}, Sends, [Outage("2025-01-01T01:00", 2.0)])
    assert "submit" not in vars(run.broker)
    assert "cancel" not in vars(run.strategy)


# -- texts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shock"),
    [
        ("gap=-0.3@2025-10-01", Gap(-0.3, "2025-10-01")),
        (f"gap=-0.3@2025-10-01[{ETH}, {BTC}]", Gap(-0.3, "2025-10-01", (ETH, BTC))),
        ("wick=-0.2@2025-10-01T21:00", Wick(-0.2, "2025-10-01T21:00")),
        ("wick-mark=-0.2@2025-10-01", Wick(-0.2, "2025-10-01", True)),
        ("funding=-0.02@2025-10-01*7", FundingSpike(-0.02, "2025-10-01", 7)),
        ("depeg=-0.1@2025-10-01/24h[USDC]", Depeg(-0.1, "2025-10-01", 24.0, "USDC")),
        ("depeg=-0.1@2025-10-01", Depeg(-0.1, "2025-10-01", 0.0, "USDT")),
        ("tiers=2@2025-10-01", TierTightening(2.0, "2025-10-01")),
        ("outage=90m@2025-10-01", Outage("2025-10-01", 1.5)),
        ("slippage=0.002", Slippage(0.002)),
        ("liquidation-slippage=0.05", Slippage(0.0, 0.05)),
        ("crash=luna@2025-06-01*1.5", CrashAt("2022-05", "2025-06-01", 1.5)),
    ],
)
def test_shocks_as_texts(text: str, shock: Shock) -> None:
    assert shock_of(text) == shock
    assert shock_of(shock) is shock


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("gap", "not of the form gap"),
        ("gap=-0.3", "kind=size@when"),
        ("gab=-0.3@2025-10-01", "gap"),
        ("gap=deep@2025-10-01", "'deep' is not a number"),
        ("outage=6@2025-10-01", "length of time"),
        ("crash=1929@2025-10-01", "no crash is called"),
        (3.0, "not of the form"),
    ],
)
def test_texts_that_are_no_shocks(text: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        shock_of(text)


def test_collateral_that_loses_its_worth_takes_the_position_it_backs() -> None:
    class OnEther(bt.Strategy):
        def next(self) -> None:
            if len(self) == 1:
                self.buy(self.getdatabyname(ETH), size=100.0)

    market = {BTC: frame([50_000.0] * 24), ETH: frame([100.0] * 24)}
    rules = venue("bybit").standing_for([BTC, ETH])
    account = {"venue": rules, "cash": 10.0, "collateral": {"BTC": 0.03}, "leverage": 10.0}
    depeg = Depeg(-0.97, "2025-01-01T10:00", 6.0, "BTC")
    calm, fell = (ran(market, OnEther, shocks, **account) for shocks in ([], [depeg]))
    assert not (calm.events["kind"] == "liquidation").any()
    gone = fell.events[fell.events["kind"] == "liquidation"]
    assert set(gone["symbol"]) == {ETH}
    assert gone["time"].dt.hour.min() == 10
