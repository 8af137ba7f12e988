"""Defects, each planted into a copy of a sound market, and what the check must say about it.

A world is one symbol as people keep it: tables of the last price, the mark and the settlements of a
venue, and the last price of a second venue. A plant spoils a world in one way and gives the first
and the last time that a finding has to name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

HOUR = pd.Timedelta("1h")
PRICES = ["open", "high", "low", "close"]
World = dict[str, pd.DataFrame]
Times = tuple[pd.Timestamp, pd.Timestamp]
FILES = {
    "ohlcv": "binance_BTCUSDT_ohlcv_1h.parquet",
    "mark": "binance_BTCUSDT_mark_1h.parquet",
    "funding": "binance_BTCUSDT_funding_8h.parquet",
    "other": "okx_BTCUSDT_ohlcv_1h.parquet",
}


def write(world: World, folder: Path) -> None:
    """The tables as files of one folder."""
    for name, table in world.items():
        table.to_parquet(folder / FILES.get(name, name), index=False)


@dataclass(frozen=True)
class Plant:
    """One defect: how it is made, and what has to be found in which table."""

    name: str
    spoil: Callable[[World], Times]
    kind: str
    severity: str = "error"
    table: str = "ohlcv"
    also: frozenset[str] = field(default_factory=frozenset)  # further kinds it may cause


PLANTS: list[Plant] = []


def plant(
    name: str, kind: str, severity: str = "error", table: str = "ohlcv", also: str = ""
) -> Callable[[Callable[[World], Times]], Callable[[World], Times]]:
    """Put a function on the list."""

    def listed(spoil: Callable[[World], Times]) -> Callable[[World], Times]:
        more = frozenset(each.strip() for each in also.split(",") if each)
        PLANTS.append(Plant(name, spoil, kind, severity, table, more))
        return spoil

    return listed


def middle(table: pd.DataFrame) -> int:
    """A place in the middle, beside bars that move and trade."""
    return len(table) // 2


def stamps(table: pd.DataFrame, first: int, last: int) -> Times:
    return table["timestamp"].iloc[first], table["timestamp"].iloc[last]


def whole(table: pd.DataFrame) -> Times:
    return stamps(table, len(table) // 3, len(table) // 2)


def without(world: World, name: str, first: int, last: int) -> Times:
    table = world[name]
    found = stamps(table, first, last)
    keep = np.ones(len(table), bool)
    keep[first : last + 1] = False
    world[name] = table[keep].reset_index(drop=True)
    return found


def change(world: World, name: str, columns: list[str], rows: slice, factor: float) -> Times:
    table = world[name] = world[name].copy()
    for column in columns:
        place = table.columns.get_loc(column)
        table.iloc[rows, place] = table.iloc[rows, place] * factor
    return stamps(table, rows.start, (rows.stop or len(table)) - 1)


def put(world: World, name: str, column: str, first: int, values: object, count: int = 1) -> Times:
    table = world[name] = world[name].copy()
    table.iloc[first : first + count, table.columns.get_loc(column)] = values
    return stamps(table, first, first + count - 1)


def moved(world: World, name: str, by: pd.Timedelta, rows: slice = slice(None)) -> Times:
    table = world[name] = world[name].copy()
    column = table["timestamp"].copy()
    column.iloc[rows] = column.iloc[rows] + by
    table["timestamp"] = column
    return whole(table)


# -- times -----------------------------------------------------------------------------------------


@plant("five bars missing", "gap", "warning")
def _(world: World) -> Times:
    at = middle(world["ohlcv"])
    return without(world, "ohlcv", at, at + 4)


@plant("two days missing", "gap")
def _(world: World) -> Times:
    at = middle(world["ohlcv"])
    return without(world, "ohlcv", at, at + 47)


@plant("bars written twice", "duplicate", also="unsorted")
def _(world: World) -> Times:
    table, at = world["ohlcv"], middle(world["ohlcv"])
    parts = [table.iloc[: at + 3], table.iloc[at:]]
    world["ohlcv"] = pd.concat(parts, ignore_index=True)
    return stamps(table, at, at + 2)


@plant("one bar twice with different prices", "duplicate")
def _(world: World) -> Times:
    table, at = world["ohlcv"], middle(world["ohlcv"])
    double = table.iloc[[at]].copy()
    double["close"] = double["high"]
    world["ohlcv"] = pd.concat([table.iloc[: at + 1], double, table.iloc[at + 1 :]])
    return stamps(table, at, at)


@plant("pages written in the wrong order", "unsorted")
def _(world: World) -> Times:
    table, at = world["ohlcv"], middle(world["ohlcv"])
    world["ohlcv"] = pd.concat([table.iloc[at:], table.iloc[:at]])
    return stamps(table, at - 1, at)


@plant("one bar seven minutes late", "off grid", also="gap")
def _(world: World) -> Times:
    at = middle(world["ohlcv"])
    moved(world, "ohlcv", pd.Timedelta("7min"), slice(at, at + 1))
    return stamps(world["ohlcv"], at, at)


@plant("closes written as opens", "off grid")
def _(world: World) -> Times:
    return moved(world, "ohlcv", HOUR - pd.Timedelta("1ms"))


@plant(
    "a name that says another bar length", "timeframe", "error", "binance_BTCUSDT_ohlcv_5m.parquet"
)
def _(world: World) -> Times:
    world["binance_BTCUSDT_ohlcv_5m.parquet"] = world.pop("ohlcv")
    return whole(world["mark"])


@plant("bars later than now", "future")
def _(world: World) -> Times:
    table = world["ohlcv"]
    more = table.iloc[-5:].copy()
    more["timestamp"] = more["timestamp"] + pd.Timedelta("36500D")
    world["ohlcv"] = pd.concat([table, more], ignore_index=True)
    return stamps(more, 0, 4)


# -- prices ----------------------------------------------------------------------------------------


@plant("high and low changed places", "high low")
def _(world: World) -> Times:
    at = middle(world["ohlcv"])
    table = world["ohlcv"] = world["ohlcv"].copy()
    high, low = table["high"].iloc[at], table["low"].iloc[at]
    put(world, "ohlcv", "high", at, low)
    return put(world, "ohlcv", "low", at, high)


@plant("a close above the high", "high low")
def _(world: World) -> Times:
    at = middle(world["ohlcv"])
    return put(world, "ohlcv", "close", at, world["ohlcv"]["high"].iloc[at] * 1.001)


@plant("a mark below its own low", "high low", table="mark")
def _(world: World) -> Times:
    at = middle(world["mark"])
    return put(world, "mark", "open", at, world["mark"]["low"].iloc[at] * 0.999)


@plant("a price of NaN", "price")
def _(world: World) -> Times:
    return put(world, "ohlcv", "close", middle(world["ohlcv"]), np.nan, 2)


@plant("a price of zero", "price", table="mark")
def _(world: World) -> Times:
    return put(world, "mark", "low", middle(world["mark"]), 0.0)


@plant("a negative price", "price")
def _(world: World) -> Times:
    return put(world, "ohlcv", "low", middle(world["ohlcv"]), -1.0)


@plant("an endless price", "price")
def _(world: World) -> Times:
    return put(world, "ohlcv", "high", middle(world["ohlcv"]), np.inf)


@plant("a bad close", "bad tick", also="mark far,mark wick")
def _(world: World) -> Times:
    at = middle(world["ohlcv"])
    high = world["ohlcv"]["high"].iloc[at]
    put(world, "ohlcv", "high", at, high * 1.07)
    return put(world, "ohlcv", "close", at, high * 1.06)


@plant("a bad open", "bad tick", also="mark far,mark wick")
def _(world: World) -> Times:
    at = middle(world["ohlcv"])
    low = world["ohlcv"]["low"].iloc[at]
    put(world, "ohlcv", "low", at, low * 0.9)
    return put(world, "ohlcv", "open", at, low * 0.9)


@plant("a whole bar at a wrong price", "bad tick", also="mark far,mark wick")
def _(world: World) -> Times:
    at = middle(world["ohlcv"])
    return change(world, "ohlcv", PRICES, slice(at, at + 1), 1.3)


@plant("two bars of the mark at a wrong price", "bad tick", table="mark", also="mark far,mark wick")
def _(world: World) -> Times:
    at = middle(world["mark"])
    return change(world, "mark", PRICES, slice(at, at + 2), 0.8)


@plant("a price that jumps and stays", "jump", "warning", also="mark far")
def _(world: World) -> Times:
    table = world["ohlcv"]
    at = len(table) - 5
    del world["mark"], world["other"]
    change(world, "ohlcv", PRICES, slice(at, len(table)), 1.5)
    return stamps(table, at, at)


@plant("the price in another unit from the middle on", "unit", also="mark far")
def _(world: World) -> Times:
    table = world["ohlcv"]
    at = middle(table)
    change(world, "ohlcv", PRICES, slice(at, len(table)), 0.001)
    return stamps(table, at, at)


@plant("the mark ten times too high for two days", "unit", table="mark")
def _(world: World) -> Times:
    at = middle(world["mark"])
    change(world, "mark", PRICES, slice(at, at + 48), 10.0)
    return stamps(world["mark"], at + 1, at + 2)


@plant("a high no mark followed", "mark wick", "warning")
def _(world: World) -> Times:
    at = middle(world["ohlcv"])
    return put(world, "ohlcv", "high", at, world["ohlcv"]["high"].iloc[at] * 1.3)


@plant("a low of the mark alone", "mark wick", "warning", "mark")
def _(world: World) -> Times:
    at = middle(world["mark"])
    return put(world, "mark", "low", at, world["mark"]["low"].iloc[at] * 0.7)


@plant("a high without a mark beside it", "wick", "warning")
def _(world: World) -> Times:
    at = middle(world["ohlcv"])
    del world["mark"]
    return put(world, "ohlcv", "high", at, world["ohlcv"]["high"].iloc[at] * 1.4)


# -- volume and standing still ----------------------------------------------------------------------


@plant("a negative volume", "volume")
def _(world: World) -> Times:
    return put(world, "ohlcv", "volume", middle(world["ohlcv"]), -1.0)


@plant("a volume of NaN", "volume")
def _(world: World) -> Times:
    return put(world, "ohlcv", "volume", middle(world["ohlcv"]), np.nan, 3)


@plant("volume 0 while the price moves", "no volume", "warning")
def _(world: World) -> Times:
    return put(world, "ohlcv", "volume", middle(world["ohlcv"]), 0.0, 10)


@plant("ten hours without a trade", "zero volume", "warning")
def _(world: World) -> Times:
    at = middle(world["ohlcv"])
    price = world["ohlcv"]["close"].iloc[at - 1]
    for column in PRICES:
        put(world, "ohlcv", column, at, price, 10)
    return put(world, "ohlcv", "volume", at, 0.0, 10)


@plant("the last price standing still", "frozen", "warning")
def _(world: World) -> Times:
    at = middle(world["ohlcv"])
    price = world["ohlcv"]["close"].iloc[at - 1]
    found = stamps(world["ohlcv"], at + 1, at + 9)
    for column in PRICES:
        put(world, "ohlcv", column, at, price, 10)
    return found


@plant(
    "the mark standing still for a day", "frozen", table="mark", also="mark far,bad tick,mark wick"
)
def _(world: World) -> Times:
    at = middle(world["mark"])
    price = world["mark"]["close"].iloc[at - 1]
    for column in PRICES:
        found = put(world, "mark", column, at, price, 24)
    return found


@plant("one bar copied over the next five", "copied", also="bad tick,mark far")
def _(world: World) -> Times:
    at = middle(world["ohlcv"])
    for column in [*PRICES, "volume"]:
        put(world, "ohlcv", column, at + 1, world["ohlcv"][column].iloc[at], 5)
    return stamps(world["ohlcv"], at + 1, at + 5)


# -- mark and second source ----------------------------------------------------------------------------


@plant("the mark is a copy of the last price", "mark is last", table="mark")
def _(world: World) -> Times:
    world["mark"] = world["ohlcv"].assign(volume=0.0)
    return whole(world["mark"])


@plant("the mark has volume", "mark is last", table="mark")
def _(world: World) -> Times:
    world["mark"] = world["mark"].assign(volume=3.0)
    return whole(world["mark"])


@plant("two days of the mark filled in with the last price", "mark is last", table="mark")
def _(world: World) -> Times:
    at = middle(world["mark"])
    times = stamps(world["mark"], at, at + 47)
    last = world["ohlcv"].set_index("timestamp")
    table = world["mark"].set_index("timestamp")
    inside = (table.index >= times[0]) & (table.index <= times[1])
    table.loc[inside, PRICES] = last.loc[table.index[inside], PRICES]
    world["mark"] = table.reset_index()
    return times


@plant("ten bars without a mark", "mark missing", "warning", "mark")
def _(world: World) -> Times:
    at = middle(world["mark"])
    return without(world, "mark", at, at + 9)


@plant("a mark of another contract", "mark far", table="mark", also="bad tick")
def _(world: World) -> Times:
    at = middle(world["mark"])
    return change(world, "mark", PRICES, slice(at, at + 60), 1.05)


@plant(
    "a close of the mark far from the last price",
    "mark far",
    "warning",
    "mark",
    "bad tick,mark wick",
)
def _(world: World) -> Times:
    at = middle(world["mark"])
    put(world, "mark", "high", at, world["mark"]["high"].iloc[at] * 1.21)
    return put(world, "mark", "close", at, world["mark"]["close"].iloc[at] * 1.2)


@plant("the mark one bar late", "shift", table="mark")
def _(world: World) -> Times:
    return moved(world, "mark", HOUR)


@plant("the mark in the time of Tokyo", "shift", table="mark")
def _(world: World) -> Times:
    return moved(world, "mark", 9 * HOUR)


@plant(
    "the mark in summer time for its second half",
    "shift",
    table="mark",
    also="mark missing,duplicate",
)
def _(world: World) -> Times:
    at = middle(world["mark"])
    moved(world, "mark", HOUR, slice(at, None))
    end = len(world["mark"]) - 1
    return stamps(world["mark"], (at + end) // 2, (at + end) // 2 + 200)


@plant("another venue five hours early", "shift", table="other")
def _(world: World) -> Times:
    return moved(world, "other", -5 * HOUR)


@plant("another venue in another unit", "unit", table="other")
def _(world: World) -> Times:
    return change(world, "other", PRICES, slice(0, len(world["other"])), 1000.0)


@plant("another venue of another contract", "disagree", table="other")
def _(world: World) -> Times:
    return change(world, "other", PRICES, slice(0, len(world["other"])), 1.2)


# -- funding ----------------------------------------------------------------------------------------


@plant("a settlement missing", "settlement missing", table="funding")
def _(world: World) -> Times:
    at = middle(world["funding"])
    return without(world, "funding", at, at)


@plant("a day of settlements missing", "settlement missing", table="funding")
def _(world: World) -> Times:
    at = middle(world["funding"])
    return without(world, "funding", at, at + 2)


@plant("a settlement twice", "duplicate", table="funding")
def _(world: World) -> Times:
    table, at = world["funding"], middle(world["funding"])
    world["funding"] = pd.concat([table.iloc[: at + 1], table.iloc[at:]], ignore_index=True)
    return stamps(table, at, at)


@plant("a settlement twice within a second", "duplicate", table="funding")
def _(world: World) -> Times:
    table, at = world["funding"], middle(world["funding"])
    again = table.iloc[[at]].copy()
    again["timestamp"] = again["timestamp"] + pd.Timedelta("300ms")
    world["funding"] = pd.concat([table.iloc[: at + 1], again, table.iloc[at + 1 :]])
    return stamps(table, at, at)


@plant(
    "a settlement ten minutes after the hour",
    "off hour",
    table="funding",
    also="settlement missing",
)
def _(world: World) -> Times:
    at = middle(world["funding"])
    moved(world, "funding", pd.Timedelta("10min"), slice(at, at + 1))
    return stamps(world["funding"], at, at)


@plant("settlements on another clock", "phase", "warning", "funding")
def _(world: World) -> Times:
    return moved(world, "funding", 3 * HOUR)


@plant("a distance no venue uses", "interval", "warning", "funding")
def _(world: World) -> Times:
    at = middle(world["funding"])
    moved(world, "funding", HOUR, slice(at, None))
    return stamps(world["funding"], at - 1, at)


@plant("rates in percent", "rate unit", table="funding")
def _(world: World) -> Times:
    return change(world, "funding", ["funding_rate"], slice(0, len(world["funding"])), 100.0)


@plant("one rate in percent", "rate unit", table="funding")
def _(world: World) -> Times:
    return put(world, "funding", "funding_rate", middle(world["funding"]), 0.05)


@plant("a rate of NaN", "rate", table="funding")
def _(world: World) -> Times:
    return put(world, "funding", "funding_rate", middle(world["funding"]), np.nan)


@plant("one rate for the whole history", "rate constant", table="funding")
def _(world: World) -> Times:
    world["funding"] = world["funding"].assign(funding_rate=0.0001)
    return whole(world["funding"])


@plant("rates with the sign turned round", "rate sign", "warning", "funding")
def _(world: World) -> Times:
    return change(world, "funding", ["funding_rate"], slice(0, len(world["funding"])), -1.0)
