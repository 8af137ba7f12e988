"""Handles: a tuple of many arrays, passed by its address inside compiled code.

numba passes a tuple of arrays as every number of every array, more than a hundred arguments a call, and most
of the time it takes to compile a call goes there. A *handle* is the address of the tuple on the stack of
whoever made it; a field is read through the address, under the same name. Plain Python needs none of this.
"""

from __future__ import annotations

from typing import Any, TypeVar

from bt_margin.studies.replay.compile import COMPILED

T = TypeVar("T")


def _same(bundle: T) -> T:
    """The tuple itself."""
    return bundle


def _made() -> Any:
    if not COMPILED:
        return _same
    from bt_margin.studies.replay.addresses import by_address

    return by_address


#: A tuple of arrays as compiled code hands it on; it must not outlive the function that makes it.
handle = _made()
