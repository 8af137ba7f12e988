"""Where each dYdX v4 number comes from, and what is exact, approximate or absent."""

from __future__ import annotations

from collections.abc import Mapping

from bt_margin.venues.spec import Fact
from bt_margin.venues.tables import document

_CHAIN = "dydxprotocol/v4-chain 84d4664b, protocol/"
_GENESIS = "dydxprotocol/v4-chain 84d4664b, protocol/testing/mainnet/genesis.json"
_DOCS = "dydxprotocol/v4-documentation 3e475b73, docs/pages/concepts/trading/"
_CHOICE = "not published; our choice"

FACTS: tuple[Fact, ...] = (
    Fact(
        "margin unit",
        "subaccount: one USDC balance, any number of cross markets",
        _CHAIN + "x/subaccounts/lib/updates.go",
        "2026-03-05",
        "C",
    ),
    Fact(
        "isolated",
        "a child subaccount (parent + 128·n) of one position, funded by a transfer; a convention "
        "of "
        "the front end",
        _DOCS + "isolated-positions",
        "2026",
        "P",
    ),
    Fact(
        "isolated markets",
        "one position per subaccount, own insurance fund",
        _CHAIN + "x/subaccounts/keeper/isolated_subaccount.go",
        "2026-03-05",
        "C",
    ),
    Fact(
        "smallest isolated margin",
        "20 USDC for a limit order of the front end (not applied)",
        "dydxprotocol/v4-abacus b0cf2199, V4TradeInputTests.kt",
        "2024",
        "C",
    ),
    Fact(
        "initial margin",
        "notional · max(fraction in force, fraction set by a leverage), rounded up to a millionth",
        _CHAIN + "x/perpetuals/types/liquidity_tier.go",
        "2026-03-05",
        "C",
    ),
    Fact(
        "initial fraction in force",
        "base + (open interest − lower) / (upper − lower) · (1 − base) between the caps, "
        "rounded down to ppm",
        _CHAIN + "x/perpetuals/types/liquidity_tier.go",
        "2026-03-05",
        "C",
    ),
    Fact(
        "maintenance",
        "base initial margin · maintenance fraction, whatever open interest and leverage",
        _CHAIN + "x/perpetuals/lib/lib.go",
        "2026-03-05",
        "C",
    ),
    Fact(
        "trigger",
        "requirement above 0 and above equity; equality is safe",
        _CHAIN + "lib/margin/risk.go",
        "2026-03-05",
        "C",
    ),
    Fact(
        "margin price",
        "oracle: median of the validators, from several exchanges",
        _DOCS + "margin",
        "2026",
        "P",
    ),
    Fact(
        "order check",
        "equity after the fill and its fee covers the initial margin",
        _CHAIN + "lib/margin/risk.go",
        "2026-03-05",
        "C",
    ),
    Fact(
        "liquidation, largest fee",
        "1.5 % of the quote, in place of the taker fee",
        _GENESIS,
        "2023-10-26",
        "C",
    ),
    Fact(
        "liquidation, portion",
        "10 % of a position per block, at least 1,000 USDC",
        _GENESIS,
        "2023-10-26",
        "C",
    ),
    Fact(
        "liquidation, block limit",
        "100,000 USDC per subaccount; insurance loss 1,000,000 USDC (not applied)",
        _GENESIS,
        "2023-10-26",
        "C",
    ),
    Fact(
        "liquidation, limit price",
        "oracle price less σ · clamp(1 − E/V, 0, 1) · 1.5 · maintenance rate",
        _GENESIS,
        "2023-10-26",
        "C",
    ),
    Fact(
        "liquidation, values of today",
        "not read from the chain; those of genesis are used",
        _CHOICE,
        "2026",
        "N",
    ),
    Fact(
        "liquidation, which position",
        "at random among those not yet liquidated in the block",
        _CHAIN + "x/clob/keeper/liquidations.go",
        "2026-03-05",
        "C",
    ),
    Fact("liquidation, which position here", "the largest notional first", _CHOICE, "2026", "N"),
    Fact(
        "fee paid",
        "min(1.5 % · quote, equity · freed requirement / requirement)",
        _CHAIN + "x/clob/keeper/liquidations.go",
        "2026-03-05",
        "C",
    ),
    Fact(
        "deleveraging",
        "only below zero equity: the whole position at the bankruptcy price",
        _CHAIN + "x/clob/keeper/deleveraging.go",
        "2026-03-05",
        "C",
    ),
    Fact(
        "funding",
        "every hour on the hour, −size · oracle price · hourly rate",
        _CHAIN + "x/perpetuals/funding/funding.go",
        "2026-03-05",
        "C",
    ),
    Fact(
        "funding, largest rate",
        "600 % of initial less maintenance fraction, per 8 hours (published rates are "
        "already inside)",
        _GENESIS,
        "2023-10-26",
        "C",
    ),
    Fact("taker and maker fee", "0.05 % and −0.011 % at genesis", _GENESIS, "2023-10-26", "C"),
    Fact(
        "taker and maker fee",
        "0.05 % and 0.01 % in the lowest tier, in force since block 6,912,000",
        "docs.dydx.community, fee tiers",
        "undated",
        "P",
    ),
    Fact(
        "date of block 6,912,000",
        "2024-02-23: 120 days after genesis at 1.5 seconds a block, so some days off",
        "derived",
        "2026",
        "D",
    ),
    Fact(
        "step of a size",
        "step_base_quantums · 10^atomic_resolution of each market",
        _GENESIS,
        "2023-10-26",
        "C",
    ),
    Fact(
        "mode switch",
        "a transfer between subaccounts; refused here while a position or order is open",
        _CHOICE,
        "2026",
        "N",
    ),
    Fact("lowering a leverage", "allowed when the margin suffices", _CHOICE, "2026", "N"),
)

EXACT: tuple[str, ...] = (
    "Maintenance from the base fraction alone, strict trigger, liquidation price in both modes.",
    "Initial fraction by open interest, in parts per million, where you give the open interest.",
    "Portion, smallest notional, block limit and step of a liquidation order.",
    "Liquidation fee: the smaller of 1.5 % of the quote and the share of the equity; paid into "
    "the fund.",
)

APPROXIMATIONS: tuple[str, ...] = (
    "The candle stands in for the oracle price where the data has no mark: liquidations come too "
    "early or too late.",
    "Liquidation orders fill at the crossing price (with the slippage you set), whatever the "
    "limit price of the "
    "chain; where the book is empty there, the chain waits or deleverages: too cheap in a thin "
    "market.",
    "Where your slippage exceeds the share of the equity, the fund would pay the difference at "
    "once; here it pays "
    "only what is missing at the end: too dear for an account of several positions.",
    "The largest position of an account goes first, the chain chooses at random: which position "
    "is left may differ.",
    "Blocks follow each other at one price until the account is healthy, after 1,000 blocks "
    "everything goes; on the "
    "chain the price moves meanwhile.",
    "Requirements are not rounded up to a millionth of a USDC: too late by less than that.",
    "Tier changes hold from the day the repository took them; the votes on the chain may have "
    "come some weeks "
    "earlier or later.",
    "Markets outside BTC, ETH and SOL stay in their tier of genesis, with its later numbers.",
    "Fees are those of the lowest volume tier.",
)

ABSENT: tuple[str, ...] = (
    "Deleveraging, withdrawal gates, the insurance fund's balance and its loss limit per block.",
    "Isolated-type markets' own insurance funds; limits on open orders by equity.",
    "A clamp on the funding rates you bring: published ones are inside it.",
)


def unscaled(known: Mapping[str, object], symbols: tuple[str, ...]) -> tuple[str, ...]:
    """What to say of markets whose open interest is not given."""
    if len(known) == len(symbols):
        return ()
    given = ", ".join(known) or "none"
    return (
        f"Initial margin grows with open interest only where it is given (given: {given}); "
        f"elsewhere it stays at its "
        "base: too low in a crowded market.",
    )


def snapshots(name: str) -> tuple[Fact, ...]:
    """One fact per dated state of the tiers."""
    return tuple(
        Fact(
            f"tiers from {snapshot['since'][:10]}",
            "; ".join(_tier(number, row) for number, row in snapshot["tiers"].items())
            + (f"; {snapshot['note']}" if "note" in snapshot else ""),
            snapshot["source"],
            snapshot["dated"],
            snapshot["tag"],
        )
        for snapshot in document(name)["snapshots"]
    )


def _tier(number: str, row: list[float]) -> str:
    initial, fraction, lower, upper = row
    caps = f", open interest {lower:,} to {upper:,} USDC" if upper else ""
    return f"tier {number} initial {initial:g} ppm, maintenance {fraction:g} ppm of it{caps}"
