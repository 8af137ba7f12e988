"""Liquidation by what remains: fees on the size at entry, the two states, slippage converted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bt_margin.core.contract import Contract
from bt_margin.core.fees import Fees
from bt_margin.core.tiers import TierTable
from bt_margin.errors import InvariantError
from bt_margin.venues.policies import Breach, Exposed
from bt_margin.venues.remaining import LostOrSold, SaleWithFees

FEES = Fees(maker=0.0006, taker=0.0006, liquidation=0.002)
LIMITS = TierTable.flat(0.02, 50)


def exposed(size: float, mark: float, entry: float = 100.0, fees: Fees | None = FEES) -> Exposed:
    x = Contract("X")
    return Exposed(
        "X", x, size, mark, x.pnl(-size, entry, mark), TierTable.fixed(1.0), LIMITS, entry, 0, fees
    )


def breach(p: Exposed, equity: float, slippage: float = 0.0) -> Breach:
    """As the engine describes it: cost is the fee on the sale and the slippage."""
    rate = 0.0 if p.fees is None else p.fees.liquidation
    price = p.mark * (1 - slippage if p.size > 0 else 1 + slippage)
    cost = (p.contract.notional(p.size, price) * rate - p.contract.pnl(p.size, p.mark, price)) / (
        p.notional
    )
    return Breach(equity, 1.0, (p,), {"X": cost}, {}, True)


@given(st.floats(0.01, 50), st.sampled_from([1, -1]), st.floats(20, 400), st.floats(0, 0.05))
def test_the_fees_of_a_sale_are_on_the_size_at_entry_whatever_the_price_and_slippage(
    size: float, side: int, mark: float, slippage: float
) -> None:
    p = exposed(side * size, mark)
    (closing,) = SaleWithFees().choose(breach(p, 1.0, slippage))
    price = mark * (1 - slippage if side > 0 else 1 + slippage)
    assert (closing.symbol, closing.fraction, closing.settle) == ("X", 1.0, "sale")
    assert closing.fee is not None
    assert closing.fee * size * price == pytest.approx(0.0026 * size * 100)


def test_a_sale_leaves_the_rest_to_the_trader() -> None:
    assert (SaleWithFees().settle, SaleWithFees().residual) == ("sale", "trader")


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("equity", "settle"),
    [
        (20.0, "sale"),  # S / 50 of 1,000: the crossing
        (5.61, "sale"),
        (5.6, "takeover"),  # fee 0.6 and 5: the crossing of the second bound
        (3.0, "takeover"),
        (0.0, "takeover"),
        (-7.0, "takeover"),
    ],
)
def test_below_fees_and_the_liquidation_fee_all_is_lost(
    side: int, equity: float, settle: str
) -> None:
    p = exposed(side * 10.0, 91.0)
    (closing,) = LostOrSold(5.0).choose(breach(p, equity))
    assert closing.settle == settle
    if settle == "sale":
        assert closing.fee is not None
        assert closing.fee * p.notional == pytest.approx(0.6)  # the fee of an ordinary closing
    else:
        assert closing.fee is None


def test_what_is_left_of_an_ordinary_closing_is_the_traders() -> None:
    assert (LostOrSold(5.0).settle, LostOrSold(5.0).residual) == ("takeover", "trader")


def test_fee_rates_are_needed() -> None:
    for policy in (SaleWithFees(), LostOrSold(5.0)):
        with pytest.raises(InvariantError, match="fee rates"):
            policy.choose(breach(exposed(10.0, 90.0, fees=None), 1.0))


def test_every_position_of_the_pool_goes_whole() -> None:
    p = exposed(10.0, 90.0)
    twin = p._replace(size=-4.0, leg="short")
    both = Breach(100.0, 200.0, (p, twin), {"X": 0.002, "X short": 0.002}, {})
    for policy in (SaleWithFees(), LostOrSold(5.0)):
        found = policy.choose(both)
        assert [(c.symbol, c.fraction) for c in found] == [("X", 1.0), ("X short", 1.0)]
