"""numba's compiler, its last step left out. Needs numba."""

from __future__ import annotations

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering


class Part(JITCodeLibrary):
    """Code that waits to be linked."""

    def _optimize_final_module(self) -> None:
        """Left to the entry."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True


class LinkOnly(NativeLowering):
    """Lower a function, tell numba how compiled code calls it, and stop there."""

    _name = "link_only"

    def run_pass(self, state: Any) -> Any:
        """What numba's pass does, without an executable."""
        name = state.func_id.func_qualname
        state.library = Part(state.targetctx.codegen(), name)
        state.flags = state.flags.copy()
        state.flags.no_compile = True
        done = super().run_pass(state)
        known_by = [name].append  # a built-in function like no other, as numba wants for a key
        state.targetctx.insert_user_function(known_by, state.cr.fndesc, [state.library])
        state["cr"] = state.cr._replace(cfunc=known_by)
        return done


register_pass(mutates_CFG=True, analysis_only=False)(LinkOnly)


class Linked(CompilerBase):
    """The passes numba goes through, the last one replaced."""

    def define_pipelines(self) -> Any:
        """One way to compile: natively."""
        found = DefaultPassBuilder.define_nopython_pipeline(self.state)
        found.passes[:] = [
            (LinkOnly if one is NativeLowering else one, why) for one, why in found.passes
        ]
        found.finalize()
        return [found]
