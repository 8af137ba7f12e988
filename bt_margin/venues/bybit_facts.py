"""Where each Bybit number comes from, the API's codes for "no", and what is not as on the venue."""

from __future__ import annotations

from bt_margin.venues.spec import Fact
from bt_margin.venues.tables import document

#: Refused action -> code of the Bybit API (error reference of 2026-07-24, and ccxt 4.5.90's table of it).
CODES: tuple[tuple[str, str], ...] = (
    ("mode_same", "110026"),
    ("mode_balance", "110073"),
    ("hedge_with_position", "110024"),
    ("hedge_with_orders", "110028"),
    ("leverage_max", "110013"),
    ("leverage_above_cap", "110013"),
    ("leverage_balance", "110044"),
    ("leverage_cap", "110090"),
    ("leverage_liquidates", "110011"),
    ("margin_cross", "110015"),
    ("margin_no_position", "110033"),
    ("add_margin_balance", "110014"),
    ("reduce_margin_balance", "110078"),
    ("top_up_cross", "110076"),
    ("min_notional", "110094"),
    ("order_margin", "110007"),
    ("reduce_only", "110017"),
)

_MARGIN_PAGE = 'Bybit help centre: "New Margin Calculation"'
_PROCESS_PAGE = 'Bybit help centre: "Liquidation Process" (isolated)'
_CROSS_PROCESS = 'Bybit help centre: "Liquidation Process" (cross and portfolio margin)'
_API = "Bybit API reference (bybit-exchange/docs)"
_CODES = "Bybit API error reference; ccxt 4.5.90"

MARGIN: tuple[Fact, ...] = (
    Fact(
        "trigger, isolated",
        "the mark reaches the liquidation price",
        _PROCESS_PAGE,
        "2024-09-10",
        "P",
    ),
    Fact(
        "trigger, cross",
        "maintenance / (margin balance) ≥ 1 at the mark, whole account",
        'Bybit help centre: "Glossary"',
        "2026-03-13",
        "P",
    ),
    Fact(
        "maintenance value",
        "entry value until 2025-09-01, mark value from 2025-09-02",
        _MARGIN_PAGE,
        "2025-09-18",
        "P",
    ),
    Fact(
        "initial margin value",
        "isolated: entry value; cross: entry value until 2025-09-01, mark value from 2025-09-02",
        _MARGIN_PAGE,
        "2025-09-18",
        "P",
    ),
    Fact("hour of the change of 2025-09-02", "00:00 UTC", "not found; our choice", "2026", "N"),
    Fact(
        "closing-fee reserve",
        "qty · entry · (1 − side/leverage) · taker, inverse (size/entry) · "
        "(1 + side/leverage) · taker; in initial and maintenance margin",
        'Bybit help centre: "Order Cost"; a real ETHUSDT position of 2022-07-13 quoted in ccxt',
        "2022 to 2025",
        "P",
    ),
    Fact(
        "closing-fee reserve in cross, mark era",
        "still at the entry price",
        "a real account payload in a public repository",
        "2025",
        "R",
    ),
    Fact(
        "closing-fee reserve with margin added by hand",
        "taker fee at the bankruptcy price; linear before 2025-09-02: unchanged",
        "inverse page of 2026-05-27; API reference, "
        'manual-add-margin; help centre "Liquidation Price (USDT Contract)"',
        "2022 to 2026",
        "P",
    ),
    Fact(
        "linear isolated liquidation price since 2025-09-02",
        "(entry·qty·(1 − side/lev) − "
        "side·extra/(1 − side·taker) − side·deduction) / (qty·(1 − side·mmr))",
        "the published inverse pair, derived for linear",
        "2026-05-27",
        "D",
    ),
    Fact(
        "bankruptcy price",
        "equity there is the taker fee of the closing",
        f"{_API}, manual-add-margin, response of 2023-05-16",
        "2023-05-16",
        "A",
    ),
    Fact(
        "deductions",
        "cap of the lower tier · (rate − lower rate) + lower deduction",
        "Bybit margin parameters page",
        "undated",
        "P",
    ),
    Fact(
        "BTC/USDT, low tiers of 2026",
        "0.33 % and 150x up to 300,000, then 0.5 % with 510 off "
        "(not used: only these two tiers are known)",
        "answer of /v5/market/risk-limit kept as a "
        "test payload in a public repository (Bytex adapters)",
        "2026-09-25",
        "C",
    ),
    Fact(
        "order cost",
        "value/leverage + taker fee of the opening + closing-fee reserve",
        'Bybit help centre: "Order Cost"',
        "2025",
        "P",
    ),
    Fact(
        "loss of an order against the mark",
        "counts",
        'Bybit help centre: "Glossary" (order loss; the text is cut before its sign)',
        "2026-03-13",
        "M",
    ),
    Fact(
        "hedge mode, cross",
        "the covered part carries no maintenance rate, both closing-fee reserves stay",
        "inferred from one account payload in a public repository",
        "2024",
        "R",
    ),
    Fact(
        "hedge mode, tier of the uncovered part",
        "its own value",
        "not found; our choice",
        "2026",
        "N",
    ),
    Fact("hedge mode, initial margin", "both sides in full", "not found; our choice", "2026", "N"),
    Fact("hedge mode, where", "USDT perpetuals only", f"{_API}, position mode", "2026-07-24", "A"),
    Fact(
        "margin mode",
        "of the whole account: isolated, cross, portfolio",
        f"{_API}, set-margin-mode; help centre, 2025-05-12",
        "2026-07-24",
        "A",
    ),
    Fact(
        "margin mode switch",
        "allowed with positions and orders as far as the margin suffices; a "
        "refusal lists reasons (110073, 3400045)",
        f"{_API}; conditions not found",
        "2026-07-24",
        "A",
    ),
)

MONEY: tuple[Fact, ...] = (
    Fact(
        "liquidation, isolated",
        "lowest tier: orders cancelled, takeover at the bankruptcy "
        "price; higher: sale of what lies above the next lower tier's cap, test, again",
        _PROCESS_PAGE,
        "2024-09-10",
        "P",
    ),
    Fact(
        "liquidation, cross",
        "orders cancelled, positions reduced step by step",
        _CROSS_PROCESS,
        "2024-10-23",
        "P",
    ),
    Fact(
        "order of closing cross positions, size of a step",
        "largest unrealised loss first, to the lower tier's cap",
        "not found; our choice",
        "2026",
        "N",
    ),
    Fact(
        "hedged positions in liquidation",
        "only the net exposure",
        "Bybit legacy help centre",
        "2020",
        "P",
    ),
    Fact("liquidation fee", "the taker fee, no other", "not found; our choice", "2026", "N"),
    Fact("liquidation residual", "to the insurance fund", _PROCESS_PAGE, "2024-09-10", "P"),
    Fact(
        "auto-deleveraging",
        "pool empty, or 8 h drawdown of the symbol below −0.3 of the pool's 8 h "
        "maximum; ends above −0.25",
        f"{_API}, adl-alert",
        "2026-07-24",
        "A",
    ),
    Fact(
        "maker, taker fee",
        "−0.00025, 0.00075 until 2022-07-12",
        "legacy help centre; worked example of 2020 with 0.075 %",
        "2020",
        "C",
    ),
    Fact(
        "maker, taker fee",
        "0.0001, 0.0006 from 2022-07-13, where 0.06 % is first seen",
        f"ETHUSDT position quoted in ccxt; ccxt#16325; {_API}, fee-rate, sample of 2023-02-14",
        "2022-07-13",
        "R",
    ),
    Fact(
        "maker, taker fee",
        "0.0002, 0.00055 from 2023-10-20, where they are first seen",
        "LEAN BybitFuturesFeeModel; lean-cli#377",
        "2023-10-20",
        "C",
    ),
    Fact(
        "funding payment",
        "−size · mark · rate, only by positions open at the stamp",
        'Bybit help centre: "Funding Fee Calculation"',
        "2024-12-19",
        "P",
    ),
    Fact(
        "wallet that pays funding",
        "available balance first, then the position's margin",
        'Bybit help centre: "Funding Fee Calculation"',
        "2024-12-19",
        "P",
    ),
    Fact(
        "funding interval",
        "per symbol in minutes; 480 for BTCUSDT and BTCUSD",
        f"{_API}, instruments-info",
        "2026-07-24",
        "A",
    ),
    Fact("leverage step", "0.01", f"{_API}, instruments-info", "2026-07-24", "A"),
    Fact(
        "tick, lot, minimum, BTC/USDT",
        "0.1, 0.001, 5 USDT",
        f"{_API}, instruments-info",
        "2025-01-02",
        "A",
    ),
    Fact(
        "tick, lot, minimum, BTC/USD",
        "0.1, 1 USD, 5 USD (the minimum is not applied)",
        "answer of /v5/market/instruments-info kept as a test payload in a public repository "
        "(Bytex adapters)",
        "2026-09-26",
        "C",
    ),
    Fact(
        "displayed prices",
        "liquidation and bankruptcy price of a long rounded up to the tick",
        f"{_API}, manual-add-margin, response of 2023-05-16; legacy help centre",
        "2023-05-16",
        "A",
    ),
    Fact(
        "collateral ratio, BTC",
        "0.95 until 2025-02-18",
        f"{_API}, collateral-info, sample",
        "2023-08-09",
        "A",
    ),
    Fact(
        "collateral ratio, BTC",
        "0.85 from 2025-02-19, when ratios became tiered (sample: up to 1,000,000 BTC, 0 above)",
        f"{_API}, tier-collateral-ratio, sample of 2025-02-18",
        "2025-02-19",
        "A",
    ),
    Fact(
        "interest on borrowed coins",
        "borrowed · hourly rate, each hour (sample, BTC: 0.000001216904)",
        f"{_API}, borrow-history, sample",
        "2023-10-16",
        "A",
    ),
    Fact(
        "isolated margin",
        "added and taken only with a position (110033), never in cross (110015)",
        _CODES,
        "2026-07-24",
        "A",
    ),
    Fact(
        "isolated margin, most that can be taken",
        "wallet + min(0, unrealised) stays ≥ position margin",
        "limited (110078), formula not published; our choice",
        "2026",
        "N",
    ),
    Fact(
        "leverage",
        "not above the position's tier (110013), nor so that it would be liquidated (110011)",
        _CODES,
        "2026-07-24",
        "A",
    ),
)

EXACT: tuple[str, ...] = (
    "Initial and maintenance margin with the closing-fee reserve, at the entry value before 2025-09-02 "
    "and at the mark value since.",
    "Liquidation price of an isolated position, with margin added or not, long and short, linear and "
    "inverse; in cross the account's maintenance rate at every mark.",
    "Bankruptcy price with the taker fee of the closing inside.",
    "The takeover of a position in its lowest tier, and the sale down the ladder of a larger one.",
    "Order cost: initial margin, fee of the opening and closing-fee reserve.",
    "Funding out of the available balance first.",
)
APPROXIMATIONS: tuple[str, ...] = (
    "The tier follows the position alone, on the venue position and open orders together: with large "
    "resting orders near an edge the requirement is too low, liquidation too late.",
    "The linear tables are those of 2025-12-29 for every date (is_proxy before): older tables had "
    "fewer, steeper tiers, so large positions before 2024 are liquidated too late; since 2026-09 "
    "the venue asks 0.33 % of the first 300,000 USDT of BTC/USDT, so small ones there too early.",
    "The inverse table has its two lowest tiers (BTC, to 300 coins, of 2026-09-26): above them, "
    "which no leverage over 66.67 allows, the second one's rate goes on, liquidation too late.",
    "Fee rates change on the dates they are first seen: up to that day too dear.",
    "Ladder sales fill at the crossing price (with the slippage you set), as fill-or-kill orders may "
    "fail on the venue: too late there; what a sale frees stays with the position.",
    "In cross the order of closing is not published: largest loss first; every position but the last "
    "is sold at the mark and leaves the account what is over, too cheap where the venue takes it "
    "over at its bankruptcy price.",
    "In hedge mode the initial margin of both sides is asked in full, too dear; both sides can be held "
    "of USDC and inverse contracts too, which the venue does not offer.",
    "Collateral ratios are API samples of BTC alone, one ratio for every amount; of other coins none is "
    "known, so they cannot be pledged.",
    "Contracts stand on the wallet of the currency they settle in (and on pledged coins); the unified "
    "account margins all of them together: with several wallets liquidation too early.",
    "How much isolated margin may be taken out, and what automatic top-ups add, is not published (see "
    "the facts tagged N); top-ups work for inverse contracts too, which the venue does not offer.",
    "The liquidation price shown is not rounded; the venue rounds a long's up to the tick "
    "(core.ticks.round_up_to_tick), at most one tick.",
    "VIP levels and regional fees are left out; give your own fees per symbol.",
)
ABSENT: tuple[str, ...] = (
    "Portfolio margin, options, dated contracts, spot-margin trading and automatic borrowing.",
    "Auto-deleveraging needs the other traders' positions and the pool's result; its trigger is in "
    "core.adl.",
    "The cancelling of spot orders that comes before the derivatives in a cross liquidation.",
    "A floor under the equity of an account below which a mode switch is refused.",
)


def snapshots(name: str) -> tuple[Fact, ...]:
    """One fact per dated tier snapshot of a table file."""
    return tuple(
        Fact(
            f"tiers from {snapshot['since']}",
            f"{len(snapshot['symbols'])} symbols; {snapshot['note']}",
            snapshot["source"],
            snapshot["dated"],
            "C",
        )
        for snapshot in document(name)["snapshots"]
    )
