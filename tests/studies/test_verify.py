"""Our numbers beside an exchange's: what its own reference prints, and why a number is missing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from studies.exchanges import parsed

from bt_margin.engine.account import Account
from bt_margin.errors import InputError
from bt_margin.studies import verify as judging
from bt_margin.studies.snapshot import positions_of
from bt_margin.studies.verify import Compared, Verdict, verify
from bt_margin.studies.whatif import rules_of

NOW = 1_790_640_000_000
ROW = {
    "symbol": "BTC/USDT:USDT", "side": "long", "contracts": 1.0, "contractSize": 1.0,
    "entryPrice": 60_000.0, "markPrice": 61_000.0, "leverage": 10.0, "marginMode": "cross",
}  # fmt: skip


def judged(*rows: dict[str, Any], **terms: Any) -> list[Verdict]:
    return verify(positions_of(list(rows)), rules_of, now=NOW, **terms)


def number(verdict: Verdict, name: str) -> Compared:
    return next(each for each in verdict.compared if each.name == name)


def test_the_isolated_position_of_binances_reference() -> None:
    """The positionRisk sample of the API reference, under the table of its date."""
    (found,) = judged(parsed("binanceusdm"))
    price = number(found, "liquidation_price")
    assert price.exchange == 5930.78
    assert price.ours == pytest.approx(5930.78, abs=0.01)
    assert price.difference == pytest.approx(0.0036, abs=1e-4)
    assert number(found, "unrealised").difference == pytest.approx(0.0, abs=1e-6)
    assert judging.AT_LIQUIDATION in found.notes


def test_an_explicit_tier_takes_the_place_of_the_table() -> None:
    row = parsed("binanceusdm")
    tier = {"mmr": 0.005, "maintenance_amount": 50.0}
    (found,) = judged(row, as_of=NOW, tier=tier)
    assert number(found, "liquidation_price").ours == pytest.approx(5930.78, abs=0.01)
    (today,) = judged(row, as_of=NOW)
    assert number(today, "liquidation_price").ours != pytest.approx(5930.78, abs=1)


def test_the_margins_of_bybits_payload_before_its_change_of_rules() -> None:
    """A unified account's position of 2022-07-13: margins at entry value, with the closing fee."""
    (found,) = judged(parsed("bybit"))
    assert number(found, "initial_margin").ours == pytest.approx(53.9824395, abs=1e-7)
    assert number(found, "maintenance_margin").ours == pytest.approx(2.9745645, abs=1e-7)
    assert any("taken as cross" in note for note in found.notes)


def test_contracts_of_a_hundredth_of_a_coin_are_counted_as_the_exchange_does() -> None:
    (found,) = judged(parsed("okx"))
    assert found.size == pytest.approx(-10.0)
    assert number(found, "notional").ours == pytest.approx(6_100.0)
    assert number(found, "unrealised").difference == pytest.approx(0.0, abs=1e-9)


def test_a_mark_that_is_missing_is_read_off_the_unrealised_profit() -> None:
    for name in ("krakenfutures", "dydx"):
        row = parsed(name)
        assert row["markPrice"] is None
        (found,) = judged(row)
        assert number(found, "unrealised").difference == pytest.approx(0.0, abs=1e-6)
        assert any("unrealised profit" in note for note in found.notes)


def test_cross_margin_wants_the_wallet() -> None:
    (found,) = judged(ROW, venue="binance")
    assert number(found, "liquidation_price") == Compared(
        "liquidation_price", None, None, None, judging.NO_WALLET
    )
    assert number(found, "maintenance_margin").ours is not None
    (found,) = judged(ROW, venue="binance", wallets={"": 7_000.0})
    account = Account("binance", 7_000.0, "cross", 10.0, time=NOW)
    account.mark(ROW["symbol"], 60_000.0)
    account.fill(ROW["symbol"], 1.0, 60_000.0, fee=lambda size, price: 0.0)
    account.mark(ROW["symbol"], 61_000.0)
    assert number(found, "liquidation_price").ours == account.liquidation_price(ROW["symbol"])
    assert number(found, "margin_ratio").ours == account.risk(ROW["symbol"]).ratio


def test_cross_positions_of_one_currency_share_the_wallet() -> None:
    short = {**ROW, "symbol": "ETH/USDT:USDT", "side": "short", "contracts": 10.0}
    short |= {"entryPrice": 3_000.0, "markPrice": 2_900.0}
    alone = judged(ROW, venue="binance", wallets={"USDT": 9_000.0})[0]
    both = judged(ROW, short, venue="binance", wallets={"USDT": 9_000.0})
    ratios = {number(each, "margin_ratio").ours for each in both}
    assert len(ratios) == 1
    lower = number(both[0], "liquidation_price").ours
    assert lower < number(alone, "liquidation_price").ours


def test_both_sides_of_a_symbol_are_a_hedge() -> None:
    short = {**ROW, "side": "short", "contracts": 0.5, "entryPrice": 61_000.0}
    long_, other = judged(ROW, short, venue="binance", wallets={"": 9_000.0})
    assert number(long_, "liquidation_price").ours == number(other, "liquidation_price").ours


def test_a_wallet_without_a_currency_is_refused_where_there_are_several() -> None:
    usdc = {**ROW, "symbol": "BTC/USDC:USDC"}
    with pytest.raises(InputError, match="USDC, USDT"):
        judged(ROW, usdc, venue="binance", wallets={"": 5_000.0})


def test_an_exchange_that_is_not_certain_has_to_be_named() -> None:
    with pytest.raises(InputError, match="--venue"):
        judged(ROW)


def test_a_symbol_without_a_table_gets_a_reason_and_spoils_its_pool() -> None:
    other = {**ROW, "symbol": "NOSUCH/USDT:USDT"}
    lost, found = judged(other, ROW, venue="binance", wallets={"": 5_000.0})
    assert not lost.judged
    assert "--mmr" in number(lost, "notional").reason
    assert "another position" in number(found, "liquidation_price").reason
    assert number(found, "maintenance_margin").ours is not None


def test_a_deduction_that_ccxt_leaves_out_is_noticed() -> None:
    row = {**ROW, "contracts": 10.0, "maintenanceMargin": 610_000 * 0.005}
    (found,) = judged(row, venue="binance")
    assert number(found, "maintenance_margin").ours == pytest.approx(610_000 * 0.005 - 300)
    assert judging.NO_DEDUCTION in found.notes


def test_nothing_about_the_mark_is_made_up() -> None:
    row = {**ROW, "markPrice": None, "marginMode": "isolated", "positionMargin": 6_000.0}
    (found,) = judged(row, venue="binance")
    assert number(found, "unrealised").reason == judging.NO_MARK
    assert number(found, "liquidation_price").ours == pytest.approx(54_216.87, abs=40)


def test_an_inverse_position_is_its_own_line_of_the_exchange() -> None:
    row = {**ROW, "symbol": "BTC/USD:BTC", "contracts": 100.0, "contractSize": 100.0}
    row |= {"marginMode": "isolated", "positionMargin": 0.02}
    (found,) = judged(row, venue="binance")
    assert (found.venue, found.currency) == ("binancecoinm", "BTC")
    assert number(found, "notional").ours == pytest.approx(10_000 / 61_000)


def test_leverage_above_the_table_is_a_reason() -> None:
    (found,) = judged({**ROW, "leverage": 500.0}, venue="binance")
    assert not found.judged
    assert "500" in number(found, "notional").reason


def test_the_positions_of_our_own_broker_come_back_to_the_same_numbers() -> None:
    account = Account("binance", 50_000.0, "isolated", 5.0, time=NOW)
    account.mark("BTC/USDT:USDT", 60_000.0)
    account.fill("BTC/USDT:USDT", -1.0, 60_000.0)
    p = account.position("BTC/USDT:USDT")
    row = {
        **ROW, "side": "short", "markPrice": 60_000.0, "leverage": 5.0, "marginMode": "isolated",
        "collateral": p.pool.equity(), "positionMargin": p.pool.balance, "initialMargin": p.initial(),
        "maintenanceMargin": p.maintenance(), "notional": p.notional(), "unrealizedPnl": 0.0,
        "liquidationPrice": account.liquidation_price(p.symbol), "marginRatio": p.pool.ratio(),
    }  # fmt: skip
    (found,) = judged(row, venue="binance")
    assert {each.difference for each in found.compared} == {0.0}


def test_the_newest_time_of_an_exchanges_positions_chooses_its_rules() -> None:
    old = {**ROW, "timestamp": 1_640_995_200_000}
    new = {**ROW, "symbol": "ETH/USDT:USDT", "timestamp": NOW}
    other = parsed("bybit")
    named = zip(positions_of([old, new, other]), ("binance", "binance", "bybit"), strict=True)
    shown = [replace(each, venue=name) for each, name in named]
    verdicts = verify(shown, rules_of, now=NOW + 1)
    assert [each.time for each in verdicts] == [NOW, NOW, 1_657_711_949_945]


def test_a_requirement_that_holds_the_closing_fee_is_told_from_the_exchanges() -> None:
    """OKX prints its maintenance margin without the taker fee that its margin ratio counts."""
    row = parsed("okx", mmr="24.4")
    (found,) = judged(row, tier={"mmr": 0.004})
    assert number(found, "maintenance_margin").exchange == pytest.approx(6_100 * 0.004)
    assert number(found, "maintenance_margin").ours == pytest.approx(6_100 * (0.004 + 0.0005))
    assert judging.NO_FEE in found.notes


def test_hyperliquids_position_of_its_reference_under_the_leverage_it_had() -> None:
    """An isolated long with 50 as highest leverage, so 1 % maintenance; the price is the venue's own."""
    (found,) = judged(parsed("hyperliquid"), tier={"mmr": 0.01, "max_leverage": 50.0})
    assert number(found, "liquidation_price").difference == pytest.approx(0.0, abs=1e-5)


def test_a_venue_without_hedge_mode_holds_one_side() -> None:
    short = {**ROW, "side": "short", "symbol": "BTC/USDC:USDC"}
    long_ = {**ROW, "symbol": "BTC/USDC:USDC"}
    for found in judged(long_, short, venue="dydx_v4", wallets={"": 9_000.0}):
        assert not found.judged
        assert "hedge" in number(found, "notional").reason
