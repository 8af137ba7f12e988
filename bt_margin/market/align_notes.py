"""What alignment found, as counts and as the sentences a report prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bt_margin.market.align_bars import Placed, name_of
from bt_margin.market.align_funding import Policy, Settled
from bt_margin.market.kinds import Grid


def when(time: int) -> str:
    """A time as people write it.

    >>> when(1_704_067_200_000)
    '2024-01-01 00:00 UTC'
    """
    return f"{pd.Timestamp(time, unit='ms', tz='UTC'):%Y-%m-%d %H:%M} UTC"


def share(part: int, whole: int) -> float:
    """part / whole; 0 of nothing."""
    return part / whole if whole else 0.0


def of(part: int, whole: int, things: str) -> str:
    """`12 of 8,784 bars (0.14 %)`."""
    return f"{part:,} of {whole:,} {things} ({share(part, whole):.2%})"


def mark_counts(placed: Placed, policy: str) -> dict[str, Any]:
    """Bars with a true, a proxy and no mark, their shares, and where the marks come from."""
    bars, missing, proxy = len(placed.proxy), int(placed.missing.sum()), int(placed.proxy.sum())
    return {
        "true": bars - missing - proxy,
        "proxy": proxy,
        "missing": missing,
        "policy": policy,
        "timeframe": name_of(placed.step) if placed.step else None,
        "share_true": share(bars - missing - proxy, bars),
        "share_proxy": share(proxy, bars),
        "share_missing": share(missing, bars),
        "longest": placed.longest,
        "extremes_missed": placed.missed,
        "furthest_missed": placed.furthest,
    }


def funding_counts(settled: Settled, policy: Policy, unplaced: int) -> dict[str, Any]:
    """Settlements of the venue, missing and filled ones, and the intervals the stamps show."""
    due = settled.true + len(settled.missing)
    return {
        "settlements": settled.true,
        "missing": len(settled.missing),
        "filled": settled.filled,
        "policy": str(policy),
        "intervals_found": dict(settled.intervals),
        "share_missing": share(len(settled.missing), due),
        "share_filled": share(settled.filled, due),
        "unanswered": settled.unanswered,
        "unplaced": unplaced,
        "jitter_ms": settled.jitter,
    }


def mark_notes(placed: Placed, timeframe: str, policy: str, why: str | None) -> list[str]:
    """How marks that are missing were dealt with; nothing to say when every bar has its own."""
    bars, missing, proxy = len(placed.proxy), int(placed.missing.sum()), int(placed.proxy.sum())
    said = []
    if proxy and policy == "clip":
        said.append(
            f"{of(proxy, bars, 'bars')} had marks of {name_of(placed.step)} only: their last prices "
            f"were clipped into the mark's low and high (policy clip). An extreme of "
            f"{of(placed.missed, placed.around, 'mark bars')} was not reached, by at most "
            f"{placed.furthest:.2%}, which errs towards fewer liquidations."
        )
    elif proxy:
        said.append(
            f"{of(proxy, bars, 'bars')} had no mark of their own, at most {placed.longest:,} in a "
            "row: the last known mark was held flat (policy hold), which has no wicks and errs "
            "towards fewer liquidations."
        )
    if missing == bars and not placed.step:
        reason = why or "none for these bars"
        said.append(f"No mark prices ({reason}): every bar was judged by the last price.")
    elif missing and placed.step and Grid.of(timeframe).step < placed.step and policy == "skip":
        said.append(
            f"The marks are of {name_of(placed.step)}, coarser than the bars of {timeframe}, and were "
            f"not used: all bars were judged by the last price (policy {policy}; clip would use them)."
        )
    elif missing:
        said.append(
            f"{of(missing, bars, 'bars')} had no mark, at most {placed.longest:,} in a row: judged by "
            f"the last price (policy {policy})."
        )
    return said


def funding_notes(settled: Settled, policy: Policy, unplaced: int, why: str | None) -> list[str]:
    """What was missing and charged instead, changed intervals, settlements without a bar."""
    said = []
    missing, filled = len(settled.missing), settled.filled
    due = settled.true + missing
    if missing and not settled.true:
        said.append(
            f"No funding rates ({why or 'none for these bars'}): {_done(policy, missing, filled)}."
        )
    elif missing:
        said.append(
            f"{of(missing, due, 'funding settlements')} are missing, the first at "
            f"{when(int(settled.missing[0]))}: {_done(policy, missing, filled)}."
        )
    usual = {name: n for name, n in settled.intervals.items() if n > 1}
    if len(usual) > 1:
        seen = ", ".join(f"{n:,} times {name}" for name, n in usual.items())
        said.append(f"The funding interval changes: {seen}.")
    if unplaced:
        some = "1 funding settlement falls" if unplaced == 1 else f"{unplaced:,} settlements fall"
        said.append(
            f"{some} where there is no bar; a position held across is charged at the last mark."
        )
    return said


def _done(policy: Policy, missing: int, filled: int) -> str:
    """What a policy did about missing settlements."""
    if policy.name == "constant":
        return f"the rate {policy.rate:.4%} was charged at each of {filled:,} (policy {policy})"
    if policy.name == "hold":
        rest = f"; {missing - filled:,} had none before them" if filled < missing else ""
        return f"the previous rate was repeated (policy hold){rest}"
    return f"nothing was charged there (policy {policy})"


def bar_notes(counts: Mapping[str, Any], timeframe: str) -> list[str]:
    """Bars that are not there, and why as far as it is known."""
    said = []
    if counts["partial"]:
        said.append(
            f"{counts['partial']:,} bars of {timeframe} were left out, because finer bars they are "
            "made of are missing."
        )
    if counts["holes"] > counts["partial"]:
        said.append(f"{counts['holes']:,} bars inside the data are missing and stay so.")
    return said
