"""The harness's command: which scripts, each twice, and the table."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.verdict import Difference, Told, differences

HERE = Path(__file__).resolve().parent
MIRROR, WORDS = "harness.mirror:Mirror", "harness.mirror:StockWords"
KEPT = ("PATH", "HOME", "SYSTEMROOT", "TMPDIR", "LD_LIBRARY_PATH")
FIXED = {"PYTHONHASHSEED": "0", "PYTHONWARNINGS": "ignore", "MPLBACKEND": "Agg", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Job:
    """A script with its arguments; why it is not run, or why it is known to differ."""

    script: str
    args: tuple[str, ...] = ()
    skipped: str = ""
    known: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A job with what became of it."""

    job: Job
    result: str
    told: Told | None = None
    found: list[Difference] = field(default_factory=list)

    @property
    def bad(self) -> bool:
        """Whether the two brokers disagreed."""
        return bool(self.found)

    def row(self) -> str:
        """The line of the table."""
        told = self.told
        counts = [str(told.count(w)) for w in ("bars", "orders", "trades")] if told else [""] * 3
        args = f"`{shlex.join(self.job.args)}`" if self.job.args else ""
        cells = [self.job.script, args, *counts, self.result]
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


HEAD = "| script | arguments | bars | orders | trades | result |\n|---|---|---:|---:|---:|---|"


def read_list(text: str) -> list[Job]:
    """The jobs of a list: command lines, ``skip SCRIPT: WHY``, ``known: WHY`` before what may differ.

    >>> read_list("a.py --cash 5\\n# remark\\nskip b.py: needs the net")[0].args
    ('--cash', '5')
    >>> read_list("skip b.py: needs the net")
    [Job(script='b.py', args=(), skipped='needs the net', known='')]
    """
    jobs, known = [], ""
    for line in text.splitlines():
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        if words.startswith("known:"):
            known = words.removeprefix("known:").strip()
        elif words.startswith("skip "):
            script, _, why = words.removeprefix("skip ").partition(":")
            jobs.append(Job(script.strip(), skipped=why.strip()))
        else:
            script, *args = shlex.split(words)
            jobs.append(Job(script, tuple(args), known=known))
            known = ""
    return jobs


def tell(folder: Path, job: Job, broker: str, settings: argparse.Namespace) -> Told:
    """The script under one broker, in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        out, wishes = Path(place) / "record.json", Path(place) / "wishes.json"
        wishes.write_text(
            json.dumps(
                {
                    "script": str(folder / job.script), "args": job.args, "broker": broker,
                    "yahoo": str(settings.yahoo.resolve()) if settings.yahoo else "", "out": str(out),
                }
            ),
            encoding="utf-8",
        )  # fmt: skip
        world = {name: os.environ[name] for name in KEPT if name in os.environ} | FIXED
        command = [sys.executable, "-s", "-B", str(HERE / "child.py"), str(wishes)]
        try:
            done = subprocess.run(
                command, env=world, capture_output=True, timeout=settings.timeout, check=False,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Told([], f"still running after {settings.timeout:g} s", "")
        printed = done.stdout.decode("utf-8", "replace")
        if not out.exists():
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            return Told([], f"ended with {done.returncode}: {' '.join(last)}", printed)
        record = json.loads(out.read_text(encoding="utf-8"))
        if settings.verbose and record["error"]:
            print(done.stderr.decode("utf-8", "replace"), file=sys.stderr)
        return Told(record["runs"], record["error"], printed)


NOTHING = Difference("result", "the end", "a known difference", "none")
"""What is wrong with a difference that was expected and has gone."""


def judge(folder: Path, job: Job, settings: argparse.Namespace) -> Outcome:
    """Both runs of a job, compared."""
    if job.skipped:
        return Outcome(job, f"skipped: {job.skipped}")
    stock, ours = (tell(folder, job, broker, settings) for broker in ("", settings.broker))
    found = differences(stock, ours)
    if (
        found
        and settings.words
        and not differences(stock, tell(folder, job, settings.words, settings))
    ):
        return Outcome(job, f"same but for the meaning of {meaning(found)}", ours)
    if found and job.known:
        return Outcome(job, f"differs as it must: {job.known}", ours)
    if job.known:
        return Outcome(job, f"does not differ any more, though {job.known}", ours, [NOTHING])
    if found:
        return Outcome(job, "differs: " + "; ".join(map(str, found)), ours, found)
    if stock.error:
        return Outcome(job, f"both fail: {stock.error}", ours)
    return Outcome(job, "same", ours)


def meaning(found: list[Difference]) -> str:
    """Which words mean something else on a margin account, by what differed because of them."""
    names = {one.what for one in found}
    cash = ["cash"] if "cash" in names else []
    return " and ".join(cash + (["sizes"] if "order's size" in names else [])) or "what is printed"


def jobs_of(settings: argparse.Namespace) -> list[Job]:
    """What to run: the list, or every script that matches."""
    if settings.list:
        return read_list(settings.list.read_text(encoding="utf-8"))
    found = sorted(settings.folder.glob(settings.scripts))
    return [Job(str(file.relative_to(settings.folder))) for file in found if file.is_file()]


def outcomes(settings: argparse.Namespace) -> Iterator[Outcome]:
    """Each job judged, told on stderr as it is."""
    for job in jobs_of(settings):
        outcome = judge(settings.folder.resolve(), job, settings)
        print(shlex.join([job.script, *job.args]), "-", outcome.result, file=sys.stderr)
        yield outcome


def table(made: Iterable[Outcome]) -> str:
    """The outcomes as a Markdown table, with a line of counts below."""
    made = list(made)
    ran = [one for one in made if not one.job.skipped]
    bad = sum(one.bad for one in made)
    failing = sum(one.result.startswith("both fail") for one in made)
    known = sum(one.result.startswith("differs as") for one in made)
    worded = sum(one.result.startswith("same but") for one in made)
    sums = [sum(one.told.count(w) for one in ran if one.told) for w in ("bars", "orders", "trades")]
    alike = len(ran) - bad - failing - worded - known
    counts = (
        f"{len(ran)} runs: {alike} same, {worded} same but for the meaning of words, {known} differ as "
        f"they must, {bad} differ, {failing} fail under both; {len(made) - len(ran)} skipped."
    )
    seen = f"{sums[0]:,} bars, {sums[1]:,} orders, {sums[2]:,} trades."
    return "\n".join([HEAD, *(one.row() for one in made), "", f"{counts} {seen}", ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the number of scripts that differ, 255 at most."""
    settings = read_arguments(arguments)
    made = list(outcomes(settings))
    text = table(made)
    if settings.out:
        settings.out.write_text(text, encoding="utf-8")
    else:
        print(text)
    return min(255, sum(one.bad for one in made))


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="tests/harness", description="backtrader scripts under the stock broker and under ours"
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scripts", default="**/*.py", metavar="GLOB")
    parser.add_argument("--list", type=Path, metavar="FILE", help="command lines to run")
    parser.add_argument("--broker", default=MIRROR, metavar="MODULE:CLASS")
    parser.add_argument("--words", default=WORDS, metavar="MODULE:CLASS")
    parser.add_argument("--yahoo", type=Path, metavar="FILE", help="stands in for Yahoo downloads")
    parser.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS")
    parser.add_argument("--out", type=Path, metavar="TABLE.md")
    parser.add_argument("--verbose", action="store_true", help="print tracebacks")
    return parser.parse_args(arguments)
