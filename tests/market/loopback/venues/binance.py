"""Binance: spot, USD-M and COIN-M futures.

    klines     rising, from startTime on, both ends inclusive; default 500, at most 1500 (spot 1000).
               COIN-M: the newest rows before endTime, inside a window of 200 days
    funding    rising, from startTime on; default 100, at most 1000; stamps some ms after the hour
    brackets   asked with a key; COIN-M counts them in coins

Source: the market data pages of developers.binance.com. Not checked against the venue: a limit that is
too high is cut, not refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from market.loopback.faults import Answer, Fault
from market.loopback.hall import OVERLAP, Render
from market.loopback.history import DAY, Coin
from market.loopback.venue import Refused, Route, Venue, compact
from market.loopback.wire import Reply, Request

from bt_margin.market.kinds import Grid

INTERVALS = [
    "1m",
    "3m",
    "5m",
    "15m",
    "30m",
    "1h",
    "2h",
    "4h",
    "6h",
    "8h",
    "12h",
    "1d",
    "3d",
    "1w",
    "1M",
]
FOR_EVER = 4_133_404_800_000
WINDOW = 200 * DAY
PRICES = {"": "ohlcv", "markPrice": "mark", "indexPrice": "index"}
SEGMENTS = {"spot": "/api/v3", "linear": "/fapi/v1", "inverse": "/dapi/v1"}
ASKED_WITH_A_KEY = ("/sapi/v1/capital/config/getall", "/sapi/v1/margin/allPairs")  # wallets
LAST_CAP = 1_800_000_000
API = {
    "public": "/api/v3",
    "private": "/api/v3",
    "fapiPublic": "/fapi/v1",
    "fapiPrivate": "/fapi/v1",
    "fapiPublicV2": "/fapi/v2",
    "fapiPrivateV2": "/fapi/v2",
    "fapiPublicV3": "/fapi/v3",
    "fapiPrivateV3": "/fapi/v3",
    "fapiData": "/futures/data",
    "dapiPublic": "/dapi/v1",
    "dapiPrivate": "/dapi/v1",
    "dapiPrivateV2": "/dapi/v2",
    "dapiData": "/futures/data",
    "sapi": "/sapi/v1",
    "eapiPublic": "/eapi/v1",
}


def segment(coin: Coin) -> str:
    """Which of the three houses a coin trades in."""
    if coin.spot:
        return "spot"
    return "inverse" if coin.inverse else "linear"


class Binance(Venue):
    """The three houses of Binance on one server."""

    names = ("binanceusdm", "binancecoinm", "binance")
    marks_settlements = True
    mark_volume = True
    jitter = 15

    def urls(self, base: str) -> Mapping[str, Any]:
        return {name: base + path for name, path in API.items()}

    def id_of(self, coin: Coin) -> str:
        return f"{coin.base}{coin.quote}" + ("_PERP" if coin.inverse else "")

    def writer(self, coin: Coin, kind: str, timeframe: str) -> Render:
        return writer(coin, kind, timeframe)

    def table(self) -> dict[str, Route]:
        routes: dict[str, Route] = {}
        for house, path in SEGMENTS.items():
            routes[f"{path}/exchangeInfo"] = self._of(house, self.exchange_info)
            routes[f"{path}/time"] = self.time
            routes[f"{path}/ping"] = lambda request: Answer(head="{", tail="}")
            for prefix, kind in PRICES.items():
                name = f"{prefix}Klines" if prefix else "klines"
                if house != "spot" or not prefix:
                    routes[f"{path}/{name}"] = self._of(house, self.klines, kind)
            if house != "spot":
                routes[f"{path}/fundingRate"] = self._of(house, self.funding)
        routes["/fapi/v1/leverageBracket"] = self._of("linear", self.brackets)
        for path in ASKED_WITH_A_KEY:
            routes[path] = lambda request: Answer()
        routes["/dapi/v2/leverageBracket"] = self._of("inverse", self.brackets)
        return routes

    def _of(self, house: str, answer: Callable[..., Answer], *more: str) -> Route:
        return lambda request: answer(request, house, *more)

    def words(self, fault: Fault) -> Reply:
        ban = fault.detail.get("ban", self.hall.now + 120_000)
        code, status, text = {
            "429": (
                -1003,
                429,
                "Too many requests; current limit of IP(127.0.0.1) is 2400 requests per minute.",
            ),
            "418": (-1003, 418, f"Way too many requests; IP(127.0.0.1) banned until {ban}."),
            "451": (
                0,
                451,
                "Service unavailable from a restricted location according to 'b. Eligibility'.",
            ),
            "-1001": (
                -1001,
                400,
                "Internal error; unable to process your request. Please try again.",
            ),
            "-1016": (-1016, 400, "This service is no longer available."),
            "-1121": (-1121, 400, "Invalid symbol."),
        }.get(fault.name, (0, 0, ""))
        return self.said(fault, status, {"code": code, "msg": text})

    # --- routes

    def time(self, request: Request) -> Answer:
        return Answer(head=compact({"serverTime": self.hall.now}), tail="")

    def exchange_info(self, request: Request, house: str) -> Answer:
        rows = [compact(self.market(coin)) for coin in self.listed() if segment(coin) == house]
        head = f'{{"timezone":"UTC","serverTime":{self.hall.now},"symbols":['
        return Answer(rows, head, "]}")

    def market(self, coin: Coin) -> dict[str, Any]:
        tick, lot = f"{10**-coin.digits:.{coin.digits}f}", f"{10**-coin.volume_digits:.3f}"
        told: dict[str, Any] = {
            "symbol": self.id_of(coin),
            "baseAsset": coin.base,
            "quoteAsset": coin.quote,
            "pricePrecision": coin.digits,
            "quantityPrecision": coin.volume_digits,
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
        }
        status = "TRADING" if coin.active else "BREAK" if coin.spot else "SETTLING"
        if coin.spot:
            told |= {"status": status, "permissions": ["SPOT", "MARGIN"]}
            told |= {"isSpotTradingAllowed": True, "isMarginTradingAllowed": True}
        else:
            told |= {"pair": f"{coin.base}{coin.quote}", "contractType": "PERPETUAL"}
            told |= {"deliveryDate": coin.delisted or FOR_EVER, "onboardDate": coin.listed}
            told |= {"marginAsset": coin.settle or coin.quote}
            told["contractStatus" if coin.inverse else "status"] = status
        if coin.inverse:
            told |= {"contractSize": int(coin.contract_size or 100), "quantityPrecision": 0}
            lot = "1"
        told["filters"] = [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": tick,
                "maxPrice": "1000000",
                "tickSize": tick,
            },
            {"filterType": "LOT_SIZE", "stepSize": lot, "minQty": lot, "maxQty": "1000"},
            {"filterType": "MARKET_LOT_SIZE", "stepSize": lot, "minQty": lot, "maxQty": "120"},
            {"filterType": "MIN_NOTIONAL", "notional": "100"},
        ]
        return told

    def klines(self, request: Request, house: str, kind: str) -> Answer:
        coin = self._asked(request, house, "pair" if kind == "index" else "symbol")
        timeframe = request.query.get("interval")
        if timeframe not in INTERVALS:
            raise Refused(400, {"code": -1120, "msg": "Invalid interval."})
        start, end = request.number("startTime"), request.number("endTime")
        if house == "inverse":
            start, end = self._window(start, end)
        cut = self.hall.cut(
            (coin.symbol, kind, timeframe),
            self.writer(coin, kind, timeframe),
            start=start,
            stop=None if end is None else end + 1,
            limit=self._limit(request, 500, 1000 if house == "spot" else 1500),
            newest=house == "inverse",
        )
        return Answer(cut.rows, before=cut.before)

    def funding(self, request: Request, house: str) -> Answer:
        coin = self._asked(request, house, "symbol")
        settled, end = self.hall.settled(coin.symbol), request.number("endTime")
        places = self.hall.settlements_between(
            coin.symbol,
            request.number("startTime"),
            None if end is None else end + 1,
            self._limit(request, 100, 1000),
        )
        row = '{"symbol":"%s","fundingTime":%d,"fundingRate":"%.8f","markPrice":"%s"}'
        name = self.id_of(coin)

        def written(i: int) -> str:
            mark = f"{settled.marks[i] / 1e8:.8f}" if settled.marks[i] else ""
            return row % (name, settled.times[i], settled.rates[i] / 1e12, mark)

        rows = [written(i) for i in places]
        before = range(max(0, places[0] - OVERLAP), places[0]) if places else ()
        return Answer(rows, before=[written(i) for i in before])

    def brackets(self, request: Request, house: str) -> Answer:
        if not request.headers.get("x-mbx-apikey"):
            raise Refused(401, {"code": -2014, "msg": "API-key format invalid."})
        coins = [coin for coin in self.listed() if segment(coin) == house]
        unit = "qty" if house == "inverse" else "notional"
        tables = [
            {"symbol": self.id_of(coin), "brackets": brackets_of(coin, unit)} for coin in coins
        ]
        return Answer([compact(table) for table in tables])

    # --- the small print

    def _asked(self, request: Request, house: str, name: str) -> Coin:
        found = request.query.get(name)
        if not found:
            text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
            raise Refused(400, {"code": -1102, "msg": text})
        if name == "pair" and house == "inverse":
            found += "_PERP"
        coin = self.coin(found)
        for other in self.hall.coins.values():  # a spot coin and a contract may share their name
            if self.id_of(other) == found and segment(other) == house and not other.gone:
                coin = other
        if coin is None or segment(coin) != house:
            raise Refused(400, {"code": -1121, "msg": "Invalid symbol."})
        return coin

    def _limit(self, request: Request, usual: int, most: int) -> int:
        return min(request.number("limit") or usual, most)

    def _window(self, start: int | None, end: int | None) -> tuple[int, int]:
        if end is None:
            end = self.hall.now if start is None else min(start + WINDOW, self.hall.now)
        start = end - WINDOW if start is None else start
        if end - start > WINDOW:
            raise Refused(
                400, {"code": -1127, "msg": "More than 200 days between startTime and endTime."}
            )
        return start, end


def writer(coin: Coin, kind: str, timeframe: str) -> Render:
    """How the rows of a series are written; a mark or index bar says "0" where volume stands."""
    span = Grid.of(timeframe).step - 1
    price = f'"%.{coin.digits if kind == "ohlcv" else coin.mark_digits}f"'
    four = ",".join([price] * 4)
    lots = f'"%.{coin.volume_digits}f"'
    if kind != "ohlcv":
        plain = f'[%d,{four},"0",%d,"0",60,"0","0","0"]'

        def marks(t: Any, o: Any, h: Any, low: Any, c: Any, v: Any) -> list[str]:
            return [plain % (x, *y, x + span) for x, *y in zip(t, o, h, low, c, strict=True)]

        return marks
    if coin.inverse:
        size = int(coin.contract_size or 100)
        row = f'[%d,{four},"%d",%d,{lots},40,"7","0.1","0"]'

        def contracts(t: Any, o: Any, h: Any, low: Any, c: Any, v: Any) -> list[str]:
            return [
                row % (x, *y, z * y[3] // size, x + span, z)
                for x, *y, z in zip(t, o, h, low, c, v, strict=True)
            ]

        return contracts
    line = f'[%d,{four},{lots},%d,"%.4f",40,{lots},"%.4f","0"]'

    def coins(t: Any, o: Any, h: Any, low: Any, c: Any, v: Any) -> list[str]:
        return [
            line % (x, *y, z, x + span, z * y[3], z / 2, z * y[3] / 2)
            for x, *y, z in zip(t, o, h, low, c, v, strict=True)
        ]

    return coins


def brackets_of(coin: Coin, unit: str) -> list[dict[str, Any]]:
    """The table of a coin as the venue words it, in notional or in coins."""
    told, amount, rate = [], 0.0, 0.0
    per = coin.price if unit == "qty" else 1.0
    for number, tier in enumerate(coin.tiers, 1):
        floor, cap = tier.floor / per, (tier.cap or LAST_CAP) / per
        amount, rate = amount + floor * (tier.rate - rate), tier.rate
        told.append(
            {
                "bracket": number,
                "initialLeverage": tier.leverage,
                f"{unit}Cap": cap,
                f"{unit}Floor": floor,
                "maintMarginRatio": tier.rate,
                "cum": round(amount, 8),
            }
        )
    return told
