"""An exchange's positions beside our own numbers for them.

Each position is put on an account of the venue as the snapshot shows it
(:func:`~bt_margin.studies.whatif.hold`) and read off there. What a snapshot does not hold cannot be
recomputed: then there is a reason in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bt_margin.core.contract import Contract
from bt_margin.engine.account import Account
from bt_margin.engine.pool import MarginMode, Position
from bt_margin.errors import BtMarginError, InputError, UnknownSymbol
from bt_margin.studies.snapshot import SHOWN, Snapshot, product
from bt_margin.studies.whatif import Holding, Terms, hold, keys, with_tier
from bt_margin.venues.margin import tier_of
from bt_margin.venues.spec import Venue

__all__ = ["Compared", "Verdict", "verify"]

NO_WALLET = "cross margin stands on the wallet, which the snapshot does not hold; give --wallet"
NO_MARK = "the snapshot has no mark price"
NOT_SHOWN = "the exchange shows none"
AT_LIQUIDATION = (
    "theirs is what is left at their liquidation price: ccxt derives it so, not at the mark"
)
NO_FEE = "theirs is without the fee of closing, which is part of what liquidates there"
NO_DEDUCTION = "theirs is without the tier's deduction, which ccxt leaves out"
#: Numbers that the wallet behind a cross position decides.
_OF_WALLET = ("liquidation_price", "margin_ratio")
_OF_MARK = tuple(name for name in SHOWN if name != "liquidation_price")


@dataclass(frozen=True, slots=True)
class Compared:
    """One number: ours, the exchange's, ours less theirs, and why there is none."""

    name: str
    ours: float | None
    exchange: float | None
    difference: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One position judged; ``notes`` say what was assumed, ``time`` which day's rules applied (UTC ms)."""

    symbol: str
    side: str
    size: float
    entry: float | None
    mark: float | None
    venue: str
    margin_mode: str
    leverage: float | None
    currency: str
    tiers: str
    time: int
    compared: tuple[Compared, ...]
    notes: tuple[str, ...] = ()

    @property
    def judged(self) -> bool:
        """Whether any number could be recomputed."""
        return any(each.ours is not None for each in self.compared)

    def to_dict(self) -> dict[str, Any]:
        """The verdict as plain types, each number under its name."""
        row = asdict(self)
        row["compared"] = {each.pop("name"): each for each in row["compared"]}
        return row


@dataclass(frozen=True, slots=True)
class _Case:
    """A position with what is known of it beforehand."""

    shown: Snapshot
    rules: Venue
    holding: Holding
    mode: MarginMode
    has_mark: bool
    notes: tuple[str, ...]


def verify(
    snapshots: Sequence[Snapshot],
    rules_of: Callable[[str], Venue],
    *,
    now: int,
    as_of: int | None = None,
    venue: str | None = None,
    margin_mode: str | None = None,
    wallets: Mapping[str, float] | None = None,
    tier: Mapping[str, float | None] | None = None,
) -> list[Verdict]:
    """Each position of a snapshot under the rules in force when it was taken.

    That is ``as_of`` (UTC ms); without it the newest time that the positions of a venue carry, else ``now``.

    rules_of : venue by name
    venue, margin_mode : take the place of what the snapshot says or leaves out
    wallets : settlement currency -> wallet behind the cross positions, ``""`` for the only one
    tier : one explicit tier (``mmr``, ``maintenance_amount``, ``max_leverage``, ``taker``) for every symbol

    :raises InputError: the venue of a position is neither given nor certain, or a wallet has no currency.
    """
    names = [_venue_name(shown, venue) for shown in snapshots]
    rules = {name: rules_of(name) for name in dict.fromkeys(names)}
    for name, shown in zip(names, snapshots, strict=True):
        rules[name] = with_tier(rules[name], shown.symbol, tier or {})
    times = dict.fromkeys(rules, now if as_of is None else as_of)
    if as_of is None:
        times |= _newest(zip(names, snapshots, strict=True))
    ready: dict[int, _Case] = {}
    verdicts: dict[int, Verdict] = {}
    for number, (name, shown) in enumerate(zip(names, snapshots, strict=True)):
        try:
            ready[number] = _case(shown, rules[name], margin_mode, times[name])
        except UnknownSymbol:
            why = f"{rules[name].title} has no table for {shown.symbol}; give its tier with --mmr"
            verdicts[number] = _refused(shown, rules[name].name, why, times[name])
        except (BtMarginError, ArithmeticError) as error:
            verdicts[number] = _refused(shown, rules[name].name, str(error), times[name])
    pools = _pools(ready.values())
    if "" in (wallets or {}) and len({currency for _, currency in pools}) > 1:
        found = ", ".join(sorted({currency for _, currency in pools}))
        raise InputError(f"the wallet's currency is not certain ({found}); write CURRENCY=AMOUNT")
    broken = {each.venue for each in verdicts.values()}
    for number, case in ready.items():
        group = [case] if case.mode == "isolated" else pools[_key(case)]
        whole = case.mode == "isolated" or case.rules.name not in broken
        time = times[names[number]]
        verdicts[number] = _judge(case, group, wallets or {}, time, whole=whole)
    return [verdicts[number] for number in range(len(snapshots))]


def _newest(named: Iterable[tuple[str, Snapshot]]) -> dict[str, int]:
    """The newest time that positions of a venue carry."""
    found: dict[str, int] = {}
    for name, shown in named:
        if shown.time is not None:
            found[name] = max(shown.time, found.get(name, shown.time))
    return found


def _venue_name(shown: Snapshot, venue: str | None) -> str:
    if venue is not None:
        return product(venue, shown.symbol)
    if shown.venue is None:
        raise InputError(f"the exchange of {shown.symbol} is not certain; name it with --venue")
    return shown.venue


def _case(shown: Snapshot, rules: Venue, mode: str | None, time: int) -> _Case:
    """The position as one to hold. :raises BtMarginError: it has no entry, or no table."""
    symbol = rules.resolve(shown.symbol)
    contract, notes = rules.contract(symbol), list[str]()
    units = shown.contracts * (shown.contract_size or contract.multiplier)
    size = units / contract.multiplier
    if shown.entry is None:
        raise InputError(f"{symbol} has no entry price in the snapshot")
    mark = shown.mark or _mark(shown, contract, size, notes)
    leverage = shown.leverage
    if leverage is None:
        most = (
            rules.schedule(symbol)
            .at(time)
            .max_leverage(contract.notional(size, mark or shown.entry))
        )
        leverage = most if most < float("inf") else 1.0
        notes.append(
            f"no leverage in the snapshot; taken as {leverage:g}, the most the table allows"
        )
    chosen = _mode(shown, rules, mode, notes)
    margin = shown.margin if chosen == "isolated" else None
    if chosen == "isolated" and margin is None:
        notes.append("no margin in the snapshot; taken as the initial margin at entry")
    held = Holding(symbol, size, shown.entry, mark, leverage, margin)
    return _Case(shown, rules, held, chosen, mark is not None, tuple(notes))


def _mark(shown: Snapshot, contract: Contract, size: float, notes: list[str]) -> float | None:
    """The mark that the position's notional, or its unrealised profit, was taken at."""
    notional, gain = shown.shown["notional"], shown.shown["unrealised"]
    worth = None
    if notional:
        worth = abs(notional) / (abs(size) * contract.multiplier)
        worth = worth if contract.kind == "linear" else -worth
        notes.append("no mark in the snapshot; taken from the notional")
    elif gain is not None and shown.entry is not None:
        worth = contract.worth(shown.entry) + gain / (size * contract.multiplier)
        notes.append("no mark in the snapshot; taken from the unrealised profit")
    if worth is None or (worth <= 0) is (contract.kind == "linear"):
        return None
    return contract.price(worth)


def _mode(shown: Snapshot, rules: Venue, mode: str | None, notes: list[str]) -> MarginMode:
    """The margin mode: as told, as shown, or the venue's only one; else cross, and said so."""
    chosen = mode or shown.mode or rules.modes[0]
    if mode is None and shown.mode is None and len(rules.modes) > 1:
        chosen = "cross"
        notes.append("no margin mode in the snapshot; taken as cross (--mode isolated overrules)")
    if chosen not in rules.modes:
        raise InputError(f"{rules.title} has no {chosen} margin; name another with --mode")
    return "isolated" if chosen == "isolated" else "cross"


def _key(case: _Case) -> tuple[str, str]:
    """The cross pool of a position: its venue and settlement currency."""
    return case.rules.name, case.rules.contract(case.holding.symbol).settle


def _pools(cases: Iterable[_Case]) -> dict[tuple[str, str], list[_Case]]:
    """The cross positions by what they share."""
    pools: dict[tuple[str, str], list[_Case]] = {}
    for case in cases:
        if case.mode == "cross":
            pools.setdefault(_key(case), []).append(case)
    return pools


def _judge(
    case: _Case, group: Sequence[_Case], wallets: Mapping[str, float], time: int, *, whole: bool
) -> Verdict:
    """The numbers of one position, read off an account that holds its whole pool."""
    currency, rules = _key(case)[1], case.rules
    wallet = wallets.get(currency, wallets.get(""))
    held = [other.holding for other in group]
    terms = Terms(wallet if wallet is not None else 1.0, 1.0, case.mode, time)
    try:
        account = hold(rules, held, terms)
    except (BtMarginError, ArithmeticError) as error:
        return _refused(case.shown, rules.name, str(error), time)
    p = account.position(keys(held)[list(group).index(case)])
    reasons = dict.fromkeys(_OF_MARK, "" if case.has_mark else NO_MARK)
    if case.mode == "cross" and wallet is None:
        reasons |= dict.fromkeys(_OF_WALLET, NO_WALLET)
    elif not whole:
        reasons |= dict.fromkeys(_OF_WALLET, "another position of the pool cannot be judged")
    ours = _numbers(account, p)
    return Verdict(
        symbol=case.holding.symbol,
        side=case.shown.side,
        size=case.holding.size,
        entry=case.holding.entry,
        mark=case.holding.mark,
        venue=rules.name,
        margin_mode=case.mode,
        leverage=case.holding.leverage,
        currency=currency,
        tiers=rules.schedule(case.holding.symbol).source(time),
        time=time,
        compared=tuple(
            _compared(name, ours[name], case.shown.shown[name], reasons.get(name, ""))
            for name in SHOWN
        ),
        notes=(*case.notes, *_derived(case.shown, p)),
    )


def _numbers(account: Account, p: Position) -> dict[str, float | None]:
    """Our numbers of a position, by our names."""
    ratio = account.risk(p.symbol).ratio
    return {
        "notional": p.notional(),
        "unrealised": p.unrealised(),
        "initial_margin": p.initial(),
        "maintenance_margin": p.maintenance(),
        "liquidation_price": account.liquidation_price(p.symbol),
        "margin_ratio": ratio if ratio < float("inf") else None,
    }


def _derived(shown: Snapshot, p: Position) -> tuple[str, ...]:
    """What is known to be ccxt's own calculation rather than the exchange's number."""
    theirs, price = shown.shown["maintenance_margin"], shown.shown["liquidation_price"]
    if theirs is None or _near(theirs, p.maintenance()):
        return ()
    if _near(theirs, p.limits.maintenance(p.notional())):
        return (NO_FEE,)
    tier = tier_of(p.rule, p.held(), p.mark)
    if tier.deduction and _near(theirs, p.maintenance() + tier.deduction):
        return (NO_DEDUCTION,)
    if shown.margin is None or price is None:
        return ()
    left = shown.margin + p.contract.pnl(p.size, p.entry, price)
    return (AT_LIQUIDATION,) if _near(theirs, left) else ()


def _near(one: float, other: float) -> bool:
    """The same number but for the digits that payloads cut."""
    return abs(one - other) <= 1e-5 * max(abs(one), abs(other))


def _compared(name: str, ours: float | None, theirs: float | None, reason: str) -> Compared:
    """One number beside the exchange's."""
    if reason:
        return Compared(name, None, theirs, None, reason)
    if ours is None:
        none = (
            "no price of this symbol alone" if name == "liquidation_price" else "no equity is left"
        )
        return Compared(name, None, theirs, None, none)
    if theirs is None:
        return Compared(name, ours, None, None, NOT_SHOWN)
    # some exchanges sign the notional of a short
    same = abs(theirs) if name == "notional" else theirs
    return Compared(name, ours, same, ours - same)


def _refused(shown: Snapshot, venue: str, why: str, time: int) -> Verdict:
    """A position that cannot be put on an account, with the reason in the place of every number."""
    return Verdict(
        symbol=shown.symbol,
        side=shown.side,
        size=shown.contracts,
        entry=shown.entry,
        mark=shown.mark,
        venue=venue,
        margin_mode=shown.mode or "",
        leverage=shown.leverage,
        currency="",
        tiers="",
        time=time,
        compared=tuple(Compared(name, None, shown.shown[name], None, why) for name in SHOWN),
    )
