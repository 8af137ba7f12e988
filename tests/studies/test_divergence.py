"""Where two runs part: pieces, worths, the law that they sum, and the cause each names."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from studies.fakes import event, make_track

from bt_margin.errors import InvariantError
from bt_margin.studies.causes import tell
from bt_margin.studies.divergence import Track, _check, diverge
from bt_margin.studies.pieces import CAUSES, Divergence, Episode, Stretch

BTC = "BTC/USDT:USDT"


def kinds(found: Divergence) -> list[str]:
    return [type(piece).__name__ for piece in found]


def test_runs_that_never_differ_are_one_stretch_worth_nothing() -> None:
    same = make_track("cross", [100, 110, 105], {BTC: [1, 1, 0]})
    found = diverge(same, [dataclasses.replace(same, name="isolated")], tell)
    assert kinds(found) == ["Stretch"]
    assert found[0].worth == 0.0
    assert found[0].sentence == "The runs are the same."


def test_an_episode_opens_with_the_liquidation_and_closes_when_both_are_flat() -> None:
    fallen = event(
        7, 1, "liquidation", symbol=BTC, size=-1.0, mark=90.0, price=89.0, found=0.5, allowed=0.4,
        info={"settle": "takeover"},
    )  # fmt: skip
    cross = make_track("cross", [100, 90, 95, 99, 99], {BTC: [1, 1, 1, 0, 0]})
    isolated = make_track(
        "isolated", [100, 89, 89, 89, 89], {BTC: [1, 0, 0, 0, 0]}, events=[fallen],
        flows={"liquidation_fee": [0, -1, 0, 0, 0]},
    )  # fmt: skip
    found = diverge(cross, [isolated], tell)
    assert kinds(found) == ["Stretch", "Episode", "Stretch"]
    episode = found[1]
    assert (episode.opened.hour, episode.closed.hour, episode.ongoing) == (1, 3, False)
    assert (episode.kind, episode.run, episode.event) == ("liquidation", "isolated", 7)
    assert episode.worth == -10.0
    assert episode.causes["liquidation_fee"] == -1.0
    assert episode.causes["price"] == -9.0
    assert "isolated was liquidated out of its BTC/USDT:USDT long" in episode.sentence
    assert "cross was not" in episode.sentence


def test_shares_of_a_different_equity_agree_and_only_compound() -> None:
    cross = make_track("cross", [100, 110, 121], {BTC: [2, 2, 2]})
    isolated = make_track("isolated", [50, 55, 60.5], {BTC: [2, 2, 2]}, start=50.0)
    found = diverge(cross, [isolated], tell)
    assert kinds(found) == ["Stretch"]
    assert found[0].before == -50.0
    assert found[0].worth == pytest.approx(-10.5)
    assert "compounds" in found[0].sentence


def test_fixed_sizes_on_different_equities_part_until_both_are_flat() -> None:
    bought = [event(3, 1, "fill", symbol=BTC, size=1.0)]
    cross = make_track("cross", [100, 100, 110, 110], {BTC: [0, 1.0, 1.0, 0]}, events=bought)
    isolated = make_track(
        "isolated", [50, 50, 60, 60], {BTC: [0, 2.0, 2.0, 0]}, start=50.0, events=bought
    )
    found = diverge(cross, [isolated], tell)
    assert kinds(found) == ["Stretch", "Episode"]
    assert found[1].kind == "different base"
    assert "Both buy 1 of BTC/USDT:USDT, but on different equities" in found[1].sentence
    assert not found[1].ongoing


def test_a_liquidation_ends_an_episode_of_sizes_and_answers_for_what_follows() -> None:
    """Fees of two venues move the exposures apart a little; the loss of the position is not their doing."""
    fallen = event(9, 2, "liquidation", symbol=BTC, size=-2.0, mark=60.0, price=60.0)
    dear = make_track(
        "dear", [98, 88, 0, 0], {BTC: [2.04, 2.04, 0, 0]}, flows={"fees": [-2, 0, 0, 0]},
        events=[event(3, 0, "fill", symbol=BTC, size=2.001), fallen],
    )  # fmt: skip
    cheap = make_track(
        "cheap", [100, 90, 60, 80], {BTC: [2.0, 2.0, 2.0, 2.0]},
        events=[event(3, 0, "fill", symbol=BTC, size=2.0)],
    )  # fmt: skip
    found = diverge(dear, [cheap], tell)
    assert [piece.kind for piece in found.episodes] == ["different size", "liquidation"]
    sizes, lost = found.episodes
    assert (sizes.opened.hour, sizes.closed.hour, sizes.ongoing, sizes.worth) == (0, 1, False, 2.0)
    assert (lost.opened.hour, lost.run, lost.event, lost.ongoing) == (2, "dear", 9, True)
    assert (lost.worth, lost.liquidations) == (78.0, 1)


def test_lot_rounding_is_no_parting_but_flat_against_anything_is() -> None:
    cross = make_track("cross", [100, 100], {BTC: [0.500, 0.0]})
    near = make_track("isolated", [100, 100], {BTC: [0.508, 0.0]}, slack={BTC: [0.01, 0.01]})
    assert kinds(diverge(cross, [near], tell)) == ["Stretch"]
    speck = make_track("isolated", [100, 100], {BTC: [0.500, 1e-9]}, slack={BTC: [0.01, 0.01]})
    assert kinds(diverge(cross, [speck], tell)) == ["Stretch", "Episode"]


def test_a_liquidation_in_one_run_is_an_episode_even_if_both_are_flat_at_the_close() -> None:
    fallen = event(1, 1, "liquidation", symbol=BTC, size=-1.0, mark=90.0, price=90.0)
    cross = make_track("cross", [100, 95, 95], {BTC: [1, 0, 0]})
    isolated = make_track("isolated", [100, 80, 80], {BTC: [1, 0, 0]}, events=[fallen])
    found = diverge(cross, [isolated], tell)
    assert kinds(found) == ["Stretch", "Episode", "Stretch"]
    assert (found[1].bars, found[1].worth) == (1, -15.0)


def test_the_refused_order_of_yesterday_explains_the_fill_of_today() -> None:
    refused = event(
        4, 1, "rejected", symbol=BTC, size=2.0, found=1200.0, allowed=1000.0, reason="margin"
    )
    filled = event(5, 3, "fill", symbol=BTC, size=2.0)
    cross = make_track("cross", [100] * 5, {BTC: [0, 0, 0, 1, 1]}, events=[filled])
    isolated = make_track("isolated", [100] * 5, {BTC: [0] * 5}, events=[refused])
    episode = diverge(cross, [isolated], tell).episodes[0]
    assert (episode.kind, episode.run, episode.event) == ("rejected order", "isolated", 4)
    assert "needs 1,200.00 of margin, 1,000.00 are available" in episode.sentence
    assert episode.ongoing


def test_funding_that_tips_a_pool_is_named_as_the_cause() -> None:
    events = [
        event(0, 2, "funding", symbol=BTC, pool="p", amount=-3.0),
        event(1, 2, "breach", pool="p", found=10.0, allowed=9.0, cause=0),
        event(2, 2, "liquidation", symbol=BTC, pool="p", size=1.0, mark=50.0, cause=1),
    ]
    cross = make_track("cross", [100] * 3, {BTC: [-1, -1, -1]})
    isolated = make_track("isolated", [100, 100, 90], {BTC: [-1, -1, 0]}, events=events)
    episode = diverge(cross, [isolated], tell).episodes[0]
    assert episode.kind == "funding breach"
    assert "short" in episode.sentence
    assert "after paying 3.00 of funding" in episode.sentence


def test_funding_that_would_not_have_mattered_is_not_blamed() -> None:
    events = [
        event(0, 1, "funding", symbol=BTC, pool="p", amount=-3.0),
        event(1, 1, "breach", pool="p", found=10.0, allowed=5.0),
        event(2, 1, "liquidation", symbol=BTC, pool="p", size=-1.0, mark=50.0, cause=1),
    ]
    isolated = make_track("isolated", [100, 90], {BTC: [1, 0]}, events=events)
    cross = make_track("cross", [100, 100], {BTC: [1, 1]})
    assert diverge(cross, [isolated], tell).episodes[0].kind == "liquidation"


def test_margin_moved_in_one_run_is_a_margin_action() -> None:
    moved = event(2, 1, "top_up", symbol=BTC, amount=12.0, reason="automatic top-up")
    cross = make_track("cross", [100, 100], {BTC: [1, 0]})
    isolated = make_track("isolated", [100, 100], {BTC: [1, 1]}, events=[moved])
    episode = diverge(cross, [isolated], tell).episodes[0]
    assert episode.kind == "margin action"
    assert "isolated topped its margin up by 12.00" in episode.sentence


def test_a_dead_account_parts_from_one_that_trades_on() -> None:
    dead = event(9, 0, "dead")
    cross = make_track("cross", [0, 0, 0], {BTC: [0, 0, 0]}, events=[dead], start=0.0)
    isolated = make_track(
        "isolated",
        [50, 50, 50],
        {BTC: [0, 1, 1]},
        start=0.0,
        events=[event(3, 1, "fill", symbol=BTC, size=1)],
    )
    episode = diverge(cross, [isolated], tell).episodes[0]
    assert (episode.kind, episode.run, episode.event) == ("dead account", "cross", 9)


def test_more_than_two_runs_are_each_measured_against_the_first() -> None:
    first = make_track("a", [100, 100])
    others = [make_track("b", [100, 110]), make_track("c", [100, 90])]
    found = diverge(first, others, tell)
    assert {piece.first for piece in found} == {"a"}
    assert found.final == {"b": 10.0, "c": -10.0}


def test_no_bars_give_no_pieces() -> None:
    found = diverge(make_track("a", []), [make_track("b", [])], tell)
    assert list(found) == []
    assert list(found.to_frame().columns)[:3] == ["piece", "first", "other"]


def test_a_sum_that_is_off_by_a_cent_is_an_invariant_error() -> None:
    found = diverge(make_track("a", [100, 100]), [make_track("b", [100, 110])], tell)
    assert _check(list(found), 0.0, 10.0, make_track("b", []))
    with pytest.raises(InvariantError, match=r"10\.02"):
        _check(list(found), 0.0, 10.02, make_track("b", []))


def test_the_frame_has_one_row_per_piece_and_causes_that_sum_to_the_worth() -> None:
    cross = make_track("cross", [100, 90, 95], {BTC: [1, 1, 1]}, flows={"fees": [-1, 0, 0]})
    isolated = make_track("isolated", [100, 80, 80], {BTC: [1, 0, 0]})
    frame = diverge(cross, [isolated], tell).to_frame()
    assert list(frame["piece"]) == ["stretch", "episode"]
    assert np.allclose(frame[list(CAUSES)].sum(axis=1), frame["worth"])


amounts = st.floats(min_value=0.0, max_value=1e6)
shares = st.sampled_from([0.0, 1.0, 1.0001, 2.0, -1.0])


@st.composite
def two_tracks(draw: st.DrawFn) -> tuple[Track, Track]:
    """Two runs of equal length with arbitrary equities, exposures and ledger causes."""
    bars = draw(st.integers(min_value=0, max_value=12))

    def one(name: str) -> Track:
        column = st.lists(amounts, min_size=bars, max_size=bars)
        held = st.lists(shares, min_size=bars, max_size=bars)
        flows = {"fees": [-x / 100 for x in draw(column)], "funding": draw(column)}
        events = [
            event(i, bar, "liquidation", symbol=BTC, size=-1.0)
            for i, bar in enumerate(draw(st.lists(st.integers(0, max(0, bars - 1)), max_size=3)))
            if bars
        ]
        exposure = {BTC: draw(held), "ETH/USDT:USDT": draw(held)}
        return make_track(
            name, draw(column), exposure, start=draw(amounts), flows=flows, events=events
        )

    return one("cross"), one("isolated")


@settings(max_examples=150)
@given(two_tracks())
def test_law_episodes_and_stretches_sum_to_the_difference_of_final_equities(
    pair: tuple[Track, Track],
) -> None:
    first, other = pair
    found = diverge(first, [other], tell)
    total = found.opening["isolated"] + sum(piece.worth for piece in found)
    assert total == pytest.approx(found.final["isolated"], abs=0.005)
    for piece in found:
        assert sum(piece.causes.values()) == pytest.approx(piece.worth, abs=1e-6)
    assert sum(piece.bars for piece in found) == len(first.times)


@settings(max_examples=150)
@given(two_tracks())
def test_law_stretches_lie_between_episodes_and_episodes_name_a_cause(
    pair: tuple[Track, Track],
) -> None:
    found = list(diverge(pair[0], [pair[1]], tell))
    for left, right in pairwise(found):
        assert not (isinstance(left, Stretch) and isinstance(right, Stretch))
        assert left.closed < right.opened
    for piece in found:
        if isinstance(piece, Episode):
            assert piece.kind
            assert piece.sentence.endswith(".")


def test_a_divergence_counts_its_pieces_in_words_and_in_its_currency() -> None:
    found = diverge(
        make_track("a", [1.0, 1.0]),
        [dataclasses.replace(make_track("b", [1.0, 1.01]), start=100.0)],
        tell,
    )
    assert "0 episodes, 1 stretch, final difference b: 0.01)" in repr(found)
    coin = dataclasses.replace(found, currency="BTC")
    assert "b: 0.01000000" in repr(coin)


def test_a_coin_account_is_held_to_the_last_satoshi() -> None:
    pair = [make_track(name, [1.0, 1.0], start=1.0) for name in "ab"]
    first, other = (dataclasses.replace(track, currency="BTC") for track in pair)
    found = diverge(first, [other], tell)
    with pytest.raises(InvariantError):
        _check(list(found), 0.0, 1e-6, other)
