"""Hypothesis strategies of exact numbers: contracts, tier tables, sizes and prices as fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from bt_margin.core import Contract, TierTable

# BTCUSDT, USD-M futures, Binance leverage brackets as packaged by freqtrade 2026.9 (2026-09-29).
BTC_2026 = TierTable.of(
    [
        (300_000, 0.004, 0, 150),
        (800_000, 0.005, 300, 100),
        (3_000_000, 0.0065, 1_500, 75),
        (12_000_000, 0.01, 12_000, 50),
        (70_000_000, 0.02, 132_000, 25),
        (100_000_000, 0.025, 482_000, 20),
        (230_000_000, 0.05, 2_982_000, 10),
        (480_000_000, 0.1, 14_482_000, 5),
        (600_000_000, 0.125, 26_482_000, 4),
        (800_000_000, 0.15, 41_482_000, 3),
        (1_200_000_000, 0.25, 121_482_000, 2),
        (1_800_000_000, 0.5, 421_482_000, 1),
    ]
)


def fractions(lo: Any, hi: Any, denominator: int = 20) -> st.SearchStrategy[Any]:
    return st.fractions(Fraction(lo), Fraction(hi), max_denominator=denominator)


prices = fractions(1, 500)
amounts = fractions(-2_000, 5_000)
quantities = fractions(Fraction(1, 20), 50)
sizes = st.one_of(quantities, quantities.map(lambda size: -size))


@st.composite
def contracts(draw: st.DrawFn, kinds: tuple[str, ...] = ("linear", "inverse")) -> Contract:
    kind: Any = draw(st.sampled_from(kinds))
    multiplier = draw(fractions(Fraction(1, 10), 10)) * (100 if kind == "inverse" else 1)
    return Contract("X", kind=kind, multiplier=multiplier)


@st.composite
def tables(draw: st.DrawFn, stepped: bool = False) -> TierTable:
    """One to four tiers whose edges lie where the positions of these tests are."""
    caps = draw(st.lists(fractions(1, 4_000), max_size=3, unique=True).map(sorted))
    count = len(caps) + 1
    rates = draw(
        st.lists(fractions(0, Fraction(9, 10), 40), min_size=count, max_size=count).map(sorted)
    )
    rows: list[Any] = [(c, r, None) for c, r in zip([*caps, None], rates, strict=True)]
    return TierTable.of(rows, stepped=stepped)
