"""What a difference is made of, in words whose numbers add up as they are read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bt_margin.report.numbers import money, signed
from bt_margin.studies.amounts import grain, is_cash

MOST = 3  # causes that are named; what is left is the rest
LARGEST = 2.0  # shares above 200 % say nothing: then amounts are told
REST = "the rest"


def in_shares(parts: Mapping[str, float], whole: float) -> str | None:
    """The parts of a whole in whole per cent, those against it taken off: they sum to 100.

    None where a share would be too large to mean anything.

    >>> in_shares({"that liquidation": 71.0, "funding": 40.0, "fees": -11.0}, 100.0)
    '71 % that liquidation and 40 % funding, less 11 % fees'
    >>> in_shares({"fees": -5.0}, -5.0)
    'down to fees alone'
    >>> in_shares({"fees": 500.0, "funding": -499.0}, 1.0) is None
    True
    """
    if not whole or not parts:
        return None
    shares = {name: value / whole for name, value in parts.items()}
    if max(abs(share) for share in shares.values()) > LARGEST:
        return None
    rounded = dict(zip(shares, whole_per_cent(list(shares.values())), strict=True))
    kept = _largest(rounded)
    with_it = [f"{share} % {name}" for name, share in kept.items() if share > 0]
    against = [f"{-share} % {name}" for name, share in kept.items() if share < 0]
    if not against and len(with_it) == 1:
        return f"down to {next(iter(kept))} alone"
    return joined(with_it) + (f", less {joined(against)}" if against else "")


def in_amounts(parts: Mapping[str, float], whole: float, unit: str) -> str:
    """The parts of a whole as signed amounts; as they are written they sum to the whole as it is written.

    >>> in_amounts({"liquidations": 500.004, "funding": -499.0}, 1.004, "USDT")
    'liquidations +500.00 and funding -499.00'
    """
    grains = 10.0 ** (2 if is_cash(unit) else 8)
    kept = _largest({name: value for name, value in parts.items() if abs(value) >= grain(unit)})
    rest = whole - sum(value for name, value in kept.items() if name != REST)
    kept = {name: value for name, value in kept.items() if name != REST}
    if abs(rest) >= 1.5 * (len(kept) + 1) * grain(unit):
        kept[REST] = rest
    read = _whole([value * grains for value in kept.values()], round(whole * grains))
    told = [
        f"{name} {signed(lambda amount: money(amount, unit), value / grains)}"
        for name, value in zip(kept, read, strict=True)
    ]
    return joined(told) or "nothing"


def whole_per_cent(shares: Sequence[float]) -> list[int]:
    """Shares of one in whole per cent that sum to 100, each within one of its own.

    >>> whole_per_cent([1 / 3, 1 / 3, 1 / 3]), whole_per_cent([1.105, -0.105])
    ([34, 33, 33], [111, -11])
    """
    exact = [100.0 * share for share in shares]
    return _whole(exact, round(sum(exact)))


def _whole(exact: Sequence[float], total: int) -> list[int]:
    """Whole numbers near these that sum to ``total``: the largest remainders are rounded up first."""
    down = [math.floor(value) for value in exact]
    order = sorted(range(len(exact)), key=lambda i: (down[i] - exact[i], i))
    missing = total - sum(down)
    for place, i in enumerate(order):
        down[i] += missing // len(order) + (place < missing % len(order))
    return down


def joined(items: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([", ".join(items[:-1]), items[-1]]) if len(items) > 1 else "".join(items)


def _largest(parts: Mapping[str, float]) -> dict[str, float]:
    """The parts that matter most, the largest first, and what is left of them; nothing of 0."""
    ordered = sorted(parts, key=lambda name: -abs(parts[name]))
    named = [name for name in ordered if parts[name] and name != REST]
    kept = {name: parts[name] for name in (named if len(named) <= MOST + 1 else named[:MOST])}
    rest = sum(parts.values()) - sum(kept.values())
    return kept | {REST: rest} if rest else kept
