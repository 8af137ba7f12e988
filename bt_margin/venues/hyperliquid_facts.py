"""Where each Hyperliquid number comes from, and what is exact, approximate or absent.

The engine of the venue is not public: its rules come from its documentation, its announcements and clients.
"""

from __future__ import annotations

from bt_margin.venues.spec import Fact
from bt_margin.venues.tables import document

_DOCS = "Hyperliquid documentation, "
_PARTIAL = "Hyperliquid announcement of partial liquidations (Telegram post 307); documentation, Liquidations"
_CHOICE = "not published; our choice"

FACTS: tuple[Fact, ...] = (
    Fact(
        "margin modes",
        "cross by default, isolated, and strict isolated, whose margin cannot be removed (some "
        "newer "
        "and third-party markets; not modelled)",
        _DOCS + "Margining",
        "2026",
        "P",
    ),
    Fact(
        "initial margin",
        "size · mark / leverage, checked at the opening",
        _DOCS + "Margining",
        "2026",
        "P",
    ),
    Fact(
        "leverage",
        "a whole number, up to the largest of the band",
        _DOCS + "Margining",
        "2026",
        "P",
    ),
    Fact(
        "maintenance rate",
        "half of the initial rate at the largest leverage of the band",
        _DOCS + "Margin tiers",
        "2026",
        "P",
    ),
    Fact(
        "deduction",
        "previous deduction + lowest notional of the band · difference of the rates",
        _DOCS + "Margin tiers",
        "2026",
        "P",
    ),
    Fact(
        "trigger",
        "equity below the requirement: cross the account's, isolated its own",
        _DOCS + "Liquidations",
        "2026",
        "P",
    ),
    Fact(
        "liquidation price",
        "price − side · margin available / size / (1 − rate · side)",
        _DOCS + "Liquidations; "
        "freqtrade 2026.9 hyperliquid.py (196 live positions within 0.0131 %)",
        "2026",
        "C",
    ),
    Fact(
        "liquidation",
        "market orders; the trader keeps what remains; no clearance fee",
        _DOCS + "Liquidations",
        "2026",
        "P",
    ),
    Fact(
        "liquidation, large positions",
        "above 100,000 USDC 20 % first; for 30 seconds after that the entire position",
        _PARTIAL,
        "undated",
        "P",
    ),
    Fact("liquidation, which position", "the largest loss first", _CHOICE, "2026", "N"),
    Fact(
        "backstop",
        "below 2/3 of the requirement the vault takes position and margin",
        _DOCS + "Liquidations",
        "2026",
        "P",
    ),
    Fact(
        "deleveraging",
        "below zero value, against the opposite side by profit and leverage",
        _DOCS + "Auto-deleveraging",
        "2026",
        "P",
    ),
    Fact(
        "removing margin",
        "what remains is at least max(initial margin, 10 % of the notional)",
        _DOCS + "Margining",
        "2026",
        "P",
    ),
    Fact(
        "margin price",
        "mark: a median of oracle, book and other exchanges, every 3 seconds",
        _DOCS + "Robust price indices",
        "2026",
        "P",
    ),
    Fact(
        "funding",
        "every hour, on the oracle price, at most 4 % an hour",
        _DOCS + "Funding",
        "2026",
        "P",
    ),
    Fact(
        "funding rate",
        "premium + clamp(0.01 % − premium, ±0.05 %) per 8 hours, an eighth each hour",
        _DOCS + "Funding",
        "2026",
        "P",
    ),
    Fact("impact notional", "20,000 USDC for BTC and ETH", _DOCS + "Funding", "2026", "P"),
    Fact(
        "taker and maker fee",
        "0.045 % and 0.015 % in the lowest tier",
        _DOCS + "Fees; ccxt 4.5.90",
        "2026",
        "P",
    ),
    Fact("order check", "the fee and the loss a fill shows at once count", _CHOICE, "2026", "N"),
    Fact("mode switch", "refused here while a position or order is open", _CHOICE, "2026", "N"),
    Fact(
        "leverage of an open position",
        "may be raised; lowering it in isolated mode is refused here",
        _CHOICE,
        "2026",
        "N",
    ),
)

EXACT: tuple[str, ...] = (
    "Maintenance by continuous bands, strict trigger, liquidation price in both modes.",
    "Caps of the notional by leverage.",
    "20 % of a position above 100,000 USDC first, then all of it; taker fee only; nothing is left "
    "below two thirds of "
    "the requirement.",
)

APPROXIMATIONS: tuple[str, ...] = (
    "The candle stands in for mark and oracle where the data has none: liquidations come too "
    "early or too late.",
    "Market orders of a liquidation fill in full at the crossing price (with the slippage you "
    "set): too cheap for "
    "positions the book cannot take.",
    "For 30 seconds after a partial liquidation the venue sells the entire position; here for the rest "
    "of the bar it happened in, if that is longer: too harsh where the second breach came later.",
    "Funding without an oracle price in the data is charged on the mark.",
    "Bands are those of one undated page from 2025-03-12 on, and for most symbols at all times "
    "(is_proxy).",
    "Fees are those of the lowest volume tier, at all times.",
    "What remains after the backstop is the vault's; here it is booked to the insurance fund.",
)

ABSENT: tuple[str, ...] = (
    "Auto-deleveraging, strict isolated markets, builder-deployed markets, portfolio margin, spot.",
    "A cap on the funding rates you bring: published ones are inside it.",
    "Tick and lot sizes.",
)


def bands(name: str) -> tuple[Fact, ...]:
    """One fact per dated snapshot of the bands."""
    return tuple(
        Fact(
            f"bands from {snapshot['since']}",
            f"{sum(map(len, snapshot['symbols'].values()))} symbols; {snapshot['note']}",
            snapshot["source"],
            snapshot["dated"],
            snapshot["tag"],
        )
        for snapshot in document(name)["snapshots"]
    )
