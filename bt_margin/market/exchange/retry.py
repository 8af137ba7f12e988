"""How often and how fast a venue is asked: patience after a failure, and a pace between requests.

Both take their `sleep` from outside, so that a caller can wake a waiting thread (Ctrl-C) and a test
does not wait at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bt_margin.market.exchange.verdicts import Question, Verdict, refused, unreachable

Sleep = Callable[[float], object]
Result = TypeVar("Result")

TOLD_FROM = 5.0  # waits shorter than this are not worth a message   [s]


@dataclass(frozen=True, slots=True)
class Retry:
    """How long one question is asked again before giving up.

    attempts : the most times one question is asked
    patience : no wait may end later than this after the first try   [s]
    longest : the back-off 1, 2, 4 ... stops growing here   [s]; a venue that asks for more gets it
    sleep, clock : how to wait and how waiting is measured   [s]
    """

    attempts: int = 12
    patience: float = 1_800.0
    longest: float = 60.0
    sleep: Sleep = time.sleep
    clock: Callable[[], float] = time.monotonic

    def wait(self, verdict: Verdict, tries: int) -> float:
        """Seconds before the next try: what the venue asked for, else a back-off from its base.

        >>> Retry().wait(Verdict(True, "timeout"), tries=3)
        4.0
        >>> Retry().wait(Verdict(True, "maintenance", base=60), tries=3)
        240.0
        """
        if verdict.wait is not None:
            return verdict.wait
        return min(verdict.base * 2.0 ** (tries - 1), max(self.longest, 10 * verdict.base))

    def run(
        self,
        ask: Callable[[], Result],
        judge: Callable[[Exception], Verdict],
        question: Question,
        told: Callable[[str], None] | None = None,
        hold: Callable[[float], None] | None = None,
    ) -> Result:
        """The answer to a question; asked again as long as the verdict on the failure allows it.

        hold : called with the seconds a rate limit asks for, so that other clients wait too
        Raises `ExchangeRefused` on a permanent verdict, `ExchangeUnreachable` when attempts or
        patience are used up.
        """
        begun = self.clock()
        tries = 0
        while True:
            tries += 1
            try:
                return ask()
            except Exception as error:
                verdict = judge(error)
                if not verdict.again or (tries >= verdict.most and verdict.final):
                    raise refused(verdict, question) from error
                wait = self.wait(verdict, tries)
                spent = self.clock() - begun
                if tries >= min(self.attempts, verdict.most) or spent + wait > self.patience:
                    raise unreachable(verdict, question, tries, spent, wait) from error
            if told is not None and wait >= TOLD_FROM:
                told(f"{question.exchange}: {verdict.words}; asking again in {wait:.0f} s")
            if hold is not None and verdict.venue_wide:
                hold(wait)
            self.sleep(wait)


class Pace:
    """The rate limit of one venue, shared by every client of it, whatever thread it is in.

    Requests stand in line: each is sent no sooner than its own gap after the one before it, as a
    single ccxt client would. A hold (a ban, a rate limit) stops them all.
    """

    def __init__(
        self, sleep: Sleep = time.sleep, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sleep = sleep
        self._clock = clock
        self._lock = threading.Lock()
        self._last = float("-inf")
        self._held = float("-inf")

    def admit(self, gap: float) -> None:
        """Wait for this request's turn; `gap` is its cost in time   [s]."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._last + gap)
            self._last = turn
        if turn > now:
            self._sleep(turn - now)

    def hold(self, seconds: float) -> None:
        """Nobody asks this venue for so many seconds."""
        with self._lock:
            self._held = max(self._held, self._clock() + seconds)

    def gate(self) -> None:
        """Wait until no hold is in force."""
        rest = self._held - self._clock()
        if rest > 0:
            self._sleep(rest)
