"""Kraken Futures, single-collateral: inverse perpetuals (PI), 1 USD a contract, settled in their coin.

    notional           = contracts / mark                                                          [coin]
    maintenance margin = notional · Σ over levels of (contracts in the level) · mmr / contracts
    initial margin     = notional · Σ over levels of (contracts in the level) · imr / contracts
    imr                = 2 · mmr at every level

Levels go by the number of contracts, so a price never moves a position from one to another. Each part of a
position pays the rate of its own level: of 1,000,000 contracts in BTC the first 500,000 ask for 2 %, as the
venue's example says, and the others for the rate of the next level. The option ``levels="whole"`` takes the
rate of the level a position is in for all of it. There is no leverage to choose: the leverage of an account
plays no part in what a position locks here, and no position can be isolated; a coin's wallet backs what is
settled in it. A larger position asks for more margin and is refused only above the largest position of the
contract. Two dated schedules, of 2019 and of 2023.

Liquidation. When equity is *below* the maintenance margin at the mark, the whole position goes to the market
as an immediate-or-cancel order with its limit at the bankruptcy price. The trader keeps what it fetches
beyond that price; what the market does not take is assigned to others, and the balance never falls below
zero.

Funding accrues all the time at the hour's rate (the relative rate: absolute rate · price).
"""

from __future__ import annotations

from typing import Literal

from bt_margin.core.fees import Fees
from bt_margin.venues import kraken_facts as facts
from bt_margin.venues.carry import FundingRule
from bt_margin.venues.level_tables import contracts, is_marginal, largest_positions, schedules
from bt_margin.venues.margin_by_level import ByLevelAlone
from bt_margin.venues.names import interval
from bt_margin.venues.policies import FullClose
from bt_margin.venues.spec import ALWAYS, OrderRule, SwitchRules, Venue
from bt_margin.venues.tables import pinned

TABLES = "kraken_inverse.json"
_FEES = Fees(maker=0.0002, taker=0.0005, liquidation=0.0005)


def krakeninverse(
    *, as_of: int | None = None, levels: Literal["marginal", "whole"] = "marginal"
) -> Venue:
    """Inverse perpetuals, each margined in its own coin.

    levels : ``"marginal"``: each part of a position pays the rates of its level; ``"whole"``: all of it
        those of the level it is in

    >>> from bt_margin.venues import venue
    >>> coin = venue("krakeninverse")
    >>> coin.contract("BTC/USD:BTC").notional(1_000, 8_000), coin.modes
    (0.125, ('cross',))
    """
    marginal = is_marginal(levels)
    rules = tuple(
        (since, ByLevelAlone(most, marginal)) for since, most in largest_positions(TABLES)
    )
    return Venue(
        name="krakeninverse",
        title="Kraken Futures (inverse)",
        currency="BTC",
        contracts=contracts(TABLES),
        schedules=schedules(TABLES, as_of, marginal=marginal),
        default_schedule=None,
        fees=((ALWAYS, _FEES),),
        funding_interval=interval("1h"),
        liquidation=FullClose(settle="sale", residual="trader"),
        orders=OrderRule(fee_in_check=False, open_loss=False),
        switching=SwitchRules(
            mode_with_position=True, mode_with_orders=True, lower_leverage_isolated=True
        ),
        facts=(*facts.snapshots(TABLES), *facts.INVERSE, *facts.DERIVATIVES),
        exact=facts.INVERSE_EXACT,
        approximations=facts.approximations(facts.INVERSE_APPROXIMATIONS, marginal),
        absent=facts.INVERSE_ABSENT,
        as_of=as_of,
        margin=pinned(rules, as_of) or rules[:1],
        funding=FundingRule(accrues=True),
        modes=("cross",),
        strict=True,
    )
