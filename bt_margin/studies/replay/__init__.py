"""The replay of a strategy's orders under any number of margin settings, by a compiled kernel.

A run's orders are recorded once, as what the strategy asked for (:mod:`.tape`); two very different accounts
show whether it reads its account (:mod:`.proof`). Cells that the kernel does exactly are then played on flat
arrays (:mod:`.cell`), the others are handed back.
"""

from __future__ import annotations

from bt_margin.studies.replay.entry import LeftOver, Replay, Replayed, replayed

__all__ = ["LeftOver", "Replay", "Replayed", "replayed"]
