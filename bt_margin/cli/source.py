"""Where the bars of a run come from: files, an exchange (through the store), or the sample."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bt_margin.cli import download, parse
from bt_margin.cli import options as o
from bt_margin.errors import InputError, UnknownVenue, message

USUAL_VENUE = "binance"
RULES = (
    "--venue generic --rule maintenance_rate=0.005 --rule taker_fee=0.0006 --rule maker_fee=0.0002 "
    "--rule liquidation_fee=0 --rule funding_interval=8h --rule residual=trader"
)


@dataclass(frozen=True, slots=True)
class Source:
    """The options that name the market of a run, as they were typed."""

    data: o.Data = None
    symbols: o.Symbols = None
    since: o.Since = None
    until: o.Until = None
    timeframe: o.Timeframe = None
    source: o.Source = None
    exchange: o.Exchange = None
    store: o.Store = Path("data")
    exchange_options: o.ExchangeOptions = None
    offline: o.Offline = False
    missing_funding: o.MissingFunding = None
    missing_marks: o.MissingMarks = None

    def frames(self, quiet: bool) -> dict[str, Any]:
        """The market: from the exchange, from files (of one timeframe and source), or the sample."""
        if self.exchange is not None:
            return self._downloaded(quiet)
        for what in self._of_a_store():
            raise InputError(
                message(what, "no --exchange", todo="name the exchange the store is of")
            )
        wanted = parse.names(self.symbols)
        if self.data:
            from bt_margin.market.files import load_market

            place = self.data[0] if len(self.data) == 1 else self.data
            return dict(
                load_market(
                    place,
                    wanted,
                    since=self.since,
                    until=self.until,
                    timeframe=self.timeframe,
                    venue=self.source,
                    missing_funding=self.missing_funding,
                    missing_marks=self.missing_marks,
                )
            )
        for what, given in self._of_files().items():
            if given is not None:
                todo = "name files with --data, or an --exchange"
                raise InputError(message(what, "the sample market", todo=todo))
        from bt_margin.market.synthetic import sample_market
        from bt_margin.studies.pick import pick

        return dict(pick(sample_market(), wanted, self.since, self.until))

    def _of_files(self) -> dict[str, str | None]:
        """The options that choose among files and say what they lack; the sample is whole."""
        return {
            "--timeframe": self.timeframe,
            "--source": self.source,
            "--missing-funding": self.missing_funding,
            "--missing-marks": self.missing_marks,
        }

    def _of_a_store(self) -> list[str]:
        """The options that mean something only with ``--exchange``, as far as they were typed."""
        return ["--offline"] if self.offline else []

    def venue(self, name: str | None) -> str:
        """Whose rules apply: those named, else the exchange's own.

        :raises InputError: the exchange has no rule book here.
        """
        if name is not None:
            return name
        if self.exchange is None:
            return USUAL_VENUE
        from bt_margin.venues import venue, venues

        try:
            venue(self.exchange)
        except UnknownVenue:
            todo = f"say whose rules apply with --venue, or state your own: {RULES}"
            what, known = "no rule book of the exchange", ", ".join(venues())
            raise InputError(message(what, self.exchange, known, todo=todo)) from None
        return self.exchange

    def _options(self) -> Any:
        """What the ccxt class of this exchange is given."""
        exchange = self.exchange or ""
        return download.own_options(download.read(self.exchange_options), [exchange])[exchange]

    def _downloaded(self, quiet: bool) -> dict[str, Any]:
        if self.data or self.source is not None:
            what = "--data" if self.data else "--source"
            raise InputError(f"{what} and --exchange name two markets; give one of them")
        if self.symbols is None or self.since is None:
            lacking = "--symbols" if self.symbols is None else "--since"
            raise InputError(f"--exchange {self.exchange} needs {lacking} as well")
        from bt_margin.market import download as market

        with download.bars(quiet) as told:
            return market.download(
                self.exchange or "", self.symbols, self.timeframe or "1h", self.since, self.until,
                store=self.store, exchange_options=self._options(),
                missing_funding=self.missing_funding or "fail",
                missing_marks=self.missing_marks or "skip",
                offline=self.offline, progress=told, said=download.aside(quiet),
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Detailed(Source):
    """A market whose dangerous bars may come with finer ones."""

    detail: o.Detail = None

    def _of_a_store(self) -> list[str]:
        return [*(["--detail"] if self.detail is not None else []), *Source._of_a_store(self)]

    def finer(self, quiet: bool) -> Any:
        """Who delivers the finer bars of dangerous bars; None where none were asked for."""
        if self.detail is None or self.exchange is None:
            return None
        from bt_margin.market.download import FinerBars

        return FinerBars(
            self.exchange, self.detail, store=self.store,
            exchange_options=self._options(), offline=self.offline,
            said=download.aside(quiet),
        )  # fmt: skip
