"""Bybit v5: spot, linear and inverse.

    klines     falling, both ends inclusive. start and end: the newest between them; start alone: the
               oldest from it on; default 200, at most 1000. Mark and index bars have no volume
    funding    falling, at most 200, the newest between startTime and endTime; startTime alone is refused
    risk limit linear comes 15 symbols at a time with a cursor; in the settlement currency

An error comes with status 200 and a retCode. Delisted markets are not among the instruments, their
bars still are. Source: bybit-exchange.github.io/docs/v5/market. Not checked against the venue: the
answer to a start alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from market.loopback.faults import Answer, Fault
from market.loopback.hall import Render
from market.loopback.history import Coin
from market.loopback.venue import Refused, Route, Venue, compact
from market.loopback.wire import Reply, Request

INTERVALS = {m: f"{m}m" for m in ("1", "3", "5", "15", "30")}
INTERVALS |= {"60": "1h", "120": "2h", "240": "4h", "360": "6h", "720": "12h", "D": "1d", "W": "1w"}
KINDS = {"": "ohlcv", "mark-price-": "mark", "index-price-": "index"}
SYMBOLS_OF_A_PAGE = 15
LAST_CAP = 1_800_000_000


def category(coin: Coin) -> str:
    """Where a coin trades."""
    if coin.spot:
        return "spot"
    return "inverse" if coin.inverse else "linear"


class Bybit(Venue):
    """Bybit, whose pages fall, and hold the newest rows of a span."""

    names = ("bybit",)

    def urls(self, base: str) -> Mapping[str, Any]:
        return dict.fromkeys(("spot", "futures", "v2", "public", "private"), base)

    def id_of(self, coin: Coin) -> str:
        return f"{coin.base}{coin.quote}"

    def writer(self, coin: Coin, kind: str, timeframe: str) -> Render:
        return writer(coin, kind)

    def table(self) -> dict[str, Route]:
        routes: dict[str, Route] = {
            "/v5/market/instruments-info": self.instruments,
            "/v5/market/funding/history": self.funding,
            "/v5/market/risk-limit": self.risk_limit,
            "/v5/market/time": self.time,
        }
        for prefix, kind in KINDS.items():
            routes[f"/v5/market/{prefix}kline"] = self._klines(kind)
        return routes

    def words(self, fault: Fault) -> Reply:
        code, status, text = {
            "429": (10429, 429, "System level frequency protection."),
            "busy": (10006, 200, "Too many visits!"),
            "no symbol": (10001, 200, "params error: Symbol Invalid"),
            "500": (10016, 500, "Server error."),
            "timeout": (10000, 200, "Server Timeout"),
        }.get(fault.name, (0, 0, ""))
        body = {"retCode": code, "retMsg": text, "result": {}, "retExtInfo": {}}
        return self.said(fault, status, {**body, "time": self.hall.now})

    # --- routes

    def time(self, request: Request) -> Answer:
        second = self.hall.now // 1000
        return self._result([], f'"timeSecond":"{second}","timeNano":"{second}000000000"')

    def instruments(self, request: Request) -> Answer:
        place = request.query.get("category", "")
        coins = [c for c in self.listed() if c.active and category(c) == place]
        if request.query.get("status", "Trading") != "Trading":
            coins = []
        rows = [compact(self.market(coin)) for coin in coins]
        return self._result(rows, f'"category":"{place}","nextPageCursor":""')

    def market(self, coin: Coin) -> dict[str, Any]:
        tick = f"{10**-coin.digits:.{coin.digits}f}"
        lot = "1" if coin.inverse else f"{10**-coin.volume_digits:.{coin.volume_digits}f}"
        told: dict[str, Any] = {
            "symbol": self.id_of(coin),
            "baseCoin": coin.base,
            "quoteCoin": coin.quote,
            "status": "Trading",
            "priceFilter": {"minPrice": tick, "maxPrice": "1999999.80", "tickSize": tick},
        }
        if coin.spot:
            sizes = {"basePrecision": lot, "quotePrecision": "0.0000001", "minOrderQty": lot}
            return told | {"marginTrading": "utaOnly", "lotSizeFilter": sizes}
        hours = coin.funding[-1][1]
        sizes = {"minOrderQty": lot, "maxOrderQty": "1190.000", "qtyStep": lot}
        return told | {
            "contractType": "InversePerpetual" if coin.inverse else "LinearPerpetual",
            "settleCoin": coin.settle or coin.quote,
            "launchTime": str(coin.listed),
            "deliveryTime": "0",
            "fundingInterval": hours * 60,
            "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
            "lotSizeFilter": sizes | {"minNotionalValue": "5", "maxMktOrderQty": "119.000"},
        }

    def _klines(self, kind: str) -> Route:
        return lambda request: self.klines(request, kind)

    def klines(self, request: Request, kind: str) -> Answer:
        coin = self._asked(request)
        timeframe = INTERVALS.get(request.query.get("interval", ""))
        if timeframe is None:
            raise self._refused(10001, "Invalid period!")
        start, end = request.number("start"), request.number("end")
        cut = self.hall.cut(
            (coin.symbol, kind, timeframe),
            self.writer(coin, kind, timeframe),
            start=start,
            stop=None if end is None else end + 1,
            limit=min(request.number("limit") or 200, 1000),
            newest=end is not None,
        )
        answer = self._result(
            cut.rows[::-1], f'"symbol":"{self.id_of(coin)}","category":"{category(coin)}"'
        )
        answer.before, answer.newest_first = cut.before[::-1], True
        return answer

    def funding(self, request: Request) -> Answer:
        coin = self._asked(request)
        start, end = request.number("startTime"), request.number("endTime")
        if start is not None and end is None:
            raise self._refused(10001, "The time range is invalid: endTime is required")
        settled, name = self.hall.settled(coin.symbol), self.id_of(coin)
        stop = None if end is None else end + 1
        limit = min(request.number("limit") or 200, 200)
        places = self.hall.settlements_between(coin.symbol, start, stop, limit, newest=True)

        def written(i: int) -> str:
            rate = f"{settled.rates[i] / 1e12:.8f}"
            return (
                f'{{"symbol":"{name}","fundingRate":"{rate}",'
                f'"fundingRateTimestamp":"{settled.times[i]}"}}'
            )

        shell = self._result([], f'"category":"{category(coin)}"')
        return self.newest_first(places, written, shell.head, shell.tail)

    def risk_limit(self, request: Request) -> Answer:
        place, wanted = request.query.get("category"), request.query.get("symbol")
        coins = [c for c in self.listed() if c.active and category(c) == place]
        coins = sorted(coins, key=self.id_of)
        if wanted:
            coins = [self._asked(request)]
        first = int(request.query.get("cursor") or 0)
        shown = coins[first : first + SYMBOLS_OF_A_PAGE] if place == "linear" else coins
        last = first + len(shown)
        cursor = str(last) if last < len(coins) and place == "linear" else ""
        rows = [compact(row) for coin in shown for row in limits_of(coin, self.id_of(coin))]
        return self._result(rows, f'"category":"{place}","nextPageCursor":"{cursor}"')

    # --- the small print

    def _result(self, rows: list[str], more: str) -> Answer:
        tail = f']}},"retExtInfo":{{}},"time":{self.hall.now}}}'
        return Answer(rows, f'{{"retCode":0,"retMsg":"OK","result":{{{more},"list":[', tail)

    def _refused(self, code: int, text: str) -> Refused:
        body = {"retCode": code, "retMsg": text, "result": {}, "retExtInfo": {}}
        return Refused(200, {**body, "time": self.hall.now})

    def _asked(self, request: Request) -> Coin:
        found, place = request.query.get("symbol"), request.query.get("category", "linear")
        for coin in self.hall.coins.values():
            if self.id_of(coin) == found and category(coin) == place and not coin.gone:
                return coin
        raise self._refused(10001, "params error: Symbol Invalid")


def writer(coin: Coin, kind: str) -> Render:
    """How klines are written; inverse ones count dollars first and coins second."""
    price = f'"%.{coin.digits if kind == "ohlcv" else coin.mark_digits}f"'
    four = ",".join([price] * 4)
    plain, lots = f'["%d",{four}]', f'"%.{coin.volume_digits}f"'
    line = f'["%d",{four},"%.0f",{lots}]' if coin.inverse else f'["%d",{four},{lots},"%.4f"]'

    def marks(t: Any, o: Any, h: Any, low: Any, c: Any, v: Any) -> list[str]:
        return [plain % row for row in zip(t, o, h, low, c, strict=True)]

    def klines(t: Any, o: Any, h: Any, low: Any, c: Any, v: Any) -> list[str]:
        return [
            line % ((x, *y, z * y[3], z) if coin.inverse else (x, *y, z, z * y[3]))
            for x, *y, z in zip(t, o, h, low, c, v, strict=True)
        ]

    return klines if kind == "ohlcv" else marks


def limits_of(coin: Coin, name: str) -> list[dict[str, Any]]:
    """The risk limits of a coin in its settlement currency; the first deduction is left empty."""
    told, amount, rate = [], 0.0, 0.0
    per = coin.price if coin.inverse else 1.0
    for number, tier in enumerate(coin.tiers, 1):
        amount, rate = amount + tier.floor / per * (tier.rate - rate), tier.rate
        told.append(
            {
                "id": number,
                "symbol": name,
                "riskLimitValue": f"{(tier.cap or LAST_CAP) / per:.8g}",
                "maintenanceMargin": f"{tier.rate:g}",
                "initialMargin": f"{1 / tier.leverage:g}",
                "isLowestRisk": int(number == 1),
                "maxLeverage": f"{tier.leverage:.2f}",
                "mmDeduction": f"{amount:.8g}" if amount else "",
            }
        )
    return told
