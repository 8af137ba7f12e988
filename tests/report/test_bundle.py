"""The bundle of a comparison: the numbers of its frames, on one clock, through a folder and back."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from studies.worlds import BTC, ETH, Hold, flat_venue, frame

import bt_margin as btm
from bt_margin.errors import InputError
from bt_margin.report.bundle import ARRAYS, META, OUTCOME, Bundle, bundle_of, load, save
from bt_margin.report.encode import decode, encode
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.stats import drawdowns
from bt_margin.studies.summary import growth_of

FALL = [100.0, 100.0, 101.0, 99.0, 97.0, 92.0, 85.0, 80.0, 84.0, 90.0, 91.0, 91.0]


class Both(bt.Strategy):
    """Buys every feed at the first bar on which all have begun."""

    bought = False

    def next(self) -> None:
        if not self.bought:
            self.bought = True
            for data in self.datas:
                self.order_target_percent(data, target=2.0)


@pytest.fixture(scope="module")
def result() -> Comparison:
    """One symbol falls until its own margin is gone; the other begins three bars later."""
    frames = {
        BTC: frame(FALL, funding={8: 0.001}, mark_lows={7: 79.0}),
        ETH: frame([10.0 + i / 10 for i in range(12)]).iloc[3:],
    }
    rules = flat_venue(taker_fee=0.0005, liquidation_fee=0.01)
    return btm.compare(Both, frames, venue=rules, cash=1_000.0, leverage=10)


@pytest.fixture(scope="module")
def bundle(result: Comparison) -> Bundle:
    return bundle_of(result)


def same(one: Any, other: Any) -> None:
    np.testing.assert_allclose(np.asarray(one, dtype=float), np.asarray(other, dtype=float))


def test_curves_are_the_frames_of_the_comparison(result: Comparison, bundle: Bundle) -> None:
    a = bundle.arrays
    assert a["time"].tolist() == [t.value // 1_000_000 for t in result.index]
    for i, (name, run) in enumerate(result.runs.items()):
        same(a[f"s{i}.equity"], result.equity[name])
        same(a[f"s{i}.ratio"], run.bars["margin_ratio"])
        same(a[f"s{i}.leverage"], run.bars["leverage"])
        same(a[f"s{i}.margin"], run.bars["margin"])
        same(a[f"s{i}.drawdown"], drawdowns(growth_of(run, result.tracks[i])))
        row = result.summary.loc[name]
        for array, column in {
            "fees": "fees",
            "funding": "funding",
            "interest": "interest",
            "liquidation": "liquidation_fees",
        }.items():
            assert a[f"s{i}.{array}"][-1] == pytest.approx(row[column]), array
    assert a["s0.fees"][-1] < 0.0


def test_positions_are_those_of_the_frame(result: Comparison, bundle: Bundle) -> None:
    names = bundle.meta["symbols"]
    for i, scenario in enumerate(bundle.meta["scenarios"]):
        table = result.runs[scenario["name"]].positions
        for j, symbol in enumerate(names):
            own = table[table["symbol"] == symbol].set_index("time").reindex(result.index)
            same(bundle.arrays[f"s{i}.y{j}.size"], own["size"].fillna(0.0))
            same(bundle.arrays[f"s{i}.y{j}.entry"], own["entry"])
            same(bundle.arrays[f"s{i}.y{j}.liquidation"], own["liquidation_price"])
        for k, pool in enumerate(scenario["pools"]):
            sums = table[table["pool"] == pool].groupby("time")["margin"].sum()
            same(bundle.arrays[f"s{i}.p{k}.margin"], sums.reindex(result.index, fill_value=0.0))


def test_margin_in_use_is_the_sum_over_the_pools(bundle: Bundle) -> None:
    for i, scenario in enumerate(bundle.meta["scenarios"]):
        pools = [bundle.arrays[f"s{i}.p{k}.margin"] for k in range(len(scenario["pools"]))]
        same(sum(pools), bundle.arrays[f"s{i}.margin"])


def test_prices_are_the_feeds_and_nothing_before_a_symbol_begins(bundle: Bundle) -> None:
    assert bundle.meta["symbols"] == [BTC, ETH]
    same(bundle.arrays["y0.close"], FALL)
    assert bundle.arrays["y0.low"][7] == 80.0
    late = bundle.arrays["y1.close"]
    assert np.isnan(late[:3]).all()
    same(late[3:], [10.0 + i / 10 for i in range(3, 12)])
    same(bundle.arrays["y1.mark"][3:], late[3:])


def test_prices_of_a_daily_feed_hold_all_day_and_marks_given_by_hand_are_marks() -> None:
    hours = frame([100.0 + i for i in range(48)], marks=False)
    days = hours.resample("1D").agg(
        {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    )
    cerebro = bt.Cerebro(stdstats=False)
    small = {"timeframe": bt.TimeFrame.Minutes, "compression": 60}
    cerebro.adddata(bt.feeds.PandasData(dataname=hours, **small), name=BTC)
    cerebro.adddata(bt.feeds.PandasData(dataname=days), name=ETH)
    cerebro.addstrategy(Hold)
    marks = {BTC: pd.Series([90.0 + i for i in range(48)], hours.index)}
    result = btm.compare(cerebro, venue=flat_venue(), cash=1_000.0, leverage=10, mark=marks)
    arrays = bundle_of(result).arrays
    same(arrays["y0.mark"], [90.0 + i for i in range(48)])
    assert set(arrays["y1.close"]) <= {123.0, 147.0}
    assert len(arrays["y1.close"]) == len(result.index)


def test_a_cerebro_that_keeps_no_bars_has_no_prices_and_all_else() -> None:
    cerebro = bt.Cerebro(stdstats=False, exactbars=1)
    cerebro.adddata(btm.PerpData(dataname=frame(FALL), name=BTC))
    cerebro.addstrategy(Hold)
    arrays = bundle_of(btm.compare(cerebro, venue=flat_venue(), cash=1_000.0, leverage=10)).arrays
    assert np.isnan(arrays["y0.close"]).all()
    assert arrays["s0.y0.size"].max() > 0.0


def test_every_array_has_the_length_of_the_clock_and_every_name_its_number(bundle: Bundle) -> None:
    assert {len(values) for values in bundle.arrays.values()} == {bundle.meta["bars"]}
    assert {values.ndim for values in bundle.arrays.values()} == {1}
    assert bundle.arrays["time"].dtype == np.int64


def test_markers_are_the_fills_and_liquidations(result: Comparison, bundle: Bundle) -> None:
    for i, run in enumerate(result.runs.values()):
        wanted = [e for e in run.broker.events if e.kind in ("fill", "liquidation")]
        found = [m for m in bundle.meta["markers"] if m["scenario"] == i]
        assert [m["event"] for m in found] == [e.id for e in wanted]
        assert [m["price"] for m in found] == [e.price for e in wanted]
        assert [bundle.meta["symbols"][m["symbol"]] for m in found] == [e.symbol for e in wanted]
    assert any(m["kind"] == "liquidation" and m["text"] for m in bundle.meta["markers"])


def test_meta_is_json_and_says_where_it_comes_from(result: Comparison, bundle: Bundle) -> None:
    meta = json.loads(json.dumps(bundle.meta, allow_nan=False))
    assert meta == bundle.meta
    assert (meta["currency"], meta["digits"], meta["bars"]) == ("USDT", 2, 12)
    assert [each["name"] for each in meta["scenarios"]] == list(result.runs)
    assert meta["stamp"]["data_hash"] == result.first.data_hash
    assert meta["thresholds"] == [0.8]


def test_a_folder_gives_the_bundle_back(bundle: Bundle, tmp_path: Path) -> None:
    assert {path.name for path in save(bundle, tmp_path / "new")} == {META, ARRAYS, OUTCOME}
    again = load(tmp_path / "new")
    assert again.meta == bundle.meta
    assert list(again.arrays) == list(bundle.arrays)
    for name, values in bundle.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], values)
        assert again.arrays[name].dtype == values.dtype
    before = (tmp_path / "new" / ARRAYS).read_bytes()
    save(again, tmp_path / "new")
    assert (tmp_path / "new" / ARRAYS).read_bytes() == before


def test_no_run_at_all_opens_and_closes_too(tmp_path: Path) -> None:
    one = btm.compare(Hold, {BTC: frame([100.0])}, venue=flat_venue(), cash=1_000.0)
    save(bundle_of(one), tmp_path)
    assert load(tmp_path).meta["bars"] == 1


HOSTILE = "<img src=x onerror=alert(1)>"


def through(result: Comparison, folder: Path) -> Bundle:
    """Bundled, kept and read again, every number as it was."""
    made = bundle_of(result)
    save(made, folder)
    again = load(folder)
    assert again.meta == made.meta
    for name, values in made.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], values)
    assert list(decode(encode(made.arrays, made.meta["digits"]))) == list(made.arrays)
    return again


class Idle(bt.Strategy):
    """Does nothing."""


class AllIn(bt.Strategy):
    """Buys all it can of every feed, again and again."""

    def next(self) -> None:
        for data in self.datas:
            self.order_target_percent(data, target=9.0 / len(self.datas))


def test_zero_trades_one_bar_and_names_that_are_code(tmp_path: Path) -> None:
    bars = {BTC: frame([100.0, 101.0])}
    made = through(btm.compare(Idle, bars, venue=flat_venue(), cash=1_000.0), tmp_path)
    assert (made.meta["markers"], made.arrays["s0.y0.size"].tolist()) == ([], [0.0, 0.0])
    names = {HOSTILE: {"margin_mode": "cross"}, "x": {"margin_mode": "isolated"}}
    one = btm.compare(
        Hold, {BTC: frame([100.0])}, venue=flat_venue(), cash=1_000.0, scenarios=names
    )
    assert through(one, tmp_path).meta["scenarios"][0]["name"] == HOSTILE


def test_all_dead_after_the_first_bars(tmp_path: Path) -> None:
    closes = [100.0, 100.0, 40.0, 41.0, 42.0]
    rules = flat_venue(residual="fund")
    dead = btm.compare(AllIn, {BTC: frame(closes)}, venue=rules, cash=1_000.0, leverage=10)
    made = through(dead, tmp_path)
    assert made.arrays["s0.equity"][-1] == 0.0
    assert np.isfinite(made.arrays["s0.drawdown"]).all()


def test_a_run_alone_and_fifty_symbols(tmp_path: Path) -> None:
    symbols = [f"C{number}/USDT:USDT" for number in range(50)]
    frames = {s: frame([10.0 + n, 11.0 + n, 10.5 + n]) for n, s in enumerate(symbols)}
    one = btm.run(AllIn, frames, venue=flat_venue(), cash=1_000.0, leverage=20)
    made = through(Comparison({one.name: one}, {}), tmp_path)
    assert made.meta["symbols"] == symbols
    held = [made.arrays[f"s0.y{j}.size"][-1] for j in range(50)]
    assert min(held) > 0.0
    same(made.arrays["s0.p0.margin"], made.arrays["s0.margin"])


def test_coin_margined_symbols_keep_eight_decimals(tmp_path: Path) -> None:
    coin = "BTC/USD:BTC"
    result = btm.compare(
        Hold, {coin: frame([100.0, 101.0, 99.0])}, venue=flat_venue(), cash=1.0, leverage=10,
        symbols={coin: {"multiplier": 1.0}},
    )  # fmt: skip
    made = through(result, tmp_path)
    assert (made.meta["currency"], made.meta["digits"]) == ("BTC", 8)
    assert made.arrays["s0.y0.liquidation"][-1] < 100.0


def test_result_json_says_how_it_ended(result: Comparison, bundle: Bundle, tmp_path: Path) -> None:
    save(bundle, tmp_path)
    told = json.loads((tmp_path / OUTCOME).read_text(encoding="utf-8"))
    assert told["verdict"] == bundle.meta["verdict"]
    assert told["stamp"]["bt_margin"] == btm.__version__
    for name in result.runs:
        row = result.summary.loc[name]
        assert told["headline"]["final_equity"][name] == pytest.approx(row["final_equity"])
        assert told["headline"]["liquidations"][name] == row["liquidations"]
    (steps,) = told["divergence"]["steps"]
    fallen = [each for each in told["liquidations"] if each["scenario"] == "isolated"]
    assert len(fallen) == result.summary.loc["isolated"]["liquidations"] == 1
    assert pd.Timestamp(fallen[0]["time"]).tz is not None
    whole = steps["start"] + sum(step["value"] for step in steps["steps"])
    assert whole == pytest.approx(steps["end"], abs=0.005)


# -- files that are none ----------------------------------------------------------------------------


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        meta = json.loads((folder / META).read_text(encoding="utf-8"))
        change(meta)
        (folder / META).write_text(json.dumps(meta), encoding="utf-8")

    return edit


def repacked(**members: Any) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        arrays = dict(load(folder).arrays) | members
        np.savez(folder / ARRAYS, **{k: v for k, v in arrays.items() if v is not None})

    return edit


def cut(folder: Path) -> None:
    whole = (folder / ARRAYS).read_bytes()
    (folder / ARRAYS).write_bytes(whole[: len(whole) // 2])


def flipped(folder: Path) -> None:
    whole = bytearray((folder / ARRAYS).read_bytes())
    whole[len(whole) // 3] ^= 0xFF
    (folder / ARRAYS).write_bytes(bytes(whole))


def boasting(folder: Path) -> None:
    """A header that promises more than any memory holds."""
    with zipfile.ZipFile(folder / ARRAYS, "w") as packed:
        text = "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }"
        head = text.ljust(117).encode() + b"\n"
        magic = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little")
        packed.writestr("time.npy", magic + head)


def crowded(folder: Path) -> None:
    """Arrays of zeros, which take no room in a zip."""
    edited(lambda meta: meta.update(bars=40_000_000))(folder)
    with zipfile.ZipFile(folder / ARRAYS, "w") as packed:
        for name in ("time", "one", "two", "three"):
            packed.writestr(f"{name}.npy", b"")


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no meta": (lambda f: (f / META).unlink(), "there is no bundle.json"),
    "no arrays": (lambda f: (f / ARRAYS).unlink(), "there is no bundle.npz"),
    "no json": (lambda f: (f / META).write_text("{", encoding="utf-8"), "no JSON"),
    "bytes": (lambda f: (f / META).write_bytes(b"\xff\xfe\x00"), "no JSON"),
    "a list": (lambda f: (f / META).write_text("[]", encoding="utf-8"), "no format"),
    "a later format": (edited(lambda m: m.update(format=99)), "format 99; this version reads"),
    "no tables": (edited(lambda m: m.pop("tables")), "'tables' is missing"),
    "tables as text": (edited(lambda m: m.update(tables="x")), "'tables' is missing or no dict"),
    "other bars": (edited(lambda m: m.update(bars=7)), "tells of 7 bars"),
    "one more symbol": (edited(lambda m: m["symbols"].append("X")), "y2.close is missing"),
    "cut short": (cut, "is damaged"),
    "a bit": (flipped, "is damaged"),
    "no zip": (lambda f: (f / ARRAYS).write_bytes(b"hello"), "is damaged"),
    "objects": (repacked(evil=np.array([{}], dtype=object)), "evil.npy holds object"),
    "two dimensions": (repacked(flat=np.zeros((12, 2))), "flat.npy holds float64 of shape"),
    "another length": (repacked(short=np.zeros(5)), "tells of 12 bars"),
    "no time": (repacked(time=None), "the array time is missing"),
    "nested": (lambda f: (f / META).write_text("[" * 100_000, encoding="utf-8"), "no JSON"),
    "a list of bars": (edited(lambda m: m.update(bars=[12])), "tells of \\[12\\] bars"),
    "bars in great number": (crowded, "numbers, more than"),
    "boasting": (boasting, "time.npy holds"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_is_none_is_refused_with_its_name(
    fault: str, bundle: Bundle, tmp_path: Path
) -> None:
    save(bundle, tmp_path)
    spoil, text = FAULTS[fault]
    spoil(tmp_path)
    with pytest.raises(InputError, match=text) as found:
        load(tmp_path)
    assert str(tmp_path) in str(found.value)
