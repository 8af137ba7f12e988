"""Servers on this machine that answer as trading venues do, so that the real ccxt classes can be run.

    with loopback("binanceusdm", Coin("BTC", listed=ms("2024-01-01")), now=ms("2024-03-01")) as server:
        client = server.client()                     # the bare ccxt class, its clock the server's
        client.fetch_ohlcv("BTC/USDT:USDT", "1h")
        server.held("BTC/USDT:USDT", "ohlcv", "1h")  # what the server holds, as the store returns it

What a server holds is invented from a seed; nothing here was ever downloaded. A venue is one file:
its routes, its paging rule, its way of writing a row and of wording an error.
"""

from market.loopback.apart import Remote, loopback_apart
from market.loopback.history import HOUR, MINUTE, Coin, Outage, Tier, ms
from market.loopback.serve import Loopback, loopback

__all__ = [
    "HOUR",
    "MINUTE",
    "Coin",
    "Loopback",
    "Outage",
    "Remote",
    "Tier",
    "loopback",
    "loopback_apart",
    "ms",
]
