"""The examples in the docstrings of the book's own tools."""

from __future__ import annotations

import doctest
from importlib.util import find_spec

import pytest
from book.reading import tool


@pytest.mark.parametrize("name", ["sheet", "hooks", "docstrings"])
def test_the_examples_of_a_tool_hold(name: str) -> None:
    if name == "docstrings" and find_spec("griffe") is None:
        pytest.skip("griffe is not installed: pip install '.[docs]'")
    found = doctest.testmod(tool(name))
    assert found.attempted > 0
    assert found.failed == 0
