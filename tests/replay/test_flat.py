"""The flat formulas say what the classes of core say, to the last bit."""

from __future__ import annotations

import random

import pytest

from bt_margin.core import flat
from bt_margin.core.contract import Contract
from bt_margin.core.health import Leg
from bt_margin.core.liquidation import bankruptcy_price
from bt_margin.core.position import change
from bt_margin.core.size_steps import started_steps
from bt_margin.core.tiers import TierTable
from bt_margin.engine.pool import Position
from bt_margin.venues.margin_by_contracts import tier_number
from bt_margin.venues.margin_by_level import initial_rate, opening_share
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


@pytest.mark.parametrize("table", TABLES)
def test_amounts_on_top_ask_for_the_same(table: TierTable) -> None:
    caps, rates, cuts, _ = rows(table)
    last, draw = len(caps), random.Random(3)
    for _ in range(200):
        value, amount = 10 ** draw.uniform(1, 7), draw.uniform(0.0, 500.0)
        raised, high = table.raised(amount), value * (1 + draw.random())
        asked = flat.maintenance(caps, rates, cuts, 2, last, value, 0.0, amount)
        assert asked == raised.maintenance(value)
        stepped = table.stepped
        bound = flat.maintenance_bound(
            caps, rates, cuts, 2, last, stepped, value, high, 0.0, amount
        )
        assert bound == raised.maintenance_bound(value, high)
        money, cost = (draw.uniform(0.0, 0.02 * value), draw.uniform(0.0, 3.0)), 0.001
        found = enough(*money, value, raised, cost, 0.9)
        one = flat.enough(caps, rates, cuts, 2, last, money, value, cost, 0.9, 0.0, amount)
        assert one == (-1.0 if found is None else found)


@pytest.mark.parametrize("table", TABLES)
def test_levels_and_counts_say_the_same(table: TierTable) -> None:
    caps, _, _, _ = rows(table)
    openings = [0.9, 0.9, *[initial_rate(tier) for tier in table.tiers]]
    last, draw = len(caps), random.Random(4)
    edges = [edge * (1.0 + noise) for edge in table.edges for noise in (0.0, 1e-13, 1e-11)]
    for value in [10 ** draw.uniform(1, 7) for _ in range(200)] + edges:
        assert flat.opening_share(caps, openings, 2, last, value) == opening_share(table, value)
        assert flat.tier_of_count(caps, 2, last, value) == tier_number(table, -value) + 1


def test_steps_of_size_are_those_that_have_started() -> None:
    draw = random.Random(5)
    for _ in range(500):
        size = draw.choice([draw.uniform(0.0, 40.0), 9.0 + 1.5 * draw.randint(0, 20)])
        steps = started_steps(size, 9.0, 1.5)
        assert flat.stepped_fraction(-size, 0.05, 0.01, 9.0, 1.5) == min(1, 0.05 + 0.01 * steps)


@pytest.mark.parametrize("contract", [LINEAR, INVERSE])
def test_fees_of_closing_stand_beside_the_bankruptcy_price(contract: Contract) -> None:
    draw, taker = random.Random(6), 0.00055
    for _ in range(200):
        size, entry, leverage = draw.gauss(0, 50), draw.uniform(10, 60_000), draw.uniform(2, 100)
        fee = flat.closing_fee(
            float(contract.kind == "inverse"), size, contract.multiplier, entry, leverage, taker
        )
        balance = contract.notional(size, entry) / leverage + fee
        price = bankruptcy_price([Leg(contract, size, entry, TABLES[2])], balance, fee_rate=taker)
        assert price is not None
        assert contract.notional(size, price) * taker == pytest.approx(fee, rel=1e-9)
        own = flat.closing_fee_of_balance(
            float(contract.kind == "inverse"), size, contract.multiplier, entry, balance, taker
        )
        assert own == pytest.approx(fee, rel=1e-9)
