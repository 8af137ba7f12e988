"""Marks and funding onto bars of any timeframe, with a named policy for all that is missing.

    align         last prices, marks and settlements of one symbol, joined into a canonical frame
    load_store    the same for symbols of a downloaded store
    bars_within   finer bars of the stretches that need them, for `detail=`

Nothing is filled in silently. What is missing is refused (`fail`), left out (`skip`), or filled by
the policy chosen; counts of it and sentences about it travel in the frame's `attrs` to the report.

    policy       marks                                       funding
    fail         an error                                    an error (the default)
    skip         the last price judges (the default)         nothing is charged
    hold         the last known mark, held flat              the previous rate again
    clip         last price inside a coarser mark bar        -
    constant=R   -                                           the rate R
"""

from bt_margin.market.align_frame import FUNDING_POLICIES, MARK_POLICIES, align
from bt_margin.market.align_store import bars_within, load_store

__all__ = ["FUNDING_POLICIES", "MARK_POLICIES", "align", "bars_within", "load_store"]
