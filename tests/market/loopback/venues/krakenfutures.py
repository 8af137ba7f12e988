"""Kraken Futures: multi-collateral (PF) and inverse (PI) perpetuals.

    charts     rising, `from` and `to` in seconds, both inclusive; at most 2,000, and `more_candles` says
               whether that cut it; mark and index bars have a volume of zero
    funding    everything at once, rising; the relative rate and the absolute one
    levels     begin where they say, in quote (PF) or contracts (PI); the last one is endless

Source: docs.kraken.com, the charts and instruments of futures. Not checked against the venue: the words
for an unknown contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from market.loopback.faults import Answer, Fault
from market.loopback.hall import Render
from market.loopback.history import Coin
from market.loopback.venue import Refused, Route, Venue, compact, iso
from market.loopback.wire import Reply, Request

from bt_margin.market.kinds import Grid

MOST = 2_000
KINDS = {"trade": "ohlcv", "mark": "mark", "spot": "index"}
TIMEFRAMES = ["1m", "5m", "15m", "30m", "1h", "4h", "12h", "1d", "1w"]


class KrakenFutures(Venue):
    """Kraken Futures, which knows seconds and no upper bound but `to`."""

    names = ("krakenfutures",)
    hours = 1
    jitter = 0
    mark_volume = True

    def urls(self, base: str) -> Mapping[str, Any]:
        return {
            "charts": f"{base}/api/charts/",
            "history": f"{base}/api/history/",
            "feeschedules": f"{base}/api/feeschedules/",
            "public": f"{base}/derivatives/api/",
            "private": f"{base}/derivatives/api/",
        }

    def id_of(self, coin: Coin) -> str:
        base = "XBT" if coin.base == "BTC" else coin.base
        return f"{'PI' if coin.inverse else 'PF'}_{base}{coin.quote}"

    def trades(self, coin: Coin) -> bool:
        return not coin.spot

    def writer(self, coin: Coin, kind: str, timeframe: str) -> Render:
        return writer(coin, kind)

    def table(self) -> dict[str, Route]:
        routes: dict[str, Route] = {
            "/derivatives/api/v3/instruments": self.instruments,
            "/derivatives/api/v3/historicalfundingrates": self.funding,
            "/derivatives/api/v4/historicalfundingrates": self.funding,
        }
        return routes | {f"/api/charts/v1/{name}": self.charts for name in KINDS}

    def words(self, fault: Fault) -> Reply:
        name = {"429": "apiLimitExceeded", "503": "Unavailable", "500": "Server Error"}.get(
            fault.name
        )
        body = {"result": "error", "error": name, "serverTime": iso(self.hall.now)}
        return self.said(fault, int(fault.name) if name else 0, body)

    # --- routes

    def instruments(self, request: Request) -> Answer:
        coins = [coin for coin in self.listed() if coin.active]
        tail = f'],"serverTime":"{iso(self.hall.now)}"}}'
        rows = [compact(self.market(coin)) for coin in coins]
        return Answer(rows, '{"result":"success","instruments":[', tail)

    def market(self, coin: Coin) -> dict[str, Any]:
        unit = "contracts" if coin.inverse else "numNonContractUnits"
        levels = [
            {
                unit: int(tier.floor),
                "initialMargin": 1 / tier.leverage,
                "maintenanceMargin": tier.rate,
            }
            for tier in coin.tiers
        ]
        return {
            "symbol": self.id_of(coin),
            "type": "futures_inverse" if coin.inverse else "flexible_futures",
            "pair": f"{coin.base}:{coin.quote}",
            "base": coin.base,
            "quote": coin.quote,
            "tickSize": float(f"1e-{coin.digits}"),
            "contractSize": 1,
            "tradeable": True,
            "openingDate": iso(coin.listed),
            "contractValueTradePrecision": 0 if coin.inverse else coin.volume_digits,
            "impactMidSize": 1,
            "maxPositionSize": 1_000_000,
            "fundingRateCoefficient": 8 if coin.inverse else 1,
            "marginLevels": levels,
        }

    def charts(self, request: Request) -> Answer:
        *_, price, found, timeframe = request.path.split("/")
        coin = self.coin(found)
        if coin is None or timeframe not in TIMEFRAMES:
            raise self._unknown()
        start, end = request.number("from"), request.number("to")
        start = None if start is None else start * 1000
        stop = None if end is None else end * 1000 + 1
        series = (coin.symbol, KINDS[price], timeframe)
        cut = self.hall.cut(
            series, self.writer(coin, KINDS[price], timeframe), start=start, stop=stop, limit=MOST
        )
        step = Grid.of(timeframe).step
        wanted = 0 if None in (start, stop) else ((stop or 0) - (start or 0)) // step
        more = len(cut.rows) == MOST and wanted > MOST
        tail = f'],"more_candles":{str(more).lower()}}}'
        return Answer(cut.rows, '{"candles":[', tail, before=cut.before)

    def funding(self, request: Request) -> Answer:
        coin = self.coin(request.query.get("symbol"))
        if coin is None:
            raise self._unknown()
        settled = self.hall.settled(coin.symbol)
        rows = []
        for i in self.hall.settlements_between(coin.symbol, 0, None, 10**9):
            rate, price = settled.rates[i] / 1e12, settled.marks[i] / 1e8
            absolute = rate / price if coin.inverse else rate * price
            rows.append(
                f'{{"timestamp":"{iso(settled.times[i])}","fundingRate":{absolute!r},'
                f'"relativeFundingRate":{rate!r}}}'
            )
        tail = f'],"serverTime":"{iso(self.hall.now)}"}}'
        return Answer(rows, '{"result":"success","rates":[', tail)

    def _unknown(self) -> Refused:
        error = {"code": 87, "message": "Contract does not exist"}
        body = {"status": "NOT_FOUND", "result": "error", "errors": [error]}
        return Refused(404, {**body, "serverTime": iso(self.hall.now)})


def writer(coin: Coin, kind: str) -> Render:
    """How candles are written: long decimals, and a volume always."""
    price = f'"%.{max(11, coin.digits if kind == "ohlcv" else coin.mark_digits)}f"'
    four = f'"open":{price},"high":{price},"low":{price},"close":{price}'
    volume = f',"volume":"%.{max(8, coin.volume_digits)}f"'
    line = f'{{"time":%d,{four}{volume}}}'

    def candles(t: Any, *columns: Any) -> list[str]:
        return [line % row for row in zip(t, *columns, strict=True)]

    return candles
