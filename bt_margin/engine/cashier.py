"""Money that comes, goes and accrues without a fill: deposits, funding, interest, the end of a market.

Each of these is one event and the ledger entries that name it; what they do to a pool's health is judged by
whoever moves the marks.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from bt_margin.core import funding as funding_rule
from bt_margin.engine import settings
from bt_margin.engine.book import Book
from bt_margin.engine.events import Event
from bt_margin.engine.pledge import Pledge
from bt_margin.engine.pool import Pool, Position
from bt_margin.errors import CashError
from bt_margin.venues.names import DOLLARS

if TYPE_CHECKING:
    from bt_margin.engine.liquidation import Hooks


def _free(size: float, price: float) -> float:
    """No fee."""
    return 0.0


class Cashier(Book):
    """The part of :class:`~bt_margin.engine.account.Account` that moves money outside of fills."""

    carried: int
    """Until when interest and borrow fees are charged   [UTC ms]."""

    @abstractmethod
    def liquidate(self, pool: Pool, hooks: Hooks | None = None, *, crossed: bool = False) -> None:
        """Liquidate a pool in breach."""

    def deposit(self, amount: float, currency: str | None = None) -> Event:
        """Add money to a free wallet (None: the account's currency); a dead account lives again."""
        if not 0 <= amount < float("inf"):
            raise CashError(f"a deposit of {amount} is not possible; allowed: finite, 0 or more")
        pool = self._wallet(currency)
        self._post(pool, "deposit", amount, None, len(self.events))
        event = self.record("deposit", pool=pool, amount=amount)
        if self.dead and pool.balance > 0:
            self.dead = False
            self.record("revived", pool=pool, cause=event.id)
        return event

    def _wallet(self, currency: str | None) -> Pool:
        unit = currency or self.currency
        pool = self.wallets.get(unit) or self.vault.get(unit)
        if pool is None:
            held = ", ".join(self.wallets)
            raise CashError(f"the account has no wallet in {currency}; it has {held}")
        return pool

    def withdraw(self, amount: float, currency: str | None = None) -> Event:
        """Take money out of a free wallet; more than may leave is refused (CashError).

        Unrealised profit is margin, but not money yet: it cannot be withdrawn or moved to another pool.
        """
        pool = self._wallet(currency)
        free = self.lendable(pool) if currency in self.vault else self.transferable(pool)
        if not 0 <= amount <= free * (1 + 1e-12):
            self.record(
                "refused", pool=pool, amount=-amount, reason="withdrawal",
                found=amount, allowed=free,
            )  # fmt: skip
            raise CashError(f"a withdrawal of {amount:,.2f} exceeds {free:,.2f}, what is available")
        amount = min(amount, free)
        self._post(pool, "withdrawal", -amount, None, len(self.events))
        return self.record("withdrawal", pool=pool, amount=-amount)

    def lendable(self, vault: Pool) -> float:
        """How much of a pledged coin may leave: what the initial margin does not need of it."""
        pledge = next(one for one in self.cross.pledges if one.vault is vault)
        unit = pledge.margin() / vault.balance if vault.balance else 0.0
        free = max(0.0, self.available())
        return vault.balance if not unit else min(vault.balance, free / unit)

    def price(self, currency: str, price: float) -> None:
        """Say what a coin is worth in the account's currency, where no feed does."""
        settings.valid_price(currency, price)
        self.rates[currency] = price
        for pledge in self.cross.pledges:
            if pledge.coin == currency:
                self._source_of(pledge, None, price)
        if self.vault and self.cross.breached():
            self.liquidate(self.cross)

    def pledge(self, coin: str, amount: float) -> None:
        """Deposit a coin as collateral of the cross pool; CashError where the venue takes none of it."""
        ratio = self.venue.collateral_ratio(coin, self.time)
        if ratio is None:
            taken = ", ".join(self.venue.collateral) or "none"
            raise CashError(f"{self.venue.title} takes no {coin} as collateral; it takes {taken}")
        if coin not in self.vault:
            vault = self.vault[coin] = Pool(f"collateral:{coin}", "cross", coin)
            pledge = Pledge(vault, ratio)
            self.cross.pledges.append(pledge)
            dollar = 1.0 if DOLLARS.issuperset((coin, self.currency)) else 0.0
            source = None if coin in self.rates else self.sources.get(coin)
            self._source_of(pledge, source, self.rates.get(coin, dollar))
        self.deposit(amount, coin)

    @staticmethod
    def _source_of(pledge: Pledge, source: Position | None, price: float = 0.0) -> None:
        if pledge.source is not None:
            pledge.source.backs = False
        pledge.source, pledge.price = source, price
        if source is not None:
            source.backs = True

    def pay_debts(self) -> None:
        """Convert pledged coins where a debt has grown beyond what the venue lets stand, or beyond the coins.

        What a pool without positions owes more than its coins are worth as margin is due; what they do not
        fetch is a shortfall.
        """
        most, pool = self.venue.conversion.threshold, self.cross
        owes = bool(pool.pledges) and pool.balance < 0
        ruined = owes and not pool.positions and pool.backing() <= 0
        if ruined or (owes and most is not None and pool.balance < -most):
            self.convert(pool)
        if ruined:
            self._settle_empty(pool, len(self.events) - 1)

    def fund(
        self, symbol: str, rate: float, mark: float | None = None, time: int | None = None
    ) -> Event | None:
        """Settle funding on the open position: longs pay when the rate is positive. None when flat.

        A pool that the payment brings into breach is liquidated at once.
        """
        event = self.book_funding(symbol, rate, mark, time)
        pool = self.position(symbol).pool
        if pool is not None and pool.breached():
            self.liquidate(pool)
        return event

    def book_funding(
        self, symbol: str, rate: float, mark: float | None = None, time: int | None = None
    ) -> Event | None:
        """Settle funding and leave the verdict to the bar that goes on (the stepper's way)."""
        p = self.position(symbol)
        if p.pool is None or self.venue.funding.payer == "nobody":
            return None
        settings.valid_number(f"funding rate of {symbol}", rate)
        price = p.mark if mark is None else settings.valid_price(symbol, mark)
        amount = funding_rule.payment(p.contract, p.size, price, rate)
        if self.venue.funding.capped and amount < 0:
            room = p.pool.equity() - p.pool.maintenance() * (1 + 1e-9)
            amount = max(amount, -max(0.0, room))
        own = self._paid_elsewhere(p, p.pool, amount)
        self._post(p.pool, "funding", own, p.symbol, len(self.events))
        return self.record(
            "funding", p, size=p.size, mark=price, amount=amount, found=rate, time=time
        )

    def _paid_elsewhere(self, p: Position, pool: Pool, amount: float) -> float:
        """Let the free wallet bear an isolated position's funding where the venue does; what is left."""
        if self.venue.funding.payer == "pool" or pool.symbol is None:
            return amount
        home = self.home(p)
        free = max(0.0, self.transferable(home))
        share = max(amount, -free)
        self._post(home, "funding", share, p.symbol, len(self.events))
        return amount - share

    def accrue(self, time: int) -> None:
        """Charge interest and borrow fees up to ``time``; what that does to a pool the bar will tell."""
        carry, since = self.venue.carry, self.carried
        if carry is None or time <= since:
            return
        self.carried = time
        for pool in list(self.pools.values()):
            if not pool.positions:
                continue
            if self.watching:
                self._rejudge(pool)  # what is asked may have changed with time alone
            for charge in carry.due(pool.seen(), since, time):
                if charge.amount:
                    self._post(pool, "interest", -charge.amount, charge.symbol, len(self.events))
                    p = self.book.get(charge.symbol) if charge.symbol else None
                    self.record(
                        "interest", p, pool=pool, amount=-charge.amount, reason=charge.reason
                    )

    def delist(self, symbol: str) -> Event | None:
        """The symbol's market is over: an open position is closed at its last mark, without a fee.

        Returns the closing fill, whose cause is the ``delisted`` event; None when nothing was open.
        """
        p = self.position(symbol)
        over = self.record("delisted", p, size=p.size, reason="the market was delisted")
        if not p.size:
            return None
        made = self.plan(symbol, -p.size, p.mark, _free, -1)
        return self.commit(
            p,
            made,
            p.mark,
            "fill",
            "fee",
            cause=over.id,
            reason="closed at the last mark, delisted",
        )

    def charge_interest(self, amount: float, symbol: str | None = None) -> Event:
        """Charge interest (a positive amount leaves the wallet; what a flat one lacks is a shortfall)."""
        settings.valid_number("interest", amount)
        p = self.position(symbol) if symbol else None
        pool = (p.pool if p else None) or (self.home(p) if p else self.cross)
        self._post(pool, "interest", -amount, symbol, len(self.events))
        event = self.record("interest", p, pool=pool, amount=-amount)
        if not pool.positions:
            self._settle_empty(pool, event.id)
        return event
