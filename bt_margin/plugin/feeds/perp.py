"""The feed: a pandas frame of one perpetual, with mark prices and funding.

:class:`PerpData` is ``bt.feeds.PandasData`` with five more lines. It reads the same bars with the
same numbers, but copies each column into backtrader's buffer in one piece whenever nothing (a
filter, a resampling, a bounded buffer) has to see the bars one by one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import Any, Final

import backtrader as bt
import numpy as np
import pandas as pd
from backtrader.feed import DataClone
from backtrader.linebuffer import LineBuffer

from bt_margin.errors import DataError, message
from bt_margin.plugin.feeds.checks import (
    MARKS,
    PRICES,
    check_bars,
    check_marks,
    check_rates,
    check_times,
    column_values,
    stamp_rows,
    timed,
    utc_microseconds,
    with_marks,
)
from bt_margin.plugin.feeds.coarser import EXTRA, PerpReplayer, PerpResampler

NAN: Final = float("nan")
DAY_US: Final = 86_400_000_000
EPOCH_ORDINAL: Final = 719_163
Stamp = tuple[int, float, float | None]


class Tick:
    """The ``tick_…`` price of a preloaded bar, which is the bar's own: looked up when asked for.

    backtrader writes every line of every bar into such attributes; a bulk-loaded feed leaves that out.
    A value set on the instance (replay, live) takes precedence.
    """

    def __init__(self, line: str) -> None:
        self.line = line

    def __get__(self, feed: Any, owner: Any = None) -> Any:
        return None if feed is None else getattr(feed.lines, self.line)[0]


class PerpData(bt.feeds.PandasData):
    """One perpetual's bars from a frame: OHLCV, mark prices when there are any, and funding.

    ``dataname`` is a DataFrame with a UTC time index (any time zone is converted; naive times are
    refused) or a ``timestamp``, ``datetime``, ``date`` or ``time`` column (integers are epoch ms), and
    the columns ``open high low close [volume openinterest]``, all four of ``mark_open mark_high
    mark_low mark_close`` or none, and ``funding_rate`` (a fraction, NaN except on the bar that
    contains a settlement). Rows without a mark hold NaN in all four mark columns.
    Settlements finer than the bars go to ``frame.attrs["funding"]``: a Series of rates by time, or
    a DataFrame with the columns ``rate`` (or ``funding_rate``) and optionally ``mark``.

    The parameters are those of ``PandasData`` (each line's column by position, by name, -1 to find
    it, None for absent), and ``timeframe`` and ``compression`` are read off the index unless
    given. ``name`` is the ccxt symbol. ``tz`` changes what backtrader displays, never the bars.

    Raises :class:`~bt_margin.errors.DataError` on naive, unsorted or duplicate times, on NaN, zero
    or negative prices, on a high below or a low above another price of its bar, and on a mark row
    that is only partly there.

    >>> times = pd.date_range("2024-01-01", periods=3, freq="h", tz="UTC")
    >>> frame = pd.DataFrame({"open": 1.0, "high": 2.0, "low": 0.5, "close": 1.5}, index=times)
    >>> data = PerpData(dataname=frame, name="BTC/USDT:USDT")
    >>> data.p.compression, data.mark_available, data.funding_stamps()
    (60, False, None)
    """

    lines: Any = EXTRA
    params = (("timeframe", None), ("compression", None), *((line, -1) for line in EXTRA))
    tick_open, tick_high, tick_low = Tick("open"), Tick("high"), Tick("low")
    tick_close, tick_last, tick_volume = Tick("close"), Tick("close"), Tick("volume")
    _bulk = False

    def __init__(self) -> None:
        frame = self.p.dataname
        if not isinstance(frame, pd.DataFrame):
            raise DataError(
                message(
                    "the data of PerpData",
                    found=type(frame).__name__,
                    allowed="a pandas DataFrame",
                    where=self._symbol(),
                    todo="load the file into a DataFrame first",
                )
            )
        if self.p.datetime is None:
            frame = self.p.dataname = timed(frame, self._symbol())
        super().__init__()
        self._places = self._find_columns(frame)
        self._columns: dict[str, array[float]] = {}
        self._nums: array[float] = array("d")
        self._pairs: list[tuple[Any, array[float]]] = []
        self._rows = 0
        micros = self._validate(frame)
        self._infer_timeframe(micros)

    def _symbol(self) -> str:
        return self.p.name or "a feed without a name"

    def _find_columns(self, frame: pd.DataFrame) -> dict[str, int]:
        """Position in the frame of every line that has a column."""
        names = [str(name) for name in frame.columns]
        if self.p.nocase:
            names = [name.lower() for name in names]
        places: dict[str, int] = {}
        for line in self.getlinealiases():
            wanted = getattr(self.p, line, None)
            if wanted is None:
                continue
            if isinstance(wanted, int) and wanted >= 0:
                places[line] = wanted
                continue
            key = line if isinstance(wanted, int) else str(wanted)
            key = key.lower() if self.p.nocase else key
            if key in names:
                places[line] = names.index(key)
            elif not isinstance(wanted, int):
                raise DataError(
                    message(
                        f"column of the line {line}",
                        found=wanted,
                        allowed=", ".join(names),
                        where=self._symbol(),
                    )
                )
        return places

    def _times(self, frame: pd.DataFrame) -> Any:
        place = self._places.get("datetime")
        times = frame.index if place is None else frame.iloc[:, place]
        return utc_microseconds(times, self._symbol())

    def _validate(self, frame: pd.DataFrame) -> Any:
        """Refuse a frame that cannot be traded on; returns its times in epoch microseconds."""
        symbol, places = self._symbol(), self._places
        missing = [line for line in PRICES if line not in places]
        if missing:
            raise DataError(
                message(
                    f"columns {', '.join(missing)}",
                    found="none of them",
                    allowed=f"a frame with {', '.join(PRICES)}; it has "
                    f"{', '.join(map(str, frame.columns))}",
                    where=symbol,
                )
            )
        if self.p.tzinput is not None:
            raise DataError(
                message(
                    "tzinput of PerpData",
                    found=self.p.tzinput,
                    allowed="None",
                    where=symbol,
                    todo="give the index its time zone instead",
                )
            )
        times = self._times(frame)
        check_times(times, symbol)
        read = {
            line: column_values(frame, place, line, times, symbol)
            for line, place in places.items()
            if line != "datetime"
        }
        check_bars({line: read[line] for line in PRICES}, read.get("volume"), times, symbol)
        self.mark_available = check_marks(
            {line: read[line] for line in MARKS if line in read}, times, symbol
        )
        if "funding_rate" in read:
            check_rates(read["funding_rate"], times, symbol)
        return times

    def _infer_timeframe(self, micros: Any) -> None:
        if self.p.timeframe is None:
            self.p.timeframe, step = timeframe_of(micros)
            self.p.compression = self.p.compression or step
        self.p.compression = self.p.compression or 1

    def start(self) -> None:
        """Get ready to deliver bars from the first row."""
        self._bulk = False
        super(bt.feeds.PandasData, self).start()
        frame = self.p.dataname
        times = self._times(frame)
        self._nums = array("d", day_numbers(times).tobytes())
        self._columns = {
            line: array("d", column_values(frame, place, line, times, self._symbol()).tobytes())
            for line, place in self._places.items()
            if line != "datetime"
        }
        self._pairs = [(getattr(self.lines, line), c) for line, c in self._columns.items()]
        self._pairs.append((self.lines.datetime, self._nums))
        self._rows = len(self._nums)
        self._idx = -1

    def preload(self) -> None:
        """Load the bars from ``fromdate`` to ``todate``: in bulk, or one by one for filters."""
        if not self._whole():
            super().preload()
            return
        self._bulk = True
        first = bisect_left(self._nums, self.fromdate)
        last = max(first, bisect_right(self._nums, self.todate))
        empty = array("d", [NAN]) * (last - first)
        for alias in self.getlinealiases():
            line = getattr(self.lines, alias)
            column = self._nums if alias == "datetime" else self._columns.get(alias)
            line.array[0:0] = empty if column is None else column[first:last]
        self._idx = self._rows
        self._columns, self._nums, self._pairs = {}, array("d"), []
        self._last()
        self.home()

    def _tick_nullify(self) -> None:
        if not self._bulk:
            super()._tick_nullify()

    def _tick_fill(self, force: bool = False) -> None:
        if not self._bulk:
            super()._tick_fill(force)

    def _whole(self) -> bool:
        """Whether the columns may be copied whole: nobody needs to see the bars one by one."""
        if self._filters or self._idx >= 0 or type(self)._load is not PerpData._load:
            return False
        return all(
            line.mode == LineBuffer.UnBounded and not line.bindings and len(line) == 0
            for line in self.lines
        )

    def _load(self) -> bool:
        self._idx += 1
        if self._idx >= self._rows:
            return False
        for line, column in self._pairs:
            line[0] = column[self._idx]
        return True

    def funding_stamps(self) -> list[Stamp] | None:
        """The settlements this frame knows: ``(epoch ms, rate, mark or None)`` in order of time.

        From ``frame.attrs["funding"]`` when it is there, else every row whose ``funding_rate`` is
        not NaN, at the row's time; with the marks of ``frame.attrs["funding_marks"]`` (a Series by
        time) where it has them. In a column without any NaN that is mostly zero, the zeros are
        no settlements. None means that the frame says nothing about funding, which is not the
        same as a funding of 0.
        """
        frame = self.p.dataname
        finer = frame.attrs.get("funding")
        if finer is not None:
            return with_marks(stamp_rows(finer, self._symbol()), frame.attrs.get("funding_marks"))
        place = self._places.get("funding_rate")
        if place is None:
            return None
        times = self._times(frame)
        rates = column_values(frame, place, "funding_rate", times, self._symbol())
        known = np.flatnonzero(~np.isnan(rates))
        if not known.size:
            return None
        if known.size == rates.size and 2 * np.count_nonzero(rates) < rates.size:
            known = np.flatnonzero(rates)
        found: list[Stamp] = [
            (time, rate, None)
            for time, rate in zip(
                (times[known] // 1000).tolist(), rates[known].tolist(), strict=True
            )
        ]
        return with_marks(found, frame.attrs.get("funding_marks"))

    def resample(self, **kwargs: Any) -> None:
        """Build coarser bars, marks and funding included (see ``PerpBar``)."""
        self.addfilter(PerpResampler, **kwargs)

    def replay(self, **kwargs: Any) -> None:
        """Build coarser bars tick by tick, marks and funding included (see ``PerpBar``)."""
        self.addfilter(PerpReplayer, **kwargs)

    def clone(self, **kwargs: Any) -> Any:
        """A second feed over the same bars (``resampledata`` and ``replaydata`` ask for it)."""
        return PerpClone(dataname=self, **kwargs)

    def copyas(self, _dataname: str, **kwargs: Any) -> Any:
        """A second feed over the same bars under another name."""
        copy = PerpClone(dataname=self, **kwargs)
        copy._dataname = copy._name = _dataname
        return copy


class PerpClone(DataClone):
    """A second feed over a :class:`PerpData`, with its mark and funding lines."""

    lines: Any = EXTRA

    @property
    def mark_available(self) -> bool:
        """Whether the frame has mark prices."""
        return bool(self.data.mark_available)

    def funding_stamps(self) -> list[Stamp] | None:
        """The settlements of the feed that this one was made from."""
        stamps: list[Stamp] | None = self.data.funding_stamps()
        return stamps

    resample = PerpData.resample
    replay = PerpData.replay


def day_numbers(micros: Any) -> Any:
    """backtrader's times of UTC epoch microseconds: days since 0001-01-01 plus one, as floats.

    Bit for bit ``bt.date2num``: with the whole days split off, one rounding of the fraction and
    one of the sum cannot straddle a tie for times on whole milliseconds; the few others are asked
    one by one.

    >>> day_numbers(np.array([0, 43_200_000_000]))
    array([719163. , 719163.5])
    """
    days, rest = np.divmod(micros, DAY_US)
    nums = (days + EPOCH_ORDINAL).astype("float64") + rest / float(DAY_US)
    for place in np.flatnonzero(micros % 1000):
        nums[place] = bt.date2num(pd.Timestamp(int(micros[place]), unit="us").to_pydatetime())
    return nums


def timeframe_of(micros: Any) -> tuple[int, int]:
    """backtrader's ``(timeframe, compression)`` of a frame: its median distance between rows.

    Frames of one row give one day, backtrader's own default.

    >>> timeframe_of(np.arange(3) * 900_000_000) == (bt.TimeFrame.Minutes, 15)
    True
    """
    if len(micros) < 2:
        return bt.TimeFrame.Days, 1
    step = int(np.median(np.diff(micros)))
    frames = (
        (365 * DAY_US, bt.TimeFrame.Years),
        (28 * DAY_US, bt.TimeFrame.Months),
        (7 * DAY_US, bt.TimeFrame.Weeks),
        (DAY_US, bt.TimeFrame.Days),
        (60_000_000, bt.TimeFrame.Minutes),
        (1_000_000, bt.TimeFrame.Seconds),
    )
    for unit, frame in frames:
        loose = frame in (bt.TimeFrame.Years, bt.TimeFrame.Months)
        if step >= unit and (loose or step % unit == 0):
            return frame, max(1, step // unit)
    return bt.TimeFrame.MicroSeconds, step
