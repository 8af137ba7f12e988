"""Kraken spot: pairs and candles, of which only the newest 720 exist.

    OHLC       rising, `since` in seconds and exclusive; whatever it says, the newest 720 bars at most

Errors come with status 200 and a list of names. Source: docs.kraken.com, market data of spot.
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

KEPT = 720
OLD_NAMES = {"BTC": "XXBT", "ETH": "XETH", "USD": "ZUSD", "EUR": "ZEUR"}
MINUTES = {1: "1m", 5: "5m", 15: "15m", 30: "30m", 60: "1h", 240: "4h", 1440: "1d", 10080: "1w"}


def old(code: str) -> str:
    """The name of a coin in Kraken's books."""
    return OLD_NAMES.get(code, code)


def alternative(code: str) -> str:
    """The name people write."""
    return "XBT" if code == "BTC" else code


class Kraken(Venue):
    """Kraken spot, whose history is short."""

    names = ("kraken",)

    def urls(self, base: str) -> Mapping[str, Any]:
        return {"public": base, "private": base, "zendesk": base}

    def id_of(self, coin: Coin) -> str:
        return f"{old(coin.base)}{old(coin.quote)}"

    def oldest(self, kind: str, timeframe: str) -> int:
        grid = Grid.of(timeframe)
        return grid.floor(self.hall.now) - (KEPT - 1) * grid.step

    def trades(self, coin: Coin) -> bool:
        return coin.spot

    def writer(self, coin: Coin, kind: str, timeframe: str) -> Render:
        return writer(coin)

    def table(self) -> dict[str, Route]:
        return {
            "/0/public/AssetPairs": self.pairs,
            "/0/public/Assets": self.assets,
            "/0/public/OHLC": self.candles,
            "/0/public/Time": self.time,
        }

    def words(self, fault: Fault) -> Reply:
        name = {
            "429": "EAPI:Rate limit exceeded",
            "lockout": "EGeneral:Temporary lockout",
            "503": "EService:Unavailable",
            "no symbol": "EQuery:Unknown asset pair",
        }.get(fault.name)
        return self.said(fault, 200 if name else 0, {"error": [name]})

    # --- routes

    def _result(self, value: Any) -> Answer:
        return Answer([compact(value)], '{"error":[],"result":', "}")

    def time(self, request: Request) -> Answer:
        return self._result({"unixtime": self.hall.now // 1000})

    def assets(self, request: Request) -> Answer:
        codes = {code for coin in self.listed() for code in (coin.base, coin.quote)}
        told = {"aclass": "currency", "decimals": 10, "display_decimals": 5, "status": "enabled"}
        return self._result({old(c): {**told, "altname": alternative(c)} for c in sorted(codes)})

    def pairs(self, request: Request) -> Answer:
        return self._result({self.id_of(c): self.market(c) for c in self.listed()})

    def market(self, coin: Coin) -> dict[str, Any]:
        return {
            "altname": f"{alternative(coin.base)}{alternative(coin.quote)}",
            "wsname": f"{alternative(coin.base)}/{alternative(coin.quote)}",
            "base": old(coin.base),
            "quote": old(coin.quote),
            "pair_decimals": coin.digits,
            "lot_decimals": coin.volume_digits,
            "leverage_buy": [2, 3, 4, 5],
            "leverage_sell": [2, 3, 4, 5],
            "fees": [[0, 0.4], [10_000, 0.35]],
            "fees_maker": [[0, 0.25], [10_000, 0.2]],
            "ordermin": "0.0001",
            "costmin": "0.5",
            "tick_size": f"{10**-coin.digits:.{coin.digits}f}",
            "status": "online" if coin.active else "cancel_only",
        }

    def candles(self, request: Request) -> Answer:
        coin = self.coin(request.query.get("pair"))
        if coin is None:
            raise Refused(200, {"error": ["EQuery:Unknown asset pair"]})
        timeframe = MINUTES.get(request.number("interval") or 1)
        if timeframe is None:
            raise Refused(200, {"error": ["EGeneral:Invalid arguments"]})
        since = request.number("since")
        start = self.oldest("ohlcv", timeframe)
        start = start if since is None else max(start, since * 1000 + 1)
        cut = self.hall.cut(
            (coin.symbol, "ohlcv", timeframe),
            self.writer(coin, "ohlcv", timeframe),
            start=start,
            limit=KEPT,
        )
        head = f'{{"error":[],"result":{{"{self.id_of(coin)}":['
        last = Grid.of(timeframe).floor(self.hall.now) // 1000 - Grid.of(timeframe).step // 1000
        return Answer(cut.rows, head, f'],"last":{last}}}}}', before=cut.before)


def writer(coin: Coin) -> Render:
    """How candles are written: seconds, a mean price, and the count of trades."""
    price, lots = f'"%.{coin.digits}f"', f'"%.{coin.volume_digits}f"'
    line = f"[%d,{','.join([price] * 5)},{lots},40]"

    def candles(t: Any, o: Any, h: Any, low: Any, c: Any, v: Any) -> list[str]:
        return [
            line % (x // 1000, *y, y[3], z) for x, *y, z in zip(t, o, h, low, c, v, strict=True)
        ]

    return candles
