"""Margin calls: a pool's margin ratio at the close rises to a threshold, or falls well below it again.

Each threshold calls once and is cleared when the ratio is back below ``RELEASE`` of it (hysteresis), so a
ratio that trembles around 80 % calls once, not every bar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bt_margin.engine.pool import Pool

if TYPE_CHECKING:
    from bt_margin.engine.account import Account

RELEASE = 0.9
"""A call at threshold t is cleared when the ratio falls below RELEASE · t."""


def check_margin_calls(account: Account) -> None:
    """Raise and clear margin calls of every pool by its ratio at the marks."""
    lowest = account.lowest_call
    for pool in account.pools.values():
        if not pool.positions:
            pool.called = ()
            continue
        equity, need = pool.backing(), pool.shared
        for p in pool.positions:
            equity += p.gain(p.entry, p.mark)
            need += p.table.maintenance(p.notional_at(p.mark))
        if need >= lowest * equity or pool.called:
            _judge(account, pool, need / equity if equity > 0 else float("inf"))


def _judge(account: Account, pool: Pool, ratio: float) -> None:
    for threshold in account.margin_calls:
        called = threshold in pool.called
        if ratio >= threshold and not called:
            pool.called = (*pool.called, threshold)
            account.record(
                "margin_call", pool=pool, found=ratio, allowed=threshold,
                reason=f"margin ratio {ratio:.1%} has reached {threshold:.0%}",
            )  # fmt: skip
        elif called and ratio < RELEASE * threshold:
            pool.called = tuple(t for t in pool.called if t != threshold)
            account.record(
                "margin_call_cleared", pool=pool, found=ratio, allowed=RELEASE * threshold,
                reason=f"margin ratio is back at {ratio:.1%}",
            )  # fmt: skip
