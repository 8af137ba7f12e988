"""The answers only translate: no handler calculates, and every shipped case comes out right."""

from __future__ import annotations

import ast
from importlib.resources import files
from pathlib import Path

import pytest

from bt_margin.studies import conformance
from bt_margin.studies.conformance import cases_of, read_cases, run_cases
from bt_margin.studies.conformance.case import Case
from bt_margin.studies.conformance.run import VENUES

FOLDER = Path(conformance.__file__).parent
SHARED = {"__init__", "case", "reading", "run"}
HANDLERS = sorted(path for path in FOLDER.glob("*.py") if path.stem not in SHARED)
FILES = sorted(Path(str(files("bt_margin.venues").joinpath("cases"))).glob("*.json"))
CASES = [case for file in FILES for case in read_cases(file)]
CALCULATING = {"divmod", "pow", "sum"}


def arithmetic(tree: ast.AST) -> list[str]:
    """Every place where numbers are made: operators, and functions that stand for them."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.AugAssign) and not isinstance(node.op, ast.BitOr):
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CALCULATING:
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            if {"math", "operator", "numpy"} & set(names):
                found.append(f"line {node.lineno}: {ast.unparse(node)}")
    return found


@pytest.mark.parametrize("path", HANDLERS, ids=lambda path: path.stem)
def test_a_handler_holds_no_arithmetic(path: Path) -> None:
    assert arithmetic(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("code", "count"),
    [("a - b", 1), ("a **= 2", 1), ("-a", 0), ("int | None", 0), ("sum(a)", 1), ("import math", 1)],
)
def test_arithmetic_is_noticed(code: str, count: int) -> None:
    assert len(arithmetic(ast.parse(code))) == count


def test_every_handler_is_known_by_the_name_of_its_venue() -> None:
    assert {path.stem for path in HANDLERS} <= set(VENUES.values())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_shipped_case_comes_out_right(case: Case) -> None:
    (outcome,) = run_cases([case])
    assert outcome.reason == ""
    assert [each for each in outcome.checked if not each.ok] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_shipped_case_says_where_it_was_read(case: Case) -> None:
    assert len(case.source) > 10
    assert case.venue in VENUES


def test_the_shipped_cases_have_ids_of_their_own() -> None:
    ids = [case.id for case in CASES]
    assert len(ids) == len(set(ids)) >= 19


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_an_answer_is_not_read_off_the_expectation(case: Case) -> None:
    """With every expected number changed the answers stay what they were."""
    spoilt = {
        key: (not value) if isinstance(value, bool) else 123_456.789
        for key, value in case.expected.items()
    }
    row = {
        "id": case.id, "venue": case.venue, "mode": case.mode, "what": case.kind,
        "side": case.side, "contract": case.contract, "inputs": dict(case.inputs),
        "expected": spoilt, "as_of": case.as_of, "formula": case.formula,
    }  # fmt: skip
    (told,), (spoilt_told,) = run_cases([case]), run_cases(cases_of([row]))
    assert [each.ours for each in spoilt_told.checked] == [each.ours for each in told.checked]
    assert not spoilt_told.ok
