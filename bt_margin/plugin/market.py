"""The broker's feeds: which symbol a feed trades, its commission scheme, funding and marks."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from bt_margin.core.funding import FundingStamp, spread, stamps_from_pairs
from bt_margin.engine.step import Stepper
from bt_margin.errors import InputError, MissingData, UnknownSymbol
from bt_margin.plugin.commission import from_scheme, of_contract
from bt_margin.plugin.instrument import Instrument, bar_length, priced, to_ms
from bt_margin.plugin.reporting import reported
from bt_margin.plugin.series import by_symbol, funding_column, marks_of, stamps_of, thinned
from bt_margin.plugin.valid import SERIES, demanded

if TYPE_CHECKING:
    from bt_margin.engine.account import Account
    from bt_margin.venues.spec import Venue

    Base: Any = object
else:
    Base = object


class Market(Base):
    """The part of :class:`MarginBroker` that knows the feeds."""

    p: Any
    account: Account
    cerebro: Any
    comminfo: dict[Any, Any]

    def _market_reset(self) -> None:
        self._instruments: list[Instrument] = []
        self._of_data: dict[int, Instrument] = {}
        self._infos: dict[int, Any] = {}
        self._rules: dict[int, Any] = {}
        self._ready = False
        self._interest_due = False
        self._margins: dict[str, tuple[Instrument, Any]] = {}
        self._time = 0
        self._without_funding: list[str] = []
        self._without_mark: list[str] = []
        self._repeating_funding: dict[str, int] = {}
        self._idle_symbols: list[str] = []

    def _forget_schemes(self) -> None:
        self._infos, self._rules = {}, {}

    def setcommission(self, *args: Any, **kwargs: Any) -> None:
        """backtrader's own call, all its arguments: see :mod:`bt_margin.plugin.commission`."""
        super().setcommission(*args, **kwargs)
        self._forget_schemes()

    def addcommissioninfo(self, comminfo: Any, name: str | None = None) -> None:
        """backtrader's own call."""
        super().addcommissioninfo(comminfo, name=name)
        self._forget_schemes()

    # -- symbols --------------------------------------------------------------------------------

    def name_of(self, data: Any) -> str:
        """The symbol of a feed by its name (a clone's through its source), as the venue writes it."""
        source = data
        while not source._name and getattr(source, "data", source) is not source:
            source = source.data
        return self.symbol_named(self._label(source))

    def _label(self, source: Any) -> str:
        """What a feed is called: its name, or its place (``data0``) where ``names`` or namesakes ask it."""
        datas = list(getattr(getattr(self, "cerebro", None), "datas", ()))
        place = next((f"data{n}" for n, d in enumerate(datas) if d is source), "")
        name, names = str(source._name or ""), self.p.names or {}
        if place in names:
            return place
        nameless = [d for d in datas if not d._name and getattr(d, "data", d) is d]
        taken = symbol_at(self.account.venue, None, place) if len(nameless) > 1 else None
        return name if name or "" in names or taken is None else place

    def symbol_named(self, name: str) -> str:
        """The symbol behind a feed's name or any spelling of it the venue knows; ``BTC`` is its perpetual."""
        venue = self.account.venue
        found = symbol_at(venue, self.p.names, name)
        if found is not None:
            return found
        if name:
            return venue.resolve(name)  # which says what is wrong with it
        raise UnknownSymbol(
            f"a feed has no name, and {venue.title} needs to know what it is; "
            'give it one (adddata(data, name="BTC/USDT:USDT")) or tell the broker: '
            'names={"data0": "BTC/USDT:USDT"}, by the place of the feed'
        )

    def instrument(self, data: Any) -> Instrument:
        """The instrument of a feed (its symbol, position, bar)."""
        found = self._of_data.get(id(data))
        if found is None:
            if not self._ready:
                self._prepare()
                return self.instrument(data)
            found = self._enter_data(data)
        return found

    def _prepare(self) -> None:
        """Read the feeds once they are there: contracts, schemes, funding, marks."""
        self._ready = True
        datas = list(getattr(getattr(self, "cerebro", None), "datas", ()))
        named = {id(d): self.name_of(d) for d in datas}
        self._rebuild(datas, named)
        for data in sorted(datas, key=_coarseness):  # a market's finest feed, no clone, trades it
            if priced(data):
                self._enter_data(data, named[id(data)])
        self._instruments.sort(key=lambda i: [d is i.data for d in datas].index(True))
        self._price_wallets()
        traded = set(named.values())
        venue, names = self.account.venue, self.p.names
        asked = self.p.symbols or {}
        self._idle_symbols = [s for s in asked if symbol_at(venue, names, s) not in traded]
        self._check_given()
        self._check_required()

    def _rebuild(self, datas: list[Any], named: dict[int, str]) -> None:
        """An account as of the first bar, whose contracts carry what schemes say, in their currency."""
        extra: dict[str, dict[str, Any]] = {}
        contracts = []
        for data in datas:
            symbol = named[id(data)]
            contract = self.account.venue.contract(symbol)
            contracts.append(contract)
            info = from_scheme(self._raw_scheme(data), contract)
            if info.multiplier != contract.multiplier:
                extra.setdefault(symbol, {})["multiplier"] = info.multiplier
        currency = self._opened(contracts) or self.account.currency
        opens = [_first_time(data, self.p.timestamps) for data in datas]
        first = min([time for time in opens if time is not None], default=0)
        self.account = self._new_account(extra, currency, first)
        self._stepper = Stepper(self.account, self.p.intrabar, self._detail)

    def _enter_data(self, data: Any, symbol: str | None = None) -> Instrument:
        symbol = symbol or self.name_of(data)
        known = next((i for i in self._instruments if i.symbol == symbol), None)
        if known is None:
            known = self._new_instrument(data, symbol)
            self._instruments.append(known)
        self._of_data[id(data)] = known
        return known

    def _new_instrument(self, data: Any, symbol: str) -> Instrument:
        position = self.account.position(symbol)
        marks = self._given(self.p.mark, "mark", data, symbol)
        read = marks_of(marks, symbol) if marks is not None else None
        stamps, rules = self._stamps(data, symbol), self.account.venue
        if stamps and rules.funding.accrues:
            stamps = spread(stamps, rules.funding_interval, bar_length(data))
        made = Instrument(data, position, stamps or (), read, self.p.timestamps)
        if stamps is None:
            self._without_funding.append(symbol)
        if read is None and not made.has_mark:
            self._without_mark.append(symbol)
        made.ends_at = self._end_of(data, symbol)
        self._await_end(made)
        info = from_scheme(self._raw_scheme(data), position.contract)
        self._take_leverage(made, info)
        self._interest_due = self._interest_due or bool(getattr(info.p, "interest", 0.0))
        return made

    def _take_leverage(self, quote: Instrument, info: Any) -> None:
        """The leverage a script's scheme states, unless ``symbols`` does.

        A margin that is no fixed share of the price (so many dollars a contract) is followed from bar to
        bar and at each fill, so that a contract always takes the margin the script has written.
        """
        stated = getattr(info, "leverage_at", None)
        if stated is None or self._leverage_given(quote.symbol):
            return
        prices = quote.data.lines.close.array
        known = bool(prices) and prices[0] > 0.0
        low, high = (float(prices[0]), 2.0 * float(prices[0])) if known else (1.0, 1e12)
        leverage, later = stated(low), stated(high)
        if leverage and known:
            quote.position.leverage = leverage
        if later and (not known or leverage is None or abs(later - leverage) > 1e-9 * later):
            self._margins[quote.symbol] = (quote, stated)

    def _follow_margin(self, quote: Instrument, price: float) -> None:
        found = self._margins.get(quote.symbol)
        leverage = found[1](price) if found is not None and price > 0.0 else None
        if leverage:
            quote.position.leverage = leverage

    def posts_by_price(self, quote: Instrument) -> bool:
        """Whether a fill's price decides the leverage its own pool is given: such a bar is walked."""
        return quote.symbol in self._margins and quote.position.margin_mode == "isolated"

    def _follow_margins(self) -> None:
        """At the close of a bar, for schemes that demand so much a contract."""
        for quote, _ in self._margins.values():
            if quote.fresh:
                self._follow_margin(quote, float(quote.lines[3][0]))

    def _leverage_given(self, symbol: str) -> bool:
        """Whether ``symbols`` states the leverage of a symbol, under any of its names."""
        venue, names = self.account.venue, self.p.names
        return any(
            "leverage" in own and symbol in (name, symbol_at(venue, names, name))
            for name, own in (self.p.symbols or {}).items()
        )

    def _given(self, given: Any, what: str, data: Any, symbol: str) -> Any:
        """The series a user gave for a symbol, under any of its names."""
        mapping = by_symbol(given, what)
        for name, series in mapping.items():
            if name == data._name or symbol_at(self.account.venue, self.p.names, name) == symbol:
                return series
        return None

    def _check_given(self) -> None:
        """Series for symbols that nothing trades, and none for those that are: a slip of the pen."""
        for what in ("funding", "mark", "delisted"):
            mapping = by_symbol(getattr(self.p, what), what)
            says = "has series for" if what in SERIES else "names"
            traded = [(i.data, i.symbol) for i in self._instruments]
            if mapping and not any(self._given(mapping, what, d, s) is not None for d, s in traded):
                raise InputError(
                    f"{what}= {says} {', '.join(map(repr, mapping))}, "
                    f"the feeds trade {', '.join(s for _, s in traded)}; use the feeds' symbols"
                )

    def _stamps(self, data: Any, symbol: str) -> tuple[FundingStamp, ...] | None:
        given = self._given(self.p.funding, "funding", data, symbol)
        if given is not None:
            return stamps_of(given, symbol)
        ask = getattr(data, "funding_stamps", None)
        found = ask() if ask is not None else None
        if found is None:
            return None
        once = thinned(found, funding_column(data), self.account.venue.funding_interval)
        if once is None:
            return stamps_from_pairs(found)
        gaps = [two.time - one.time for one, two in pairwise(once)]
        self._repeating_funding[symbol] = min(gaps, default=self.account.venue.funding_interval)
        return once

    def _check_required(self) -> None:
        for what in demanded(self.p.require):
            missing = self._without_funding if what == "funding" else self._without_mark
            if missing:
                raise MissingData(
                    f"{what} was required and is missing for {', '.join(missing)}; "
                    f"use PerpData with it or give the broker {what}={{symbol: series}}"
                )

    # -- schemes --------------------------------------------------------------------------------

    def _raw_scheme(self, data: Any) -> Any:
        source = data
        while source is not None:
            if source._name in self.comminfo:
                return self.comminfo[source._name]
            parent = getattr(source, "data", None)
            source = parent if parent is not source else None
        return self.comminfo[None]

    def getcommissioninfo(self, data: Any) -> Any:
        """The feed's scheme in the account's meaning: the script's own, else the venue's."""
        info = self._infos.get(id(data))
        if info is None:
            info = self._infos[id(data)] = self._info_of(data)
        return info

    def _info_of(self, data: Any) -> Any:
        position = self.instrument(data).position
        info = from_scheme(self._raw_scheme(data), position.contract)
        if getattr(info, "silent", False):
            fees = self.account.venue.fees_at(position.market, self.account.time)
            info = of_contract(
                position.contract, taker=fees.taker, maker=fees.maker, leverage=position.leverage
            )
        in_coin = position.contract.settle != self.account.currency
        return reported(info) if in_coin and position.inverse else info

    def fee_rule(self, data: Any) -> Any:
        """How a fill of this feed is charged: None for the venue's own fees, else the scheme."""
        key = id(data)
        if key not in self._rules:
            info = from_scheme(self._raw_scheme(data), self.instrument(data).position.contract)
            self._rules[key] = None if getattr(info, "silent", False) else info
        return self._rules[key]


def symbol_at(venue: Venue, names: Mapping[str, str] | None, name: str) -> str | None:
    """A venue's symbol for a name, after the user's own ``names``; None when it has none."""
    name = (names or {}).get(name, name)
    try:
        return venue.resolve(name)
    except UnknownSymbol:
        guess = f"{name.upper()}/{venue.currency}:{venue.currency}"
        return guess if name and guess in venue.schedules else None


def _first_time(data: Any, stamped_at: str) -> int | None:
    """When a feed's first bar opens (its current one if it loads bar by bar); None before there is one."""
    times: Any = getattr(data.lines.datetime, "array", ())
    if not len(times) or not times[0] > 0:
        return None
    return to_ms(times[0]) - (bar_length(data) if stamped_at == "close" else 0)


def _coarseness(data: Any) -> tuple[bool, int]:
    """Order of the feeds of one market: its own before resampled clones, the finest first."""
    return bool(getattr(data, "resampling", 0)), bar_length(data)
