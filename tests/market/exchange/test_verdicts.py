"""Verdicts: what a failure means, read from the status, the cause and ccxt's class."""

from __future__ import annotations

import ccxt
import pytest
import requests

from bt_margin.errors import ExchangeRefused, ExchangeUnreachable
from bt_margin.market.exchange.verdicts import (
    TODO_BLOCKED,
    TODO_CERTIFICATE,
    TODO_CLOCK,
    TODO_KEY,
    TODO_PROXY_KEY,
    TODO_SYMBOL,
    Question,
    Reply,
    Verdict,
    judge,
    refused,
    scrubber,
    unreachable,
)

NOW = 1_704_067_200_000
DATE = {"Date": "Mon, 01 Jan 2024 00:00:00 GMT"}
PAGE = "<html><head><title>Blocked</title></head><body><h1>Not here</h1></body></html>"


def after(error: Exception, cause: Exception) -> Exception:
    """The error as it is raised while the cause is handled."""
    error.__context__ = cause
    return error


PERMANENT = {
    "451 looks like an outage": (
        ccxt.ExchangeNotAvailable("x"),
        Reply(451, {}, PAGE),
        TODO_BLOCKED,
    ),
    "403 of a content network": (
        ccxt.ExchangeNotAvailable("x"),
        Reply(403, {}, PAGE),
        TODO_BLOCKED,
    ),
    "403 looks like a rate limit on Bybit": (
        ccxt.RateLimitExceeded("bybit GET 403 Forbidden"),
        Reply(403, {}, PAGE),
        TODO_BLOCKED,
    ),
    "a restricted location in words": (
        ccxt.ExchangeError("x"),
        Reply(200, {}, '{"msg":"Service unavailable from a restricted location"}'),
        TODO_BLOCKED,
    ),
    "a restricted location as a class": (
        ccxt.RestrictedLocation("x"),
        Reply(200, {}, "{}"),
        TODO_BLOCKED,
    ),
    "no key": (ccxt.AuthenticationError('needs "apiKey"'), Reply(), TODO_KEY),
    "a wrong key": (ccxt.AuthenticationError("x"), Reply(401, {}, '{"code":-2015}'), TODO_KEY),
    "a key without the right": (ccxt.PermissionDenied("x"), Reply(200, {}, "{}"), TODO_KEY),
    "a proxy wants a password": (
        ccxt.AuthenticationError("x"),
        Reply(407, {}, PAGE),
        TODO_PROXY_KEY,
    ),
    "-1121": (ccxt.BadSymbol("x"), Reply(400, {}, '{"code":-1121,"msg":"Bad"}'), TODO_SYMBOL),
    "-1016": (ccxt.BadRequest("x"), Reply(400, {}, '{"code":-1016,"msg":"gone"}'), None),
    "not supported": (ccxt.NotSupported("x"), Reply(), None),
}


@pytest.mark.parametrize("case", PERMANENT)
def test_what_asking_again_cannot_change_is_permanent_at_once(case: str) -> None:
    error, reply, todo = PERMANENT[case]
    verdict = judge(error, reply, NOW)
    assert not verdict.again
    assert todo is None or verdict.todo == todo


AGAIN = {
    "500": (ccxt.ExchangeNotAvailable("x"), Reply(500, {}, PAGE)),
    "502": (ccxt.ExchangeNotAvailable("x"), Reply(502, {}, PAGE)),
    "503": (ccxt.ExchangeNotAvailable("x"), Reply(503, {}, "")),
    "504": (ccxt.RequestTimeout("x"), Reply(504, {}, "")),
    "500 with a JSON ccxt has no class for": (ccxt.ExchangeError("x"), Reply(500, {}, "{}")),
    "408": (ccxt.RequestTimeout("x"), Reply(408, {}, "")),
    "-1001 is a bare OperationFailed": (
        ccxt.OperationFailed("x"),
        Reply(200, {}, '{"code":-1001,"msg":"Internal error"}'),
    ),
    "-1001 with status 400": (ccxt.OperationFailed("x"), Reply(400, {}, '{"code":-1001}')),
    "timeout": (ccxt.RequestTimeout("binance GET https://x"), Reply()),
    "connection closed": (
        after(ccxt.NetworkError("x"), requests.ConnectionError("Connection aborted.")),
        Reply(),
    ),
    "body cut short, as a plain ExchangeError": (
        after(ccxt.ExchangeError("x"), requests.exceptions.ChunkedEncodingError("cut")),
        Reply(),
    ),
    "body that cannot be unpacked": (
        after(ccxt.ExchangeError("x"), requests.exceptions.ContentDecodingError("bad")),
        Reply(),
    ),
    "not whole JSON": (ccxt.BadResponse("x"), Reply(200, {}, "[[1,2")),
    "a busy server in words": (
        ccxt.ExchangeError("x"),
        Reply(200, {}, '{"retCode":10016,"retMsg":"Internal server error"}'),
    ),
    "an unexpected shape": (KeyError("list"), Reply(200, {}, "{}")),
}


@pytest.mark.parametrize("case", AGAIN)
def test_what_may_pass_is_asked_again(case: str) -> None:
    error, reply = AGAIN[case]
    verdict = judge(error, reply, NOW)
    assert verdict.again
    assert verdict.wait is None
    assert not verdict.venue_wide


@pytest.mark.parametrize(
    ("error", "reply", "most"),
    [
        (ccxt.ExchangeNotAvailable("x"), Reply(400, {}, PAGE), 2),
        (ccxt.ExchangeNotAvailable("x"), Reply(404, {}, '{"errors":[]}'), 2),
        (ccxt.ExchangeError("x"), Reply(200, {}, '{"code":"1"}'), 3),
    ],
)
def test_a_bad_request_without_a_known_reason_gets_few_more_tries_and_is_then_refused(
    error: Exception, reply: Reply, most: int
) -> None:
    verdict = judge(error, reply, NOW)
    assert (verdict.again, verdict.most, verdict.final) == (True, most, True)


def test_a_certificate_that_is_not_trusted_is_refused_after_one_more_try() -> None:
    cause = requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED")
    verdict = judge(after(ccxt.ExchangeError("x"), cause), Reply(), NOW)
    assert (verdict.most, verdict.final, verdict.todo) == (2, True, TODO_CERTIFICATE)


def test_a_proxy_that_wants_a_password_is_permanent() -> None:
    cause = requests.exceptions.ProxyError("Tunnel connection failed: 407 Proxy Authentication")
    verdict = judge(after(ccxt.NetworkError("x"), cause), Reply(), NOW)
    assert (verdict.again, verdict.todo) == (False, TODO_PROXY_KEY)


def test_a_clock_out_of_step_says_so() -> None:
    verdict = judge(ccxt.InvalidNonce("x"), Reply(400, {}, '{"code":-1021}'), NOW)
    assert (verdict.again, verdict.most, verdict.todo) == (True, 3, TODO_CLOCK)


RATE_LIMITS = {
    "429 with seconds": (Reply(429, {"Retry-After": "7"}, "{}"), 7.0, 60.0),
    "429 with a date": (
        Reply(429, DATE | {"retry-after": "Mon, 01 Jan 2024 00:00:30 GMT"}, ""),
        30.0,
        60.0,
    ),
    "429 without": (Reply(429, {}, ""), None, 60.0),
    "418 with the end of the ban": (
        Reply(418, {}, f'{{"msg":"IP banned until {NOW + 90_000}. Please use"}}'),
        91.0,
        120.0,
    ),
    "418 with both": (Reply(418, {"Retry-After": "300"}, f"until {NOW + 90_000}"), 300.0, 120.0),
    "418 whose end has passed": (Reply(418, {}, f"until {NOW - 90_000}"), 1.0, 120.0),
    "418 without": (Reply(418, {}, ""), None, 120.0),
    "403 access too frequent": (Reply(403, {}, "access too frequent"), None, 600.0),
    "a code inside status 200": (Reply(200, {}, '{"retCode":10006}'), None, 60.0),
}


@pytest.mark.parametrize("case", RATE_LIMITS)
def test_a_rate_limit_waits_as_long_as_the_venue_says_and_holds_everybody(case: str) -> None:
    reply, wait, base = RATE_LIMITS[case]
    verdict = judge(ccxt.RateLimitExceeded("x"), reply, NOW)
    assert (verdict.again, verdict.wait, verdict.base) == (True, wait, base)
    assert verdict.venue_wide


def test_krakens_lockout_waits_a_quarter_of_an_hour() -> None:
    error = ccxt.DDoSProtection('kraken {"error":["EGeneral:Temporary lockout"]}')
    assert judge(error, Reply(200, {}, "{}"), NOW).base == 900.0


def test_maintenance_backs_off_from_a_minute() -> None:
    verdict = judge(ccxt.OnMaintenance("x"), Reply(503, {}, '{"code":"50001"}'), NOW)
    assert (verdict.again, verdict.base) == (True, 60.0)


def test_words_name_status_class_and_the_readable_part_of_a_page() -> None:
    words = judge(ccxt.ExchangeNotAvailable("x"), Reply(503, {}, PAGE), NOW).words
    assert words == "HTTP 503, ccxt ExchangeNotAvailable: Blocked Not here"


def test_words_of_a_failed_connection_name_the_root_and_no_address() -> None:
    root = ConnectionRefusedError(111, "Connection refused")
    outer = requests.ConnectionError("Max retries exceeded with url: /x?signature=abc")
    outer.__context__ = root
    words = judge(after(ccxt.NetworkError("x"), outer), Reply(), NOW).words
    assert words == "the connection failed (ccxt NetworkError: Connection refused)"


def test_a_long_body_is_shortened() -> None:
    assert len(judge(ccxt.BadRequest("x"), Reply(400, {}, "{" + "y" * 5_000), NOW).words) < 300


QUESTION = Question("bybit", "BTC/USDT:USDT", "mark", (NOW, NOW + 3_600_000))


def test_a_refusal_names_venue_symbol_range_class_and_next_step() -> None:
    error = refused(Verdict(False, "HTTP 451, ccxt ExchangeNotAvailable", TODO_BLOCKED), QUESTION)
    assert isinstance(error, ExchangeRefused)
    assert str(error) == (
        "bybit refuses: found HTTP 451, ccxt ExchangeNotAvailable "
        "(mark of BTC/USDT:USDT, 2024-01-01 00:00 to 2024-01-01 01:00 UTC); " + TODO_BLOCKED
    )
    assert (error.exchange, error.symbol, error.kind, error.span) == (
        "bybit",
        "BTC/USDT:USDT",
        "mark",
        QUESTION.span,
    )


def test_giving_up_names_how_often_and_how_long_it_was_tried() -> None:
    error = unreachable(Verdict(True, "timeout"), QUESTION, tries=12, spent=309.4, wait=60)
    assert isinstance(error, ExchangeUnreachable)
    assert "asked 12 times in 309 s" in str(error)
    assert "asked once in" in str(unreachable(Verdict(True, "x"), QUESTION, 1, 0.0, 1.0))


def test_secrets_queries_and_users_of_addresses_are_taken_out() -> None:
    scrub = scrubber(["hunter2", "abc"])
    assert scrub("hunter2 http://u:p@h/a?apiKey=1 abc") == "*** http://***@h/a abc"
