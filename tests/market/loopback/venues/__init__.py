"""One file per venue."""

from market.loopback.venue import Venue
from market.loopback.venues.binance import Binance

VENUES: dict[str, type[Venue]] = {name: kind for kind in (Binance,) for name in kind.names}
