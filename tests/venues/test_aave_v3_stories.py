"""Aave v3 through the bars: a price path, and where each unit of money went, in one account and in several.

Without interest unless a story is about it (``utilisation=0``), without swap costs unless it says so.
"""

from __future__ import annotations

from typing import Any

import pytest
from engine.bench import HOUR, Candle, live, near
from venues.aave_book import (
    BONUS,
    BTC,
    ETH,
    LT,
    MODES,
    STABLE_BONUS,
    STABLE_LT,
    VERSIONS,
    aave,
    adds_up,
    health,
    holder,
    mixed,
    sales,
)

import bt_margin as btm
from bt_margin.engine.quote import Quote
from bt_margin.engine.step import NoOrders, Stepper
from bt_margin.venues.names import moment

# -- a crash bar -----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", MODES)
def test_a_long_is_liquidated_at_a_health_factor_of_one_by_half(mode: Any, version: str) -> None:
    """20 ETH, 18,000 owed: 18,000 / (20 · 0.83) = 1,084.34; 9,000 repaid, 9,450 taken, 450 lost."""
    account = holder(20.0, mode, version=version)
    price = 18_000 / (20 * LT)
    assert account.liquidation_price(ETH) == near(price)
    live(account, {ETH: (1_800.0, 1_810.0, 1_000.0, 1_000.0)})
    sold = 9_450 / price
    assert sales(account) == [(ETH, near(price), near(-sold), near(450))]
    p = account.position(ETH)
    assert p.size == near(20 - sold)
    assert account.ledger.totals["realised"] == near(-sold * (1_800 - price))
    assert account.ledger.totals["liquidation_fee"] == near(-450)
    assert account.equity() == near((20 - sold) * 1_000 - 9_000)
    account.mark(ETH, price)
    assert health(account) == near((1 - 0.5 * LT * (1 + BONUS)) / 0.5)
    assert health(account) == near(1.1285)
    adds_up(account)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", MODES)
def test_a_short_is_liquidated_at_a_health_factor_of_one_by_half(mode: Any, version: str) -> None:
    """20 ETH sold, 54,000 supplied: 54,000 · 0.8 / 20 = 2,160; 10 bought back, 4.5 % of 21,600 lost."""
    account = holder(-20.0, mode, version=version)
    assert account.liquidation_price(ETH) == near(2_160)
    live(account, {ETH: (1_800.0, 2_200.0, 1_790.0, 2_200.0)})
    assert sales(account) == [(ETH, near(2_160), near(10), near(0.045 * 21_600))]
    assert account.ledger.totals["realised"] == near(-3_600)
    account.mark(ETH, 2_160.0)
    assert health(account) == near((1 - 0.5 * STABLE_LT * (1 + STABLE_BONUS)) / 0.5)
    assert account.equity() == near(54_000 - 21_600 * 1.045 - 21_600)
    adds_up(account)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side", [1, -1])
def test_a_bar_that_stops_short_of_the_price_leaves_the_position_alone(
    mode: Any, side: int
) -> None:
    account = holder(20.0 * side, mode)
    price = account.liquidation_price(ETH)
    worst = price * (1 + side * 1e-6)
    candle = (1_800.0, max(1_800.0, worst), min(1_800.0, worst), 1_800.0)
    live(account, {ETH: candle})
    assert sales(account) == []
    account.mark(ETH, price * (1 - side * 1e-6))
    assert len(sales(account)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_health_factor_of_exactly_one_is_safe(mode: Any) -> None:
    """Half and quarter numbers: equity equals the requirement to the last bit."""
    half = {"ltv": 0.25, "liquidation_threshold": 0.5}
    account = btm.Account(
        aave(reserves={"WETH": half}), cash=1_024.0, margin_mode=mode, leverage=1.25, debug=True
    )
    account.mark(ETH, 1_024.0)
    account.fill(ETH, 1.25, 1_024.0)  # 256 owed
    account.mark(ETH, 409.6)
    assert account.risk().equity == account.risk().maintenance == 256
    assert sales(account) == []
    account.mark(ETH, 409.5)
    assert len(sales(account)) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_fall_through_the_bar_is_halved_again_and_again(mode: Any) -> None:
    """Code 3.0: each time the price has fallen by 1.1285 again, half of what is owed goes."""
    account = holder(20.0, mode)
    price = 18_000 / (20 * LT)
    live(account, {ETH: (1_800.0, 1_800.0, 900.0, 900.0)})
    assert [s[1] for s in sales(account)] == [near(price), near(price / 1.1285)]
    assert [s[3] for s in sales(account)] == [near(450), near(225)]
    adds_up(account)


# -- gaps ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", MODES)
def test_a_gap_below_95_hundredths_repays_all_debt_of_a_long(mode: Any, version: str) -> None:
    """At 1,020 HF = 0.9407: 18,900 of ETH for 18,000; what is left of the 20 stays, without debt."""
    account = holder(20.0, mode, version=version)
    live(account, {ETH: (1_020.0, 1_020.0, 1_020.0, 1_020.0)})
    assert sales(account) == [(ETH, near(1_020), near(-18_900 / 1_020), near(900))]
    left = 20 - 18_900 / 1_020
    assert account.position(ETH).size == near(left)
    assert account.equity() == near(left * 1_020)
    assert account.liquidation_price(ETH) is None or account.liquidation_price(ETH) < 1e-6
    adds_up(account)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", MODES)
def test_a_gap_below_95_hundredths_buys_back_all_of_a_short(mode: Any, version: str) -> None:
    """At 2,300 HF = 0.939: 46,000 and 4.5 % of the 54,000; the rest comes back."""
    account = holder(-20.0, mode, version=version)
    live(account, {ETH: (2_300.0, 2_300.0, 2_300.0, 2_300.0)})
    assert sales(account) == [(ETH, near(2_300), near(20), near(2_070))]
    assert account.positions == {}
    assert account.equity() == near(54_000 - 46_000 - 2_070)
    adds_up(account)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_gap_beyond_everything_is_bad_debt(version: str) -> None:
    """At 850 the ETH is worth 17,000 and 18,000 are owed: 1,000 are missing; isolated keeps the rest."""
    for mode, spare in (("cross", 0.0), ("isolated", 5_000.0)):
        account = holder(20.0, mode, 18_000.0 + spare, version=version)
        live(account, {ETH: (850.0, 850.0, 850.0, 850.0)})
        assert account.positions == {}
        assert account.ledger.totals["insurance"] == near(1_000)
        assert account.equity() == near(spare)
        assert account.dead is (spare == 0)
        adds_up(account)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("size", "price"), [(20.0, 930.0), (-20.0, 2_650.0)])
def test_a_gap_the_bonus_does_not_survive_leaves_nothing(
    size: float, price: float, version: str
) -> None:
    """Equity above zero but below the bonus: the liquidator gets all of it."""
    account = holder(size, version=version)
    before = 18_000 + size * (price - 1_800)
    assert 0 < before < 0.045 * 20 * price
    live(account, {ETH: (price, price, price, price)})
    assert account.positions == {}
    assert account.equity() == near(0, abs=1e-9)
    assert account.ledger.totals["liquidation_fee"] == near(-before)
    assert account.ledger.totals.get("insurance", 0.0) == near(0)
    adds_up(account)


# -- versions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_the_same_small_trade_under_both_versions(mode: Any) -> None:
    """2 ETH with 1,800 owed: half under 3.0; below 2,000 USD all of it under 3.3."""
    ends = {}
    for version in VERSIONS:
        account = holder(2.0, mode, cash=1_800.0, version=version)
        live(account, {ETH: (1_800.0, 1_800.0, 1_050.0, 1_800.0)})
        (sale,) = sales(account)
        assert sale[1] == near(1_800 / (2 * LT))
        ends[version] = (sale[3], account.position(ETH).size, account.equity())
        adds_up(account)
    price = 1_800 / (2 * LT)
    left = {"3.0": 2 - 945 / price, "3.3": 2 - 1_890 / price}
    assert ends["3.0"] == (near(45), near(left["3.0"]), near(left["3.0"] * 1_800 - 900))
    assert ends["3.3"] == (near(90), near(left["3.3"]), near(left["3.3"] * 1_800))


@pytest.mark.parametrize("mode", MODES)
def test_a_run_across_the_date_changes_the_rule_in_the_run(mode: Any) -> None:
    """Two crashes of the same small position, one each side of 2025-02-25."""
    start = moment("2025-02-24")
    assert start is not None
    account = btm.Account(
        btm.venue("aave_v3", taker_fee=0.0, utilisation=0.0),
        cash=10_000.0, margin_mode=mode, leverage=2.0, time=start, debug=True,
        symbols={ETH: {"margin_mode": "isolated"}},
    )  # fmt: skip
    stepper, quote = Stepper(account), Quote(account.position(ETH), ())
    for day in (0, 1):
        time = start + day * 24 * HOUR
        account.clock(time)
        account.mark(ETH, 1_800.0)
        account.fill(ETH, 2.0 - account.position(ETH).size, 1_800.0)
        pool = account.position(ETH).pool
        account.add_margin(ETH, 1_800.0 - pool.balance) if pool.balance < 1_800 else None
        quote.set(time, time + HOUR, (1_800.0, 1_800.0, 1_060.0, 1_060.0))
        stepper.step(time, [quote], NoOrders())
        account.fill(ETH, -account.position(ETH).size, 1_060.0)
    assert [s[3] for s in sales(account)] == [near(45), near(90)]
    adds_up(account)


# -- several positions -----------------------------------------------------------------------------


STILL: Candle = (20_000.0, 20_000.0, 20_000.0, 20_000.0)


@pytest.mark.parametrize(("version", "repaid"), [("3.0", 9_000.0), ("3.3", 14_000.0)])
def test_a_long_against_both_debts_falls_at_a_health_factor_of_one(
    version: str, repaid: float
) -> None:
    """20 ETH supplied; 18,000 USDC and 0.5 BTC owed: half of the USDC, or half of all 28,000."""
    account = mixed(20.0, -0.5, 12_000.0, version, leverage=5.0)
    price = 28_000 / (20 * LT)
    assert account.liquidation_price(ETH) == near(price)
    live(account, {ETH: (2_000.0, 2_000.0, price - 1, price), BTC: STILL})
    assert sales(account) == [(ETH, near(price), near(-repaid * 1.05 / price), near(repaid * 0.05))]
    assert health(account) == near((28_000 - repaid * LT * 1.05) / (28_000 - repaid))
    assert account.liquidation_price(BTC) > 20_000
    adds_up(account)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_short_is_repaid_with_the_long_beside_it(version: str) -> None:
    """20 ETH and 8,000 USDC supplied, 1.5 BTC owed: ETH pays for half, and the USDC stay."""
    account = mixed(20.0, -1.5, 18_000.0, version, leverage=5.0)
    price = (30_000 - 0.8 * 8_000) / (20 * LT)
    assert account.liquidation_price(ETH) == near(price)
    live(account, {ETH: (2_000.0, 2_000.0, price - 1, price), BTC: STILL})
    bought, sold = sales(account)
    assert bought == (BTC, 20_000, near(0.75), 0)
    assert sold == (ETH, near(price), near(-15_750 / price), near(750))
    pool = account.cross
    assert pool.balance - sum(p.size * p.entry for p in pool.positions) == near(8_000)
    assert health(account) == near((30_000 - 15_750 * LT) / 15_000)
    adds_up(account)


def test_two_shorts_share_one_stable_and_the_dearest_goes_first() -> None:
    """10 ETH and 1 BTC sold for 40,000, and 20,000 of own money: half of all debt, of the ETH alone."""
    account = mixed(-10.0, -1.0, 20_000.0, "3.3")
    price = (60_000 * STABLE_LT - 20_000) / 10
    assert account.liquidation_price(ETH) == near(price)
    live(account, {ETH: (2_000.0, price + 1, 2_000.0, price), BTC: STILL})
    (sale,) = sales(account)
    repaid = 0.5 * (10 * price + 20_000)
    assert sale == (ETH, near(price), near(repaid / price), near(0.045 * repaid))
    assert health(account) > 1
    adds_up(account)


def test_isolated_accounts_fall_alone() -> None:
    account = mixed(10.0, 1.0, 20_000.0, mode="isolated")
    assert account.liquidation_price(ETH) == near(20_000 * (1 - 1 / 3) / (10 * LT))
    assert account.liquidation_price(BTC) == near(20_000 * (1 - 1 / 3) / 0.78)
    live(account, {ETH: (2_000.0, 2_000.0, 1_500.0, 1_500.0),
                   BTC: (20_000.0, 20_000.0, 17_000.0, 17_000.0)})  # fmt: skip
    assert {s[0] for s in sales(account)} == {ETH, BTC}
    account = mixed(10.0, 1.0, 20_000.0)
    live(account, {ETH: (2_000.0, 2_000.0, 1_500.0, 1_500.0),
                   BTC: (20_000.0, 20_000.0, 17_000.0, 17_000.0)})  # fmt: skip
    assert sales(account) == []  # one account of both: 20,000 owed, and 32,000 to show for it


# -- opening ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("side", "most"), [(1, 1 / 0.195), (-1, 0.77 / 0.23)], ids=["long", "short"]
)
def test_no_more_can_be_opened_than_the_loan_to_value_allows(
    mode: Any, side: int, most: float
) -> None:
    account = btm.Account(aave(), cash=1_000.0, margin_mode=mode, leverage=1 / 0.195, debug=True)
    account.mark(ETH, 2_000.0)
    units = side * 1_000 * most / 2_000
    refused = account.fill(ETH, units * 1.0001, 2_000.0)
    assert refused.refusal is not None
    assert refused.refusal.reason == "margin"
    assert account.fill(ETH, units, 2_000.0).refusal is None
    assert account.available() == near(0, abs=1e-6)
    data = health(account)
    assert data == near(LT / 0.805 if side > 0 else STABLE_LT / 0.77)


@pytest.mark.parametrize("mode", MODES)
def test_what_the_swap_costs_must_be_there_too(mode: Any) -> None:
    """2,000 at 2 times with 1 % for the swap: 1,020 of 1,000; 1,960 need 999.6."""
    account = btm.Account(aave(taker_fee=0.01), cash=1_000.0, margin_mode=mode, leverage=2.0)
    account.mark(ETH, 2_000.0)
    refused = account.fill(ETH, 1.0, 2_000.0).refusal
    assert refused is not None
    assert (refused.reason, refused.found) == ("margin", near(1_020))
    assert account.fill(ETH, 0.98, 2_000.0).refusal is None


# -- interest --------------------------------------------------------------------------------------


def hold(account: Any, hours: int, price: float = 1_800.0) -> None:
    """Bars in which nothing moves."""
    quote = Quote(account.position(ETH), ())
    stepper = Stepper(account)
    for hour in range(hours + 1):
        quote.set(hour * HOUR, (hour + 1) * HOUR, (price,) * 4)
        stepper.step(hour * HOUR, [quote], NoOrders())


RATES = {"USDC": (0.10, 0.06), "WETH": (0.04, 0.02)}


@pytest.mark.parametrize("mode", MODES)
def test_a_month_of_a_long(mode: Any) -> None:
    """18,000 owed at 10 %, 36,000 of ETH earning 2 %; what is earned pays off the debt, hour by hour."""
    account = holder(20.0, mode, rates=RATES)
    hold(account, 720)
    owed = 18_000.0
    for _ in range(720):
        x = 0.10 / 8_760
        owed = owed * (1 + x + x**2 / 2 + x**3 / 6) - 36_000 * 0.02 / 8_760
    assert account.ledger.totals["interest"] == near(18_000 - owed)
    assert account.equity() == near(36_000 - owed)
    assert account.liquidation_price(ETH) == near(owed / (20 * LT))
    adds_up(account)


@pytest.mark.parametrize("mode", MODES)
def test_a_month_of_a_short(mode: Any) -> None:
    """54,000 supplied at 6 %, 36,000 of ETH owed at 4 %."""
    account = holder(-20.0, mode, rates=RATES)
    hold(account, 720)
    cash = 54_000.0
    for _ in range(720):
        x = 0.04 / 8_760
        cash = cash * (1 + 0.06 / 8_760) - 36_000 * (x + x**2 / 2 + x**3 / 6)
    assert account.ledger.totals["interest"] == near(cash - 54_000)
    assert account.liquidation_price(ETH) == near(cash * STABLE_LT / 20)
    adds_up(account)


@pytest.mark.parametrize("mode", MODES)
def test_interest_alone_brings_the_health_factor_below_one(mode: Any) -> None:
    """18,000 owed at 300 % a year at an unmoved 1,100 become 18,260 on the 2nd day."""
    account = holder(20.0, mode, rates={"USDC": (3.0, 0.0), "WETH": (0.0, 0.0)})
    account.mark(ETH, 1_100.0)
    assert sales(account) == []
    hold(account, 24 * 3, 1_100.0)
    first = next(e for e in account.events if e.kind == "liquidation")
    hours = next(n for n in range(100) if 18_000 * (1 + 3 / 8_760) ** n > 20 * 1_100 * LT)
    assert abs(first.time // HOUR - hours) <= 1
    assert first.price == 1_100


def test_swaps_cost_their_fee_both_ways() -> None:
    account = holder(19.0, taker_fee=0.003)
    account.fill(ETH, -19.0, 1_800.0)
    assert account.ledger.totals["fee"] == near(-2 * 0.003 * 19 * 1_800)
    assert account.equity() == near(18_000 - 2 * 0.003 * 19 * 1_800)


def test_a_lower_threshold_of_the_stable_counts_from_its_date_even_where_nothing_is_earned() -> (
    None
):
    day = moment("2025-06-01") or 0
    venue = btm.venue(
        "aave_v3", code_version="3.3", rates={"USDC": (0, 0), "WETH": (0, 0)},
        reserves={"USDC": [
            ("2025-01-01", {"liquidation_threshold": 0.8, "ltv": 0.66}),
            ("2025-06-02", {"liquidation_threshold": 0.66, "ltv": 0.66}),
        ]},
    )  # fmt: skip
    account = btm.Account(
        venue, cash=10_000, margin_mode="isolated", leverage=1.9, time=day, debug=True
    )
    account.mark(ETH, 2_000.0)
    account.fill(ETH, -5.0, 2_000.0)
    live(account, {ETH: (2_050.0,) * 4})
    assert account.risk(ETH).maintenance == near(0.2 * (10_000 / 1.9 + 10_000))
    account.clock(day + 86_400_000)
    assert account.risk(ETH).maintenance == near(0.34 * (10_000 / 1.9 + 10_000))
    live(account, {ETH: (2_050.0,) * 4})
    assert len(sales(account)) == 1
