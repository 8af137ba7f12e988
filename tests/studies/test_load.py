"""Finding a strategy by what a person types."""

from __future__ import annotations

from pathlib import Path

import pytest

from bt_margin.errors import StrategyNotFound
from bt_margin.studies.load import find_strategy

ONE = "import backtrader as bt\n\nclass Trend(bt.Strategy):\n    pass\n"
TWO = ONE + "\nclass Carry(bt.Strategy):\n    pass\n"


def write(folder: Path, name: str, text: str) -> str:
    """A strategy file; its path as text."""
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_file_with_one_strategy_names_it(tmp_path: Path) -> None:
    assert find_strategy(write(tmp_path, "trend.py", ONE)).__name__ == "Trend"


def test_a_class_of_a_file_is_named_after_a_colon(tmp_path: Path) -> None:
    assert find_strategy(write(tmp_path, "two.py", TWO) + ":Carry").__name__ == "Carry"


@pytest.mark.parametrize("where", ["mine.sub", "mine.sub:Trend", "mine.sub.Trend"])
def test_dotted_paths_find_modules_and_classes(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    write(tmp_path / "mine", "sub.py", ONE)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_strategy(where).__name__ == "Trend"


def test_two_strategies_ask_which(tmp_path: Path) -> None:
    where = write(tmp_path, "two.py", TWO)
    with pytest.raises(StrategyNotFound, match=r"2 strategies.*NAME one of Carry, Trend"):
        find_strategy(where)


def test_a_wrong_class_offers_the_nearest(tmp_path: Path) -> None:
    where = write(tmp_path, "two.py", TWO)
    with pytest.raises(StrategyNotFound, match="did you mean Trend"):
        find_strategy(where + ":Tremd")


def test_a_wrong_file_offers_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, "pairs.py", ONE)
    with pytest.raises(StrategyNotFound, match=r"no strategy file.*did you mean .*pairs\.py"):
        find_strategy(str(tmp_path / "pair.py"))


def test_a_file_without_strategies_says_so(tmp_path: Path) -> None:
    with pytest.raises(StrategyNotFound, match=r"subclass of backtrader\.Strategy"):
        find_strategy(write(tmp_path, "empty.py", "import backtrader as bt\n"))


@pytest.mark.parametrize("text", ["import nothing_of_this_name\n", "1/0\n", "class (\n"])
def test_a_file_that_does_not_import_says_why(text: str, tmp_path: Path) -> None:
    with pytest.raises(StrategyNotFound, match="cannot be imported"):
        find_strategy(write(tmp_path, "broken.py", text))


def test_a_dotted_path_that_is_not_there() -> None:
    with pytest.raises(StrategyNotFound, match="no strategy nowhere"):
        find_strategy("nowhere.at.all")
