"""Find a strategy by what a person types: a file, ``file.py:Class``, or a dotted path."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from bt_margin.errors import StrategyNotFound, message, near
from bt_margin.plugin.assemble import is_strategy


def find_strategy(where: str) -> type[Any]:
    """The strategy class that ``where`` names.

    ``where`` is a Python file (its only strategy), ``file.py:Class``, a dotted module, ``module:Class`` or
    ``module.Class``. :raises StrategyNotFound: no such file, module or class (the nearest names are offered),
    several strategies in one file, or a file that cannot be imported.
    """
    place, _, name = _split(where)
    if place.endswith(".py") or "/" in place or Path(place).is_file():
        module = _from_file(Path(place).expanduser())
    else:
        module, name = _from_dotted(place, name)
    return _pick(module, name, where)


def strategies_in(module: ModuleType) -> dict[str, type[Any]]:
    """The strategies a module defines itself (not those it imports), by name."""
    return {
        name: found
        for name, found in vars(module).items()
        if inspect.isclass(found) and is_strategy(found) and found.__module__ == module.__name__
    }


def _split(where: str) -> tuple[str, str, str]:
    """``file.py:Class`` → (file.py, :, Class); a colon inside a Windows drive is not a separator."""
    head, colon, tail = where.rpartition(":")
    if colon and tail.isidentifier():
        return head, colon, tail
    return where, "", ""


def _from_file(path: Path) -> ModuleType:
    """The module in ``path``, imported under a name of its own, its folder importable."""
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path()
        names = sorted(str(p) for p in folder.glob("*.py"))
        raise _missing("strategy file", str(path), names, "give the path of a Python file")
    folder_name = str(path.resolve().parent)
    if folder_name not in sys.path:
        sys.path.insert(0, folder_name)
    name = f"bt_margin_strategy_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise _missing("strategy file", str(path), [], "give the path of a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pickling and dataclasses look a class's module up here
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise _broken(str(path), error) from error
    return module


def _from_dotted(place: str, name: str) -> tuple[ModuleType, str]:
    """The module of a dotted path and the class name left over (``pkg.mod.Class``)."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(place), name
    except ModuleNotFoundError as error:
        head, _, tail = place.rpartition(".")
        if not place.startswith(f"{error.name}.") and error.name != place:
            raise _broken(place, error) from error
        if head and not name:
            return _from_dotted(head, tail)
        files = sorted(str(p) for p in Path().glob("strategies/*.py"))
        todo = "give file.py, file.py:Class or a dotted path that can be imported"
        raise _missing("strategy", place, files, todo) from error
    except Exception as error:
        raise _broken(place, error) from error


def _pick(module: ModuleType, name: str, where: str) -> type[Any]:
    """The strategy called ``name``, or the only one there is."""
    own = strategies_in(module)
    if name:
        found = own.get(name, getattr(module, name, None))
        if inspect.isclass(found) and is_strategy(found):
            return found
        raise _missing("strategy", f"{name} in {where}", sorted(own), "name one of these")
    if len(own) == 1:
        return next(iter(own.values()))
    if not own:
        raise _missing("strategy", where, [], "define a subclass of backtrader.Strategy there")
    names = ", ".join(sorted(own))
    raise StrategyNotFound(
        message(
            "strategy name",
            found=f"{len(own)} strategies",
            allowed="one",
            where=where,
            todo=f"say which: {where}:NAME with NAME one of {names}",
        )
    )


def _missing(what: str, found: str, names: list[str], todo: str) -> StrategyNotFound:
    """The error for a name that is not there, with the nearest ones that are."""
    hint = near(found.split(" in ")[0], names)
    text = f"no {what} {found}"
    if hint:
        text += f"; {hint}"
    elif names:
        text += f"; there are {', '.join(names)}"
    return StrategyNotFound(f"{text}; {todo}")


def _broken(where: str, error: BaseException) -> StrategyNotFound:
    """The error for a file that is there but does not import."""
    return StrategyNotFound(
        f"{where} cannot be imported: {type(error).__name__}: {error}; correct the file"
    )
