"""What would have saved a position: less does not, a little more does."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pytest
from studies.test_trades import RULES, Wild, walk
from studies.worlds import BTC, ETH, Hold, flat_venue, frame

from bt_margin.studies.prices import HOUR, Bars, bars_of
from bt_margin.studies.rescue import Rescue, rescues
from bt_margin.studies.run import run

CRASH = [100.0, 100.0, 100.0, 100.0, 92.0, 96.0, *[97.0] * 6]
LOWS = {4: 87.0, 7: 83.0}


class Rescued(bt.Strategy):
    """Holds a position of five times the equity, and puts more margin behind it in the third bar."""

    params = (("extra", 0.0), ("side", 1.0))

    def next(self) -> None:
        if len(self) == 1:
            self.order_target_percent(target=5.0 * self.p.side)
        elif len(self) == 3 and self.p.extra > 0.0:
            self.broker.add_margin(BTC, self.p.extra)


def held(extra: float) -> Any:
    bars = frame(CRASH, lows=LOWS, mark_lows=LOWS)
    params = {"extra": extra}
    rules = flat_venue()
    return run(
        Rescued, {BTC: bars}, params=params, venue=rules, leverage=10, margin_mode="isolated",
        cash=1_000.0,
    )  # fmt: skip


def fallen(made: Any) -> list[int]:
    """The bars of the liquidations."""
    times = made.events.loc[made.events["kind"] == "liquidation", "time"]
    return [int(made.equity.index.searchsorted(t, side="right")) - 1 for t in times]


def only(made: Any) -> Rescue:
    (found,) = rescues(made, bars_of(made)).values()
    return found


def test_a_cent_less_does_not_save_it_and_a_cent_more_does() -> None:
    plain = held(0.0)
    assert fallen(plain) == [4]
    found = only(plain)
    assert found.exact
    assert found.bar is not None
    assert fallen(held(found.bar - 0.01)) == [4]
    assert fallen(held(found.bar + 0.01)) == [7]


def test_the_week_is_known_only_where_there_is_data_of_it() -> None:
    assert only(held(0.0)).week is None
    bars = frame([*CRASH, *[97.0] * 200], lows=LOWS, mark_lows=LOWS)
    made = run(
        Hold, {BTC: bars}, venue=flat_venue(), leverage=10, margin_mode="isolated", cash=1_000.0
    )
    found = only(made)
    assert found.week is not None
    assert found.bar is not None
    size = next(-e.size for e in made.broker.events if e.kind == "liquidation")
    assert found.week - found.bar == pytest.approx(size * (87.0 - 83.0) * (1.0 - 0.005))


def test_several_positions_are_a_bound() -> None:
    bars = frame(CRASH, lows=LOWS, mark_lows=LOWS)
    made = run(
        Hold, {BTC: bars, ETH: bars}, venue=flat_venue(), leverage=10, cash=1_000.0,
        params={"exposure": 9.0},
    )  # fmt: skip
    found = rescues(made, bars_of(made))
    assert found
    assert not any(each.exact for each in found.values())


def test_a_breach_at_the_open_lacks_at_least_what_was_missing() -> None:
    bars = frame([100.0, 100.0, 100.0, 85.0, 85.0])
    bars.iloc[3, bars.columns.get_indexer(["open", "mark_open", "high", "mark_high"])] = 85.0
    made = run(Hold, {BTC: bars}, venue=flat_venue(), leverage=10, margin_mode="isolated")
    breach = next(e for e in made.broker.events if e.kind == "breach")
    found = only(made)
    assert found.bar == pytest.approx(breach.found - breach.allowed)


@pytest.mark.parametrize("seed", range(4))
def test_law_what_saves_a_bar_is_at_least_what_lacked_and_the_week_asks_no_less(seed: int) -> None:
    made = run(
        Wild, {BTC: walk(seed, 400), ETH: walk(seed + 9, 400)}, params={"seed": seed},
        venue=RULES, leverage=10, margin_mode="isolated", cash=1_000.0,
    )  # fmt: skip
    events = made.broker.events
    found = rescues(made, bars_of(made))
    assert set(found) == {e.id for e in events if e.kind == "breach"}
    for number, each in found.items():
        assert each.bar is not None
        assert each.bar >= events[number].found - events[number].allowed - 1e-9
        assert each.week is None or each.week >= each.bar


def test_prices_are_those_of_the_last_bar_that_ended() -> None:
    steps = np.arange(4, dtype=np.int64) * HOUR
    prices = np.array([1.0, 2.0, 3.0, 4.0])
    bars = Bars(steps, HOUR, *[prices] * 7)
    found = [bars.price_at(t) for t in (0, HOUR - 1, HOUR, 2 * HOUR + 1, 4 * HOUR, 4 * HOUR + 1)]
    assert found == [None, None, 1.0, 2.0, 4.0, None]
    assert (bars.at(-1), bars.at(0), bars.at(HOUR - 1), bars.at(9 * HOUR)) == (-1, 0, 0, 3)


def test_marks_stand_before_last_prices() -> None:
    bars = frame(CRASH, lows={4: 80.0}, mark_lows={4: 90.0})
    made = run(Hold, {BTC: bars}, venue=flat_venue(), leverage=2)
    assert bars_of(made)[BTC].mark_low[4] == 90.0
    bare = run(
        Hold, {BTC: frame(CRASH, lows={4: 80.0}, marks=False)}, venue=flat_venue(), leverage=2
    )
    assert bars_of(bare)[BTC].mark_low[4] == 80.0
