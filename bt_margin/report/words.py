"""What happened, in a trader's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from bt_margin.report.numbers import money, percent, plural, price
from bt_margin.studies import coins
from bt_margin.studies.breaches import breach_behind, funding_behind
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.result import Run
from bt_margin.studies.sentences import verdict_text
from bt_margin.studies.summary import after_death

LONG_WARMUP = 10  # bars without a decision that are worth a note


def currency(comparison: Comparison) -> str:
    """The settlement currency of the comparison."""
    return comparison.first.currency


def short_names(comparison: Comparison) -> dict[str, str]:
    """Each symbol by its base (``ETH`` for ``ETH/USDT:USDT``) where no other symbol has the same base."""
    symbols = list(
        dict.fromkeys(s for run in comparison.runs.values() for s in run.broker.account.book)
    )
    bases = [symbol.partition("/")[0] for symbol in symbols]
    return {
        symbol: base if bases.count(base) == 1 else symbol
        for symbol, base in zip(symbols, bases, strict=True)
    }


def explain(run: Run, event: Any) -> str:
    """One liquidation explained: which mark, which equity, which requirement, and how it was settled."""
    events = run.broker.events
    decided = coins.told(run, breach_behind(event, events) or event)
    marks = dict(decided.info.get("marks", {})) or {event.symbol: event.mark}
    text, unit = _marks(run, marks), run.currency
    if decided.found is not None and decided.allowed is not None:
        text += f": {verdict_text(decided.allowed, decided.found, unit)}"
    if len(marks) == 1 and event.size and event.mark and decided.found:
        notional = run.broker.account.book[event.symbol].contract.notional(event.size, event.mark)
        notional *= coins.worth(run, event)
        text += f" ({percent(decided.found / notional)} of {money(notional, unit)})"
    paid, event = funding_behind(event, events) * coins.worth(run, event), coins.told(run, event)
    tipped = f" Funding of {money(paid, unit)} tipped it." if paid else ""
    return f"{text}.{tipped} {_settled(event, unit)}".rstrip()


def _marks(run: Run, marks: dict[str, Any]) -> str:
    """Where the marks stood, and which of them were only the last price."""
    bare = set(run.fidelity.get("symbols_without_mark", ()))
    if len(marks) == 1:
        ((symbol, mark),) = marks.items()
        what = "last price, for want of a mark," if symbol in bare else "mark"
        return f"The {what} reached {price(mark)}"
    several = not bare >= set(marks)
    shown = [
        f"{symbol} {price(mark)}{' (last price)' if several and symbol in bare else ''}"
        for symbol, mark in marks.items()
    ]
    return f"The {'marks' if several else 'last prices'} stood at {', '.join(shown)}"


def _settled(event: Any, unit: str) -> str:
    """How a liquidated position ended."""
    how = event.info.get("settle")
    fee = f", liquidation fee {money(event.fee, unit)}" if event.fee else ""
    if how == "takeover":
        return (
            f"The fund took the position over at {price(event.price)}, its bankruptcy price{fee}."
        )
    return f"It was closed at {price(event.price)}{fee}."


def fidelity(comparison: Comparison) -> list[str]:
    """What the data lacked and what was assumed, as sentences; what holds for all runs is said once."""
    notes: list[str] = []
    if comparison.synthetic:
        notes.append("SYNTHETIC: the market data is made up; nothing here happened on an exchange.")
    rules = approximations(comparison)
    for run in comparison.runs.values():
        for note in _data_notes(run):
            if note not in notes and note not in rules:
                notes.append(note)
    return [*notes, *_bounds_notes(comparison)]


def approximations(comparison: Comparison) -> list[str]:
    """What the venues do that candles cannot show, each sentence once."""
    venues = [run.broker.account.venue for run in comparison.runs.values()]
    return list(dict.fromkeys(text for venue in venues for text in venue.approximations))


def statements(comparison: Comparison) -> list[dict[str, Any]]:
    """The fidelity statement of each venue: its title, and what is exact, approximated and absent."""
    found: dict[str, dict[str, Any]] = {}
    for run in comparison.runs.values():
        venue = run.broker.account.venue
        found[venue.title] = {
            "venue": venue.title,
            "exact": list(venue.exact),
            "approximated": list(venue.approximations),
            "absent": list(venue.absent),
            "stands_for": dict(venue.stands_for),
        }
    return list(found.values())


def data_notes(comparison: Comparison) -> list[str]:
    """What the data lacked (marks, funding, tier tables), each sentence once; nothing else."""
    rules = set(approximations(comparison))
    notes = [str(n) for run in comparison.runs.values() for n in run.fidelity.get("notes", ())]
    return [note for note in dict.fromkeys(notes) if note not in rules]


def _data_notes(run: Run) -> Iterator[str]:
    """Marks, funding, tier tables, warm-up, the paths inside the bars, and what came after the end."""
    facts = run.fidelity
    yield from (str(note) for note in facts.get("notes", ()))
    if run.warmup >= LONG_WARMUP:
        yield f"The first {run.warmup:,} bars were warm-up of the strategy's indicators: no orders."
    walked = int(facts.get("walked", 0) or 0)
    if walked:
        were = "was" if walked == 1 else "were"
        bars_walked = plural(walked, "dangerous bar")
        yield f"{run.name}: {bars_walked} {were} walked along {_path(run, walked)}."
    late = after_death(run)
    if late:
        yield (
            f"{run.name}: {plural(late, 'order')} came after everything was lost; "
            "they do not count as rejected."
        )


def _path(run: Run, walked: int) -> str:
    """Which path the dangerous bars took: the policy's guess, or finer bars."""
    guess = f"the {run.fidelity.get('intrabar', run.settings.get('intrabar'))} path"
    blind = len({start for _, start, _ in run.fidelity.get("walked_blind", ())})
    if "walked_blind" not in run.fidelity or blind >= walked:
        return guess
    return f"finer bars, {blind} of them along {guess}" if blind else "finer bars"


def _bounds_notes(comparison: Comparison) -> Iterator[str]:
    """What the two extreme paths say."""
    for name, runs in comparison.extremes.items():
        row = comparison.summary.loc[name]
        ends = ", ".join(
            f"{money(run.final, run.currency)} ({policy})" for policy, run in runs.items()
        )
        yield (
            f"{name}: certain liquidations {row['certain_liquidations']}, dependent on the path inside "
            f"the bar {row['path_dependent_liquidations']}; "
            f"the final equity is {ends}."
        )


def liquidations(comparison: Comparison) -> list[dict[str, Any]]:
    """Every liquidation of every run with its explanation, in order of time."""
    rows = []
    labels = certainties(comparison)
    for name, run in comparison.runs.items():
        for event in _of_kind(run.broker.events, "liquidation"):
            label = labels.get((name, event.id))
            told = {} if label is None else {"certainty": label}
            rows.append(_liquidation(name, run, event) | told)
    return sorted(rows, key=lambda row: (row["time"], row["scenario"]))


def _of_kind(events: Sequence[Any], kind: str) -> list[Any]:
    return [event for event in events if event.kind == kind]


def _liquidation(name: str, run: Run, event: Any) -> dict[str, Any]:
    """One liquidation as a row."""
    decided = coins.told(run, breach_behind(event, run.broker.events) or event)
    event = coins.told(run, event)
    bare = run.fidelity.get("symbols_without_mark", ())
    return {
        "scenario": name,
        "time": pd.Timestamp(event.time, unit="ms", tz="UTC"),
        "symbol": event.symbol,
        "size": -event.size if event.size else event.size,
        "mark": event.mark,
        "judged_by": "last price" if event.symbol in bare else "mark",
        "price": event.price,
        "equity": decided.allowed,
        "maintenance": decided.found,
        "result": (event.realised or 0.0) - (event.fee or 0.0),
        "explanation": explain(run, event),
    }


def certainties(comparison: Comparison) -> dict[tuple[str, int], str]:
    """Scenario and event id of each liquidation → its label, where bounds were asked for; else nothing."""
    if not comparison.extremes:
        return {}
    table = comparison.events
    fell = table[table["kind"] == "liquidation"]
    columns = (fell[name] for name in ("scenario", "id", "certainty"))
    return {(str(s), int(i)): str(label) for s, i, label in zip(*columns, strict=True)}
