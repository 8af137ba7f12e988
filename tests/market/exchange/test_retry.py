"""Patience and pace: how often, how long, how fast; no test waits."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from bt_margin.errors import ExchangeRefused, ExchangeUnreachable
from bt_margin.market.exchange.retry import Pace, Retry
from bt_margin.market.exchange.verdicts import Question, Verdict

QUESTION = Question("okx", "BTC/USDT:USDT", "ohlcv")


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now


def failing(times: int) -> Callable[[], str]:
    """A question that fails so many times before it is answered."""
    left = [times]

    def ask() -> str:
        left[0] -= 1
        if left[0] >= 0:
            raise RuntimeError("no")
        return "yes"

    return ask


def again(**more: object) -> Callable[[Exception], Verdict]:
    return lambda error: Verdict(True, "busy", **more)  # type: ignore[arg-type]  # test shorthand


def test_the_back_off_doubles_up_to_a_minute() -> None:
    time = Time()
    retry = Retry(sleep=time.sleep, clock=time.clock)
    assert retry.run(failing(9), again(), QUESTION) == "yes"
    assert time.slept == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_what_the_venue_asks_for_is_what_is_waited() -> None:
    time = Time()
    Retry(sleep=time.sleep, clock=time.clock).run(failing(2), again(wait=7.5), QUESTION)
    assert time.slept == [7.5, 7.5]


def test_a_long_base_doubles_beyond_a_minute() -> None:
    time = Time()
    Retry(sleep=time.sleep, clock=time.clock).run(failing(5), again(base=60), QUESTION)
    assert time.slept == [60, 120, 240, 480, 600]


def test_attempts_are_counted() -> None:
    time = Time()
    retry = Retry(attempts=3, sleep=time.sleep, clock=time.clock)
    with pytest.raises(ExchangeUnreachable, match="asked 3 times in 3 s"):
        retry.run(failing(3), again(), QUESTION)
    assert time.slept == [1, 2]


def test_no_wait_ends_after_patience() -> None:
    time = Time()
    retry = Retry(patience=10, sleep=time.sleep, clock=time.clock)
    with pytest.raises(ExchangeUnreachable, match="next try in 8 s"):
        retry.run(failing(9), again(), QUESTION)
    assert time.slept == [1, 2, 4]


def test_a_ban_longer_than_patience_is_not_waited_for() -> None:
    time = Time()
    with pytest.raises(ExchangeUnreachable, match="next try in 7200 s"):
        Retry(sleep=time.sleep, clock=time.clock).run(failing(9), again(wait=7_200), QUESTION)
    assert time.slept == []


def test_a_permanent_verdict_ends_it_at_once_and_keeps_the_cause() -> None:
    with pytest.raises(ExchangeRefused) as caught:
        Retry(sleep=pytest.fail).run(failing(1), lambda e: Verdict(False, "blocked"), QUESTION)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_final_verdict_is_a_refusal_after_its_tries() -> None:
    time = Time()
    with pytest.raises(ExchangeRefused):
        Retry(sleep=time.sleep, clock=time.clock).run(
            failing(9), again(most=2, final=True), QUESTION
        )
    assert time.slept == [1]


def test_only_long_waits_are_told_and_only_rate_limits_hold_the_others() -> None:
    time, told, held = Time(), list[str](), list[float]()
    retry = Retry(sleep=time.sleep, clock=time.clock)
    retry.run(failing(4), again(), QUESTION, told.append, held.append)
    assert told == ["okx: busy; asking again in 8 s"]
    assert held == []
    retry.run(failing(1), again(wait=3, venue_wide=True), QUESTION, told.append, held.append)
    assert held == [3]


def test_ctrl_c_is_no_failure_to_be_retried() -> None:
    def ask() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Retry(sleep=pytest.fail).run(ask, again(), QUESTION)


def test_each_request_is_sent_its_own_gap_after_the_one_before() -> None:
    time = Time()
    pace = Pace(time.sleep, time.clock)
    sent = []
    for gap in (0.1, 0.1, 0.25, 0.05):
        pace.admit(gap)
        sent.append(round(time.now, 9))
    assert sent == [0.0, 0.1, 0.35, 0.4]


def test_time_that_passed_anyway_is_not_waited_for() -> None:
    time = Time()
    pace = Pace(time.sleep, time.clock)
    pace.admit(0.1)
    time.now = 5.0
    pace.admit(0.1)
    assert time.slept == []


def test_threads_stand_in_one_line() -> None:
    turns: list[float] = []
    pace = Pace(turns.append, lambda: 0.0)  # a clock that stands: each turn is told as a wait
    threads = [
        threading.Thread(target=lambda: [pace.admit(1.0) for _ in range(50)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(turns) == [float(n) for n in range(1, 400)]


def test_a_hold_stops_everybody_once() -> None:
    time = Time()
    pace = Pace(time.sleep, time.clock)
    pace.hold(30)
    pace.hold(10)
    pace.gate()
    pace.gate()
    assert time.slept == [30]
