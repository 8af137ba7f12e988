"""Maintenance tiers of today, in notional, whatever unit the venue counts in.

What ccxt calls minNotional and maxNotional is the quote on Binance USD-M, the coin on Binance
COIN-M and Bybit's inverse contracts, and a number of contracts on OKX and Kraken's inverse ones.
Venues publish no history of tiers: a snapshot is worth keeping with its date.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bt_margin.errors import ExchangeRefused, ExchangeUnreachable, message
from bt_margin.market.exchange.asking import Asker
from bt_margin.market.exchange.client import Client
from bt_margin.market.exchange.habits import CONTRACTS, FRACTIONS, HALF_OF_MAX, QUOTE

_TOLERANCE = 1e-4  # of an amount: venues round what they publish


@dataclass(frozen=True, slots=True)
class Band:
    """One tier: notionals above `floor` up to and including `cap`   [settle].

    cap : None when the band has no end
    rate : maintenance rate, a fraction
    amount : maintenance amount, maintenance = notional · rate − amount   [settle]
    max_leverage : None where not stated
    """

    floor: float
    cap: float | None
    rate: float
    amount: float
    max_leverage: float | None


@dataclass(frozen=True, slots=True)
class Tiers:
    """The tiers of one symbol as they were at one moment.

    at : when they were read   [UTC epoch ms]
    tiers : lowest first, from 0
    stepped : True where a rate holds for the whole position (OKX): no amounts then
    unit : what the venue counts in: "quote", "settle", "contracts"
    price : the mark price that turned contracts into notional   [quote]; None where none was needed.
        Such bands move with the price; `raw` holds the venue's own numbers
    source : the exchange and the call, or the field of the market list
    notes : what is worth knowing, such as amounts that differ from the venue's
    raw : the venue's own entries
    """

    exchange: str
    symbol: str
    at: int
    tiers: tuple[Band, ...]
    stepped: bool
    unit: str
    price: float | None
    source: str
    notes: tuple[str, ...] = ()
    raw: tuple[Mapping[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, ready for JSON."""
        return asdict(self)


def fetch_tiers(client: Client, symbol: str) -> Tiers:
    """The tiers of a symbol, converted to notional of the settlement side.

    Raises `ExchangeRefused` when this venue does not give them (or not without a key), or gives
    tiers that cannot be right.
    """
    market = client.raw_market(symbol)
    reason = client.why_not("tiers")
    if not reason and not market.get("contract"):
        reason = f"{symbol} is a spot market: it has no maintenance tiers"
    if reason:
        raise _refused(client, symbol, reason)
    if client.habits.tiers in (FRACTIONS, HALF_OF_MAX):
        return _from_market(client, symbol, market)
    rows, source = _fetch(client, symbol, market)
    return _converted(client, symbol, market, rows, source)


def _fetch(client: Client, symbol: str, market: Mapping[str, Any]) -> tuple[list[Any], str]:
    """The tiers as ccxt returns them, lowest first, by the method that asks for one symbol."""
    has = client.has
    if has("fetchMarketLeverageTiers") is True:
        method = "fetch_market_leverage_tiers"
        rows = client.call(method, symbol, symbol=symbol, kind="tiers")
    else:
        method = "fetch_leverage_tiers"
        part = "inverse" if market.get("inverse") else "linear"
        params = {"type": "swap", "subType": part} if client.exchange == "binance" else {}
        rows = client.call(method, [symbol], params, symbol=symbol, kind="tiers")
        rows = (rows or {}).get(symbol)
    if not rows:
        raise _refused(client, symbol, f"{client.exchange} lists no tiers for {symbol}")
    return sorted(rows, key=lambda row: row.get("minNotional") or 0.0), method


def _converted(
    client: Client, symbol: str, market: Mapping[str, Any], rows: Sequence[Any], source: str
) -> Tiers:
    unit = _unit(client, market)
    price = _price(client, symbol) if _needs_price(unit, market) else None
    size = float(market.get("contractSize") or 1.0)
    factor = _factor(unit, bool(market.get("inverse")), size, price)
    limits = [_cap(row, factor) for row in rows]
    stepped = client.habits.stepped
    bands: list[Band] = []
    for row, cap in zip(rows, limits, strict=True):
        floor = (bands[-1].cap or 0.0) if bands else 0.0
        rate = _rate(client, symbol, row)
        amount = 0.0
        if bands and not stepped:
            amount = bands[-1].amount + floor * (rate - bands[-1].rate)
        if cap is not None and cap <= floor:
            raise _refused(
                client,
                symbol,
                f"{client.exchange} gives tiers for {symbol} that do not rise: {floor} then {cap}",
            )
        most = row.get("maxLeverage")
        bands.append(Band(floor, cap, rate, amount, float(most) if most else None))
    raw = tuple(dict(row.get("info") or {}) for row in rows)
    notes = () if stepped else _compared(client, bands, raw)
    return Tiers(
        client.exchange,
        symbol,
        client.now(),
        tuple(bands),
        stepped,
        unit,
        price,
        f"{client.exchange} {source}",
        notes,
        raw,
    )


def _unit(client: Client, market: Mapping[str, Any]) -> str:
    """What the venue's sizes count: quote, the settlement coin, or contracts."""
    unit = client.habits.tiers
    if unit == QUOTE and market.get("inverse"):
        return "settle"  # Binance's coin-margined side
    if client.exchange == "krakenfutures" and not market.get("inverse"):
        return QUOTE
    return unit


def _needs_price(unit: str, market: Mapping[str, Any]) -> bool:
    return unit == CONTRACTS


def _factor(unit: str, inverse: bool, size: float, price: float | None) -> float:
    """Notional of the settlement side per unit.

    A linear contract is `size` coins, worth size · price; an inverse one is `size` of the quote,
    worth size / price coins.

    >>> _factor("contracts", False, 0.01, 60_000.0), _factor("contracts", True, 100.0, 50_000.0)
    (600.0, 0.002)
    """
    if unit != CONTRACTS or price is None:
        return 1.0
    return size / price if inverse else size * price


def _price(client: Client, symbol: str) -> float:
    """The close of the newest finished hour of the mark (else last) price   [quote]."""
    asker = Asker(client, symbol, "mark" if client.offers("mark") else "ohlcv", "1h")
    stop = asker.closed()
    bars = asker.find((stop - 24 * asker.grid.step, stop)).bars
    if not bars.times:
        raise ExchangeUnreachable(
            message(
                f"{client.exchange} gave no price of the last 24 hours",
                None,
                None,
                f"tiers of {symbol}, counted in contracts",
                "run it again later",
            ),
            exchange=client.exchange,
            symbol=symbol,
            kind="tiers",
        )
    return float(bars.columns[3][-1])


def _cap(row: Mapping[str, Any], factor: float) -> float | None:
    """The end of a tier in notional; None for no end."""
    cap = row.get("maxNotional")
    return None if cap is None else float(cap) * factor


def _rate(client: Client, symbol: str, row: Mapping[str, Any]) -> float:
    rate = row.get("maintenanceMarginRate")
    if rate is None or not 0 <= float(rate) < 1:
        text = f"{client.exchange} gives a tier of {symbol} with the maintenance rate {rate}"
        raise _refused(client, symbol, text)
    return float(rate)


def _compared(
    client: Client, bands: Sequence[Band], raw: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """Where the venue's own maintenance amounts differ from the rebuilt ones."""
    notes = []
    for band, info in zip(bands, raw, strict=True):
        given = info.get("cum", info.get("mmDeduction"))
        if given is None:
            continue
        own = float(given or 0.0)
        need = band.floor * band.rate
        if abs(own - band.amount) > _TOLERANCE * max(need, abs(own)):
            notes.append(
                f"{client.exchange} states the maintenance amount {own:g} for the tier from "
                f"{band.floor:g}; continuity needs {band.amount:g}, which is used"
            )
    return tuple(notes)


def _from_market(client: Client, symbol: str, market: Mapping[str, Any]) -> Tiers:
    """One endless band from the fractions the market list gives."""
    info = market.get("info") or {}
    if client.habits.tiers == FRACTIONS:
        initial = _positive(info.get("initialMarginFraction"))
        rate = _positive(info.get("maintenanceMarginFraction"))
        most = 1 / initial if initial else None
        field = "maintenanceMarginFraction"
        notes: tuple[str, ...] = ()
    else:
        limits = (market.get("limits") or {}).get("leverage") or {}
        most = _positive(limits.get("max")) or _positive(info.get("maxLeverage"))
        rate = 1 / (2 * most) if most else None
        field = "max leverage"
        notes = ("the base tier only: half of the initial margin at the highest leverage",)
    if rate is None or rate >= 1:
        raise _refused(client, symbol, f"{client.exchange} gives no {field} for {symbol}")
    band = Band(0.0, None, rate, 0.0, most)
    raw = ({name: info[name] for name in _KEPT if name in info},)
    source = f"{client.exchange} market list, {field}"
    at = client.now()
    return Tiers(
        client.exchange, symbol, at, (band,), False, client.habits.tiers, None, source, notes, raw
    )


_KEPT = (
    "initialMarginFraction",
    "maintenanceMarginFraction",
    "openInterestLowerCap",
    "openInterestUpperCap",
    "maxLeverage",
    "marginTableId",
)


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if number > 0 else None


def _refused(client: Client, symbol: str, text: str) -> ExchangeRefused:
    return ExchangeRefused(text, exchange=client.exchange, symbol=symbol, kind="tiers")
