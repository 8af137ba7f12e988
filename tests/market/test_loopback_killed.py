"""Downloads that are killed, and downloads that meet: the store equals one that was left alone."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from market.loopback import HOUR, MINUTE, Coin, Outage, Remote, loopback_apart, ms
from market.loopback.nursery import Nursery, nursery

from bt_margin.market.store import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
KILLS = 50
NOW = ms("2024-06-01 10:20") + 12_345
SINCE = ms("2024-05-29 17:00")  # two files, and several pages in each
SPAN = (SINCE, NOW)
OUT = Outage(SINCE + 1_500 * MINUTE, SINCE + 1_517 * MINUTE)
COIN = Coin("BTC", listed=SINCE - 20 * HOUR, outages=(OUT,))
KINDS = ("ohlcv", "mark", "funding")


@pytest.fixture(scope="module")
def server() -> Iterator[Remote]:
    with loopback_apart("binanceusdm", COIN, now=NOW, warm=("1m",)) as running:
        yield running


@pytest.fixture(scope="module")
def children(server: Remote) -> Iterator[Nursery]:
    with nursery(server, [COIN.symbol], KINDS, "1m", SPAN) as running:
        yield running


@pytest.fixture(scope="module")
def alone(children: Nursery, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A store nobody disturbed, and the seconds a quick look says it takes."""
    folder = tmp_path_factory.mktemp("alone")
    code, _ = children.do("whole", folder)
    assert code == 0
    _, seconds = children.do("whole", tmp_path_factory.mktemp("again"))
    return folder, seconds


def files(folder: Path) -> list[str]:
    """Every file there is, by names that tell their content; of gaps, which are dated, the period."""
    names = (str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    return sorted(re.sub(r"(_gaps\.[^.]*)\..*", r"\1", name) for name in names)


def assert_like(folder: Path, whole: Path, server: Remote) -> None:
    """Same files, same rows, same gaps, and nothing left behind."""
    assert files(folder) == files(whole)
    for kind in KINDS:
        mine, theirs = (
            Store(place).dataset(
                "binanceusdm", COIN.symbol, kind, "" if kind == "funding" else "1m"
            )
            for place in (folder, whole)
        )
        held = server.held(COIN.symbol, kind, "1m", SINCE)
        pd.testing.assert_frame_equal(mine.read(), held, check_exact=True, check_freq=False)
        assert mine.covered == theirs.covered
        assert [gap[:2] for gap in mine.gaps] == [gap[:2] for gap in theirs.gaps]
        assert len(mine.revisions) == 0
        assert mine.verify() == []


@pytest.mark.slow
def test_fifty_kills_at_random_moments_lose_and_invent_nothing(
    server: Remote, children: Nursery, alone: tuple[Path, float], tmp_path: Path
) -> None:
    whole, seconds = alone
    moments = random.Random(4)
    finished, hit = 0, 0
    while hit < KILLS:
        folder = tmp_path / str(finished)
        while children.do("killed", folder, after=moments.uniform(0, seconds)) and hit < KILLS:
            hit += 1
            for kind in KINDS:  # a reader sees a good state at any time
                Store(folder).dataset(
                    "binanceusdm", COIN.symbol, kind, "" if kind == "funding" else "1m"
                ).read()
        assert children.do("whole", folder)[0] == 0
        assert_like(folder, whole, server)
        finished += 1
    assert finished > 1


@pytest.mark.slow
def test_two_downloads_of_one_symbol_at_once_are_like_one(
    server: Remote, children: Nursery, alone: tuple[Path, float], tmp_path: Path
) -> None:
    for round_ in range(5):
        folder = tmp_path / str(round_)
        before = server.do("counts")["/fapi/v1/klines"]
        assert children.do("pair", folder) == [0, 0]
        assert_like(folder, alone[0], server)
        asked = server.do("counts")["/fapi/v1/klines"] - before
        assert asked < 12  # the second to come finds what the first has brought


@pytest.mark.slow
def test_two_downloads_of_which_one_is_killed(
    server: Remote, children: Nursery, alone: tuple[Path, float], tmp_path: Path
) -> None:
    whole, seconds = alone
    moments = random.Random(5)
    for round_ in range(5):
        folder = tmp_path / str(round_)
        children.do("killed", folder, after=moments.uniform(seconds / 2, seconds))
        assert children.do("pair", folder) == [0, 0]
        assert_like(folder, whole, server)
