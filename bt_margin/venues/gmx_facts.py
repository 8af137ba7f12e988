"""Where each GMX number comes from, and what bars cannot show of its pools."""

from __future__ import annotations

from bt_margin.venues.spec import Fact

_V1 = "gmx-io/gmx-contracts@fe55c4ba"
_VAULT = f"{_V1} contracts/core/Vault.sol"
_UTILS = f"{_V1} contracts/core/VaultUtils.sol"
_DEPLOY = f"{_V1} scripts/core/deployVault.js, scripts/core/setFees.js"
_V2 = "gmx-io/gmx-synthetics@a5c0c883"
_POSITION = f"{_V2} contracts/position/PositionUtils.sol"
_MARKET = f"{_V2} contracts/market/MarketUtils.sol"
_PRICING = f"{_V2} contracts/pricing/PositionPricingUtils.sol"
_CONFIG = f"{_V2} config/markets.ts"
_GENERAL = f"{_V2} config/general.ts"
_DAY = "2026-03-13"
_CHOICE = "not published; our choice"

V1_FACTS: tuple[Fact, ...] = (
    Fact("margin unit", "one position: account, collateral token, index token, side",
         f"{_VAULT}:getPositionKey", "undated", "C"),
    Fact("collateral of a long", "index token, its USD value frozen at the deposit",
         f"{_VAULT}:increasePosition", "undated", "C"),
    Fact("collateral of a short", "a stablecoin", f"{_VAULT}:increasePosition", "undated", "C"),
    Fact("average price", "price · S' / (S' + pnl), the plain average over the tokens",
         f"{_VAULT}:getNextAveragePrice", "undated", "C"),
    Fact("trigger", "collateral + pnl < fees + liquidation fee, or < size / 50",
         f"{_UTILS}:validateLiquidation", "undated", "C"),
    Fact("checks at opening", "the same with losses only; size ≥ collateral",
         f"{_VAULT}:increasePosition", "undated", "C"),
    Fact("max leverage", "50", f"{_DEPLOY}; GMX governance forum", "undated", "C"),
    Fact("margin fee", "0.001 of the size on opening and on closing", _DEPLOY, "undated", "C"),
    Fact("liquidation fee", "5 USD, paid by the pool to the liquidator; 2 USD when first deployed",
         _DEPLOY, "undated", "C"),
    Fact("closed", "always the whole position; state 1: all collateral lost; state 2: collateral + pnl "
         "− fees returned", f"{_VAULT}:liquidatePosition", "undated", "C"),
    Fact("borrow fee", "floor(100 · reserved · hours / pool) ppm of the size, in whole hours; the tests "
         "use 600 ppm per 8 h", f"{_VAULT}:getNextFundingRate; {_DEPLOY}", "undated", "C"),
    Fact("borrow fee, collected", "when the position is next changed; fees due count in the first test",
         f"{_UTILS}:getFundingFee", "undated", "C"),
    Fact("funding between longs and shorts", "none", f"{_VAULT}", "undated", "C"),
    Fact("losses beyond the collateral", "borne by the pool", f"{_VAULT}:liquidatePosition",
         "undated", "C"),
    Fact("minimum profit", "within 3 h of an increase, profit below a level per token counts as 0; the "
         "levels are not recorded (not applied)", f"{_VAULT}:getDelta", "undated", "C"),
    Fact("SOL", "not among the tokens of the deployment scripts", f"{_V1} scripts/core/tokens.js",
         "undated", "C"),
    Fact("utilisation of the pool", "0.5 unless the option utilisation says otherwise", _CHOICE,
         "2026", "N"),
    Fact("margin call", "none; the ratio of 0.8 at which a script is told is the account's own", _CHOICE,
         "2026", "N"),
    Fact("values set after the deployment", "the deployment's are used at every date", _CHOICE,
         "2026", "N"),
)  # fmt: skip

V1_EXACT: tuple[str, ...] = (
    "Average price, profit, both liquidation tests with their fixed requirements on the size, and what "
    "each state returns.",
    "Fees on the size at entry, borrow fees in whole hours with the contracts' rounding to whole ppm.",
    "The check at opening: collateral of at least size / 50 and of fees plus 5 USD, profits not counted.",
)
V1_APPROXIMATIONS: tuple[str, ...] = (
    "One price in place of the oracle's minimum and maximum: liquidates too late by half their spread.",
    "The utilisation of the pool is an assumption (option utilisation): too cheap or too dear as it is "
    "too low or too high.",
    "The borrow fee leaves the collateral hour by hour instead of at the next change; the leverage test "
    "counts what is unpaid since then, so it liquidates at the same moment, and only the collateral shown "
    "in between is lower.",
    "The opening fee is paid beside the collateral, which then is what it is on the venue after that fee.",
    "Closing a part gives its share of the collateral back (nothing where that would end the rest); "
    "the venue gives back what the trader asks for: liquidates too early where that is less.",
    "Profits and returned collateral are money; the venue pays longs in the index token at its price "
    "then: no difference if it is sold at once, but for the swap fee (too cheap).",
)
V1_ABSENT: tuple[str, ...] = (
    "Cross margin: the venue has none. A cross account can only be imitated by topping up isolated "
    "positions from free money (auto_top_up), and is then no rule of the venue.",
    "The minimum-profit rule, swap fees, the limit of collateral to the size, reserves and caps of the "
    "pool.",
)

V2_FACTS: tuple[Fact, ...] = (
    Fact("margin unit", "one position: account, market, collateral token, side",
         f"{_V2} contracts/position/Position.sol", _DAY, "C"),
    Fact("trigger", "collateral + pnl + counted impact − costs < max(0.5 % of the size, 1 USD); equality "
         "is safe", f"{_POSITION}:isPositionLiquidatable", _DAY, "C"),
    Fact("costs in the test", "position fee on the whole size, borrow and funding fees; not the "
         "liquidation fee", f"{_POSITION}:isPositionLiquidatable", _DAY, "C"),
    Fact("impact in the test", "none: capped at 0 % of the size for liquidations", _CONFIG, _DAY, "C"),
    Fact("check at opening", "collateral ≥ size · max(0.5 %, open interest of the side after · "
         "multiplier), and the liquidation test", f"{_POSITION}:willPositionCollateralBeSufficient",
         _DAY, "C"),
    Fact("minimum collateral", "1 USD; a public Python client says 5 USD", _GENERAL, _DAY, "C"),
    Fact("minimum size", "1 USD", _GENERAL, _DAY, "C"),
    Fact("max leverage", "200 = 1 / 0.5 %; with the fee inside the test 178.6 can be opened",
         _CONFIG, _DAY, "D"),
    Fact("position fee", "0.0006 of the size when the trade worsens the balance of longs and shorts, "
         "0.0004 when it improves it", _CONFIG, _DAY, "C"),
    Fact("which of the two fees", "the higher, on every trade, unless the option balance says otherwise",
         _CHOICE, "2026", "N"),
    Fact("liquidation fee", "0.002 of the size (0.003 in single-token and synthetic markets)", _CONFIG,
         _DAY, "C"),
    Fact("closed", "always the whole position, at the oracle price; the rest returns to the trader",
         f"{_V2} contracts/liquidation/LiquidationUtils.sol:createLiquidationOrder", _DAY, "C"),
    Fact("losses beyond the collateral", "borne by the pool, after funding, losses and fees in that order",
         f"{_V2} contracts/position/DecreasePositionCollateralUtils.sol:processCollateral", _DAY, "C"),
    Fact("borrow rate", "per second; usage · 45 % a year, above 85 % usage rising to 90 % a year",
         f"{_MARKET}:getKinkBorrowingFactor; {_CONFIG}", _DAY, "C"),
    Fact("who pays borrow fees", "the larger side (the smaller one is let off)", _GENERAL, _DAY, "C"),
    Fact("usage of the pool", "0.5, and both sides pay, unless the options usage, borrow_payer or "
         "borrowing say otherwise", _CHOICE, "2026", "N"),
    Fact("funding", "per second on the size, from the larger side to the smaller; adaptive, at most 75 % "
         "(SOL 90 %) a year", f"{_MARKET}:getNextFundingFactorPerSecond; {_CONFIG}", _DAY, "C"),
    Fact("funding rate", "0 unless the option funding or a funding column of the data gives one",
         _CHOICE, "2026", "N"),
    Fact("price impact", "factor · imbalance², per market; within −0.5 % and +0.4 % of the size; noted at "
         "the opening, collected at the closing", f"{_PRICING}:getPriceImpactUsd; {_CONFIG}", _DAY, "C"),
    Fact("imbalance of the market", "no price impact unless the option imbalance names one", _CHOICE,
         "2026", "N"),
    Fact("open interest of the side", "0 besides one's own unless the option open_interest says otherwise",
         _CHOICE, "2026", "N"),
    Fact("profit cap", "profits shrink when those of a side exceed 90 % of the pool (not applied)",
         f"{_POSITION}:getPositionPnlUsd; {_CONFIG}", _DAY, "C"),
    Fact("auto-deleveraging", "above 85 % of the pool, down to 77 %; whose positions is the keeper's "
         "choice (not applied)", f"{_V2} contracts/adl/AdlUtils.sol; {_CONFIG}", _DAY, "C"),
    Fact("margin call", "none; the ratio of 0.8 at which a script is told is the account's own", _CHOICE,
         "2026", "N"),
    Fact("values on chain", "not read; the repository's state of 2026-03-13 is used at every date",
         _CHOICE, "2026", "N"),
)  # fmt: skip

V2_EXACT: tuple[str, ...] = (
    "The requirement in money on the size at entry, with the closing fee inside and equality safe.",
    "Liquidation of the whole position with liquidation fee and position fee on the size; the rest "
    "returned; losses beyond the collateral borne by the pool.",
    "The checks at opening with the open-interest multiple; fees on the size at entry; borrow fees and "
    "funding by the second on the size, given their rates.",
)
V2_APPROXIMATIONS: tuple[str, ...] = (
    "One price in place of the oracle's minimum and maximum: liquidates too late by half their spread, "
    "and fills too cheap.",
    "Keepers act at once: a liquidation on the venue comes some seconds later, at another price, either "
    "way.",
    "Usage of the pool, open interest and imbalance are assumptions given as options; the default usage "
    "charges both sides (too dear for the smaller one), the default impact is none (too cheap for large "
    "sizes).",
    "Every trade pays the fee of one that worsens the balance (too dear by 0.02 % of the size where it "
    "improves it).",
    "One funding rate stands for both sides unless the option funding gives two: the smaller side, which "
    "receives the payers' money per unit of its own size, then gets too little. A funding column in the "
    "data is charged on the notional at the mark (too dear or too cheap by the move since the entry) and "
    "comes on top of the option; give one of the two.",
    "Price impact, when asked for, is charged whole at the opening, from the free money, and a positive "
    "one is no credit (too dear).",
    "The opening fee is paid beside the collateral, which then is what it is on the venue after that fee.",
    "Closing a part gives its share of the collateral back (nothing where that would end the rest); "
    "the venue gives back what the trader asks for: liquidates too early where that is less.",
)
V2_ABSENT: tuple[str, ...] = (
    "Cross margin: the venue has none. A cross account can only be imitated by topping up isolated "
    "positions from free money (auto_top_up), and is then no rule of the venue.",
    "Collateral in the index token or another volatile token; single-token and synthetic markets.",
    "The cap on profits, auto-deleveraging, virtual inventory, referral discounts, execution fees.",
)
