"""A derivatives account for backtrader: cross and isolated margin, funding, liquidation.

Replace one line of an existing script,

    cerebro.broker = btm.MarginBroker(venue="binance", margin_mode="cross", leverage=10)

or run the same strategy under both margin modes and see where the two equity curves part:

    result = btm.compare(MyStrategy, data={"BTC/USDT:USDT": frame}, leverage=10, venue="binance")

Every public name is listed in ``__all__`` and is loaded when it is first used, so that
``import bt_margin`` is quick and ``btm.Account`` works where backtrader or pandas is not installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from bt_margin._version import __version__

if TYPE_CHECKING:
    from bt_margin import errors
    from bt_margin.engine.account import Account
    from bt_margin.engine.events import Event
    from bt_margin.market.download import FinerBars, download
    from bt_margin.market.synthetic import sample_market
    from bt_margin.plugin import analyzers, observers, sizers
    from bt_margin.plugin.broker import MarginBroker
    from bt_margin.plugin.commission import InversePerp, LinearPerp, SpotMargin
    from bt_margin.plugin.feeds import PerpData
    from bt_margin.plugin.patch import patch
    from bt_margin.studies.compare import compare
    from bt_margin.studies.crashes import crashes
    from bt_margin.studies.run import run
    from bt_margin.studies.stress import stress
    from bt_margin.studies.survival import survival
    from bt_margin.studies.sweep import sweep
    from bt_margin.venues import register, venue, venues

__all__ = [
    "Account",
    "Event",
    "FinerBars",
    "InversePerp",
    "LinearPerp",
    "MarginBroker",
    "PerpData",
    "SpotMargin",
    "__version__",
    "analyzers",
    "compare",
    "crashes",
    "download",
    "errors",
    "observers",
    "patch",
    "register",
    "run",
    "sample_market",
    "sizers",
    "stress",
    "survival",
    "sweep",
    "venue",
    "venues",
]

#: Public name -> the module that defines it; ``None``: the name is that module itself.
_HOMES: dict[str, tuple[str, str | None]] = {
    "Account": ("bt_margin.engine.account", "Account"),
    "Event": ("bt_margin.engine.events", "Event"),
    "FinerBars": ("bt_margin.market.download", "FinerBars"),
    "InversePerp": ("bt_margin.plugin.commission", "InversePerp"),
    "LinearPerp": ("bt_margin.plugin.commission", "LinearPerp"),
    "MarginBroker": ("bt_margin.plugin.broker", "MarginBroker"),
    "PerpData": ("bt_margin.plugin.feeds", "PerpData"),
    "SpotMargin": ("bt_margin.plugin.commission", "SpotMargin"),
    "analyzers": ("bt_margin.plugin.analyzers", None),
    "compare": ("bt_margin.studies.compare", "compare"),
    "crashes": ("bt_margin.studies.crashes", "crashes"),
    "download": ("bt_margin.market.download", "download"),
    "errors": ("bt_margin.errors", None),
    "observers": ("bt_margin.plugin.observers", None),
    "patch": ("bt_margin.plugin.patch", "patch"),
    "register": ("bt_margin.venues", "register"),
    "run": ("bt_margin.studies.run", "run"),
    "sample_market": ("bt_margin.market.synthetic", "sample_market"),
    "sizers": ("bt_margin.plugin.sizers", None),
    "stress": ("bt_margin.studies.stress", "stress"),
    "survival": ("bt_margin.studies.survival", "survival"),
    "sweep": ("bt_margin.studies.sweep", "sweep"),
    "venue": ("bt_margin.venues", "venue"),
    "venues": ("bt_margin.venues", None),
}


def __getattr__(name: str) -> object:
    """Load a public name at its first use and keep it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module_name, attribute = _HOMES[name]
    module = import_module(module_name)
    value: object = module if attribute is None else getattr(module, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not, and what is loaded already."""
    return sorted({*globals(), *__all__})
