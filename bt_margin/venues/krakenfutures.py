"""Kraken Futures, multi-collateral: linear perpetuals (PF), settled in USD, one coin a contract.

    maintenance margin = Σ over levels of (part of the notional at the mark in the level) · mmr
    initial margin     = max(Σ over levels of (part of the notional in the level) · imr, notional / leverage)
    imr                = 2 · mmr at every level

Levels go by the position's value in USD, and each part of it pays the rate of its own level, as the venue's
example for inverse contracts has it; the option ``levels="whole"`` takes the rate of the level a position is
in for all of it, so that both margins jump where a level begins. A larger position asks for more margin and
is refused only above the largest position of the contract. Levels are known for six contracts; others (SOL
and XRP among them) are refused until the user brings a table. A snapshot holds from its date until the next
that lists the symbol, and before its first one that one stands in.

Modes. Cross is the default; a position can be isolated by itself. Trigger: the mark; a pool is in breach when
its equity is *below* the maintenance margin. No fee is part of the requirement.

Liquidation. Until 2026-03-25 the whole position goes to the market as an immediate order, and what it
fetches beyond the bankruptcy price stays with the trader. From 2026-03-26 positions are sold in parts, for a
fee. How much at a time, in which order and for which fee is not published: here the largest unrealised loss
first, just enough to bring maintenance to 90 % of equity and at least a tenth of the position, at the taker
fee. Two options change that, ``partial_target`` and ``liquidation_fee``.

Funding accrues all the time at the hour's rate: who holds for a part of the hour pays that part.

Every number is listed with its source in ``venue.facts``; ``exact``, ``approximations`` and ``absent`` say
how close this is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from bt_margin.core.fees import Fees
from bt_margin.venues import kraken_facts as facts
from bt_margin.venues import numbers
from bt_margin.venues.carry import Conversion, FundingRule
from bt_margin.venues.level_tables import contracts, is_marginal, largest_positions, schedules
from bt_margin.venues.margin_by_level import ByLevel
from bt_margin.venues.names import interval, moment
from bt_margin.venues.partial_sale import PartialSale
from bt_margin.venues.policies import LargestLossFirst, LiquidationPolicy
from bt_margin.venues.spec import ALWAYS, OrderRule, SwitchRules, Venue
from bt_margin.venues.tables import pinned

TABLES = "kraken_futures.json"
#: The day from which positions are liquidated in parts.
PARTIAL_SINCE = moment("2026-03-26") or 0
_OPENED = moment("2022-03-22") or 0
_MAKER, _TAKER = 0.0002, 0.0005
#: Fee of converting a coin that is neither cash nor a stablecoin.
_CONVERSION = 0.005


def krakenfutures(
    *,
    as_of: int | None = None,
    partial_target: float = 0.9,
    liquidation_fee: float = _TAKER,
    levels: Literal["marginal", "whole"] = "marginal",
    haircuts: Mapping[str, float] | None = None,
) -> Venue:
    """Multi-collateral perpetuals; USD is collateral, other coins where their haircut is given.

    partial_target : maintenance over equity after a partial liquidation, above 0 and below 1
    liquidation_fee : rate on what a partial liquidation sells, from 2026-03-26
    levels : ``"marginal"``: each part of a position pays the rates of its level; ``"whole"``: all of it
        those of the level it is in
    haircuts : coin -> the fraction of its value that does not count, for coins pledged as collateral; no
        table of them is shipped

    >>> from bt_margin.venues import venue
    >>> table = venue("krakenfutures", as_of="2024-06-01").schedule("BTC/USD:USD").at(0)
    >>> table.maintenance(500_000), table.maintenance(1_000_000), table.max_leverage(0)
    (5000.0, 15000.0, 50.0)
    """
    marginal = is_marginal(levels)
    fee = numbers.rate(numbers.number(liquidation_fee, "liquidation_fee", 0.0), "liquidation_fee")
    fees = (
        (_OPENED, Fees(_MAKER, _TAKER, _TAKER)),
        (PARTIAL_SINCE, Fees(_MAKER, _TAKER, fee)),
    )
    policies: tuple[tuple[int, LiquidationPolicy], ...] = (
        (ALWAYS, LargestLossFirst(settle="sale", residual="trader")),
        (PARTIAL_SINCE, PartialSale(target=numbers.number(partial_target, "partial_target"))),
    )
    policies = pinned(policies, as_of)
    rules = tuple((since, ByLevel(most, marginal)) for since, most in largest_positions(TABLES))
    return Venue(
        name="krakenfutures",
        title="Kraken Futures",
        currency="USD",
        contracts=contracts(TABLES),
        schedules=schedules(TABLES, as_of, marginal=marginal),
        default_schedule=None,
        fees=pinned(fees, as_of) or fees[:1],
        funding_interval=interval("1h"),
        liquidation=policies[0][1],
        orders=OrderRule(fee_in_check=False, open_loss=False),
        switching=SwitchRules(
            mode_with_position=True, mode_with_orders=True, lower_leverage_isolated=True
        ),
        facts=(*facts.snapshots(TABLES), *facts.FUTURES, *facts.DERIVATIVES),
        exact=facts.FUTURES_EXACT,
        approximations=facts.approximations(facts.FUTURES_APPROXIMATIONS, marginal),
        absent=facts.FUTURES_ABSENT,
        as_of=as_of,
        margin=pinned(rules, as_of) or rules[:1],
        liquidation_changes=policies[1:],
        funding=FundingRule(accrues=True),
        strict=True,
        collateral=_collateral(haircuts or {}),
        conversion=Conversion(discount=_CONVERSION),
    )


def _collateral(haircuts: Mapping[str, float]) -> dict[str, tuple[tuple[int, float], ...]]:
    """Share of each coin's value that counts, at every time."""
    return {
        coin: ((ALWAYS, 1.0 - numbers.number(cut, f"haircuts[{coin!r}]", 0.0, 1.0)),)
        for coin, cut in haircuts.items()
    }
