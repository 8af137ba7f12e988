"""The events that part two runs, told: which run, when, which price, which margin."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bt_margin.studies.amounts import grain, money, price
from bt_margin.studies.breaches import breach_behind, funding_behind
from bt_margin.studies.divergence import Track

_REASONS = {
    "margin": "needs {found} of margin, {allowed} are available",
    "lot": "is smaller than one lot of {allowed}",
    "min_notional": "is worth {found}, less than the smallest order of {allowed}",
    "leverage_cap": "makes a position worth {found}, at this leverage {allowed} are allowed",
    "dead": "comes from an account that has nothing left",
}


def when(ms: int) -> str:
    """A time for a sentence.

    >>> when(1_760_130_000_000)
    '2025-10-10 21:00 UTC'
    """
    return f"{pd.Timestamp(ms, unit='ms', tz='UTC'):%Y-%m-%d %H:%M} UTC"


def size_text(value: float | None, symbol: str | None) -> str:
    """A signed size in words.

    >>> size_text(-0.5, "BTC/USDT:USDT")
    'sell 0.5 of BTC/USDT:USDT'
    """
    if value is None:
        return f"trade {symbol}"
    return f"{'buy' if value > 0 else 'sell'} {abs(value):,.6g} of {symbol}"


def at_mark(track: Track, event: Any) -> str:
    """The price a verdict was made at; the last price where the symbol has no mark."""
    what = "last price" if event.symbol in track.bare else "mark"
    return f"at the {what} {price(event.mark)}"


def liquidation_brief(track: Track, event: Any) -> str:
    """Who was liquidated out of what, and when."""
    held = "position" if event.size is None else "long" if event.size < 0 else "short"
    return f"{track.name} was liquidated out of its {event.symbol} {held} at {when(event.time)}"


def liquidation(track: Track, event: Any) -> str:
    """One liquidation: which mark, which equity, which maintenance; no full stop."""
    events = [note.event for note in track.notes]
    decided = breach_behind(event, events) or event
    text = liquidation_brief(track, event)
    if event.mark is not None:
        text += f" {at_mark(track, event)}"
    if decided.found is not None and decided.allowed is not None:
        text += f": {verdict_text(decided.allowed, decided.found, track.currency)}"
    paid = funding_behind(event, events)
    return f"{text}{f', after paying {money(paid, track.currency)} of funding' if paid else ''}"


def verdict_text(equity: float, need: float, unit: str = "USDT") -> str:
    """How a pool's equity stood to its maintenance margin when it was liquidated.

    >>> verdict_text(73.28, 73.28)
    'its equity had fallen to the maintenance margin of 73.28'
    >>> verdict_text(-10.0, 73.28)
    'its equity of -10.00 was already below the maintenance margin of 73.28'
    """
    wanted = money(need, unit)
    if need - equity <= 1e-6 * abs(need) + grain(unit):
        return f"its equity had fallen to the maintenance margin of {wanted}"
    return (
        f"its equity of {money(equity, unit)} was already below the maintenance margin of {wanted}"
    )


def refusal(event: Any, unit: str) -> str:
    """Why an order was refused, with the two numbers: ``needs 2,000.00 of margin, …``."""
    known = _REASONS.get(event.reason)
    if known is None:
        return f"is refused ({event.reason.replace('_', ' ')})"
    numbers = {"found": event.found, "allowed": event.allowed}
    show = {
        name: price(value) if event.reason == "lot" else money(value, unit)
        for name, value in numbers.items()
    }
    return known.format(**show)


def rejection_brief(track: Track, event: Any) -> str:
    """Who was refused which order, and when."""
    order = size_text(event.size, event.symbol)
    return f"{track.name} was refused an order to {order} at {when(event.time)}"


def rejection(track: Track, peer: Track, event: Any) -> str:
    """An order one account could not carry."""
    text = f"{track.name} was refused an order at {when(event.time)}"
    order = size_text(event.size, event.symbol)
    return f"{text}: to {order} {refusal(event, track.currency)}; {peer.name} was not."


def action(track: Track, event: Any) -> str:
    """Margin moved, or leverage or mode changed; no full stop."""
    what = {
        "top_up": "topped its margin up by",
        "transfer": "moved margin of",
        "leverage": "changed the leverage",
        "margin_mode": "changed the margin mode",
        "refused": "was refused a margin action",
    }[event.kind]
    number = f" {money(event.amount, track.currency)}" if event.amount is not None else ""
    where = f" for {event.symbol}" if event.symbol else ""
    reason = f" ({event.reason.replace('_', ' ')})" if event.reason else ""
    return f"{track.name} {what}{number}{where} at {when(event.time)}{reason}"
