"""Binance's public archive: klines of last, mark and index price, and funding rates.

    data/futures/um/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2024-01.zip      USD-M; `cm` COIN-M, `spot`
    data/futures/cm/daily/markPriceKlines/BTCUSD_PERP/1h/BTCUSD_PERP-1h-2024-01-31.csv
    data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-01.zip

Klines have twelve columns, with a header line in newer files; times are milliseconds, in spot files since
2025-01-01 microseconds. Funding: `calc_time,funding_interval_hours,last_funding_rate`. What kind of price
and which market a file holds is told by its folders. Without them: rows with volume are last prices (mark
and index have none), microseconds are spot; the rest has to be asked for.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from bt_margin.errors import InputError, message
from bt_margin.market.kinds import BAR_COLUMNS, Grid
from bt_margin.market.shapes import binance_names as names
from bt_margin.market.shapes.piece import (
    MINUTE,
    Asked,
    Piece,
    Times,
    bars,
    fault,
    funding,
    timeframe_from,
    to_ms,
    untold,
)
from bt_margin.market.shapes.raw import (
    content,
    csv_columns,
    first_line,
    head,
    is_number,
    no_room,
    write_bytes,
)

KLINES = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count",
    "taker_buy_volume", "taker_buy_quote_volume", "ignore",
)  # fmt: skip
FUNDING = ("calc_time", "funding_interval_hours", "last_funding_rate")
_MICROSECONDS_SINCE = 1_735_689_600_000  # 2025-01-01, spot files only
_BARS = ("open_time", *BAR_COLUMNS)


def fits(path: Path) -> bool:
    """Whether name and first line are those of the archive. Raises `InputError` for a premium index."""
    named = names.of_path(path) is not None
    cells = first_line(head(path))
    if not cells:
        return named
    if is_number(cells[0]):
        return len(cells) in (11, 12) or (named and len(cells) in (3, 6))
    lower = [cell.lower() for cell in cells]
    return lower[0] in ("open_time", "calc_time")


def read(path: Path, asked: Asked) -> list[Piece]:
    """The rows of one archive file; a `.CHECKSUM` file beside a packed one must agree."""
    where = str(path)
    _verify(path)
    data = content(path)
    cells = first_line(data)
    if not cells:
        raise fault("no rows", where=where)
    header = not is_number(cells[0])
    lower = [cell.lower() for cell in cells]
    if _is_funding(lower, header, path):
        columns = lower if header else list(FUNDING)
        return [_read_funding(path, data, columns, header, asked)]
    columns = lower if header else list(KLINES[: len(cells)])
    if not set(_BARS) <= set(columns):
        allowed = ", ".join(KLINES)
        raise fault("not the columns of klines", ", ".join(cells), allowed, where)
    return [_read_klines(path, data, columns, header, asked)]


def write(piece: Piece, folder: Path, suffix: str = ".csv") -> list[Path]:
    """Monthly files in the archive's folders below `folder`; `suffix` may be `.zip`.

    Columns nobody has kept (quote volume, trades, taker buys) are 0.
    """
    market, native = names.native(piece.symbol)
    times = to_ms(piece.frame.index)
    months = pd.DatetimeIndex(piece.frame.index).strftime("%Y-%m").to_numpy()
    written = []
    for month in dict.fromkeys(months.tolist()):
        mine = months == month
        if piece.kind == "funding":
            text = _funding_text(piece, times, mine)
        else:
            text = _klines_text(piece, times, mine, market)
        path = folder / names.path_of(market, native, piece.kind, piece.timeframe, month, suffix)
        written.append(write_bytes(path, text.encode()))
    return written


def lost(piece: Piece) -> str | None:
    """What of a piece these files cannot hold, as a sentence."""
    if piece.kind == "funding" and piece.frame["mark"].notna().any():
        return no_room("binance", "the marks of settlements; they are left out", piece.symbol)
    if piece.kind != "funding" and piece.frame["volume"].isna().any():
        return no_room("binance", "an unknown volume; it is written as 0", piece.symbol)
    return None


def _is_funding(cells: list[str], header: bool, path: Path) -> bool:
    if header:
        return cells[0] == FUNDING[0]
    named = names.of_path(path)
    return len(cells) == 3 and named is not None and named.kind == "funding"


def _read_funding(path: Path, data: bytes, columns: list[str], header: bool, asked: Asked) -> Piece:
    where = str(path)
    if asked.kind not in (None, "funding"):
        raise _contradiction("kind", "funding", asked.kind or "", where)
    missing = [name for name in (FUNDING[0], FUNDING[2]) if name not in columns]
    if missing:
        raise fault(f"no column {missing[0]}", ", ".join(columns), ", ".join(FUNDING), where)
    rows = csv_columns(data, columns, header, (FUNDING[0], FUNDING[2]), where)
    frame, notes = funding(rows[FUNDING[0]], rows[FUNDING[2]], None, where)
    symbol = _symbol(path, asked, frozenset({"um", "cm"}))
    return Piece(symbol, "funding", "", frame, "binance", notes)


def _read_klines(path: Path, data: bytes, columns: list[str], header: bool, asked: Asked) -> Piece:
    where = str(path)
    closing = ("close_time",) if "close_time" in columns else ()
    rows = csv_columns(data, columns, header, (*_BARS, *closing), where)
    times = rows["open_time"]
    named = names.of_path(path)
    kind = _kind(named, asked, bool(np.nansum(rows["volume"]) > 0.0), where)
    told = (named.timeframe if named else None) or _length(times, rows.get("close_time"))
    timeframe = timeframe_from(times, asked.timeframe, told, where)
    values = [rows[name] for name in BAR_COLUMNS]
    frame, notes = bars(times, values, where, kind, timeframe)
    markets = frozenset({"um", "cm"} if kind != "ohlcv" else {"spot", "um", "cm"})
    if first_time(data, header) >= 10**14:
        markets = frozenset({"spot"})
    return Piece(_symbol(path, asked, markets), kind, timeframe, frame, "binance", notes)


def first_time(data: bytes, header: bool) -> float:
    """The first time of a file as it is written there; 0 when it is no number."""
    body = data.split(b"\n", 1)[1] if header and b"\n" in data else data
    cells = first_line(body[:4096])
    return float(cells[0]) if cells and cells[0] and is_number(cells[0]) else 0.0


def _length(
    times: Times, closes: np.ndarray[tuple[int], np.dtype[np.float64]] | None
) -> str | None:
    """The timeframe by the first bar's close, which lies a millisecond before the next open."""
    if closes is None or not np.isfinite(closes[0]):
        return None
    scale = 1000.0 if closes[0] >= 1e14 else 1.0
    step = int(closes[0] // scale) + 1 - int(times[0])
    sizes = (("d", 1440), ("h", 60), ("m", 1))
    found = next(
        ((step // MINUTE // n, unit) for unit, n in sizes if step % (n * MINUTE) == 0), None
    )
    if found is None or found[0] < 1:
        return None
    return "1w" if found == (7, "d") else f"{found[0]}{found[1]}"


def _kind(named: names.Named | None, asked: Asked, volume: bool, where: str) -> str:
    told = named.kind if named else None
    if told and asked.kind and told != asked.kind:
        raise _contradiction("kind", told, asked.kind, where)
    kind = told or asked.kind or ("ohlcv" if volume else None)
    if kind is None:
        raise untold("no volume in any row; kind", where, "kind", "ohlcv, mark, index")
    if kind == "funding":
        raise _contradiction("kind", "klines", kind, where)
    return kind


def _symbol(path: Path, asked: Asked, markets: frozenset[str]) -> str:
    """The one symbol that name, folders, exchange and the user agree on."""
    named = names.of_path(path)
    found = names.symbols(named, asked.exchange, markets) if named else []
    if asked.symbol is not None:
        if found and asked.symbol not in found:
            raise _contradiction("symbol", " or ".join(found), asked.symbol, str(path))
        return asked.symbol
    if len(found) != 1:
        raise untold("symbol", str(path), "symbol", " or ".join(found) or None)
    return found[0]


def _contradiction(what: str, told: str, asked: str, where: str) -> InputError:
    todo = f"leave --{what} out, or correct it"
    return InputError(
        message(f"file and --{what} disagree", f"{told} and {asked}", None, where, todo)
    )


def _verify(path: Path) -> None:
    """Compare a file with the checksum the archive gives beside it."""
    beside = path.with_name(f"{path.name}.CHECKSUM")
    if not beside.is_file() or not path.is_file():
        return
    words = beside.read_text(encoding="utf-8", errors="replace")[:4096].split()
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    if words and words[0].lower() != digest.hexdigest():
        todo = "download it again"
        raise fault("the file is not what its .CHECKSUM says", where=str(path), todo=todo)


def _klines_text(
    piece: Piece, times: Times, mine: np.ndarray[tuple[int], np.dtype[np.bool_]], market: str
) -> str:
    step = Grid.of(piece.timeframe).step
    rows = piece.frame[list(BAR_COLUMNS)].to_numpy()[mine].tolist()
    lines = [",".join(KLINES)] if market != "spot" else []
    for time, (first, high, low, final, volume) in zip(times[mine].tolist(), rows, strict=True):
        opens, closes = time, time + step - 1
        if market == "spot" and time >= _MICROSECONDS_SINCE:
            opens, closes = time * 1000, (time + step) * 1000 - 1
        amount = volume if volume == volume else 0.0
        lines.append(f"{opens},{first!r},{high!r},{low!r},{final!r},{amount!r},{closes},0,0,0,0,0")
    return "\n".join(lines) + "\n"


def _funding_text(
    piece: Piece, times: Times, mine: np.ndarray[tuple[int], np.dtype[np.bool_]]
) -> str:
    """Rates with the hours since the settlement before (of the first: to the next one)."""
    minutes = np.rint(times / MINUTE)
    hours = np.rint(np.diff(minutes) / 60).astype(np.int64)
    spaced = np.r_[hours[:1], hours] if len(hours) else np.array([8])
    rates = piece.frame["funding_rate"].to_numpy(dtype=np.float64)
    rows = zip(times[mine].tolist(), spaced[mine].tolist(), rates[mine].tolist(), strict=True)
    lines = [",".join(FUNDING), *(f"{time},{hour},{rate!r}" for time, hour, rate in rows)]
    return "\n".join(lines) + "\n"
