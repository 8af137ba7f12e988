"""What happened, in a trader's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from bt_margin.report.numbers import date, money, percent, plural, price
from bt_margin.studies.causes import breach_behind, funding_behind, verdict_text
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.pieces import Episode
from bt_margin.studies.result import Run


def verdict(comparison: Comparison) -> str:
    """Two sentences: who ended with more, and what made the difference."""
    label = "On this SYNTHETIC market: " if comparison.synthetic else ""
    return f"{label}{_ending(comparison)} {_reason(comparison)}"


def currency(comparison: Comparison) -> str:
    """The settlement currency of the comparison."""
    return str(comparison.first.broker.account.currency)


def _ending(comparison: Comparison) -> str:
    """Who ended with how much."""
    unit, runs = currency(comparison), list(comparison.runs.values())
    if len(runs) == 1:
        return f"{runs[0].name} ended with {money(runs[0].final)} {unit}, {_change(runs[0])}."
    ranked = sorted(runs, key=lambda run: -run.final)
    best, worst = ranked[0], ranked[-1]
    if abs(best.final - worst.final) < 0.005:
        who = "Both" if len(runs) == 2 else "All"
        return f"{who} ended with {money(best.final)} {unit}, {_change(best)}."
    gap = money(best.final - worst.final)
    return (
        f"{best.name} ended with {money(best.final)} {unit} ({_change(best)}), {gap} more than "
        f"{worst.name} with {money(worst.final)} ({_change(worst)})."
    )


def _change(run: Run) -> str:
    """Gained or lost against the cash at the start."""
    share = run.final / run.cash - 1.0 if run.cash else 0.0
    if run.broker.account.dead:
        return "everything lost"
    word = "up" if share >= 0 else "down"
    return f"{word} {percent(abs(share))}"


def _reason(comparison: Comparison) -> str:
    """What made the difference."""
    episodes = comparison.divergence.episodes
    if len(comparison.runs) == 1:
        fallen = int((comparison.first.events["kind"] == "liquidation").sum())
        return f"It had {plural(fallen, 'liquidation')}." if fallen else "It was never liquidated."
    if not episodes:
        return (
            "Nothing parted them: no liquidation, no refused order, no margin action in one alone."
        )
    biggest = max(episodes, key=lambda episode: abs(episode.worth))
    return (
        f"What parted them most, {_when(biggest)}, was worth "
        f"{money(abs(biggest.worth))} to {_winner(biggest)}: {biggest.sentence} {biggest.aftermath}".rstrip()
    )


def _winner(episode: Episode) -> str:
    """Who gained by an episode."""
    return episode.other if episode.worth > 0 else episode.first


def _when(episode: Episode) -> str:
    """From when to when an episode lasted."""
    if episode.ongoing:
        return f"from {date(episode.opened)} to the end"
    if episode.bars == 1:
        return f"in the bar of {date(episode.opened)}"
    return f"from {date(episode.opened)} to {date(episode.closed)}"


def explain(run: Run, event: Any) -> str:
    """One liquidation explained: which mark, which equity, which requirement, and how it was settled."""
    events = run.broker.events
    decided = breach_behind(event, events) or event
    marks = dict(decided.info.get("marks", {})) or {event.symbol: event.mark}
    text = _marks(run, marks)
    if decided.found is not None and decided.allowed is not None:
        text += f": {verdict_text(decided.allowed, decided.found)}"
    if len(marks) == 1 and event.size and event.mark and decided.found:
        notional = run.broker.account.book[event.symbol].contract.notional(event.size, event.mark)
        text += f" ({percent(decided.found / notional)} of {money(notional)})"
    paid = funding_behind(event, events)
    tipped = f" Funding of {money(paid)} tipped it." if paid else ""
    return f"{text}.{tipped} {_settled(event)}".rstrip()


def _marks(run: Run, marks: dict[str, Any]) -> str:
    """Where the marks stood, and which of them were only the last price."""
    bare = set(run.fidelity.get("symbols_without_mark", ()))
    if len(marks) == 1:
        ((symbol, mark),) = marks.items()
        what = "last price, for want of a mark," if symbol in bare else "mark"
        return f"The {what} reached {price(mark)}"
    shown = [f"{symbol} {price(mark)}" for symbol, mark in marks.items()]
    last = f" (last prices, for want of marks: {', '.join(sorted(bare))})" if bare else ""
    return f"The marks stood at {', '.join(shown)}{last}"


def _settled(event: Any) -> str:
    """How a liquidated position ended."""
    how = event.info.get("settle")
    fee = f", liquidation fee {money(event.fee)}" if event.fee else ""
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


def _data_notes(run: Run) -> Iterator[str]:
    """Marks, funding, tier tables and the paths inside the bars."""
    facts = run.fidelity
    yield from (str(note) for note in facts.get("notes", ()))
    walked = int(facts.get("walked", 0) or 0)
    if walked:
        policy = facts.get("intrabar", run.settings.get("intrabar"))
        were = "was" if walked == 1 else "were"
        bars_walked = plural(walked, "dangerous bar")
        yield f"{run.name}: {bars_walked} {were} walked along the {policy} path."


def _bounds_notes(comparison: Comparison) -> Iterator[str]:
    """What the two extreme paths say."""
    for name, runs in comparison.extremes.items():
        row = comparison.summary.loc[name]
        ends = ", ".join(f"{money(run.final)} ({policy})" for policy, run in runs.items())
        yield (
            f"{name}: certain liquidations {row['certain_liquidations']}, dependent on the path inside "
            f"the bar {row['path_dependent_liquidations']}; "
            f"the final equity is {ends}."
        )


def liquidations(comparison: Comparison) -> list[dict[str, Any]]:
    """Every liquidation of every run with its explanation, in order of time."""
    rows = []
    labelled = comparison.events
    for name, run in comparison.runs.items():
        for event in _of_kind(run.broker.events, "liquidation"):
            rows.append(_liquidation(name, run, event) | _certainty(labelled, name, event.id))
    return sorted(rows, key=lambda row: (row["time"], row["scenario"]))


def _of_kind(events: Sequence[Any], kind: str) -> list[Any]:
    return [event for event in events if event.kind == kind]


def _liquidation(name: str, run: Run, event: Any) -> dict[str, Any]:
    """One liquidation as a row."""
    decided = breach_behind(event, run.broker.events) or event
    return {
        "scenario": name,
        "time": pd.Timestamp(event.time, unit="ms", tz="UTC"),
        "symbol": event.symbol,
        "size": -event.size if event.size else event.size,
        "mark": event.mark,
        "price": event.price,
        "equity": decided.allowed,
        "maintenance": decided.found,
        "result": (event.realised or 0.0) - (event.fee or 0.0),
        "explanation": explain(run, event),
    }


def _certainty(events: pd.DataFrame, scenario: str, event: int) -> dict[str, str]:
    """The label of a liquidation, where bounds were asked for."""
    if "certainty" not in events:
        return {}
    own = events[(events["scenario"] == scenario) & (events["id"] == event)]
    return {"certainty": str(own["certainty"].iloc[0])}
