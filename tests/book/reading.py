"""The pages of the book as tests see them: blocks in order, links, headings, and a way to run them."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from market.loopback import Coin, loopback, ms
from typer.testing import CliRunner

import bt_margin as btm
from bt_margin.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md"))
COINS = tuple(Coin(name, listed=ms("2025-01-01")) for name in ("BTC", "ETH"))
NOW = ms("2025-02-01")
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file it is to be saved as (or ""), its text, line and output."""

    kind: str
    title: str
    text: str
    line: int
    output: str | None


def name_of(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


def blocks(page: Path) -> list[Block]:
    """The blocks of a page; a ``text`` block right behind another is that one's output."""
    text = page.read_text(encoding="utf-8")
    found = list(FENCE.finditer(text))
    made = []
    for place, match in enumerate(found):
        after = found[place + 1] if place + 1 < len(found) else None
        follows = after and after[1] == "text" and not text[match.end() : after.start()].strip()
        title = re.search(r'title="([^"]+)"', match[2])
        line = text[: match.start()].count("\n") + 1
        output = after[3] if after and follows else None
        made.append(Block(match[1], title[1] if title else "", match[3], line, output))
    return made


def commands(block: Block) -> list[str]:
    return [line for line in block.text.splitlines() if line.strip()]


def agrees(expected: str, found: str) -> bool:
    return OutputChecker().check_output(expected, found, NORMALIZE_WHITESPACE | ELLIPSIS)


class Reader:
    """Somebody who follows a page from top to bottom in an empty folder."""

    def __init__(self, page: Path, known: set[str]) -> None:
        self.page = page
        self.known = known
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def follow(self) -> None:
        for block in blocks(self.page):
            printed = self.do(block)
            if block.output is not None:
                where = f"{name_of(self.page)}:{block.line}"
                assert agrees(block.output, printed), f"{where} prints\n{printed}"

    def do(self, block: Block) -> str:
        if block.title:
            Path(block.title).write_text(block.text, encoding="utf-8")
            return ""
        if block.kind == "python":
            return self.python(block)
        if block.kind == "bash":
            return "".join(self.shell(line) for line in commands(block) if line not in self.known)
        return ""

    def python(self, block: Block) -> str:
        code = compile("\n" * block.line + block.text, str(self.page), "exec")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, self.names)
        return printed.getvalue()

    def shell(self, line: str) -> str:
        program, *words = shlex.split(line)
        assert program == "bt-margin", f"{name_of(self.page)}: nobody tests `{line}`"
        exchange = words[words.index("--exchange") + 1] if "--exchange" in words else ""
        if exchange and words[0] in ("download", "compare"):
            with loopback(exchange, *COINS, now=NOW) as server:
                Path("options.json").write_text(json.dumps(server.exchange_options))
                found = CliRunner().invoke(app, [*words, "--exchange-options", "options.json"])
        else:
            found = CliRunner().invoke(app, words)
        assert found.exit_code == 0, f"{line}\n{found.output}"
        return found.output


def tool(name: str) -> ModuleType:
    """A file of docs/tools as a module."""
    path = DOCS / "tools" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"docs_tools_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def in_place_of_exchanges(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``btm.download`` and ``btm.FinerBars`` ask a server on this machine."""
    with loopback("binanceusdm", *COINS, now=NOW) as server:
        for name in ("download", "FinerBars"):
            there = partial(getattr(btm, name), exchange_options=server.exchange_options)
            monkeypatch.setattr(btm, name, there)
        yield
