"""The tree of exceptions tells who has to act, and messages tell what to do."""

from __future__ import annotations

import pickle

import pytest

from bt_margin import errors

INPUT = (
    errors.DataError,
    errors.UnknownSymbol,
    errors.UnknownVenue,
    errors.UnknownMode,
    errors.LeverageError,
    errors.MissingData,
    errors.CashError,
    errors.StoreDamaged,
    errors.UnknownExchange,
    errors.StrategyNotFound,
)
REFUSED = (errors.LeverageRefused, errors.MarginModeRefused, errors.MarginRefused)


def test_one_root_catches_everything() -> None:
    for name in errors.__all__:
        found = getattr(errors, name)
        if isinstance(found, type):
            assert issubclass(found, errors.BtMarginError)


@pytest.mark.parametrize("kind", INPUT)
def test_a_callers_mistake_is_also_a_value_error(kind: type[Exception]) -> None:
    assert issubclass(kind, errors.InputError)
    assert issubclass(kind, ValueError)


def test_neither_a_refusal_nor_a_broken_promise_is_a_callers_mistake() -> None:
    for kind in (errors.Refused, *REFUSED, errors.InvariantError):
        assert not issubclass(kind, ValueError)


@pytest.mark.parametrize(
    "kind", [errors.DownloadError, errors.ExchangeRefused, errors.ExchangeUnreachable]
)
def test_a_failed_download_says_of_what_and_survives_pickling(kind: type[Exception]) -> None:
    facts = {"exchange": "okx", "symbol": "BTC/USDT:USDT", "kind": "mark", "span": (0, 60_000)}
    made = kind("no answer", **facts)
    again = pickle.loads(pickle.dumps(made))
    for error in (made, again):
        assert not isinstance(error, ValueError)
        assert str(error) == "no answer"
        assert vars(error) == facts


@pytest.mark.parametrize("kind", REFUSED)
def test_a_refusal_carries_its_facts_and_survives_pickling(kind: type[errors.Refused]) -> None:
    made = kind("too much", event={"id": 7}, code="-2027", found=125, allowed=50)
    again = pickle.loads(pickle.dumps(made))
    for error in (made, again):
        assert isinstance(error, kind)
        assert str(error) == "too much"
        assert (error.event, error.code) == ({"id": 7}, "-2027")
        assert (error.found, error.allowed) == (125, 50)


def test_a_message_is_one_sentence_naming_all_five_things() -> None:
    text = errors.message("what", 1, 2, "where", "do this")
    assert text == "what: found 1, allowed 2 (where); do this"


def test_a_message_leaves_out_what_is_not_known_but_keeps_zero() -> None:
    assert errors.message("what", found=0) == "what: found 0"
    assert errors.message("what", todo="do this") == "what; do this"


def test_near_offers_the_closest_names_and_nothing_when_none_is_close() -> None:
    assert errors.near("binanc", ["bybit", "binance", "binancecoinm"]).startswith(
        "did you mean binance"
    )
    assert errors.near("", ["binance"]) == ""
    assert errors.near("binance", []) == ""
