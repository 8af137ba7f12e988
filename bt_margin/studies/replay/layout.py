"""What the kernel reads and writes, as flat arrays: the market, the rules of an account, its state.

``World`` is shared by all cells, ``Rules`` by all cells under the same venue and settings, ``Cell`` is one
account's own settings, ``State`` what it holds. Money is in the one settlement currency, prices are as in
the market, time is UTC milliseconds; symbols are numbered in the order of the feeds, bars from 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]
Ints = NDArray[Any]

# -- columns of State.held, one row per symbol ---------------------------------------------------
SIZE, ENTRY, MARK, LOW, HIGH, LEVERAGE, POSTED, CALLED, TABLE, ALIVE = range(10)
#: What the trade that is open has come to: its size by the record, and money by its effect on the equity.
DEAL, DEAL_PRICE, DEAL_FEES, DEAL_FORCED, DEAL_FUNDING, DEAL_COVERED = range(10, 16)
RULE, TAKER = 16, 17
HELD_COLUMNS = 18
# -- State.money ---------------------------------------------------------------------------------
CASH, DEPOSITED, CROSS_CALLED, REALISED, FEES, RECEIVED, PAID = range(7)
LIQUIDATION_FEES, INSURED, LIQUIDATED, TRADED, SLIPPED = range(7, 12)
ASKED_PRICE, COVERED, SEIZED, BORNE, WON, LOST = range(12, 18)
MARGIN_SUM, LEVERAGE_SUM, MOST_LEVERAGE, WORST_RATIO = range(18, 22)
MONEY_COLUMNS = 22
# -- State.counts --------------------------------------------------------------------------------
EVENTS, RECORDING, LIQUIDATIONS, BAR, ORDERS, REFERENCE, REJECTIONS, CALLS, FEE_ROW = range(9)
DEAD, STATUS, SURPRISE, OPEN, PREMIUM_ROW, WALKING, DIED, DEAD_REJECTIONS, INTENT, CHANGE = range(
    9, 19
)
SETTLED, HELD_BARS, STEPS, FIRST_LOSS = range(19, 23)
WEIGHING, RISKY_BARS, TRADES, WINS, LOSSES, FARED = range(23, 29)
POLICY_ROW, CUT_BAR = 29, 30
COUNT_COLUMNS = 31
# -- State.queue, one row per order --------------------------------------------------------------
REF, SYMBOL, ASKED, NOTIONAL, LOSS, RESERVING, AHEAD, CLOSE, ACCEPTED, REDUCING, REQUESTED = range(
    11
)
# its number on the tape and its kind; trigger or limit, and the limit of a stop-limit; the bars from which it
# is too late and from which it is active; whom it ends with, and the bracket it belongs to
TAG, TYPE, PRICE, LIMIT, EXPIRES, ACTIVE, GROUP, FAMILY = range(11, 19)
# whether its stop was met, whether the mark meets it; trailing distance, as money and as a share, and the
# limit's distance; end of its session, the close noted before; last bar tried, out of a trial's sight
TRIGGERED, MARKED, TRAIL, TRAIL_SHARE, OFFSET, SESSION, NOTED, TRIED, HIDDEN = range(19, 28)
QUEUE_COLUMNS = 28
#: Kinds of orders, as backtrader numbers them.
AT_MARKET, AT_CLOSE, AT_LIMIT, AT_STOP, STOP_LIMIT, STOP_TRAIL, TRAIL_LIMIT = range(7)
#: How an order ends: filled; reduce-only with nothing left; too late; cancelled; not paid for; not admitted.
FILLED, IDLE, EXPIRED, WITHDRAWN, UNPAID, UNFIT = range(6)
MOST_ORDERS = 64
"""Orders that may wait at one time; a cell that sends more is run in full."""

# -- a row of events -----------------------------------------------------------------------------
E_TIME, E_KIND, E_SYMBOL, E_POOL, E_SIZE, E_PRICE, E_MARK, E_AMOUNT, E_FEE, E_REALISED = range(10)
E_BALANCE, E_EQUITY, E_FOUND, E_ALLOWED, E_ORDER, E_REASON = range(10, 16)
EVENT_COLUMNS = 16
KINDS = (
    "fill", "funding", "rejected", "canceled", "breach", "liquidation", "shortfall", "margin_call",
    "margin_call_cleared", "dead", "rules", "top_up", "leverage", "margin_mode", "transfer", "deposit",
    "withdrawal", "refused", "revived",
)  # fmt: skip
(FILL, FUNDING, REJECTED, CANCELED, BREACH, LIQUIDATION, SHORTFALL, MARGIN_CALL, CLEARED, DEATH,
 RULES, TOP_UP, LEVERED, SWITCHED, MOVED, DEPOSIT, WITHDRAWAL, REFUSED, REVIVED) = range(19)  # fmt: skip
#: Why an order was refused.
REASONS = ("", "margin", "leverage_cap", "dead", "lot", "min_notional")
NO_REASON, NO_MARGIN, OVER_CAP, IS_DEAD, NO_LOT, TOO_SMALL = range(6)

# -- verbs of a tape -----------------------------------------------------------------------------
VERBS = (
    "order", "target size", "target value", "close", "close a part of", "cancel",
    "leverage of", "margin mode of", "margin to", "margin from", "cash at once, beside", "cash, beside",
)  # fmt: skip
TRADE, TARGET_SIZE, TARGET_VALUE, CLOSE_ALL, CLOSE_PART = range(5)
CANCEL, SET_LEVERAGE, SET_MODE, ADD_MARGIN, REDUCE_MARGIN, PAY_IN, ADD_CASH = range(5, 12)

# -- policies, intrabar paths --------------------------------------------------------------------
FULL_CLOSE, LARGEST_LOSS, STEP_DOWN, SLICES, JUST_ENOUGH = range(5)
BACKSTOP, PARTIAL, LADDER, CUT, BLOCKWISE = range(5, 10)
ADVERSE, FAVOURABLE, NEAREST = range(3)

# -- why a cell came to an end -------------------------------------------------------------------
DONE, TOO_MANY_ORDERS, SURPRISED, TOO_MANY_EVENTS, IMPOSSIBLE, ACTION_REFUSED, MIXED, PARTED = (
    range(8)
)

# -- rows of State.numbers and State.marks: scratch, so that the kernel never asks for memory --------
N_EQUITY, N_NEED, N_SIZE, N_HIGH, N_LOW, N_FEE, N_ENDS, N_PRICES, N_GUARD_LOW, N_GUARD_HIGH = range(
    10
)
N_ROADS, N_GROUPS, N_RESTS, N_WALK, N_COUNT, N_PART, N_RATE = 10, 15, 20, 24, 25, 26, 27
NUMBER_ROWS = 28
M_READING, M_RISKY, M_WALKED, M_CALM, M_STAMP, M_MOVING, M_GROUP, M_TRIAL = range(8)
M_ORDER, M_CLOSE, M_OPENED, M_CLOSED, M_TAKEN = range(8, 13)
MARK_ROWS = 13

# -- World and Rules -------------------------------------------------------------------------------
P_OPEN, P_HIGH, P_LOW, P_CLOSE, P_MARK_OPEN, P_MARK_HIGH, P_MARK_LOW, P_MARK_CLOSE = range(8)
S_TIME, S_RATE, S_MARK, S_BAR, S_EARLY = range(5)
T_BAR, T_SYMBOL, T_VERB, T_UNITS, T_SHARE, T_SHARE_BAR, T_REDUCING = range(7)
(
    T_TYPE,
    T_PRICE,
    T_LIMIT,
    T_EXPIRES,
    T_SESSION,
    T_TRAIL,
    T_TRAIL_SHARE,
    T_MARKED,
    T_GROUP,
    T_FAMILY,
) = range(7, 17)
T_FATE_BAR, T_FATE_TAG, T_FATE, T_STEPS = range(17, 21)
MULTIPLIER, INVERSE, LOT_OVER, LOT_UNDER, LEAST, RANK, FIRST_TABLE, START_LEVERAGE, ISOLATED = (
    range(9)
)
START_ISOLATED, KEPT, LEVERAGE_STEP = range(9, 12)
CAPS, RATES, CUTS, MOST, OPENINGS = range(5)
# margin rules: what they are, and their numbers of each symbol
R_KIND, R_MOST, R_BASE, R_GROWTH, R_BASELINE, R_STEP = range(6)
R_WHOLE, R_ALONE = R_BASE, R_GROWTH
AT_MARK, BY_LEVEL, SCALED, BY_SIZE, BY_CONTRACTS, ENTRY_RESERVED, MARK_RESERVED = range(7)
# what changes at a bar
NEW_RULE, NEW_TABLE, NEW_FEES = range(3)
C_BAR, C_SYMBOL, C_WHAT, C_VALUE = range(4)

#: What a replay keeps beside the equity curve, to be added up: its events, what a row of statistics needs.
KEEP_EVENTS, KEEP_ROW = 1, 2

NOTHING = float("nan")
#: What backtrader is shown instead of an equity of zero.
FLOOR = 1e-6
DUST = 1e-9
SAME = 1e-12
NEVER = 2.0
"""Later than the end of a bar's path."""
LATER = 2.0**53
"""Later than every bar."""
BLOCK = 64
"""Bars whose lowest and highest mark are known together."""


class World(NamedTuple):
    """The market and the tape; few arrays of many columns, because each array costs compile time.

    ``start`` of each bar [ms] and ``step`` of each symbol's bars [ms]; ``prices`` (``P_…``, symbols, bars), a
    symbol without a bar has its last ones; ``blocks`` (lowest and highest mark, lowest and highest last
    price; symbols, blocks) per :data:`BLOCK` bars; ``places`` (symbols, bars + 1): whether there is a bar,
    and the first settlement at or after it in ``stamps`` (``S_…``, settlements), symbol by symbol; ``tape``
    (``T_…``, intents; how the k-th order that ended did so when the tape was recorded stands at k, bars
    below 0: that does not matter).
    """

    start: Ints
    step: Ints
    prices: Floats
    blocks: Floats
    places: Ints
    stamps: Floats
    tape: Floats


class Rules(NamedTuple):
    """What a venue and a cell say about the symbols of a market, dates as bars.

    ``sym`` (symbols, ``MULTIPLIER`` …): lots as a fraction of whole numbers (0: none), the rank of names, the
    first tier table, leverage and mode (as it is, and at the start), what must stay in an isolated position
    beside the initial margin, the step of leverages; ``tiers`` (``CAPS`` …, rows of all tables one after
    the other, at last one that asks for nothing); ``tables``: where each begins (and the end), and whether
    it is stepped; ``margin`` (``R_KIND`` …, margin rules, symbols), the first one in force at the first bar;
    ``changes`` (``C_BAR`` …); ``fees`` (maker, taker, of liquidations; rows, symbols) from ``fee_bars`` on;
    ``premium`` of sells (from bar, rate); ``policy`` (``KIND`` …, policies, each from its bar on); ``flags``
    (``FEE_IN_CHECK`` …, what may be switched when, and the modes there are).
    """

    sym: Floats
    tiers: Floats
    tables: Ints
    margin: Floats
    changes: Ints
    fee_bars: Floats
    fees: Floats
    premium: Floats
    policy: Floats
    flags: Ints


FEE_IN_CHECK, OPEN_LOSS, STRICT, FUNDED, CAPPED, FROM_WALLET = range(6)
LOWERS, WITH_POSITION, WITH_ORDERS, ONE_MODE, CROSS_THERE, ISOLATED_THERE = range(6, 12)
KIND, TARGET, SMALLEST, TAKEOVER, TO_FUND, SINCE, PORTION, MEASURE = range(8)


class Cell(NamedTuple):
    """One account's own settings; ``calls`` margin-call thresholds, rising.

    ``slip``: share, fixed amount, whether a fill may lie outside the bar, the share that liquidation sales
    lose, whether market orders slip; ``path`` which extreme comes first; ``obedient``: the tape holds until
    the account refuses an order or is liquidated, not beyond.
    """

    cash: float
    calls: Floats
    slip: Floats
    path: int
    obedient: int


SHARE, FIXED, OUTSIDE, LIQUIDATION_SLIP, AT_OPEN = range(5)


class State(NamedTuple):
    """What an account holds: positions, money, counts, open orders.

    ``events`` one row per event, as many as there is room for. ``marks`` hold the order in which
    positions were opened and closings per symbol; their other rows and ``numbers`` are scratch, so that
    the kernel never asks for memory.
    """

    held: Floats
    money: Floats
    counts: Ints
    queue: Floats
    events: Floats
    numbers: Floats
    marks: Ints


def new_state(symbols: int, events: int) -> State:
    """An empty account with room for so many events."""
    return State(
        np.zeros((symbols, HELD_COLUMNS)),
        np.zeros(MONEY_COLUMNS),
        np.zeros(COUNT_COLUMNS, np.int64),
        np.zeros((MOST_ORDERS, QUEUE_COLUMNS)),
        np.zeros((events, EVENT_COLUMNS)),
        np.zeros((NUMBER_ROWS, symbols + 1)),
        np.zeros((MARK_ROWS, symbols + 1), np.int64),
    )
