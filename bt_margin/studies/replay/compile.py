"""Compiling the kernel with numba, or leaving it plain Python where numba is not installed.

The compiled code is kept on disk. numba asks only whether a function's own file has changed, not whether
the functions it calls have; so the folder is named after a digest of every file the kernel is made of, and
a change of any of them compiles anew.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import bt_margin.core.flat as formulas
import bt_margin.core.position as positions
from bt_margin.studies.replay import linking

P = ParamSpec("P")
R = TypeVar("R")

try:
    import numba
except ImportError:
    numba = None

#: Set to any text, the kernel stays plain Python.
PLAIN = "BT_MARGIN_PLAIN_KERNEL"
#: Files of this folder that no compiled code depends on.
_OUTSIDE = {
    "__init__", "check", "entry", "intents", "market", "proof", "row", "ruling", "tape", "terms", "watch",
}  # fmt: skip
#: Whether the kernel is compiled.
COMPILED = numba is not None and not os.environ.get(PLAIN)


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """A part of the kernel: compiled, or as it is.

    Without counting references, which makes code of arrays in tuples many times shorter (the kernel never
    asks for memory), and to be called from compiled code only.
    """
    if not COMPILED:
        return function
    own = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "cache": False}
    made: Callable[P, R] = linking.without_literals(
        numba, _made(function, **own, **linking.options(numba))
    )
    return made


def entry(function: Callable[P, R]) -> Callable[P, R]:
    """What Python calls of the kernel: kept on disk, and run without the interpreter's lock."""
    return _made(function, nogil=True, cache=True)


def _made(function: Callable[P, R], **options: Any) -> Callable[P, R]:
    if not COMPILED:
        return function
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = _FOLDER
    try:
        made: Callable[P, R] = numba.njit(error_model="numpy", _nrt=False, **options)(function)
    finally:
        numba.config.CACHE_DIR = before
    return made


def _digest() -> str:
    """What the kernel is made of, in sixteen digits: every file here with compiled parts or their numbers."""
    here = Path(__file__).parent
    files = [file for file in sorted(here.glob("*.py")) if file.stem not in _OUTSIDE]
    whole = hashlib.sha256()
    for file in (*files, Path(formulas.__file__), Path(positions.__file__)):
        whole.update(file.read_bytes())
    return whole.hexdigest()[:16]


def _folder() -> str:
    """Where compiled code is kept: numba's own folder if one is set, else the user's cache."""
    base = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    root = Path(base) if base else Path.home() / ".cache"
    place = root / "bt_margin" / f"replay-{_digest()}"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return tempfile.mkdtemp(prefix="bt_margin-replay-")
    return str(place)


_FOLDER = _folder() if COMPILED else ""
