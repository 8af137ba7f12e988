"""Values and formulas: pure functions of numbers, true on any venue.

Sizes are signed (+ long, − short), rates are fractions, money is in the settlement currency, time
is UTC epoch milliseconds. Formulas use only + − × ÷, abs, min, max and comparisons, so they also
run on ``fractions.Fraction``.
"""

from __future__ import annotations

from bt_margin.core.contract import Contract, Kind
from bt_margin.core.fees import Fees, fee
from bt_margin.core.funding import FundingStamp, carried, payment, stamps_from_pairs
from bt_margin.core.position import Change, change
from bt_margin.core.risk import Risk
from bt_margin.core.tiers import Tier, TierSchedule, TierTable

__all__ = [
    "Change",
    "Contract",
    "Fees",
    "FundingStamp",
    "Kind",
    "Risk",
    "Tier",
    "TierSchedule",
    "TierTable",
    "carried",
    "change",
    "fee",
    "payment",
    "stamps_from_pairs",
]
