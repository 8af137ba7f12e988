"""The library's figures measured again, and paths drawn from the real market."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from real.rawdata import folder, ms, read, unified

from bt_margin.market.frames import MARK, validate_frame
from bt_margin.studies.bend import bent
from bt_margin.studies.bootstrap import Bootstrap
from bt_margin.studies.crashes import Crash, Fall, crashes

HOUR = 3_600_000
FALLS = [(each, fall) for each in crashes().values() for fall in each.falls]


def names(case: tuple[Crash, Fall]) -> str:
    return f"{case[0].name} {case[1].coin}"


@pytest.mark.parametrize("case", FALLS, ids=names)
def test_every_figure_is_what_the_venues_bars_say(case: tuple[Crash, Fall]) -> None:
    each, fall = case
    begun = ms(each.start)
    day_after = begun + (fall.plunges[-1].hour + 72) * HOUR
    raw = read(f"{fall.coin}USDT", each.start, str(pd.Timestamp(day_after, unit="ms")))
    last, mark = raw.last[begun][0], raw.marks[begun][0]
    for plunge in fall.plunges:
        bar = raw.last[begun + plunge.hour * HOUR]
        told = (plunge.opened, plunge.low, plunge.closed)
        assert told == tuple(round(bar[place] / last, 4) for place in (0, 2, 3))
        assert plunge.mark_low == round(raw.marks[begun + plunge.hour * HOUR][2] / mark, 4)
    window = range(fall.plunges[-1].hour + 2)
    lows = [raw.last[begun + hour * HOUR][2] / last for hour in window]
    assert round(min(lows), 4) == min(plunge.low for plunge in fall.plunges)
    after = raw.last[begun + (fall.hours + 24) * HOUR][3] / last
    assert fall.level_after == round(after, 4)
    settled = {t: r for t, r in raw.rates.items() if t <= begun + (fall.hours + 48) * HOUR}
    assert fall.funding == round(min(settled.values()), 6)
    at = [t for t, rate in settled.items() if round(rate, 6) == fall.funding]
    assert at[0] == begun + fall.funding_hour * HOUR
    assert len(at) == fall.settlements


def real(name: str, since: str, until: str) -> pd.DataFrame:
    """A canonical frame of real bars."""
    raw = read(name, since, until)
    index = pd.DatetimeIndex(np.array(list(raw.last)).astype("datetime64[ms]")).tz_localize("UTC")
    bars = pd.DataFrame(list(raw.last.values()), index, ["open", "high", "low", "close"])
    marks = pd.DataFrame(
        list(raw.marks.values()),
        pd.DatetimeIndex(np.array(list(raw.marks)).astype("datetime64[ms]")).tz_localize("UTC"),
        list(MARK),
    )
    stamps = pd.DatetimeIndex(np.array(list(raw.rates)).astype("datetime64[ms]")).tz_localize("UTC")
    rates = pd.Series(list(raw.rates.values()), stamps, name="funding_rate")
    return validate_frame(bars.assign(volume=1.0).join(marks).join(rates), unified(name))


def test_a_path_of_the_real_market_keeps_what_moved_together_its_marks_and_its_funding() -> None:
    assert folder().is_dir()
    market = {unified(n): real(n, "2023-01-01", "2024-01-01") for n in ("BTCUSDT", "ETHUSDT")}
    drawn = Bootstrap(market)
    own = {s: np.log(f["close"]).diff() for s, f in market.items()}
    together, spread, basis, rate = [], [], [], []
    for path in drawn.paths(seed=2, count=20):
        moves = {s: np.log(f["close"]).diff() for s, f in path.items()}
        together.append(pd.DataFrame(moves).corr().iloc[0, 1])
        spread.append([each.std() for each in moves.values()])
        gap = [(f["mark_close"] / f["close"] - 1.0) for f in path.values()]
        basis.append([each.std() for each in gap])
        rate.append([f["funding_rate"].mean() for f in path.values()])
    assert np.mean(together) == pytest.approx(pd.DataFrame(own).corr().iloc[0, 1], abs=0.01)
    np.testing.assert_allclose(np.mean(spread, axis=0), [e.std() for e in own.values()], rtol=0.05)
    gaps = [(f["mark_close"] / f["close"] - 1.0).std() for f in market.values()]
    np.testing.assert_allclose(np.mean(basis, axis=0), gaps, rtol=0.06)
    rates = [f["funding_rate"].mean() for f in market.values()]
    np.testing.assert_allclose(np.mean(rate, axis=0), rates, rtol=0.10)


def test_a_crash_laid_over_its_own_beginning_is_like_what_happened() -> None:
    frame = real("BTCUSDT", "2025-10-01", "2025-10-20")
    calm, begun = frame.copy(), pd.Timestamp("2025-10-03 00:00", tz="UTC")
    found = bent(calm, crashes()["2025-10-10"].fall("BTC"), begun)
    hit = found.loc[begun : begun + pd.Timedelta("12h")]
    was = frame.loc["2025-10-10 13:00":"2025-10-11 01:00"]
    for column in ("low", "mark_low"):
        depth = hit[column].min() / hit[column.replace("low", "open")].iloc[0]
        assert depth == pytest.approx(
            was[column].min() / was[column.replace("low", "open")].iloc[0], abs=1e-4
        )
