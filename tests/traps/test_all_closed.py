"""Every known trap is named by a test that would catch it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

#: how many ways to get margin wrong the tests of this folder guard against
TRAPS = range(1, 57)


def test_every_trap_has_its_test() -> None:
    """The docstrings of the tests here name ``trap 1`` to ``trap 56``, none left out."""
    closed: dict[int, list[str]] = defaultdict(list)
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        if file == Path(__file__):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                named = re.findall(r"\btrap (\d+)", ast.get_docstring(node) or "")
                assert named, f"{file.name}: {node.name} names no trap"
                for number in named:
                    closed[int(number)].append(node.name)
    assert sorted(closed) == list(TRAPS)
