"""One dataset as bare arrays, exactly as stored: the check must see what a reader would refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from bt_margin.errors import InputError
from bt_margin.market.check.findings import DAY, HOUR, Finding, Severity
from bt_margin.market.kinds import BAR_KINDS, Grid, Span

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one dataset.

    exchange, symbol, kind, timeframe : whose; `timeframe` is "" when nobody says it
    data : how findings call it: `mark/1h`, or the file
    times : open (settlement) times as found, UTC epoch ms, shape (n,)
    columns : the value columns, each of shape (n,)
    place : the folder the data lies in; only datasets of one place are thought to belong together
    holes : stretches the venue confirmed to have no rows for (from a store)
    covered : stretches that were asked for; None when nobody keeps count
    parts : whether it was asked for in parts on purpose (finer bars of dangerous bars alone)
    written : when the newest rows were taken, epoch ms; None when not known
    seen : of tidy rows, all times that had a row, those left out because of their values included
    """

    exchange: str
    symbol: str
    kind: str
    timeframe: str
    data: str
    times: Times
    columns: Mapping[str, Floats]
    place: str = ""
    holes: tuple[Span, ...] = ()
    covered: tuple[Span, ...] | None = None
    parts: bool = False
    written: int | None = None
    seen: Times | None = None
    _step: list[int] = field(default_factory=list, repr=False)

    def __len__(self) -> int:
        return len(self.times)

    @property
    def told(self) -> Times:
        """The times that had a row, sorted and unique."""
        return distinct(self.times) if self.seen is None else self.seen

    @property
    def bars(self) -> bool:
        """Whether these are bars (and not settlements)."""
        return self.kind in BAR_KINDS

    @property
    def grid(self) -> Grid | None:
        """The grid the name promises; None without a timeframe, or with months."""
        try:
            return Grid.of(self.timeframe)
        except InputError:
            return None

    @property
    def step(self) -> int:
        """Length of a bar [ms]: what the name says, else the most common distance; an hour for one row."""
        if not self._step:
            grid = self.grid
            self._step.append(grid.step if grid else self.distance())
        return self._step[0]

    def distance(self) -> int:
        """The most common distance of two neighbouring times [ms]; an hour for fewer than two."""
        gaps = np.diff(distinct(self.times))
        if not len(gaps):
            return HOUR
        sizes, counts = np.unique(gaps, return_counts=True)
        return int(sizes[np.argmax(counts)])

    def say(
        self, kind: str, severity: Severity, span: tuple[int, int], count: int, text: str
    ) -> Finding:
        """A finding about these rows; `span` is the first and the last time concerned."""
        return Finding(
            kind, severity, self.exchange, self.symbol, self.data,
            int(span[0]), int(span[1]), int(count), text,
        )  # fmt: skip

    def kept(self, mask: Mask) -> Rows:
        """The rows where the mask is True."""
        columns = {name: values[mask] for name, values in self.columns.items()}
        return replace(self, times=self.times[mask], columns=columns)

    def between(self, since: int | None, until: int | None) -> Rows:
        """The rows with since <= time < until."""
        if since is None and until is None:
            return self
        keep = np.ones(len(self), np.bool_)
        if since is not None:
            keep &= self.times >= since
        if until is not None:
            keep &= self.times < until
        return self.kept(keep)


def distinct(times: Times) -> Times:
    """The times sorted, each once; those that are so already come back as they are.

    >>> distinct(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    if (np.diff(times) > 0).all():
        return times
    ordered = np.sort(times)
    return ordered[np.concatenate(([True], np.diff(ordered) > 0))]


def tidy(rows: Rows) -> Rows:
    """The same rows sorted, one for each time (the first), without bars whose prices are no prices.

    What was left out has been reported by then; the checks that compare neighbours need order.
    """
    order = np.argsort(rows.times, kind="stable")
    times = rows.times[order]
    fresh = np.concatenate(([True], np.diff(times) > 0)) if len(times) else np.zeros(0, np.bool_)
    whole = order[fresh]
    out = replace(
        rows,
        times=rows.times[whole],
        columns={name: values[whole] for name, values in rows.columns.items()},
        seen=rows.times[whole],
    )
    if rows.bars:
        return out.kept(usable(out))
    return out.kept(np.isfinite(out.columns["funding_rate"]))


def usable(rows: Rows) -> Mask:
    """Bars whose four prices are finite and above 0."""
    sound = np.ones(len(rows), np.bool_)
    for name in PRICES:
        values = rows.columns[name]
        sound &= np.isfinite(values) & (values > 0.0)
    return sound


def origin(rows: Rows) -> int:
    """Where the grid is counted from: midnight UTC, for weeks the first Monday [ms]."""
    grid = rows.grid
    if grid:
        return grid.anchor
    return Grid.of("1w").anchor if rows.step % (7 * DAY) == 0 else 0


def phase_of(rows: Rows) -> int:
    """How long after the grid of midnight UTC (of Monday for weeks) most bars open [ms].

    >>> opens = np.arange(5) * 8 * HOUR + 4 * HOUR
    >>> phase_of(Rows("okx", "A", "ohlcv", "8h", "a", opens, {})) // HOUR
    4
    """
    phases, counts = np.unique((rows.times - origin(rows)) % rows.step, return_counts=True)
    return int(phases[np.argmax(counts)]) if len(phases) else 0


def common(a: Rows, b: Rows) -> int:
    """How much time two tidy datasets have in common [ms]; 0 or less when none."""
    start = max(int(a.times[0]), int(b.times[0]))
    return min(int(a.times[-1]) + a.step, int(b.times[-1]) + b.step) - start


def sample(rows: Rows, name: str, instants: Times) -> Floats:
    """The column's values at these opens; NaN where there is no such bar. Rows must be tidy."""
    if not len(rows):
        return np.full(len(instants), np.nan)
    places = np.minimum(np.searchsorted(rows.times, instants), len(rows) - 1)
    found: Floats = np.where(rows.times[places] == instants, rows.columns[name][places], np.nan)
    return found
