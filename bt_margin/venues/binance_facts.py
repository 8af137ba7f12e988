"""Where each Binance number comes from, the API's codes for "no", and what bars cannot show."""

from __future__ import annotations

from bt_margin.venues.spec import Fact
from bt_margin.venues.tables import document

#: Refused action -> code of the Binance API (its error reference, and ccxt 4.5.90's table of it).
CODES: tuple[tuple[str, str], ...] = (
    ("mode_same", "-4046"),
    ("mode_with_orders", "-4047"),
    ("mode_with_position", "-4048"),
    ("hedge_with_orders", "-4067"),
    ("hedge_with_position", "-4068"),
    ("lower_leverage_isolated", "-4161"),
    ("leverage_invalid", "-4028"),
    ("leverage_above_cap", "-2027"),
    ("leverage_balance", "-2028"),
    ("margin_cross", "-4049"),
    ("add_margin_balance", "-4050"),
    ("reduce_margin_balance", "-4051"),
    ("top_up_same", "-4052"),
    ("top_up_cross", "-4053"),
    ("margin_no_position", "-4054"),
    ("margin_not_positive", "-4055"),
    ("min_notional", "-4164"),
    ("multi_assets_isolated", "-4168"),
    ("order_margin", "-2019"),
    ("reduce_only", "-2022"),
    ("in_liquidation", "-2023"),
)

_INFO = "exchangeInfo payload in a public repository"
_COST_PAGE = "Binance: Cost Required to Open a Position in Perpetual Futures Contracts"
_LIQUIDATION_PAGE = "Binance: Futures Liquidation Protocols"
_API = "Binance API error reference; ccxt 4.5.90"

COMMON: tuple[Fact, ...] = (
    Fact(
        "trigger",
        "maintenance / margin balance ≥ 1 at the mark",
        _LIQUIDATION_PAGE,
        "2024-05-29",
        "P",
    ),
    Fact("position margin", "notional at mark / leverage", "account payloads", "2020-2024", "R"),
    Fact("fee in requirement", "none", _LIQUIDATION_PAGE, "2024-05-29", "P"),
    Fact(
        "liquidation",
        "cancel orders, reduce by an immediate order, takeover at bankruptcy",
        _LIQUIDATION_PAGE,
        "2024-05-29",
        "P",
    ),
    Fact("liquidation residual", "to the insurance fund", _LIQUIDATION_PAGE, "2024-05-29", "P"),
    Fact(
        "order of closing cross positions",
        "largest unrealised loss first",
        "not published; our choice",
        "2026",
        "N",
    ),
    Fact("order cost", "initial margin + open loss, fee not counted", _COST_PAGE, "2024-11", "P"),
    Fact(
        "fee of an isolated opening",
        "must be covered by the free wallet",
        "not published; our choice, so that no wallet falls below zero",
        "2026",
        "N",
    ),
    Fact(
        "sell premium", "0.15 % over last, or mark, or order price", _COST_PAGE, "2026-01-05", "P"
    ),
    Fact(
        "funding interval",
        "8 h at 00, 08, 16 UTC; some symbols 4 h or less",
        "Binance FAQ",
        "2026",
        "P",
    ),
    Fact(
        "funding payment",
        "−size · mark · rate, only by positions open at the stamp",
        "Binance FAQ",
        "2026",
        "P",
    ),
    Fact(
        "wallet that pays funding",
        "isolated: its own wallet; cross: the cross wallet",
        "no official page found for isolated",
        "2026",
        "M",
    ),
    Fact(
        "margin mode switch",
        "not with open orders (-4047) or a position (-4048)",
        _API,
        "2026",
        "A",
    ),
    Fact(
        "lower leverage",
        "not with an isolated position (-4161), nor without the balance (-2028)",
        _API,
        "2026",
        "A",
    ),
    Fact(
        "raise leverage", "not above the cap of the position's notional (-2027)", _API, "2026", "A"
    ),
    Fact(
        "isolated margin", "add and take only with a position (-4049 to -4055)", _API, "2026", "A"
    ),
    Fact(
        "isolated margin, most that can be taken",
        "wallet + min(0, unrealised) stays ≥ position margin",
        "not published; our choice",
        "2026",
        "N",
    ),
    Fact("reduce-only order", "takes no margin", "from memory", "2026", "M"),
)

USDM: tuple[Fact, ...] = (
    Fact("maker fee", "0.0002", "ccxt#9483 (2021-06-30); ccxt 4.5.90", "2021 to 2026", "C"),
    Fact(
        "taker fee",
        "0.0004 until 2024-04-27",
        "ccxt#9483 (2021-06-30); LEAN fee model",
        "2021-06-30",
        "C",
    ),
    Fact(
        "taker fee",
        "0.0005 from 2024-04-28, where it is first seen; the true date of the "
        "change is not known and may be earlier",
        "ccxt#22319; ccxt 4.5.90",
        "2024-04-28",
        "C",
    ),
    Fact("liquidation fee", "per symbol, BTC and ETH 0.0125", _INFO, "2024-03-28", "R"),
    Fact(
        "liquidation fee, BTC",
        "0.0150 and 0.0100 in undated payloads, 0.0125 in later ones; "
        "0.025 in one test stub of 2026-10-01 (not used)",
        _INFO,
        "2020 to 2026",
        "R",
    ),
    Fact("liquidation fee, symbols without a record", "0.0125", "our choice", "2026", "N"),
    Fact(
        "tick, lot, minimum notional",
        "per symbol, one state for all dates",
        _INFO,
        "2024-03-28",
        "R",
    ),
    Fact(
        "minimum notional, symbols without a record", "5", "Binance API reference", "undated", "A"
    ),
    Fact(
        "leverage of new accounts",
        "at most 20x for 60 days (not applied)",
        "Binance FAQ",
        "2021-07-27",
        "P",
    ),
)

COINM: tuple[Fact, ...] = (
    Fact("contract", "100 USD", "Binance FAQ", "2021", "P"),
    Fact(
        "maker, taker fee",
        "0.00015, 0.0004 until 2023-09-25",
        "Binance FAQ: fee calculations for coin-margined contracts",
        "undated",
        "P",
    ),
    Fact(
        "maker, taker fee",
        "0.0001, 0.0005 from 2023-09-26, the day the announced new fee structure took effect",
        "Binance announcement of 2023-09-18; ccxt 4.5.90",
        "2023-09-26",
        "C",
    ),
    Fact("liquidation fee", "0.015", _INFO, "2025-06-26", "R"),
    Fact("tick, lot", "0.1 USD, 1 contract", _INFO, "2026-09-26", "R"),
)

MULTI_ASSETS: tuple[Fact, ...] = (
    Fact(
        "multi-assets mode, modes",
        "cross only, whole account",
        "Binance FAQ: Multi-Assets Mode",
        "2021",
        "P",
    ),
    Fact(
        "multi-assets mode, collateral ratio",
        "0.9999 USDT, USDC; 0.95 BTC, ETH, BNB; 0.90 XRP, ADA, DOT, SOL; one state for all dates",
        "Binance FAQ: Multi-Assets Mode",
        "2021",
        "P",
    ),
    Fact(
        "multi-assets mode, BUSD", "as USDC", "not listed on the page read; our choice", "2026", "N"
    ),
    Fact(
        "multi-assets mode, conversion",
        "when a negative balance passes 10,000 USD, and on liquidation, at 97.5 % of the price",
        "Binance: Multi-Assets Mode Info (example)",
        "2021",
        "P",
    ),
    Fact("multi-assets mode, negative balance", "counted in full", "from memory", "2026", "M"),
    Fact(
        "hedge mode",
        "both sides of a symbol, each with entry, rate and deduction of its own; "
        "one liquidation price in cross, two in isolated; margin for both sides",
        "Binance FAQ: How to Calculate Liquidation Price of USD-M Futures Contracts",
        "2024",
        "P",
    ),
)

EXACT: tuple[str, ...] = (
    "Maintenance margin at the mark by the tier table in force; liquidation and bankruptcy price, "
    "cross and isolated, one-way and hedge.",
    "Order cost: initial margin and open loss, the sell premium since its date.",
    "Funding at the stamp, on the mark, by positions open then.",
    "When margin mode, leverage and isolated margin may change, with the codes of the refusals.",
)
APPROXIMATIONS: tuple[str, ...] = (
    "Liquidation orders fill at the crossing price (with the slippage you set); the depth of the "
    "book and the price bounds of such orders are not in bars: closed too well, so what is left is "
    "too much, unless a slippage is set.",
    "VIP levels, BNB discounts and promotions are left out (fees too high for those who have "
    "them); give your own fees per symbol.",
    "The liquidation fee, tick, lot and minimum notional are one recorded state for all dates; the "
    "fee of other dates may be higher or lower.",
    "Which cross position is closed first is not published (largest loss first here), nor how much "
    "is closed (the ratio is brought to 0.9: a little too much), nor how much isolated margin may "
    "be taken out; see the facts tagged N.",
    "Positions opened within about 15 seconds of a funding stamp may or may not pay there; here "
    "the stamp is exact.",
)
USDM_APPROXIMATIONS: tuple[str, ...] = (
    "Symbols outside the older snapshots use their first known table for earlier dates "
    "(is_proxy); most symbols are known only as of 2026-09-29, whose rates are mostly lower than "
    "those before: liquidated too late then.",
    "The taker fee changes from 0.04 % to 0.05 % on the date 0.05 % is first seen (2024-04-28): too "
    "cheap for the days between the true date and that one.",
    "Contracts settled in other currencies than USDT have the same fees here.",
)
MULTI_ASSETS_APPROXIMATIONS: tuple[str, ...] = (
    "The balance in USDT counts in full, not at 99.99 %: liquidated later by a hundredth of a per "
    "cent of it.",
    "Collateral ratios are those of 2021 for all dates.",
    "Profit and funding of contracts settled in USDC reach the wallet of the account's currency.",
)
COINM_APPROXIMATIONS: tuple[str, ...] = (
    "Only the BTC perpetual has a sourced table; the two highest tiers are inferred from the rest "
    "of the ladder.",
)
_ABSENT = (
    "Auto-deleveraging: it needs the other traders' positions; the insurance fund always takes over.",
    "Portfolio margin, and delivery contracts with an expiry.",
    "The limit of 20x for accounts younger than 60 days.",
)
USDM_ABSENT: tuple[str, ...] = (*_ABSENT, "European credits mode.")
COINM_ABSENT: tuple[str, ...] = _ABSENT


def snapshots(name: str) -> tuple[Fact, ...]:
    """One fact per dated tier snapshot of a table file."""
    return tuple(
        Fact(
            f"tiers from {snapshot['since']}",
            f"{len(snapshot['symbols'])} symbols"
            + (f"; {snapshot['note']}" if "note" in snapshot else ""),
            snapshot["source"],
            snapshot["dated"],
            "C",
        )
        for snapshot in document(name)["snapshots"]
    )
