"""Synthetic rows, and files in the exact layouts of others, for the tests of shapes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from bt_margin.market.shapes import Piece
from bt_margin.market.shapes.piece import to_times

HOUR = 3_600_000
START = 1_704_067_200_000  # 2024-01-01
PERP, COIN, SPOT = "BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USDT"
KLINE_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore"
)


def candles(
    count: int = 30, start: int = START, step: int = HOUR, volume: bool = True
) -> pd.DataFrame:
    """Bars with prices of many digits."""
    random = np.random.default_rng(count + start // step)
    final = 40_000.0 * np.exp(np.cumsum(random.normal(0, 0.01, count)))
    first = np.r_[40_000.0, final[:-1]]
    high = np.maximum(first, final) * (1 + random.random(count) / 100)
    low = np.minimum(first, final) * (1 - random.random(count) / 100)
    amount = random.random(count) * 100 + 0.001 if volume else np.zeros(count)
    rows = {"open": first, "high": high, "low": low, "close": final, "volume": amount}
    return pd.DataFrame(rows, to_times(start + step * np.arange(count)))


def settlements(
    count: int = 30, start: int = START, hours: int = 8, mark: bool = False
) -> pd.DataFrame:
    """Settlements some milliseconds after the hour."""
    random = np.random.default_rng(count)
    times = start + hours * HOUR * np.arange(count) + random.integers(0, 20, count)
    marks = 40_000 * random.random(count) + 1 if mark else np.full(count, np.nan)
    rows = {"funding_rate": random.normal(0, 1e-4, count), "mark": marks}
    return pd.DataFrame(rows, to_times(times))


def bars(symbol: str = PERP, kind: str = "ohlcv", count: int = 30, start: int = START) -> Piece:
    """A piece of hourly bars."""
    return Piece(symbol, kind, "1h", candles(count, start, volume=kind == "ohlcv"))


def funding(symbol: str = PERP, count: int = 30, mark: bool = False) -> Piece:
    """A piece of settlements."""
    return Piece(symbol, "funding", "", settlements(count, mark=mark))


def times_of(frame: pd.DataFrame) -> list[int]:
    """The index in epoch milliseconds."""
    return [int(stamp) for stamp in frame.index.as_unit("ns").asi8 // 1_000_000]


def klines(
    frame: pd.DataFrame, *, header: bool = True, micro: bool = False, step: int = HOUR
) -> str:
    """Twelve columns, as the public archive has them."""
    scale = 1000 if micro else 1
    lines = [KLINE_HEADER] if header else []
    for time, row in zip(times_of(frame), frame.to_numpy().tolist(), strict=True):
        prices = ",".join(f"{value!r}" for value in row)
        lines.append(f"{time * scale},{prices},{(time + step) * scale - 1},123.4,7,60.1,61.2,0")
    return "\n".join(lines) + "\n"


def packed(path: Path, text: str, name: str | None = None) -> Path:
    """A zip with one file in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name or f"{path.stem}.csv", text)
    return path


def written(path: Path, text: str) -> Path:
    """A file with this text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def same(found: Piece, piece: Piece) -> None:
    """Both pieces are the same rows of the same thing, value for value."""
    named = (found.symbol, found.kind, found.timeframe)
    assert named == (piece.symbol, piece.kind, piece.timeframe)
    pd.testing.assert_frame_equal(found.frame, piece.frame, check_exact=True, check_freq=False)


def csv_text(frame: pd.DataFrame) -> str:
    """A frame as pandas writes it."""
    out = io.StringIO()
    frame.to_csv(out)
    return out.getvalue()
