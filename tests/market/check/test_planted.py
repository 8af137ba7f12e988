"""Every planted defect is found, said with its severity and place, and nothing else is claimed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from market.check.plants import FILES, PLANTS, Plant, World, write
from market.check.worlds import ABSENT, REAL, real, synthetic
from real.rawdata import folder

from bt_margin.market.check import KINDS, Finding, check_files

NOW = int(pd.Timestamp("2026-11-01", tz="UTC").value // 1_000_000)


@cache
def sound(name: str) -> World:
    return synthetic() if name == "synthetic" else real(name)


def grave(findings: list[Finding]) -> set[tuple[str, str]]:
    return {(each.kind, each.data) for each in findings if each.severity != "info"}


def planted(spoiled: Plant, name: str, place: Path) -> tuple[list[Finding], tuple[int, int]]:
    world = dict(sound(name))
    first, last = spoiled.spoil(world)
    write(world, place)
    return check_files([place], now=NOW), (first.value // 1_000_000, last.value // 1_000_000)


@pytest.mark.parametrize("spoiled", PLANTS, ids=lambda each: each.name)
@pytest.mark.parametrize("name", ["synthetic", *REAL])
def test_a_planted_defect_is_found_where_it_was_planted(
    name: str, spoiled: Plant, tmp_path: Path
) -> None:
    if name != "synthetic" and not folder().is_dir():
        pytest.skip(ABSENT)
    found, (first, last) = planted(spoiled, name, tmp_path)
    data = FILES.get(spoiled.table, spoiled.table)
    hits = [
        each
        for each in found
        if (each.kind, each.severity, each.data) == (spoiled.kind, spoiled.severity, data)
        and each.start <= first
        and last <= each.stop
    ]
    assert hits, [each for each in found if each.severity != "info"]
    allowed = {spoiled.kind, *spoiled.also}
    assert {each.kind for each in found if each.severity != "info"} <= allowed


@pytest.mark.parametrize("name", ["synthetic", *REAL])
def test_the_markets_defects_are_planted_into_are_sound(name: str, tmp_path: Path) -> None:
    if name != "synthetic" and not folder().is_dir():
        pytest.skip(ABSENT)
    write(sound(name), tmp_path)
    assert grave(check_files([tmp_path], now=NOW)) == set()


def test_more_than_fifteen_kinds_of_defects_are_planted() -> None:
    assert len({spoiled.kind for spoiled in PLANTS}) >= 15
    assert {spoiled.kind for spoiled in PLANTS} <= set(KINDS)
    assert len({spoiled.name for spoiled in PLANTS}) == len(PLANTS)
