"""The ccxt side of market data: a client that can be left alone, and pages that can be believed.

    Client          one ccxt class: pace, retries, verdicts, proof of an empty answer
    bar_pages       bars of the last, mark or index price, page by page
    funding_pages   settlements, forward or backward as the venue needs
    fetch_tiers     maintenance tiers of today, in notional
    read_options    the file of --exchange-options

ccxt itself is loaded when the first client is made, not before.
"""

from bt_margin.market.exchange.bars import bar_pages
from bt_margin.market.exchange.client import Client
from bt_margin.market.exchange.clocks import Clock
from bt_margin.market.exchange.funding import funding_pages
from bt_margin.market.exchange.options import read_options
from bt_margin.market.exchange.retry import Pace, Retry
from bt_margin.market.exchange.tiers import Tiers, fetch_tiers

__all__ = [
    "Client",
    "Clock",
    "Pace",
    "Retry",
    "Tiers",
    "bar_pages",
    "fetch_tiers",
    "funding_pages",
    "read_options",
]
