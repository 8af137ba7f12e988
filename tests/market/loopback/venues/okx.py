"""OKX: spot, USDT-margined and coin-margined swaps.

    candles    falling; `before` = newer than, `after` = older than, both exclusive; of what lies between,
               the newest. Default 100, at most 300 (mark and index 100). The endpoint of recent candles
               knows 1,440 bars, the one of history has no unfinished bar
    funding    falling, the same parameters, at most 400; the last three months only
    tiers      per family, in contracts, endless steps end with a number

An error comes with status 200 and a code. Source: okx.com/docs-v5 and what ccxt asks for. Not checked
against the venue: how long settlements are kept, and that a tier begins one lot above the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from market.loopback.faults import Answer, Fault
from market.loopback.hall import Render
from market.loopback.history import DAY, Coin
from market.loopback.venue import Refused, Route, Venue, compact
from market.loopback.wire import Reply, Request

from bt_margin.market.kinds import Grid

BARS = {b: b.lower() for b in ["1m", "3m", "5m", "15m", "30m", "1H", "2H", "4H"]}
BARS |= {f"{b}utc": b.lower() for b in ["6H", "12H", "1D", "2D", "3D", "1W"]}
RECENT = 1_440
KEPT = 92 * DAY
KINDS = {"": "ohlcv", "mark-price-": "mark", "index-": "index"}
OK = '{"code":"0","msg":"","data":['


class Okx(Venue):
    """OKX, whose every page is the newest one between two bounds."""

    names = ("okx",)

    def urls(self, base: str) -> Mapping[str, Any]:
        return {"rest": base}

    def id_of(self, coin: Coin) -> str:
        return f"{coin.base}-{coin.quote}" + ("" if coin.spot else "-SWAP")

    def oldest(self, kind: str, timeframe: str) -> int:
        return self.hall.now - KEPT if kind == "funding" else 0

    def writer(self, coin: Coin, kind: str, timeframe: str) -> Render:
        return writer(coin, kind)

    def table(self) -> dict[str, Route]:
        routes: dict[str, Route] = {
            "/api/v5/public/instruments": self.instruments,
            "/api/v5/public/funding-rate-history": self.funding,
            "/api/v5/public/position-tiers": self.tiers,
            "/api/v5/public/time": self.time,
        }
        for prefix, kind in KINDS.items():
            routes[f"/api/v5/market/{prefix}candles"] = self._candles(kind, False)
            routes[f"/api/v5/market/history-{prefix}candles"] = self._candles(kind, True)
        return routes

    def words(self, fault: Fault) -> Reply:
        code, status, text = {
            "429": ("50011", 429, "Too Many Requests"),
            "503": ("50001", 503, "Service temporarily unavailable. Please try again later."),
            "500": ("50026", 500, "System error. Please try again later."),
            "maintenance": (
                "50001",
                200,
                "Service temporarily unavailable. Please try again later.",
            ),
            "busy": ("50013", 200, "Systems are busy. Please try again later."),
            "no symbol": ("51001", 200, "Instrument ID doesn't exist."),
        }.get(fault.name, ("", 0, ""))
        return self.said(fault, status, {"msg": text, "code": code, "data": []})

    # --- routes

    def time(self, request: Request) -> Answer:
        return Answer([compact({"ts": str(self.hall.now)})], OK, "]}")

    def instruments(self, request: Request) -> Answer:
        kind = request.query.get("instType")
        coins = [c for c in self.listed() if c.active and ("SPOT" if c.spot else "SWAP") == kind]
        return Answer([compact(self.market(coin)) for coin in coins], OK, "]}")

    def market(self, coin: Coin) -> dict[str, str]:
        lot = f"{10**-coin.volume_digits:.{coin.volume_digits}f}"
        told = {
            "instId": self.id_of(coin),
            "instType": "SPOT" if coin.spot else "SWAP",
            "baseCcy": coin.base if coin.spot else "",
            "quoteCcy": coin.quote if coin.spot else "",
            "tickSz": f"{10**-coin.digits:.{coin.digits}f}",
            "lotSz": lot if coin.spot else "0.01",
            "minSz": lot if coin.spot else "0.01",
            "maxLmtSz": "100000000",
            "maxMktSz": "12000",
            "lever": "10" if coin.spot else "100",
            "listTime": str(coin.listed),
            "state": "live",
            "expTime": "",
        }
        if not coin.spot:
            pair = f"{coin.base}-{coin.quote}"
            told |= {"uly": pair, "instFamily": pair, "settleCcy": coin.settle or coin.quote}
            told |= {"ctVal": str(face(coin)), "ctMult": "1"}
            told |= {"ctValCcy": "USD" if coin.inverse else coin.base}
            told |= {"ctType": "inverse" if coin.inverse else "linear"}
        return told

    def _candles(self, kind: str, history: bool) -> Route:
        return lambda request: self.candles(request, kind, history)

    def candles(self, request: Request, kind: str, history: bool) -> Answer:
        coin = self._asked(request, index=kind == "index")
        bar = request.query.get("bar", "1m")
        if bar not in BARS:
            raise Refused(200, {"code": "51000", "msg": "Parameter bar error", "data": []})
        before, after = request.number("before"), request.number("after")
        step = Grid.of(BARS[bar]).step
        start = 0 if before is None else before + 1
        if history:
            done = self.hall.now - step + 1
            after = done if after is None else min(after, done)
        else:
            start = max(start, self.hall.now - RECENT * step)
        most = 300 if kind == "ohlcv" else 100
        cut = self.hall.cut(
            (coin.symbol, kind, BARS[bar]),
            self.writer(coin, kind, BARS[bar]),
            start=start,
            stop=after,
            limit=min(request.number("limit") or 100, most),
            newest=True,
        )
        return Answer(cut.rows[::-1], OK, "]}", before=cut.before[::-1], newest_first=True)

    def funding(self, request: Request) -> Answer:
        coin = self._asked(request)
        before, after = request.number("before"), request.number("after")
        settled, name = self.hall.settled(coin.symbol), self.id_of(coin)
        start = max(0 if before is None else before + 1, self.hall.now - KEPT)
        limit = min(request.number("limit") or 100, 400)
        places = self.hall.settlements_between(coin.symbol, start, after, limit, newest=True)

        def written(i: int) -> str:
            rate = f"{settled.rates[i] / 1e12:.16f}"
            return (
                f'{{"formulaType":"noRate","fundingRate":"{settled.rates[i] / 1e12 + 1e-9:.16f}",'
                f'"fundingTime":"{settled.times[i]}","instId":"{name}","instType":"SWAP",'
                f'"method":"current_period","realizedRate":"{rate}"}}'
            )

        return self.newest_first(places, written, OK, "]}")

    def tiers(self, request: Request) -> Answer:
        family = request.query.get("instFamily") or request.query.get("instId")
        coins = [c for c in self.listed() if f"{c.base}-{c.quote}" == family and not c.spot]
        if not coins:
            raise Refused(200, {"code": "51000", "msg": "Parameter instFamily error", "data": []})
        return Answer([compact(row) for row in tiers_of(coins[0])], OK, "]}")

    def _asked(self, request: Request, *, index: bool = False) -> Coin:
        found = request.query.get("instId", "")
        coins = [
            c for c in self.hall.coins.values() if f"{c.base}-{c.quote}" == found and not c.gone
        ]
        coin = (coins[0] if coins else None) if index else self.coin(found)
        if coin is None:
            text = "Instrument ID, Instrument ID code, or Spread ID doesn't exist."
            raise Refused(200, {"code": "51001", "msg": text, "data": []})
        return coin


def face(coin: Coin) -> float:
    """What one contract is worth: coins (linear) or dollars (inverse)."""
    return coin.contract_size or (100 if coin.inverse else 0.01)


def writer(coin: Coin, kind: str) -> Render:
    """How candles are written: contracts, coins and quote traded, and whether the bar is over."""
    price = f'"%.{coin.digits if kind == "ohlcv" else coin.mark_digits}f"'
    four = ",".join([price] * 4)
    if kind != "ohlcv":
        plain = f'["%d",{four},"1"]'

        def marks(t: Any, o: Any, h: Any, low: Any, c: Any, v: Any) -> list[str]:
            return [plain % row for row in zip(t, o, h, low, c, strict=True)]

        return marks
    lots = f'"%.{coin.volume_digits}f"'
    line = f'["%d",{four},"%.2f",{lots},"%.4f","1"]'
    if coin.spot:
        line = f'["%d",{four},{lots},"%.4f","%.4f","1"]'

    def sizes(v: float, c: float) -> tuple[float, float, float]:
        if coin.spot:
            return v, v * c, v * c
        return (v * c if coin.inverse else v) / face(coin), v, v * c

    def candles(t: Any, o: Any, h: Any, low: Any, c: Any, v: Any) -> list[str]:
        return [
            line % (x, *y, *sizes(z, y[3])) for x, *y, z in zip(t, o, h, low, c, v, strict=True)
        ]

    return candles


def tiers_of(coin: Coin) -> list[dict[str, str]]:
    """The table of a family in contracts; a step begins one lot above the end of the last."""
    worth = face(coin) if coin.inverse else face(coin) * coin.price
    told = []
    for number, tier in enumerate(coin.tiers, 1):
        floor = tier.floor / worth + (0.01 if tier.floor else 0)
        cap = (tier.cap or 1_800_000_000) / worth
        told.append(
            {
                "baseMaxLoan": "",
                "imr": f"{1 / tier.leverage:.4f}",
                "instFamily": f"{coin.base}-{coin.quote}",
                "instId": "",
                "maxLever": f"{tier.leverage:g}",
                "maxSz": f"{cap:.2f}",
                "minSz": f"{floor:.2f}",
                "mmr": f"{tier.rate:.4f}",
                "tier": str(number),
                "uly": f"{coin.base}-{coin.quote}",
            }
        )
    return told
