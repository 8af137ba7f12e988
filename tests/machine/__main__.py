"""``python -m machine`` (from ``tests/``): the state machine by the million bars.

    python -m machine --bars 1000000 --seed 1 --workers 2      a nightly run
    python -m machine --bars 20000 --seed 7                    a short look
    python -m machine --minutes 5 --seed 3                     as far as it gets
    python -m machine --story stories/some_story.py            one kept story again

The same seed and number of bars tell the same stories on any machine, with any number of workers. Every
law of :mod:`machine.witness` is asked on every bar or at the end of every story. A story that breaks one is
shrunk, printed and kept under ``tests/machine/stories``, from where the tests replay it. Exit code 1 then.
"""

from __future__ import annotations

import argparse
import runpy
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

from machine.court import judged  # noqa: E402 # the tests are no package that could be installed
from machine.grind import KEPT, grind, report  # noqa: E402 # see above
from machine.witness import LAWS  # noqa: E402 # see above


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, tell the stories, print what came of it."""
    parser = argparse.ArgumentParser(
        prog="python -m machine", description="random stories of the broker against all its laws"
    )
    parser.add_argument("--bars", type=int, default=0, help="how many bars (default 20,000)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so long")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--longest", type=int, default=3_000, help="bars of the longest story")
    parser.add_argument(
        "--keep", type=Path, default=KEPT, help="folder of stories that broke a law"
    )
    parser.add_argument("--story", type=Path, help="judge one kept story")
    p = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    if p.story is not None:
        broken = judged(runpy.run_path(str(p.story))["STORY"], twice=True).broken
        print(broken or "no law is broken")
        return bool(broken)
    bars = p.bars or (10**9 if p.minutes else 20_000)
    print(f"{len(LAWS)} laws, seed {p.seed}, {bars:,} bars, {p.workers} workers", flush=True)
    tally = grind(
        bars, p.seed, minutes=p.minutes, workers=p.workers, longest=p.longest, folder=p.keep
    )  # fmt: skip
    print(report(tally))
    return bool(tally.broken)


if __name__ == "__main__":
    raise SystemExit(main())
