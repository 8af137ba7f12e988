"""What numba has to know of handles: their type, their fields, how one is made. Needs numba."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, lower_getattr_generic, models, register_model


class Handle(types.Type):
    """The address of a named tuple."""

    def __init__(self, bundle: Any) -> None:
        self.bundle = bundle
        super().__init__(name=f"Handle({bundle})")


@register_model(Handle)
class Address(models.PrimitiveModel):
    """A pointer to the tuple's values, side by side."""

    def __init__(self, known: Any, handle: Any) -> None:
        held = known.lookup(handle.bundle).get_value_type()
        super().__init__(known, handle, held.as_pointer())


@infer_getattr
class Fields(AttributeTemplate):
    """Which fields a handle has, and their types."""

    key = Handle

    def generic_resolve(self, handle: Any, name: str) -> Any:
        """The type of a field, None when there is none of this name."""
        fields = handle.bundle.fields
        return handle.bundle.types[fields.index(name)] if name in fields else None


def read(context: Any, builder: Any, handle: Any, address: Any, name: str) -> Any:
    """Load a field through the address."""
    place = handle.bundle.fields.index(name)
    return builder.load(cgutils.gep_inbounds(builder, address, 0, place))


def address_of(typing: Any, bundle: Any) -> Any:
    """Put a tuple on the caller's stack; its handle."""

    def build(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return cgutils.alloca_once_value(builder, given[0])

    return Handle(bundle)(bundle), build


lower_getattr_generic(Handle)(read)
by_address = intrinsic(address_of)
