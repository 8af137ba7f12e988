"""Paths resampled from a history: the laws they keep."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from bt_margin.errors import InputError
from bt_margin.market.frames import MARK, validate_frames
from bt_margin.market.synthetic import generate_market
from bt_margin.studies.bootstrap import Bootstrap

MARKET = generate_market(seed=11, hours=4_000)
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
DRAWN = Bootstrap(MARKET)
PATHS = list(DRAWN.paths(seed=7, count=20))


def returns(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.DataFrame({s: np.log(f["close"]).diff() for s, f in frames.items()}).dropna()


def test_paths_are_canonical_frames_of_an_unbroken_clock() -> None:
    path = PATHS[0]
    checked = validate_frames(path)
    for symbol, frame in path.items():
        pd.testing.assert_frame_equal(frame, checked[symbol])
        assert list(frame.columns) == list(MARKET[symbol].columns)
        assert (frame.index[1:] - frame.index[:-1] == pd.Timedelta("1h")).all()
        assert frame.attrs["synthetic"] is True
        assert "seed 7" in frame.attrs["bootstrap"]


def test_the_same_seed_and_number_are_the_same_bytes_and_others_are_not() -> None:
    again = Bootstrap(MARKET).path(7, 3)
    for symbol, frame in PATHS[3].items():
        assert frame.to_numpy().tobytes() == again[symbol].to_numpy().tobytes()
    assert not PATHS[3][BTC]["close"].equals(PATHS[4][BTC]["close"])
    assert not PATHS[3][BTC]["close"].equals(DRAWN.path(8, 3)[BTC]["close"])


def test_mean_and_spread_of_returns_are_those_of_the_history_within_error() -> None:
    own, found = returns(MARKET), [returns(path) for path in PATHS]
    means = np.array([each.mean() for each in found])
    error = 4.0 * means.std(axis=0, ddof=1) / len(PATHS) ** 0.5
    assert (np.abs(means.mean(axis=0) - own.mean().to_numpy()) < error).all()
    spread = np.array([each.std() for each in found]).mean(axis=0)
    np.testing.assert_allclose(spread, own.std(), rtol=0.06)


def test_what_moved_together_moves_together() -> None:
    own = returns(MARKET).corr().to_numpy()
    found = np.mean([returns(path).corr().to_numpy() for path in PATHS], axis=0)
    np.testing.assert_allclose(found, own, atol=0.02)


def test_clusters_of_volatility_survive_inside_the_blocks() -> None:
    def clustered(frames: dict[str, pd.DataFrame]) -> float:
        size = returns(frames)[BTC].abs()
        return float(size.autocorr(3))

    assert np.mean([clustered(path) for path in PATHS]) > 0.6 * clustered(MARKET) > 0.05


def test_every_bar_is_a_bar_of_the_history_times_one_number() -> None:
    rows = DRAWN.rows(7, 0)
    for symbol, path in PATHS[0].items():
        names = ["open", "high", "low", "close", *MARK]
        own = MARKET[symbol][names].to_numpy()[rows]
        scale = path[names].to_numpy() / own
        np.testing.assert_allclose(scale, scale[:, :1] @ np.ones((1, len(names))), rtol=1e-12)
        np.testing.assert_array_equal(path["volume"], MARKET[symbol]["volume"].to_numpy()[rows])
        gap = MARKET[symbol]["open"].to_numpy()[rows] / MARKET[symbol]["close"].to_numpy()[rows - 1]
        np.testing.assert_allclose(
            path["open"].to_numpy()[1:] / path["close"].to_numpy()[:-1], gap[1:]
        )


def test_settlements_stay_on_their_clock_and_their_rates_are_those_of_the_history() -> None:
    for path in PATHS[:5]:
        settled = path[BTC]["funding_rate"].dropna()
        assert set(settled.index.hour) == {0, 8, 16}
        assert len(settled) == pytest.approx(len(path[BTC]) / 8, abs=1)
        assert set(settled) <= set(MARKET[BTC]["funding_rate"].dropna())


def test_blocks_have_the_mean_length_asked_for() -> None:
    rows = np.concatenate([DRAWN.rows(1, number) for number in range(40)])
    joints = (np.diff(rows) != 1).sum()
    assert len(rows) / joints == pytest.approx(120.0, rel=0.12)


def test_a_path_may_be_longer_than_the_history() -> None:
    path = Bootstrap(MARKET, bars=9_000).path(1, 0)
    assert len(path[ETH]) == 9_000
    validate_frames(path)


def test_holes_in_the_history_are_never_bridged_by_a_return() -> None:
    holed = {s: f.drop(f.index[1_000:1_500]) for s, f in MARKET.items()}
    drawn = Bootstrap(holed)
    rows = drawn.rows(3, 0)
    assert 1_000 not in rows
    steps = np.diff(holed[BTC].index.asi8)[rows - 1]
    assert set(steps) == {3_600_000_000_000}


def test_symbols_that_began_later_shorten_what_is_drawn_from() -> None:
    late = {BTC: MARKET[BTC], ETH: MARKET[ETH].iloc[2_000:]}
    path = Bootstrap(late).path(1, 0)
    assert len(path[BTC]) == len(path[ETH]) == 2_000
    assert path[BTC].index[0] == MARKET[ETH].index[2_000]


def test_memory_does_not_grow_with_the_number_of_paths() -> None:
    def most(count: int) -> int:
        tracemalloc.start()
        for _ in DRAWN.paths(seed=1, count=count):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    most(1)
    assert most(12) < 1.5 * most(2)


def test_daily_bars_have_no_time_of_day_to_keep() -> None:
    index = pd.date_range("2024-01-01", periods=200, freq="D", tz="UTC")
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(1).normal(0.0, 0.02, 200)))
    bars = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), close), index)
    path = Bootstrap({"X": bars.assign(volume=1.0)}, block="10D").path(1, 0)["X"]
    validate_frames({"X": path})
    assert len(path) == 200


def test_what_cannot_be_resampled_is_refused() -> None:
    with pytest.raises(InputError, match="needs at least 50"):
        Bootstrap({BTC: MARKET[BTC].iloc[:30]})
    with pytest.raises(InputError, match="at least one symbol"):
        Bootstrap({})
    with pytest.raises(InputError, match="different lengths"):
        Bootstrap({BTC: MARKET[BTC], ETH: MARKET[ETH].iloc[::4]})
    with pytest.raises(InputError, match="block"):
        Bootstrap(MARKET, block="soon")
    with pytest.raises(InputError, match="at least one bar"):
        Bootstrap(MARKET, block="10min")
    with pytest.raises(InputError, match="bars of a path"):
        Bootstrap(MARKET, bars=1)


def test_gaps_between_bars_are_those_of_the_history() -> None:
    luck = np.random.default_rng(2)
    gap = np.exp(luck.normal(0.0, 0.03, 500))
    bars = MARKET[BTC].iloc[:500].drop(columns="funding_rate")
    level = np.cumprod(gap)
    for name in ("open", "high", "low", "close", *MARK):
        bars = bars.assign(**{name: bars[name] * level})
    drawn = Bootstrap({BTC: bars})
    rows, path = drawn.rows(1, 0), drawn.path(1, 0)[BTC]
    own = bars["open"].to_numpy()[rows] / bars["close"].to_numpy()[rows - 1]
    found = path["open"].to_numpy()[1:] / path["close"].to_numpy()[:-1]
    np.testing.assert_allclose(found, own[1:], rtol=1e-12)
    assert found.std() > 0.02
