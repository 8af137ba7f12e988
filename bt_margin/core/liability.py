"""Spot margin with a debt of its own: what was bought with borrowed money, or sold on borrowed coins.

An isolated spot margin position is two amounts held and two amounts owed, in base and in quote:

    long     borrow quote, hold base      (base, quote_owed)
    short    borrow base, hold quote      (quote, base_owed)

and its margin is more of either currency among what is held. With p the price, D = base_owed · p + quote_owed
the debt (interest included) and A = base · p + quote the assets, both in quote,

    maintenance = D · mmr
    ratio       = (A − D) / (D · mmr + D · (1 + mmr) · fee)          liquidation at 1 or less
    liquidation at the price where  A = D · (1 + mmr) · (1 + fee)

The fee is that of buying back what is owed and the margin for it.
OKX help, "Introduction to the isolated mode" (2025-02-17), and account payloads of 2023-01.
"""

from __future__ import annotations

from typing import NamedTuple

from bt_margin.core.margin import initial

__all__ = [
    "Borrowing",
    "Opened",
    "borrowed_to_open",
    "debt_liquidation_price",
    "debt_margin_ratio",
]


class Borrowing(NamedTuple):
    """What a spot margin position holds and owes, each 0 or more; owed amounts with their interest.

    >>> long = Borrowing(base=1.1, quote_owed=10_000)
    >>> long.assets(10_000), long.debt(10_000), long.maintenance(10_000, mmr=0.03)
    (11000.0, 10000, 300.0)
    """

    base: float = 0
    quote: float = 0
    base_owed: float = 0
    quote_owed: float = 0

    def plus(
        self, base: float = 0, quote: float = 0, base_owed: float = 0, quote_owed: float = 0
    ) -> Borrowing:
        """The position with more held (margin) or more owed (interest).

        >>> Borrowing(base=1, quote_owed=10).plus(base=0.5, quote_owed=2)
        Borrowing(base=1.5, quote=0, base_owed=0, quote_owed=12)
        """
        return Borrowing(
            self.base + base,
            self.quote + quote,
            self.base_owed + base_owed,
            self.quote_owed + quote_owed,
        )

    def assets(self, price: float) -> float:
        """Value of what is held, A = base · price + quote   [quote]."""
        return self.base * price + self.quote

    def debt(self, price: float) -> float:
        """Value of what is owed, D = base_owed · price + quote_owed   [quote]."""
        return self.base_owed * price + self.quote_owed

    def maintenance(self, price: float, mmr: float) -> float:
        """Maintenance margin, D · mmr   [quote]."""
        return self.debt(price) * mmr


class Opened(NamedTuple):
    """A position right after opening: its ``margin``, in base or in quote, and all it holds and owes."""

    margin: float
    held: Borrowing


def borrowed_to_open(size: float, price: float, leverage: float, *, margin_in_base: bool) -> Opened:
    """Opening with borrowed money: all that is traded is borrowed, and the margin lies beside it.

    size : signed, + buys base with borrowed quote, − sells borrowed base; no fees
    margin_in_base : the margin, |size| / leverage, is posted in base; else its value in quote

    >>> borrowed_to_open(1, 10_000, 10, margin_in_base=True)
    Opened(margin=0.1, held=Borrowing(base=1.1, quote=0, base_owed=0, quote_owed=10000))
    >>> borrowed_to_open(-2, 100, 4, margin_in_base=False)
    Opened(margin=50.0, held=Borrowing(base=0, quote=250.0, base_owed=2, quote_owed=0))
    """
    traded = (
        Borrowing(base=size, quote_owed=size * price)
        if size > 0
        else Borrowing(quote=-size * price, base_owed=-size)
    )
    if margin_in_base:
        coins = initial(abs(size), leverage)
        return Opened(coins, traded.plus(base=coins))
    money = initial(abs(size) * price, leverage)
    return Opened(money, traded.plus(quote=money))


def debt_margin_ratio(held: Borrowing, price: float, mmr: float, fee: float) -> float | None:
    """Margin ratio, (A − D) / (D · mmr + D · (1 + mmr) · fee); None without a debt.

    price : the mark; mmr, fee : fractions

    >>> debt_margin_ratio(Borrowing(quote=120, base_owed=1), price=100, mmr=0.25, fee=0)
    0.8
    """
    debt = held.debt(price)
    need = debt * mmr + debt * (1 + mmr) * fee
    return (held.assets(price) - debt) / need if need else None


def debt_liquidation_price(held: Borrowing, mmr: float, fee: float) -> float | None:
    """The price at which the margin ratio is 1, solved for any mix of what is held and owed:

        p = (quote_owed · k − quote) / (base − base_owed · k),      k = (1 + mmr) · (1 + fee)

    long, margin in base     quote_owed · k / base
    long, margin in quote    (quote_owed · k − quote) / base
    short                    quote / (base_owed · k)

    None: no price above 0 does it.

    >>> debt_liquidation_price(Borrowing(base=1.25, quote_owed=100), mmr=0.25, fee=0)
    100.0
    >>> debt_liquidation_price(Borrowing(base=1, quote=25, quote_owed=100), mmr=0.25, fee=0)
    100.0
    >>> debt_liquidation_price(Borrowing(quote=125, base_owed=1), mmr=0.25, fee=0)
    100.0
    """
    factor = (1 + mmr) * (1 + fee)
    money = held.quote_owed * factor - held.quote
    coins = held.base - held.base_owed * factor
    if coins == 0 or money == 0 or (money > 0) != (coins > 0):
        return None
    return money / coins
