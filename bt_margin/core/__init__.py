"""Values and formulas: pure functions of numbers, true on any venue.

Sizes are signed (+ long, − short), rates are fractions, money is in the settlement currency, time
is UTC epoch milliseconds. Formulas use only + − × ÷, abs, min, max and comparisons, so they also
run on ``fractions.Fraction``.
"""

from __future__ import annotations

from bt_margin.core.contract import Contract, Kind
from bt_margin.core.fees import Fees, fee
from bt_margin.core.funding import FundingStamp, carried, payment, stamps_from_pairs
from bt_margin.core.interest import accrued, started_hours
from bt_margin.core.liquidation import (
    Leg,
    bankruptcy_price,
    liquidation_price,
    liquidation_price_at,
)
from bt_margin.core.margin import (
    affordable_size,
    assumed_price,
    collateral_value,
    initial,
    maintenance,
    open_loss,
    order_cost,
    order_need,
)
from bt_margin.core.path import Moving, Nodes, first_breach, low_is_nearer, nodes
from bt_margin.core.position import Change, change
from bt_margin.core.risk import Risk
from bt_margin.core.tiers import Tier, TierSchedule, TierTable

__all__ = [
    "Change",
    "Contract",
    "Fees",
    "FundingStamp",
    "Kind",
    "Leg",
    "Moving",
    "Nodes",
    "Risk",
    "Tier",
    "TierSchedule",
    "TierTable",
    "accrued",
    "affordable_size",
    "assumed_price",
    "bankruptcy_price",
    "carried",
    "change",
    "collateral_value",
    "fee",
    "first_breach",
    "initial",
    "liquidation_price",
    "liquidation_price_at",
    "low_is_nearer",
    "maintenance",
    "nodes",
    "open_loss",
    "order_cost",
    "order_need",
    "payment",
    "stamps_from_pairs",
    "started_hours",
]
