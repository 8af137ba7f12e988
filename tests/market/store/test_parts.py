"""Files of rows: their form, their bytes, and how new rows join old ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from market.store.venue import NEW_YEAR, Venue

from bt_margin.market.store.manifest import FAMILIES
from bt_margin.market.store.parts import Rows, decode, encode, merged, names_of, tidy

TOLD = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from([1.0, 2.0, float("nan"), 0.0, -0.0])), max_size=20
)


def rows_of(told: list[tuple[int, float]]) -> Rows:
    times = np.array([time for time, _ in told], np.int64)
    return Rows(times, tidy(np.array([[value for _, value in told]]).reshape(1, len(told))))


def text(value: float) -> str:
    return repr(float(value) + 0.0)


@given(TOLD)
def test_the_last_word_on_a_row_stands_and_every_change_of_mind_is_kept(
    told: list[tuple[int, float]],
) -> None:
    rows, revised = merged(rows_of([]), rows_of(told), np.arange(len(told)))
    stands: dict[int, float] = {}
    changes = []
    for number, (time, value) in enumerate(told):
        if time in stands and text(stands[time]) != text(value):
            changes.append((time, number, text(stands[time]), text(value)))
        stands[time] = value
    assert rows.times.tolist() == sorted(stands)
    assert [text(v) for v in rows.values[0]] == [text(stands[t]) for t in sorted(stands)]
    found = zip(revised.times, revised.seen, revised.old[0], revised.new[0], strict=True)
    assert [(t, n, text(a), text(b)) for t, n, a, b in found] == sorted(changes)


@given(TOLD, st.integers(0, 20))
def test_rows_joined_in_two_goes_are_those_of_one(told: list[tuple[int, float]], at: int) -> None:
    when = np.arange(len(told))
    whole, changes = merged(rows_of([]), rows_of(told), when)
    first, early = merged(rows_of([]), rows_of(told[:at]), when[:at])
    both, late = merged(first, rows_of(told[at:]), when[at:])
    assert both.times.tolist() == whole.times.tolist()
    assert both.values.tobytes() == whole.values.tobytes()
    assert sorted([*early.seen, *late.seen]) == sorted(changes.seen)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["ohlcv", "funding"])
def test_what_is_written_is_read_back_and_its_bytes_depend_on_the_rows_alone(
    family: str, kind: str
) -> None:
    names = names_of(family, kind)
    times = {"timestamp", "stop", "checked", "seen"}
    columns = [
        np.arange(5) * 10**6 + NEW_YEAR
        if name in times
        else np.array([1.5, np.nan, 0.1, 1e300, np.inf])
        for name in names
    ]
    data = encode(family, kind, columns)
    back = decode(family, kind, data)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(columns, back, strict=True))
    scattered = [np.repeat(column, 2)[::2] for column in columns]
    assert encode(family, kind, scattered) == data
    with pytest.raises(ValueError, match="columns"):
        decode(
            family, "funding" if kind == "ohlcv" else "ohlcv", data
        ) if family != "gaps" else decode("rows", kind, data)


def test_the_file_is_what_other_tools_expect() -> None:
    bars = Venue().page(0, 24)
    data = encode("rows", "ohlcv", [np.array(bars.times), *map(np.array, bars.columns)])
    about = pq.read_metadata(pa.BufferReader(data))
    assert about.metadata is None
    assert about.num_row_groups == 1
    group = about.row_group(0)
    for place in range(6):
        column = group.column(place)
        assert column.compression == "ZSTD"
        assert not column.has_dictionary_page
        wanted = "DELTA_BINARY_PACKED" if place == 0 else "BYTE_STREAM_SPLIT"
        assert wanted in column.encodings
    frame = pd.read_parquet(pa.BufferReader(data))
    assert str(frame["timestamp"].dtype) == "datetime64[ms, UTC]"
    assert frame["open"].tolist() == list(bars.columns[0])
