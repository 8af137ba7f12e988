"""Frames out of a downloaded store, and finer bars for the stretches that need them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bt_margin.errors import InputError, MissingData, message, near
from bt_margin.market.align_bars import opens_of
from bt_margin.market.align_frame import align, funding_policy, mark_policy
from bt_margin.market.align_notes import when
from bt_margin.market.frames import LAST, MARK, validate_frame
from bt_margin.market.kinds import Grid, Span
from bt_margin.market.names import unified_symbol
from bt_margin.market.store import Dataset, Store
from bt_margin.market.store.spans import common, joined
from bt_margin.market.times import epoch_of

Time = str | int | pd.Timestamp | None

DAY = 86_400_000
HOURLY = frozenset({"dydx", "hyperliquid", "krakenfutures"})
"""Venues that settle every hour; the others are taken to settle every eight where stamps cannot tell."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What `load_store` was asked for: bars opening within [since, until), and the two policies."""

    timeframe: str
    since: int | None
    until: int | None
    marks: str
    funding: str | tuple[str, float]


def load_store(
    store: Store | str | os.PathLike[str],
    exchange: str,
    symbols: Iterable[str] | str | None = None,
    timeframe: str | None = None,
    since: Time = None,
    until: Time = None,
    *,
    missing_funding: str | tuple[str, float] = "fail",
    missing_marks: str = "skip",
) -> dict[str, pd.DataFrame]:
    """Symbol to canonical frame, from what was downloaded of one exchange; nothing is fetched.

    symbols : in this order; default all that have bars of the last price
    timeframe : of the bars. Stored bars of it are taken, else the coarsest stored ones that divide
        it; default the only one stored, else the only one that has marks too
    since, until : keep bars that open in [since, until); text, Timestamps or epoch ms; UTC without
        a zone. Symbols may start and end where they like inside.
    missing_funding, missing_marks : policies, see :mod:`bt_margin.market.align`

    Marks are taken of the same timeframe, else the coarsest finer ones, else the finest coarser
    ones. `attrs` hold, besides what :func:`align` says, the `symbol`, the `contract` (the market as
    the exchange described it), its dated `tiers`, the `source` (datasets with their times), and
    `delisted`: the time [ms] trading ended, else None. That is the end of the last bar of a market
    that is no longer active, or that the exchange had nothing of for a day and more before `until`.

    :raises MissingData: no bars in the time asked, or something is missing and the policy is `fail`.
    :raises InputError: names, times, timeframes and policies that cannot be meant.
    """
    store = store if isinstance(store, Store) else Store(store)
    mark_policy(missing_marks)
    funding_policy(missing_funding)
    wanted = _symbols(store, exchange, symbols)
    step = timeframe or _common_timeframe(store, exchange, wanted)
    first, last = _ms(since, "since"), _ms(until, "until")
    asked = Asked(step, first, last, missing_marks, missing_funding)
    return {symbol: _load(store, exchange, symbol, asked) for symbol in wanted}


def bars_within(
    store: Store | str | os.PathLike[str],
    exchange: str,
    symbol: str,
    timeframe: str,
    spans: Sequence[Span],
) -> pd.DataFrame:
    """Stored bars of a finer timeframe inside the spans [ms], for `detail=`: last prices and marks.

    Spans that cut a bar are widened to hold it. The marks are the venue's own of that timeframe, NaN
    where there are none (the engine then follows the last price inside the coarse bar's marks).

    :raises MissingData: no bar of the timeframe is stored inside any of the spans.
    """
    store = store if isinstance(store, Store) else Store(store)
    grid = Grid.of(timeframe)
    wide = joined((grid.floor(start), grid.ceil(stop)) for start, stop in spans)
    last = store.dataset(exchange, symbol, "ohlcv", timeframe)
    parts = [last.read(span) for span in wide] if last.exists else []
    parts = [part for part in parts if len(part)]
    if not parts:
        have = ", ".join(sorted(_timeframes(store, exchange, symbol, "ohlcv"))) or "nothing"
        todo = f"download {timeframe} for these stretches"
        where = f"{symbol} of {exchange}"
        raise MissingData(
            message(f"no {timeframe} bars there", f"{have} stored", None, where, todo)
        )
    bars = pd.concat(parts)
    mark = store.dataset(exchange, symbol, "mark", timeframe)
    if mark.exists:
        found = pd.concat([mark.read(span) for span in wide])[list(LAST)]
        placed = found.set_axis(list(MARK), axis=1).reindex(bars.index)
        if placed.notna().all(axis=1).any():
            bars = pd.concat([bars, placed], axis=1)
    return validate_frame(bars, f"{symbol} {timeframe}")


def _load(store: Store, exchange: str, symbol: str, asked: Asked) -> pd.DataFrame:
    """One symbol of :func:`load_store`."""
    where = f"{symbol} of {exchange}"
    last = _pick_last(store, exchange, symbol, asked.timeframe, where)
    bars, span = _read_bars(last, asked, where)
    mark = _pick_marks(_datasets(store, exchange, symbol, "mark"), asked.timeframe)
    funding = store.dataset(exchange, symbol, "funding")
    contract = store.market(exchange, symbol)
    frame = align(
        bars,
        _read_marks(mark, span) if mark else None,
        funding.read() if funding.exists else None,
        timeframe=asked.timeframe,
        missing_marks=asked.marks,
        missing_funding=asked.funding,
        covered=funding.covered if funding.exists else (),
        symbol=symbol,
        perpetual=_is_perpetual(symbol, contract),
        interval="1h" if exchange in HOURLY else "8h",
        last_timeframe=last.timeframe,
        mark_timeframe=mark.timeframe if mark else None,
        absent=_reasons(exchange),
    )
    used = [each for each in (last, mark, funding) if each is not None and each.exists]
    frame.attrs |= {
        "symbol": symbol,
        "contract": contract,
        "tiers": [_lean(row) for row in store.tiers(exchange, symbol)],
        "delisted": _delisted(last, contract, asked),
        "source": {"exchange": exchange, "datasets": [_source(each) for each in used]},
    }
    _add_coverage(frame, last, asked)
    if not _is_perpetual(symbol, contract):
        sort = "spot market" if ":" not in symbol else "dated future"
        frame.attrs["notes"].append(
            f"{symbol}: a {sort}, run as a contract on which no funding is due; "
            "interest on what is borrowed is not charged."
        )
    return frame


def _read_bars(last: Dataset, asked: Asked, where: str) -> tuple[pd.DataFrame, Span]:
    """The finer or equal bars of the time asked, and the stretch they fill."""
    grid, step = Grid.of(asked.timeframe), Grid.of(last.timeframe).step
    first, final = last.first, last.last
    if first is None or final is None:
        raise MissingData(message("no bars of the last price", "none stored", None, where))
    start = first if asked.since is None else grid.ceil(asked.since)
    stop = final + step if asked.until is None else grid.ceil(asked.until)
    bars = last.read((start, stop)) if start < stop else pd.DataFrame()
    if bars.empty:
        times = f"{when(start)} to {when(stop)}"
        have = f"bars from {when(first)} to {when(final)}"
        raise MissingData(message("no bars in the time asked", times, have, where))
    opens = opens_of(bars)
    return bars, (int(opens[0]), int(opens[-1]) + step)


def _read_marks(mark: Dataset, span: Span) -> pd.DataFrame:
    """Marks over the bars and a day before them, where `hold` looks for the last known one."""
    grid = Grid.of(mark.timeframe)
    return mark.read((grid.floor(span[0]) - max(DAY, grid.step), span[1]))


def _symbols(store: Store, exchange: str, symbols: Iterable[str] | str | None) -> list[str]:
    """The symbols asked for, under the names of the store."""
    have = [s for s in store.symbols(exchange) if _timeframes(store, exchange, s, "ohlcv")]
    if not have:
        names = ", ".join(store.exchanges()) or "nothing"
        hint = near(exchange, store.exchanges()) or f"bt-margin download --exchange {exchange} ..."
        raise MissingData(
            message(f"nothing of {exchange} is stored", names, None, str(store.folder), hint)
        )
    if symbols is None:
        return have
    asked = [symbols] if isinstance(symbols, str) else list(symbols)
    wanted = [name if name in have else unified_symbol(name) for name in asked]
    for name in wanted:
        if name not in have:
            hint = near(name, have) or f"bt-margin download --exchange {exchange} --symbols {name}"
            found = ", ".join(have)
            raise MissingData(
                message(f"no data for {name}", found, None, f"{exchange}, {store.folder}", hint)
            )
    return list(dict.fromkeys(wanted))


def _common_timeframe(store: Store, exchange: str, symbols: list[str]) -> str:
    """The one timeframe all symbols have, else the one they all have marks of, too."""
    both = [
        set.intersection(*(_timeframes(store, exchange, symbol, kind) for symbol in symbols))
        for kind in ("ohlcv", "mark")
    ]
    for fitting in (both[0], both[0] & both[1]):
        if len(fitting) == 1:
            return fitting.pop()
    listed = "; ".join(
        f"{symbol}: {', '.join(sorted(_timeframes(store, exchange, symbol, 'ohlcv')))}"
        for symbol in symbols
    )
    todo = "give timeframe= (in the shell --timeframe)"
    raise InputError(message("several timeframes are stored", listed, "one", exchange, todo))


def _datasets(store: Store, exchange: str, symbol: str, kind: str) -> dict[str, Dataset]:
    found = store.datasets(exchange, symbol, kind)
    return {each.timeframe: each for each in found if each.first is not None}


def _timeframes(store: Store, exchange: str, symbol: str, kind: str) -> set[str]:
    """Those that were wanted whole, else all: parts are there to look into single bars."""
    have = _datasets(store, exchange, symbol, kind)
    whole = {name for name, dataset in have.items() if not dataset.provenance.get("parts")}
    return whole or set(have)


def _pick_last(store: Store, exchange: str, symbol: str, timeframe: str, where: str) -> Dataset:
    """Bars of the timeframe, else the coarsest that divide it."""
    have = _datasets(store, exchange, symbol, "ohlcv")
    step = Grid.of(timeframe).step
    fitting = sorted((Grid.of(t).step, t) for t in have if step % Grid.of(t).step == 0)
    if fitting:
        return have[fitting[-1][1]]
    todo = f"download {timeframe}"
    stored = ", ".join(sorted(have))
    what = f"no bars that {timeframe} can be made of"
    raise MissingData(message(what, stored, f"{timeframe} or finer", where, todo))


def _pick_marks(have: dict[str, Dataset], timeframe: str) -> Dataset | None:
    """Marks of the timeframe, else the coarsest that divide it, else the finest multiple of it."""
    step = Grid.of(timeframe).step
    steps = {t: Grid.of(t).step for t in have}
    finer = [t for t in have if step % steps[t] == 0]
    coarser = [t for t in have if steps[t] % step == 0]
    if finer:
        return have[max(finer, key=steps.__getitem__)]
    return have[min(coarser, key=steps.__getitem__)] if coarser else None


def _is_perpetual(symbol: str, contract: dict[str, Any] | None) -> bool:
    """Whether funding is due: by the market's type, else by its name (`:` and no expiry)."""
    kind = (contract or {}).get("type")
    if kind is not None:
        return bool(kind == "swap")
    return "-" not in symbol.partition(":")[2] and ":" in symbol


def _reasons(exchange: str) -> dict[str, str]:
    """Kinds the exchange does not offer, with the reason."""
    from bt_margin.market.exchange.habits import TABLE

    habits = TABLE.get(exchange)
    missing = habits.missing if habits else {}
    return {kind: why for kind, why in missing.items() if kind in ("mark", "funding")}


def _delisted(last: Dataset, contract: dict[str, Any] | None, asked: Asked) -> int | None:
    """When trading ended, as far as the time asked reaches; None while it goes on."""
    final = last.last
    assert final is not None
    end = final + Grid.of(last.timeframe).step
    if asked.until is not None and asked.until <= end:
        return None
    if (contract or {}).get("active") is False:
        return end
    stop = max((span[1] for span in last.covered), default=end)
    stop = stop if asked.until is None else min(stop, asked.until)
    empty = common(last.covered, ((end, max(stop, end)),)) if stop > end else ()
    return end if empty and empty[0][0] == end and empty[0][1] - end >= DAY else None


def _lean(row: dict[str, Any]) -> dict[str, Any]:
    """A dated tier table without the venue's own answer, which frames would copy about."""
    tiers = row.get("tiers")
    if isinstance(tiers, dict):
        return {**row, "tiers": {name: value for name, value in tiers.items() if name != "raw"}}
    return row


def _source(dataset: Dataset) -> dict[str, Any]:
    """What a report says about a dataset."""
    known = {"kind": dataset.kind, "timeframe": dataset.timeframe, "rows": dataset.rows}
    return {**known, "provenance": dict(dataset.provenance)}


def _add_coverage(frame: pd.DataFrame, last: Dataset, asked: Asked) -> None:
    """Say which bars of the time asked were never downloaded, and where the exchange has none."""
    grid, counts, notes = Grid.of(asked.timeframe), frame.attrs["alignment"], frame.attrs["notes"]
    symbol, times = frame.attrs["symbol"], opens_of(frame)
    start, stop = int(times[0]), int(times[-1]) + grid.step
    created = (frame.attrs["contract"] or {}).get("created") or 0
    begin = start if asked.since is None else max(asked.since, min(created, start))
    end = stop if asked.until is None or frame.attrs["delisted"] else asked.until
    never = joined(
        (grid.floor(one), grid.ceil(two)) for one, two in last.missing((begin, max(begin, end)))
    )
    due = np.arange(start, stop, grid.step, dtype=np.int64)
    gone = np.setdiff1d(due, times, assume_unique=True)
    unasked = sum(int(((gone >= one) & (gone < two)).sum()) for one, two in never)
    counts["never_downloaded"] = sum(grid.count(span) for span in never)
    counts["venue_has_none"] = len(gone) - unasked
    if never:
        notes.append(
            f"{symbol}: {counts['never_downloaded']:,} bars of the time asked were never downloaded, "
            f"the first at {when(never[0][0])}."
        )
    asked_before = not any(one <= start - grid.step < two for one, two in never)
    if asked.since is not None and start > grid.ceil(asked.since) and asked_before:
        notes.append(f"{symbol}: the exchange has no bars before {when(start)}.")
    if frame.attrs["delisted"] is not None:
        notes.append(f"{symbol}: trading ended at {when(frame.attrs['delisted'])}.")


def _ms(time: Time, name: str) -> int | None:
    """A time as UTC epoch ms, UTC without a zone; `InputError` for what is none."""
    return None if time is None else epoch_of(time, name)
