"""What-if on every venue: the numbers are the account's, and they keep the laws of a liquidation price."""

from __future__ import annotations

from typing import Any

import pytest

from bt_margin.engine.account import Account
from bt_margin.errors import InputError, UnknownMode
from bt_margin.studies.whatif import Answer, Holding, Terms, hold, keys, rules_of, what_if
from bt_margin.venues import venue, venues
from bt_margin.venues.spec import Venue

NOW = 1_790_640_000_000
STATED: dict[str, dict[str, Any]] = {
    "generic": {
        "maintenance_rate": 0.005, "taker_fee": 0.0005, "maker_fee": 0.0002, "liquidation_fee": 0.0,
        "funding_interval": "8h", "residual": "trader",
    },
    "dydx_v3": {"taker_fee": 0.0005, "maker_fee": 0.0002},
}  # fmt: skip
LEVERAGE, ENTRY, VALUE = 2.0, 60_000.0, 6_000.0


def built(name: str) -> Venue:
    return venue(name, **STATED.get(name, {}))


def symbols_of(rules: Venue) -> list[str]:
    """One symbol of each contract kind."""
    found: dict[str, str] = {}
    for symbol in [*rules.schedules] or ["BTC/USDT:USDT", "BTC/USD:BTC"]:
        found.setdefault(rules.contract(symbol).kind, symbol)
    return list(found.values())


WAYS = [
    pytest.param(name, symbol, mode, side, id=f"{name}-{symbol}-{mode}-{'long' if side > 0 else 'short'}")
    for name in venues()
    for rules in [built(name)]
    for symbol in symbols_of(rules)
    for mode in rules.modes
    for side in (1, -1)
]  # fmt: skip


def asked(name: str, symbol: str, mode: str, side: int) -> tuple[Venue, Holding, float, Answer]:
    rules = built(name)
    size = side * VALUE / rules.contract(symbol).notional(1.0, ENTRY)
    if rules.contract(symbol).kind == "inverse":
        size /= ENTRY
    holding = Holding(symbol, size, ENTRY)
    wallet = rules.contract(symbol).notional(size, ENTRY) / LEVERAGE * 1.1
    (answer,) = what_if(
        rules, [holding], wallet=wallet, leverage=LEVERAGE, margin_mode=mode, time=NOW
    )
    return rules, holding, wallet, answer


@pytest.mark.parametrize(("name", "symbol", "mode", "side"), WAYS)
def test_equity_meets_the_requirement_at_the_liquidation_price(
    name: str, symbol: str, mode: str, side: int
) -> None:
    rules, holding, wallet, answer = asked(name, symbol, mode, side)
    price, broke = answer.liquidation_price, answer.bankruptcy_price
    assert price is not None
    assert broke is not None
    account = hold(rules, [holding], Terms(wallet, LEVERAGE, answer.margin_mode, NOW))  # type: ignore[arg-type]  # a text
    p = account.position(symbol)
    p.move(price)
    risk = account.risk(symbol)
    assert risk.equity == pytest.approx(risk.maintenance, abs=1e-9 * answer.notional)
    assert (price - broke) * side > 0, "liquidated before the margin is gone"
    p.move(price * (1 - 1e-6 * side))
    assert account.risk(symbol).equity < account.risk(symbol).maintenance


@pytest.mark.parametrize(("name", "symbol", "mode", "side"), WAYS)
def test_an_account_that_could_open_the_position_says_the_same(
    name: str, symbol: str, mode: str, side: int
) -> None:
    rules, holding, wallet, answer = asked(name, symbol, mode, side)
    settle = rules.contract(symbol).settle
    account = Account(rules, 10 * wallet, mode, LEVERAGE, currency=settle, time=NOW)  # type: ignore[arg-type]  # a text
    account.mark(symbol, ENTRY)
    fill = account.fill(symbol, holding.size, ENTRY, fee=lambda size, price: 0.0)
    assert fill.refusal is None
    p = account.position(symbol)
    assert p.initial() == answer.initial_margin
    assert p.maintenance() == answer.maintenance_margin


def test_a_position_beyond_the_wallet_and_the_cap_is_answered_all_the_same() -> None:
    rules = venue("binance")
    (answer,) = what_if(
        rules, [Holding("BTC/USDT:USDT", 50_000.0, ENTRY)], wallet=10.0, leverage=100.0,
        margin_mode="cross", time=NOW,
    )  # fmt: skip
    assert answer.maintenance_margin > 10.0
    assert answer.liquidation_price is not None
    assert abs(answer.affordable_size) < 1.0


def test_a_position_under_water_is_answered_and_not_liquidated() -> None:
    (answer,) = what_if(
        venue("binance"), [Holding("BTC/USDT:USDT", 1.0, ENTRY, 50_000.0)], wallet=9_000.0,
        leverage=10.0, margin_mode="cross", time=NOW,
    )  # fmt: skip
    assert answer.size == 1.0
    assert answer.equity == pytest.approx(-1_000.0)
    assert answer.to_dict()["margin_ratio"] is None


def test_margin_and_leverage_of_one_position_are_its_own() -> None:
    held = [
        Holding("BTC/USDT:USDT", 0.1, ENTRY, leverage=20.0, margin=500.0),
        Holding("ETH/USDT:USDT", 1.0, 3_000.0),
    ]
    first, second = what_if(
        venue("binance"), held, wallet=10_000.0, leverage=5.0, margin_mode="isolated", time=NOW
    )
    assert (first.leverage, first.balance, first.initial_margin) == (20.0, 500.0, 300.0)
    assert (second.leverage, second.balance) == (5.0, 600.0)


def test_a_mode_the_venue_does_not_have_is_refused() -> None:
    with pytest.raises(UnknownMode, match="isolated"):
        what_if(
            venue("krakenspot"), [Holding("BTC/USD", 1.0, ENTRY)], wallet=1.0, leverage=2.0,
            margin_mode="isolated", time=NOW,
        )  # fmt: skip


def test_cross_margin_needs_a_wallet_and_one_side_is_given_once() -> None:
    with pytest.raises(InputError, match="wallet"):
        what_if(
            venue("binance"), [Holding("BTC/USDT:USDT", 1.0, ENTRY)], wallet=None, leverage=2.0,
            margin_mode="cross", time=NOW,
        )  # fmt: skip
    with pytest.raises(InputError, match="twice"):
        keys([Holding("BTC", 1.0, ENTRY), Holding("BTC", 2.0, ENTRY)])


def test_rules_change_on_their_date() -> None:
    """The same trade at Bybit on the last day of the old rule and on the first of the new one."""
    held = [Holding("BTC/USDT:USDT", 10_000 / 65_000, 65_000.0)]
    prices = [
        what_if(rules, held, wallet=None, leverage=10.0, margin_mode="isolated", time=rules.as_of)[
            0
        ]
        for rules in (rules_of("bybit", day) for day in ("2025-09-01", "2025-09-03"))
    ]
    assert [round(answer.liquidation_price or 0.0, 2) for answer in prices] == [
        58_825.00,
        58_793.97,
    ]


def test_without_a_wallet_isolated_margin_affords_just_what_it_holds() -> None:
    holding = Holding("BTC/USDT:USDT", 0.5, ENTRY)
    (answer,) = what_if(
        venue("binance"), [holding], wallet=None, leverage=10.0, margin_mode="isolated", time=NOW
    )
    assert answer.balance == pytest.approx(3_000.0)
    assert answer.affordable_size == pytest.approx(0.5)


def test_the_distance_is_from_the_mark() -> None:
    holding = Holding("BTC/USDT:USDT", 0.5, ENTRY, 66_000.0)
    (answer,) = what_if(
        venue("binance"), [holding], wallet=None, leverage=10.0, margin_mode="isolated", time=NOW
    )
    assert answer.liquidation_price is not None
    assert answer.distance == pytest.approx(answer.liquidation_price / 66_000.0 - 1.0)


@pytest.mark.parametrize(("name", "symbol"), [("krakenspot", "BTC/USD"), ("aave_v3", "WBTC/USDC")])
def test_what_an_opening_costs_was_paid_long_ago(name: str, symbol: str) -> None:
    account = hold(venue(name), [Holding(symbol, 0.1, ENTRY)], Terms(4_000.0, 2.0, "cross", NOW))
    assert account.cross.balance == pytest.approx(4_000.0, abs=1e-9)
