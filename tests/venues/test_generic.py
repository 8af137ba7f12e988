"""The neutral venue: nothing is assumed."""

import pytest

import bt_margin as btm
from bt_margin.core.fees import Fees
from bt_margin.errors import InputError
from bt_margin.venues.policies import FullClose, LargestLossFirst

GENERIC = {
    "maintenance_rate": 0.005,
    "taker_fee": 0.0005,
    "maker_fee": 0.0002,
    "liquidation_fee": 0.0,
    "funding_interval": "8h",
    "residual": "trader",
}


def changed(**options: object) -> dict[str, object]:
    return {**GENERIC, **options}


def test_without_numbers_every_missing_one_is_named_with_a_full_example() -> None:
    with pytest.raises(InputError) as caught:
        btm.venue("generic")
    text = str(caught.value)
    for name in GENERIC:
        assert name in text.split(";")[0]
    assert 'btm.venue("generic", maintenance_rate=0.005' in text


@pytest.mark.parametrize("name", sorted(GENERIC))
def test_one_missing_number_is_named_alone(name: str) -> None:
    options = {key: value for key, value in GENERIC.items() if key != name}
    with pytest.raises(InputError, match=rf"misses {name}( \(or tiers\))?; state"):
        btm.venue("generic", **options)


@pytest.mark.parametrize("symbol", ["", "BTC", "data0", "BTC/USDT", "XYZ/USDT:USDT"])
def test_every_symbol_is_accepted_and_settles_in_the_currency(symbol: str) -> None:
    venue = btm.venue("generic", **GENERIC)
    assert venue.resolve(symbol) == symbol
    contract = venue.contract(symbol)
    assert (contract.symbol, contract.kind, contract.settle) == (symbol, "linear", "USDT")
    assert (contract.multiplier, contract.tick, contract.lot) == (1.0, None, None)
    assert venue.schedule(symbol).at(0).maintenance(10_000) == 50.0


def test_unified_inverse_symbols_are_inverse() -> None:
    contract = btm.venue("generic", **GENERIC).contract("BTC/USD:BTC")
    assert (contract.kind, contract.settle) == ("inverse", "BTC")


def test_the_currency_is_a_choice() -> None:
    assert btm.venue("generic", **changed(currency="EUR")).contract("X").settle == "EUR"


def test_tiers_take_the_place_of_the_flat_rate() -> None:
    options = changed(tiers=[(50_000, 0.004, 0, 125), (None, 0.005, 50, 100)])
    del options["maintenance_rate"]
    table = btm.venue("generic", **options).schedule("X").at(0)
    assert table.maintenance(100_000) == 450.0
    assert table.max_leverage(100_000) == 100


def test_numbers_are_passed_on_as_they_are_and_hold_at_every_time() -> None:
    venue = btm.venue("generic", **changed(liquidation_fee=0.01, max_leverage=20))
    assert venue.fees_at("X", -(10**12)) == Fees(0.0002, 0.0005, 0.01)
    assert venue.schedule("X").at(0).max_leverage(1.0) == 20
    assert not venue.schedule("X").is_proxy(-(10**12))
    assert venue.funding_interval == 28_800_000
    assert venue.liquidation == FullClose(settle="sale", residual="trader")
    assert venue.orders.fee_in_check
    assert not venue.orders.open_loss


def test_a_policy_object_replaces_the_full_close() -> None:
    options = changed(policy=LargestLossFirst(residual="fund"))
    del options["residual"]
    assert btm.venue("generic", **options).liquidation == LargestLossFirst(residual="fund")
    with pytest.raises(InputError, match="in the policy alone"):
        btm.venue("generic", **changed(policy=LargestLossFirst(residual="fund")))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"maintenance_rate": 1.0}, "maintenance_rate is 1.0"),
        ({"maintenance_rate": -0.1}, "maintenance_rate"),
        ({"maintenance_rate": float("nan")}, "maintenance_rate"),
        ({"maintenance_rate": "0.5%"}, "maintenance_rate"),
        ({"taker_fee": 0.05}, "taker_fee.*fractions"),
        ({"maker_fee": float("inf")}, "maker_fee"),
        ({"liquidation_fee": -0.01}, "liquidation_fee"),
        ({"funding_interval": "8"}, "funding_interval"),
        ({"residual": "me"}, "residual 'me'"),
        ({"max_leverage": 0}, "max_leverage"),
        ({"currency": ""}, "currency"),
        ({"tiers": [(None, 0.01, 0)]}, "both maintenance_rate and tiers"),
    ],
)
def test_bad_numbers_are_named(options: dict[str, object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        btm.venue("generic", **changed(**options))


@pytest.mark.parametrize("tiers", [[], "none", 5, [(1, 2)], [5], [(100, 0.02, 0), (50, 0.03, 0)]])
def test_bad_tiers_are_named(tiers: object) -> None:
    options = changed(tiers=tiers)
    del options["maintenance_rate"]
    with pytest.raises(InputError, match="tiers"):
        btm.venue("generic", **options)
