"""The neutral venue for teaching and tests: every number is the caller's, nothing is assumed.

Any symbol is accepted. Unified symbols say what they are (``BTC/USDT:USDT`` linear,
``BTC/USD:BTC`` inverse); every other name, the empty one included, is a linear contract that
settles in ``currency``.

Rules: the taker fee counts in the order check, the open loss does not; margin mode and leverage
may be changed whenever the margin suffices; a pool in breach is closed whole at the crossing price
and what is left belongs to whom ``residual`` names, unless a ``policy`` object says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bt_margin.core.fees import Fees
from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.errors import InputError
from bt_margin.venues import numbers
from bt_margin.venues.names import interval
from bt_margin.venues.policies import FullClose
from bt_margin.venues.spec import Fact, OrderRule, SwitchRules, Venue

if TYPE_CHECKING:
    from bt_margin.venues.policies import LiquidationPolicy

#: A complete call, shown whenever a number is missing.
EXAMPLE = (
    'btm.venue("generic", maintenance_rate=0.005, taker_fee=0.0005, maker_fee=0.0002, '
    'liquidation_fee=0.0, funding_interval="8h", residual="trader")'
)
#: Since when the numbers hold: always.
_ALWAYS = -(2**62)
_SOURCE = "stated by the caller"


def generic(
    *,
    maintenance_rate: float | None = None,
    tiers: object = None,
    max_leverage: float | None = None,
    taker_fee: float | None = None,
    maker_fee: float | None = None,
    liquidation_fee: float | None = None,
    funding_interval: str | int | None = None,
    residual: Literal["trader", "fund"] | None = None,
    policy: LiquidationPolicy | None = None,
    currency: str = "USDT",
    as_of: int | None = None,
) -> Venue:
    """A venue made of the numbers given, and of no others.

    maintenance_rate
        flat maintenance rate, a fraction of the notional at mark; or
    tiers
        rows ``(notional_cap, maintenance_rate, deduction[, max_leverage])`` in place of it. The cap
        belongs to the lower tier, the last cap may be ``None``, a deduction of ``None`` is derived.
    max_leverage
        the most a flat rate allows; ``None`` sets no limit. With ``tiers`` it is the fourth column.
    taker_fee, maker_fee
        fractions of the notional filled; a negative maker fee is a rebate.
    liquidation_fee
        fraction of the notional closed by a liquidation.
    funding_interval
        ``"8h"``, ``"1h"`` or milliseconds.
    residual
        ``"trader"`` or ``"fund"``: who keeps what a liquidated pool has left; part of the
        ``policy`` when one is given.

    Raises :class:`~bt_margin.errors.InputError` naming every missing number.

    >>> from bt_margin.venues import venue
    >>> flat = venue("generic", maintenance_rate=0.005, taker_fee=0.0005, maker_fee=0.0002,
    ...              liquidation_fee=0.0, funding_interval="8h", residual="trader")
    >>> flat.schedule("BTC").at(0).maintenance(10_000)
    50.0
    """
    given: dict[str, object] = {
        "maintenance_rate": tiers if maintenance_rate is None else maintenance_rate,
        "taker_fee": taker_fee,
        "maker_fee": maker_fee,
        "liquidation_fee": liquidation_fee,
        "funding_interval": funding_interval,
        "residual": residual if policy is None else policy,
    }
    _demand(given)
    return Venue(
        name="generic",
        title="Generic venue",
        currency=_currency(currency),
        contracts={},
        schedules={},
        default_schedule=_schedule(maintenance_rate, tiers, max_leverage),
        fees=((_ALWAYS, _fees(maker_fee, taker_fee, liquidation_fee)),),
        funding_interval=interval(funding_interval),
        liquidation=_policy(residual, policy),
        orders=OrderRule(fee_in_check=True, open_loss=False),
        switching=SwitchRules(
            mode_with_position=True, mode_with_orders=True, lower_leverage_isolated=True
        ),
        facts=tuple(
            Fact(name, repr(value), _SOURCE, "always", "D")
            for name, value in given.items()
            if value is not None
        ),
        approximations=(
            "Liquidations fill at the crossing price (or the gap); there is no order book to move.",
        ),
        as_of=as_of,
    )


def _demand(given: dict[str, object]) -> None:
    missing = [name for name, value in given.items() if value is None]
    if missing:
        words = ["maintenance_rate (or tiers)" if m == "maintenance_rate" else m for m in missing]
        raise InputError(
            f'the venue "generic" assumes nothing and misses {", ".join(words)}; '
            f"state every number, for example {EXAMPLE}"
        )


def _schedule(flat: float | None, tiers: object, max_leverage: float | None) -> TierSchedule:
    if flat is not None and tiers is not None:
        raise InputError("both maintenance_rate and tiers are given; give one of them")
    if tiers is not None:
        if max_leverage is not None:
            raise InputError(
                "max_leverage goes with maintenance_rate; "
                "with tiers it is the fourth number of a row"
            )
        table = numbers.tier_table(tiers, "tiers")
    else:
        cap = None if max_leverage is None else numbers.number(max_leverage, "max_leverage", 1.0)
        table = TierTable.flat(numbers.maintenance_rate(flat, "maintenance_rate"), cap)
    return TierSchedule(tables=((_ALWAYS, table),), sources=(_SOURCE,))


def _fees(maker: float | None, taker: float | None, liquidation: float | None) -> Fees:
    return Fees(
        maker=numbers.rate(maker, "maker_fee"),
        taker=numbers.rate(taker, "taker_fee"),
        liquidation=numbers.number(liquidation, "liquidation_fee", 0.0, 0.5),
    )


def _policy(
    residual: Literal["trader", "fund"] | None, policy: LiquidationPolicy | None
) -> LiquidationPolicy:
    if policy is None:
        return FullClose(settle="sale", residual="fund" if residual is None else residual)
    if residual is not None and residual != policy.residual:
        raise InputError(
            f"residual is {residual!r} but the policy says {policy.residual!r}; "
            "state it in the policy alone"
        )
    return policy


def _currency(currency: str) -> str:
    if not isinstance(currency, str) or not currency:
        raise InputError(f"currency is {currency!r}; allowed: a name such as 'USDT'")
    return currency
