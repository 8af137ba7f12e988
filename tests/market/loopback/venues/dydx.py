"""dYdX v4, its indexer.

    candles    falling; `fromISO` inclusive, `toISO` exclusive, other spellings are not read; at most 1,000
    funding    falling, `effectiveBeforeOrAt` inclusive; stamps up to a second or so after the hour

Margin fractions stand among the markets. Source: the controllers of the indexer, dydxprotocol/v4-chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from market.loopback.faults import Answer, Fault
from market.loopback.hall import Render
from market.loopback.history import Coin, ms
from market.loopback.venue import Refused, Route, Venue, compact, iso
from market.loopback.wire import Reply, Request

MOST = 1_000
RESOLUTIONS = {
    "1MIN": "1m",
    "5MINS": "5m",
    "15MINS": "15m",
    "30MINS": "30m",
    "1HOUR": "1h",
    "4HOURS": "4h",
    "1DAY": "1d",
}
LENGTHS = {timeframe: name for name, timeframe in RESOLUTIONS.items()}
CANDLES = "/v4/candles/perpetualMarkets"
FUNDING = "/v4/historicalFunding"


class Dydx(Venue):
    """The indexer of dYdX, newest first and particular about names."""

    names = ("dydx",)
    hours = 1
    jitter = 1_100
    marks_settlements = True

    def urls(self, base: str) -> Mapping[str, Any]:
        return {"indexer": f"{base}/v4", "nodeRpc": base, "nodeRest": base}

    def id_of(self, coin: Coin) -> str:
        return f"{coin.base}-USD"

    def trades(self, coin: Coin) -> bool:
        return not coin.spot and not coin.inverse

    def writer(self, coin: Coin, kind: str, timeframe: str) -> Render:
        return writer(coin, self.id_of(coin), LENGTHS[timeframe])

    def table(self) -> dict[str, Route]:
        return {
            "/v4/perpetualMarkets": self.markets,
            "/v4/time": self.time,
            CANDLES: self.candles,
            FUNDING: self.funding,
        }

    def words(self, fault: Fault) -> Reply:
        text = {
            "429": "Too many requests",
            "500": "Internal Server Error",
            "403": "Because you appear to be a resident of, or trading from, a jurisdiction that"
            " violates our terms of use, you cannot use the service.",
        }.get(fault.name)
        error = {"msg": text, "code": "GEOBLOCKED"} if fault.name == "403" else {"msg": text}
        return self.said(fault, int(fault.name) if text else 0, {"errors": [error]})

    # --- routes

    def time(self, request: Request) -> Answer:
        return Answer(
            head=f'{{"iso":"{iso(self.hall.now)}","epoch":{self.hall.now / 1000:.3f}}}', tail=""
        )

    def markets(self, request: Request) -> Answer:
        return Answer(
            head=compact({"markets": {self.id_of(c): self.market(c) for c in self.listed()}}),
            tail="",
        )

    def market(self, coin: Coin) -> dict[str, Any]:
        first = coin.tiers[0]
        return {
            "clobPairId": "0",
            "ticker": self.id_of(coin),
            "status": "ACTIVE" if coin.active else "FINAL_SETTLEMENT",
            "oraclePrice": f"{coin.price:.{coin.digits}f}",
            "initialMarginFraction": f"{1 / first.leverage:g}",
            "maintenanceMarginFraction": f"{first.rate:g}",
            "openInterest": "1000",
            "openInterestLowerCap": "0",
            "openInterestUpperCap": "0",
            "atomicResolution": -10,
            "quantumConversionExponent": -9,
            "tickSize": f"{10**-coin.digits:.{coin.digits}f}",
            "stepSize": f"{10**-coin.volume_digits:.{coin.volume_digits}f}",
            "stepBaseQuantums": 1_000_000,
            "subticksPerTick": 100_000,
            "marketType": "CROSS",
        }

    def candles(self, request: Request) -> Answer:
        coin = self._asked(request)
        resolution = request.query.get("resolution", "")
        if resolution not in RESOLUTIONS:
            raise refused("resolution", resolution, "resolution must be a valid Candle Resolution")
        start, stop = when(request, "fromISO"), when(request, "toISO")
        cut = self.hall.cut(
            (coin.symbol, "ohlcv", RESOLUTIONS[resolution]),
            self.writer(coin, "ohlcv", RESOLUTIONS[resolution]),
            start=start,
            stop=stop,
            limit=limit_of(request),
            newest=True,
        )
        rows, before = cut.rows[::-1], cut.before[::-1]
        return Answer(rows, '{"candles":[', "]}", before=before, newest_first=True)

    def funding(self, request: Request) -> Answer:
        coin = self._asked(request)
        end = when(request, "effectiveBeforeOrAt")
        settled, name = self.hall.settled(coin.symbol), self.id_of(coin)
        stop = None if end is None else end + 1
        places = self.hall.settlements_between(coin.symbol, 0, stop, limit_of(request), newest=True)

        def written(i: int) -> str:
            return (
                f'{{"ticker":"{name}","rate":"{settled.rates[i] / 1e12:.10f}",'
                f'"price":"{settled.marks[i] / 1e8:.8f}","effectiveAt":"{iso(settled.times[i])}",'
                f'"effectiveAtHeight":"{i + 1}"}}'
            )

        return self.newest_first(places, written, '{"historicalFunding":[', "]}")

    def _asked(self, request: Request) -> Coin:
        found = request.path.rsplit("/", 1)[1]
        coin = self.coin(found)
        if coin is None:
            raise refused("ticker", found, "ticker must be a valid ticker (BTC-USD, etc)")
        return coin


def refused(name: str, value: str, text: str) -> Refused:
    """A parameter the indexer does not accept, in its words."""
    error = {"value": value, "msg": text, "param": name, "location": "params"}
    return Refused(400, {"errors": [error]})


def limit_of(request: Request) -> int:
    """How many rows were asked for."""
    limit = request.number("limit")
    if limit is not None and not 0 < limit <= MOST:
        text = f"limit must be a positive integer that is not greater than max: {MOST}"
        raise refused("limit", str(limit), text)
    return limit or MOST


def when(request: Request, name: str) -> int | None:
    """A time parameter in ms."""
    found = request.query.get(name)
    return None if found is None else ms(found.removesuffix("Z"))


def writer(coin: Coin, name: str, resolution: str) -> Render:
    """How candles are written."""
    price, lots = f'"%.{coin.digits}f"', f'"%.{coin.volume_digits}f"'
    line = (
        f'{{"startedAt":"%s","ticker":"{name}","resolution":"{resolution}","low":{price},'
        f'"high":{price},"open":{price},"close":{price},"baseTokenVolume":{lots},'
        f'"usdVolume":"%.4f","trades":40,"startingOpenInterest":"1000"}}'
    )

    def candles(t: Any, o: Any, h: Any, low: Any, c: Any, v: Any) -> list[str]:
        return [
            line % (iso(x), least, high, first, last, z, z * last)
            for x, first, high, least, last, z in zip(t, o, h, low, c, v, strict=True)
        ]

    return candles
