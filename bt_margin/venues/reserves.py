"""Reserves of a lending market: the dated parameters of each asset, and the rates that follow from them.

A table file holds snapshots of all assets and later changes of single numbers. What users state themselves
lies on top of it: for all time, or from their own dates on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from bt_margin.core.lending import InterestRates, RateModel, interest_rates
from bt_margin.errors import InputError
from bt_margin.venues.lending_carry import RateSeries
from bt_margin.venues.names import moment
from bt_margin.venues.numbers import number
from bt_margin.venues.spec import ALWAYS
from bt_margin.venues.tables import document, pinned

T = TypeVar("T")
Dated = tuple[tuple[int, T], ...]

#: What a reserve must say, with the smallest and the largest number allowed.
RATIOS = {
    "ltv": (0.0, 0.999),
    "liquidation_threshold": (0.0, 1.0),
    "liquidation_bonus": (0.0, 1.0),
    "reserve_factor": (0.0, 1.0),
    "optimal_usage": (0.0, 1.0),
    "base_rate": (0.0, 100.0),
    "slope1": (0.0, 100.0),
    "slope2": (0.0, 100.0),
}
#: What it may say.
OTHERS = ("protocol_fee", "borrowing")
#: Names people use for an asset that the market holds wrapped.
WRAPPED = {"ETH": "WETH", "BTC": "WBTC"}


class Reserve(NamedTuple):
    """One asset at one time; all fractions. ``borrowing``: whether it can be borrowed at all."""

    ltv: float
    threshold: float
    bonus: float
    model: RateModel
    borrowing: bool = True


def reserves_of(
    name: str, own: object, as_of: int | None, history: object = None
) -> dict[str, Dated[Reserve]]:
    """Asset -> its dated parameters: the table file ``name``, on it a ``history``, on it ``own`` numbers.

    own, history : {asset: {parameter: number}} for all time, {asset: [(date, {parameter: number}), ...]}, or
        None

    Raises :class:`~bt_margin.errors.InputError` for unknown or impossible numbers, and for a new asset that
    does not state all of them.
    """
    events: dict[str, list[tuple[int, int, Mapping[str, Any]]]] = {}
    for part in (*document(name)["snapshots"], *document(name)["changes"]):
        since = moment(part["since"]) or 0
        for asset, row in part["assets"].items():
            events.setdefault(asset, []).append((since, 0, row))
    for layer, stated in ((1, history), (2, own)):
        for asset, given in _mapping(stated, "reserves").items():
            for since, row in _own(asset, given):
                events.setdefault(asset_name(asset, events), []).append((since, layer, row))
    return {asset: _history(asset, rows, as_of) for asset, rows in events.items()}


def _own(asset: str, given: object) -> list[tuple[int, Mapping[str, Any]]]:
    """What a user says of one asset, dated."""
    dated = given if isinstance(given, list | tuple) else [(ALWAYS, given)]
    found: list[tuple[int, Mapping[str, Any]]] = []
    for entry in dated:
        if not (isinstance(entry, list | tuple) and len(entry) == 2):
            raise InputError(f"reserves[{asset!r}] has {entry!r}; give (date, dict) pairs")
        row = _mapping(entry[1], f"reserves[{asset!r}]")
        unknown = [key for key in row if key not in (*RATIOS, *OTHERS)]
        if unknown:
            allowed = ", ".join((*RATIOS, *OTHERS))
            raise InputError(f"reserves[{asset!r}] has the unknown {unknown}; allowed: {allowed}")
        found.append((_when(entry[0], f"reserves[{asset!r}]"), row))
    return found


def _history(
    asset: str, events: list[tuple[int, int, Mapping[str, Any]]], as_of: int | None
) -> Dated[Reserve]:
    """The reserve after each change, what users state lying on top of what is published."""
    layers: tuple[dict[str, Any], ...] = ({}, {}, {})
    found: dict[int, Reserve] = {}
    missing: list[str] = []
    for since, layer, row in sorted(events, key=lambda event: event[:2]):
        layers[layer].update(row)
        whole = layers[0] | layers[1] | layers[2]
        missing = [key for key in RATIOS if key not in whole]
        if not missing:
            found[since] = _reserve(asset, whole)
    if not found:
        raise InputError(
            f"reserves[{asset!r}] is no asset of the table and misses {', '.join(missing)}"
        )
    dated = changes(found, found.__getitem__)
    return pinned(dated, as_of) or dated[:1]


def _reserve(asset: str, row: Mapping[str, Any]) -> Reserve:
    where = f"reserves[{asset!r}]"
    got = {key: number(row[key], f"{where} {key}", *bounds) for key, bounds in RATIOS.items()}
    ltv, threshold, bonus = (got[key] for key in list(RATIOS)[:3])
    if ltv > threshold or threshold * (1 + bonus) > 1:
        raise InputError(
            f"{where} has ltv {ltv}, liquidation_threshold {threshold} and liquidation_bonus {bonus}; "
            "allowed: ltv up to the threshold, and threshold · (1 + bonus) up to 1"
        )
    model = RateModel(
        got["optimal_usage"], got["base_rate"], got["slope1"], got["slope2"], got["reserve_factor"]
    )
    return Reserve(ltv, threshold, bonus, model, bool(row.get("borrowing", True)))


def rate_series(
    asset: str, history: Dated[Reserve], utilisation: object, rates: object
) -> RateSeries:
    """The rates of an asset over time: those given, or those its model makes of a utilisation.

    rates : (borrow, supply) per year, or [(date, borrow, supply), ...]; None: by the model
    utilisation : a fraction, or [(date, fraction), ...]; None: the optimum of the model in force
    """
    if rates is not None:
        return RateSeries(_dated(rates, 2, f"rates[{asset!r}]", lambda row: InterestRates(*row)))
    used: Dated[float | None] = ((ALWAYS, None),)
    if utilisation is not None:
        given = utilisation if isinstance(utilisation, list | tuple) else (utilisation,)
        used = _dated(given, 1, f"utilisation[{asset!r}]", lambda row: row[0], highest=1.0)
    times = sorted({since for since, _ in (*history, *used)})
    return RateSeries(tuple((t, _rates(at(history, t).model, at(used, t))) for t in times))


def _rates(model: RateModel, usage: float | None) -> InterestRates:
    return interest_rates(model, model.optimal if usage is None else usage)


def _dated(
    given: object,
    width: int,
    what: str,
    make: Callable[[list[float]], T],
    highest: float = 100.0,
) -> Dated[T]:
    """Rows ``(date, number, ...)``, or one row of numbers without a date for all time."""
    rows: Any = given
    if (
        isinstance(rows, list | tuple)
        and len(rows) == width
        and not isinstance(rows[0], list | tuple)
    ):
        rows = [(ALWAYS, *rows)]
    found: dict[int, T] = {}
    for row in _rows(rows, what):
        if not isinstance(row, list | tuple) or len(row) != width + 1:
            raise InputError(f"{what} has {row!r}; give a date and {width} number(s)")
        numbers = [number(each, what, 0.0, highest) for each in row[1:]]
        found[_when(row[0], what)] = make(numbers)
    if not found:
        raise InputError(f"{what} is empty; give (date, number, ...) rows")
    return tuple(sorted(found.items(), key=lambda pair: pair[0]))


def _rows(rows: object, what: str) -> Iterable[object]:
    if not isinstance(rows, list | tuple):
        raise InputError(f"{what} is {rows!r}; give numbers, or rows that begin with a date")
    return rows


def _when(value: Any, what: str) -> int:
    found = moment(value, what)
    if found is None:
        raise InputError(f"{what} has an entry without a date")
    return found


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InputError(f"{what} is {value!r}; allowed: a dict by asset or parameter")
    return value


def asset_name(name: str, known: Iterable[str]) -> str:
    """An asset as the market calls it, whatever its case; ETH and BTC are held wrapped.

    >>> asset_name("eth", ["WETH", "wstETH"]), asset_name("WSTETH", ["wstETH"]), asset_name("NEW", [])
    ('WETH', 'wstETH', 'NEW')
    """
    wanted = WRAPPED.get(name.upper(), name)
    return next((asset for asset in known if asset.upper() == wanted.upper()), wanted)


def at(dated: Dated[T], ms: int) -> T:
    """The value in force at a time; before the first date the first.

    >>> at(((0, "a"), (10, "b")), 10), at(((0, "a"),), -5)
    ('b', 'a')
    """
    found = dated[0][1]
    for since, value in dated:
        if since <= ms:
            found = value
    return found


def dates(*histories: Iterable[tuple[int, object]]) -> list[int]:
    """Every date at which one of the histories changes, the first of all standing for ever before.

    >>> dates([(5, "a"), (9, "b")], [(7, "c")])[1:]
    [7, 9]
    """
    found = sorted({since for history in histories for since, _ in history})
    return [ALWAYS, *found[1:]]


def changes(times: Iterable[int], make: Callable[[int], T]) -> Dated[T]:
    """What ``make`` says at each time, without the entries that repeat the one before."""
    found: list[tuple[int, T]] = []
    for since in times:
        made = make(since)
        if not found or found[-1][1] != made:
            found.append((since, made))
    return tuple(found)


def symbols_of(assets: Iterable[str], stable: str) -> dict[str, str]:
    """Symbol -> asset, of every asset against the stable; wrapped coins also under their own names.

    >>> symbols_of(["WETH", "USDC"], "USDC")
    {'WETH/USDC': 'WETH', 'ETH/USDC': 'WETH'}
    """
    listed = [asset for asset in assets if asset != stable]
    plain = {f"{asset}/{stable}": asset for asset in listed}
    return plain | {f"{n}/{stable}": asset for n, asset in WRAPPED.items() if asset in listed}


def by_asset(
    assets: Iterable[str], utilisation: object, rates: object
) -> list[tuple[str, object, object]]:
    """Each asset with its utilisation and its rates as users state them (None: not stated)."""
    names = list(assets)
    one = utilisation if isinstance(utilisation, int | float) else None
    used = {} if one is not None else _named(utilisation, "utilisation", names)
    stated = _named(rates, "rates", names)
    return [(name, used.get(name, one), stated.get(name)) for name in names]


def _named(value: object, what: str, names: list[str]) -> dict[str, object]:
    found = {asset_name(key, names): given for key, given in _mapping(value, what).items()}
    unknown = [key for key in found if key not in names]
    if unknown:
        raise InputError(f"{what} names {unknown}; allowed: {', '.join(sorted(names))}")
    return found
