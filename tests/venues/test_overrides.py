"""``Venue.with_symbols``: the caller's numbers for single symbols."""

import pickle

import pytest

import bt_margin as btm
from bt_margin.errors import InputError, UnknownSymbol

BTC = "BTC/USDT:USDT"
NOW = 1_759_276_800_000  # 2025-10-01


def test_own_tiers_hold_at_every_time_and_only_for_their_symbol() -> None:
    plain = btm.venue("binance")
    own = plain.with_symbols({"BTCUSDT": {"tiers": [(1_000, 0.01, 0, 20), (None, 0.02, None)]}})
    assert own.schedule(BTC).at(0).maintenance(2_000) == 30.0
    assert own.schedule(BTC).next_change(0) is None
    assert own.schedule("ETH/USDT:USDT") == plain.schedule("ETH/USDT:USDT")
    assert plain.schedule(BTC).at(NOW).maintenance(1_000) == 4.0


def test_a_symbol_the_venue_does_not_know_comes_with_its_table() -> None:
    venue = btm.venue("binance").with_symbols({"NEW/USDT:USDT": {"maintenance_rate": 0.05}})
    assert venue.resolve("NEWUSDT") == "NEW/USDT:USDT"
    assert venue.schedule("NEWUSDT").at(NOW).maintenance(100) == 5.0
    assert venue.contract("NEW/USDT:USDT").settle == "USDT"
    assert venue.fees_at("NEW/USDT:USDT", NOW).taker == 0.0005
    assert len(venue.schedules) == len(btm.venue("binance").schedules) + 1
    assert set(venue.schedules) - set(btm.venue("binance").schedules) == {"NEW/USDT:USDT"}


def test_an_unknown_symbol_without_a_table_is_refused() -> None:
    with pytest.raises(UnknownSymbol, match="NEWCOIN"):
        btm.venue("binance").with_symbols({"NEWCOIN": {"taker_fee": 0.001}})


def test_contract_facts_and_fees_are_replaced_one_by_one() -> None:
    venue = btm.venue("binance").with_symbols(
        {
            BTC: {
                "multiplier": 10,
                "lot": None,
                "min_notional": 1,
                "taker_fee": 0.001,
                "liquidation_fee": 0,
            }
        }
    )
    contract = venue.contract(BTC)
    assert (contract.multiplier, contract.tick, contract.lot, contract.min_notional) == (
        10,
        0.1,
        None,
        1,
    )
    fees = venue.fees_at(BTC, NOW)
    assert (fees.maker, fees.taker, fees.liquidation) == (0.0002, 0.001, 0.0)
    twice = venue.with_symbols({BTC: {"maker_fee": -0.0001}})
    assert twice.fees_at(BTC, NOW).maker == -0.0001
    assert twice.fees_at(BTC, NOW).taker == 0.001


def test_account_keys_are_skipped() -> None:
    venue = btm.venue("binance")
    assert venue.with_symbols({BTC: {"margin_mode": "isolated", "leverage": 20}}) == venue


def test_an_overridden_venue_survives_pickling() -> None:
    venue = btm.venue("binance").with_symbols({BTC: {"maintenance_rate": 0.05, "tick": 1}})
    copy = pickle.loads(pickle.dumps(venue))
    assert copy == venue
    assert copy.schedule(BTC).at(NOW).maintenance(100) == 5.0


def test_an_unknown_key_is_named_with_the_allowed_ones() -> None:
    with pytest.raises(InputError, match=r"'mmr'; allowed: tiers, maintenance_rate.*leverage"):
        btm.venue("binance").with_symbols({BTC: {"mmr": 0.01}})


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"multiplier": 0}, "multiplier is 0"),
        ({"multiplier": None}, "multiplier is None"),
        ({"tick": -1}, "tick is -1"),
        ({"taker_fee": 1}, "taker_fee is 1"),
        ({"liquidation_fee": "1%"}, "liquidation_fee"),
        ({"maintenance_rate": 2}, "maintenance_rate is 2"),
        ({"max_leverage": 20}, "max_leverage without maintenance_rate"),
        ({"maintenance_rate": 0.01, "tiers": [(None, 0.01, 0)]}, "both tiers and maintenance_rate"),
        ({"tiers": [(100, 0.01)]}, "tiers has the row"),
        (5, "allowed: a dict"),
    ],
)
def test_bad_values_are_named_with_their_symbol(given: object, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        btm.venue("binance").with_symbols({BTC: given})  # type: ignore[dict-item]
    assert BTC in str(caught.value)
