"""Whether a strategy's decisions depend on its account: the same strategy under very different accounts.

*rich*: no fees, no funding, next to no margin asked for: nothing is ever refused or liquidated unless all is
lost. *poor*: isolated at leverage 3 with a requirement just below the initial margin, fees of a per cent,
little cash: refused and liquidated again and again. *frail*, where the poor one refuses so much that it is
never liquidated: isolated at leverage 100 with as much cash as the rich one, liquidated by the next tick.
*costly*: like the rich one, with another cash, fees, funding, the lots of its contracts and, where fills slip
at all, slippage: an average entry depends on both.

A strategy that asks the rich account and a liquidated one for the same is *blind*: its tape holds under any
setting. One that asks the rich and the costly one for the same, and never looked at its equity as a number,
is *obedient* to what becomes of its orders: its tape holds until an account refuses an order or is
liquidated. Any other one reads its account.

Orders that wait can fare otherwise in another account though nothing is refused: in a bar that is walked the
stop may come before the limit. So a blind strategy with such orders must also ask the same of an account that
takes no order at all (*barren*), and the tape of an obedient one holds as long as each of its orders ends in
the bar and in the way it did when the tape was recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from bt_margin.core.fees import Fees
from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.errors import Refused
from bt_margin.plugin import assemble
from bt_margin.studies.cells import STOCK, Job, lucky
from bt_margin.studies.replay.intents import Fate, Intent, Tape
from bt_margin.studies.replay.market import Market, Unfit
from bt_margin.studies.replay.tape import TapeBroker
from bt_margin.venues.carry import FundingRule
from bt_margin.venues.margin import AtMark
from bt_margin.venues.policies import FullClose
from bt_margin.venues.spec import ALWAYS, OrderRule, Venue

Sort = Literal["blind", "obedient"]
_POOR = {"cash": 500.0, "leverage": 3.0, "margin_mode": "isolated"}
_FRAIL = {"cash": 1e9, "leverage": 100.0, "margin_mode": "isolated"}
_UNTRIED = "a poor account had nothing to refuse or to liquidate"
#: Keywords of a cell that say how the market is read, not what the account is.
_READING = ("names", "funding", "mark", "require", "timestamps", "delisted", "delisting")


@dataclass(frozen=True)
class Proof:
    """A tape, the market it was recorded on, and how far it holds.

    ``fates``: how its orders ended, where the tape holds only as long as they end so; None where they may
    end as they like, or all at once.
    """

    sort: Sort
    intents: tuple[Intent, ...]
    market: Market
    told: str
    fates: tuple[Fate, ...] | None = None


def proof(
    job: Job, params: Mapping[str, Any], seed: int, venue: Venue, broker: Mapping[str, Any]
) -> Proof:
    """Record a strategy under very different accounts and compare what it asked for.

    venue : whose contracts are traded; ``broker`` the keywords that say how the market is read

    :raises Unfit: it reads its account, or asks for what the kernel does not do; the text says what.
    """

    def recorded(rules: Venue, **account: Any) -> tuple[Tape, Any]:
        reading = {name: broker[name] for name in _READING if name in broker}
        return _record(job, params, seed, {**reading, "venue": rules, **account})

    one, run = recorded(
        _plain(venue, 1e-6, 0.0, "nobody"), cash=1e9, leverage=10_000.0, lenient=True
    )
    if one.beyond:
        raise Unfit(f"the strategy sent {one.beyond}")
    market = Market(run)
    differs, told = _seen_by_the_poor(one, recorded, venue)
    if not differs:
        return Proof("blind", tuple(one.intents), market, told)
    if one.seen.first:
        raise Unfit(f"the strategy reads its account: {one.seen.first}; {differs}")
    if hasattr(job.strategy, "notify_margin_call"):
        raise Unfit(f"the strategy listens to margin calls; {differs}")
    slips = {"slip_perc": 0.0004, "slip_open": True} if slipping(broker) else {}
    costly = replace(_plain(venue, 1e-6, 0.0003, "pool"), contracts=_Stepless(venue, lots=True))
    third, _ = recorded(costly, cash=7.3e8, leverage=5_000.0, lenient=True, **slips)
    if third.beyond:
        raise Unfit(f"the strategy sent {third.beyond}")
    until = min([bar for bar in (one.surprised, third.surprised) if bar is not None], default=None)
    other_way = one.first_difference(third, until)
    if other_way and not one.closings().first_difference(third.closings(), until):
        one, other_way = one.closings(), ""
    if other_way:
        raise Unfit(f"the strategy reads its account: {other_way}")
    if until is not None:
        raise Unfit(
            f"the strategy obeys its account, and loses everything without margin too; {differs}"
        )
    if one.crowded:
        raise Unfit("several orders end with one, and the strategy may ask in which order")
    told = f"asked two accounts without refusals for the same, not a poor one: {differs}"
    return Proof(
        "obedient", tuple(one.intents), market, told, tuple(one.fates) if one.rests else None
    )


def slipping(broker: Mapping[str, Any]) -> bool:
    """Whether fills slip, so that what they pay depends on the account."""
    return bool(broker.get("slip_perc") or broker.get("slip_fixed"))


def _seen_by_the_poor(
    one: Tape, recorded: Callable[..., tuple[Tape, Any]], venue: Venue
) -> tuple[str, str]:
    """What a strategy asks otherwise where its orders fare badly ("": nothing), and what that proves.

    Orders that wait may fill or not without any refusal: whoever is blind to that asks for the same where
    no order is ever taken.
    """
    poor, frail = _plain(venue, 0.3, 0.01, "pool"), _plain(venue, 0.0099, 0.0003, "pool")
    accounts: list[tuple[Venue, dict[str, Any]]] = [(poor, _POOR)]
    if one.rests:
        accounts.append((poor, {**_POOR, "barren": True}))
    accounts.append((frail, _FRAIL))
    fell = False
    for rules, account in accounts:
        if fell and rules is frail:
            break
        try:
            other, _ = recorded(rules, **account)
        except Exception as why:  # whatever a strategy does where nothing is left
            return f"in a poor account {why}", ""
        differs = one.first_difference(other) or other.beyond
        if differs:
            return differs, ""
        if other.surprised is None and not account.get("barren"):
            return _UNTRIED, ""
        fell = fell or other.liquidated
    if not fell:
        return _UNTRIED, ""
    return "", "asked a rich and a liquidated account for the same"


def _record(
    job: Job, params: Mapping[str, Any], seed: int, account: Mapping[str, Any]
) -> tuple[Tape, Any]:
    """One run whose intents are written down; one that ends with a refused action is as long as it was."""
    tape = Tape()
    cerebro = job.cerebro or assemble.build(job.strategy, job.data, params)
    put_back = assemble.keep_filters(cerebro)
    broker = TapeBroker(**account, tape=tape)
    try:
        with lucky(seed):
            assemble.run_with(cerebro, broker, said=STOCK)
    except Refused:
        tape.refused = True
    finally:
        put_back()
    return tape, broker


def _plain(venue: Venue, rate: float, fee: float, payer: Literal["pool", "nobody"]) -> Venue:
    """A venue's contracts without steps of size, under one flat rate and one fee."""
    table = TierSchedule(((ALWAYS, TierTable.flat(rate)),))
    return replace(
        venue,
        contracts=_Stepless(venue),
        schedules={},
        default_schedule=table,
        fees=((ALWAYS, Fees(maker=fee, taker=fee, liquidation=fee)),),
        symbol_fees={},
        liquidation=FullClose("sale", "trader"),
        liquidation_changes=(),
        orders=OrderRule(fee_in_check=True, open_loss=False),
        funding=FundingRule(payer=payer, accrues=venue.funding.accrues),
        margin=((ALWAYS, AtMark()),),
        carry=None,
        shared=None,
        modes=("cross", "isolated"),
        hedge=False,
        strict=False,
        fee_on_entry=False,
        collateral={},
    )


class _Stepless(dict[str, Any]):
    """A venue's contracts, none too small, and sizes not rounded unless ``lots`` says so."""

    def __init__(self, venue: Venue, *, lots: bool = False) -> None:
        super().__init__()
        self.venue, self.lots = venue, lots

    def get(self, symbol: str, default: Any = None) -> Any:
        """The contract of a symbol, any spelling the venue knows."""
        known = self.venue.contract(symbol)
        return replace(known, lot=known.lot if self.lots else None, min_notional=None)
