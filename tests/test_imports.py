"""The import rules of the house: imports go right only, and frameworks stand at the door."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from bt_margin.venues import _BUILDERS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "bt_margin"

# Which strata a stratum may import besides itself: everything to its right.
RIGHT_OF: dict[str, set[str]] = {"errors": set()}
RIGHT_OF["core"] = {"errors"}
RIGHT_OF["venues"] = {"core"} | RIGHT_OF["core"]
RIGHT_OF["engine"] = {"venues"} | RIGHT_OF["venues"]
RIGHT_OF["plugin"] = {"engine"} | RIGHT_OF["engine"]
RIGHT_OF["market"] = {"engine"} | RIGHT_OF["engine"]
RIGHT_OF["studies"] = {"plugin", "market"} | RIGHT_OF["plugin"]
RIGHT_OF["report"] = {"studies"} | RIGHT_OF["studies"]
RIGHT_OF["cli"] = {"report"} | RIGHT_OF["report"]

THIRD_PARTY: dict[str, set[str]] = {
    "errors": set(),
    "core": set(),
    "venues": set(),
    "engine": set(),
    "plugin": {"backtrader"},
    "market": {"ccxt", "filelock", "numpy", "pandas", "pyarrow", "tomli"},
    "studies": {"joblib", "numba", "numpy", "pandas"},
    "report": {"numpy", "pandas", "plotly", "rich"},
    "cli": {"rich", "typer"},
}
FEEDS_ALSO = {"numpy", "pandas"}
VENUES = {module.rpartition(".")[2] for module, _ in _BUILDERS.values()}

HEAVY = {"backtrader", "ccxt", "filelock", "joblib", "matplotlib", "numba", "numpy", "pandas"}
HEAVY |= {"plotly", "pyarrow", "rich", "typer"}

BLOCKED_IMPORT_OF_THE_INNER_HOUSE = """
import importlib, pkgutil, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is not installed", name=name)

sys.meta_path.insert(0, Blocker())
import bt_margin
for stratum in STRATA:
    package = importlib.import_module(f"bt_margin.{stratum}")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
assert not BLOCKED & set(sys.modules), BLOCKED & set(sys.modules)
"""


class Import(NamedTuple):
    """One imported module, as written in one line of one file."""

    file: Path
    line: int
    module: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.module}"


def stratum_of(file: Path) -> str:
    """The stratum a file of the package belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(file: Path) -> Iterator[Import]:
    """Every absolute module name a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(file, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = absolute(file, node)
            yield Import(file, node.lineno, module)
            if module.partition(".")[0] == "bt_margin":
                names = (f"{module}.{alias.name}" for alias in node.names)
                yield from (Import(file, node.lineno, name) for name in names)


def absolute(file: Path, node: ast.ImportFrom) -> str:
    """The absolute name behind ``from ..x import y``."""
    if not node.level:
        return node.module or ""
    here = file.relative_to(ROOT).parent.parts
    base = here[: len(here) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def all_imports() -> list[Import]:
    """The imports of all strata; the package's own ``__init__`` is the door and may see all."""
    files = [f for f in sorted(PACKAGE.rglob("*.py")) if stratum_of(f) in THIRD_PARTY]
    return [found for file in files for found in imported_modules(file)]


def breaks_direction(found: Import) -> bool:
    own = stratum_of(found.file)
    parts = found.module.split(".")
    if parts[0] != "bt_margin" or len(parts) == 1:
        return False
    return parts[1] not in RIGHT_OF[own] | {own, "_version"}


def breaks_third_party(found: Import) -> bool:
    own = stratum_of(found.file)
    top = found.module.partition(".")[0]
    allowed = THIRD_PARTY[own] | (FEEDS_ALSO if is_feeds(found.file) else set())
    return top not in allowed | {"bt_margin"} and top not in sys.stdlib_module_names


def is_feeds(file: Path) -> bool:
    return file.relative_to(PACKAGE).parts[:2] in {("plugin", "feeds"), ("plugin", "feeds.py")}


def run_python(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_module_has_a_stratum() -> None:
    outside = {"__init__", "__main__", "_version"}
    found = {stratum_of(file) for file in PACKAGE.rglob("*.py")}
    assert found - outside <= set(THIRD_PARTY)


def test_imports_go_right_only() -> None:
    assert [str(found) for found in all_imports() if breaks_direction(found)] == []


def test_plugin_and_market_do_not_know_each_other() -> None:
    assert "market" not in RIGHT_OF["plugin"]
    assert "plugin" not in RIGHT_OF["market"]


def test_each_stratum_imports_only_its_own_third_parties() -> None:
    assert [str(found) for found in all_imports() if breaks_third_party(found)] == []


def test_nobody_inside_imports_the_package_door() -> None:
    assert [str(found) for found in all_imports() if found.module == "bt_margin"] == []


def venue_of(module: str) -> str | None:
    """The venue a module of ``venues/`` belongs to (``binance_facts`` to binance), if to any."""
    first = module.rpartition(".")[2].partition("_")[0]
    return first if first in VENUES else None


def crosses_venues(found: Import) -> bool:
    return len({venue_of(found.file.stem), venue_of(found.module)} - {None}) == 2


def test_no_venue_imports_another() -> None:
    inside = [found for found in all_imports() if stratum_of(found.file) == "venues"]
    assert {"binance", "generic"} <= VENUES
    assert [str(found) for found in inside if crosses_venues(found)] == []


@pytest.mark.parametrize(
    ("module", "crosses"), [("generic", True), ("binance_facts", False), ("spec", False)]
)
def test_a_venue_may_import_its_own_facts_and_what_all_share(module: str, crosses: bool) -> None:
    found = Import(PACKAGE / "venues" / "binance.py", 1, f"bt_margin.venues.{module}")
    assert crosses_venues(found) is crosses


def test_core_venues_and_engine_run_without_any_framework_installed() -> None:
    strata = [s for s in ("core", "venues", "engine") if (PACKAGE / s / "__init__.py").exists()]
    names = f"BLOCKED = {HEAVY!r}\nSTRATA = {strata!r}\n"
    run_python(names + BLOCKED_IMPORT_OF_THE_INNER_HOUSE)


def test_importing_the_package_loads_no_framework() -> None:
    heavy = f"{HEAVY!r} & set(sys.modules)"
    run_python(f"import sys; import bt_margin; assert not {heavy}, {heavy}")


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("from ..core import tiers", "bt_margin.core"),
        ("from .spec import Venue", "bt_margin.venues.spec"),
        ("from . import spec", "bt_margin.venues"),
        ("from bt_margin.core.tiers import Tier", "bt_margin.core.tiers"),
    ],
)
def test_relative_imports_are_judged_by_their_absolute_name(source: str, module: str) -> None:
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.ImportFrom)
    assert absolute(PACKAGE / "venues" / "binance.py", node) == module
