"""What a script keeps outside its strategies is found alike by every run."""

from __future__ import annotations

import io
from collections import Counter, defaultdict, deque
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bt_margin.studies.belongings import keep


@pytest.fixture
def book() -> Any:
    """A module as a script has it."""
    module: Any = ModuleType("book")
    exec(
        "class Trades:\n"
        "    made = []\n"
        "    best = None\n"
        "    def __init__(self):\n"
        "        self.count, self.rows = 0, {'a': [1]}\n"
        "trades = Trades()\n",
        module.__dict__,
    )
    module.Trades.__module__ = "book"
    return module


@pytest.mark.parametrize(
    ("start", "change"),
    [
        ([1, [2]], lambda v: v[1].append(3)),
        ({"a": {"b": 1}}, lambda v: v["a"].update(c=2)),
        ({1, 2}, lambda v: v.add(3)),
        (deque([1], maxlen=2), lambda v: v.extend([2, 3])),
        (Counter("aab"), lambda v: v.update("abc")),
        (defaultdict(list), lambda v: v["x"].append(1)),
    ],
)
def test_containers_get_their_contents_back_in_place(book: Any, start: Any, change: Any) -> None:
    before = repr(start)
    book.value = start
    put_back = keep([book])
    for _ in range(2):
        change(start)
        book.value = None
        put_back()
        assert book.value is start
        assert repr(start) == before


def test_class_attributes_and_plain_objects(book: Any) -> None:
    put_back = keep([book])
    book.Trades.made.append(1)
    book.Trades.best = 5
    book.trades.count += 1
    book.trades.rows["a"].append(2)
    book.trades.more = True
    put_back()
    assert (book.Trades.made, book.Trades.best) == ([], None)
    assert (book.trades.count, book.trades.rows) == (0, {"a": [1]})


def test_streams_and_files_go_back_to_where_they_were(book: Any, tmp_path: Path) -> None:
    book.memory = io.StringIO()
    book.memory.write("head\n")
    with (tmp_path / "log").open("w+") as book.file, (tmp_path / "gone").open("w") as book.gone:
        book.file.write("head\n")
        put_back = keep([book])
        for stream in (book.memory, book.file):
            stream.write("run\n")
        book.gone.close()
        put_back()
        for stream in (book.memory, book.file):
            stream.write("told\n")
    assert book.memory.getvalue() == (tmp_path / "log").read_text() == "head\ntold\n"


def test_a_container_that_holds_itself(book: Any) -> None:
    book.ring = []
    book.ring.append(book.ring)
    put_back = keep([book])
    book.ring.append(1)
    put_back()
    assert len(book.ring) == 1
