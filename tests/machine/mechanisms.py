"""Laws of the venues' own mechanisms, with their published formulas and numbers in place of the engine's.

Where a pool is liquidated and where it is not; what that costs, how much of a position goes and who keeps the
rest; what holding a position costs; who pays funding; what a fill costs. Each says for every venue what that
venue does.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

from machine.formulas import FORMULAS, Backing, backing
from machine.laws import same, scale_of
from machine.life import POLICIES
from machine.tape import Charged

from bt_margin.engine.settings import leg_of
from bt_margin.venues.names import moment
from bt_margin.venues.tables import document

HOUR = 3_600_000
YEAR = 365 * 24 * HOUR
NOISE = 1e-9
#: since when Kraken sells in parts
PARTS_SINCE = 1_774_483_200_000
PENDING = ("top_up", "conversion", "shortfall")


# -- on every bar ---------------------------------------------------------------------------------------


def no_pool_past_its_published_bound_survives(s: Any) -> None:
    """Not at the close; and one that nothing happened to within the bar was not past it at any node.

    The nodes of the walked path: the open, all marks at their lows, all at their highs.
    """
    life, account = s.p.life, s.broker.account
    rule = FORMULAS[account.venue.name]
    touched = touched_pools(s)
    for pool in account.pools.values():
        if not pool.positions:
            continue
        numbers = backing(account, pool, life.story, life.tape.owed(account, pool))
        least = -NOISE * numbers.scale()
        assert rule(numbers) > least, (pool.key, rule(numbers), "at the close")
        if pool.key in touched or not joint(life, pool):
            continue
        for node in range(3):
            found = rule(at_node(numbers, pool, life, node))
            assert found > least, (pool.key, found, ("open", "high", "low")[node])


def touched_pools(s: Any) -> set[str]:
    """Pools whose money or positions changed within the bar (what is charged at its open is before it)."""
    account, begin = s.broker.account, s.p.life.story.time(s.p.life.bar)
    seen, s.events_seen = s.__dict__.get("events_seen", 0), len(account.events)
    touched: set[str] = set()
    for event in account.events[seen:]:
        if (event.kind == "funding" and event.time > begin) or event.kind in PENDING:
            return set(account.pools)
        if event.kind in ("fill", "liquidation") and event.time >= begin:
            touched |= {event.pool, *(home.key for home in account.wallets.values())}
    return touched


def joint(life: Any, pool: Any) -> bool:
    """Whether all its marks are at their lows, and at their highs, at one moment of the bar."""
    setup = life.story.setup
    if setup.detail and life.story.marked:
        return False  # finer bars have no marks
    moving = {p.market for p in pool.positions} | {
        pledge.source.market for pledge in pool.pledges if pledge.source is not None
    }
    return setup.intrabar != "nearest" or len(moving) == 1


def at_node(numbers: Backing, pool: Any, life: Any, node: int) -> Backing:
    """The pool with its marks at the open (0), high (1) or low (2) of the bar."""
    story = life.story
    marks = {name: story.marks[on][life.bar] for on, name in enumerate(story.names)}

    def there(market: str, now: float) -> float:
        bar = marks.get(market)
        return now if bar is None else float(bar[node])

    held = tuple(h._replace(mark=there(leg_of(h.symbol)[0], h.mark)) for h in numbers.held)
    pledged = tuple(
        (amount, share, price if one.source is None else there(one.source.market, price))
        for (amount, share, price), one in zip(numbers.pledged, pool.pledges, strict=True)
    )
    return numbers._replace(held=held, pledged=pledged)


# -- liquidation ----------------------------------------------------------------------------------------


def each_liquidation_began_at_the_published_bound(life: Any) -> None:
    """The pool met its bound there, exactly where the price alone brought it; by a gap it was beyond it."""
    for one in life.tape.begun:
        assert one.left <= 1e-8 * one.scale, (one.pool, one.left, one.numbers)
        assert not one.moved or one.left >= -1e-8 * one.scale, (one.pool, one.left, one.numbers)


#: who sells every position whole, and never a part of one
WHOLE = ("dydx_v3", "gmx_v1", "gmx_v2", "krakeninverse", "krakenspot")


def parts_are_sold_where_the_venue_sells_parts(life: Any) -> None:
    """Whole positions, a fifth of a large one, a tenth a block: as much as the venue says.

    Hyperliquid gives up a fifth of a position above 100,000 USDC; dYdX a tenth of it, or 1,000 USDC; Kraken
    Futures sells parts since 2026-03-26, no less than a tenth.
    """
    account = life.broker.account
    name = account.venue.name
    held = sizes_before(life)
    for event in account.events:
        if event.kind != "liquidation" or event.info["whole"]:
            continue
        part = abs(event.size) / abs(held[event.id])
        value = abs(held[event.id]) * account.position(event.symbol).multiplier * event.mark
        lot = (account.position(event.symbol).contract.lot or 0.0) / abs(held[event.id])
        assert name not in WHOLE, event
        if name == "hyperliquid":
            assert same(part, 0.2), event
            assert value > 100_000, event
        elif name == "dydx_v4":
            assert part <= max(0.1, 1_000.0 / value) + lot + NOISE, (event, part, value)
            assert part * value <= 100_000.0 + lot * value, event
        elif name == "krakenfutures":
            assert event.time >= PARTS_SINCE, event
            assert part >= 0.1 - NOISE, (event, part)
        elif name == "generic":
            chosen = type(POLICIES[life.story.setup.policy % len(POLICIES)]).__name__
            assert chosen not in ("FullClose", "LargestLossFirst"), event


def sizes_before(life: Any) -> dict[int, float]:
    """By the number of a closing or fill: what was held right before it."""
    held: dict[str, float] = defaultdict(float)
    found = {}
    for event in life.broker.events:
        if event.kind in ("fill", "liquidation"):
            found[event.id] = held[event.symbol]
            whole = event.kind == "liquidation" and event.info["whole"]
            held[event.symbol] = 0.0 if whole else held[event.symbol] + event.size
    return found


def a_liquidation_costs_what_the_venue_says(life: Any) -> None:
    """The fee of every closing, unless the pool could not pay it: then there is nothing left to pay.

    A fund that keeps the rest takes that as a fee beyond it.
    """
    account = life.broker.account
    chains: dict[int, list[Any]] = defaultdict(list)
    for event in account.events:
        if event.kind == "liquidation":
            chains[event.cause].append(event)
    for chain in chains.values():
        charged, least, owed, scale = 0.0, 0.0, 0.0, 0.0
        for event in chain:
            charged += event.fee
            least, owed = (a + b for a, b in zip((least, owed), fee_owed(life, event), strict=True))
            p = account.position(event.symbol)
            scale += p.contract.notional(event.size, event.price)
        more = keeper(life, chain[-1]) == "fund" and over(life, chain[-1])
        tolerance = 1e-8 * scale
        assert charged <= owed + tolerance or more, (charged, owed, chain[-1])
        if charged < least - tolerance:
            assert over(life, chain[-1]), (charged, owed, chain[-1])
            assert returned(life, chain[-1]) <= tolerance, (charged, owed, chain[-1])


def fee_owed(life: Any, event: Any) -> tuple[float, float]:
    """The least and most the venue charges: on the value, on the size at entry, a bonus, or nothing."""
    account, setup = life.broker.account, life.story.setup
    p, name = account.position(event.symbol), account.venue.name
    value = p.contract.notional(event.size, event.price)
    size = p.contract.notional(event.size, event.info["entry"])
    fees = account.venue.fees_at(p.market, event.time)
    taken = event.info["settle"] == "takeover"
    if name == "aave_v3":
        return bonus_owed(life, event, value)
    if name == "dydx_v4":  # up to 1.5 %, and never more than its share of the equity
        return 0.0, 0.015 * value
    owed = 0.0 if taken else value * fees.liquidation
    if name == "gmx_v1":
        owed = 0.0 if taken else size * 0.001
    elif name == "gmx_v2":
        owed = size * (0.0006 + 0.002)
    elif name == "bybit":
        owed = value * fees.taker
    elif name == "generic":
        owed = 0.0 if taken else value * setup.liquidation_fee
    return owed, owed


def bonus_owed(life: Any, event: Any, value: float) -> tuple[float, float]:
    """Aave: collateral sold pays its bonus out of what is sold, a debt bought back that of the stable.

    Beside other positions a debt may be repaid with their collateral, which pays the bonus then.
    """
    policy = life.broker.account.venue.liquidation_at(event.time)
    bonus = policy.bonuses[leg_of(event.symbol)[0]]
    if event.size < 0:
        return (value * bonus / (1 + bonus),) * 2
    most = value * policy.stable
    return (most if event.pool.startswith("isolated:") else 0.0), most


def over(life: Any, event: Any) -> bool:
    """Whether the closing left its pool without a position."""
    flat = life.tape.flat.get(event.id)
    return bool(flat is not None and flat[0])


def returned(life: Any, event: Any) -> float:
    """What a pool that is over left to the trader   [settle]."""
    return float(life.tape.flat[event.id][1])


#: what a pool has left when all of it is closed: of takeovers nothing, of sales the rest
FUNDS = ("binance", "binancecoinm", "bybit", "okx", "dydx_v3")


def keeper(life: Any, event: Any) -> str:
    """Who keeps what is left of a pool in the end."""
    name, taken = life.broker.account.venue.name, event.info["settle"] == "takeover"
    if name == "generic":
        return str(POLICIES[life.story.setup.policy % len(POLICIES)].residual)
    return "fund" if name in FUNDS or taken else "trader"


def what_is_left_goes_where_the_venue_says(life: Any) -> None:
    """To the fund: nothing comes back. To the trader: what the pool had, less what selling it cost."""
    account = life.broker.account
    for event in account.events:
        if event.kind != "liquidation" or not over(life, event):
            continue
        _, back, had, coins = life.tape.flat[event.id]
        p = account.position(event.symbol)
        scale = abs(had) + p.contract.notional(event.size, event.mark)
        if keeper(life, event) == "fund":
            assert back <= 1e-8 * scale, (event, back)
            continue
        values = [p.contract.notional(event.size, price) for price in (event.price, event.mark)]
        slipped = abs(values[0] - values[1])
        rest = had - slipped - event.fee
        rest = rest if coins else max(0.0, rest)  # what is missing is paid by coins that are sold
        noise = 1e-8 * scale + 1e-12 * scale_of(
            life.broker
        )  # the wallet's, of which it is a difference
        assert abs(back - rest) <= noise, (event, back, rest)


# -- what holding costs ---------------------------------------------------------------------------------


def funding_is_taken_from_where_the_venue_says(life: Any) -> None:
    """Bybit takes an isolated position's from the free wallet first; OKX no more than would liquidate it."""
    account = life.broker.account
    rule, after = account.venue.funding, {one.event: one for one in life.tape.funded}
    paid: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for entry in account.ledger:
        if entry.kind == "funding":
            paid[entry.event][entry.pool] += entry.amount
    for event in account.events:
        if event.kind != "funding":
            continue
        assert same(sum(paid[event.id].values()), event.amount, abs(event.amount)), event
        isolated, one = event.pool.startswith("isolated:"), after[event.id]
        own = paid[event.id].get(event.pool, 0.0)
        if rule.payer == "wallet" and isolated:
            assert own <= 0.0, event  # what is received goes to the wallet
            assert own == 0.0 or one.free <= NOISE * one.scale, (event, own, one.free)
        else:
            assert same(own, event.amount, abs(event.amount)), (event, own)
        contract = account.position(event.symbol).contract
        owed = (
            -contract.notional(event.size, event.mark) * event.found * (1 if event.size > 0 else -1)
        )
        if not same(event.amount, owed, abs(owed)):
            assert one.left <= 1e-8 * one.scale, (event, owed, one)


def what_is_held_costs_what_the_venue_publishes(life: Any) -> None:
    """Borrow fees by the hour or second, rollovers every four hours, interest on what is lent and owed."""
    account, name = life.broker.account, life.broker.account.venue.name
    if account.venue.carry is None:
        return
    for one in life.tape.charged:
        events = account.events[one.event : one.end]
        charged = -sum(e.amount for e in events if (e.kind, e.pool) == ("interest", one.pool))
        owed, worth = COSTS[name](life, one)
        assert abs(charged - owed) <= 1e-9 * abs(owed) + 1e-12 * worth, (charged, owed, one)


def by_hours(life: Any, one: Charged) -> tuple[float, float]:
    """GMX V1: floor(100 · utilisation) millionths of the size for each whole hour that ended."""
    owed, worth = 0.0, 0.0
    for h, opened in zip(one.numbers.held, one.opened, strict=True):
        size, begin = h.worth(h.entry), max(one.since, opened)
        worth += size
        for hour in range(begin // HOUR + 1, one.until // HOUR + 1):
            used = in_force(life.story.setup.place.options["utilisation"], hour * HOUR - 1)
            owed += size * (100 * round(used * 1_000_000) // 1_000_000) / 1_000_000
    return owed, worth


def by_seconds(life: Any, one: Charged) -> tuple[float, float]:
    """GMX V2: the kinked borrow rate of the pool's usage, and the side's funding, on the size."""
    common, options = document("gmx_v2.json")["common"], life.story.setup.place.options
    best, owed, worth = common["optimal_usage"], 0.0, 0.0
    for h, opened in zip(one.numbers.held, one.opened, strict=True):
        size, begin = h.worth(h.entry), max(one.since, opened)
        worth += size
        for start, end in pieces(begin, one.until):
            usage = in_force(options["usage"], start)
            rate = usage * common["borrow_base_annual"]
            steeper = common["borrow_above_optimal_annual"] - common["borrow_base_annual"]
            rate += max(0.0, usage - best) / (1 - best) * steeper
            rate += in_force(options["funding"]["long" if h.size > 0 else "short"], start)
            owed += size * rate * (end - start) / YEAR
    return owed, worth


def by_rollovers(life: Any, one: Charged) -> tuple[float, float]:
    """Kraken spot: cost · rate of the day it was opened, each four hours since then."""
    carry, owed, worth = life.broker.account.venue.carry, 0.0, 0.0
    for h, opened, market in zip(one.numbers.held, one.opened, one.market, strict=True):
        borrowed = market.partition("/")[2 if h.size > 0 else 0]
        dated = carry.rates.get(borrowed)
        rate = in_force(dated, opened) if dated else carry.other
        ends = (one.until - opened) // (4 * HOUR) - max(0, one.since - opened) // (4 * HOUR)
        worth += h.worth(h.entry)
        owed += h.worth(h.entry) * rate * ends
    return owed, worth


def by_interest(life: Any, one: Charged) -> tuple[float, float]:
    """Aave: simple interest on the stable and each asset, which compounding exceeds by next to nothing."""
    carry, numbers = life.broker.account.venue.carry, one.numbers
    cash = numbers.balance - sum(h.size * h.multiplier * h.entry for h in numbers.held)
    books = [(carry.stable, cash)]
    for h, market in zip(numbers.held, one.market, strict=True):
        books.append((carry.assets[market], h.worth(h.mark) * h.side))
    owed = worth = 0.0
    for series, value in books:
        for rates, seconds in series.pieces(one.since, one.until):
            rate = rates.supply if value > 0 else rates.borrow
            owed -= value * rate * seconds * 1000 / YEAR
            share = rate * seconds * 1000 / YEAR  # whose square compounding adds the half of
            worth += abs(value) * (1.0 + share * share * 1e12)
    return owed, worth


COSTS = {
    "gmx_v1": by_hours, "gmx_v2": by_seconds, "krakenspot": by_rollovers, "aave_v3": by_interest,
}  # fmt: skip


def in_force(dated: Any, time: int) -> float:
    """The number of a dated series at a time; the first also before its date."""
    if not isinstance(dated, list | tuple):
        return float(dated)
    rows = [(moment(since) if isinstance(since, str) else since, value) for since, value in dated]
    return float([value for since, value in rows if since <= time or since == rows[0][0]][-1])


def pieces(since: int, until: int) -> list[tuple[int, int]]:
    """A stretch of time cut at the starts of days, where the numbers of a series change."""
    day = 24 * HOUR
    cuts = [since, *range((since // day + 1) * day, until, day), until]
    return [(a, b) for a, b in pairwise(cuts) if b > a]


# -- fills ----------------------------------------------------------------------------------------------


def a_fill_costs_what_the_venue_says_and_averages(life: Any) -> None:
    """Maker or taker fee of the day on its value, on the entry value of a closing where the venue says so.

    The entry is the average of what was paid: of prices, or of their reciprocals for coin contracts.
    """
    account, setup = life.broker.account, life.story.setup
    schemes = setup.commission or setup.interest
    beside: dict[int, float] = defaultdict(float)
    for entry in account.ledger:
        beside[entry.event] -= entry.amount if entry.kind == "interest" else 0.0
    held: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for event in account.events:
        if event.kind not in ("fill", "liquidation"):
            continue
        p, (size, entry) = account.position(event.symbol), held[event.symbol]
        contract, whole = p.contract, event.info.get("whole")
        against = size * event.size < 0
        closed = min(abs(size), abs(event.size)) if against else 0.0
        if against and (whole or abs(abs(size) - abs(event.size)) <= 1e-9 * abs(size)):
            closed, after = abs(event.size), 0.0
        else:
            after = size + event.size
        opened = abs(event.size) - closed
        if event.kind == "fill" and event.order is not None and not schemes:
            fees = account.venue.fees_at(p.market, event.time)
            rate = fees.maker if event.info["liquidity"] == "maker" else fees.taker
            at = entry if account.venue.name in ("gmx_v1", "gmx_v2") and closed else event.price
            value = contract.notional(opened, event.price) + contract.notional(closed, at)
            assert same(event.fee, value * rate, value, 1e-7), (event, event.fee, value * rate)
        if event.kind == "fill":
            cost = contract.notional(opened, event.price)
            least, most = opening_owed(account, p.market, event, cost)
            dust = 1e-7 * cost + 1e-9 * contract.notional(event.size, event.price)
            assert least - dust <= beside[event.id] <= most + dust, (event, beside[event.id])
        if opened and closed:
            entry = event.price
        elif opened:
            parts = ((size, entry or event.price), (event.size, event.price))
            worth = sum(n * (1 / x if p.inverse else x) for n, x in parts) / after
            entry = 1 / worth if p.inverse else worth
        held[event.symbol] = (after, entry if after else 0.0)
    for symbol, p in account.book.items():
        if p.size:
            size, entry = held[symbol]
            assert same(p.size, size, abs(size), 1e-7), (p, size)
            assert same(p.entry, entry, entry, 1e-7), (p, entry)


def opening_owed(account: Any, market: str, event: Any, cost: float) -> tuple[float, float]:
    """What opening costs beside the fee: Kraken's fee of the borrow, at most 1 % of impact at GMX V2."""
    if account.venue.name == "krakenspot":
        carry = account.venue.carry
        dated = carry.rates.get(market.partition("/")[2 if event.size > 0 else 0])
        owed = cost * (in_force(dated, event.time) if dated else carry.other)
        return owed, owed
    return 0.0, 0.01 * cost if account.venue.name == "gmx_v2" else 0.0


ON_EVERY_BAR = (no_pool_past_its_published_bound_survives,)
AT_THE_END = (
    each_liquidation_began_at_the_published_bound,
    parts_are_sold_where_the_venue_sells_parts,
    a_liquidation_costs_what_the_venue_says,
    what_is_left_goes_where_the_venue_says,
    funding_is_taken_from_where_the_venue_says,
    what_is_held_costs_what_the_venue_publishes,
    a_fill_costs_what_the_venue_says_and_averages,
)
