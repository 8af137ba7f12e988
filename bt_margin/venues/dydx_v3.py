"""dYdX v3: perpetuals margined in USDC on a StarkEx rollup. The venue is closed; it is here for old
data.

    maintenance  = notional at the oracle price · maintenance fraction, whatever the size
    initial      = notional · max(I(size), 1 / leverage)
    I(size)      = base + increment · started steps above the baseline

Modes. Cross is an account; isolated is a second account with one position, funded by a transfer.

Trigger. The oracle price; only equity *below* the requirement is liquidated.

Liquidation. A fund takes the positions over one by one at P · (1 ∓ fraction · equity / requirement).
That leaves equity / requirement as it is, so what was begun ends with everything handed over and
nothing left: a takeover at the bankruptcy price, shared by maintenance margins.

Fees. The trading fees of v3 are not sourced; the caller states them.

Every number is listed with its source in ``venue.facts``, what bars cannot show in
``venue.approximations``.
"""

from __future__ import annotations

from typing import Any

from bt_margin.core.contract import Contract
from bt_margin.core.fees import Fees
from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.errors import InputError
from bt_margin.venues import numbers
from bt_margin.venues.made import Made
from bt_margin.venues.margin_by_size import SizeSteps, SteppedInitial
from bt_margin.venues.names import interval
from bt_margin.venues.policies import FullClose
from bt_margin.venues.spec import ALWAYS, Fact, OrderRule, SwitchRules, Venue
from bt_margin.venues.tables import document

TABLES = "dydx_v3.json"
_PAGE = "dydxprotocol/v4-documentation 3e475b73, old-docs slate, perpetual contracts v3"
_ENGINE = "starkware-libs/stark-perpetual 40f02826, src/services/perpetual/cairo/"
_CHOICE = "not published; our choice"

_FACTS: tuple[Fact, ...] = (
    Fact("status", "closed; wound down in October 2024", "from memory", "2024-10", "M"),
    Fact("margin unit", "account; isolated is a separate account", _PAGE, "undated", "P"),
    Fact(
        "initial margin",
        "equity after the fill covers the sum of |size · price · I|",
        _PAGE,
        "undated",
        "P",
    ),
    Fact("initial fraction, steps", "a started step counts in full", _CHOICE, "2026", "N"),
    Fact(
        "maintenance", "sum of |size · price · M|, M one number per market", _PAGE, "undated", "P"
    ),
    Fact(
        "trigger",
        "equity below the requirement, strictly",
        _ENGINE + "position/status.cairo",
        "2022",
        "C",
    ),
    Fact("close price", "P · (1 ∓ M · equity / requirement)", _PAGE, "undated", "P"),
    Fact(
        "liquidation residual",
        "to the insurance fund, which bears losses too",
        _PAGE,
        "undated",
        "P",
    ),
    Fact(
        "deleveraging",
        "only below zero equity",
        _ENGINE + "transactions/deleverage.cairo",
        "2022",
        "C",
    ),
    Fact("funding", "every hour on the hour, −size · oracle price · rate", _PAGE, "undated", "P"),
    Fact(
        "funding rate",
        "mean premium of 60 minutes / 8 + 0.00125 %; impact notional 500 USDC / I",
        _PAGE,
        "undated",
        "P",
    ),
    Fact("margin price", "oracle, median of 15 nodes", _PAGE, "undated", "P"),
    Fact("fee in the order check", "counts", _CHOICE, "2026", "N"),
    Fact(
        "mode switch",
        "a transfer between accounts; refused here while a position or order is open",
        _CHOICE,
        "2026",
        "N",
    ),
)
_EXACT = (
    "Maintenance, strict trigger, liquidation price and close price in both modes.",
    "Everything is handed over; what is missing below zero is the insurance fund's.",
)
_APPROXIMATIONS = (
    "The venue is closed: no live account can be compared with these numbers.",
    "A started size step counts in full: initial margin may be too high by one step.",
    "The candle stands in for the oracle price where the data has no mark: liquidations come too "
    "early or too late.",
    "Market parameters are one state for all dates.",
    "Trading fees are the caller's, for all dates.",
)
_ABSENT = (
    "Deleveraging and the insurance fund's balance.",
    "Tick and lot sizes; markets other than the four listed.",
)


def dydx_v3(
    *, taker_fee: float | None = None, maker_fee: float | None = None, as_of: int | None = None
) -> Venue:
    """Perpetuals of the closed dYdX v3.

    taker_fee, maker_fee
        fractions of the notional filled; a negative maker fee is a rebate. Nothing is assumed.

    Raises :class:`~bt_margin.errors.InputError` naming a missing fee.

    >>> from bt_margin.venues import venue
    >>> venue("dydx_v3", taker_fee=0.0005, maker_fee=0.0002).schedule("BTC/USDC").at(0).maintenance(1_000)
    30.0
    """
    symbols = tuple(_markets())
    return Venue(
        name="dydx_v3",
        title="dYdX v3 (closed)",
        currency="USDC",
        contracts=Made(_contract, symbols),
        schedules=Made(_schedule, symbols),
        default_schedule=None,
        fees=((ALWAYS, _fees(taker_fee, maker_fee)),),
        funding_interval=interval("1h"),
        liquidation=FullClose(settle="takeover", residual="fund"),
        orders=OrderRule(fee_in_check=True, open_loss=True),
        switching=SwitchRules(
            mode_with_position=False, mode_with_orders=False, lower_leverage_isolated=True
        ),
        facts=(
            *_market_facts(),
            *_FACTS,
            Fact(
                "taker and maker fee",
                f"{taker_fee!r}, {maker_fee!r}",
                "stated by the caller",
                "always",
                "N",
            ),
        ),
        exact=_EXACT,
        approximations=_APPROXIMATIONS,
        absent=_ABSENT,
        as_of=as_of,
        margin=((ALWAYS, SteppedInitial({symbol: _steps(symbol) for symbol in symbols})),),
        strict=True,
    )


def _markets() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = document(TABLES)["markets"]
    return found


def _fees(taker: float | None, maker: float | None) -> Fees:
    given = {"taker_fee": taker, "maker_fee": maker}
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise InputError(
            f'the venue "dydx_v3" misses {", ".join(missing)}: its trading fees are not sourced; '
            'state them, for example btm.venue("dydx_v3", taker_fee=0.0005, maker_fee=0.0002)'
        )
    return Fees(numbers.rate(maker, "maker_fee"), numbers.rate(taker, "taker_fee"), liquidation=0.0)


def _contract(symbol: str) -> Contract:
    return Contract.parse(symbol)


def _schedule(symbol: str) -> TierSchedule:
    market = _markets()[symbol]
    table = TierTable.flat(market["maintenance"], 1 / market["initial"])
    return TierSchedule(((ALWAYS, table),), (market["source"],))


def _steps(symbol: str) -> SizeSteps:
    market = _markets()[symbol]
    names = ("initial", "increment", "baseline", "step", "most")
    return SizeSteps(*(market[name] for name in names))


def _market_facts() -> tuple[Fact, ...]:
    """One fact per market."""
    return tuple(
        Fact(
            symbol,
            f"initial {m['initial']:g}, {m['increment']:g} more per {m['step']:g} above "
            f"{m['baseline']:g}, at most "
            f"{m['most']:g}; maintenance {m['maintenance']:g}",
            m["source"],
            "undated",
            "P" if "help" in m["source"] else "C",
        )
        for symbol, m in _markets().items()
    )
