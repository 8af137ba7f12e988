"""One file per venue."""

from market.loopback.venue import Venue
from market.loopback.venues.binance import Binance
from market.loopback.venues.bybit import Bybit
from market.loopback.venues.dydx import Dydx
from market.loopback.venues.gate import Gate
from market.loopback.venues.hyperliquid import Hyperliquid
from market.loopback.venues.kraken import Kraken
from market.loopback.venues.krakenfutures import KrakenFutures
from market.loopback.venues.okx import Okx

ALL = (Binance, Okx, Bybit, KrakenFutures, Kraken, Dydx, Hyperliquid, Gate)
VENUES: dict[str, type[Venue]] = {name: kind for kind in ALL for name in kind.names}
