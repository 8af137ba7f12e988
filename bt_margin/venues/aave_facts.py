"""Where each Aave number comes from, which code holds when, and what bars cannot show."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

from bt_margin.core.lending import CloseRule
from bt_margin.errors import InputError
from bt_margin.venues.names import moment
from bt_margin.venues.spec import Fact
from bt_margin.venues.tables import document, pinned

TABLE = "aave_v3.json"
SWAP_COST = 0.0005
"""What a swap costs unless the user says otherwise."""
_LONGEST = 200

_CLOSE_RULES = (
    ((3, 0), CloseRule(half=0.5, full_at=0.95)),
    ((3, 3), CloseRule(half=0.5, full_at=0.95, small=2_000, leftover=1_000, of_total=True)),
)


def close_rule(version: str) -> CloseRule:
    """How much one liquidation may repay under a version of the protocol's code.

    >>> close_rule("3.0").small, close_rule("3.3+").small, close_rule("3.2").of_total
    (0, 2000, False)

    Raises :class:`~bt_margin.errors.InputError` for what is no version of Aave v3.
    """
    parts = str(version).strip().lower().removeprefix("v").removesuffix("+").split(".")
    numbers = tuple(int(part) for part in parts if part.isdigit())
    if len(numbers) != len(parts) or numbers[0] != 3:
        raise InputError(
            f"code_version {version!r} is not known; allowed: '3.0' to '3.3' and later"
        )
    return [rule for since, rule in _CLOSE_RULES if since <= (*numbers, 0)][-1]


def versions(version: str | None, as_of: int | None) -> tuple[tuple[int, str], ...]:
    """``(since, version)`` of the protocol's code: the one stated, or by the dates of the table."""
    rows = document(TABLE)["versions"]
    dated = tuple((moment(row["since"]) or 0, str(row["version"])) for row in rows)
    if version is not None:
        close_rule(version)
        return ((dated[0][0], version),)
    return pinned(dated, as_of) or dated[:1]


_CORE = "aave/aave-v3-core@782f5191 contracts/protocol/libraries/logic"
_ORIGIN = "aave-dao/aave-v3-origin@fd1fbd91 src/contracts/protocol/libraries/logic"

COMMON: tuple[Fact, ...] = (
    Fact("health factor", "Σ collateral · threshold / Σ debt; liquidation below 1",
         f"{_CORE}/GenericLogic.sol:calculateUserAccountData", "3.0", "C"),
    Fact("requirement as equity", "long (1 − threshold) · value, supplied stable "
         "(1 − threshold) · cash, debt nothing", "algebra from the health factor", "2026", "D"),
    Fact("opening", "debt up to Σ collateral · loan to value, health factor above 1",
         f"{_CORE}/ValidationLogic.sol:validateBorrow", "3.0", "C"),
    Fact("close factor, code 3.0", "0.5 of that asset's debt above a health factor of 0.95, else 1",
         f"{_CORE}/LiquidationLogic.sol:_calculateDebt", "3.0", "C"),
    Fact("close factor, code 3.3 and later", "1 at a health factor up to 0.95 or with less than "
         "2,000 USD of the debt or the collateral; otherwise 0.5 of the total debt",
         f"{_ORIGIN}/LiquidationLogic.sol:executeLiquidationCall", "3.3", "C"),
    Fact("leftovers, code 3.3 and later", "at least 1,000 USD on both sides, or one side cleared",
         f"{_ORIGIN}/LiquidationLogic.sol:executeLiquidationCall", "3.3", "C"),
    Fact("code 3.3 from", "2025-02-25, the day it was reported released; the governance payload is "
         "of 2025-02-05, the block of its execution was not looked up",
         "aave-dao/aave-proposals-v3#602; mpost.io/aave-rolls-out-v3-3-upgrade-to-improve-protocol-"
         "security", "2025-02-25", "M"),
    Fact("seized", "repaid · price of the debt / price of the collateral · (1 + bonus)",
         f"{_CORE}/LiquidationLogic.sol:_calculateAvailableCollateralToLiquidate", "3.0", "C"),
    Fact("protocol's share", "10 to 20 % of the bonus, never of the rest; the account pays the bonus "
         "either way", f"{_CORE}/LiquidationLogic.sol:_calculateAvailableCollateralToLiquidate",
         "3.0", "C"),
    Fact("which debt and which collateral", "the pair that earns the largest bonus",
         "the liquidator's choice; ours is the dearest for the account", "2026", "N"),
    Fact("bad debt", "code 3.0 leaves it with the account, 3.3 and later books it as a deficit; here "
         "it is a shortfall", f"{_ORIGIN}/LiquidationLogic.sol:_burnBadDebt", "3.3", "C"),
    Fact("interest on debt", "index · (1 + x + x²/2 + x³/6), x = rate · seconds / 31,536,000",
         "aave/aave-v3-core@782f5191 contracts/protocol/libraries/math/MathUtils.sol:"
         "calculateCompoundedInterest", "3.0", "C"),
    Fact("interest on collateral", "index · (1 + rate · seconds / 31,536,000)",
         "aave/aave-v3-core@782f5191 contracts/protocol/libraries/math/MathUtils.sol:"
         "calculateLinearInterest", "3.0", "C"),
    Fact("rate model", "base + slope1 · U / optimal, beyond it + slope2 · (U − optimal) / (1 − optimal); "
         "suppliers get rate · U · (1 − reserve factor)",
         "aave-dao/aave-v3-origin@fd1fbd91 src/contracts/misc/DefaultReserveInterestRateStrategyV2.sol",
         "3.3", "C"),
    Fact("oracle", "USD with 8 decimals; no mark price, no order book", "aave-v3-core AaveOracle",
         "3.0", "C"),
    Fact("flash loan fee", "0.0005 of what is borrowed, when a position is built in one step; not "
         "charged here: state it in taker_fee", "Aave v3 rules", "2026", "C"),
    Fact("fee of the protocol on positions", "none", "Aave v3 rules", "2026", "C"),
    Fact("funding", "none", "Aave v3 rules", "2026", "C"),
    Fact("price-feed sentinel", "where a chain has one, during its grace period also health factor "
         "below 0.95; not used on Ethereum", f"{_CORE}/ValidationLogic.sol:validateLiquidationCall",
         "3.0", "C"),
    Fact("e-mode 1, ETH correlated", "LTV 0.90, threshold 0.93, bonus 0.01; not used here",
         document(TABLE)["snapshots"][0]["source"], "2023-10-31", "C"),
)  # fmt: skip

EXACT: tuple[str, ...] = (
    "Health factor, trigger and liquidation price of longs, shorts and every mix of them, in one "
    "account or in one account per symbol.",
    "What a long alone or a short alone must bring, and the most leverage of each.",
    "Close factor, repaid debt, collateral taken, bonus and what remains open, under code 3.0 and "
    "3.3, for one debt and one collateral.",
    "Interest on the stable, at the rates in force, for every length of bar.",
)
APPROXIMATIONS: tuple[str, ...] = (
    "Interest on assets is booked in the stable instead of growing their units: the same value when "
    "booked, afterwards it liquidates too late by (1 − threshold) of it, and a rising price makes "
    "interest earned too little and interest owed too cheap (a falling one the reverse).",
    "A mixed book of longs and shorts in one account must bring the sum of what each needs alone; "
    "the protocol counts all collateral for all debt: orders are refused too early, never too late.",
    "Rates follow from a utilisation that is stated or, by default, the optimum of each reserve: "
    "too dear for borrowers while a reserve is used less, too cheap while it is used more.",
    "Liquidators repay the most allowed, at once, at the price of the crossing (or the gap), choosing "
    "the pair with the largest bonus: too early and too dear where they wait or repay less.",
    "When no collateral remains, the part of the bonus the account could not pay is not in the "
    "shortfall: the protocol's deficit is too small, what the account loses is right.",
    "The stable is worth 1 USD: with a stable below it the thresholds of 2,000 and 1,000 USD and the "
    "health factor are slightly off, in either direction.",
    "Until code 3.3 the average threshold of several collaterals was cut to whole basis points: with "
    "more than one collateral liquidation is too late by up to 0.01 % of the collateral.",
    "Parameters: one snapshot (2023-10-31) for all earlier dates too (is_proxy) and a few later "
    "changes, applied from the first day of the month they are dated to; between them others are "
    "missing (USDC and USDT had a slope1 of 5.5 % before 2024-12, 11.5 % before 2025-02 and 8.5 % "
    "before 2025-03, since dates not known). State the numbers of your time in reserves=.",
    "The candle (or the mark given) stands for the oracle, which moves on its heartbeat and "
    "deviation: liquidations may come too early on wicks the oracle never printed.",
    "What a swap costs is a flat rate the user states; the default is a choice.",
    "Interest is booked at the open of each bar for what was open since the last: a position opened "
    "inside a bar pays for all of it (too dear), one closed inside a bar not for its last part (too "
    "cheap).",
    "Free money in the one account of cross is supplied and earns; beside isolated accounts it earns "
    "nothing, where a user could supply it elsewhere (isolated slightly too poor).",
)
ABSENT: tuple[str, ...] = (
    "E-mode (higher ratios for correlated assets).",
    "Isolation mode: an isolation asset (UNI, CRV) as the only collateral borrows only some stables "
    "up to a debt ceiling, and counts for nothing beside other collateral.",
    "Siloed borrowing, supply and borrow caps, stable-rate debt (before code 3.2), frozen reserves.",
    "Gas, flash-loan fees, price impact, several liquidators, rewards and points.",
    "SOL and other assets without a reserve in the snapshot; cbBTC, of which only a rate change is "
    "known.",
)


def all_facts(
    stable: str, taker_fee: float, utilisation: object, rates: object, reserves: object
) -> tuple[Fact, ...]:
    """Every fact of the venue as it was built: the code's rules, the table's, and what the user stated."""
    return (*COMMON, *_assets(), *_stated(stable, taker_fee, utilisation, rates, reserves))


def _assets() -> tuple[Fact, ...]:
    """One fact per asset and snapshot, one per later change."""
    found = [_fact(asset, row, part) for part in document(TABLE)["snapshots"]
             for asset, row in part["assets"].items()]  # fmt: skip
    found += [_fact(asset, row, part) for part in document(TABLE)["changes"]
              for asset, row in part["assets"].items()]  # fmt: skip
    return tuple(found)


def _fact(asset: str, row: dict[str, Any], part: dict[str, Any]) -> Fact:
    told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in row.items())
    return Fact(f"{asset} from {part['since']}", told, part["source"], part["dated"], "C")


def _stated(
    stable: str, taker_fee: float, utilisation: object, rates: object, reserves: object
) -> tuple[Fact, ...]:
    """What the user stated, or the default in its place."""
    ours, theirs = "not published; our choice", "stated by the caller"
    swap = taker_fee != SWAP_COST
    rows = (
        ("stable", stable, stable != "USDC", stable),
        (
            "swap cost",
            taker_fee,
            swap,
            f"{taker_fee:g} of the value swapped (pools charge 0.0005 to 0.003)",
        ),
        ("utilisation", utilisation, utilisation is not None, "the optimum of each reserve"),
        ("rates", rates, rates is not None, "by each reserve's model at the utilisation"),
        ("reserves", reserves, reserves is not None, "as published, see above"),
    )
    return tuple(
        Fact(topic, _shown(value) if given else default, theirs if given else ours,
             "always" if given else "2026", "D" if given else "N")
        for topic, value, given, default in rows
    )  # fmt: skip


def _shown(value: object) -> str:
    """What a user stated, as far as it fits on a line; a table by its size."""
    if hasattr(value, "to_dict") and isinstance(value, Sized):
        return f"a table of {len(value)} rows"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
