"""Runs on the real market: frames as the package loads them, strategies, and the audit behind each run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

import backtrader as bt
import pandas as pd
from real.audit import Auditor
from real.rawdata import ROOT, Raw, folder, ms, read, unified

import bt_margin as btm
from bt_margin.market.files import load_market
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.load import find_strategy

MARKS = ["mark_open", "mark_high", "mark_low", "mark_close"]
FOUR = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT")
TWO = ("BTCUSDT", "ETHUSDT")


class Hold(bt.Strategy):
    """Takes one exposure (notional over equity, signed) per feed at the open of one bar and keeps it."""

    params = (("at", 0), ("exposure", 1.0))

    def __init__(self) -> None:
        self.told: list[Any] = []

    def next(self) -> None:
        ends = round((self.datas[0].datetime[0] - 719_163) * 86_400_000) + 3_600_000
        if ends == self.p.at:
            for data in self.datas:
                wanted = self.p.exposure * self.broker.getvalue() / data.close[0]
                self.order_target_size(data, wanted)

    def notify_liquidation(self, event: Any) -> None:
        self.told.append(event)


class Restless(bt.Strategy):
    """Adds, reduces, closes and flips at random, all day long, with market orders."""

    params = (("seed", 0), ("largest", 3.0), ("every", 4))

    def __init__(self) -> None:
        self.random = Random(self.p.seed)

    def next(self) -> None:
        for data in self.datas:
            if self.random.random() * self.p.every < 1.0:
                wanted = self.random.choice((-1.0, -0.5, 0.0, 0.5, 1.0)) * self.random.random()
                worth = wanted * self.p.largest * self.broker.getvalue()
                self.order_target_size(data, worth / data.close[0])


@cache
def frames(names: tuple[str, ...], since: str, until: str) -> dict[str, pd.DataFrame]:
    """The market as the package joins it from last, mark and funding files."""
    return dict(
        load_market(folder(), names, since=since, until=until, venue="binance", timeframe="1h")
    )


@cache
def raws(names: tuple[str, ...], since: str, until: str) -> dict[str, Raw]:
    """The same stretch, read by the tests themselves."""
    return {unified(name): read(name, since, until) for name in names}


@dataclass(frozen=True)
class Study:
    """A comparison and the second opinion on each of its runs."""

    comparison: Comparison
    audits: dict[str, Auditor]

    def __getitem__(self, scenario: str) -> Any:
        return self.comparison.runs[scenario]

    @property
    def wrong(self) -> list[str]:
        return [text for audit in self.audits.values() for text in audit.wrong]

    def kinds(self, scenario: str) -> dict[str, int]:
        """How many events of each kind."""
        counts: dict[str, int] = self[scenario].events["kind"].value_counts().to_dict()
        return counts

    def fallen(self, scenario: str) -> list[tuple[int, str]]:
        """Time and symbol of every liquidation."""
        return [(f.time, f.symbol) for f in self.audits[scenario].found]


def study(
    strategy: Any,
    names: tuple[str, ...],
    since: str,
    until: str,
    leverage: float,
    marks: bool = True,
    **keywords: Any,
) -> Study:
    """Cross and isolated on a stretch of the real market, both audited."""
    given, raw = frames(names, since, until), raws(names, since, until)
    if not marks:
        given = {s: f.drop(columns=MARKS) for s, f in given.items()}
        raw = {s: Raw(r.last, {}, r.rates) for s, r in raw.items()}
    if isinstance(strategy, str):
        strategy = find_strategy(str(ROOT / "strategies" / f"{strategy}.py"))
    options: dict[str, Any] = {"venue": "binance", "cash": 10_000.0, "debug": True, **keywords}
    result = btm.compare(strategy, given, leverage=leverage, **options)
    audits = {m: Auditor(run, raw, m, leverage).go() for m, run in result.runs.items()}
    return Study(result, audits)


def hold(
    names: tuple[str, ...],
    span: tuple[str, str],
    at: str,
    exposure: float,
    leverage: float,
    **keywords: Any,
) -> Study:
    """The same exposure in every symbol, opened at the open of one bar."""
    params = {"at": ms(at), "exposure": exposure}
    return study(Hold, names, *span, leverage, params=params, **keywords)
