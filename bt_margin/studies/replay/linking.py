"""How numba compiles the parts of the kernel: linked into their caller, never made ready to run alone.

numba readies every function it compiles to be called from Python: optimised with all it calls, and turned
into machine code, whether anybody asks or not. The kernel is a hundred small functions and one entry. Here
each part is left as it is and optimised once, inside the entry, which takes a quarter of the time and ends
in faster code.

The hooks (:mod:`.linked`) are numba's own but not promised from version to version: outside of the versions
known to have them parts are compiled as numba does, slower, with the same results.
"""

from __future__ import annotations

from typing import Any

#: From the first to before the second version of numba the hooks are known to be there.
KNOWN = ((0, 59), (0, 69))


def options(numba: Any) -> dict[str, Any]:
    """Keywords of ``njit`` for a part of the kernel."""
    version = tuple(int(number) for number in numba.__version__.split(".")[:2])
    if not KNOWN[0] <= version < KNOWN[1]:
        return {}
    from bt_margin.studies.replay.linked import Linked

    return {"pipeline_class": Linked}


def without_literals(numba: Any, part: Any) -> Any:
    """The part, compiled once for whole numbers and not again for every number written out in a call."""
    found = part.get_call_template

    def resolved(args: Any, named: Any) -> Any:
        return found(tuple(numba.types.unliteral(each) for each in args), named)

    part.get_call_template = resolved
    return part
