"""What the check says: a finding, its severity, and the words all findings share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
HOUR = 3_600_000
DAY = 24 * HOUR

# Every kind of finding and what it means. The keys are stable: programs may rely on them.
KINDS: dict[str, str] = {
    "unreadable": "a file or dataset cannot be read",
    "store": "the store's files are not what its manifest says",
    "empty": "no rows",
    "timeframe": "the bars are of another length than the name says",
    "unsorted": "rows are not in order of time",
    "duplicate": "several rows of one time",
    "off grid": "rows that open at no bar's open time",
    "phase": "bars open at other hours than those counted from midnight UTC",
    "future": "rows later than now",
    "unfinished": "the newest bar was taken before it was closed",
    "gap": "bars are missing",
    "not asked": "a stretch inside the history was never downloaded",
    "price": "a price is missing, endless, 0 or negative",
    "high low": "high is not the highest or low not the lowest of the four",
    "volume": "volume is missing, endless or negative",
    "zero volume": "bars without a trade",
    "no volume": "volume is 0 while the price moves",
    "frozen": "bars repeat the prices of the bar before",
    "copied": "bars repeat prices and volume of the bar before",
    "bad tick": "a price jumps between two bars and comes straight back",
    "jump": "a price jumps between two bars and stays",
    "unit": "a price jumps by a power of ten, or two sources differ by one",
    "wick": "a high or low far beyond its neighbours, with no mark to compare",
    "mark wick": "last and mark reach far apart inside a bar",
    "mark far": "last and mark are far apart at open or close",
    "mark is last": "the mark (or index) is the last price under another name",
    "mark missing": "bars of the last price without a mark",
    "shift": "the times of two sources disagree",
    "disagree": "two sources of one symbol differ in price",
    "coverage": "one kind of data starts later or ends earlier than the last price",
    "intervals": "the distances of settlements",
    "interval": "settlements at a distance no venue uses",
    "settlement missing": "a settlement is missing",
    "off hour": "a settlement away from the full hour",
    "rate": "a funding rate that is no number",
    "rate unit": "funding rates beyond any cap: percent instead of fractions",
    "rate extreme": "funding rates of 1 % and more",
    "rate constant": "funding rates that never change",
    "rate sign": "funding with the sign turned round",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One defect class in one stretch of one dataset.

    kind : a key of `KINDS`
    severity : "error", a backtest on it is wrong; "warning", look at it; "info", a fact of the market
    exchange, symbol : whose data; the exchange is "" where it is not known
    data : `kind/timeframe` (`mark/1h`, `funding`) in a store or a frame, else the file
    start, stop : first and last open (settlement) time concerned, UTC epoch ms; the same for one
        row; for missing rows the first and last time that is missing; 0, 0 without a time
    count : how many rows (missing rows, settlements, files) it is about
    text : one plain sentence with the numbers
    """

    kind: str
    severity: Severity
    exchange: str
    symbol: str
    data: str
    start: int
    stop: int
    count: int
    text: str

    def to_dict(self) -> dict[str, Any]:
        """The same for JSON, times as ISO texts (None without a time).

        >>> Finding("gap", "warning", "okx", "A", "ohlcv/1h", 0, 0, 1, "...").to_dict()["from"] is None
        True
        """
        timed = bool(self.start or self.stop)
        return {
            "kind": self.kind,
            "severity": self.severity,
            "exchange": self.exchange,
            "symbol": self.symbol,
            "data": self.data,
            "from": iso(self.start) if timed else None,
            "to": iso(self.stop) if timed else None,
            "count": self.count,
            "text": self.text,
        }


# Stretches of one kind in one dataset that are told one by one; of more, all but the longest become
# one finding. Errors are always told one by one, because a repair needs each.
MOST = 200


def folded(findings: Sequence[Finding], most: int = MOST) -> list[Finding]:
    """The findings with what is beyond the `most` longest of a kind in a dataset told as one.

    >>> many = [Finding("gap", "info", "", "A", "a", i, i, i, "...") for i in range(1, 5)]
    >>> [(each.start, each.stop, each.count, each.text) for each in folded(many, most=2)]
    [(3, 3, 3, '...'), (4, 4, 4, '...'), (1, 2, 3, '2 more stretches, none longer than 2')]
    """
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for each in findings:
        key = (each.exchange, each.symbol, each.data, each.kind, each.severity)
        groups.setdefault(key, []).append(each)
    out: list[Finding] = []
    for group in groups.values():
        if len(group) <= most or group[0].severity == "error":
            out += group
            continue
        ranked = sorted(range(len(group)), key=lambda place: -group[place].count)
        kept = set(ranked[:most])
        rest = [group[place] for place in ranked[most:]]
        text = f"{plural(len(rest), 'more stretch', 'more stretches')}"
        text += f", none longer than {rest[0].count:,}"
        first, last = min(each.start for each in rest), max(each.stop for each in rest)
        out += [each for place, each in enumerate(group) if place in kept]
        count = sum(each.count for each in rest)
        out.append(replace(rest[0], start=first, stop=last, count=count, text=text))
    return out


def worst(findings: Iterable[Finding]) -> Severity | None:
    """The gravest severity among findings; None when there are none.

    >>> worst([]) is None
    True
    """
    found = {finding.severity for finding in findings}
    return next((severity for severity in SEVERITIES if severity in found), None)


def exit_code(findings: Iterable[Finding], strict: bool = False) -> int:
    """0 when clean or only facts, 1 with errors; with `strict` warnings count as errors.

    >>> exit_code([])
    0
    """
    bad = ("error", "warning") if strict else ("error",)
    return int(worst(findings) in bad)


def runs(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches of True as (first, last) places, both included.

    >>> runs(np.array([True, True, False, True]))
    [(0, 1), (3, 3)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def iso(time: int) -> str:
    """Epoch ms as ISO text.

    >>> iso(1_704_067_200_000)
    '2024-01-01T00:00:00Z'
    """
    stamp = pd.Timestamp(time, unit="ms")
    return stamp.isoformat(timespec="milliseconds" if time % 1000 else "seconds") + "Z"


def when(time: int) -> str:
    """Epoch ms as people write it, UTC.

    >>> when(1_704_067_200_000), when(1_704_067_200_123)
    ('2024-01-01 00:00', '2024-01-01 00:00:00.123')
    """
    stamp = pd.Timestamp(time, unit="ms")
    if time % 1000:
        return f"{stamp:%Y-%m-%d %H:%M:%S}.{time % 1000:03d}"
    return f"{stamp:%Y-%m-%d %H:%M:%S}" if time % 60_000 else f"{stamp:%Y-%m-%d %H:%M}"


def length(ms: float) -> str:
    """A length of time in its largest fitting unit.

    >>> length(28_800_000), length(90_000), length(172_800_000), length(250)
    ('8 h', '1.5 min', '2 days', '250 ms')
    """
    for size, unit in ((DAY, "days"), (HOUR, "h"), (60_000, "min"), (1000, "s")):
        if ms >= size * (2 if size == DAY else 1):
            return f"{ms / size:.4g} {unit}"
    return f"{ms:.4g} ms"


def percent(share: float) -> str:
    """A fraction in percent with three digits.

    >>> percent(0.1234), percent(-0.02)
    ('12.3 %', '-2 %')
    """
    return f"{share * 100:.3g} %"


def number(value: float) -> str:
    """A price without noise.

    >>> number(5199.17), number(0.00001234)
    ('5199.17', '1.234e-05')
    """
    return f"{value:.8g}"


def plural(count: int, one: str, many: str = "") -> str:
    """A counted thing.

    >>> plural(1, "bar"), plural(1200, "bar")
    ('1 bar', '1,200 bars')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def listed(words: Sequence[str], most: int = 4) -> str:
    """A list in a sentence, cut after a few.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    shown = ", ".join(words[:most])
    return shown if len(words) <= most else f"{shown} and {len(words) - most} more"
