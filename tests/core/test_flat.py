"""The flat formulas where tables end and nothing is left to keep; tests/replay compares the rest."""

from __future__ import annotations

import pytest

from bt_margin.core import flat
from bt_margin.core.tiers import TierTable
from bt_margin.venues.policies import enough

ENDED = TierTable.of([(50_000, 0.004, 0, 125), (250_000, 0.005, None, 100)])
CAPS = [tier.cap for tier in ENDED.tiers]
RATES = [tier.mmr for tier in ENDED.tiers]
CUTS = [tier.deduction for tier in ENDED.tiers]


@pytest.mark.parametrize("stepped", [0, 1])
@pytest.mark.parametrize("notional", [10_000.0, 250_000.0, 250_001.0, 1e9])
def test_above_the_last_cap_the_last_tier_holds(notional: float, stepped: int) -> None:
    table = (CAPS, RATES, CUTS, 0, 2)
    assert flat.maintenance(*table, notional) == ENDED.maintenance(notional)
    bound = flat.maintenance_bound(*table, stepped, notional, 1.5 * notional)
    assert bound == ENDED.maintenance_bound(notional, 1.5 * notional)


def test_where_only_the_whole_position_would_do_no_part_is_enough() -> None:
    """Equity 1,000 at a target of a half carries the 500 of the others and nothing besides."""
    one = TierTable.flat(0.02)
    assert enough(1_000.0, 500.0, 100_000.0, one, 0.0, 0.5) is None
    money = (1_000.0, 500.0)
    tier = one.tiers[0]
    assert flat.enough([tier.cap], [0.02], [0.0], 0, 1, money, 100_000.0, 0.0, 0.5) == -1.0


@pytest.mark.parametrize("inverse", [0, 1])
@pytest.mark.parametrize(("fill", "price"), [(0.0, 40.0), (2.0, 49.0)])
def test_adding_at_the_entry_or_nothing_keeps_it_to_the_last_bit(
    inverse: int, fill: float, price: float
) -> None:
    for size in (3.0, -3.0):
        added = fill if size > 0 else -fill
        found = flat.changed(inverse, 2.0, size, 49.0, added, price)
        assert found == (size + added, 49.0, added, 0.0, 0.0)


@pytest.mark.parametrize("inverse", [0, 1])
def test_a_change_from_nothing_and_into_nothing(inverse: int) -> None:
    assert flat.changed(inverse, 2.0, 0.0, 0.0, 3.0, 50.0) == (3.0, 50.0, 3.0, 0.0, 0.0)
    gone = flat.changed(inverse, 2.0, 3.0, 50.0, -3.0, 40.0)
    assert gone[:4] == (0.0, 0.0, 0.0, -3.0)
    assert gone.realised == pytest.approx(6 * (1 / 50 - 1 / 40) if inverse else 6 * (40 - 50))
    turned = flat.changed(inverse, 2.0, 3.0, 50.0, -5.0, 40.0)
    assert turned[:4] == (-2.0, 40.0, -2.0, -3.0)
    assert turned.realised == gone.realised
