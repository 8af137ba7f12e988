"""Golden numbers: worked examples and real account payloads of Binance, as read on their dates.

Each case states its inputs and the number Binance (or the quoted test) prints; the tolerance is the
precision it is printed with.
"""

from __future__ import annotations

import pytest

from bt_margin.core import (
    Contract,
    FundingStamp,
    Leg,
    Tier,
    TierTable,
    accrued,
    collateral_value,
    initial,
    liquidation_price,
    liquidation_price_at,
    maintenance,
    open_loss,
    order_cost,
    payment,
    started_hours,
)

INF = float("inf")
ETH = Contract("ETH/USDT:USDT")
BTC = Contract("BTC/USDT:USDT")
COIN = Contract("BTC/USD:BTC", kind="inverse", multiplier=100, settle="BTC")

# Binance FAQ "How to Calculate Liquidation Price of USD-M Futures Contracts", two positions,
# read 2020-2021; the same numbers stand in freqtrade's tests/exchange/test_binance.py.
WALLET = 1_535_443.01
FAQ_ETH = (3_683.979, 1_456.84)
FAQ_ETH_MARK = 1_335.18
FAQ_BTC = (109.488, 32_481.98)
FAQ_BTC_MARK = 31_967.27

# COIN-M BTC tiers: (cap in BTC, mmr). Binance FAQ "How to Calculate Liquidation Price of Coin-M
# Futures Contracts" and "Leverage and Margin in Coin-Margined Futures Contracts".
COIN_2021_02 = [10, 20, 30, 50, 100, 200, 400, 1_000, None]  # early copy, 2021-02-05
COIN_2021_07 = [5, 10, 20, 50, 100, 200, 400, 1_000, None]  # later copy, 2021-07 or after
COIN_RATES = [0.004, 0.005, 0.01, 0.025, 0.05, 0.1, 0.125, 0.15, 0.25]


def in_tier(mmr: float, amount: float) -> TierTable:
    """A table of the one tier that an example states."""
    return TierTable((Tier(0, INF, mmr, amount),))


def coin_table(caps: list[int | None]) -> TierTable:
    return TierTable.of([(cap, mmr, None) for cap, mmr in zip(caps, COIN_RATES, strict=True)])


def test_isolated_liquidation_price_of_the_faq() -> None:
    """bin-lin-iso-eth: the FAQ's ETH position on its own wallet, 2020-2021."""
    leg = Leg(ETH, *FAQ_ETH, in_tier(0.1, 135_365))
    assert liquidation_price([leg], WALLET) == pytest.approx(1_114.78, abs=0.01)
    given = liquidation_price_at(ETH, *FAQ_ETH, WALLET, 0.1, 135_365)
    assert given == pytest.approx(1_114.78, abs=0.01)


def test_cross_liquidation_price_of_the_faq() -> None:
    """bin-lin-cross-eth-of-2: the same position beside a BTC position at its mark, 2020-2021."""
    size, entry = FAQ_BTC
    demand = maintenance(BTC.notional(size, FAQ_BTC_MARK), in_tier(0.025, 16_300))
    gain = BTC.pnl(size, entry, FAQ_BTC_MARK)
    assert demand == pytest.approx(71_200.81144, abs=0.01)
    assert gain == pytest.approx(-56_354.57, abs=0.01)
    found = liquidation_price(
        [Leg(ETH, *FAQ_ETH, in_tier(0.1, 135_365))],
        WALLET,
        other_maintenance=demand,
        other_unrealised=gain,
        mark=FAQ_ETH_MARK,
    )
    assert found == pytest.approx(1_153.26, abs=0.01)


def test_liquidation_price_of_the_api_sample() -> None:
    """bin-lin-iso-api-20btc: positionRisk sample of the API reference, 2020-2021.

    The API's isolatedMargin holds the unrealised profit, the wallet is what is left of it.
    """
    gain = BTC.pnl(20, 6_563.665, 6_679.50671178)
    assert gain == pytest.approx(2_316.8342356, abs=1e-6)
    wallet = 15_517.54150468 - gain
    assert wallet == pytest.approx(13_200.70726908, abs=1e-6)
    table = TierTable.of([(50_000, 0.004, 0), (250_000, 0.005, 50), (None, 0.01, 1_300)])
    found = liquidation_price([Leg(BTC, 20, 6_563.665, table)], wallet)
    assert found == pytest.approx(5_930.78, abs=0.01)


@pytest.mark.parametrize(
    ("size", "entry", "wallet", "expected"),
    [
        pytest.param(-1.0, 10.0, 2.0, 11.89108910891089, id="bin-ft-iso-1"),
        pytest.param(1.0, 8.0, 1.6, 6.454545454545454, id="bin-ft-iso-6"),
        pytest.param(0.6, 10.0, 1.2, 8.063973063973064, id="bin-ft-iso-8"),
    ],
)
def test_isolated_liquidation_prices_of_freqtrade(
    size: float, entry: float, wallet: float, expected: float
) -> None:
    """bin-ft-iso-*: freqtrade tests/exchange/test_exchange.py, 5x, mmr 1 %, amount 0.01, 2022."""
    assert wallet == pytest.approx(initial(ETH.notional(size, entry), 5))
    given = liquidation_price_at(ETH, size, entry, wallet, 0.01, 0.01)
    assert given == pytest.approx(expected, abs=1e-6)
    walked = liquidation_price([Leg(ETH, size, entry, in_tier(0.01, 0.01))], wallet)
    assert walked == pytest.approx(expected, abs=1e-6)


def test_maintenance_amount_of_the_third_level() -> None:
    """bin-maint-amount-L3: 250,000 · (1 % − 0.5 %) + 50, USD-M FAQ 2020-2024."""
    table = TierTable.of([(50_000, 0.004, 0), (250_000, 0.005, 50), (None, 0.01, None)])
    assert table.tiers[2].deduction == pytest.approx(1_300, abs=1e-9)


def test_maintenance_amount_of_the_fifth_coin_level() -> None:
    """bin-coinm-amount-L5-old: 50 · (5 % − 2.5 %) + 0.56 BTC, COIN-M FAQ of 2021-02-05."""
    tier = coin_table(COIN_2021_02).tiers[4]
    assert (tier.floor, tier.mmr) == (50, 0.05)
    assert tier.deduction == pytest.approx(1.81, abs=1e-9)


@pytest.mark.parametrize(
    ("caps", "amount"),
    [
        pytest.param(COIN_2021_07, 11.605, id="bin-coinm-300btc-new"),
        pytest.param(COIN_2021_02, 11.81, id="bin-coinm-300btc-old"),
    ],
)
def test_tier_of_a_position_of_300_btc(caps: list[int | None], amount: float) -> None:
    """bin-coinm-300btc-*: both copies of the COIN-M FAQ put 300 BTC at 12.5 %."""
    tier = coin_table(caps).at(300)
    assert tier.mmr == 0.125
    assert tier.deduction == pytest.approx(amount, abs=1e-9)


def test_maintenance_of_a_coin_position() -> None:
    """bin-coinm-mm-100c: 100 contracts of 100 USD at 25,000, COIN-M FAQ 2023 or after."""
    notional = COIN.notional(100, 25_000)
    assert notional == pytest.approx(0.4, abs=1e-12)
    assert maintenance(notional, coin_table(COIN_2021_07)) == pytest.approx(0.0016, abs=1e-12)


def test_coin_liquidation_price_is_the_published_formula() -> None:
    """LP = size·(mmr + side) / (side·size/EP + WB + cum), COIN-M FAQ, size in USD."""
    for side in (1, -1):
        size, entry, wallet, mmr, amount = 10_000, 20_000, 0.05, 0.005, 0.001
        published = size * (mmr + side) / (side * size / entry + wallet + amount)
        leg = Leg(COIN, side * size / 100, entry, in_tier(mmr, amount))
        assert liquidation_price([leg], wallet) == pytest.approx(published)


def test_hedged_legs_follow_the_published_formula() -> None:
    """One common price of the long and the short leg in cross, USD-M FAQ 2020-2024."""
    long, short, wallet = (2.0, 30_000.0), (0.5, 31_000.0), 9_000.0
    mmr_l, cum_l, mmr_s, cum_s = 0.005, 50.0, 0.004, 0.0
    over = wallet + cum_l + cum_s - long[0] * long[1] + short[0] * short[1]
    published = over / (long[0] * mmr_l + short[0] * mmr_s - long[0] + short[0])
    legs = [
        Leg(BTC, long[0], long[1], in_tier(mmr_l, cum_l)),
        Leg(BTC, -short[0], short[1], in_tier(mmr_s, cum_s)),
    ]
    assert liquidation_price(legs, wallet) == pytest.approx(published)


def test_order_cost_of_the_faq() -> None:
    """bin-cost-long: 1 BTC at 9,253.30, 20x, mark 9,259.84; the page cuts 462.665 to 462.66.

    Binance FAQ "Cost Required to Open a Position in Perpetual Futures Contracts", 2020-07 to
    2024-11.
    """
    assert initial(BTC.notional(1, 9_253.3), 20) == pytest.approx(462.66, abs=0.006)
    assert open_loss(BTC, 1, 9_253.3, 9_259.84) == 0
    assert order_cost(BTC, 1, 9_253.3, 20, 9_259.84) == pytest.approx(462.66, abs=0.006)


def test_fields_of_a_real_account() -> None:
    """bin-acct-isolated-snapshot: account response of 2024-07-15, one isolated long, one bid."""
    size, entry, notional, wallet, isolated = (
        0.002,
        58_039.5,
        122.63842038,
        15_002.38740504,
        14.03431369,
    )
    assert initial(notional, 10) == pytest.approx(12.26384203, abs=1e-7)
    assert maintenance(notional, in_tier(0.004, 0)) == pytest.approx(0.49055368, abs=1e-7)
    order = initial(310.0, 10)
    assert order == pytest.approx(31.0, abs=1e-7)
    assert wallet - isolated == pytest.approx(14_988.35309135, abs=1e-7)
    assert wallet - isolated - order == pytest.approx(14_957.35309135, abs=1e-7)
    gain = BTC.pnl(size, entry, notional / size)
    assert gain == pytest.approx(6.55942038, abs=1e-7)
    assert wallet + gain == pytest.approx(15_008.94682542, abs=1e-7)


def test_unrealised_profit_of_a_short() -> None:
    """bin-pm-upnl-1: 0.05 BTC short from 52,000 at 40,000, Portfolio Margin FAQ 2022 or after."""
    assert BTC.pnl(-0.05, 52_000, 40_000) == pytest.approx(600, abs=1e-9)


def test_funding_of_a_short_over_two_settlements() -> None:
    """bin-fund-1: 30 ADA short held 00:00 to 07:59:59 on 2021-09-01 meets one settlement.

    freqtrade tests/exchange/test_exchange.py::test__fetch_and_calculate_funding_fees, 2021-09.
    """
    opened, closed = 1_630_454_400_000, 1_630_483_199_000
    stamps = [
        FundingStamp(1_630_454_400_000, -8e-06, 2.77),
        FundingStamp(1_630_483_200_000, -3e-06, 2.77),
    ]
    ada = Contract("ADA/USDT:USDT")
    paid = sum(
        payment(ada, -30, stamp.mark, stamp.rate)
        for stamp in stamps
        if opened <= stamp.time <= closed and stamp.mark is not None
    )
    assert paid == pytest.approx(-0.0006648, abs=1e-9)


@pytest.mark.parametrize(
    ("rate", "hours", "expected"),
    [
        pytest.param(0.00025, 5, 0.003125, id="bin-int-5h"),
        pytest.param(0.0005, 1 / 6, 0.00125, id="bin-int-10min"),
    ],
)
def test_interest_of_spot_margin(rate: float, hours: float, expected: float) -> None:
    """bin-int-*: 60 borrowed at a daily rate, freqtrade tests/leverage/test_interest.py, 2021."""
    found = accrued(60, rate, started_hours(hours), period_hours=24)
    assert found == pytest.approx(expected, abs=1e-12)


def test_collateral_value_after_the_haircut() -> None:
    """bin-multi-haircut: 1,000 USD of an asset with ratio 95 %, Multi-Assets Mode FAQ 2021-2025."""
    assert collateral_value(1, 1_000, 0.95) == pytest.approx(950, abs=1e-9)
