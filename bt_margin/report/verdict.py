"""Two sentences a trader would say: who ended with more, and what made the difference."""

from __future__ import annotations

from bt_margin.report.numbers import money, percent, plural
from bt_margin.studies.amounts import grain
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.pieces import Episode
from bt_margin.studies.result import Run
from bt_margin.studies.sentences import refusal, when

_ONE = 0.5  # share of all partings from which a single one is the story


def verdict(comparison: Comparison) -> str:
    """Who ended with more, and what made the difference: a death first, then what was worth most."""
    label = "On this SYNTHETIC market: " if comparison.synthetic else ""
    return f"{label}{_ending(comparison)} {_reason(comparison)}"


def _ending(comparison: Comparison) -> str:
    """Who ended with how much."""
    runs = list(comparison.runs.values())
    unit = comparison.first.currency
    if len(runs) == 1:
        return f"{runs[0].name} ended with {money(runs[0].final, unit)} {unit}, {_change(runs[0])}."
    ranked = sorted(runs, key=lambda run: -run.final)
    best, worst = ranked[0], ranked[-1]
    if abs(best.final - worst.final) < grain(unit):
        who = "Both" if len(runs) == 2 else "All"
        return f"{who} ended with {money(best.final, unit)} {unit}, {_change(best)}."
    gap = money(best.final - worst.final, unit)
    return (
        f"{best.name} ended with {money(best.final, unit)} {unit} ({_change(best)}), {gap} more than "
        f"{worst.name} with {money(worst.final, unit)} ({_change(worst)})."
    )


def _change(run: Run) -> str:
    """Gained or lost against the cash at the start."""
    if run.broker.account.dead:
        return "everything lost"
    share = run.final / run.cash - 1.0 if run.cash else 0.0
    return f"{'up' if share >= 0 else 'down'} {percent(abs(share))}"


def _reason(comparison: Comparison) -> str:
    """What made the difference."""
    runs, episodes = list(comparison.runs.values()), comparison.divergence.episodes
    if len(runs) == 1:
        fallen = liquidation_count(runs[0])
        return f"It had {plural(fallen, 'liquidation')}." if fallen else "It was never liquidated."
    if not episodes:
        return _nothing(runs)
    died = {run.name: time for run in runs if (time := _death(run)) is not None}
    if died:
        return _deaths(comparison, died)
    biggest = max(episodes, key=lambda episode: abs(episode.worth))
    story = biggest.brief or biggest.sentence.rstrip(".")
    worth = _worth(biggest, comparison)
    which = ", which " if biggest.event is not None else ", "
    if abs(biggest.worth) >= _ONE * sum(abs(episode.worth) for episode in episodes):
        return f"What parted them: {story}{which}{worth}."
    tally, fell = _tally(runs, len(episodes)), f"{biggest.run} was liquidated "
    if tally.startswith(fell) and story.startswith(fell):
        return f"{tally}; the one that mattered most, {story.removeprefix(fell)}, {worth}."
    return f"{tally}; what mattered most: {story}{which}{worth}."


def liquidation_count(run: Run) -> int:
    """How often the venue closed a position of a run."""
    return int((run.events["kind"] == "liquidation").sum())


def _nothing(runs: list[Run]) -> str:
    """Why runs never parted."""
    kinds = [run.events["kind"].value_counts() for run in runs]
    filled = any(count.get("fill", 0) for count in kinds)
    refused = [int(count.get("rejected", 0)) for count in kinds]
    both = "both" if len(runs) == 2 else "all runs"
    if not filled and all(refused):
        first = next(event for event in runs[0].broker.events if event.kind == "rejected")
        why = refusal(first, runs[0].currency)
        many = f"all {max(refused):,} orders were" if max(refused) > 1 else "the only order was"
        return f"Nothing parted them: {many} refused in {both} (the first one {why})."
    if not filled:
        return "Nothing parted them: no order was filled."
    return "Nothing parted them: no liquidation, no refused order, no margin action in one alone."


def _death(run: Run) -> int | None:
    """When an account first had nothing left."""
    return next((event.time for event in run.broker.events if event.kind == "dead"), None)


def _deaths(comparison: Comparison, died: dict[str, int]) -> str:
    """Who lost everything, who did not, and how it began."""
    first = min(died, key=lambda name: died[name])
    lost = ", ".join(
        f"{name} at {when(died[name])}" for name in sorted(died, key=lambda n: died[n])
    )
    fell = _fallen_at(comparison.runs[first], died[first])
    how = f" ({plural(fell, 'position')} liquidated)" if fell else ""
    text = f"{first} lost everything{how} at {lost.removeprefix(f'{first} at ')}"
    alive = [name for name in comparison.runs if name not in died]
    if alive:
        text += f"; {' and '.join(alive)} stayed alive"
    begun = _containing(comparison, first, died[first])
    if begun is None or not begun.brief:
        return f"{text}."
    if begun.event is None:
        return f"{text}; they had been apart since {begun.brief}."
    return f"{text}; it began when {begun.brief}."


def _fallen_at(run: Run, time: int) -> int:
    """How many positions the venue closed in the moment an account died."""
    return sum(e.kind == "liquidation" and e.time == time for e in run.broker.events)


def _containing(comparison: Comparison, name: str, time: int) -> Episode | None:
    """The episode in which a run died."""
    found = [
        piece
        for piece in comparison.divergence.episodes
        if name in (piece.first, piece.other) and piece.opened.timestamp() * 1000 <= time
    ]
    return found[-1] if found else None


def _worth(episode: Episode, comparison: Comparison) -> str:
    """What an episode cost the run it happened to, or spared it."""
    amount = money(abs(episode.worth), comparison.first.currency)
    if episode.event is None:
        return f"worth {amount} to {episode.other if episode.worth > 0 else episode.first}"
    gained = (episode.worth > 0) == (episode.run == episode.other)
    return f"{'spared' if gained else 'cost'} it {amount}"


def _tally(runs: list[Run], partings: int) -> str:
    """How often each run was liquidated."""
    counts = {run.name: liquidation_count(run) for run in runs}
    if not any(counts.values()):
        return f"They parted {plural(partings, 'time')}"
    most = sorted(counts, key=lambda name: -counts[name])
    said = [_times(counts[name]) for name in most]
    rest = [f"{name} {text}" for name, text in zip(most[1:], said[1:], strict=True)]
    return f"{most[0]} was liquidated {', '.join([said[0], *rest])}"


def _times(count: int) -> str:
    """never, once, twice, 3 times."""
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count:,} times")
