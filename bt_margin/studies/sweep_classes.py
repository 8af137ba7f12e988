"""The classes of a strategy on their way to another process, and as they were before each run.

A class that a fresh process could not import (from a file, a notebook, a test) travels by value. backtrader's
metaclasses take ``params`` and ``lines`` out of a class while they make it, so its classes are made again
from what was taken out; cloudpickle does the rest.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from bt_margin.studies.belongings import _Keeper


def _found(*names: str) -> Any:
    """The first of these modules that there is."""
    try:
        return import_module(names[0])
    except ModuleNotFoundError:
        return import_module(names[1])


#: What joblib pickles with: a package of its own, inside joblib until its version 1.5.
cloudpickle = _found("cloudpickle", "joblib.externals.cloudpickle")
_Base: Any = cloudpickle.Pickler

_INSTALLED = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_HOUSE = f"{Path(__file__).resolve().parents[1]}{os.sep}"
#: What backtrader makes of a class's declarations, and what Python makes itself.
_MADE = {
    "params", "packages", "frompackages", "lines", "linealias", "plotinfo", "plotlines", "alias", "aliased",
    "_indcol", "__dict__", "__weakref__", "__module__", "__doc__", "__qualname__",
}  # fmt: skip


def dumped(thing: Any, strategy: type[Any], buffers: list[pickle.PickleBuffer]) -> bytes:
    """A pickle that another process can read; arrays go to ``buffers``.

    :raises Exception: it holds what cannot be pickled.
    """
    file = io.BytesIO()
    with by_value(own_modules(strategy)):
        _Pickler(file, protocol=5, buffer_callback=buffers.append).dump(thing)
    return file.getvalue()


class _Pickler(_Base):
    """cloudpickle, with an understanding of backtrader's classes."""

    def reducer_override(self, obj: Any) -> Any:
        """How an object is taken apart."""
        if isinstance(obj, type) and hasattr(type(obj), "donew") and travels(obj.__module__):
            return _taken_apart(obj)
        return super().reducer_override(obj)


def _taken_apart(kind: type[Any]) -> tuple[Any, ...]:
    """A class of backtrader's kind as its declarations and the rest."""
    head = {name: getattr(kind, name, None) for name in ("__module__", "__qualname__", "__doc__")}
    head |= {name: getattr(kind, name) for name in ("packages", "frompackages")}
    head |= {"params": tuple(kind.params._getitems())}
    lines = getattr(kind, "lines", None)
    if lines is not None:
        known, every = lines._getlinesbase(), lines._getlines()
        head |= {"lines": every[len(known) :], "plotinfo": dict(kind.plotinfo._getitems())}
    rest = {name: value for name, value in vars(kind).items() if name not in _MADE}
    return _made, (type(kind), kind.__name__, kind.__bases__, head), rest, None, None, _filled


def _made(meta: type, name: str, bases: tuple[type, ...], head: dict[str, Any]) -> Any:
    sys.modules.setdefault(head["__module__"], StandIn(head["__module__"]))
    return meta(name, bases, dict(head))


def _filled(kind: type, rest: dict[str, Any]) -> type:
    for name, value in rest.items():
        setattr(kind, name, value)
    return kind


class StandIn(ModuleType):
    """The module of a class that came by value: backtrader looks it up, and seldom wants anything of it.

    What is wanted all the same is imported then, from the places the sender imports from.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        sys.modules.pop(self.__name__)
        try:
            return getattr(import_module(self.__name__), name)
        except ModuleNotFoundError as error:
            sys.modules[self.__name__] = self
            raise AttributeError(name) from error


def own_modules(strategy: type[Any]) -> list[ModuleType]:
    """The modules of a strategy that are no installed packages: its own, and those of what they hold."""
    waiting = [sys.modules.get(kind.__module__) for kind in strategy.__mro__]
    found: dict[str, ModuleType] = {}
    while waiting:
        module = waiting.pop()
        if module is None or module.__name__ in found or not _is_own(module):
            continue
        found[module.__name__] = module
        for value in list(vars(module).values()):
            home = value if isinstance(value, ModuleType) else sys.modules.get(_home(value))
            waiting.append(home)
    return [found[name] for name in sorted(found)]


def _is_own(module: Any) -> bool:
    """Whether a module is somebody's own file: not installed, and no part of this package."""
    if not isinstance(module, ModuleType) or module.__name__ == "__main__":
        return False
    if sys.modules.get(module.__name__) is not module or not getattr(module, "__file__", None):
        return False
    place = str(Path(str(module.__file__)).resolve())
    return not place.startswith((*_INSTALLED, _HOUSE))


@contextmanager
def by_value(modules: Iterable[ModuleType]) -> Iterator[None]:
    """Pickle what these modules define by value for a while."""
    known = cloudpickle.list_registry_pickle_by_value()
    fresh = [module for module in modules if module.__name__ not in known]
    for module in fresh:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in fresh:
            cloudpickle.unregister_pickle_by_value(module)


#: Strategies under study in this process -> what puts back what their runs leave behind.
_STUDIED: dict[type[Any], Callable[[], None]] = {}


@contextmanager
def studied(strategy: type[Any]) -> Iterator[None]:
    """Let every run of a strategy for a while begin with its classes and globals as they are now."""
    known = _STUDIED.get(strategy)
    put_back = known or afresh(strategy)
    _STUDIED[strategy] = put_back
    try:
        yield
    finally:
        put_back()
        if known is None:
            del _STUDIED[strategy]


def fresh(strategy: type[Any]) -> None:
    """Put back what runs of a strategy under study left behind; of any other nothing is known."""
    put_back = _STUDIED.get(strategy)
    if put_back is not None:
        put_back()


def afresh(strategy: type[Any]) -> Callable[[], None]:
    """What puts back, before a run, what runs leave behind in a strategy's classes and globals.

    Without it a counter at module level would go on from cell to cell, and what a cell meets would depend on
    the worker it is given to.
    """
    kinds = [kind for kind in strategy.__mro__ if travels(kind.__module__)]
    keeper = _Keeper({kind.__module__ for kind in kinds})
    waiting: list[Any] = list(kinds)
    seen: set[int] = set()
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        keeper.look(thing)
        if isinstance(thing, type):
            waiting += [f for f in map(_function, vars(thing).values()) if f is not None]
            continue
        function = _function(thing)
        if function is not None and travels(function.__module__):
            space = function.__globals__
            names = {n: space[n] for n in _names(function.__code__) if n in space}
            keeper.names.append((space, names))
            waiting += [value for value in names.values() if travels(_home(value))]
    return keeper.put_back


def _home(value: Any) -> str:
    """The module something belongs to; plain values are of the module that holds them."""
    name = getattr(value, "__module__", None)
    return name if isinstance(name, str) else ""


def travels(name: str | None) -> bool:
    """Whether what this module defines is somebody's own: not importable here, or in a file of their own."""
    module = sys.modules.get(name or "")
    lent = not name or name == "__main__" or module is None or isinstance(module, StandIn)
    return lent or _is_own(module)


def _function(thing: Any) -> FunctionType | None:
    """The Python function behind a method, property, static or class method."""
    for name in ("__func__", "fget", "__wrapped__"):
        thing = getattr(thing, name, None) or thing
    return thing if isinstance(thing, FunctionType) else None


def _names(code: CodeType) -> set[str]:
    """The global names a function may read, inner functions included."""
    inner = [const for const in code.co_consts if isinstance(const, CodeType)]
    return set(code.co_names).union(*map(_names, inner))
