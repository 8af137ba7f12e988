"""Coarser bars: backtrader's resampler and replayer, carrying marks and funding along."""

from __future__ import annotations

from typing import Any, Final

from backtrader.dataseries import _Bar
from backtrader.resamplerfilter import Replayer, Resampler

from bt_margin.plugin.feeds.checks import MARKS

EXTRA: Final = (*MARKS, "funding_rate")
NAN: Final = float("nan")


class PerpBar(_Bar):
    """A coarser bar under construction: prices as backtrader builds them, marks likewise.

    Marks are first, highest, lowest and last of the marks; the coarse bar has marks only if every
    bar in it has them, because a missing one may hide the extreme. ``funding_rate`` is the sum of
    the rates in the bar (NaN if there is none): for the eye; money is moved by
    ``funding_stamps()``.
    """

    def bstart(self, maxdate: bool = False) -> None:
        """Forget everything."""
        super().bstart(maxdate=maxdate)
        for line in EXTRA:
            self[line] = NAN

    def bupdate(self, data: Any, reopen: bool = False) -> bool:
        """Take in the current bar of ``data``; True if it is the first one."""
        opened = bool(super().bupdate(data, reopen=reopen))
        start, high, low, close = (getattr(data.lines, line)[0] for line in MARKS)
        rate = data.lines.funding_rate[0]
        if opened:
            self.mark_open, self.mark_high, self.mark_low, self.mark_close = start, high, low, close
            self.funding_rate = rate
            return True
        if close == close and self.mark_close == self.mark_close:
            self.mark_high = max(self.mark_high, high)
            self.mark_low = min(self.mark_low, low)
            self.mark_close = close
        else:
            self.mark_open = self.mark_high = self.mark_low = self.mark_close = NAN
        if rate == rate:
            known = self.funding_rate
            self.funding_rate = known + rate if known == known else rate
        return False


class PerpResampler(Resampler):
    """backtrader's resampler, carrying marks and funding along."""

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.bar = PerpBar(maxdate=True)


class PerpReplayer(Replayer):
    """backtrader's replayer, carrying marks and funding along."""

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.bar = PerpBar(maxdate=True)
