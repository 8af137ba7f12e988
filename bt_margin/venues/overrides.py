"""Per symbol numbers that replace a venue's own, as ``with_symbols`` takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar

from bt_margin.core.contract import Contract
from bt_margin.core.tiers import TierSchedule, TierTable
from bt_margin.errors import InputError
from bt_margin.venues import numbers
from bt_margin.venues.names import canonical
from bt_margin.venues.spec import SymbolFees, Venue, plain_contract

T = TypeVar("T")

_CONTRACT = ("multiplier", "tick", "lot", "min_notional")
_FEES = ("taker_fee", "maker_fee", "liquidation_fee")
_MARGIN = ("tiers", "maintenance_rate", "max_leverage")
#: Keys that belong to the account, not to the venue.
ACCOUNT_KEYS = ("margin_mode", "leverage")
#: Every key that ``symbols={symbol: {...}}`` understands.
ALLOWED = (*_MARGIN, *_CONTRACT, *_FEES, *ACCOUNT_KEYS)
#: Own tables hold at every time.
_ALWAYS = -(2**62)


class Overlay(Mapping[str, T], Generic[T]):
    """A mapping with some entries replaced or added; the base is read, never copied."""

    def __init__(self, base: Mapping[str, T], changes: Mapping[str, T]) -> None:
        self._base = base
        self._changes = dict(changes)

    def __getitem__(self, key: str) -> T:
        if key in self._changes:
            return self._changes[key]
        return self._base[key]

    def __contains__(self, key: object) -> bool:
        return key in self._changes or key in self._base

    def __iter__(self) -> Iterator[str]:
        yield from self._changes
        yield from (key for key in self._base if key not in self._changes)

    def __len__(self) -> int:
        return len(self._base) + sum(key not in self._base for key in self._changes)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} entries, {sorted(self._changes)} changed)"


def overridden(venue: Venue, overrides: Mapping[str, Mapping[str, object]]) -> Venue:
    """``venue`` with the given numbers of some symbols put in.

    >>> from bt_margin.venues import venue
    >>> own = venue("binance").with_symbols({"BTCUSDT": dict(maintenance_rate=0.01)})
    >>> own.schedule("BTC/USDT:USDT").at(0).maintenance(10_000)
    100.0
    """
    contracts: dict[str, Contract] = {}
    schedules: dict[str, TierSchedule] = {}
    fees: dict[str, SymbolFees] = {}
    for name, given in overrides.items():
        _check_keys(name, given)
        symbol = _symbol(venue, name, given)
        symbol = venue.stands_for.get(symbol, symbol)
        schedule = _schedule(name, given)
        if schedule is not None:
            schedules[symbol] = schedule
        known = venue.contracts.get(symbol) or plain_contract(symbol, venue.currency)
        contract = _contract(known, name, given)
        if contract != known:
            contracts[symbol] = contract
        own = _fees(venue.symbol_fees.get(symbol, SymbolFees()), name, given)
        if own != SymbolFees():
            fees[symbol] = own
    return replace(
        venue,
        contracts=Overlay(venue.contracts, contracts) if contracts else venue.contracts,
        schedules=Overlay(venue.schedules, schedules) if schedules else venue.schedules,
        symbol_fees=Overlay(venue.symbol_fees, fees) if fees else venue.symbol_fees,
    )


def _check_keys(name: str, given: Mapping[str, object]) -> None:
    if not isinstance(given, Mapping):
        raise InputError(f"symbols[{name!r}] is {given!r}; allowed: a dict with keys of {ALLOWED}")
    unknown = [key for key in given if key not in ALLOWED]
    if unknown:
        raise InputError(
            f"symbols[{name!r}] has the unknown key {', '.join(map(repr, unknown))}; "
            f"allowed: {', '.join(ALLOWED)}"
        )
    if "tiers" in given and "maintenance_rate" in given:
        raise InputError(f"symbols[{name!r}] has both tiers and maintenance_rate; give one of them")
    if "max_leverage" in given and "maintenance_rate" not in given:
        raise InputError(
            f"symbols[{name!r}] has max_leverage without maintenance_rate; "
            "with tiers it is the fourth number of a row"
        )


def _symbol(venue: Venue, name: str, given: Mapping[str, object]) -> str:
    if "tiers" in given or "maintenance_rate" in given:
        return name if name in venue.schedules else canonical(name, venue.schedules) or name
    return venue.resolve(name)


def _schedule(name: str, given: Mapping[str, object]) -> TierSchedule | None:
    where = f"symbols[{name!r}]"
    if "tiers" in given:
        table = numbers.tier_table(given["tiers"], f"{where} tiers")
    elif "maintenance_rate" in given:
        rate = numbers.maintenance_rate(given["maintenance_rate"], f"{where} maintenance_rate")
        cap = given.get("max_leverage")
        most = None if cap is None else numbers.number(cap, f"{where} max_leverage", 1.0)
        table = TierTable.flat(rate, most)
    else:
        return None
    return TierSchedule(tables=((_ALWAYS, table),), sources=("stated by the caller",))


def _contract(known: Contract, name: str, given: Mapping[str, object]) -> Contract:
    changes: dict[str, Any] = {}
    for key in _CONTRACT:
        if key not in given:
            continue
        value = given[key]
        if value is None and key != "multiplier":
            changes[key] = None
        else:
            where = f"symbols[{name!r}] {key}"
            changes[key] = numbers.number(value, where, 0.0, open_low=True)
    return replace(known, **changes)


def _fees(known: SymbolFees, name: str, given: Mapping[str, object]) -> SymbolFees:
    where = f"symbols[{name!r}]"
    if "taker_fee" in given:
        known = replace(known, taker=numbers.rate(given["taker_fee"], f"{where} taker_fee"))
    if "maker_fee" in given:
        known = replace(known, maker=numbers.rate(given["maker_fee"], f"{where} maker_fee"))
    if "liquidation_fee" in given:
        fee = numbers.number(given["liquidation_fee"], f"{where} liquidation_fee", 0.0, 0.5)
        known = replace(known, liquidation=fee)
    return known
