"""Analyzers: the ledger, the liquidations, the funding and the use of margin, as plain dictionaries.

    cerebro.addanalyzer(btm.analyzers.Liquidations)
    strategy.analyzers.liquidations.get_analysis()["count"]

``get_analysis()`` returns an ordered dict of plain numbers, strings, lists and dicts. Times are
naive UTC datetimes, as in backtrader's own analyzers; money is in the account's currency. Under a
broker without a margin account the same keys hold zeros and empty lists. Only :class:`MarginUse`
works during the run; the others read the account's books once, at its end.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import backtrader as bt

from bt_margin.plugin.asking import account_of, currency_of, told, utc

__all__ = ["Funding", "Ledger", "Liquidations", "MarginUse"]

Analysis = OrderedDict[str, Any]


class Ledger(bt.Analyzer):
    """Every change of every balance.

    ``entries``   list of dicts: id, time, pool, kind, amount (signed), symbol, event (id)
    ``totals``    sum of the amounts by kind (deposit, realised, fee, funding, ...), of all currencies
    ``by_currency``  the same for each currency: the one to read where wallets are in several coins
    ``balances``  sum of the amounts by pool, which is the pool's balance at the end
    """

    def create_analysis(self) -> None:
        """The keys, empty."""
        self.rets: Analysis = OrderedDict(entries=[], totals={}, by_currency={}, balances={})

    def stop(self) -> None:
        """Read the account's ledger."""
        account = account_of(self.strategy.broker)
        if account is None:
            return
        balances: dict[str, float] = {}
        for entry in account.ledger:
            balances[entry.pool] = balances.get(entry.pool, 0.0) + entry.amount
            self.rets["entries"].append({**entry._asdict(), "time": utc(entry.time)})
            unit = currency_of(account, entry.pool, entry.symbol)
            kinds = self.rets["by_currency"].setdefault(unit, {})
            kinds[entry.kind] = kinds.get(entry.kind, 0.0) + entry.amount
        self.rets["balances"] = balances
        self.rets["totals"] = dict(account.ledger.totals)


class Liquidations(bt.Analyzer):
    """What the venue took away, and how near it came.

    ``count``         closings by the venue        ``breaches``   pools that fell to their
    maintenance ``margin_calls``  warnings before              ``realised``   profit booked by
    liquidations (a loss) ``fees``          liquidation fees, positive   ``shortfall``  loss borne
    by the insurance fund ``dead``          whether the account ended with nothing ``liquidations``
    list of dicts: id, time, symbol, pool, size (of the fill), price, mark, realised, fee,
    maintenance and equity of the breach, reason, cause (id of the breach)
    """

    def create_analysis(self) -> None:
        """The keys, empty."""
        self.rets: Analysis = OrderedDict(
            count=0, breaches=0, margin_calls=0, realised=0.0, fees=0.0, shortfall=0.0,
            dead=False, liquidations=[],
        )  # fmt: skip

    def stop(self) -> None:
        """Read the account's events."""
        rets, account = self.rets, account_of(self.strategy.broker)
        if account is None:
            return
        for event in account.events:
            if event.kind == "breach":
                rets["breaches"] += 1
            elif event.kind == "margin_call":
                rets["margin_calls"] += 1
            elif event.kind == "shortfall":
                rets["shortfall"] += told(account, event, event.amount)
            elif event.kind == "liquidation":
                rets["count"] += 1
                rets["realised"] += told(account, event, event.realised)
                rets["fees"] += told(account, event, event.fee)
                rets["liquidations"].append(liquidation_row(event))
        rets["dead"] = account.dead


class Funding(bt.Analyzer):
    """What funding cost and brought.

    ``paid``, ``received``  both positive          ``net``    received − paid, the change of the
    wallet ``count``               settlements on open positions ``by_symbol``           the same
    four numbers per symbol ``settlements``         list of dicts: time, symbol, size, mark, rate,
    amount (signed)
    """

    def create_analysis(self) -> None:
        """The keys, empty."""
        self.rets: Analysis = OrderedDict(no_funding(), by_symbol={}, settlements=[])

    def stop(self) -> None:
        """Read the account's events."""
        account = account_of(self.strategy.broker)
        if account is None:
            return
        for event in account.events:
            if event.kind != "funding":
                continue
            amount = told(account, event, event.amount)
            own = self.rets["by_symbol"].setdefault(event.symbol, no_funding())
            for sums in (self.rets, own):
                sums["paid" if amount < 0.0 else "received"] += abs(amount)
                sums["net"] += amount
                sums["count"] += 1
            self.rets["settlements"].append(
                {
                    "time": utc(event.time),
                    "symbol": event.symbol,
                    "size": event.size,
                    "mark": event.mark,
                    "rate": event.found,
                    "amount": amount,
                }
            )


class MarginUse(bt.Analyzer):
    """How much of the account was at work, bar by bar at the close.

    ``bars``, ``bars_open``        bars seen, and bars with a position ``use_mean``, ``use_max``
    initial margin / equity; the mean is over the bars with a position ``exposure_mean``,
    ``exposure_max``  gross notional / equity, likewise ``ratio_max``, ``ratio_max_time``
    highest maintenance / equity of any pool (1 is liquidation) ``available_min``
    least margin available, None without an account
    """

    def create_analysis(self) -> None:
        """The keys, empty."""
        self.rets: Analysis = OrderedDict(
            bars=0, bars_open=0, use_mean=0.0, use_max=0.0, exposure_mean=0.0, exposure_max=0.0,
            ratio_max=0.0, ratio_max_time=None, available_min=None,
        )  # fmt: skip
        self._use = self._exposure = 0.0

    def next(self) -> None:
        """Take in one bar."""
        rets = self.rets
        rets["bars"] += 1
        account = account_of(self.strategy.broker)
        if account is None:
            return
        equity, free = account.figures()
        if rets["available_min"] is None or free < rets["available_min"]:
            rets["available_min"] = free
        if not account.exposed() or equity <= 0.0:
            return
        initial = notional = ratio = 0.0
        for pool in account.pools.values():
            ratio = max(ratio, pool.ratio())
            rate = account.rate(pool.currency)
            for position in pool.positions:
                value = position.notional_at(position.mark) * rate
                notional += value
                initial += value / position.leverage
        self._take(initial / equity, notional / equity)
        if ratio > rets["ratio_max"]:
            rets["ratio_max"], rets["ratio_max_time"] = ratio, utc(account.time)

    def _take(self, use: float, exposure: float) -> None:
        rets = self.rets
        rets["bars_open"] += 1
        self._use += use
        self._exposure += exposure
        rets["use_max"] = max(rets["use_max"], use)
        rets["exposure_max"] = max(rets["exposure_max"], exposure)

    def stop(self) -> None:
        """The means."""
        if self.rets["bars_open"]:
            self.rets["use_mean"] = self._use / self.rets["bars_open"]
            self.rets["exposure_mean"] = self._exposure / self.rets["bars_open"]


def no_funding() -> dict[str, Any]:
    """The sums of a symbol that has paid and received nothing."""
    return {"paid": 0.0, "received": 0.0, "net": 0.0, "count": 0}


def liquidation_row(event: Any) -> dict[str, Any]:
    """One liquidation event as a plain dict."""
    return {
        "id": event.id,
        "time": utc(event.time),
        "symbol": event.symbol,
        "pool": event.pool,
        "size": event.size,
        "price": event.price,
        "mark": event.mark,
        "realised": event.realised,
        "fee": event.fee,
        "maintenance": event.found,
        "equity": event.allowed,
        "reason": event.reason,
        "cause": event.cause,
    }
