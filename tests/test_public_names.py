"""The public face: every promised name is there, is the right one, and costs nothing until used."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bt_margin as btm

PROMISED = {
    "Account",
    "Event",
    "FinerBars",
    "InversePerp",
    "LinearPerp",
    "MarginBroker",
    "PerpData",
    "SpotMargin",
    "analyzers",
    "compare",
    "crashes",
    "download",
    "errors",
    "observers",
    "patch",
    "run",
    "sample_market",
    "sizers",
    "stress",
    "survival",
    "sweep",
    "register",
    "venue",
    "venues",
}


def test_all_lists_exactly_what_is_promised() -> None:
    assert set(btm.__all__) == PROMISED | {"__version__"}
    assert len(btm.__all__) == len(set(btm.__all__))


def test_the_version_is_a_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", btm.__version__)


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_each_public_name_comes_from_the_module_that_defines_it(name: str) -> None:
    home, attribute = btm._HOMES[name]
    module = importlib.import_module(home)
    expected = module if attribute is None else getattr(module, attribute)
    assert getattr(btm, name) is expected


def test_dir_shows_every_public_name_before_it_is_loaded() -> None:
    code = (
        "import bt_margin as b\n"
        "assert 'Account' not in vars(b)\n"
        "assert set(b.__all__) <= set(dir(b))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_wrong_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="MarginBrokr"):
        _ = btm.MarginBrokr


def test_type_checkers_see_the_same_names_from_the_same_modules() -> None:
    source = Path(btm.__file__).read_text(encoding="utf-8")
    seen = {
        (alias.asname or alias.name): node.module
        for block in ast.parse(source).body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    expected = {
        name: home if attribute else home.rpartition(".")[0]
        for name, (home, attribute) in btm._HOMES.items()
    }
    expected["venues"] = "bt_margin.venues"  # to a type checker the function, see below
    assert seen == expected


def test_venues_lists_names_and_stays_a_package() -> None:
    import bt_margin.venues

    assert btm.venues is bt_margin.venues
    assert {"generic", "binance"} <= set(btm.venues())


def test_the_account_needs_no_framework() -> None:
    code = (
        "import sys, bt_margin as b\n"
        "b.Account, b.venue('binance')\n"
        "assert not {'backtrader', 'pandas', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
