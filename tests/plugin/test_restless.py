"""Laws no story may break: a strategy that does anything, anywhere, and the books on every bar.

Every law is a function named by its sentence, with a way to break the code that it must notice.
BT_MARGIN_STORIES=2000 tells many more stories.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from plugin.restless import Life, Story, live

from bt_margin.engine.account import Account
from bt_margin.engine.book import Book
from bt_margin.engine.events import KINDS
from bt_margin.engine.pool import Pool
from bt_margin.engine.step import Stepper
from bt_margin.plugin.booking import Booking
from bt_margin.plugin.broker import MarginBroker
from bt_margin.plugin.forced import Forced

TESTS = Path(__file__).resolve().parents[1]
STORIES = max(24, int(os.environ.get("BT_MARGIN_STORIES", "24")))
#: seeds of stories in linear and, from one in which accounts die, in coin contracts
TOLD = [
    *((seed, False) for seed in range(STORIES)),
    *((seed, True) for seed in range(6, 6 + STORIES // 4)),
]
FIRST = {"Submitted", "Accepted"}
OVER = {"Completed", "Canceled", "Expired", "Margin", "Rejected"}
FOLLOWS = {
    "Submitted": {"Accepted", "Canceled", "Margin", "Rejected"},
    "Accepted": {"Partial", *OVER},
    "Partial": {"Partial", *OVER},
}
#: events in which a position suffers, as opposed to those in which its owner posts margin
SUFFERED = ("funding", "liquidation", "shortfall", "breach")


def near(value: float, scale: float = 1.0) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-9 * scale)


# -- what the strategy sees on every bar ----------------------------------------------------------------


def the_money_adds_up(s: Any) -> None:
    s.broker.account.audit()


def no_pool_is_in_breach(s: Any) -> None:
    for pool in s.broker.account.pools.values():
        assert not pool.positions or pool.equity() > pool.maintenance(), pool


def equity_is_never_below_zero(s: Any) -> None:
    assert s.broker.account.equity() >= -1e-9 * s.p.story.cash


def the_dead_have_nothing(s: Any) -> None:
    account = s.broker.account
    assert not account.dead or account.equity() <= 1e-9 * s.p.story.cash


def margin_is_reserved_for_live_orders_alone(s: Any) -> None:
    reserved = s.broker.account.orders
    resting = {order.ref: order for order in s.broker.pending if order.alive()}
    assert set(reserved.symbol_of) == set(resting)
    for entries in reserved.by_symbol.values():
        for ref, entry in entries.items():
            assert entry.size == near(resting[ref].executed.remsize), ref


def backtraders_books_are_the_accounts(s: Any) -> None:
    """Of either kind of contract; what Mirrored asks comes on top for linear ones."""
    account, scale = s.broker.account, s.p.story.cash
    assert s.broker.getvalue() == pytest.approx(max(0.0, account.equity()), abs=2e-6)  # the floor
    assert s.broker.getcash() == near(max(0.0, account.available()), scale)
    for data in s.datas:
        held, own = s.getposition(data), account.position(data._name)
        assert (held.size, held.price) == (own.size, own.entry if own.size else 0.0)
        if len(data):
            worth = own.contract.notional(own.size, data.close[0])
            assert abs(s.broker.getvalue([data])) == near(worth, scale)


# -- what is left at the end ----------------------------------------------------------------------------


def each_balance_is_the_sum_of_its_entries(life: Life) -> None:
    account = life.broker.account
    sums: dict[str, float] = defaultdict(float)
    for entry in account.ledger:
        sums[entry.pool] += entry.amount
    for key in {**sums, **account.pools}:
        balance = account.pools[key].balance if key in account.pools else 0.0
        assert sums[key] == near(balance, life.story.cash), key


def an_isolated_pool_never_loses_more_than_was_posted(life: Life) -> None:
    """Nothing is taken from the cross pool when it suffers; and what it lost, whenever flat, was posted."""
    account, scale = life.broker.account, life.story.cash
    posted: dict[str, float] = defaultdict(float)
    lost: dict[str, float] = defaultdict(float)
    by_event: dict[int, list[Any]] = defaultdict(list)
    for entry in account.ledger:
        by_event[entry.event].append(entry)
    for event in account.events:
        pool = event.pool or ""
        for entry in by_event[event.id]:
            if entry.pool.startswith("isolated:"):
                (posted if entry.kind == "transfer" else lost)[entry.pool] += entry.amount
            elif event.kind in SUFFERED and pool.startswith("isolated:"):
                assert entry.amount >= 0, entry
        if event.kind == "liquidation" and event.info["whole"]:
            missing = [e.amount for e in by_event[event.id + 1] if e.kind == "insurance"]
            assert -lost[pool] <= posted[pool] + sum(missing) + 1e-9 * scale, event


def orders_go_through_legal_statuses(life: Life) -> None:
    """Submitted, accepted, perhaps in parts, over: once, with no size lost on the way."""
    for strategy in life.strategies:
        last: dict[int, str] = {}
        whole: dict[int, float] = {}
        for line in strategy.told:
            if line[1] != "order":
                continue
            ref, status, done, rest = line[2], line[3], line[5], line[6]
            assert status in (FOLLOWS.get(last[ref], ()) if ref in last else FIRST), line
            assert done + rest == pytest.approx(whole.setdefault(ref, done + rest), abs=3e-6), line
            assert status != "Completed" or not rest, line
            last[ref] = status


def orders_earn_what_the_ledger_realised(life: Life) -> None:
    earned = [order.executed.pnl for order in life.broker.orders]
    assert sum(earned) == near(life.broker.account.ledger.totals["realised"], sum(map(abs, earned)))


def trades_earn_what_the_ledger_realised(life: Life) -> None:
    """Trades of several owners and ids may offset each other: what is open of them counts at the mark.

    Not asked of coin contracts: backtrader's trades average prices, not their reciprocals.
    """
    if life.story.coin:
        return
    account, earned, scale = life.broker.account, 0.0, 0.0
    for strategy in life.strategies:
        for data, by_id in strategy._trades.items():
            p = account.position(data._name)
            for trade in (trade for trades in by_id.values() for trade in trades):
                earned += trade.pnl + p.contract.pnl(trade.size, trade.price or p.mark, p.mark)
                scale += abs(trade.pnl)
    unrealised = sum(p.unrealised() for p in account.positions.values())
    assert earned == near(account.ledger.totals["realised"] + unrealised, scale)


def the_dead_trade_nothing_until_cash_is_added(life: Life) -> None:
    dead, events = False, life.broker.events
    for event in events:
        if event.kind == "revived":
            assert (dead, events[event.cause].kind) == (True, "deposit"), event
        dead = event.kind == "dead" or (dead and event.kind != "revived")
        assert not dead or event.kind not in ("fill", "liquidation", "funding"), event
        if dead and event.kind == "rejected":
            assert event.reason in ("dead", "min_notional", "lot"), event


def every_event_is_found_by_its_number(life: Life) -> None:
    """In the order of time, and a cause comes before what it caused."""
    time = 0
    for place, event in enumerate(life.broker.events):
        assert event.id == place, event
        assert event.kind in KINDS, event
        assert event.cause is None or event.cause < event.id, event
        assert event.time >= time or event.kind == "funding", event
        time = max(time, event.time)


Law = Callable[[Any], None]
ON_EVERY_BAR: tuple[Law, ...] = (
    the_money_adds_up,
    no_pool_is_in_breach,
    equity_is_never_below_zero,
    the_dead_have_nothing,
    margin_is_reserved_for_live_orders_alone,
    backtraders_books_are_the_accounts,
)
AT_THE_END: tuple[Law, ...] = (
    each_balance_is_the_sum_of_its_entries,
    an_isolated_pool_never_loses_more_than_was_posted,
    orders_go_through_legal_statuses,
    orders_earn_what_the_ledger_realised,
    trades_earn_what_the_ledger_realised,
    the_dead_trade_nothing_until_cash_is_added,
    every_event_is_found_by_its_number,
)
MIRRORED, ENDED = "what Mirrored asks", "the run comes to its end"
LAWS = [*(law.__name__ for law in (*ON_EVERY_BAR, *AT_THE_END)), MIRRORED, ENDED]


@dataclass
class Verdict:
    """What a story broke (law → where and what, the first time), and what happened in it."""

    broken: dict[str, str]
    kinds: Counter[str]
    statuses: Counter[str]


def judged(seed: int, coin: bool = False) -> Verdict:
    """Tell a story and hold it against every law."""
    broken: dict[str, str] = {}
    where = f"seed {seed}{', coin' if coin else ''}"

    def hold(laws: tuple[Law, ...], against: Any, when: str) -> None:
        for law in laws:
            try:
                law(against)
            except Exception as error:
                broken.setdefault(law.__name__, f"{where}, {when}: {error!r}")

    def watch(s: Any) -> None:
        hold(ON_EVERY_BAR, s, f"bar {len(s)}")

    try:
        life = live(Story(seed, coin), watch)
    except Exception as error:
        name = MIRRORED if isinstance(error, AssertionError) else ENDED
        return Verdict({**broken, name: f"{where}: {error!r}"}, Counter(), Counter())
    hold(AT_THE_END, life, "at the end")
    lines = [line for s in life.strategies for line in s.told if line[1] == "order"]
    kinds = Counter(event.kind for event in life.broker.events)
    return Verdict(broken, kinds, Counter(line[3] for line in lines))


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    return [judged(seed, coin) for seed, coin in TOLD]


@pytest.mark.parametrize("law", LAWS)
def test_no_story_breaks_the_law(law: str, verdicts: list[Verdict]) -> None:
    assert [v.broken[law] for v in verdicts if law in v.broken] == []


def test_everything_that_can_happen_happened(verdicts: list[Verdict]) -> None:
    """All kinds of events but the interest of spot loans and the change of dated tier tables."""
    kinds = sum((verdict.kinds for verdict in verdicts), Counter())
    assert set(KINDS) - {"interest", "rules"} - set(kinds) == set()
    assert set(sum((verdict.statuses for verdict in verdicts), Counter())) == {*FOLLOWS, *OVER}
    coins = sum((v.kinds for v, (_, coin) in zip(verdicts, TOLD, strict=True) if coin), Counter())
    assert set(coins) >= {"fill", "funding", "liquidation", "shortfall", "dead", "revived"}
    for count, stories in ((kinds, len(TOLD)), (coins, STORIES // 4)):
        assert min(count[kind] for kind in ("fill", "funding", "liquidation", "rejected")) > stories


# -- the same again ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("coin", [False, True], ids=["linear", "coin"])
def test_a_story_told_twice_is_the_same(coin: bool) -> None:
    once, again, other = (live(Story(seed, coin)).retold() for seed in (3, 3, 4))
    assert len(once) > 50
    assert once == again
    assert once != other


def test_a_story_does_not_depend_on_hashes() -> None:
    script = "from plugin.restless import Story, live; print(*live(Story(5)).retold(), sep='\\n')"
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    told = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True, text=True, check=True,
        ).stdout.splitlines()
        for seed in ("1", "2")
    ]  # fmt: skip
    assert told == [live(Story(5)).retold()] * 2


# -- each law can be broken ---------------------------------------------------------------------------------


def lose_a_cent(was: Any, self: Book, pool: Pool, kind: str, amount: float, *more: Any) -> None:
    """Money that changes without an entry."""
    was(self, pool, kind, amount, *more)
    pool.balance -= 1e-6 * abs(amount)


def mix_up(was: Any, self: Book, pool: Pool, kind: str, amount: float, *more: Any) -> None:
    """The free wallet pays the funding that the ledger charges to isolated pools."""
    was(self, pool, kind, amount, *more)
    if kind == "funding":
        pool.balance -= amount
        self.cross.balance += amount


def look_away(was: Any, self: Stepper, pending: Any, read: Any) -> set[str]:
    """Every bar is taken for harmless."""
    return set()


def forgive(was: Any, self: Book, pool: Pool, event: int) -> float:
    """Nobody bears a loss beyond the collateral."""
    return 0.0


def reach_into_cross(was: Any, self: Book, pool: Pool, event: int) -> float:
    """The rest of the account bears it."""
    if pool is not self.cross and pool.balance < 0:
        self.move_money(self.cross, pool, -pool.balance, pool.symbol, event)
    return float(was(self, pool, event))


def bury_early(was: Any, self: Book, pool: Pool, cause: int) -> None:
    """Every pool that ends is the end of the account."""
    was(self, pool, cause)
    self.dead = True


def keep(was: Any, self: Account, ref: int) -> None:
    """An order that is over goes on holding margin."""


def misprice(was: Any, self: MarginBroker, quote: Any, size: float, price: float) -> None:
    """backtrader's entry price is the last fill's."""
    was(self, quote, size, price)
    self.positions[quote.data].price = price if quote.position.size else 0.0


def tell_twice(was: Any, self: MarginBroker, order: Any) -> None:
    """Every notice comes twice."""
    was(self, order)
    was(self, order)


def dearer(was: Any, self: MarginBroker, event: Any) -> None:
    """The strategy hears of another price than the account booked."""
    was(self, replace(event, price=event.price * 1.01))


def poorer(was: Any, self: MarginBroker, event: Any) -> None:
    """The strategy hears of another result than the account booked."""
    was(self, replace(event, realised=event.realised * 1.01))


def forget_owner(was: Any, self: MarginBroker, order: Any, size: float) -> None:
    """Nobody knows whose size it is: liquidations close no trade."""


def say_nothing(was: Any, self: Account) -> None:
    """The dead are not told that they are."""


def backwards(was: Any, self: Book, kind: str, *more: Any, **facts: Any) -> Any:
    """A breach names what comes after it as its cause."""
    return was(self, kind, *more, **{**facts, **({"cause": 10**9} if kind == "breach" else {})})


def give_up(*anything: Any) -> None:
    """A mistake that any interpreter finds."""
    raise ZeroDivisionError


BREAKS: dict[str, tuple[type, str, Callable[..., Any]]] = {
    "the_money_adds_up": (Book, "_post", lose_a_cent),
    "each_balance_is_the_sum_of_its_entries": (Book, "_post", mix_up),
    "no_pool_is_in_breach": (Stepper, "_risky", look_away),
    "equity_is_never_below_zero": (Book, "_cover", forgive),
    "the_dead_have_nothing": (Book, "_settle_empty", bury_early),
    "an_isolated_pool_never_loses_more_than_was_posted": (Book, "_cover", reach_into_cross),
    "margin_is_reserved_for_live_orders_alone": (Account, "release", keep),
    "backtraders_books_are_the_accounts": (Booking, "_mirror", misprice),
    "orders_go_through_legal_statuses": (Booking, "notify", tell_twice),
    "orders_earn_what_the_ledger_realised": (Forced, "book_liquidation", poorer),
    "trades_earn_what_the_ledger_realised": (Forced, "book_liquidation", dearer),
    "the_dead_trade_nothing_until_cash_is_added": (Account, "dead_refusal", say_nothing),
    "every_event_is_found_by_its_number": (Book, "record", backwards),
    MIRRORED: (Booking, "_note_lot", forget_owner),
    ENDED: (MarginBroker, "cancel_pool", give_up),
}


@pytest.mark.parametrize("law", LAWS)
def test_the_law_can_be_broken(law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the code broken in one place some early story breaks this law."""
    owner, name, damage = BREAKS[law]
    was = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *found, **named: damage(was, *found, **named))
    assert any(law in judged(seed).broken for seed in range(STORIES))
