"""Where each OKX number comes from, the API's codes for "no", and what is exact, approximate and absent."""

from __future__ import annotations

from bt_margin.venues.spec import Fact
from bt_margin.venues.tables import document

#: Refused action -> code of the OKX API (its error reference, as ccxt 4.5.90 lists it).
CODES: tuple[tuple[str, str], ...] = (
    ("hedge_with_orders", "59000"),
    ("hedge_with_position", "59000"),
    ("leverage_max", "59102"),
    ("leverage_above_cap", "59104"),
    ("leverage_balance", "59103"),
    ("leverage_cap", "51004"),
    ("order_margin", "51008"),
    ("margin_no_position", "59300"),
    ("add_margin_balance", "59301"),
    ("reduce_margin_balance", "59301"),
    ("in_adl", "50017"),
    ("in_liquidation", "50020"),
)

_ISOLATED = "OKX help: introduction to the isolated mode (360053909592)"
_CROSS = "OKX help: single-currency margin, cross (360054225072)"
_MULTI = "OKX help: multi-currency margin, cross (360054690531)"
_LIQUIDATION = "OKX help: forced partial or full liquidation"
_FUNDING = "OKX help: funding (360053909272)"
_API = "OKX API error reference; ccxt 4.5.90"
_SAMPLE = "OKX API position samples (ETH-USD-210430, BTC-USDT-SWAP), in ccxt python/ccxt/okx.py"
_OURS = "not published; our choice"

FACTS: tuple[Fact, ...] = (
    Fact("trigger", "margin level ≤ 100 % at the mark", _LIQUIDATION, "2024", "P"),
    Fact(
        "requirement",
        "notional at mark × rate of the tier of all contracts, no deduction",
        "OKX help: position tiers; API position sample",
        "2021-04-27 to 2026",
        "P",
    ),
    Fact("fee in requirement", "taker fee on the notional at mark", _SAMPLE, "2021-04-27", "A"),
    Fact(
        "initial margin",
        "isolated: entry value / leverage; cross: value at mark / leverage",
        f"{_ISOLATED}; {_CROSS}",
        "2024 to 2025-02-17",
        "P",
    ),
    Fact(
        "most leverage of a tier",
        "1 / initial rate, cut to two decimals",
        "exchange API dumps",
        "2025-12-29 to 2026-05-28",
        "C",
    ),
    Fact(
        "tiers of the BTC/USD swap",
        "those of its expiry futures of 2022-11, leverage up to the 100x of the swap",
        _OURS,
        "2026",
        "N",
    ),
    Fact(
        "contracts of one family, orders in the tier",
        "each position by itself, without orders",
        _OURS,
        "2026",
        "N",
    ),
    Fact(
        "maker, taker fee, swaps",
        "0.0002, 0.0005 at every date",
        "ccxt 4.5.90; the taker fee also in the API position sample of 2021-04-27",
        "2026",
        "C",
    ),
    Fact(
        "maker, taker fee, spot and spot margin",
        "0.0010, 0.0015",
        "ccxt 4.5.90; the taker fee also in ccxt pull request 16498 (2023-01-15)",
        "2026",
        "C",
    ),
    Fact(
        "liquidation fee",
        "the taker fee, 0.0005, on what is sold",
        "clearance fee named, its rate not published; our choice",
        "2024",
        "N",
    ),
    Fact(
        "liquidation",
        "hedged pairs, then two tiers at a time from tier 3 while the level is above "
        "what tier 1 needs, else takeover at the bankruptcy price",
        _LIQUIDATION,
        "2024",
        "P",
    ),
    Fact("liquidation residual", "to the insurance fund", _LIQUIDATION, "2024", "P"),
    Fact(
        "order of closing cross positions",
        "largest unrealised loss first, whole ones before the last sold at the mark",
        _OURS,
        "2026",
        "N",
    ),
    Fact(
        "funding interval",
        "8 h at 00, 08, 16 UTC; 1, 2 or 4 h for some symbols",
        _FUNDING,
        "2024",
        "P",
    ),
    Fact(
        "funding payment",
        "−size · mark · rate, from the pool, at most what equity exceeds the requirement by",
        f"{_FUNDING}; {_CROSS}",
        "2024-04",
        "P",
    ),
    Fact(
        "funding payment, isolated",
        "from the margin of the position, with the same cap",
        "text cut; from memory",
        "2024",
        "M",
    ),
    Fact(
        "funding rate caps",
        "±0.375 % BTC, ±0.75 % ETH and its group, ±1.5 % the rest (given rates "
        "are used as they are)",
        _FUNDING,
        "2022 to 2024-04",
        "P",
    ),
    Fact("order cost", "order notional / leverage and the taker fee", _CROSS, "2024", "P"),
    Fact("reserve of an order for its fees", "one taker fee", _OURS, "2026", "N"),
    Fact("margin mode", "of each order and the position it opens", "OKX API (tdMode)", "2026", "A"),
    Fact("margin mode of a live position", "cannot be converted", "from memory", "2026", "M"),
    Fact("account settings", "not with orders or positions (59000)", _API, "2026", "A"),
    Fact(
        "leverage",
        "not above the tier (59102, 59104), nor without the margin (59103)",
        _API,
        "2026",
        "A",
    ),
    Fact(
        "isolated margin",
        "added or taken with a position only (59300), up to a maximum (59301)",
        _API,
        "2026",
        "A",
    ),
    Fact(
        "isolated margin, most that can be taken",
        "wallet + min(0, unrealised) stays ≥ initial margin",
        _OURS,
        "2026",
        "N",
    ),
    Fact(
        "hedge mode",
        "both sides of a symbol, each with its own tier and requirement",
        "OKX help and announcement of 2023-06-19",
        "2023-06-19",
        "P",
    ),
    Fact("margin call", "at a margin level of 300 %", "from memory", "2026", "M"),
    Fact(
        "liquidation price shown",
        "isolated: of a long the formula and one tick; cross: the formula (two samples)",
        _SAMPLE,
        "2021-04-27",
        "A",
    ),
    Fact(
        "spot margin, liquidation price and level",
        "see bt_margin.core.liability",
        f"{_ISOLATED}; ccxt pull request 16498",
        "2023-01-15 to 2025-02-17",
        "P",
    ),
    Fact(
        "portfolio margin, MR7",
        "progressive factors; larger of stress result and charge",
        "OKX announcement on the scaling factor of portfolio margin",
        "2021-12",
        "P",
    ),
)

MULTI: tuple[Fact, ...] = (
    Fact(
        "margin level, multi-currency",
        "adjusted equity / (requirements + fees of closing)",
        _MULTI,
        "2024-09",
        "P",
    ),
    Fact(
        "adjusted equity",
        "each coin's equity × its price × its discount rate",
        _MULTI,
        "2024-09",
        "P",
    ),
    Fact(
        "discount rates",
        "yours; they fall in steps with the amount, per coin and date",
        _OURS,
        "2026",
        "N",
    ),
)

EXACT: tuple[str, ...] = (
    "The requirement, the isolated and cross margin level and the isolated liquidation price, of linear and "
    "inverse contracts: they reproduce two account payloads to all their digits.",
    "Tiers by contracts, their dates and the most leverage of each, where a snapshot lists them.",
    "What happens to a lone position: cut by two tiers at a time, or taken over at its bankruptcy price.",
    "Realised result and its ratio in the position history.",
)

APPROXIMATIONS: tuple[str, ...] = (
    "A cut by two tiers fills at the crossing price (with the slippage you set), where OKX prices its order "
    "slightly better than the market and looks again after a minute: too cheap in a fast market.",
    "Before the last position of a cross pool, whole positions are sold at the mark for a taker fee, the "
    "largest loss first, where OKX takes over at a bankruptcy price: too cheap.",
    "Hedged pairs are closed at the mark for a taker fee on each side: too dear if OKX charges none.",
    "The BTC/USD swap has the ladder of its expiry futures of 2022-11: liquidation may come too early "
    "or too late.",
    "Symbols have their first known ladder before its date (is_proxy), and ladders seen in a dump come into "
    "force on its day: before, liquidation may come too early or too late.",
    "Where a ladder was read in part, the rest follows its progression up to an initial rate of 50 %.",
    "Other symbols of a family and resting orders do not raise the tier: liquidation may come too late.",
    "With open orders the margin mode of a symbol may be changed, and the orders go along.",
    "Contract sizes, ticks and lots are one recorded state for all dates; the size of a BNB contract is not "
    "confirmed on an exchange payload.",
    "VIP levels and discounts are left out; give your own fees per symbol.",
)

ABSENT: tuple[str, ...] = (
    "Auto-deleveraging and the 30 % fall of the fund that starts it: the fund always takes over.",
    "Early liquidation of large risks; portfolio margin but for the scaling of MR7; options; expiry futures.",
    "Spot margin in a run: its formulas are in bt_margin.core.liability, loan and interest tables nowhere.",
    "An isolated and a cross position of one symbol at once.",
    "Tiers of ETH/USD and other inverse swaps, the low ones of BREV and ETC, those of EWJ.",
    "Symbols with a ladder but no sourced contract size, unless you give it (contract_sizes).",
    "Legacy accounts, whose positions are cut straight to tier 1.",
)

MULTI_ABSENT: tuple[str, ...] = (
    "Discount rates that fall with the amount: one rate per coin, too generous for large amounts.",
    "Automatic borrowing, its interest and its own requirements: a negative balance costs nothing here.",
    "The terms on which coins are sold in a liquidation: here at their mark, once no position is left.",
)


def snapshots(name: str) -> tuple[Fact, ...]:
    """One fact per dated snapshot of a ladder file."""
    return tuple(
        Fact(
            f"tiers from {each['since']}",
            ", ".join(symbol.partition(":")[0] for symbol in each["symbols"])
            + (f"; {each['note']}" if "note" in each else ""),
            each["source"],
            each["dated"],
            "P" if each["source"].startswith("OKX") else "C",
        )
        for each in document(name)["snapshots"]
    )


def contract_sizes(name: str) -> tuple[Fact, ...]:
    """One fact per contract of a ladder file."""
    return tuple(
        Fact(
            f"contract of {symbol}",
            f"{row[0]:g}, tick {row[1] or 'not sourced'}, lot {row[2] or 'not sourced'}",
            row[3],
            "2021 to 2026",
            "R" if row[3].startswith("exchange payload") else "C",
        )
        for symbol, row in document(name)["contracts"]["symbols"].items()
    )
