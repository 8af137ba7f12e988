"""Where stories happen: every venue of the registry, in each kind of account it offers.

A place names the venue and its options, the symbols with their first prices, what is paid in, which leverages
its tables allow, and the days before its tables, fees or rules change. The first choice of everything is the
plainest one. A venue that is registered later and has no place here fails a test.
"""

from __future__ import annotations

from typing import Any, NamedTuple

BTC, ETH = 40_000.0, 2_000.0
PLAIN = (10.0, 3.0, 1.0, 20.0, 20.0, 50.0)
BOTH = ("cross", "isolated")


class Place(NamedTuple):
    """A venue and an account at it.

    ``needs`` symbols are always traded (a coin in a wallet needs a feed that prices it); ``cash`` is a number
    or wallets by currency, ``collateral`` coins that are pledged; ``hedge``: strategies may name a side;
    ``together``: one margin mode holds for the whole account; ``margins``: schemes of scripts may set a
    leverage of 5.
    """

    venue: str
    markets: dict[str, float]
    dates: tuple[str, ...]
    leverages: tuple[float, ...] = PLAIN
    modes: tuple[str, ...] = BOTH
    options: dict[str, Any] = {}
    cash: Any = 10_000.0
    collateral: dict[str, float] = {}
    currency: str | None = None
    needs: int = 1
    hedge: bool = False
    together: bool = False
    margins: bool = True

    @property
    def wallets(self) -> dict[str, float]:
        """What is paid in, by currency; the account's own currency is ``""`` where cash is a number."""
        cash = self.cash if isinstance(self.cash, dict) else {"": self.cash}
        return {**cash, **self.collateral}


USDT = {"BTC/USDT:USDT": BTC, "ETH/USDT:USDT": ETH, "SOL/USDT:USDT": 100.0}
USDC = {"BTC/USDC:USDC": BTC, "ETH/USDC:USDC": ETH, "SOL/USDC:USDC": 100.0}
USD = {"BTC/USD:USD": BTC, "ETH/USD:USD": ETH, "LTC/USD:USD": 80.0}
COIN = {"BTC/USD:BTC": BTC}
TWO = {"BTC/USDT:USDT": BTC, "BTC/USD:BTC": BTC, "ETH/USDT:USDT": ETH}
DATES = {
    "binance": (
        "2021-03-25", "2022-04-30", "2023-01-29", "2024-01-29", "2024-04-27", "2025-01-30",
        "2025-11-29", "2026-01-04",
    ),
    "binancecoinm": ("2021-07-26", "2023-09-25", "2026-01-04"),
    "bybit": ("2025-09-01", "2022-07-12", "2023-10-19", "2025-02-18", "2025-12-28", "2026-09-25"),
    "okx": ("2025-12-28", "2026-05-11", "2026-05-27", "2022-10-31"),
    "krakenfutures": ("2026-03-25", "2023-05-24", "2025-09-23", "2022-03-21"),
    "krakeninverse": ("2023-05-24", "2019-03-04"),
    "krakenspot": ("2024-12-31", "2025-12-31"),
    "dydx_v4": ("2024-10-01", "2023-10-26", "2024-02-22", "2024-08-25"),
    "hyperliquid": ("2025-03-11", "2024-10-31"),
    "aave_v3": ("2025-02-24", "2023-10-30", "2025-01-31"),
}  # fmt: skip
#: pool statistics of the GMX markets, which are the user's; they change while the stories run
GMX = ("2024-01-01",)
BUSY = [("2023-01-01", 0.5), ("2024-01-02", 0.95), ("2024-01-03", 0.2)]
RATES = {"long": [("2023-01-01", 0.3), ("2024-01-02", -4.0)], "short": -0.2}
#: open interest of a dYdX market: its initial margin grows with it
CROWD = [(0, 0.0), (1_727_870_400_000, 70e6), (1_727_913_600_000, 300e6)]

PLACES: dict[str, Place] = {
    "generic": Place(
        "generic", {"BTC/USDT:USDT": BTC, "ETH/USDT:USDT": ETH, "X": 100.0}, ("2024-01-01",)
    ),
    "inverse": Place(
        "generic", {"BTC/USD:BTC": BTC, "BTC/EUR:BTC": 36_000.0}, ("2024-01-01",), cash=1.0,
        margins=False,
    ),
    "binance": Place(
        "binance", USDT, DATES["binance"], (10.0, 3.0, 1.0, 20.0, 20.0, 15.0), hedge=True
    ),
    "binance multi-assets": Place(
        "binance", USDT, DATES["binance"], (10.0, 3.0, 1.0, 20.0, 20.0, 15.0), ("cross",),
        {"multi_assets": True}, 2_000.0, {"BTC": 0.15, "ETH": 1.0}, needs=2, hedge=True,
    ),
    "binancecoinm": Place(
        "binancecoinm", COIN, DATES["binancecoinm"], cash=1.0, hedge=True, margins=False
    ),
    "binancecoinm in dollars": Place(
        "binancecoinm", COIN, DATES["binancecoinm"], cash={"BTC": 1.0}, currency="USD",
        hedge=True, margins=False,
    ),
    "bybit": Place("bybit", USDT, DATES["bybit"], hedge=True, together=True),
    "bybit pledged": Place(
        "bybit", USDT, DATES["bybit"], cash=3_000.0, collateral={"BTC": 0.15}, hedge=True,
        together=True,
    ),
    "bybit coins": Place(
        "bybit", TWO, DATES["bybit"], cash={"USDT": 6_000.0, "BTC": 0.1}, needs=2, hedge=True,
        together=True, margins=False,
    ),
    "okx": Place("okx", USDT, DATES["okx"], (10.0, 3.0, 1.0, 20.0, 50.0), hedge=True),
    "okx multi-currency": Place(
        "okx", USDT, DATES["okx"], (10.0, 3.0, 1.0, 20.0, 50.0), BOTH,
        {"account": "multi", "discount_rates": {"BTC": 0.95, "ETH": 0.9}}, 3_000.0,
        {"BTC": 0.1, "ETH": 1.0}, needs=2, hedge=True,
    ),
    "okx coins": Place(
        "okx", TWO, DATES["okx"], (10.0, 3.0, 1.0, 20.0), BOTH, {"coins": True},
        {"USDT": 6_000.0, "BTC": 0.1}, needs=2, hedge=True, margins=False,
    ),
    "krakenfutures": Place(
        "krakenfutures", USD, DATES["krakenfutures"], (10.0, 3.0, 1.0, 20.0, 50.0)
    ),
    "krakenfutures pledged": Place(
        "krakenfutures", USD, DATES["krakenfutures"], (10.0, 3.0, 20.0, 50.0), BOTH,
        {"haircuts": {"BTC": 0.1}, "levels": "whole"}, 3_000.0, {"BTC": 0.15},
    ),
    "krakeninverse": Place(
        "krakeninverse", COIN, DATES["krakeninverse"], modes=("cross",), cash=1.0, margins=False
    ),
    "krakeninverse coins": Place(
        "krakeninverse", {"BTC/USD:BTC": BTC, "ETH/USD:ETH": ETH}, DATES["krakeninverse"],
        modes=("cross",), options={"levels": "whole"}, cash={"BTC": 0.15, "ETH": 2.0}, needs=2,
        margins=False,
    ),
    "krakenspot": Place(
        "krakenspot", {"BTC/USD": BTC, "ETH/USD": ETH}, DATES["krakenspot"], (5.0, 2.0, 3.0, 5.0),
        ("cross",),
    ),
    "dydx_v3": Place(
        "dydx_v3", USDC, ("2023-01-01",), (10.0, 3.0, 1.0, 10.0),
        options={"taker_fee": 0.0005, "maker_fee": 0.0002},
    ),
    "dydx_v4": Place(
        "dydx_v4", {"BTC/USDC:USDC": BTC, "ETH/USDC:USDC": ETH, "LINK/USDC:USDC": 15.0},
        DATES["dydx_v4"], (10.0, 3.0, 1.0, 10.0),
    ),
    "dydx_v4 crowded": Place(
        "dydx_v4", USDC, ("2024-10-01",), (10.0, 3.0, 20.0, 20.0),
        options={"open_interest": {"BTC/USDC:USDC": CROWD}},
    ),
    "hyperliquid": Place(
        "hyperliquid", USDC, DATES["hyperliquid"], (10.0, 3.0, 1.0, 20.0, 20.0)
    ),
    "gmx_v1": Place(
        "gmx_v1", {"BTC/USDC:USDC": BTC, "ETH/USDC:USDC": ETH}, GMX, PLAIN, ("isolated",),
        {"utilisation": BUSY}, hedge=True,
    ),
    "gmx_v2": Place(
        "gmx_v2", USDC, GMX, (10.0, 3.0, 1.0, 20.0, 50.0, 100.0), ("isolated",),
        {"usage": BUSY, "funding": RATES, "imbalance": 2e6, "open_interest": 1e6}, hedge=True,
    ),
    "aave_v3": Place(
        "aave_v3", {"WETH/USDC": ETH, "WBTC/USDC": BTC, "LINK/USDC": 15.0}, DATES["aave_v3"],
        (3.0, 2.0, 1.0, 3.0), margins=False,
    ),
    "aave_v3 lent out": Place(
        "aave_v3", {"WETH/USDC": ETH, "LINK/USDC": 15.0}, DATES["aave_v3"], (3.0, 2.0, 3.0),
        options={"utilisation": 0.99}, margins=False,
    ),
}  # fmt: skip
"""By the name stories use."""
