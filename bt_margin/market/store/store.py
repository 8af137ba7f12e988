"""The store: market data of many exchanges and symbols in one folder, safe to kill at any moment."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bt_margin.errors import InputError, StoreDamaged, message
from bt_margin.market.store import snapshots
from bt_margin.market.store.dataset import Dataset, now
from bt_margin.market.store.disk import to_json
from bt_margin.market.store.homes import datasets_in, folders_in, likely_owner, owner_of
from bt_margin.market.store.manifest import Manifest, clash
from bt_margin.market.store.places import (
    LATEST,
    MARKETS,
    TIERS,
    dataset_name,
    exchange_name,
    read_dataset_name,
    symbol_name,
)
from bt_margin.market.store.snapshots import added


class Store:
    """A folder of market data: `Store("data")`; made when something is first written.

    clock : the time written beside what is stored [UTC epoch ms]
    timer : seconds that only rise, for committing every few of them

    >>> Store("data").dataset("binanceusdm", "BTC/USDT:USDT", "mark", "1h").folder.as_posix()
    'data/binanceusdm/BTC_USDT_USDT/mark_1h'
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        clock: Callable[[], int] = now,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = Path(folder).expanduser()
        self._clock = clock
        self._timer = timer

    def __repr__(self) -> str:
        return f"Store({str(self.folder)!r})"

    def dataset(self, exchange: str, symbol: str, kind: str, timeframe: str = "") -> Dataset:
        """One kind of data of one symbol, whether anything of it is stored yet or not.

        Raises `InputError` for names that cannot be folders, unknown kinds and timeframes, and when
        another symbol lives in the symbol's folder.
        """
        folder = self._symbol_folder(exchange, symbol)
        return self._open(folder / dataset_name(kind, timeframe), exchange, symbol)

    def datasets(
        self, exchange: str | None = None, symbol: str | None = None, kind: str | None = None
    ) -> list[Dataset]:
        """All datasets that were written, by exchange, symbol and kind; damaged ones too."""
        names = self.exchanges() if exchange is None else [exchange_name(exchange)]
        return [
            self._open(folder, name, owner)
            for name in names
            for owner, home in self._homes(name)
            if symbol in (None, owner)
            for folder in datasets_in(home)
            if kind is None or folder.name.partition("_")[0] == kind
        ]

    def exchanges(self) -> list[str]:
        """The exchanges there is anything of, by name."""
        found = []
        for folder in folders_in(self.folder):
            try:
                exchange_name(folder.name)
            except InputError:
                continue
            if (folder / MARKETS).is_file() or any(True for _ in self._homes(folder.name)):
                found.append(folder.name)
        return found

    def symbols(self, exchange: str) -> list[str]:
        """The symbols of an exchange that have datasets or tiers, by name."""
        return sorted(owner for owner, _ in self._homes(exchange_name(exchange)))

    def put_market(self, exchange: str, market: Mapping[str, Any], at: int) -> None:
        """Keep a market's metadata as known at a time [ms]; nothing is written when it is not new.

        market : JSON-able facts with a `symbol`
        """
        symbol = market.get("symbol")
        if not isinstance(symbol, str):
            raise InputError(message("a market without a symbol", repr(symbol), "its unified name"))
        symbol_name(symbol)
        value = _checked(market, "market", at)

        def new(found: dict[str, snapshots.Dated]) -> dict[str, snapshots.Dated]:
            return {**found, symbol: added(found.get(symbol, []), "market", value, at)}

        snapshots.change(self.folder / exchange_name(exchange) / MARKETS, "market", new)

    def market(self, exchange: str, symbol: str) -> dict[str, Any] | None:
        """The newest metadata of a market; None when there is none."""
        return self.markets(exchange).get(symbol)

    def markets(self, exchange: str) -> dict[str, dict[str, Any]]:
        """The newest metadata of every market of an exchange, by symbol."""
        found = snapshots.read(self.folder / exchange_name(exchange) / MARKETS, "market")
        return {symbol: dated[-1]["market"] for symbol, dated in sorted(found.items())}

    def market_history(self, exchange: str, symbol: str) -> list[dict[str, Any]]:
        """Every metadata of a market that differed from the one before: `at` [ms] and `market`."""
        found = snapshots.read(self.folder / exchange_name(exchange) / MARKETS, "market")
        return found.get(symbol, [])

    def put_tiers(self, exchange: str, symbol: str, tiers: Mapping[str, Any], at: int) -> None:
        """Keep a symbol's leverage tiers as known at a time [ms]; appended only when they changed."""
        home = self._symbol_folder(exchange, symbol)
        value = _checked(tiers, "tiers", at)

        def new(found: dict[str, snapshots.Dated]) -> dict[str, snapshots.Dated]:
            return {symbol: added(_only(found, symbol, home), "tiers", value, at)}

        snapshots.change(home / TIERS, "tiers", new)

    def tiers(self, exchange: str, symbol: str) -> list[dict[str, Any]]:
        """The dated tiers of a symbol, oldest first: `at` [ms] and `tiers`; [] when there are none."""
        home = self._symbol_folder(exchange, symbol)
        return _only(snapshots.read(home / TIERS, "tiers"), symbol, home)

    def _symbol_folder(self, exchange: str, symbol: str) -> Path:
        return self.folder / exchange_name(exchange) / symbol_name(symbol)

    def _open(self, folder: Path, exchange: str, symbol: str) -> Dataset:
        kind, timeframe = read_dataset_name(folder.name) or ("", "")
        owner = Manifest(exchange, symbol, kind, timeframe)
        return Dataset(folder, owner, clock=self._clock, timer=self._timer)

    def _homes(self, exchange: str) -> Iterator[tuple[str, Path]]:
        """The symbols' folders of an exchange, each with the symbol it belongs to."""
        for home in folders_in(self.folder / exchange):
            if datasets_in(home) or (home / TIERS).is_file():
                yield owner_of(home) or likely_owner(home, self._known(exchange)), home

    def _known(self, exchange: str) -> list[str]:
        try:
            return list(self.markets(exchange))
        except StoreDamaged:
            return []


def _only(found: dict[str, snapshots.Dated], symbol: str, home: Path) -> snapshots.Dated:
    """The snapshots of the one symbol that may be in a file; an error when it is another's."""
    other = next((name for name in found if name != symbol), None)
    if other is not None:
        raise clash(home, other, symbol)
    return found.get(symbol, [])


def _checked(value: Mapping[str, Any], what: str, at: int) -> dict[str, Any]:
    """The value as JSON will give it back; `InputError` when it cannot be kept."""
    if type(at) is not int or not 0 <= at <= LATEST:
        raise InputError(message("not a time", repr(at), "UTC epoch milliseconds"))
    found = json.loads(to_json(dict(value), what))
    assert isinstance(found, dict)
    return found
