"""A mapping whose values are made when asked for."""

from __future__ import annotations

import pickle

import pytest

from bt_margin.venues.made import Made

CALLS: list[str] = []


def doubled(name: str, suffix: str = "") -> str:
    CALLS.append(name)
    return name * 2 + suffix


def test_a_value_is_made_once_and_only_of_a_name_of_the_list() -> None:
    CALLS.clear()
    found = Made(doubled, ("a", "b"), "!")
    assert (found["a"], found["a"], CALLS) == ("aa!", "aa!", ["a"])
    assert "b" in found
    assert CALLS == ["a"]
    with pytest.raises(KeyError):
        found["c"]
    assert (list(found), len(found), repr(found)) == (["a", "b"], 2, "Made(doubled, 2 names)")


def test_it_is_what_it_makes_and_of_what() -> None:
    one, other = Made(doubled, ("a",)), Made(doubled, ("a",))
    assert one["a"] == "aa"
    assert one == other
    assert hash(one) == hash(other)
    assert one != Made(doubled, ("a",), "!")
    assert one != {"a": "aa"}
    copy = pickle.loads(pickle.dumps(one))
    assert copy == one
    assert copy["a"] == "aa"
