"""Gate: USDT perpetuals. The example of a class nobody wrote a table for.

    candles    rising, `from` and `to` in seconds, inclusive; more than 2,000 points are refused; mark and
               index are contracts of their own name, without a volume
    funding    falling, at most 1,000, 100 unless asked; the newest between `from` and `to`

Source: gate.com/docs/developers/apiv4 and what ccxt asks for; an example, not a measured venue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from market.loopback.faults import Answer, Fault
from market.loopback.hall import Render
from market.loopback.history import Coin
from market.loopback.venue import Refused, Route, Venue, compact
from market.loopback.wire import Reply, Request

from bt_margin.market.kinds import Grid

MOST = 2_000
TIMEFRAMES = {t: t for t in ["1m", "5m", "15m", "30m", "1h", "4h", "8h", "1d"]} | {"7d": "1w"}
EMPTY = (
    "/api/v4/futures/btc/contracts",
    "/api/v4/spot/currencies",
    "/api/v4/spot/currency_pairs",
    "/api/v4/margin/currency_pairs",
    "/api/v4/delivery/usdt/contracts",
    "/api/v4/delivery/btc/contracts",
    "/api/v4/options/underlyings",
)
PLACES = ("wallet", "futures", "margin", "delivery", "spot", "options", "sub_accounts", "earn")
FUTURES = "/api/v4/futures/usdt"


class Gate(Venue):
    """The USDT perpetuals of Gate."""

    names = ("gate",)

    def urls(self, base: str) -> Mapping[str, Any]:
        return {"public": dict.fromkeys(PLACES, f"{base}/api/v4")}

    def id_of(self, coin: Coin) -> str:
        return f"{coin.base}_{coin.quote}"

    def trades(self, coin: Coin) -> bool:
        return not coin.spot and not coin.inverse

    def writer(self, coin: Coin, kind: str, timeframe: str) -> Render:
        return writer(coin, kind)

    def table(self) -> dict[str, Route]:
        return {
            **{path: lambda request: Answer() for path in EMPTY},
            "/api/v4/spot/time": self.time,
            f"{FUTURES}/contracts": self.contracts,
            f"{FUTURES}/candlesticks": self.candles,
            f"{FUTURES}/funding_rate": self.funding,
            f"{FUTURES}/risk_limit_tiers": self.tiers,
        }

    def words(self, fault: Fault) -> Reply:
        label, status, text = {
            "429": ("TOO_MANY_REQUESTS", 429, "Request Rate Limit Exceeded"),
            "500": ("INTERNAL", 500, "Internal server error"),
        }.get(fault.name, ("", 0, ""))
        return self.said(fault, status, {"label": label, "message": text})

    # --- routes

    def time(self, request: Request) -> Answer:
        return Answer(head=compact({"server_time": self.hall.now}), tail="")

    def contracts(self, request: Request) -> Answer:
        return Answer([compact(self.market(coin)) for coin in self.listed() if coin.active])

    def market(self, coin: Coin) -> dict[str, Any]:
        return {
            "name": self.id_of(coin),
            "type": "direct",
            "quanto_multiplier": f"{coin.contract_size or 0.0001:.4f}",
            "status": "trading",
            "mark_price": f"{coin.price:.{coin.digits}f}",
            "order_price_deviate": "0.2",
            "order_price_round": f"{10**-coin.digits:.{coin.digits}f}",
            "order_size_min": 1,
            "order_size_max": 1_000_000,
            "leverage_min": "1",
            "leverage_max": "125",
            "maintenance_rate": "0.004",
            "funding_interval": coin.funding[-1][1] * 3600,
            "create_time": coin.listed // 1000,
        }

    def candles(self, request: Request) -> Answer:
        found = request.query.get("contract", "")
        kind = {"mark": "mark", "index": "index"}.get(found.partition("_")[0], "ohlcv")
        coin = self._known(found if kind == "ohlcv" else found.partition("_")[2])
        timeframe = TIMEFRAMES.get(request.query.get("interval", ""))
        if timeframe is None:
            raise refused("INVALID_PARAM_VALUE", "interval")
        start, end, step = request.number("from"), request.number("to"), Grid.of(timeframe).step
        last = self.hall.now // 1000 if end is None else end
        if start is not None and (last - start) * 1000 > MOST * step:
            raise refused(
                "INVALID_PARAM_VALUE", "Candlestick range too broad. Maximum 2000 data points"
            )
        cut = self.hall.cut(
            (coin.symbol, kind, timeframe),
            self.writer(coin, kind, timeframe),
            start=None if start is None else start * 1000,
            stop=None if end is None else end * 1000 + 1,
            limit=MOST if start is not None else request.number("limit") or 100,
        )
        return Answer(cut.rows, before=cut.before)

    def funding(self, request: Request) -> Answer:
        coin = self._known(request.query.get("contract", ""))
        settled = self.hall.settled(coin.symbol)
        start, end = request.number("from"), request.number("to")
        places = self.hall.settlements_between(
            coin.symbol,
            0 if start is None else start * 1000,
            None if end is None else end * 1000 + 1,
            min(request.number("limit") or 100, 1000),
            newest=True,
        )

        def written(i: int) -> str:
            return f'{{"t":{settled.times[i] // 1000},"r":"{settled.rates[i] / 1e12:.8f}"}}'

        return self.newest_first(places, written, "[", "]")

    def tiers(self, request: Request) -> Answer:
        wanted = request.query.get("contract")
        coins = [self._known(wanted)] if wanted else self.listed()
        rows = [compact(row) for coin in coins for row in tiers_of(coin, self.id_of(coin))]
        return Answer(rows if request.number("offset") in (None, 0) else [])

    def _known(self, name: str) -> Coin:
        coin = self.coin(name)
        if coin is None:
            raise refused("CONTRACT_NOT_FOUND", f"contract {name} not found")
        return coin


def refused(label: str, text: str) -> Refused:
    """An error as Gate words it."""
    return Refused(400, {"label": label, "message": text})


def writer(coin: Coin, kind: str) -> Render:
    """How candles are written."""
    price = f'"%.{coin.digits if kind == "ohlcv" else coin.mark_digits}f"'
    volume = f',"v":%.{coin.volume_digits}f' if kind == "ohlcv" else ""
    line = f'{{"t":%d,"o":{price},"h":{price},"l":{price},"c":{price}{volume}}}'

    def candles(t: Any, *columns: Any) -> list[str]:
        kept = columns if kind == "ohlcv" else columns[:4]
        return [line % (x // 1000, *row) for x, *row in zip(t, *kept, strict=True)]

    return candles


def tiers_of(coin: Coin, name: str) -> list[dict[str, Any]]:
    """The risk limits of a contract in quote."""
    return [
        {
            "tier": number,
            "contract": name,
            "risk_limit": f"{tier.cap or 1_800_000_000:.0f}",
            "initial_rate": f"{1 / tier.leverage:g}",
            "maintenance_rate": f"{tier.rate:g}",
            "leverage_max": f"{tier.leverage:g}",
        }
        for number, tier in enumerate(coin.tiers, 1)
    ]
