"""However the pages come, in whichever runs, the store is the one of an uninterrupted download."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from market.store.venue import HOUR, Clock, Venue, bars, contents, strangers

from bt_margin.market.store import Store

BARS = 14
VENUE = Venue(holes=frozenset({2, 5, 6, 9}))
PAGE = st.tuples(st.integers(0, BARS - 1), st.integers(1, 6)).map(
    lambda p: (p[0], min(BARS, sum(p)))
)
STEP = st.one_of(PAGE, PAGE, st.sampled_from(["flush", "reopen"]))


def play(folder: Path, steps: list[tuple[int, int] | str]) -> dict[str, object]:
    """Add the pages, flushing and reopening where told; what the dataset holds in the end."""
    dataset = VENUE.dataset(folder)
    rest = list(steps)
    while rest:
        with dataset.writing() as writer:
            while rest and (step := rest.pop(0)) != "reopen":
                if isinstance(step, tuple):
                    writer.add(VENUE.page(*step))
                else:
                    writer.flush()
    assert strangers(dataset) == set()
    assert dataset.verify() == []
    return contents(dataset)


@given(st.lists(STEP, max_size=8), st.randoms(use_true_random=False))
def test_any_order_of_pages_and_runs_gives_the_same_files(
    steps: list[tuple[int, int] | str], chance: object
) -> None:
    pages = [step for step in steps if isinstance(step, tuple)]
    shuffled = list(steps)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' own Random
    with tempfile.TemporaryDirectory() as folder:
        whole = play(Path(folder, "whole"), list(pages))
        assert play(Path(folder, "shuffled"), shuffled) == whole
        assert play(Path(folder, "steps"), steps) == whole


@given(st.lists(PAGE, max_size=5))
def test_fetching_what_is_missing_ends_as_one_page_over_all(pages: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        play(Path(folder, "a"), list(pages))
        dataset = VENUE.dataset(Path(folder, "a"))
        for start, stop in dataset.missing(VENUE.span(0, BARS)):
            first, last = ((edge - VENUE.start) // HOUR for edge in (start, stop))
            with dataset.writing() as writer:
                writer.add(VENUE.page(first, last))
        assert dataset.missing(VENUE.span(0, BARS)) == []
        assert contents(dataset) == play(Path(folder, "b"), [(0, BARS)])


ACT = st.one_of(
    st.tuples(st.just("page"), PAGE, st.sets(st.integers(0, BARS)), st.sets(st.integers(0, BARS))),
    st.tuples(
        st.just("change"), PAGE, st.sets(st.integers(0, BARS)), st.sets(st.integers(0, BARS))
    ),
    st.tuples(st.just("forget"), PAGE, st.just(set()), st.just(set())),
)


class Model:
    """The rules of the store in sets of bars, without spans, files or order."""

    def __init__(self) -> None:
        self.rows: dict[int, float] = {}
        self.covered: set[int] = set()
        self.gaps: dict[int, int] = {}
        self.revisions: list[tuple[int, float, float, int]] = []

    def act(
        self, name: str, span: tuple[int, int], opened: set[int], odd: set[int], at: int
    ) -> None:
        inside = set(range(*span))
        if name == "forget":
            self.rows = {bar: value for bar, value in self.rows.items() if bar not in inside}
            self.gaps = {bar: check for bar, check in self.gaps.items() if bar not in inside}
            self.covered -= inside
            return
        hidden = VENUE.holes | (odd if name == "page" else set())
        for bar in sorted(inside - opened - hidden):
            value = float(at) if name == "change" and bar in odd else VENUE.value(bar)
            if self.rows.get(bar, value) != value:
                self.revisions.append((bar, self.rows[bar], value, at))
            self.rows[bar] = value
        self.covered |= inside - opened
        self.gaps |= dict.fromkeys((inside & hidden) - opened, at)
        self.gaps = {bar: check for bar, check in self.gaps.items() if bar not in self.rows}


@given(st.lists(ACT, max_size=8), st.booleans())
def test_pages_changes_and_forgetting_follow_the_rules(
    acts: list[tuple[str, tuple[int, int], set[int], set[int]]], flush: bool
) -> None:
    model, clock = Model(), Clock(0)
    with tempfile.TemporaryDirectory() as folder:
        dataset = VENUE.dataset(Store(folder, clock=clock))
        with dataset.writing() as writer:
            for name, span, opened, odd in acts:
                clock.at += 1
                model.act(name, span, opened, odd, clock.at)
                if name == "forget":
                    writer.forget(VENUE.span(*span))
                elif name == "page":
                    writer.add(VENUE.page(*span, opened=opened, hidden=odd))
                else:
                    changed = dict.fromkeys(odd, float(clock.at))
                    writer.add(VENUE.page(*span, opened=opened, changed=changed))
                if flush:
                    writer.flush()
        assert bars(dataset, VENUE) == model.rows
        number = {VENUE.span(bar, bar + 1)[0]: bar for bar in range(-1, BARS + 2)}
        covered = {bar for a, b in dataset.covered for bar in range(number[a], number[b])}
        assert covered == model.covered
        gaps = {
            bar: gap.checked
            for gap in dataset.gaps
            for bar in range(number[gap[0]], number[gap[1]])
        }
        assert gaps == model.gaps
        found = [(number[r.time], r.old[0], r.new[0], r.seen) for r in dataset.revisions]
        assert found == sorted(model.revisions, key=lambda r: (r[0], r[3]))
        assert dataset.verify() == []
