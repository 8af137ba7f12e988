"""The one writer: every change of a balance is a ledger entry, everything that happens is an event.

All money moves through one line, :meth:`Book._post`. Entries are written first and name the event they
belong to, which is appended right after them with the balances they left.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from bt_margin.engine.events import Event
from bt_margin.engine.plan import Plan, Refusal
from bt_margin.engine.pool import MarginMode, Pool, Position
from bt_margin.engine.reading import AccountView
from bt_margin.errors import InvariantError


class Fill(NamedTuple):
    """What a fill booked: signed opened and closed parts, result, fees, and the position afterwards."""

    opened: float
    closed: float
    realised: float
    closing_fee: float
    opening_fee: float
    size: float
    entry: float
    event: Event | None
    refusal: Refusal | None
    opening_cost: float = 0.0
    """What opening took beside the fee, booked as interest: a borrow's opening fee, price impact."""

    @property
    def fee(self) -> float:
        """Both fees together."""
        return self.closing_fee + self.opening_fee


class Book(AccountView):
    """The writing half of :class:`~bt_margin.engine.account.Account`; private to the engine."""

    debug: bool
    vault: dict[str, Pool]
    watching: bool
    """Whether a change of a balance changes what is asked of its pool."""

    def record(
        self,
        kind: str,
        position: Position | None = None,
        *,
        pool: Pool | None = None,
        time: int | None = None,
        **facts: Any,
    ) -> Event:
        """Append an event; pool, mark, balance and equity are filled in from the state."""
        pool = pool or (position.pool if position else None)
        if position is not None:
            facts.setdefault("mark", position.mark or None)
        facts.setdefault("equity", self.solvent_equity())
        facts.setdefault("balance", pool.balance if pool else None)
        if pool is not None:
            facts.setdefault("pool", pool.key)
        symbol = position.symbol if position else None
        event = Event(
            len(self.events), self.time if time is None else time, kind, symbol=symbol, **facts
        )
        self.events.append(event)
        return event

    def _post(self, pool: Pool, kind: str, amount: float, symbol: str | None, event: int) -> None:
        """Change a balance: the one line through which all money moves."""
        if amount:
            pool.balance += amount
            self.ledger.append(self.time, pool.key, kind, amount, symbol, event)
            if self.watching:
                self._rejudge(pool)
        if self.debug:
            self.audit_totals()

    def _rejudge(self, pool: Pool) -> None:
        """What the venue asks of a pool when its balance or its positions have changed."""
        if self.venue.shared is not None:
            flat = not pool.positions
            pool.shared = 0.0 if flat else self.venue.shared.of(pool.seen(), self.time)
        if pool.symbol is not None:
            for p in pool.positions:
                if p.rule.reads_balance:
                    p.refresh()

    def rejudge(self, p: Position) -> None:
        """Ask the margin rule anew after a change of the position, and of its other side."""
        p.refresh()
        if p.other is not None:
            p.other.refresh()
        if p.pool is not None and self.watching:
            self._rejudge(p.pool)

    def audit_totals(self) -> None:
        """The money identity alone (cheap enough for every entry)."""
        total, held = (
            sum(self.ledger.totals.values()),
            sum([p.balance for p in self._all_pools()]),
        )
        if abs(total - held) > 1e-9 * max(1.0, max(map(abs, self.ledger.totals.values()))):
            raise InvariantError(f"ledger totals sum to {total!r}, balances to {held!r}")

    def move_money(
        self, source: Pool, target: Pool, amount: float, symbol: str | None, event: int
    ) -> None:
        """Transfer between two pools: a pair of entries that cancel."""
        self._post(source, "transfer", -amount, symbol, event)
        self._post(target, "transfer", amount, symbol, event)

    def _pool(self, key: str, mode: MarginMode, symbol: str | None = None) -> Pool:
        pool = self.pools.get(key)
        if pool is None:
            currency = self.currency if symbol is None else self.book[symbol].contract.settle
            pool = self.pools[key] = Pool(key, mode, currency, symbol, self.venue.strict)
        return pool

    def commit(
        self,
        p: Position,
        made: Plan,
        price: float,
        kind: str,
        fee_kind: str,
        **facts: Any,
    ) -> Event:
        """Carry out a plan: entries first, then the event, then what a flat or ruined pool entails."""
        event_id, before, owed, home = len(self.events), p.pool, 0.0, self.home(p)
        if made.closed and before is not None:
            self._post(before, "realised", made.realised, p.symbol, event_id)
            self._post(before, fee_kind, -made.closing_fee, p.symbol, event_id)
            self._close_part(p, before, made, event_id)
            if made.opened and before is not home:
                owed = self._cover(before, event_id + 1)  # the old side's loss is not the new one's
        if made.opened:
            self._open_part(p, made, price, event_id)
            if not p.size or made.closed:
                p.opened = self.time
        p.size, p.entry, p.changed = made.size, made.entry, self.time
        if not p.plain or self.watching:
            self.rejudge(p)
            if before is not None and before is not p.pool:
                self._rejudge(before)
        if (
            before is not None
            and before.balance < 0
            and not before.positions
            and not before.coins()
        ):
            # the fund bears it at once: the event tells what is left, the shortfall what was missing
            borne = -before.balance if before is home else 0.0  # an isolated one counts as 0
            facts |= {"balance": 0.0, "equity": self.solvent_equity() + borne}
        event = self.record(
            kind, p, pool=p.pool or before, size=made.opened + made.closed, price=price,
            realised=made.realised, fee=made.fee, **facts,
        )  # fmt: skip
        if before is not None and owed:
            self._shortfall(before, owed, event.id)
        if before is not None and not before.positions:
            self._settle_empty(before, event.id)
        return event

    def _close_part(self, p: Position, pool: Pool, made: Plan, event_id: int) -> None:
        if made.opened or not made.size:
            pool.positions.remove(p)
            p.pool = None
            home = self.home(p)
            if pool is not home and pool.balance > 0:
                self.move_money(pool, home, pool.balance, p.symbol, event_id)
        elif made.released:
            self.move_money(pool, self.home(p), made.released, p.symbol, event_id)

    def _open_part(self, p: Position, made: Plan, price: float, event_id: int) -> None:
        home = self.home(p)
        if p.pool is None:
            self.attach(p, p.margin_mode)
        extra = self.opening_cost(p, made.opened, price)
        if p.pool is not None and p.pool is not home:
            # what the check lets through as noise of floats is not taken out of an empty wallet
            missing = max(0.0, made.posted + made.opening_fee + extra - home.balance)
            posted = max(0.0, made.posted - missing)
            self.move_money(home, p.pool, posted, p.symbol, event_id)
        self._post(home, "fee", -made.opening_fee, p.symbol, event_id)
        self._post(home, "interest", -extra, p.symbol, event_id)

    def attach(self, p: Position, mode: MarginMode) -> None:
        """Put an open position into the pool of a mode; the money follows by :meth:`move_money`."""
        if p.pool is not None:
            p.pool.positions.remove(p)
            if p.pool.symbol is not None:
                self.pools.pop(p.pool.key)
        isolated = mode == "isolated"
        p.pool = (
            self._pool(f"isolated:{p.symbol}", "isolated", p.symbol) if isolated else self.home(p)
        )
        p.pool.positions.append(p)

    def _settle_empty(self, pool: Pool, cause: int) -> None:
        """A pool without positions owes nothing: what is missing is a shortfall borne by the fund."""
        if pool.pledges and pool.balance < 0 and self._debt_is_due(pool, cause):
            self.convert(pool, cause)
        stands = pool.pledges and pool.backing() > 0
        owed = 0.0 if stands else self._cover(pool, len(self.events))
        if owed:
            self._shortfall(pool, owed, cause)
        if pool.symbol is not None:
            self.pools.pop(pool.key, None)
        pool.shared = 0.0
        if self.dead or self.exposed():
            return  # what else is open stands or falls by itself
        if self.solvent_equity() <= self.ledger.totals["deposit"] * 1e-12:
            self.dead = True
            self.record("dead", pool=pool, cause=cause, reason="nothing is left; add cash to go on")

    def _all_pools(self) -> list[Pool]:
        return [*self.pools.values(), *self.vault.values()]

    def _debt_is_due(self, pool: Pool, cause: int) -> bool:
        """Whether coins are sold for the debt of a pool that has just become flat."""
        most = self.venue.conversion.threshold
        grown = most is None or pool.balance < -most
        return grown or pool.backing() <= 0 or self.events[cause].kind == "liquidation"

    def convert(self, pool: Pool, cause: int | None = None) -> None:
        """Sell pledged coins until the pool's debt is paid, those that count for most first."""
        for pledge in sorted(pool.pledges, key=lambda one: (-one.ratio, one.coin)):
            price = pledge.now() * (1.0 - self.venue.conversion.discount)
            held = pledge.vault.balance
            if pool.balance >= 0 or held <= 0 or price <= 0:
                continue
            sold = min(held, -pool.balance / price)
            raised = -pool.balance if sold < held else sold * price
            event = len(self.events)
            self._post(pledge.vault, "conversion", -sold, None, event)
            self._post(pool, "conversion", raised, None, event)
            self.record(
                "conversion", pool=pool, amount=raised, size=-sold, price=price, cause=cause,
                reason=f"{pledge.coin} sold to pay a debt in {pool.currency}",
                info={"coin": pledge.coin},
            )  # fmt: skip

    def _cover(self, pool: Pool, event_id: int) -> float:
        """Lift a balance below zero to zero from the insurance fund; how much that took."""
        owed = max(0.0, -pool.balance)
        self._post(pool, "insurance", owed, pool.symbol, event_id)
        return owed

    def _shortfall(self, pool: Pool, amount: float, cause: int) -> None:
        self.record(
            "shortfall", pool=pool, amount=amount, cause=cause,
            reason="loss beyond the collateral, borne by the insurance fund",
        )  # fmt: skip

    def audit(self) -> None:
        """Check the money identity and every balance; InvariantError names what does not add up."""
        total, held = (
            sum(self.ledger.totals.values()),
            sum([p.balance for p in self._all_pools()]),
        )
        scale = max(1.0, max(map(abs, self.ledger.totals.values())))
        if abs(total - held) > 1e-9 * scale:
            raise InvariantError(f"ledger totals sum to {total!r}, balances to {held!r}")
        for pool in self._all_pools():
            owes = pool.balance < 0 and not pool.pledges
            if not pool.positions and (owes or (pool.symbol and pool.balance)):
                raise InvariantError(f"{pool.key} is flat with a balance of {pool.balance!r}")
