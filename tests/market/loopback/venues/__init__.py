"""One file per venue."""

from market.loopback.venue import Venue
from market.loopback.venues.binance import Binance
from market.loopback.venues.bybit import Bybit
from market.loopback.venues.okx import Okx

VENUES: dict[str, type[Venue]] = {
    name: kind for kind in (Binance, Okx, Bybit) for name in kind.names
}
