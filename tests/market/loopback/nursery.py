"""A process that has ccxt loaded and forks children that download, so that they can be killed often.

`python -m market.loopback.nursery` reads orders from stdin, one JSON a line, and answers each with one:

    {"deed": "whole", "folder": ...}             a download left alone: its exit code and seconds
    {"deed": "killed", "folder": ..., "after":}  kill -9 after so many seconds: whether it was still at work
    {"deed": "pair", "folder": ...}              two downloads into one store at once: their exit codes

The first line is what to download. Children commit every few pages, so that a kill often hits a commit.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from market.loopback.apart import TESTS, Remote

from bt_margin.market.kinds import Span

ROWS_OF_A_COMMIT = 900


class Nursery:
    """The other end of the pipe."""

    def __init__(self, process: subprocess.Popen[str]):
        self._process = process

    def do(self, deed: str, folder: Path, **more: Any) -> Any:
        """Have one deed done, and wait for what became of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"deed": deed, "folder": str(folder), **more}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def nursery(
    server: Remote, symbols: Sequence[str], kinds: Sequence[str], timeframe: str, span: Span
) -> Iterator[Nursery]:
    """A nursery for downloads of one order from a server."""
    order = [server.exchange, symbols, timeframe, [span], kinds, False, server.exchange_options]
    process = subprocess.Popen(
        [sys.executable, "-m", "market.loopback.nursery"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        yield Nursery(process)
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def born(order: Any, folder: str) -> int:
    """Fork a child that downloads and exits with 0 when every dataset is complete."""
    from bt_margin.market.fetch import Order, fetch
    from bt_margin.market.store import Store

    child = os.fork()
    if child:
        return child
    code = 1
    try:
        exchange, symbols, timeframe, spans, kinds, demanded, options = order
        spans = tuple((start, stop) for start, stop in spans)
        wanted = Order(exchange, tuple(symbols), timeframe, spans, tuple(kinds), demanded, options)
        report = fetch([wanted], Store(folder))
        for job in report.failures:
            print(job.label, job.error, file=sys.stderr)
        code = 2 if report.failures else 0
    finally:
        os._exit(code)


def code_of(child: int) -> int:
    """Wait for a child: its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def done(order: Any, asked: Any) -> Any:
    """One deed."""
    started = time.monotonic()
    folder = asked["folder"]
    if asked["deed"] == "pair":
        children = [born(order, folder), born(order, folder)]
        return [code_of(child) for child in children]
    child = born(order, folder)
    if asked["deed"] == "killed":
        time.sleep(asked["after"])
        os.kill(child, signal.SIGKILL)
        return code_of(child) == -signal.SIGKILL
    return [code_of(child), time.monotonic() - started]


def main() -> None:
    """Load everything once, then do as told until stdin ends."""
    import ccxt  # noqa: F401  loaded once here, not in every child

    from bt_margin.market.exchange import asking, settlements
    from bt_margin.market.store import writer

    writer.MOST_ROWS = ROWS_OF_A_COMMIT
    asking.PAUSE = settlements.PAUSE = 0.0  # so that no kill hits a mere pause
    order = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        print(json.dumps(done(order, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
