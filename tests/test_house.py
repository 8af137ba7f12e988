"""The shape of the code: short files, short functions, nothing left unfinished."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("bt_margin", "strategies", "benchmarks")
FILES = [f for folder in FOLDERS for f in sorted((ROOT / folder).rglob("*.py"))]
MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 40

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")
SILENCED = re.compile(r"#\s*(noqa|type:\s*ignore|pragma:|ruff:)")
SILENCED_WITH_A_REASON = re.compile(r"#\s*(noqa: \w+|type: ignore\[[\w, -]+\])\s+#? ?\w+")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def place(file: Path, line: int) -> str:
    return f"{file.relative_to(ROOT)}:{line}"


def functions(file: Path) -> list[Function]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def body_without_docstring(function: Function) -> list[ast.stmt]:
    return function.body[1:] if ast.get_docstring(function) is not None else function.body


def body_lines(function: Function) -> int:
    body = body_without_docstring(function)
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def is_stub(function: Function) -> bool:
    """A body of ``...`` alone, which only protocols and overloads may have."""
    body = body_without_docstring(function)
    return len(body) == 1 and ast.unparse(body[0]) == "..."


def declared_only(file: Path) -> set[int]:
    """Lines of functions that are declarations: members of protocols, and overloads."""
    lines: set[int] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(b) for b in node.bases):
            lines |= {member.lineno for member in node.body if isinstance(member, Function)}
        if isinstance(node, Function) and any(
            "overload" in ast.unparse(d) for d in node.decorator_list
        ):
            lines.add(node.lineno)
    return lines


def test_files_stay_under_400_lines() -> None:
    counted = {place(f, 1): len(f.read_text(encoding="utf-8").splitlines()) for f in FILES}
    assert {f: n for f, n in counted.items() if n >= MOST_LINES_OF_A_FILE} == {}


def test_functions_stay_under_40_lines_docstring_not_counted() -> None:
    counted = {
        f"{place(file, function.lineno)} {function.name}": body_lines(function)
        for file in FILES
        for function in functions(file)
    }
    assert {f: n for f, n in counted.items() if n >= MOST_LINES_OF_A_FUNCTION} == {}


def test_every_folder_of_the_package_is_a_package() -> None:
    folders = {file.parent for file in (ROOT / "bt_margin").rglob("*.py")}
    assert [str(f.relative_to(ROOT)) for f in folders if not (f / "__init__.py").exists()] == []


def test_nothing_is_left_for_later() -> None:
    marked = [
        f"{place(file, number)} {line.strip()}"
        for file in FILES
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    empty = [
        f"{place(file, function.lineno)} {function.name}"
        for file in FILES
        for function in functions(file)
        if is_stub(function) and function.lineno not in declared_only(file)
    ]
    assert marked + empty == []


def test_no_check_is_silenced_without_a_reason() -> None:
    silenced = [
        f"{place(file, number)} {line.strip()}"
        for file in FILES
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if SILENCED.search(line) and not SILENCED_WITH_A_REASON.search(line)
    ]
    assert silenced == []


def test_every_public_function_and_class_says_what_it_means() -> None:
    silent = [
        f"{place(file, node.lineno)} {node.name}"
        for file in FILES
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_")
        if ast.get_docstring(node) is None
    ]
    assert silent == []
