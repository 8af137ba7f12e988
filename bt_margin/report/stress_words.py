"""A stress test in words and rows of text: what the terminal, the notebook and the page have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from bt_margin.report.numbers import NOTHING, money, percent, plural
from bt_margin.studies.stressed import TIE

if TYPE_CHECKING:
    from bt_margin.studies.stressed import Stress

Rows = list[list[str]]
Row = Mapping[str, Any]


def share(value: Any) -> str:
    """A probability: whole per cent, with a decimal below ten.

    >>> share(0.34), share(0.0), share(0.0123), share(0.999)
    ('34 %', '0 %', '1.2 %', '99.9 %')
    """
    if pd.isna(value):
        return NOTHING
    near = min(value, 1.0 - value)
    return f"{value * 100:.1f} %" if 0.0 < near < 0.0995 else f"{value * 100:.0f} %"


def interval(row: Row) -> str:
    """A probability with its interval: ``34 % (28 to 41 %)``."""
    low = share(float(row["low"])).removesuffix(" %")
    return f"{share(float(row['value']))} ({low} to {share(float(row['high']))})"


def _by(table: pd.DataFrame, *keys: str) -> dict[tuple[Any, ...], Row]:
    """The rows of a table by what they are about."""
    rows: list[Any] = table.to_dict(orient="records")
    return {tuple(row[key] for key in keys): row for row in rows}


def verdict(found: Stress) -> str:
    """What happened, in a few sentences."""
    return " ".join([*_paths(found), *_crashes(found)]) or "Nothing was asked."


def _paths(found: Stress) -> Iterator[str]:
    """What the paths tell."""
    if found.paths.empty:
        return
    count = int(found.paths["path"].nunique())
    chance = _by(found.probability, "event", "scenario")
    died = [f"{name} on {interval(chance[('liquidation', name)])}" for name in found.scenarios]
    yield (
        f"On {plural(count, 'resampled path')} of {_days(found.days)} a position was liquidated under "
        f"{_listed(died)} of them."
    )
    wins = _by(found.winner, "winner")
    best = sorted(found.scenarios, key=lambda name: -float(wins[name,]["value"]))
    if len(best) > 1:
        parts = [f"{name} on {interval(wins[name,])}" for name in best]
        ties = float(wins[TIE,]["value"])
        rest = f"; on {share(ties)} they ended alike" if ties else ""
        yield f"More was left under {_listed(parts)}{rest}."
    level = _by(found.equity, "statistic", "scenario")
    ends = [money(level["median", name]["value"], found.currency) for name in found.scenarios]
    told = [
        f"{end} {found.currency} under {n}" for end, n in zip(ends, found.scenarios, strict=True)
    ]
    yield f"The median path ended with {_listed(told)}."


def _crashes(found: Stress) -> Iterator[str]:
    """What the crashes tell."""
    own = found.runs[found.runs["kind"] == "crash"]
    if own.empty:
        return
    runs = len(own) // len(found.scenarios)
    died = [
        f"{name} in {int((own[own['scenario'] == name]['liquidations'] > 0).sum())}"
        for name in found.scenarios
    ]
    yield (
        f"Of {plural(runs, 'crash', 'crashes')} laid over the history a position was liquidated under "
        f"{_listed(died)}."
    )


def _days(days: float) -> str:
    return plural(round(days), "day") if days >= 1.0 else f"{days * 24:.0f} hours"


def _listed(parts: Sequence[str]) -> str:
    """Things in a row.

    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join(part for part in (", ".join(parts[:-1]), parts[-1]) if part)


def chance_rows(found: Stress) -> Rows:
    """Probabilities, ends and wins on the paths: one column per scenario, intervals in brackets."""
    if found.paths.empty:
        return []
    rows = [["on the paths", *found.scenarios]]
    chance = _by(found.probability, "event", "scenario")
    for event in dict.fromkeys(found.probability["event"]):
        cells = [interval(chance[(event, name)]) for name in found.scenarios]
        rows.append([f"probability of {event}", *cells])
    level = _by(found.equity, "statistic", "scenario")
    for what in dict.fromkeys(found.equity["statistic"]):
        cells = [_amounts(level[what, name], found.currency) for name in found.scenarios]
        rows.append([f"final equity: {what}", *cells])
    wins = _by(found.winner, "winner")
    rows.append(["ends with the most", *(interval(wins[name,]) for name in found.scenarios)])
    return rows


def _amounts(row: Row, unit: str) -> str:
    value, low, high = (money(float(row[name]), unit) for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def horizon_rows(found: Stress) -> Rows:
    """The probability of a liquidation within so many days."""
    if found.paths.empty:
        return []
    table = _by(found.horizons, "days", "scenario")
    rows = [["liquidated within", *found.scenarios]]
    for days in dict.fromkeys(found.horizons["days"]):
        cells = [interval(table[days, name]) for name in found.scenarios]
        rows.append([_days(float(days)), *cells])
    return rows


def crash_rows(found: Stress) -> Rows:
    """One row per crash: in how many of its beginnings a position was liquidated, and the worst end."""
    own = found.crashes
    names = found.scenarios
    rows = [
        [
            "through",
            "starts",
            *(f"{n}: liquidated" for n in names),
            *(f"{n}: worst end" for n in names),
        ]
    ]
    for title, runs in _groups(own):
        starts = int(len(runs) / len(names))
        died, ends = [], []
        for name in names:
            each = runs[runs["scenario"] == name]
            died.append(f"{int((each['liquidations'] > 0).sum())} of {starts}")
            worst = float(each["final_equity"].min())
            ends.append(f"{money(worst, found.currency)} ({percent(worst / found.cash - 1.0)})")
        rows.append([title, str(starts), *died, *ends])
    return rows


def _groups(own: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The history, with the shocks, then crash by crash."""
    for kind, title in (("history", "history"), ("shocked", "history with the shocks")):
        runs = own[own["kind"] == kind]
        if len(runs):
            yield title, runs
    crashes = own[own["kind"] == "crash"]
    for name in dict.fromkeys(crashes["crash"]):
        yield str(name), crashes[crashes["crash"] == name]


def notes(found: Stress) -> list[str]:
    """What holds of every number here."""
    told = [
        "Every market was run by the full engine, all scenarios on the very same bars; intervals hold 95 %.",
    ]
    if not found.paths.empty:
        told.append(
            "Paths are the history's own bars in another order, in blocks: what the history has not seen, "
            "no path has, and dependence longer than a block is lost."
        )
    if (found.runs["kind"] == "crash").any():
        told.append(
            "Crashes are laid over the history by their figures, coin by coin; coins without figures fall "
            "like the crash's middling coin. Funding and order books of the day are not replayed."
        )
    told += [f"In every market but the plain history: {shock}." for shock in found.shocks]
    return told
