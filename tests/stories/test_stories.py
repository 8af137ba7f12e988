"""Stories: a price path, what the strategy does, and the ledger it must leave, in each mode.

The amounts were worked out by hand; the arithmetic stands beside them. Every story begins with a flat
bar at hour 0, in which the strategy decides, and fills at the open of hour 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import pytest
from stories.world import (
    HOUR,
    START,
    A,
    B,
    Candle,
    buy,
    flat,
    frame,
    lines,
    near,
    plainly,
    play,
    sell,
)

#: an isolated 10x long from 100 falls at 90 / 0.995, a short at 110 / 1.005
FALL, RISE = 90 / 0.995, 110 / 1.005


@dataclass(frozen=True)
class End:
    """What must be left: sums of the ledger by kind, deaths (hour, symbol, price), sizes held."""

    equity: float
    deaths: list[tuple[int, str, float]] = field(default_factory=list)
    realised: float = 0.0
    fee: float = 0.0
    funding: float = 0.0
    liquidation_fee: float = 0.0
    insurance: float = 0.0
    held: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Story:
    """One path and its two ends."""

    tells: str
    candles: Mapping[str, list[Candle]]
    script: Mapping[int, Callable[[Any], Any]]
    cross: End
    isolated: End
    setting: Mapping[str, Any] = field(default_factory=dict)


def deaths(price: float, *symbols: str, hour: int = 2) -> list[tuple[int, str, float]]:
    return [(hour, symbol, near(price)) for symbol in symbols]


START_BARS = [flat(100), flat(100)]
#: 1,000 + 60·(p − 100) = 0.005·(60·p + 3,000)
CONTAGION = 5_015 / 59.7

STORIES = [
    Story(
        "a quiet round trip is the same in both modes",
        {A: [*START_BARS, flat(110), flat(110), flat(110)]},
        {0: buy(10), 2: sell(10)},
        cross=End(1_000 + 100 - 0.5 - 0.55, realised=100, fee=-1.05),
        isolated=End(1_000 + 100 - 0.5 - 0.55, realised=100, fee=-1.05),
        setting={"taker_fee": 0.0005},
    ),
    Story(
        "free cash carries a cross position through a wick that kills an isolated one",
        {A: [*START_BARS, (100, 100, 85, 99)]},
        {0: buy(10)},
        cross=End(990, held={A: 10}),
        isolated=End(900 + 10 * (FALL - 90), deaths(FALL, A), realised=10 * (FALL - 100)),
    ),
    Story(
        "a loss in one position takes the other with it in cross and stays alone in isolated",
        {A: [*START_BARS, (100, 100, 80, 82)], B: [*START_BARS, flat(100)]},
        {0: lines(buy(60), buy(30, B))},
        cross=End(
            1_000 + 60 * (CONTAGION - 100),
            [(2, A, near(CONTAGION)), (2, B, near(100))],
            realised=60 * (CONTAGION - 100),
        ),
        isolated=End(
            400 + 60 * (FALL - 90), deaths(FALL, A), realised=60 * (FALL - 100), held={B: 30}
        ),
    ),
    Story(
        "a hedge that moves as one survives in cross and loses its losing leg in isolated",
        {A: [*START_BARS, (100, 112, 100, 112)], B: [*START_BARS, (100, 112, 100, 112)]},
        {0: lines(buy(40), sell(40, B))},
        cross=End(1_000, held={A: 40, B: -40}),
        isolated=End(
            1_000 + 480 - 40 * (RISE - 100),
            deaths(RISE, B),
            realised=40 * (100 - RISE),
            held={A: 40},
        ),
    ),
    Story(
        "a gap beyond bankruptcy costs an isolated trader what was posted, a cross trader all of it",
        {A: [*START_BARS, flat(70), flat(70)]},
        {0: buy(20)},
        cross=End(400, held={A: 20}),
        isolated=End(800, deaths(70, A), realised=-600, insurance=400),
    ),
    Story(
        "a gap beyond everything leaves zero and a shortfall",
        {A: [*START_BARS, flat(85), flat(120)]},
        {0: buy(100)},
        cross=End(0, deaths(85, A), realised=-1_500, insurance=500),
        isolated=End(0, deaths(85, A), realised=-1_500, insurance=500),
    ),
    Story(
        "the liquidation fee comes out of what is left, and no further",
        {A: [*START_BARS, (100, 100, 89, 95)]},
        {0: buy(100)},
        cross=End(
            100 * (FALL - 90) - 0.002 * 100 * FALL,
            deaths(FALL, A),
            realised=100 * (FALL - 100),
            liquidation_fee=-0.2 * FALL,
        ),
        isolated=End(
            100 * (FALL - 90) - 0.002 * 100 * FALL,
            deaths(FALL, A),
            realised=100 * (FALL - 100),
            liquidation_fee=-0.2 * FALL,
        ),
        setting={"liquidation_fee": 0.002},
    ),
    Story(
        "funding eats an isolated position at a flat price: 100 − 10·9.6 = 4 ≤ 5",
        {A: [flat(100)] * 14},
        {0: buy(10)},
        cross=End(1_000 - 12 * 9.6, funding=-12 * 9.6, held={A: 10}),
        isolated=End(1_000 - 96, deaths(100, A, hour=11), funding=-96),
        setting={"funding": [(hour, 0.0096) for hour in range(1, 14)], "funding_interval": "1h"},
    ),
    Story(
        "a short is paid while the rate is positive",
        {A: [flat(100)] * 4},
        {0: sell(10)},
        cross=End(1_002, funding=2, held={A: -10}),
        isolated=End(1_002, funding=2, held={A: -10}),
        setting={"funding": [(2, 0.001), (3, 0.001)], "funding_interval": "1h"},
    ),
    Story(
        "a stop on the way down saves what a stop behind the crossing would not",
        {A: [*START_BARS, (100, 100, 80, 81)], B: [*START_BARS, (100, 100, 80, 81)]},
        {0: lines(buy(10), buy(10, B)), 1: lines(sell(10, stop=95), sell(10, B, stop=90.2))},
        cross=End(1_000 - 50 - 98, realised=-148),
        isolated=End(
            1_000 - 50 - 10 * (100 - FALL), deaths(FALL, B), realised=-50 + 10 * (FALL - 100)
        ),
    ),
    Story(
        "a reversal inside the fall earns on the way down",
        {A: [*START_BARS, (100, 100, 80, 80)]},
        {0: buy(20), 1: sell(40, stop=95)},
        cross=End(1_000 - 100 + 300, realised=-100, held={A: -20}),
        isolated=End(1_000 - 100 + 300, realised=-100, held={A: -20}),
    ),
    Story(
        "an addition moves the entry and the crossing: 20 at 97 fall where one at 97 does",
        {A: [*START_BARS, flat(94), flat(94), (94, 94, 80, 80)]},
        {0: buy(10), 2: buy(10)},
        cross=End(1_000 - 20 * 17, held={A: 20}),
        isolated=End(
            1_000 - 194 + 20 * (97 * 0.9 / 0.995 - 97 * 0.9),
            deaths(97 * 0.9 / 0.995, A, hour=4),
            realised=20 * (97 * 0.9 / 0.995 - 97),
        ),
    ),
    Story(
        "half sold in time: what was posted for it is back, the rest falls at the same price",
        {A: [*START_BARS, flat(100), flat(100), (100, 100, 85, 85)]},
        {0: buy(20), 2: sell(10)},
        cross=End(850, held={A: 10}),
        isolated=End(900 + 10 * (FALL - 90), deaths(FALL, A, hour=4), realised=10 * (FALL - 100)),
    ),
    Story(
        "margin added in time moves the crossing to (100 − 15) / 0.995",
        {A: [*START_BARS, flat(100), (100, 100, 85.5, 86)]},
        {0: buy(10), 1: plainly(lambda strategy: strategy.broker.add_margin(A, 50))},
        cross=End(860, held={A: 10}),
        isolated=End(860, held={A: 10}),
        setting={"cross": {"script": {0: buy(10)}}},
    ),
    Story(
        "with automatic top-up an isolated position lives as long as there is free cash",
        {A: [*START_BARS, (100, 100, 60, 70)]},
        {0: buy(10)},
        cross=End(700, held={A: 10}),
        isolated=End(700, held={A: 10}),
        setting={"auto_top_up": True},
    ),
    Story(
        "an isolated satellite dies beside a cross core that does not notice",
        {A: [*START_BARS, flat(100)], B: [*START_BARS, (100, 100, 80, 82)]},
        {0: lines(buy(20), buy(10, B))},
        cross=End(
            900 + 10 * (FALL - 90), deaths(FALL, B), realised=10 * (FALL - 100), held={A: 20}
        ),
        isolated=End(
            900 + 10 * (FALL - 90), deaths(FALL, B), realised=10 * (FALL - 100), held={A: 20}
        ),
        setting={"symbols": {B: {"margin_mode": "isolated", "leverage": 10}}},
    ),
]


def series(pairs: list[tuple[int, float]]) -> pd.Series:
    index = pd.to_datetime([START + hour * HOUR for hour, _ in pairs], unit="ms", utc=True)
    return pd.Series([rate for _, rate in pairs], index=index)


@pytest.mark.parametrize("mode", ["cross", "isolated"])
@pytest.mark.parametrize("runonce", [True, False])
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.tells)
def test_the_story_leaves_its_ledger(story: Story, mode: str, runonce: bool) -> None:
    """The path is played through the broker; every kind of entry must sum to the number above."""
    setting = dict(story.setting)
    own = setting.pop(mode, {}) | {"runonce": runonce, "mode": mode}
    setting.pop("cross", None)
    if "funding" in setting:
        setting["funding"] = {A: series(setting["funding"])}
    script = own.pop("script", story.script)
    played = play(
        {name: frame(bars) for name, bars in story.candles.items()}, script, **own, **setting
    )
    assert not played.retold or "detail" in played.retold or "auto_top_up" in played.retold
    end: End = getattr(story, mode)
    ledger = played.broker.account.ledger
    sums = {
        kind: sum(entry.amount for entry in ledger if entry.kind == kind)
        for kind in ("realised", "fee", "funding", "liquidation_fee", "insurance")
    }
    assert sorted(played.liquidations) == sorted(end.deaths, key=lambda death: death[:2])
    assert sums == near({kind: getattr(end, kind) for kind in sums})
    assert {name: p.size for name, p in played.broker.account.positions.items()} == near(end.held)
    assert played.broker.account.equity() == near(end.equity)
    deposits = sum(entry.amount for entry in ledger if entry.kind == "deposit")
    transfers = sum(entry.amount for entry in ledger if entry.kind == "transfer")
    assert (deposits, transfers) == near((1_000, 0))
    assert sum(entry.amount for entry in ledger) == near(played.broker.account.wallet())
