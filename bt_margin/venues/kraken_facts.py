"""Where each Kraken number comes from, and what of the venue is exact, approximated and absent."""

from __future__ import annotations

from bt_margin.venues.spec import Fact
from bt_margin.venues.tables import document

_EPP = "Kraken support: Equity Protection Process"
_INVERSE_SCHEDULE = "Kraken support: Inverse Futures Margin Schedule & Maximum Leverage"
_SCHEDULE = "Kraken support: Multi-Collateral Margin Schedule & Maximum Leverage"
_FEES_PAGE = "Kraken support: Fees & Charges for Multi-Collateral Futures"
_CALL_PAGE = "Kraken support: Margin call level and margin liquidation level"
_MARGIN_FEES = "Kraken support: What are the fees (opening and rollover) for trading using margin?"
_INSTRUMENTS = "instruments payload in ccxt static markets"
_OURS = "not published; our choice"

DERIVATIVES: tuple[Fact, ...] = (
    Fact("trigger", "equity below the maintenance margin, at the mark", _EPP, "2026-03-17", "P"),
    Fact(
        "maintenance rate",
        "half the initial rate at every level",
        _INSTRUMENTS,
        "after 2023-05-25",
        "C",
    ),
    Fact("fee in requirement", "none", _EPP, "2026-03-17", "P"),
    Fact("maker, taker fee", "0.0002, 0.0005 for all dates", "ccxt 4.5.90", "2026", "C"),
    Fact(
        "funding interval",
        "1 h, accruing; settled at the end of the hour or when the position changes",
        "Kraken Futures contract specifications",
        "2026",
        "P",
    ),
    Fact("funding, largest relative rate", "0.0025 an hour", _INSTRUMENTS, "after 2023-05-25", "A"),
    Fact("liquidation residual", "to the trader", _EPP, "2026-03-17", "P"),
    Fact(
        "balance",
        "never below zero: what the market does not take is assigned, then unwound",
        _EPP,
        "2026-03-17",
        "P",
    ),
    Fact("fee of an order", "not part of the order check", _OURS, "2026", "N"),
    Fact(
        "margin mode and leverage",
        "may be changed with positions and orders, if the margin suffices",
        _OURS,
        "2026",
        "N",
    ),
)

FUTURES: tuple[Fact, ...] = (
    Fact(
        "contract",
        "1 coin",
        "Kraken support: Single-Collateral & Multi-Collateral contracts",
        "2023",
        "P",
    ),
    Fact("initial margin", "by levels of the value in USD", _SCHEDULE, "undated", "P"),
    Fact(
        "levels",
        "each part of the position pays the rates of its level; inferred from the inverse page: of "
        "this page's example (20 BTC) the copies read end before its rates",
        f"{_INVERSE_SCHEDULE}; {_SCHEDULE}",
        "2023 to 2024",
        "D",
    ),
    Fact("initial margin, lower leverage chosen", "notional / leverage", "derived", "2026", "D"),
    Fact("most leverage", "50; BTC 100 from about 2025-09", _SCHEDULE, "2023 to 2025", "P"),
    Fact(
        "levels of the help page, class A",
        "1M, 2M, 5M, 10M, 20M, 60M at 2, 4, 5, 10, 20, 30, "
        "50 %; they differ from the payloads, which are used",
        _SCHEDULE,
        "undated",
        "P",
    ),
    Fact(
        "levels of BTC above 4 % from 2025-09",
        "as in the payload before; trimmed in the source",
        _OURS,
        "2025-09",
        "N",
    ),
    Fact(
        "PF_ETHUSD, a fixture",
        "2 % to 2M, then 4 % (not used)",
        "nautilus_trader: http_futures_instruments.json",
        "2025",
        "A",
    ),
    Fact(
        "liquidation until 2026-03-25", "the whole position, an immediate order", _EPP, "2023", "P"
    ),
    Fact("liquidation from 2026-03-26", "in parts, for a fee", _EPP, "2026-03-17", "P"),
    Fact(
        "size of a partial liquidation",
        "maintenance back to 90 % of equity, at least a tenth of the position",
        _OURS,
        "2026",
        "N",
    ),
    Fact("order of closing cross positions", "largest unrealised loss first", _OURS, "2026", "N"),
    Fact("liquidation fee", "0.0005, as a taker", _OURS, "2026", "N"),
    Fact(
        "conversion fee",
        "0.0005 cash and stablecoins, 0.005 other coins (not applied: USD collateral)",
        _FEES_PAGE,
        "2024",
        "P",
    ),
    Fact(
        "interest on unrealised losses",
        "above 30,000 USD not covered by USD (not applied)",
        _FEES_PAGE,
        "2024",
        "P",
    ),
    Fact("haircut of USD", "0", "Kraken support: Derivatives Collateral Currencies", "2025", "P"),
)

INVERSE: tuple[Fact, ...] = (
    Fact(
        "contract",
        "1 USD, settled in the coin",
        "Kraken Futures contract specifications",
        "2026",
        "A",
    ),
    Fact("tick, lot", "BTC 0.5 USD; 1 contract", _INSTRUMENTS, "after 2023-05-25", "A"),
    Fact(
        "wallets",
        "one per coin, cross within it",
        "Kraken support: Single-Collateral & Multi-Collateral contracts",
        "2023",
        "P",
    ),
    Fact("leverage setting", "none", "Kraken support: Portfolio Management", "2026", "P"),
    Fact(
        "levels",
        "each part of the position pays the rate of its level: of 1,000,000 contracts the first "
        "500,000 ask for 2 % (article 15579128794772; the copies read end there, 4 % for the rest is "
        "the table's)",
        _INVERSE_SCHEDULE,
        "2023 to 2024",
        "P",
    ),
    Fact(
        "levels of the maintenance margin",
        "by parts as well; inferred: the example is of the initial margin, whose half it is",
        _INVERSE_SCHEDULE,
        "2023 to 2024",
        "D",
    ),
    Fact(
        "levels from 2019 to 2023",
        "by parts as well; inferred: the page of 2019 is read without an example",
        "Kraken support: Margin schedule",
        "2019-03-05",
        "D",
    ),
    Fact(
        "maintenance margin",
        "at the mark: 7,481 in the page's example needs it, though a page says at entry",
        f"{_EPP}; {_INVERSE_SCHEDULE}",
        "2026-03-17",
        "D",
    ),
    Fact(
        "liquidation",
        "the whole position, immediate or cancel, limit at the bankruptcy price",
        _EPP,
        "2026-03-17",
        "P",
    ),
    Fact("liquidation fee", "0.0005, as a taker", _OURS, "2026", "N"),
)

SPOT: tuple[Fact, ...] = (
    Fact(
        "used margin",
        "long: cost / leverage, fixed; short: coins / leverage, revalued",
        "Kraken support: Margin trading examples",
        "2022-2025",
        "P",
    ),
    Fact(
        "new positions",
        "while the margin level is at 100 % or more",
        "Kraken support: Maintenance Margin; Margin trading examples",
        "2022-2025",
        "P",
    ),
    Fact("margin call level", "about 80 %", _CALL_PAGE, "2026-02-10", "P"),
    Fact("margin liquidation level", "about 40 %", _CALL_PAGE, "2026-02-10", "P"),
    Fact(
        "liquidation",
        "the pair opened first goes first, whatever its result (orders of one pair are one position here); "
        "until the level is above 100 %",
        _CALL_PAGE,
        "2026-02-10",
        "P",
    ),
    Fact("liquidation fee", "the taker fee", _OURS, "2026", "N"),
    Fact("funding", "none: opening and rollover fees instead", _MARGIN_FEES, "2026-02-10", "P"),
    Fact(
        "opening and rollover fee",
        "BTC 0.0001, other coins 0.0002, each 4 h from the fourth hour on",
        _MARGIN_FEES,
        "2026-02-10",
        "P",
    ),
    Fact(
        "opening and rollover fee of USD",
        "0.0002 (sample of 2021-01-25), 0.00025 from "
        "2026-02-10; 0.00015 in an undated copy of about 2022 (not used)",
        _MARGIN_FEES,
        "2021 to 2026",
        "P",
    ),
    Fact(
        "currency of the fee rate",
        "the borrowed one: USD for a long, the coin for a short",
        _MARGIN_FEES,
        "2026-02-10",
        "P",
    ),
    Fact(
        "rate of the rollover",
        "locked when the position is opened",
        _MARGIN_FEES,
        "2026-02-10",
        "P",
    ),
    Fact(
        "first rollover",
        "four hours after the opening",
        "OpenPositions sample in ccxt kraken.py",
        "2021-01-25",
        "A",
    ),
    Fact(
        "maker, taker fee",
        "0.0016, 0.0026",
        "Kraken blog: Reduced Trade Fees Coming August 1st; ccxt 4.5.90",
        "2015-08-01",
        "P",
    ),
    Fact(
        "maker, taker fee",
        "0.0025, 0.0040 from 2025-01-01, the year they are first seen",
        "nautilus_trader: http_asset_pairs.json",
        "2025",
        "A",
    ),
    Fact(
        "smallest order",
        "cost 0.5 (XBTUSDT); BTC tick 0.1",
        "nautilus_trader: http_asset_pairs.json",
        "2025",
        "A",
    ),
    Fact(
        "fee of an order",
        "not part of the order check",
        "Kraken support: How leverage works in spot transactions on margin",
        "2022-2025",
        "P",
    ),
)

DERIVATIVES_APPROXIMATIONS: tuple[str, ...] = (
    "Liquidation orders fill at the crossing price (or the gap) with the slippage you set, where "
    "the book, assignment and unwinding decide: too cheap, if anything.",
    "Tables are applied from the first date they can be of, and stand in before it; the true days "
    "of change are not known.",
    "Fees are those of the lowest volume, one state for all dates.",
    "Funding is charged whole, at the hour's stamp, on what is held then, where the venue lets it "
    "accrue: who opens within the hour pays too much and who closes within it too little, by less "
    "than one hour's rate.",
)
#: What the option ``levels="whole"`` adds.
WHOLE_APPROXIMATIONS: tuple[str, ...] = (
    "levels='whole': all of a position pays the rates of the level it reaches, where the venue takes "
    "them for the part above the edge: above the first level it asks for too much margin and "
    "liquidates too early.",
)
FUTURES_APPROXIMATIONS: tuple[str, ...] = (
    "That linear positions pay level by level is inferred from the venue's example of an inverse one: "
    "if the level reached holds for all of them, those above the first are liquidated too late.",
    "From 2025-09 the levels of BTC above 5,000,000 USD are those of the table before: too much "
    "margin, liquidated too early, if anything.",
    "Partial liquidations bring maintenance to 90 % of equity at the taker fee; the venue's steps "
    "and its fee are not published: the fee is too cheap, if anything.",
    "What margin resting orders lock is not published; here as if they were filled.",
)
INVERSE_APPROXIMATIONS: tuple[str, ...] = (
    "That the maintenance margin goes level by level like the initial margin of the venue's example "
    "is inferred: if not, positions above the first level are liquidated too late.",
    "The bankruptcy limit of the liquidation order is not waited for: what a gap leaves uncovered "
    "is a shortfall borne by those who take the position over.",
)
SPOT_APPROXIMATIONS: tuple[str, ...] = (
    "Between the levels of 80 % and 40 % the venue may close positions at its discretion; here "
    "only from 40 % (option liquidation_level): too late, if anything.",
    "Orders of one pair and side make one position with an average entry, opened when it began; "
    "on the venue each order is a position of its own with its own rate and its own rollovers.",
    "The fee of a short is on its cost; the venue counts it on the coins borrowed: too dear after "
    "a fall, too cheap after a rise.",
    "Margin rates follow the market; here BTC, other coins and USD have one rate per date: between "
    "2021 and 2026 the rate of USD may be off by 0.005 % either way.",
    "A loss beyond the account is booked as a shortfall; the venue may claim it: too cheap.",
    "Leverage belongs to the symbol and may be changed with a position open; on the venue it "
    "belongs to the order and stays.",
    "The most leverage of a pair is known from few dates; 1x is treated like any other leverage, "
    "though it borrows nothing on the venue.",
)

FUTURES_EXACT: tuple[str, ...] = (
    "maintenance and initial margin by levels, each part of a position at its own rate, at the mark",
    "liquidation and bankruptcy price, cross and isolated",
    "funding of whole hours",
    "the trader keeps what a liquidation leaves",
)
INVERSE_EXACT: tuple[str, ...] = (
    "maintenance and initial margin in the coin by the number of contracts, each part at the rate of "
    "its level",
    "liquidation price (7,481) and bankruptcy price (7,407) of the venue's own example",
    "the whole position is closed; the trader keeps what is left",
)
SPOT_EXACT: tuple[str, ...] = (
    "used margin, free margin and margin level of longs and shorts",
    "opening and rollover fees: the first rollover after four hours, the rate of the opening",
    "order of closing: the pair opened first goes first",
)

FUTURES_ABSENT: tuple[str, ...] = (
    "A table of haircuts (give your own: haircuts=), conversion fees of cash and stablecoins, interest on "
    "unrealised losses above 30,000 USD.",
    "Netting of a perpetual against dated contracts of the same coin; dated contracts.",
    "Levels of SOL, XRP and all other contracts without a published payload.",
    "The schedules of retail clients in the EEA (10x) and of Kraken Derivatives US.",
    "Assignment to liquidity providers and unwinding against opposing traders.",
)
INVERSE_ABSENT: tuple[str, ...] = (
    "Dated contracts (FI) in the same wallet.",
    "The schedule of retail clients (50 % initial, 25 % maintenance).",
    "Assignment to liquidity providers and unwinding against opposing traders.",
)
SPOT_ABSENT: tuple[str, ...] = (
    "Collateral other than USD and its haircuts.",
    "Limits of the margin pools per currency, and the term limits of positions.",
    "Settling a position with coins one holds.",
    "Opposite positions in one pair at the same time.",
)


def approximations(own: tuple[str, ...], marginal: bool) -> tuple[str, ...]:
    """What a derivatives venue approximates, under the reading of its levels that was chosen."""
    reading = () if marginal else WHOLE_APPROXIMATIONS
    return (*reading, *own, *DERIVATIVES_APPROXIMATIONS)


def snapshots(name: str) -> tuple[Fact, ...]:
    """One fact per dated snapshot of a table of levels."""
    return tuple(
        Fact(
            f"levels from {snapshot['since']}",
            f"{', '.join(snapshot['symbols'])}"
            + (f"; {snapshot['note']}" if "note" in snapshot else ""),
            snapshot["source"],
            snapshot["dated"],
            "P" if "support" in snapshot["source"] else "C",
        )
        for snapshot in document(name)["snapshots"]
    )


def leverage(name: str) -> tuple[Fact, ...]:
    """One fact per date of the most leverage of pairs."""
    return tuple(
        Fact(
            f"most leverage from {row['since']}",
            ", ".join(f"{symbol} {most}" for symbol, most in row["symbols"].items()),
            row["source"],
            row["dated"],
            "P" if "support" in row["source"] else "C",
        )
        for row in document(name)["leverage"]
    )
