"""The waterfall: every step named, and their sum the difference."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from studies.fakes import event, make_track
from studies.test_divergence import two_tracks
from studies.test_trades import RULES, Wild, walk
from studies.worlds import BTC, ETH, Hedge, flat_venue, frame

from bt_margin.report.waterfall import LABELS, between, pair_of, sentence, waterfalls
from bt_margin.studies.causes import tell
from bt_margin.studies.compare import compare
from bt_margin.studies.divergence import Track, diverge

UP = [100.0, 100.0, *[100.0 + 2.0 * i for i in range(1, 20)]]


def steps(first: Track, other: Track) -> dict[str, float]:
    pieces = list(diverge(first, [other], tell))
    return pair_of(first, other, pieces).steps


@settings(max_examples=150)
@given(two_tracks())
def test_law_the_steps_lead_from_one_final_equity_to_the_other(pair: tuple[Track, Track]) -> None:
    found = pair_of(*pair, list(diverge(pair[0], [pair[1]], tell)))
    assert found.start + sum(found.steps.values()) == pytest.approx(found.end, abs=0.005)
    assert set(found.steps) <= set(LABELS)
    for key in found.steps:
        assert sentence(found, key)


@settings(max_examples=60)
@given(two_tracks())
def test_law_a_coin_waterfall_holds_to_the_last_satoshi(pair: tuple[Track, Track]) -> None:
    small = [
        dataclasses.replace(
            track,
            currency="BTC",
            start=track.start / 1e6,
            equity=track.equity / 1e6,
            flows={cause: flow / 1e6 for cause, flow in track.flows.items()},
        )
        for track in pair
    ]
    found = pair_of(small[0], small[1], list(diverge(small[0], [small[1]], tell)))
    assert found.start + sum(found.steps.values()) == pytest.approx(found.end, abs=5e-9)


def test_a_liquidation_is_parted_into_its_bar_its_costs_and_what_followed() -> None:
    fallen = event(7, 1, "liquidation", symbol=BTC, size=-1.0, mark=90.0, price=89.0)
    cross = make_track("cross", [100, 92, 95, 99, 99], {BTC: [1, 1, 1, 0, 0]})
    isolated = make_track(
        "isolated", [100, 89, 89, 89, 89], {BTC: [1, 0, 0, 0, 0]}, events=[fallen],
        flows={"liquidation_fee": [0, -1, 0, 0, 0]},
    )  # fmt: skip
    found = steps(cross, isolated)
    assert found == {"liquidations": -2.0, "afterwards": -7.0, "liquidation_costs": -1.0}


def test_different_cash_and_the_compounding_of_it_are_named() -> None:
    cross = make_track("cross", [100, 110, 121], {BTC: [2, 2, 2]})
    isolated = make_track("isolated", [50, 55, 60.5], {BTC: [2, 2, 2]}, start=50.0)
    found = steps(cross, isolated)
    assert found == {"cash": -50.0, "compounding": pytest.approx(-10.5)}


def test_equal_runs_have_no_steps() -> None:
    same = make_track("cross", [100, 110, 105], {BTC: [1, 1, 0]})
    assert steps(same, dataclasses.replace(same, name="isolated")) == {}


def test_a_refused_order_is_what_its_position_would_have_made() -> None:
    refused = event(
        4, 1, "rejected", symbol=BTC, size=2.0, found=12.0, allowed=10.0, reason="margin"
    )
    filled = event(5, 1, "fill", symbol=BTC, size=2.0)
    cross = make_track(
        "cross", [100, 99, 130], {BTC: [0, 1, 0]}, events=[filled], flows={"fees": [0, -1, 0]}
    )
    isolated = make_track("isolated", [100, 100, 100], {BTC: [0, 0, 0]}, events=[refused])
    assert steps(cross, isolated) == {"refused": -31.0, "fees": 1.0}


def test_a_comparison_gives_one_waterfall_for_each_run_after_the_first() -> None:
    data = {BTC: frame(UP), ETH: frame(UP)}
    result = compare(Hedge, data, venue=flat_venue(), leverage=10, cash=1_000)
    (fall,) = waterfalls(result)
    assert (fall["from"], fall["to"]) == ("cross", "isolated")
    assert fall["start"] + sum(step["value"] for step in fall["steps"]) == pytest.approx(
        fall["end"]
    )
    assert all(isinstance(step["value"], float) for step in fall["steps"])
    named = {step["key"]: step for step in fall["steps"]}
    assert named["afterwards"]["time"] is not None
    assert f"out of its {ETH} short" in named["afterwards"]["sentence"]


@pytest.mark.parametrize("seed", range(4))
def test_law_any_two_of_several_real_runs(seed: int) -> None:
    made = compare(
        Wild,
        {BTC: walk(seed), ETH: walk(seed + 50)},
        params={"seed": seed},
        venue=RULES,
        leverage=10,
        cash=1_000,
        scenarios={
            "cross": {"margin_mode": "cross"},
            "isolated": {"margin_mode": "isolated"},
            "tame": {"margin_mode": "cross", "leverage": 2, "cash": 500},
        },
    )
    for one in made.runs:
        for two in made.runs:
            found = between(made, one, two) if one != two else None
            if found is not None:
                total = found.start + sum(found.steps.values())
                assert total == pytest.approx(made.runs[two].final, abs=1e-6)
