"""What a contract that settles in coin tells backtrader, where the account is valued in another currency.

The account books in coin. Sizers, orders and trades count in the currency the account is told in: the value
of a size, its margin and its fee at the price asked about, a profit at the price it was made at::

    value    = value in coin · price          an inverse contract: size · multiplier, whatever the price
    profit   = profit in coin · exit price    an inverse contract: size · multiplier · (exit / entry − 1)

So ``order_target_percent(target=2.0)`` is an exposure of twice the equity in either currency.
"""

from __future__ import annotations

from typing import Any

from bt_margin.plugin.commission import MarginInfo


class Reported(MarginInfo):
    """A coin contract's commission info in the currency its price is quoted in; made by :func:`reported`.

    >>> from bt_margin.plugin.commission import InversePerp
    >>> info = reported(InversePerp(commission=0.0005, mult=100, leverage=5))
    >>> info.getvaluesize(50, 20_000), info.getsize(20_000, cash=5_000), info.get_margin(20_000)
    (5000.0, 50.0, 20.0)
    >>> info.profitandloss(50, 20_000, 40_000), info.fee(50, 20_000)
    (5000.0, 2.5)
    """

    def adopt(self, coin: Any) -> None:
        """Take over an info that counts in coin; called once, by :func:`reported`."""
        self.coin = coin
        self.p = self.params = coin.p
        self._stocklike, self._commtype = coin._stocklike, coin._commtype

    @property
    def multiplier(self) -> float:
        """Contract size, as in coin."""
        return float(self.coin.multiplier)

    def unit(self, price: float) -> float:
        """Notional of one contract at a price, in the currency of the price."""
        return float(self.coin.unit(price)) * price

    @property
    def told(self) -> Any:
        """What orders and trades are given to value themselves by."""
        return self

    def get_leverage(self) -> float:
        """The coin info's own answer."""
        return float(self.coin.get_leverage())

    def get_margin(self, price: float) -> float:
        """Initial margin of one contract."""
        return float(self.coin.get_margin(price)) * price

    def fee(self, size: float, price: float, *, liquidity: str = "taker") -> float:
        """Commission of a fill at the price."""
        return float(self.coin.fee(size, price, liquidity=liquidity)) * price

    def profitandloss(self, size: float, price: float, newprice: float) -> float:
        """Profit of a size between two prices, at the second."""
        return float(self.coin.profitandloss(size, price, newprice)) * newprice

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "coin":  # not yet adopted, as while unpickling
            raise AttributeError(name)
        return getattr(self.coin, name)


def reported(coin: Any) -> Reported:
    """The info of a coin contract in the currency its price is quoted in."""
    info = Reported()
    info.adopt(coin)
    return info
