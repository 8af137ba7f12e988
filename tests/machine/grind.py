"""Stories by the thousand: told on several processes, counted, and the first that breaks a law kept."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from machine.court import Verdict, judged
from machine.grammar import story
from machine.naively import naive_story
from machine.shrink import KEPT, keep, shrunk
from machine.story import Story

#: one story in so many is told in a second loop as well; one in so many has a naive twin
TWICE, NAIVELY = 12, 6


@dataclass
class Tally:
    """What all stories together reached."""

    stories: int = 0
    bars: int = 0
    followed: int = 0
    events: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    choices: Counter[str] = field(default_factory=Counter)
    broken: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, told: Story, verdict: Verdict) -> None:
        """Count a story."""
        self.stories += 1
        self.bars += verdict.bars
        self.followed += verdict.followed
        for mine, its in (
            (self.events, verdict.events), (self.statuses, verdict.statuses),
            (self.acts, verdict.acts),
        ):  # fmt: skip
            mine.update(its)
        for name in COUNTED:
            self.choices[f"{name} {getattr(told.setup, name)}"] += 1
        for law, where in verdict.broken.items():
            self.broken.setdefault(law, (told.seed, where))


COUNTED = (
    "venue", "hedge", "policy", "mode", "mixed", "intrabar", "feed", "loop", "marks", "filler", "coc", "coo",
    "checksubmit", "stamped", "detail", "top_up",
)  # fmt: skip


def tale(seed: int, number: int, longest: int) -> Story:
    """Story number so-and-so of a seed: now and then one that the naive account can follow."""
    name = f"{seed}:{number}"
    return naive_story(name) if number % NAIVELY == NAIVELY - 1 else story(name, longest)


def told(job: tuple[int, int, int]) -> tuple[int, Verdict]:
    """Judge one story (in a worker)."""
    gc.disable()  # the garbage of a story is cleared when it is over
    number = job[1]
    verdict = judged(tale(*job), twice=number % TWICE == 0)
    gc.collect()
    return number, verdict


def jobs(seed: int, bars: int, longest: int) -> Iterator[tuple[int, int, int]]:
    """As many stories as have so many bars: they depend on nothing but the seed."""
    number = 0
    while bars > 0:
        yield seed, number, longest
        bars -= tale(seed, number, longest).moments
        number += 1


def grind(
    bars: int, seed: int, *, minutes: float = 0.0, workers: int = 1, longest: int = 3_000,
    every: float = 20.0, folder: Path = KEPT,
) -> Tally:  # fmt: skip
    """Tell stories until so many bars are over; shrink and keep one story for each law that broke."""
    tally, begin = Tally(), time.monotonic()
    last = begin
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        results = pool.imap_unordered(told, jobs(seed, bars, longest), chunksize=1)
        for number, verdict in results:
            for law in verdict.broken.keys() - tally.broken.keys():
                print(f"{law} broken by {seed}:{number}: {verdict.broken[law]}", flush=True)
            tally.add(tale(seed, number, longest), verdict)
            now = time.monotonic()
            if now - last > every:
                last = now
                print(progress(tally, now - begin), flush=True)
            if minutes and now - begin > 60 * minutes:
                pool.terminate()
                break
    print(progress(tally, time.monotonic() - begin), flush=True)
    for law, (name, where) in tally.broken.items():
        _keep(law, name, where, longest, folder)
    return tally


def progress(tally: Tally, seconds: float) -> str:
    """One line."""
    speed = tally.bars / max(seconds, 1e-9)
    return (
        f"{tally.bars:>10,} bars  {tally.stories:>6,} stories  {seconds:>6.0f} s  {speed:>6,.0f} bars/s"
        f"  {tally.events['fill']:,} fills  {tally.events['liquidation']:,} liquidations"
        f"  {len(tally.broken)} laws broken"
    )


def _keep(law: str, name: str, where: str, longest: int, folder: Path) -> None:
    seed, number = map(int, name.split(":"))
    one = tale(seed, number, longest)

    def breaks(candidate: Story) -> bool:
        return law in judged(candidate, twice=law.startswith("every_loop")).broken

    small = shrunk(one, breaks) if breaks(one) else one
    why = judged(small, twice=law.startswith("every_loop")).broken.get(law, where)
    file = keep(small, law, why, folder)
    print(f"\n{law}\n  broken by {name}: {where}\n  {len(one.bars)} bars shrunk to "
          f"{len(small.bars)}, kept as {file}\n", flush=True)  # fmt: skip


def report(tally: Tally) -> str:
    """What was reached, as a table of counts."""
    lines = []
    groups = {
        "events": tally.events, "order statuses told": tally.statuses, "acts": tally.acts,
    }  # fmt: skip
    for title, counts in groups.items():
        told_ = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
        lines.append(f"{title}: {told_}")
    for name in COUNTED:
        own = sorted((k[len(name) + 1 :], n) for k, n in tally.choices.items() if _is(k, name))
        lines.append(f"{name}: " + ", ".join(f"{value or 'none'} {n:,}" for value, n in own))
    lines.append(f"bars followed by the naive account: {tally.followed:,}")
    lines.append(f"laws broken: {', '.join(tally.broken) or 'none'}")
    return "\n".join(lines)


def _is(key: str, name: str) -> bool:
    return key.startswith(name + " ")
