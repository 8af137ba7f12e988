"""How each venue pages its history: measured facts, one entry a class, and cautious defaults.

The figures were measured against ccxt 4.5.90 or read in its source; a class that is not listed gets
small pages and the benefit of no doubt: an early stretch without bars is then never called a hole,
because many venues simply forget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bt_margin.market.kinds import BAR_KINDS, KINDS

HOUR = 3_600_000

# How the end of a span is said in a request for bars.
INCLUSIVE = "inclusive"  # until = the last millisecond of the span
EXCLUSIVE = "exclusive"  # until = the first millisecond after it
UNSAID = "unsaid"  # the class has no such parameter; the number of bars says it
ISO = "iso"  # dYdX: fromISO and toISO, which ccxt misspells

# How settlements are walked.
FORWARD = "forward"  # rising from `since`, as many as the page holds
SPANS = "spans"  # stretches so short that a page holds all of one, whichever end it is filled from
BACK_UNTIL = "back-until"  # the newest up to `until`
BACK_AFTER = "back-after"  # the newest before `after` (OKX)
BACK_ISO = "back-iso"  # the newest up to `effectiveBeforeOrAt` (dYdX)
WHOLE = "whole"  # the whole history in one answer

# How the venue counts the size of a tier.
QUOTE, SETTLE, CONTRACTS, FRACTIONS, HALF_OF_MAX = (
    "quote",
    "settle",
    "contracts",
    "fractions",
    "half",
)


@dataclass(frozen=True, slots=True)
class Habits:
    """What the walk has to know about one venue.

    page : most bars of one request, by kind
    limited_page : most bars of one request while the rate limit is kept (Binance weighs a page of
        499 so much less than one of 1,000 that it is a quarter faster)
    longest : most time one request for bars may span   [ms], by the key "inverse" or "linear"
    end : how the end of a span is said
    depth : bars the venue keeps per timeframe; None: all of them
    funding, funding_page : how settlements are walked, and how many come at once
    funding_kept : how long settlements are kept   [ms]; None: for ever
    funding_mark : the field of a settlement that holds the price it was made at (dYdX: its oracle
        price, which is its mark)
    tiers : how the sizes of tiers are counted, "" when there are none
    stepped : whether a tier's rate holds for the whole position (no maintenance amounts)
    missing : why a kind is not offered, in plain words, by kind
    with_key : kinds offered to the holder of an API key
    known : whether this venue was looked at; if not, early emptiness is no evidence
    """

    page: Mapping[str, int]
    limited_page: int | None = None
    longest: Mapping[str, int] = field(default_factory=dict)
    end: str = INCLUSIVE
    depth: int | None = None
    funding: str = FORWARD
    funding_page: int = 100
    funding_kept: int | None = None
    funding_mark: str = "markPrice"
    tiers: str = ""
    stepped: bool = False
    missing: Mapping[str, str] = field(default_factory=dict)
    with_key: frozenset[str] = frozenset()
    known: bool = True

    def width(self, kind: str, limited: bool) -> int:
        """How many bars one request may span.

        >>> TABLE["binanceusdm"].width("ohlcv", limited=True)
        499
        >>> TABLE["binanceusdm"].width("ohlcv", limited=False)
        1000
        """
        page = self.page.get(kind, self.page["ohlcv"])
        return min(page, self.limited_page) if limited and self.limited_page else page


def _key(name: str) -> dict[str, str]:
    return {"tiers": f"{name} gives its tiers only to the holder of an API key: put apiKey and "
            "secret into --exchange-options"}  # fmt: skip


def _binance(name: str, tiers: str) -> Habits:
    return Habits(
        page={"ohlcv": 1_000},
        limited_page=499,
        longest={"inverse": 200 * 24 * HOUR},
        funding=FORWARD,
        funding_page=1_000,
        tiers=tiers,
        missing=_key(name),
        with_key=frozenset({"tiers"}),
    )


_NO_MARK = {
    "mark": "{} has no history of mark prices",
    "index": "{} has no history of index prices",
}


def _without(name: str, **more: str) -> dict[str, str]:
    return {kind: text.format(name) for kind, text in (_NO_MARK | more).items()}


TABLE: Mapping[str, Habits] = {
    "binanceusdm": _binance("binanceusdm", QUOTE),
    "binancecoinm": _binance("binancecoinm", SETTLE),
    "binance": _binance("binance", QUOTE),
    "bybit": Habits(
        page={"ohlcv": 1_000}, funding=BACK_UNTIL, funding_page=200, tiers=SETTLE
    ),
    "okx": Habits(
        page={"ohlcv": 300, "mark": 100, "index": 100},
        end=EXCLUSIVE,
        funding=BACK_AFTER,
        funding_page=100,
        funding_kept=90 * 24 * HOUR,
        tiers=CONTRACTS,
        stepped=True,
    ),
    "kraken": Habits(
        page={"ohlcv": 720},
        end=UNSAID,
        depth=720,
        missing=_without(
            "kraken",
            funding="kraken trades spot on margin: there is no funding; take krakenfutures",
            tiers="kraken publishes no tiers over ccxt; take krakenfutures",
        ),
    ),
    "krakenfutures": Habits(
        page={"ohlcv": 2_000}, end=UNSAID, funding=WHOLE, tiers=CONTRACTS
    ),
    "dydx": Habits(
        page={"ohlcv": 1_000},
        end=ISO,
        funding=BACK_ISO,
        funding_page=1_000,
        funding_mark="price",
        tiers=FRACTIONS,
        missing=_without("dydx"),
    ),
    "hyperliquid": Habits(
        page={"ohlcv": 5_000},
        depth=5_000,
        funding=FORWARD,
        funding_page=500,
        tiers=HALF_OF_MAX,
        missing=_without("hyperliquid"),
    ),
}  # fmt: skip

_METHODS = {
    "ohlcv": ("fetchOHLCV",),
    "mark": ("fetchMarkOHLCV",),
    "index": ("fetchIndexOHLCV",),
    "funding": ("fetchFundingRateHistory",),
    "tiers": ("fetchMarketLeverageTiers", "fetchLeverageTiers"),
}


def habits_of(name: str, exchange: Any) -> Habits:
    """The habits of a class: the table's, or cautious ones from what the class says it has.

    exchange : the instance of the ccxt class
    """
    if name in TABLE:
        return TABLE[name]
    missing = {
        kind: f"ccxt's class {name} does not offer {kind}"
        for kind in KINDS
        if not any(exchange.has.get(method) for method in _METHODS[kind])
    }
    return Habits(
        page={kind: min(100, _stated(exchange, "limit", 100)) for kind in BAR_KINDS},
        end=INCLUSIVE if _stated(exchange, "until", 0) else UNSAID,
        funding=SPANS,
        funding_page=100,
        tiers=QUOTE,
        missing=missing,
        known=False,
    )


def _stated(exchange: Any, name: str, default: int) -> int:
    """The smallest value the class's `features` state for bars, over all its kinds of markets."""
    found = []
    for market in (getattr(exchange, "features", None) or {}).values():
        for part in (market, *market.values()) if isinstance(market, Mapping) else ():
            bars = part.get("fetchOHLCV") if isinstance(part, Mapping) else None
            value = bars.get(name) if isinstance(bars, Mapping) else None
            if value is not None:
                found.append(int(value))
    return min(found, default=default)
