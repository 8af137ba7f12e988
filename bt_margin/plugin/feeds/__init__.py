"""Feeds: :class:`PerpData`, a pandas frame of one perpetual with mark prices and funding."""

from bt_margin.plugin.feeds.coarser import PerpBar, PerpReplayer, PerpResampler
from bt_margin.plugin.feeds.perp import PerpClone, PerpData, Stamp

__all__ = ["PerpBar", "PerpClone", "PerpData", "PerpReplayer", "PerpResampler", "Stamp"]
