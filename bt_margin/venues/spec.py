"""What a venue is: dated numbers, contract facts, a few yes-or-no rules and a liquidation policy.

A venue holds data and choices, never a calculation. The engine asks it for a contract, a tier
table or a fee rate at a moment in time and applies the formulas of :mod:`bt_margin.core`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeVar

from bt_margin.core.contract import Contract
from bt_margin.core.fees import Fees
from bt_margin.core.tiers import TierSchedule
from bt_margin.errors import UnknownSymbol
from bt_margin.venues.carry import Conversion, FundingRule
from bt_margin.venues.margin import AtMark
from bt_margin.venues.names import canonical, equivalent, nearest

if TYPE_CHECKING:
    from bt_margin.venues.carry import Carry, SharedRequirement
    from bt_margin.venues.margin import MarginRule
    from bt_margin.venues.policies import LiquidationPolicy

T = TypeVar("T")

ALWAYS = -(2**62)
"""Earlier than every date."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One published number or rule: what it is about, what it says, who said so and when.

    ``as_of`` is the date of the source ("undated" when it carries none). ``tag`` grades the
    evidence: ``P`` the venue's own page, ``A`` its API reference, ``R`` a real account or market
    payload, ``C`` third-party source code, ``D`` derived here by algebra, ``M`` from memory, ``N``
    looked for and not found (the value is then a design choice of ours).
    """

    topic: str
    value: str
    source: str
    as_of: str
    tag: str


@dataclass(frozen=True, slots=True)
class OrderRule:
    """What an order must be able to pay before it is accepted.

    fee_in_check
        the taker fee of the order counts in the test.
    open_loss
        the loss an order would show at once (buying above the mark, selling below it) counts.
    sell_premium
        ``(since, rate)`` pairs: from that moment a sell order is margined at no less than
        ``last · (1 + rate)``. Empty: at its own price.
    """

    fee_in_check: bool
    open_loss: bool
    sell_premium: tuple[tuple[int, float], ...] = ()

    def sell_premium_at(self, ms: int) -> float:
        """The sell premium in force at ``ms`` (UTC milliseconds), 0 before the first date.

        >>> OrderRule(False, True, ((1_000, 0.0015),)).sell_premium_at(999)
        0.0
        """
        rate = 0.0
        for since, value in self.sell_premium:
            if since <= ms:
                rate = value
        return rate


@dataclass(frozen=True, slots=True)
class SwitchRules:
    """When margin mode and leverage of a symbol may be changed, and the venue's codes for "no".

    mode_with_position, mode_with_orders
        the margin mode may be switched while a position (open orders) exists.
    lower_leverage_isolated
        the leverage of an open isolated position may be lowered.
    codes
        refused action -> the venue's error code; an action without an entry has no published code.
    scope
        what one margin mode holds for: each ``"symbol"``, or the whole ``"account"``.
    """

    mode_with_position: bool
    mode_with_orders: bool
    lower_leverage_isolated: bool
    codes: Mapping[str, str] = field(default_factory=dict, hash=False)
    scope: Literal["symbol", "account"] = "symbol"

    def code(self, action: str) -> str:
        """The venue's error code for a refused action, "" when it has none."""
        return self.codes.get(action, "")


@dataclass(frozen=True, slots=True)
class SymbolFees:
    """Fee rates of one symbol that differ from the venue's; ``None``: as the venue."""

    maker: float | None = None
    taker: float | None = None
    liquidation: float | None = None

    def over(self, fees: Fees) -> Fees:
        """``fees`` with the rates of this symbol put in."""
        return Fees(
            maker=fees.maker if self.maker is None else self.maker,
            taker=fees.taker if self.taker is None else self.taker,
            liquidation=fees.liquidation if self.liquidation is None else self.liquidation,
        )


@dataclass(frozen=True)
class Venue:
    """A venue as the engine sees it; frozen and picklable, so every process sees the same rules.

    ``contracts`` and ``schedules`` list the symbols with published facts. ``default_schedule`` is
    the schedule of every other symbol; ``None`` means there is no such thing here, and a symbol
    without a table is an :class:`~bt_margin.errors.UnknownSymbol`. Money is in ``currency`` unless
    the symbol's own settlement currency differs. ``as_of`` is the moment every dated table is
    pinned to, if it is.

    margin, liquidation_changes
        ``(since, rule)`` pairs: the margin rule in force, and policies that replace ``liquidation``.
    funding, carry, shared
        how funding is paid, what else a position costs, what a pool must keep as a whole.
    modes
        the margin modes the venue has; ``hedge`` whether both sides of a symbol can be held at once.
    strict
        only equity *below* the requirement is a breach (else meeting it already is one).
    bankruptcy_fee
        the bankruptcy price leaves room for the taker fee of the closing.
    fee_on_entry
        the closing fee is charged on the entry value of what is closed (else on its value at the fill).
    leverage_step
        leverages are multiples of it (None: any number).
    margin_kept
        least share of the notional that stays in an isolated position when margin is taken out.
    collateral, conversion
        coin -> ``(since, ratio)`` pairs: share of its value that counts as margin in the cross pool; and
        when such coins are sold to pay a debt.
    margin_calls
        ratios of maintenance to equity at which the venue warns.
    stands_for
        other names for the venue's symbols, kept as they are in every result: the market a feed is from.
    exact, approximations, absent
        the fidelity statement: what is as on the venue, what is not (how, and which way it errs), and
        what is not there.
    """

    name: str
    title: str
    currency: str
    contracts: Mapping[str, Contract] = field(hash=False)
    schedules: Mapping[str, TierSchedule] = field(hash=False)
    default_schedule: TierSchedule | None = field(hash=False)
    fees: tuple[tuple[int, Fees], ...]
    funding_interval: int
    liquidation: LiquidationPolicy
    orders: OrderRule
    switching: SwitchRules
    symbol_fees: Mapping[str, SymbolFees] = field(default_factory=dict, hash=False)
    facts: tuple[Fact, ...] = ()
    approximations: tuple[str, ...] = ()
    as_of: int | None = None
    margin: tuple[tuple[int, MarginRule], ...] = ((ALWAYS, AtMark()),)
    liquidation_changes: tuple[tuple[int, LiquidationPolicy], ...] = ()
    funding: FundingRule = field(default_factory=FundingRule)
    carry: Carry | None = field(default=None, hash=False)
    shared: SharedRequirement | None = field(default=None, hash=False)
    modes: tuple[str, ...] = ("cross", "isolated")
    hedge: bool = False
    strict: bool = False
    bankruptcy_fee: bool = False
    fee_on_entry: bool = False
    leverage_step: float | None = None
    margin_kept: float = 0.0
    collateral: Mapping[str, tuple[tuple[int, float], ...]] = field(
        default_factory=dict, hash=False
    )
    conversion: Conversion = field(default_factory=Conversion)
    margin_calls: tuple[float, ...] = (0.8,)
    exact: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    stands_for: Mapping[str, str] = field(default_factory=dict, hash=False)

    def resolve(self, name: str) -> str:
        """The venue's symbol for a name as people write it.

        A symbol of the venue is returned as it is; other spellings (``BTCUSDT``, ``BTC/USDT``,
        ``BTC-USDT``, ``BTCUSDT.P``) are mapped to it. A venue that takes any symbol returns the
        name unchanged.

        Raises :class:`~bt_margin.errors.UnknownSymbol`, with the nearest names, when nothing fits.

        >>> from bt_margin.venues import venue
        >>> venue("binance").resolve("BTCUSDT.P")
        'BTC/USDT:USDT'
        """
        if name in self.schedules or self.default_schedule is not None or name in self.stands_for:
            return name
        found = canonical(name, self.schedules)
        if found is not None:
            return found
        near = nearest(name, self.schedules)
        hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else "."
        raise UnknownSymbol(
            f"{self.title} has no tier table for the symbol {name!r} "
            f"({len(self.schedules)} symbols are known){hint} "
            f"To use it all the same, pass its own table: symbols={{{name!r}: "
            f"dict(tiers=[(notional_cap, maintenance_rate, deduction), ...])}}"
        )

    def equivalent(self, name: str) -> str | None:
        """The venue's linear contract on the coin that ``name`` is about, whatever dollar it settles in.

        A symbol of the venue is its own equivalent. None where there is none, or ``name`` is not a linear
        contract on dollars.

        >>> from bt_margin.venues import venue
        >>> venue("binance").equivalent("BTC/USDC:USDC"), venue("binance").equivalent("BTC/USD:BTC")
        ('BTC/USDC:USDC', None)
        """
        return equivalent(name, self.schedules, self.currency)

    def standing_for(self, names: Iterable[str]) -> Venue:
        """The same venue for feeds of other venues: each name stands for its :meth:`equivalent`.

        Raises :class:`~bt_margin.errors.UnknownSymbol` for a coin the venue does not have.
        """
        found = dict(self.stands_for)
        for name in names:
            own = self.equivalent(name)
            if own is None and self.default_schedule is None:
                raise UnknownSymbol(
                    f"{self.title} has no contract like {name!r}; "
                    f"it knows {', '.join(nearest(name, self.schedules)) or 'other coins'}"
                )
            if own is not None and own != name:
                found[name] = own
        return replace(self, stands_for=found)

    def contract(self, symbol: str) -> Contract:
        """The contract behind a symbol (any spelling :meth:`resolve` knows)."""
        symbol = self.stands_for.get(symbol, symbol)
        known = self.contracts.get(symbol)
        if known is not None:
            return known
        symbol = self.resolve(symbol)
        known = self.contracts.get(symbol)
        return known if known is not None else plain_contract(symbol, self.currency)

    def schedule(self, symbol: str) -> TierSchedule:
        """The dated tier tables of a symbol (any spelling :meth:`resolve` knows)."""
        symbol = self.stands_for.get(symbol, symbol)
        known = self.schedules.get(symbol)
        if known is not None:
            return known
        known = self.schedules.get(self.resolve(symbol), self.default_schedule)
        if known is None:
            raise UnknownSymbol(f"{self.title} has no tier table for symbol {symbol!r}")
        return known

    def margin_at(self, ms: int) -> MarginRule:
        """The margin rule in force at ``ms``; before the first date the first one."""
        return _in_force(self.margin, ms)

    def liquidation_at(self, ms: int) -> LiquidationPolicy:
        """The liquidation policy in force at ``ms``."""
        changes = self.liquidation_changes
        return (
            _in_force(((ALWAYS, self.liquidation), *changes), ms) if changes else self.liquidation
        )

    def collateral_ratio(self, coin: str, ms: int) -> float | None:
        """Share of a coin's value that counts as margin at ``ms``; None where it is no collateral."""
        dated = self.collateral.get(coin)
        return None if dated is None else _in_force(dated, ms)

    def next_change(self, ms: int) -> int | None:
        """When a rule (not a table) of the venue changes next after ``ms``, None when none does."""
        ratios = [pair for dated in self.collateral.values() for pair in dated[1:]]
        changes = (*self.margin[1:], *self.liquidation_changes, *ratios)
        dates = [since for since, _ in changes if since > ms]
        return min(dates, default=None)

    def next_fees(self, ms: int) -> int | None:
        """When the fees change next after ``ms``, None when they do not."""
        return min([since for since, _ in self.fees[1:] if since > ms], default=None)

    def fees_at(self, symbol: str, ms: int) -> Fees:
        """Maker, taker and liquidation rates of a symbol at ``ms`` (UTC milliseconds).

        Before the first dated entry the first one is used.
        """
        symbol = self.stands_for.get(symbol, symbol)
        if symbol not in self.schedules:
            symbol = self.resolve(symbol)
        current = _in_force(self.fees, ms)
        own = self.symbol_fees.get(symbol)
        return current if own is None else own.over(current)

    def with_symbols(self, overrides: Mapping[str, Mapping[str, object]]) -> Venue:
        """The same venue with other numbers for some symbols.

        ``overrides`` maps a symbol to any of ``tiers`` (rows ``(notional cap, rate, deduction[,
        max leverage])``, deduction ``None``: derived), ``maintenance_rate`` with an optional
        ``max_leverage``, ``multiplier``, ``tick``, ``lot``, ``min_notional``, ``taker_fee``,
        ``maker_fee``, ``liquidation_fee``. ``margin_mode`` and ``leverage`` belong to the account
        and are skipped here. A symbol unknown to the venue is added when it brings its own
        maintenance.

        Raises :class:`~bt_margin.errors.InputError` for an unknown key or a bad number.
        """
        from bt_margin.venues.overrides import overridden

        return overridden(self, overrides)


def _in_force(dated: tuple[tuple[int, T], ...], ms: int) -> T:
    """The last value whose date has come; before the first date the first one."""
    current = dated[0][1]
    for since, value in dated:
        if since <= ms:
            current = value
    return current


def plain_contract(symbol: str, currency: str) -> Contract:
    """The contract a bare symbol stands for: unified symbols say it themselves, others are linear.

    A name without a settlement part ("BTC", "BTC/USDT", "") is linear and settles in ``currency``.
    """
    if ":" in symbol:
        return Contract.parse(symbol)
    return Contract.parse(symbol, settle=currency)
