"""A cell's settings as the kernel reads them, or why it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from bt_margin.core.contract import Contract
from bt_margin.engine import settings
from bt_margin.studies.replay.layout import (
    ADVERSE,
    FAVOURABLE,
    FIRST_TABLE,
    ISOLATED,
    MOST,
    NEAREST,
    START_ISOLATED,
    START_LEVERAGE,
    Cell,
    Rules,
)
from bt_margin.studies.replay.market import Market, Unfit
from bt_margin.studies.replay.ruling import (
    changes_of,
    dated_rules,
    first_bars,
    flags_of,
    policies_of,
    tables_of,
    tier_rows,
)
from bt_margin.studies.run import plain
from bt_margin.venues import venue as make_venue
from bt_margin.venues.spec import Venue

PATHS = {"adverse": ADVERSE, "favourable": FAVOURABLE, "nearest": NEAREST}
#: Keywords of the broker that the kernel knows; any other one must be at its default.
KNOWN = {
    "cash", "venue", "margin_mode", "leverage", "symbols", "names", "funding", "mark", "require",
    "intrabar", "timestamps", "liquidation_slippage", "as_of", "margin_calls", "debug", "slip_perc",
    "slip_fixed", "slip_open", "slip_match", "slip_limit", "slip_out", "int2pnl", "shortcash", "fundmode",
    "fundstartval", "currency",
}  # fmt: skip


def venue_of(broker: Mapping[str, Any]) -> Venue:
    """The venue of a cell, overrides per symbol included."""
    named = broker.get("venue")
    if isinstance(named, str):
        return make_venue(named, as_of=broker.get("as_of"))
    if not isinstance(named, Venue):
        raise Unfit("no venue")
    return named


def own_venue(venue: Venue, broker: Mapping[str, Any]) -> tuple[Venue, dict[str, dict[str, Any]]]:
    """The venue with what ``symbols=`` says of each, and those words by the venue's own names."""
    own = {venue.resolve(name): dict(said) for name, said in (broker.get("symbols") or {}).items()}
    return (venue.with_symbols(own) if own else venue), own


def rules_of(venue: Venue, market: Market) -> Rules:
    """What a venue says about the symbols of a market. :raises Unfit: a rule the kernel does not have."""
    _check_venue(venue, market)
    contracts = [venue.contract(s) for s in market.symbols]
    tables, first, changes = tables_of(venue, market)
    rules, new_rules = dated_rules(venue, market)
    lots = [_lot(c.lot) for c in contracts]
    fee_bar, fees = _fees(venue, market)
    premium_bar, premium = _premium(venue, market)
    names = sorted(market.symbols)
    begins = np.cumsum([0, *[len(table.tiers) for table in tables]])
    sym = [
        (
            c.multiplier,
            c.kind == "inverse",
            *lot,
            c.min_notional or 0.0,
            names.index(s),
            one,
            1.0,
            0.0,
            0.0,
            venue.margin_kept,
            venue.leverage_step or 0.0,
        )
        for s, c, lot, one in zip(market.symbols, contracts, lots, first, strict=True)
    ]
    return Rules(
        np.array(sym, float),
        tier_rows(venue, tables),
        np.array([begins, [*[t.stepped for t in tables], 0]], np.int64),
        rules,
        changes_of(venue, [*changes, *new_rules], fee_bar, len(first)),
        fee_bar,
        fees,
        np.array([premium_bar, premium], float),
        policies_of(venue, market),
        np.concatenate([flags_of(venue), np.array(_switching(venue), np.int64)]),
    )


def cell_of(
    venue: Venue, broker: Mapping[str, Any], rules: Rules, market: Market, obedient: bool
) -> tuple[Rules, Cell]:
    """One account's settings, and the rules with its leverages and modes.

    :raises Unfit: a setting the kernel does not have.

    :raises InputError: what the account itself would refuse.
    """
    venue, own = own_venue(venue, broker)
    leverage = settings.valid_leverage(broker.get("leverage", 1.0))
    mode = settings.mode_of(venue, broker.get("margin_mode", "cross"))
    modes, leverages = [], []
    for s, symbol in enumerate(market.symbols):
        said = own.get(symbol, {})
        modes.append(settings.mode_of(venue, said.get("margin_mode", mode)) == "isolated")
        leverages.append(settings.valid_leverage(said.get("leverage", leverage)))
        settings.check_step(venue, symbol, leverages[-1])
        most = rules.tiers[MOST, rules.tables[0, int(rules.sym[s, FIRST_TABLE])]]
        if leverages[-1] > most:
            raise Unfit(f"leverage {leverages[-1]:g} of {symbol} exceeds the venue's {most:g}")
    whole = mode == "isolated"
    if venue.switching.scope == "account" and any(own_mode != whole for own_mode in modes):
        raise Unfit("one margin mode holds for the whole account")
    calls = broker.get("margin_calls")
    calls = venue.margin_calls if calls is None else calls
    path = broker.get("intrabar", "adverse")
    if path not in PATHS:
        raise Unfit(f"intrabar {path!r} is not known")
    settle = venue.contract(market.symbols[0]).settle
    if broker.get("currency") not in (None, settle):
        raise Unfit(f"an account valued in something else than {settle}")
    cash = broker.get("cash", 10_000.0)
    if isinstance(cash, Mapping):
        raise Unfit("several wallets")
    share, fixed = float(broker.get("slip_perc", 0.0)), float(broker.get("slip_fixed", 0.0))
    sym = rules.sym.copy()
    sym[:, START_LEVERAGE], sym[:, ISOLATED], sym[:, START_ISOLATED] = leverages, modes, modes
    slip = (share, fixed, bool(broker.get("slip_out", False)),
            settings.valid_slippage(float(broker.get("liquidation_slippage", 0.0))),
            bool(broker.get("slip_open", False)))  # fmt: skip
    return rules._replace(sym=sym), Cell(
        settings.valid_cash(cash),
        np.array(settings.valid_thresholds(tuple(calls)), float),
        np.array(slip, float),
        PATHS[path],
        int(obedient),
    )


def check_keywords(broker: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """:raises Unfit: a keyword that the kernel does not know, at something else than its default."""
    for name, value in broker.items():
        if name in KNOWN or value is None:
            continue
        if name not in defaults or not _same(value, defaults[name]):
            raise Unfit(f"{name}={plain(value)!r} is not in the kernel")
    if not broker.get("slip_match", True):
        raise Unfit("slip_match=False is not in the kernel")


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _check_venue(venue: Venue, market: Market) -> None:
    """:raises Unfit: a venue with rules that are not in the kernel."""
    title = venue.title
    if venue.carry is not None or venue.shared is not None or venue.fee_on_entry:
        raise Unfit(f"interest, borrow fees or other charges of {title}")
    contracts = [venue.contract(s) for s in market.symbols]
    if len({c.settle for c in contracts}) > 1:
        raise Unfit("contracts that settle in several currencies")
    if any(c.kind == "inverse" for c in contracts) and len(contracts) > 1:
        raise Unfit("inverse contracts beside others")


def _lot(lot: float | None) -> tuple[float, float]:
    """A lot as a fraction of whole numbers, so that a number of lots is a product without binary noise."""
    if not lot:
        return 0.0, 1.0
    digits = max(0, -int(Decimal(str(float(lot))).normalize().as_tuple().exponent))
    return float(Decimal(str(float(lot))).scaleb(digits)), float(10**digits)


def _switching(venue: Venue) -> tuple[bool, ...]:
    """What may be switched when, in the order of the flags of the kernel."""
    rules = venue.switching
    own = (rules.lower_leverage_isolated, rules.mode_with_position, rules.mode_with_orders)
    return (*own, rules.scope == "account", "cross" in venue.modes, "isolated" in venue.modes)


def _fees(venue: Venue, market: Market) -> tuple[Any, Any]:
    """Fee rates (maker, taker, of liquidations) by the bar from which they hold."""
    bars = first_bars(market, [since for since, _ in venue.fees])
    found = [[venue.fees_at(s, int(market.times[bar])) for s in market.symbols] for bar in bars]
    return (
        np.array(bars, float),
        np.array([
            [[fee.maker for fee in row] for row in found],
            [[fee.taker for fee in row] for row in found],
            [[fee.liquidation for fee in row] for row in found],
        ], float),
    )  # fmt: skip


def _premium(venue: Venue, market: Market) -> tuple[Any, Any]:
    """The premium of sells by the bar from which it holds."""
    bars = first_bars(market, [since for since, _ in venue.orders.sell_premium])
    rates = [venue.orders.sell_premium_at(int(market.times[bar])) for bar in bars]
    return np.array(bars, np.int64), np.array(rates, float)


def facts_of(contract: Contract) -> tuple[Any, ...]:
    """What a strategy can see of a contract."""
    return contract.kind, float(contract.multiplier), contract.settle
