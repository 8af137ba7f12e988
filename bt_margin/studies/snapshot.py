"""Positions as an exchange shows them: ccxt's unified position structures, read from a file.

What a snapshot leaves out stays out (``None``); what can be read off its own numbers without a rule of a
venue (signs, the money an isolated position has without its unrealised profit) is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bt_margin.errors import InputError, message
from bt_margin.studies.conformance.reading import read_json

__all__ = ["SHOWN", "Snapshot", "positions_of", "read_positions", "venue_of"]

#: What is compared -> ccxt's name of it.
SHOWN = {
    "notional": "notional",
    "unrealised": "unrealizedPnl",
    "initial_margin": "initialMargin",
    "maintenance_margin": "maintenanceMargin",
    "liquidation_price": "liquidationPrice",
    "margin_ratio": "marginRatio",
}
_NUMBERS = (
    "contracts", "contractSize", "entryPrice", "markPrice", "leverage", "collateral",
    "positionMargin", *SHOWN.values(),
)  # fmt: skip
MOST = 5_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One open position as the exchange shows it.

    ``contracts`` signed; ``venue`` ours where the payload says it beyond doubt; ``mode`` cross, isolated or
    None; ``margin`` what an isolated position has in its own wallet; ``time`` of its last change (UTC ms);
    ``shown`` the exchange's numbers by our names.
    """

    symbol: str
    contracts: float
    contract_size: float | None
    entry: float | None
    mark: float | None
    leverage: float | None
    mode: str | None
    margin: float | None
    venue: str | None
    time: int | None
    shown: Mapping[str, float | None]

    @property
    def side(self) -> str:
        """``"long"`` or ``"short"``."""
        return "long" if self.contracts > 0 else "short"


def read_positions(path: str | Path) -> list[Snapshot]:
    """The open positions in a file; flat ones are left out.

    :raises InputError: no such file, no JSON, or no positions.
    """
    return positions_of(read_json(path), Path(path).name)


def positions_of(document: Any, where: str = "the positions") -> list[Snapshot]:
    """The open positions of a document: what ``fetch_positions`` returns, or one position alone.

    >>> row = {"symbol": "BTC/USDT:USDT", "side": "short", "contracts": 2.0, "entryPrice": 100.0}
    >>> positions_of([row])[0].contracts
    -2.0

    :raises InputError: it is something else, or nothing is open.
    """
    if isinstance(document, Mapping) and "symbol" not in document:
        if "examples" in document:
            raise InputError(f"{where} holds worked examples; run them with --cases")
        document = document.get("positions")
    rows = [document] if isinstance(document, Mapping) else document
    if not isinstance(rows, list):
        todo = "give the list that ccxt's fetch_positions returns"
        raise InputError(f"{where}: no list of positions; {todo}")
    if len(rows) > MOST:
        raise InputError(message(f"{where}: too many positions", len(rows), f"at most {MOST}"))
    found = [_snapshot(row, f"{where}, position {n}") for n, row in enumerate(rows, start=1)]
    held = [each for each in found if each is not None]
    if not held:
        raise InputError(f"{where}: no open position")
    return held


def _snapshot(row: Any, where: str) -> Snapshot | None:
    """One position; None when it is flat."""
    if not isinstance(row, Mapping):
        raise InputError(message(f"{where} is no object", type(row).__name__))
    symbol = row.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        raise InputError(message(f"{where}: 'symbol'", repr(symbol), "ccxt's unified symbol"))
    where = f"{where} ({symbol})"
    given = {key: _number(row.get(key), key, where) for key in _NUMBERS}
    if not given["contracts"]:
        return None
    mode = row.get("marginMode")
    mode = mode if mode in ("cross", "isolated") else None
    return Snapshot(
        symbol=symbol,
        contracts=_signed(given["contracts"], row.get("side"), where),
        contract_size=_positive(given["contractSize"]),
        entry=_positive(given["entryPrice"]) or _paid(row.get("info"), where),
        mark=_positive(given["markPrice"]),
        leverage=_positive(given["leverage"]),
        mode=mode,
        margin=_margin(given) if mode != "cross" else None,
        venue=venue_of(row),
        time=_time(row),
        shown={ours: given[theirs] for ours, theirs in SHOWN.items()},
    )


def _paid(info: Any, where: str) -> float | None:
    """Entry price of a spot margin position, which is shown by what was paid for how much."""
    if not isinstance(info, Mapping) or "vol_closed" not in info:
        return None
    cost, volume = (_number(info.get(key), key, where) for key in ("cost", "vol"))
    return cost / volume if cost and volume else None


def _margin(given: Mapping[str, float | None]) -> float | None:
    """Money of an isolated position without its unrealised profit, which ccxt's collateral holds."""
    if given["positionMargin"] is not None:
        return given["positionMargin"]
    collateral, gain = given["collateral"], given["unrealizedPnl"]
    if not collateral:
        return None
    return collateral if collateral == given["initialMargin"] or gain is None else collateral - gain


def _signed(contracts: float, side: Any, where: str) -> float:
    """Contracts with the sign of their side."""
    if side is None:
        return contracts
    if side not in ("long", "short"):
        raise InputError(message(f"{where}: 'side'", repr(side), "long or short"))
    return abs(contracts) if side == "long" else -abs(contracts)


def _number(value: Any, key: str, where: str) -> float | None:
    """A number, a number written as text, or None."""
    if value is None or value == "":
        return None
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise InputError(message(f"{where}: {key!r}", repr(value), "a number or null"))
    return found


def _positive(value: float | None) -> float | None:
    """The number, None for 0 and below: exchanges write 0 for what they do not say."""
    return value if value is not None and value > 0 else None


def _time(row: Mapping[str, Any]) -> int | None:
    """When the position last changed."""
    stamps = [row.get(key) for key in ("timestamp", "lastUpdateTimestamp")]
    known = [int(t) for t in stamps if isinstance(t, int | float) and 0 < t < 1e14]
    return max(known, default=None)


def venue_of(row: Mapping[str, Any]) -> str | None:
    """Our name of the exchange a position is from, where its raw payload leaves no doubt.

    >>> venue_of({"symbol": "BTC/USD:BTC", "info": {"positionAmt": "2", "positionSide": "BOTH"}})
    'binancecoinm'
    >>> venue_of({"symbol": "BTC/USDT:USDT", "info": {}}) is None
    True
    """
    info = row.get("info")
    if not isinstance(info, Mapping):
        return None
    for name, keys in _PAYLOADS:
        if all(key in info for key in keys):
            return product(name, str(row.get("symbol")))
    inner = info.get("position")
    if isinstance(inner, Mapping) and {"coin", "szi"} <= set(inner):
        return "hyperliquid"
    return None


#: ccxt class -> keys that only its raw positions have together.
_PAYLOADS = (
    ("binance", ("positionAmt", "positionSide")),
    ("bybit", ("positionIdx", "riskId")),
    ("bybit", ("positionIdx", "tradeMode")),
    ("okx", ("instId", "mgnMode", "avgPx")),
    ("krakenfutures", ("symbol", "fillTime", "unrealizedFunding")),
    ("kraken", ("pair", "vol_closed", "cost")),
    ("dydx", ("market", "sumOpen", "subaccountNumber")),
)
#: Venues of ours that trade another contract kind of the same exchange.
_INVERSE = {"binance": "binancecoinm", "krakenfutures": "krakeninverse"}


def product(name: str, symbol: str) -> str:
    """The venue of an exchange that has this symbol: coin-settled contracts may be a line of their own.

    >>> product("krakenfutures", "BTC/USD:BTC"), product("binance", "BTC/USDT:USDT")
    ('krakeninverse', 'binance')
    """
    base, _, rest = symbol.partition("/")
    inverse = rest.partition(":")[2].partition("-")[0] == base
    return _INVERSE.get(name, name) if inverse else name
