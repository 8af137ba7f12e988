"""Hyperliquid: one path, a type in the body.

    candleSnapshot  rising, startTime and endTime inclusive; only the newest 5,000 bars of an interval exist
    fundingHistory  rising from startTime, at most 500; hourly, some ms after

Source: hyperliquid.gitbook.io, info endpoint. Not checked against the venue: the words for an unknown
coin.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from market.loopback.faults import Answer, Fault
from market.loopback.hall import OVERLAP, Render
from market.loopback.history import Coin
from market.loopback.venue import Refused, Route, Venue, compact
from market.loopback.wire import Reply, Request

from bt_margin.market.kinds import Grid

KEPT = 5_000
FUNDING_PAGE = 500
INTERVALS = ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d", "3d", "1w"]
USDC = {
    "name": "USDC",
    "szDecimals": 8,
    "weiDecimals": 8,
    "index": 0,
    "tokenId": "0x6d1e7cde53ba9467b783cb7c530ce054",
    "isCanonical": True,
}


class Hyperliquid(Venue):
    """Hyperliquid, which forgets all but the newest bars."""

    names = ("hyperliquid",)
    hours = 1
    jitter = 60

    def urls(self, base: str) -> Mapping[str, Any]:
        return {"public": base, "private": base}

    def id_of(self, coin: Coin) -> str:
        return coin.base

    def oldest(self, kind: str, timeframe: str) -> int:
        if kind == "funding":
            return 0
        grid = Grid.of(timeframe)
        return grid.floor(self.hall.now) - (KEPT - 1) * grid.step

    def trades(self, coin: Coin) -> bool:
        return not coin.spot and not coin.inverse

    def writer(self, coin: Coin, kind: str, timeframe: str) -> Render:
        return writer(coin, timeframe)

    def table(self) -> dict[str, Route]:
        return {
            "/info metaAndAssetCtxs": self.markets,
            "/info spotMetaAndAssetCtxs": self.spot_markets,
            "/info spotMeta": self.tokens,
            "/info perpDexs": self.builders,
            "/info candleSnapshot": self.candles,
            "/info fundingHistory": self.funding,
            "/info exchangeStatus": self.status,
        }

    def route_of(self, request: Request) -> str:
        asked = json.loads(request.body) if request.body else {}
        return f"{request.path} {asked.get('type', '')}"

    def words(self, fault: Fault) -> Reply:
        known = fault.name in ("429", "500")
        return self.said(fault, int(fault.name) if known else 0, None)

    # --- routes

    def status(self, request: Request) -> Answer:
        return Answer(head=compact({"specialStatuses": None, "time": self.hall.now}), tail="")

    def builders(self, request: Request) -> Answer:
        return Answer(["null"])

    def tokens(self, request: Request) -> Answer:
        return Answer(head=compact({"tokens": [USDC], "universe": []}), tail="")

    def spot_markets(self, request: Request) -> Answer:
        return Answer(head=compact([{"tokens": [USDC], "universe": []}, []]), tail="")

    def markets(self, request: Request) -> Answer:
        coins = self.listed()
        universe = [
            {
                "szDecimals": coin.volume_digits,
                "name": coin.base,
                "maxLeverage": int(coin.tiers[0].leverage),
                "marginTableId": 56,
            }
            | ({} if coin.active else {"isDelisted": True})
            for coin in coins
        ]
        prices = [
            {
                "funding": "0.0000125",
                "openInterest": "688.11",
                "prevDayPx": f"{coin.price:.1f}",
                "dayNtlVlm": "1169046.29",
                "premium": "0.0003",
                "oraclePx": f"{coin.price:.1f}",
                "markPx": f"{coin.price:.1f}",
                "midPx": f"{coin.price:.1f}",
                "impactPxs": [f"{coin.price:.1f}", f"{coin.price:.1f}"],
            }
            for coin in coins
        ]
        return Answer(head=compact([{"universe": universe}, prices]), tail="")

    def candles(self, request: Request) -> Answer:
        asked = json.loads(request.body)["req"]
        coin = self._known(asked.get("coin"))
        if asked["interval"] not in INTERVALS:
            raise Refused(422, "Failed to deserialize the JSON body into the target type")
        timeframe = asked["interval"]
        cut = self.hall.cut(
            (coin.symbol, "ohlcv", timeframe),
            self.writer(coin, "ohlcv", timeframe),
            start=max(asked["startTime"], self.oldest("ohlcv", timeframe)),
            stop=None if asked.get("endTime") is None else asked["endTime"] + 1,
            limit=KEPT,
        )
        return Answer(cut.rows, before=cut.before)

    def funding(self, request: Request) -> Answer:
        asked = json.loads(request.body)
        coin = self._known(asked.get("coin"))
        settled, end = self.hall.settled(coin.symbol), asked.get("endTime")
        stop = None if end is None else end + 1
        places = self.hall.settlements_between(coin.symbol, asked["startTime"], stop, FUNDING_PAGE)

        def written(i: int) -> str:
            rate = f"{settled.rates[i] / 1e12:.10f}"
            return (
                f'{{"coin":"{coin.base}","fundingRate":"{rate}","premium":"0.0003",'
                f'"time":{settled.times[i]}}}'
            )

        older = range(max(0, places[0] - OVERLAP), places[0]) if places else range(0)
        return Answer([written(i) for i in places], before=[written(i) for i in older])

    def _known(self, name: str | None) -> Coin:
        coin = self.coin(name)
        if coin is None:
            raise Refused(500, "null")
        return coin


def writer(coin: Coin, timeframe: str) -> Render:
    """How candles are written."""
    span = Grid.of(timeframe).step - 1
    price, lots = f'"%.{coin.digits}f"', f'"%.{coin.volume_digits}f"'
    line = (
        f'{{"t":%d,"T":%d,"s":"{coin.base}","i":"{timeframe}","o":{price},"c":{price},'
        f'"h":{price},"l":{price},"v":{lots},"n":40}}'
    )

    def candles(t: Any, o: Any, h: Any, low: Any, c: Any, v: Any) -> list[str]:
        return [
            line % (x, x + span, first, last, high, least, z)
            for x, first, high, least, last, z in zip(t, o, h, low, c, v, strict=True)
        ]

    return candles
