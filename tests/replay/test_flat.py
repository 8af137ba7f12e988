"""The flat formulas say what the classes of core say, to the last bit."""

from __future__ import annotations

import random

import pytest

from bt_margin.core import flat
from bt_margin.core.contract import Contract
from bt_margin.core.position import change
from bt_margin.core.tiers import TierTable
from bt_margin.engine.pool import Position
from bt_margin.venues.policies import enough

LINEAR = Contract("X", multiplier=0.01)
INVERSE = Contract("Y", kind="inverse", multiplier=100.0, settle="BTC")
TABLES = (
    TierTable.of([(50_000, 0.004, 0, 125), (250_000, 0.005, None, 100), (None, 0.01, None, 50)]),
    TierTable.of([(50_000, 0.004, 0, 125), (None, 0.1, 0.0, 10)], stepped=True),
    TierTable.flat(0.02, 50),
)


def rows(table: TierTable) -> tuple[list[float], list[float], list[float], list[float]]:
    """Caps, rates, deductions and leverages of a table, after two rows of another one."""
    tiers = table.tiers
    most = [float("inf") if t.max_leverage is None else t.max_leverage for t in tiers]
    return (
        [1.0, 2.0, *[t.cap for t in tiers]],
        [0.9, 0.9, *[t.mmr for t in tiers]],
        [0.0, 0.0, *[t.deduction for t in tiers]],
        [1.0, 1.0, *most],
    )


@pytest.mark.parametrize("table", TABLES)
def test_tiers_ask_for_the_same(table: TierTable) -> None:
    caps, rates, cuts, most = rows(table)
    last, draw = len(caps), random.Random(1)
    values = [10 ** draw.uniform(1, 7) for _ in range(300)] + list(table.edges)
    for value in values:
        assert flat.maintenance(caps, rates, cuts, 2, last, value) == table.maintenance(value)
        high = value * (1 + draw.random())
        bound = flat.maintenance_bound(caps, rates, cuts, 2, last, table.stepped, value, high)
        assert bound == table.maintenance_bound(value, high)
        leverage = draw.uniform(1, 200)
        assert flat.largest_notional(caps, most, 2, last, leverage) == table.cap(leverage)
        money = (draw.uniform(-10, 0.02 * value), draw.choice([0.0, 0.001 * value]))
        cost, target = draw.choice([0.0, 0.005, 0.0125]), draw.uniform(0.3, 0.95)
        found = enough(money[0], money[1], value, table, cost, target)
        one = flat.enough(caps, rates, cuts, 2, last, money, value, cost, target)
        assert one == (-1.0 if found is None else found)


@pytest.mark.parametrize("contract", [LINEAR, INVERSE])
def test_positions_are_worth_and_change_the_same(contract: Contract) -> None:
    draw, inverse = random.Random(2), float(contract.kind == "inverse")
    p = Position(contract, 5.0, "cross", TABLES[0])
    for _ in range(500):
        size, price = draw.choice([0.0, draw.gauss(0, 50)]), draw.uniform(10, 60_000)
        entry, fill = draw.uniform(10, 60_000), draw.choice([-size, draw.gauss(0, 50)])
        unit = contract.multiplier
        assert flat.notional(inverse, size, unit, price) == contract.notional(size, price)
        assert flat.worth(inverse, price) == contract.worth(price)
        p.size, p.entry = size, entry
        assert flat.exposure(inverse, size, unit, price) == p.notional_at(price)
        assert flat.gain(inverse, size, unit, entry, price) == p.gain(entry, price)
        if fill:
            own = flat.changed(inverse, unit, size, entry, fill, price)
            assert tuple(own) == tuple(change(contract, size, entry, fill, price))
