"""Wallets in coin, and the currency the account is told in.

    MarginBroker(venue="binancecoinm", cash=1.0)                                  # one coin, told in coin
    MarginBroker(venue="binancecoinm", cash={"BTC": 0.5}, currency="USD")         # the same, told in dollars
    MarginBroker(venue=..., cash={"BTC": 0.5, "ETH": 10})                         # several: told in dollars
    MarginBroker(venue="okx", cash=5_000, collateral={"BTC": 0.2})                # a coin that backs them

Each wallet backs the contracts that settle in its coin and no other. The account's books (events, ledger,
margins, ``fetch_balance``) are in coin; what backtrader sees (cash, value, fund, orders, trades) is in the
account's currency. A coin is worth the last mark of the first feed that trades it; before the first bar, that
feed's first price.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from bt_margin.core.contract import Contract
from bt_margin.errors import CashError, InputError
from bt_margin.venues.names import DOLLARS, quote_of

if TYPE_CHECKING:
    from bt_margin.engine.account import Account
    from bt_margin.engine.events import Event
    from bt_margin.plugin.instrument import Instrument

    Base: Any = object
else:
    Base = object

NAN: Final = float("nan")


class Wallets(Base):
    """The part of :class:`MarginBroker` that knows what the wallets are worth."""

    account: Account

    def _wallets_reset(self) -> None:
        self._converts = bool(self._units()[1:])
        self._valued = not self._converts
        self.rates: dict[str, array[float]] = {}
        """By wallet, what a unit was worth at each bar of the equity curve; empty without conversion."""

    def _units(self) -> list[str]:
        """Every currency the account holds: the wallets, the account's own first, and the coins pledged."""
        return [*self.account.wallets, *self.account.vault]

    # -- what is given --------------------------------------------------------------------------

    def _opened(self, contracts: Sequence[Contract]) -> str | None:
        """The currency of an account for these contracts, and the wallets they need.

        :raises InputError: a contract without a wallet, a wallet nobody knows the price of.
        """
        return account_currency(self.p.cash, self.p.currency, contracts)

    def _price_wallets(self) -> None:
        """Once the feeds are there: every coin is worth the first price of the first feed that trades it."""
        account = self.account
        self._converts = bool(self._units()[1:])
        if not self._converts:
            return
        for unit in self._units():
            if {unit, account.currency} <= DOLLARS and unit not in account.sources:
                account.price(unit, 1.0)  # a dollar for a dollar
        for quote in self._instruments:
            first = first_price(quote.data)
            if first is not None and not quote.position.mark:
                quote.position.move(first)
        for place, event in enumerate(account.events):  # told before there was a price
            account.events[place] = replace(event, equity=self._worth_until(place))
        unknown = [unit for unit in account.vault if not account.rate(unit) and self._all_loaded()]
        if unknown:
            raise InputError(
                f"no feed tells what the collateral {unknown[0]} is worth; add a feed of "
                f"{unknown[0]}, which need not be traded"
            )
        self._begin_at(account.equity())

    def _all_loaded(self) -> bool:
        return all(first_price(quote.data) is not None for quote in self._instruments)

    def _worth_until(self, last: int) -> float:
        """What had been paid in with an opening event, at the first prices."""
        paid = self.account.events[: last + 1]
        return sum([(e.amount or 0.0) * self.account.rate(unit_of(e)) for e in paid])

    def _begin_at(self, value: float) -> None:
        """The value the run begins with: what statistics and the fund count from."""
        self.startingcash = self.cash = value
        self._value = self._valuelever = value
        self._fundval = self.p.fundstartval
        self._fundshares = value / self._fundval if value > 0.0 else 1.0
        self._valued = value > 0.0

    def _value_early(self) -> None:
        """Before the first bar, where somebody asks: at the first prices of the feeds, if they are loaded."""
        prices: dict[str, float] = {}
        for data in getattr(getattr(self, "cerebro", None), "datas", ()):
            first = first_price(data)
            if first is not None:
                prices.setdefault(self.name_of(data).partition("/")[0], first)
        account, total = self.account, 0.0
        for unit, pool in (account.wallets | account.vault).items():
            alike = unit == account.currency or {unit, account.currency} <= DOLLARS
            total += (
                pool.balance * (1.0 if alike else prices.get(unit, NAN)) if pool.balance else 0.0
            )
        if total > 0.0:
            self._begin_at(total)
        else:
            self.cash = self._value = NAN

    # -- from bar to bar ------------------------------------------------------------------------

    def _begin_late(self) -> None:
        """At the close: where no feed had a price before the run, its value begins with the first mark."""
        if not self._valued:
            self._begin_at(self.account.equity())

    def _note_rates(self, again: bool) -> None:
        for unit in self._units():
            column = self.rates.setdefault(unit, array("d"))
            if again:
                column[-1] = self.account.rate(unit)
            else:
                column.append(self.account.rate(unit))

    def told_rate(self, quote: Instrument, price: float) -> float:
        """What one unit of a symbol's settlement currency is worth in what backtrader is told, at a price."""
        contract = quote.position.contract
        if not self._converts or contract.settle == self.account.currency:
            return 1.0
        return price if contract.kind == "inverse" else self.account.rate(contract.settle)

    # -- money that comes and goes --------------------------------------------------------------

    def add_cash(self, cash: float, currency: str | None = None) -> None:
        """Deposit (below 0: withdraw) with the next bar: in ``currency``, else in the account's.

        An account told in another currency than its one coin buys the coin at the mark of that moment; with
        several coins the one must be named.
        """
        held = self._units()
        if currency is not None and currency not in held:
            raise CashError(f"the account has no wallet in {currency}; it has {', '.join(held)}")
        if currency is None and len(self._funded()) > 1:
            raise CashError(
                f"the account has wallets in {', '.join(self._funded())}; name one: "
                f"add_cash({cash:g}, currency={self._funded()[0]!r})"
            )
        self._cash_addition.append((float(cash), currency))

    def _funded(self) -> list[str]:
        """The wallets that money was given for; the others are only there to count in."""
        given = self.p.cash
        return list(given) if isinstance(given, Mapping) else [self.account.currency]

    def _addition(self, amount: float, currency: str | None) -> tuple[str, float, float]:
        """Wallet, amount in its currency, and worth in the account's at the close a share was priced at."""
        unit, rate = currency or self._funded()[0], 1.0
        if self._converts:
            closes = self.rates.get(unit)
            rate = closes[-1] if closes else self.account.rate(unit)
        return (unit, amount / rate, amount) if currency is None else (unit, amount, amount * rate)


def account_currency(cash: Any, currency: str | None, contracts: Sequence[Contract]) -> str | None:
    """What an account is valued in: as said, else its one currency, else what its contracts are quoted in.

    None: nothing is known, so the venue's own.

    >>> coins = [Contract.parse("BTC/USD:BTC"), Contract.parse("ETH/USD:ETH")]
    >>> account_currency({"BTC": 1, "ETH": 1}, None, coins), account_currency({"BTC": 1}, None, coins[:1])
    ('USD', 'BTC')
    """
    settles = list(dict.fromkeys(c.settle for c in contracts))
    if not isinstance(cash, Mapping):
        return _of_one_number(cash, currency, settles)
    missing = [unit for unit in settles if unit not in cash]
    if missing:
        raise InputError(
            f"the feeds settle in {', '.join(settles)}, and cash= has wallets in "
            f"{', '.join(cash)}; give cash={{..., {missing[0]!r}: amount}}"
        )
    if currency is None and len(cash) == 1:
        return str(next(iter(cash)))
    chosen = currency or _quoted_in(cash, contracts)
    for unit in cash:
        if unit != chosen and contracts and not _priced_in(unit, chosen, contracts):
            raise InputError(
                f"no feed tells what {unit} is worth in {chosen}; "
                f"add a feed of {unit}/{chosen}, or count in another currency"
            )
    for contract in contracts:
        if contract.settle != chosen and not _quoted(contract, chosen):
            raise InputError(
                f"{contract.symbol} settles in {contract.settle} and is not quoted in {chosen}; "
                "count in what it is quoted in"
            )
    return chosen


def _of_one_number(cash: Any, currency: str | None, settles: list[str]) -> str | None:
    if len(settles) > 1:
        raise InputError(
            f"the feeds settle in {', '.join(sorted(settles))}; say what each wallet holds, "
            f"cash={{{', '.join(f'{unit!r}: amount' for unit in settles)}}}, "
            "or run them on accounts of their own"
        )
    own = settles[0] if settles else None
    if currency is not None and own is not None and currency != own:
        raise InputError(
            f"cash={cash!r} is one number, and the account is to be told in {currency} while its contracts "
            f"settle in {own}; say what it is: cash={{{own!r}: {cash!r}}}"
        )
    return own or currency


def _quoted_in(cash: Mapping[str, Any], contracts: Iterable[Contract]) -> str:
    """A wallet that is a currency, else the one currency all contracts are quoted in."""
    money = [unit for unit in cash if unit in DOLLARS]
    quotes = sorted({quote_of(c.symbol) for c in contracts} - {""})
    if money or len(quotes) == 1:
        return money[0] if money else quotes[0]
    if not quotes:
        return "USD"
    raise InputError(
        f"the feeds are quoted in {', '.join(quotes)}; say what the account counts in: currency={quotes[0]!r}"
    )


def _priced_in(unit: str, currency: str, contracts: Iterable[Contract]) -> bool:
    """Whether a feed says what a coin is worth; one dollar stands for another."""
    if unit in DOLLARS and currency in DOLLARS:
        return True
    return any(c.symbol.partition("/")[0] == unit and _quoted(c, currency) for c in contracts)


def _quoted(contract: Contract, currency: str) -> bool:
    """Whether a contract's prices are in a currency, one dollar being as good as another."""
    quote = quote_of(contract.symbol)
    return quote == currency or DOLLARS.issuperset((quote, currency))


def first_price(data: Any) -> float | None:
    """The first price a feed has loaded: the mark at an open, else the last price there."""
    for name in ("mark_open", "open"):
        values: Any = getattr(getattr(data.lines, name, None), "array", ())
        known = next((value for value in values if 0.0 < value < float("inf")), None)
        if known is not None:
            return float(known)
    return None


def unit_of(event: Event) -> str:
    """The currency of a deposit, from the wallet it went to."""
    return str(event.pool).partition(":")[2]


def opening_number(cash: Any) -> float:
    """A number for what backtrader's own broker begins with: the cash, or that of one wallet."""
    if not isinstance(cash, Mapping):
        return float(cash)
    return float(next(iter(cash.values()))) if cash else 0.0
