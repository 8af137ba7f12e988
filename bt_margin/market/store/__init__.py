"""The store of market data: Parquet files by exchange, symbol and kind, safe to kill and to share.

store = Store("data")
hourly = store.dataset("binanceusdm", "BTC/USDT:USDT", "ohlcv", "1h")
for span in hourly.missing(wanted): ...      # what the venue has not answered for
with hourly.writing() as writer: ...         # one writer at a time
hourly.read(wanted)                          # one committed state, checked against its hashes
"""

from bt_margin.market.store.dataset import Dataset, Revision
from bt_margin.market.store.gaps import Gap
from bt_margin.market.store.manifest import Manifest, Part
from bt_margin.market.store.store import Store
from bt_margin.market.store.verify import Problem
from bt_margin.market.store.writer import Writer

__all__ = ["Dataset", "Gap", "Manifest", "Part", "Problem", "Revision", "Store", "Writer"]
