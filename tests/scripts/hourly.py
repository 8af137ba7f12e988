"""Prices for the scripts beside this file: seeded, made without any package but pandas."""

import random

import pandas as pd


def hours(bars, seed=1, start=100.0, volatility=0.008, freq="h", begin="2024-01-01"):
    """Bars of a random walk with a fall in its second half."""
    draw = random.Random(seed)
    rows, close = [], start
    for i in range(bars):
        opened = close * (1 + draw.gauss(0, volatility / 8))
        fall = 0.02 if bars * 0.6 <= i < bars * 0.6 + 5 else 0.0
        close = opened * (1 + draw.gauss(0.0002, volatility) - fall)
        high = max(opened, close) * (1 + abs(draw.gauss(0, volatility / 2)))
        low = min(opened, close) * (1 - abs(draw.gauss(0, volatility / 2)))
        rows.append((opened, high, low, close, draw.randrange(50, 900)))
    index = pd.date_range(begin, periods=bars, freq=freq)
    return pd.DataFrame(rows, index, ["open", "high", "low", "close", "volume"])
