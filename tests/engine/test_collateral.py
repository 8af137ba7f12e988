"""Coins pledged as collateral: what they count for, what moves them, and when they are sold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import bt_margin as btm
from bt_margin.engine.account import Account
from bt_margin.engine.quote import Quote
from bt_margin.engine.step import NoOrders, Stepper
from bt_margin.errors import CashError
from bt_margin.venues.carry import Conversion
from bt_margin.venues.spec import ALWAYS, Venue

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
RATIO, RATE, DISCOUNT = 0.95, 0.005, 0.025
HOUR = 3_600_000


def rules(**changes: Any) -> Venue:
    flat = btm.venue(
        "generic", maintenance_rate=RATE, taker_fee=0.0, maker_fee=0.0, liquidation_fee=0.0,
        funding_interval="8h", residual="trader",
    )  # fmt: skip
    own: dict[str, Any] = {
        "collateral": {"BTC": ((ALWAYS, RATIO), (HOUR, 0.5)), "ETH": ((ALWAYS, 0.9),)},
        "conversion": Conversion(DISCOUNT, 10_000.0),
    }
    return replace(flat, **(own | changes))


def account(**changes: Any) -> Account:
    made = Account(rules(), cash=1_000, leverage=10, collateral={"BTC": 1.0}, debug=True)
    made.mark(BTC, 50_000.0)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_the_value_counts_in_full_as_equity_and_in_part_as_margin() -> None:
    a = account()
    assert a.equity() == 1_000 + 50_000
    assert a.available() == 1_000 + RATIO * 50_000 == a.cross.equity()
    a.mark(BTC, 40_000.0)
    assert (a.equity(), a.available()) == (41_000, 1_000 + RATIO * 40_000)


def test_both_figures_in_one_pass_are_those_asked_one_by_one() -> None:
    a = account()
    assert a.figures() == (a.equity(), a.available())
    a.fill(BTC, 2.0, 50_000.0)
    a.mark(BTC, 51_000.0)
    assert a.figures() == pytest.approx((a.equity(), a.available()), rel=1e-15)


def test_events_tell_the_equity_with_coins_counted_in_full() -> None:
    a = account()
    event = a.fill(BTC, 5.0, 50_000.0).event
    assert event is not None
    assert event.equity == a.equity() == a.solvent_equity() == 51_000


def test_the_liquidation_price_moves_with_the_coin() -> None:
    a = account()
    a.fill(BTC, 5.0, 50_000.0)
    # 1,000 + 0.95 p + 5 (p − 50,000) = 0.005 · 5 p
    exact = (1_000 - 250_000) / (5 * RATE - 5 - RATIO)
    assert a.liquidation_price(BTC) == pytest.approx(exact, rel=1e-12)
    assert a.preview(BTC, 1e-9).liquidation_price == pytest.approx(exact, rel=1e-6)
    a.mark(BTC, exact * (1 + 1e-9))
    assert not [e for e in a.events if e.kind == "liquidation"]
    a.mark(BTC, exact * (1 - 1e-9))
    assert [e.kind for e in a.events][-3:] == ["breach", "liquidation", "conversion"]


def test_a_bar_that_only_takes_the_collateral_down_liquidates_at_the_crossing() -> None:
    a = account()
    a.mark(ETH, 2_000.0)
    a.fill(ETH, -100.0, 2_000.0)
    exact = (
        RATE * 200_000 - 1_000
    ) / RATIO  # 1,000 + 0.95 p = maintenance of the ETH that stands still
    quotes = [Quote(a.position(symbol)) for symbol in (BTC, ETH)]
    quotes[0].set(0, HOUR, (50_000.0, 50_000.0, 0.001, 40_000.0))
    quotes[1].set(0, HOUR, (2_000.0, 2_000.0, 2_000.0, 2_000.0))
    assert exact == pytest.approx(0.0, abs=1e-9)
    a.withdraw(900.0)
    exact = (RATE * 200_000 - 100) / RATIO
    Stepper(a).step(0, quotes, NoOrders())
    breach = next(e for e in a.events if e.kind == "breach")
    assert breach.info["marks"] == {ETH: 2_000.0}
    assert breach.allowed == pytest.approx(breach.found, rel=1e-9)
    assert a.position(BTC).mark == 40_000.0
    assert exact == pytest.approx(947.3684, abs=1e-3)
    a.audit()


def test_a_debt_is_paid_with_coins_at_a_discount_and_to_the_cent() -> None:
    a = account()
    a.fill(BTC, 5.0, 50_000.0)
    price = 42_000.0
    a.mark(BTC, price)
    sale = next(e for e in a.events if e.kind == "conversion")
    debt = 5 * (50_000 - price) - 1_000
    assert sale.amount == pytest.approx(debt)
    assert sale.size == pytest.approx(-debt / (price * (1 - DISCOUNT)))
    assert a.cross.balance == 0.0
    assert a.equity() == pytest.approx((1 + sale.size) * price)
    a.audit()


def test_however_small_a_debt_that_is_due_is_paid() -> None:
    a = Account(rules(conversion=Conversion(DISCOUNT)), 1_000, leverage=10, collateral={"BTC": 1.0})
    a.mark(BTC, 50_000.0)
    a.fill(BTC, 1.0, 50_000.0)
    a.fill(BTC, -1.0, 48_999.5)
    (sale,) = [e for e in a.events if e.kind == "conversion"]
    assert sale.amount == pytest.approx(0.5)
    assert a.cross.balance == 0.0


@pytest.mark.parametrize(("debt", "sold"), [(9_750.0, [0.2]), (49_725.0, [1.0, 0.25])])
def test_coins_are_sold_by_what_they_count_for_and_no_more_of_them_than_needed(
    debt: float, sold: list[float]
) -> None:
    """At 2.5 % less a BTC brings 48,750 and an ETH 3,900; BTC, of which 95 % count, goes first."""
    coins = {"ETH": 5.0, "BTC": 1.0}
    a = Account(rules(conversion=Conversion(DISCOUNT)), 1_000, leverage=10, collateral=coins)
    a.mark(BTC, 50_000.0)
    a.mark(ETH, 4_000.0)
    a.fill(ETH, 50.0, 4_000.0)
    a.fill(ETH, -50.0, 4_000.0 - (1_000 + debt) / 50)
    sales = [e for e in a.events if e.kind == "conversion"]
    assert [-e.size for e in sales if e.size] == pytest.approx(sold)
    assert [e.info["coin"] for e in sales] == ["BTC", "ETH"][: len(sold)]
    assert a.cross.balance == 0.0


def test_coins_that_are_not_enough_leave_the_rest_to_the_fund() -> None:
    a = account()
    a.fill(BTC, 9.0, 50_000.0)
    a.mark(BTC, 20_000.0)
    kinds = [e.kind for e in a.events]
    assert kinds[-3:] == ["conversion", "shortfall", "dead"]
    assert (a.vault["BTC"].balance, a.cross.balance, a.equity()) == (0.0, 0.0, 0.0)
    a.audit()


def test_a_small_debt_stands_until_it_grows() -> None:
    a = account()
    a.fill(BTC, 1.0, 50_000.0)
    a.fill(BTC, -1.0, 47_000.0)
    assert a.cross.balance == -2_000.0
    assert (a.transferable(), a.available() > 0) == (0.0, True)
    assert a.vault["BTC"].balance == 1.0
    a.fill(BTC, 1.0, 47_000.0)
    a.fill(BTC, -1.0, 38_000.0)  # −11,000: beyond what may stand
    assert a.cross.balance == 0.0
    assert a.vault["BTC"].balance == pytest.approx(1 - 11_000 / (47_000 * (1 - DISCOUNT)), abs=0.1)
    a.audit()


def test_the_ratio_changes_on_its_date() -> None:
    a = account()
    a.clock(HOUR)
    assert a.available() == 1_000 + 0.5 * 50_000


def test_a_coin_no_longer_taken_counts_for_nothing() -> None:
    ends = rules(collateral={"BTC": ((ALWAYS, RATIO), (HOUR, 0.0))})
    a = Account(ends, 1_000, leverage=10, collateral={"BTC": 1.0})
    a.mark(BTC, 50_000.0)
    a.clock(HOUR)
    assert (a.available(), a.equity()) == (1_000, 51_000)


def test_only_what_no_margin_needs_may_leave() -> None:
    a = account()
    a.fill(BTC, 9.0, 50_000.0)  # 45,000 of 48,500
    with pytest.raises(CashError, match="exceeds"):
        a.withdraw(0.1, "BTC")
    a.withdraw(3_500 / RATIO / 50_000, "BTC")
    assert a.available() == pytest.approx(0.0, abs=1e-6)


def test_a_coin_the_venue_does_not_take_is_refused() -> None:
    with pytest.raises(CashError, match="takes no DOGE as collateral; it takes BTC, ETH"):
        Account(rules(), cash=1_000, collateral={"DOGE": 5.0})
    with pytest.raises(CashError, match="takes no BTC as collateral; it takes none"):
        Account(rules(collateral={}), cash=1_000, collateral={"BTC": 5.0})


def test_a_copy_to_try_things_on_leaves_the_coins_alone() -> None:
    a = account()
    a.fill(BTC, 5.0, 50_000.0)
    twin = a.fork()
    twin.mark(BTC, 49_000.0)
    assert twin.equity() == 1_000 + 49_000 - 5_000
    assert a.equity() == 1_000 + 50_000
    twin.mark(BTC, 30_000.0)
    assert twin.vault["BTC"].balance < 1.0
    assert a.vault["BTC"].balance == 1.0
    assert a.position(BTC).mark == 50_000.0 == a.cross.pledges[0].now()


def test_a_closing_tells_the_debt_that_coins_are_sold_for() -> None:
    """The liquidation leaves the pool owing, the conversion pays: neither tells what is not so yet."""
    a = account()
    a.fill(ETH, 400.0, 1_000.0)
    a.mark(ETH, 880.0)
    closed, sold = (next(e for e in a.events if e.kind == k) for k in ("liquidation", "conversion"))
    assert closed.balance == pytest.approx(1_000 + closed.realised)
    assert closed.equity == pytest.approx(a.rate("BTC") + closed.balance)
    assert (sold.cause, sold.balance) == (closed.id, 0.0)
    assert sold.equity == pytest.approx(a.equity())
    assert a.equity() == pytest.approx(closed.equity - sold.size * -1 * 50_000 * DISCOUNT)


def test_a_pool_whose_coins_are_gone_tells_what_the_fund_left() -> None:
    a = account()
    a.withdraw(1.0, "BTC")
    a.fill(ETH, 9.0, 1_000.0)
    a.mark(ETH, 800.0)
    closed, short = (next(e for e in a.events if e.kind == k) for k in ("liquidation", "shortfall"))
    assert (closed.balance, closed.equity) == (0.0, 0.0)
    assert short.amount == pytest.approx(800.0)


def test_coins_pay_the_fee_of_a_liquidation_as_the_wallet_would() -> None:
    flat = btm.venue(
        "generic", maintenance_rate=RATE, taker_fee=0.0, maker_fee=0.0, liquidation_fee=0.001,
        funding_interval="8h", residual="trader",
    )  # fmt: skip
    dear = replace(flat, collateral={"BTC": ((ALWAYS, RATIO),)}, conversion=Conversion(DISCOUNT))
    a = Account(dear, cash=1_000, leverage=10, collateral={"BTC": 1.0}, debug=True)
    a.mark(BTC, 50_000.0)
    a.fill(ETH, 400.0, 1_000.0)
    a.mark(ETH, 881.0)
    closed = next(e for e in a.events if e.kind == "liquidation")
    assert closed.fee == pytest.approx(400 * 881.0 * 0.001)
    assert closed.balance == pytest.approx(1_000 - 400 * 119.0 - closed.fee)


def test_a_debt_that_outgrows_the_coins_without_a_position_is_paid_by_what_they_fetch() -> None:
    """The venue lets 5,000 stand on coins; when those fall below it they are sold, the rest is the fund's."""
    a = account()
    quote, other = Quote(a.position(BTC)), Quote(a.position(ETH))
    other.set(0, HOUR, (1_000.0,) * 4)
    quote.set(0, HOUR, (50_000.0,) * 4)
    Stepper(a).step(0, [quote, other], NoOrders())
    a.fill(ETH, 60.0, 1_000.0)
    a.fill(ETH, -60.0, 900.0)
    assert a.cross.balance == -5_000.0
    quote.set(HOUR, 2 * HOUR, (4_000.0,) * 4)
    Stepper(a).step(HOUR, [quote], NoOrders())
    sold, short = (next(e for e in a.events if e.kind == k) for k in ("conversion", "shortfall"))
    assert short.cause == sold.id
    assert short.amount == pytest.approx(5_000 - 4_000 * (1 - DISCOUNT))
    assert (a.equity(), a.dead) == (0.0, True)
    a.audit()
