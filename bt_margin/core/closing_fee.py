"""The fee of closing at the bankruptcy price: what a venue may keep in reserve for it, and what follows.

A venue that takes positions over at the bankruptcy price pays the fee of that closing out of the position's
margin. The fee is part of its requirement, and its bankruptcy price lies where equity is exactly the fee
(:func:`bt_margin.core.liquidation.bankruptcy_price` with ``fee_rate``).

With V the position's value at entry, k = +1 for a linear long and an inverse short, −1 for the other two,
M the margin it holds and t the fee rate:

    value at the bankruptcy price   (V − k·M) / (1 − k·t)
    margin V/leverage plus fee      V · (1 − k/leverage)
"""

from __future__ import annotations

from bt_margin.core import flat
from bt_margin.core.contract import Contract
from bt_margin.core.liquidation import liquidation_price_at

__all__ = ["closing_fee", "closing_fee_of_balance", "legacy_cross_price", "opening_cost"]


def closing_fee(
    contract: Contract, size: float, entry: float, leverage: float, taker: float
) -> float:
    """Fee of closing at the bankruptcy price of a position that holds just its initial margin   [settle].

    V · (1 − k/leverage) · taker; 0 where there is no such price (a linear long at 1x). taker : fee rate, a
    fraction. Bybit, "Order Cost" (USDT and inverse contracts), read 2025.

    >>> closing_fee(Contract("X"), size=1, entry=50_000, leverage=10, taker=0.00055)
    24.75
    >>> coin = Contract("X/USD:X", kind="inverse", settle="X")
    >>> round(closing_fee(coin, size=10_000, entry=8_000, leverage=10, taker=0.001), 9)
    0.001375
    """
    inverse = int(contract.kind == "inverse")
    return flat.closing_fee(inverse, size, contract.multiplier, entry, leverage, taker)


def opening_cost(
    contract: Contract, size: float, price: float, leverage: float, taker: float
) -> float:
    """What an order takes of the available balance: margin, its own fee and the fee of closing   [settle].

    N/leverage + N·taker + N·(1 − k/leverage)·taker at the order price. Bybit, "Order Cost", read 2025.

    >>> opening_cost(Contract("X"), size=1, price=50_000, leverage=10, taker=0.00055)
    5052.25
    """
    notional = contract.notional(size, price)
    kept = closing_fee(contract, size, price, leverage, taker)
    return notional / leverage + notional * taker + kept


def closing_fee_of_balance(
    contract: Contract, size: float, entry: float, balance: float, taker: float
) -> float:
    """Fee of closing at the bankruptcy price of a position that holds ``balance``   [settle].

    t · (V − k·M) / (1 − k·t), straight in the balance M, the fee included in it; 0 where there is no such
    price. Equals :func:`closing_fee` when M is V/leverage plus that fee. Bybit API reference,
    manual-add-margin (response of 2023-05-16: bust price of 200 USD with 0.01926611 ETH).

    >>> fee = closing_fee(Contract("X"), size=-2, entry=100, leverage=4, taker=0.001)
    >>> round(fee, 9), round(closing_fee_of_balance(Contract("X"), -2, 100, 50 + fee, 0.001), 9)
    (0.25, 0.25)
    """
    inverse = int(contract.kind == "inverse")
    return flat.closing_fee_of_balance(inverse, size, contract.multiplier, entry, balance, taker)


def legacy_cross_price(
    contract: Contract,
    size: float,
    entry: float,
    balance: float,
    mmr: float,
    taker: float,
    *,
    deduction: float = 0,
    order_margin: float = 0,
) -> float | None:
    """Liquidation price of the only position of a coin's cross account, as Bybit printed it in 2020.

    The account is liquidated when the loss has eaten what the balance holds beyond the margin of open orders,
    the maintenance margin at the ENTRY value and the fee of closing at the account's bankruptcy price:

        −pnl(LP) = balance − order margin − (V·mmr − deduction) − fee

    None when no price does it. Legacy help page "How to calculate Liquidation Price (Inverse Contract)",
    2020.

    >>> coin = Contract("BTC/USD:BTC", kind="inverse", settle="BTC")
    >>> price = legacy_cross_price(coin, 10_000, 8_000, balance=0.5, mmr=0.005, taker=0.00075)
    >>> round(price, 2)
    5739.08
    """
    fee = closing_fee_of_balance(contract, size, entry, balance, taker)
    needed = contract.notional(size, entry) * mmr - deduction + fee
    return liquidation_price_at(
        contract, size, entry, balance - order_margin, 0, fee_reserve=needed
    )
