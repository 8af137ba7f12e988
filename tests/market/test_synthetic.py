"""The sample market: deterministic, well formed, and shaped as its docstring says."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bt_margin.errors import InputError
from bt_margin.market import cache
from bt_margin.market.frames import CANONICAL, validate_frame
from bt_margin.market.synthetic import COINS, generate_market, sample_market

CRASH = pd.Timestamp("2025-10-10 21:00", tz="UTC")
LOWS = {"BTC": -0.11, "ETH": -0.12, "SOL": -0.28, "DOGE": -0.62}


@pytest.fixture(scope="module")
def market() -> dict[str, pd.DataFrame]:
    return generate_market()


def test_four_coins_two_years_hourly(market: dict[str, pd.DataFrame]) -> None:
    assert [symbol.split("/")[0] for symbol in market] == list(LOWS)
    for symbol, frame in market.items():
        assert list(frame.columns) == list(CANONICAL)
        assert frame.attrs["synthetic"] is True
        assert len(frame) == 17_520
        assert frame.index[0] == pd.Timestamp("2024-01-01", tz="UTC")
        assert (np.diff(frame.index.asi8) == 3_600_000_000_000).all()
        pd.testing.assert_frame_equal(validate_frame(frame, symbol), frame)


def test_one_seed_one_market_to_the_byte(market: dict[str, pd.DataFrame]) -> None:
    assert cache.content_stamp(generate_market()) == cache.content_stamp(market)
    assert cache.content_stamp(generate_market(seed=1)) != cache.content_stamp(market)


def test_generation_takes_less_than_two_seconds() -> None:
    begin = time.process_time()
    generate_market()
    assert time.process_time() - begin < 2.0


@pytest.mark.parametrize("coin", LOWS)
def test_the_crash_has_the_published_size(market: dict[str, pd.DataFrame], coin: str) -> None:
    frame = market[f"{coin}/USDT:USDT"]
    bar = frame.loc[CRASH]
    before = frame["close"].loc[CRASH - pd.Timedelta(hours=1)]
    fall = bar["low"] / before - 1
    assert fall == pytest.approx(LOWS[coin], abs=0.001)
    assert 0.009 <= bar["mark_low"] / bar["mark_open"] - 1 - fall <= 0.041
    assert bar["close"] > before * 0.85  # recovered within the hour
    assert bar["close"] / bar["low"] - 1 > 0.09


def test_there_is_only_one_crash(market: dict[str, pd.DataFrame]) -> None:
    for coin, fall in LOWS.items():
        frame = market[f"{coin}/USDT:USDT"]
        depth = (frame["low"] / frame["open"] - 1).drop(CRASH)
        assert depth.min() > fall * (0.5 if fall < -0.2 else 0.9)


def test_coins_move_together_in_clusters_with_fat_tails(market: dict[str, pd.DataFrame]) -> None:
    closes = pd.DataFrame({symbol: frame["close"] for symbol, frame in market.items()})
    returns = np.log(closes).diff().dropna()
    pairs = returns.corr().to_numpy()[np.triu_indices(4, 1)]
    assert 0.7 < pairs.min() <= pairs.max() < 0.87
    for symbol in returns:
        assert 3.0 < returns[symbol].kurt() < 20.0
        assert returns[symbol].abs().autocorr(1) > 0.15
        assert returns[symbol].abs().autocorr(24) > 0.05


def test_marks_follow_last_with_shorter_wicks(market: dict[str, pd.DataFrame]) -> None:
    for frame in market.values():
        assert (frame["close"] / frame["mark_close"] - 1).abs().median() < 3e-4
        last, mark = frame["high"] / frame["low"], frame["mark_high"] / frame["mark_low"]
        assert mark.mean() < last.mean()


def test_funding_settles_every_eight_hours_at_a_usual_size(market: dict[str, pd.DataFrame]) -> None:
    for frame in market.values():
        rates = frame["funding_rate"].dropna()
        assert set(rates.index.hour) == {0, 8, 16}
        assert len(rates) == 2_190
        assert 0.4 < (rates == 0.0001).mean() < 0.8
        assert rates.mean() > 0
        assert rates.abs().max() < 0.004
    calm = market["SOL/USDT:USDT"]["funding_rate"]
    assert calm.loc[CRASH : CRASH + pd.Timedelta(hours=12)].min() < -0.001


@pytest.mark.parametrize("hours", [200, 500, 1_000, 20_000])
def test_other_lengths_keep_the_crash(hours: int) -> None:
    for coin in COINS:
        frame = generate_market(seed=3, hours=hours)[coin.symbol]
        validate_frame(frame, coin.symbol)
        depth = (frame["low"] / frame["open"] - 1).iloc[hours * 15_573 // 17_520]
        assert depth == pytest.approx(coin.low, abs=0.002)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"seed": -1}, "seed"),
        ({"hours": 10}, "hours"),
        ({"start": "yesterday-ish"}, "start"),
        ({"start": "2024-01-01 00:30"}, "full hour"),
    ],
)
def test_impossible_wishes_are_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        generate_market(**wrong)  # type: ignore[arg-type]


def test_kept_market_equals_the_generated_one(tmp_path: Path) -> None:
    first = sample_market(hours=300, folder=tmp_path)
    again = sample_market(hours=300, folder=tmp_path)
    made = generate_market(hours=300)
    for symbol, frame in made.items():
        pd.testing.assert_frame_equal(first[symbol], frame)
        pd.testing.assert_frame_equal(again[symbol], frame)
        assert again[symbol].attrs == first[symbol].attrs
        assert again[symbol].attrs["synthetic"] is True
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".part"]


@pytest.mark.parametrize("harm", ["damage", "remove", "change", "stranger"])
def test_a_harmed_cache_is_made_anew(tmp_path: Path, harm: str) -> None:
    good = sample_market(hours=300, folder=tmp_path)
    file = next(tmp_path.rglob("ETH_USDT_USDT*"))
    if harm == "damage":
        file.write_bytes(file.read_bytes()[:2_000])
    elif harm == "remove":
        file.unlink()
    elif harm == "change":
        other = {s: f.assign(volume=f["volume"] + 1) for s, f in good.items()}
        cache.save_market(other, file.parent)
    else:
        (file.parent / "XRP_USDT_USDT_1h.csv").write_text("nothing of ours")
    healed = sample_market(hours=300, folder=tmp_path)
    for symbol, frame in good.items():
        pd.testing.assert_frame_equal(healed[symbol], frame)


def test_a_folder_that_cannot_be_written_costs_a_warning_only(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.warns(UserWarning, match="could not be kept"):
        assert len(sample_market(hours=300, folder=blocked)) == 4


def test_the_data_folder_is_chosen_in_the_documented_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BT_MARGIN_DATA", str(tmp_path / "env"))
    assert cache.data_folder(tmp_path / "given") == tmp_path / "given"
    assert cache.data_folder() == tmp_path / "env"
    monkeypatch.delenv("BT_MARGIN_DATA")
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = bt-margin\n")
    monkeypatch.chdir(tmp_path)
    assert cache.data_folder() == tmp_path / "data"
    monkeypatch.setattr(cache, "_is_checkout", lambda place: False)
    assert cache.data_folder().name == "bt_margin"
