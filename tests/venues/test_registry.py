"""``btm.venue(...)`` and ``btm.venues()``."""

import pickle
import subprocess
import sys

import pytest

import bt_margin as btm
from bt_margin.errors import InputError, UnknownVenue
from bt_margin.venues.spec import Venue

GENERIC: dict[str, object] = {
    "maintenance_rate": 0.005,
    "taker_fee": 0.0005,
    "maker_fee": 0.0002,
    "liquidation_fee": 0.0,
    "funding_interval": "8h",
    "residual": "trader",
}


#: Venues that assume nothing about some of their numbers.
STATED: dict[str, dict[str, object]] = {
    "generic": GENERIC,
    "dydx_v3": {"taker_fee": 0.0005, "maker_fee": 0.0002},
}


def options(name: str) -> dict[str, object]:
    return dict(STATED.get(name, {}))


def test_the_names_can_be_listed_from_the_package() -> None:
    assert set(btm.venues()) >= {"binance", "binancecoinm", "generic"}
    assert list(btm.venues()) == sorted(btm.venues())


def test_ccxt_names_and_any_case_find_the_same_venue() -> None:
    assert btm.venue("binanceusdm") == btm.venue("Binance") == btm.venue("binance")


def test_an_unknown_venue_is_named_with_the_nearest_and_all_names() -> None:
    with pytest.raises(UnknownVenue, match=r"'binanse' is not known.*'generic'.*mean 'binance'"):
        btm.venue("binanse")
    with pytest.raises(UnknownVenue):
        btm.venue("")


def test_an_unknown_option_is_named_with_the_allowed_ones() -> None:
    with pytest.raises(InputError, match=r"'binance' has no option 'fee'; options: multi_assets"):
        btm.venue("binance", fee=0.1)
    with pytest.raises(InputError, match=r"no option 'taker'; options: maintenance_rate, tiers"):
        btm.venue("generic", **GENERIC, taker=0.1)


@pytest.mark.parametrize("as_of", ["yesterday", "2025-13-01", "2025-01-31T08:00:00", 1.5])
def test_a_date_that_is_none_or_has_no_zone_is_refused(as_of: object) -> None:
    with pytest.raises(InputError, match="as_of"):
        btm.venue("binance", as_of=as_of)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", btm.venues())
def test_every_venue_survives_pickling(name: str) -> None:
    venue = btm.venue(name, **options(name))
    copy = pickle.loads(pickle.dumps(venue))
    assert copy == venue
    assert len(pickle.dumps(venue)) < 30_000


@pytest.mark.parametrize("name", btm.venues())
def test_every_venue_states_its_facts_with_source_and_date(name: str) -> None:
    venue: Venue = btm.venue(name, **options(name))
    assert venue.facts
    assert venue.approximations
    for fact in venue.facts:
        assert all((fact.topic, fact.value, fact.source, fact.as_of))
        assert fact.tag in {"P", "A", "R", "C", "D", "M", "N"}


def test_importing_the_package_reads_no_table_and_no_venue() -> None:
    code = (
        "import sys, bt_margin, bt_margin.venues; "
        "bad = [m for m in sys.modules if m.startswith('bt_margin.venues.binance')]; "
        "assert not bad, bad; assert 'bt_margin.venues.tables' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_builder_that_builds_no_venue_is_told_so() -> None:
    btm.register("nothing", lambda *, as_of=None: None)  # type: ignore[arg-type,return-value,misc]
    try:
        with pytest.raises(InputError, match="returned None, which is no Venue"):
            btm.venue("nothing")
    finally:
        from bt_margin.venues import _BUILDERS

        del _BUILDERS["nothing"]
