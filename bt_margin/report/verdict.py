"""Two sentences a trader would say: who ended where and what befell them, and what the difference is made of.

The shares are those of the waterfall (:mod:`bt_margin.report.waterfall`), rounded so that they sum to what
the sentence says they sum to.
"""

from __future__ import annotations

import math

import numpy as np

from bt_margin.report.numbers import change, moment, money, plural, signed
from bt_margin.report.shares import in_amounts, in_shares
from bt_margin.report.waterfall import FAMILY, LABELS, Pair, between
from bt_margin.report.words import short_names
from bt_margin.studies.amounts import grain
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.pieces import Episode
from bt_margin.studies.result import Run
from bt_margin.studies.sentences import refusal

MODES = ("cross", "isolated")
_LIQUIDATED = ("liquidation", "funding breach")
_NAMED = {
    "cash": "the cash at the start",
    "refused": "refused orders",
    "actions": "margin moved or orders cancelled",
    "sizes": "orders of another size",
    "compounding": "compounding",
    "transfers": "deposits and withdrawals",
    "other": "the rest",
}
#: What the result of a single run is made of: the columns of the summary that sum to it.
_MADE_OF = {
    "prices": "price_result",
    "fees": "fees",
    "funding": "funding",
    "interest": "interest",
    "liquidation fees": "liquidation_fees",
    "slippage": "slippage",
    "the insurance fund": "shortfall",
}


def verdict(comparison: Comparison) -> str:
    """Who ended with what, what parted them and when, and what share of the difference each cause is."""
    label = "On this SYNTHETIC market: " if comparison.synthetic else ""
    told = _alone(comparison) if len(comparison.runs) == 1 else _several(comparison)
    return f"{label}{told if label else _capital(told)}"


def _capital(text: str) -> str:
    """The names of the two modes begin a sentence with a capital; other names stay as they were given."""
    return text[:1].upper() + text[1:] if text.startswith((*MODES, "best of ")) else text


# -- two runs or more ---------------------------------------------------------------------------


def _several(comparison: Comparison) -> str:
    """The best against the worst."""
    ranked = sorted(comparison.runs.values(), key=lambda run: -run.final)
    best, worst = ranked[0], ranked[-1]
    names = [run.name for run in comparison.runs.values() if run in (best, worst)]
    if len(names) < 2 or comparison.first.name not in names:
        names = [best.name, worst.name]
    pair = between(comparison, names[0], names[1])
    led = max(pair.episodes, key=lambda piece: abs(piece.worth), default=None)
    if abs(best.final - worst.final) < grain(best.currency):
        return f"{_same(comparison)} {_came_to_the_same(comparison, pair)}"
    fates = {run.name: _fate(comparison, run, led) for run in (best, worst)}
    if len(ranked) == 2:
        first = f"{best.name} {fates[best.name]}; {worst.name} {fates[worst.name]}"
    else:
        first = (
            f"best of {len(ranked)} runs, {best.name} {fates[best.name]}; "
            f"the last of them, {worst.name}, {fates[worst.name]}"
        )
    return f"{first}. {_difference(comparison, pair, led)}"


def _fate(comparison: Comparison, run: Run, led: Episode | None) -> str:
    """What befell a run, and with what it ended."""
    ended = f"ended with {_end(comparison, run)}"
    died = _death(run)
    if died is not None:
        fell = _fallen_at(run, died)
        how = f" ({plural(fell, 'position')} liquidated)" if fell else ""
        lost = f"lost everything on {moment(died)}{how}"
        return (
            f"{lost}, was given new money and {ended}" if run.final >= grain(run.currency) else lost
        )
    if led is None or led.run != run.name or led.event is None:
        return ended
    return f"{_befell(comparison, run, led)} and {ended}"


def _end(comparison: Comparison, run: Run) -> str:
    """The final equity and the return, deposits left out."""
    made = float(comparison.summary["total_return"].loc[run.name])
    return f"{money(run.final, run.currency)} {run.currency} ({change(made)})"


def _befell(comparison: Comparison, run: Run, led: Episode) -> str:
    """The event that opened the episode, as a clause without its subject."""
    event = run.broker.events[led.event]
    if event.kind == "liquidation":
        name = short_names(comparison).get(event.symbol, event.symbol)
        side = "short" if (event.size or 0.0) > 0 else "long"
        part = "" if event.info.get("whole", True) else "part of "
        count = liquidation_count(run)
        among = f"was liquidated {_times(count)}, the dearest time out of" if count > 1 else "lost"
        lost = f"{among} {part}its {name} {side}"
        return f"{lost}{'' if count > 1 else ' to liquidation'} on {moment(event.time)}"
    return led.brief.removeprefix(f"{run.name} ")


def _difference(comparison: Comparison, pair: Pair, led: Episode | None) -> str:
    """What the difference is made of."""
    unit = pair.first.currency
    told = _families(pair, led)
    gap = f"{money(abs(pair.gap), unit)} {unit}"
    shares = in_shares(told, pair.gap)
    sign = math.copysign(1.0, pair.gap)
    made = shares or "what was left of " + in_amounts(
        {name: sign * value for name, value in told.items()}, abs(pair.gap), unit
    )
    text = f"difference of {gap} is {made}"
    if led is not None and led.event is None and led.brief:
        return f"They parted when {led.brief}; the {text}."
    begun = _began(comparison, pair, led)
    return f"The {text}{begun}."


def _began(comparison: Comparison, pair: Pair, led: Episode | None) -> str:
    """How the end of an account began, where that was before and has not been told yet."""
    for name in (pair.first.name, pair.other.name):
        died = _death(comparison.runs[name])
        if died is None:
            continue
        for piece in pair.episodes:
            opened, closed = (int(t.timestamp() * 1000) for t in (piece.opened, piece.closed))
            known = piece is led and _death(comparison.runs[piece.run]) is None
            if known or not piece.brief or _same_moment(pair, piece, died):
                continue
            if opened < died <= closed:
                return f"; it began when {piece.brief}"
    return ""


def _same_moment(pair: Pair, piece: Episode, died: int) -> bool:
    """Whether a death fell into the bar that opened the episode."""
    opened = int(piece.opened.timestamp() * 1000)
    after = int(np.searchsorted(pair.first.times, opened, side="right"))
    return after >= len(pair.first.times) or died < int(pair.first.times[after])


def _families(pair: Pair, led: Episode | None) -> dict[str, float]:
    """The steps by name, those of liquidations together."""
    steps = dict(pair.steps)
    forced = sum(steps.pop(key, 0.0) for key in FAMILY)
    named = {_name(pair, key, led): value for key, value in steps.items()}
    return named if not forced else {_forced(pair, led): forced} | named


def _forced(pair: Pair, led: Episode | None) -> str:
    """What liquidations did, all of it: in their bars, in the positions missing since, and their costs."""
    count = sum(piece.liquidations for piece in pair.episodes if piece.kind in _LIQUIDATED)
    known = led is not None and led.kind in _LIQUIDATED
    what = ("that" if known else "one") + " liquidation" if count == 1 else "liquidations"
    steps = pair.steps
    since = abs(steps.get("afterwards", 0.0))
    whole = sum(abs(steps.get(key, 0.0)) for key in FAMILY)
    return (
        f"{what} and {'its' if count == 1 else 'their'} aftermath" if since > 0.05 * whole else what
    )


def _name(pair: Pair, key: str, led: Episode | None) -> str:
    """A step in a sentence."""
    if key == "refused" and pair.counts.get(key) == 1 and led is pair.led.get(key):
        return "that refused order"
    return _NAMED.get(key, LABELS[key])


# -- ends that are equal ------------------------------------------------------------------------


def _same(comparison: Comparison) -> str:
    """All ended with the same."""
    runs = list(comparison.runs.values())
    who = "Both" if len(runs) == 2 else "All"
    deaths = [(run.name, time) for run in runs if (time := _death(run)) is not None]
    if len(deaths) == len(runs) and runs[0].final < grain(runs[0].currency):
        times = {time for _, time in deaths}
        when = ", ".join(f"{name} on {moment(time)}" for name, time in deaths)
        return f"{who} lost everything{f' on {moment(times.pop())}' if len(times) == 1 else f': {when}'}."
    return f"{who} ended with {_end(comparison, runs[0])}."


def _came_to_the_same(comparison: Comparison, pair: Pair) -> str:
    """Why equal ends are equal: the runs never parted, or what they lost and won came to the same."""
    runs = list(comparison.runs.values())
    if not comparison.divergence.episodes:
        return _nothing(runs)
    apart = f"They were apart {_times(len(pair.episodes))}"
    if not pair.steps:
        return f"{apart}, and it came to the same."
    told = in_amounts(_families(pair, None), 0.0, pair.first.currency)
    return f"{apart}, and it came to the same: {told}."


def _nothing(runs: list[Run]) -> str:
    """Why runs never parted."""
    kinds = [run.events["kind"].value_counts() for run in runs]
    filled = any(count.get("fill", 0) for count in kinds)
    refused = [int(count.get("rejected", 0)) for count in kinds]
    both = "both" if len(runs) == 2 else "all runs" if len(runs) > 2 else ""
    if not filled and all(refused):
        first = next(event for event in runs[0].broker.events if event.kind == "rejected")
        why = refusal(first, runs[0].currency)
        many = f"all {max(refused):,} orders were" if max(refused) > 1 else "the only order was"
        where = f" in {both}" if both else ""
        return f"Nothing parted them: {many} refused{where} (the first one {why})."
    if not filled:
        return "Nothing parted them: no order was filled."
    return "Nothing parted them: no liquidation, no refused order, no margin action in one alone."


# -- one run ------------------------------------------------------------------------------------


def _alone(comparison: Comparison) -> str:
    """A run without another to compare it with."""
    run = comparison.first
    unit, fell = run.currency, liquidation_count(run)
    after = f"after {plural(fell, 'liquidation')}" if fell else "and was never liquidated"
    first = f"{run.name} {_fate(comparison, run, None)}"
    first += f" {after}." if _death(run) is None else "."
    if not any(event.kind == "fill" for event in run.broker.events):
        return f"{first} {_nothing([run]).replace('Nothing parted them: ', '').capitalize()}"
    parts = {name: float(comparison.summary[key].loc[run.name]) for name, key in _MADE_OF.items()}
    made = math.fsum(parts.values())
    return f"{first} Its result of {signed_money(made, unit)} {unit} is {in_amounts(parts, made, unit)}."


def signed_money(value: float, unit: str) -> str:
    """An amount with its sign."""
    return signed(lambda amount: money(amount, unit), value)


def liquidation_count(run: Run) -> int:
    """How often the venue closed a position of a run."""
    return int((run.events["kind"] == "liquidation").sum())


def _death(run: Run) -> int | None:
    """When an account first had nothing left."""
    return next((event.time for event in run.broker.events if event.kind == "dead"), None)


def _fallen_at(run: Run, time: int) -> int:
    """How many positions the venue closed in the moment an account died."""
    return sum(e.kind == "liquidation" and e.time == time for e in run.broker.events)


def _times(count: int) -> str:
    """never, once, twice, 3 times."""
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count:,} times")
