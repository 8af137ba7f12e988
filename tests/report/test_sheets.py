"""The long tables: raw values that sum to what the summary says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from studies.test_trades import RULES, Wild, moved, walk
from studies.worlds import BTC, ETH, Hedge, Hold, flat_venue, frame

from bt_margin.report.sheets import sheets
from bt_margin.studies.compare import compare
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.trades import trades_of

UP = [100.0, 100.0, *[100.0 + 2.0 * i for i in range(1, 20)]]
KINDS = {"time", "text", "number", "price", "money", "percent", "ratio"}


@pytest.fixture(scope="module", params=range(3))
def wild(request: Any) -> Comparison:
    """Two rough months of two coins, traded at random."""
    data = {BTC: walk(request.param, 600), ETH: walk(request.param + 50, 600)}
    params = {"seed": request.param, "largest": 6.0}
    return compare(Wild, data, params=params, venue=RULES, leverage=10, cash=1_000.0)


def column(table: Any, key: str, scenario: str | None = None) -> list[Any]:
    keys = [head["key"] for head in table["columns"]]
    place, who = keys.index(key), keys.index("scenario") if "scenario" in keys else None
    return [row[place] for row in table["rows"] if scenario is None or row[who] == scenario]


def test_every_table_is_plain_and_its_rows_fit_its_columns(wild: Comparison) -> None:
    found = sheets(wild)
    assert list(found) == ["trades", "liquidations", "fundings", "rejections", "partings"]
    json.dumps(found, allow_nan=False)
    for table in found.values():
        assert all(head["kind"] in KINDS for head in table["columns"])
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
        for head in table["columns"]:
            if head["kind"] == "money":
                assert head["unit"] == "USDT"


def test_law_the_net_results_of_trades_make_the_change_of_the_equity(wild: Comparison) -> None:
    table = sheets(wild)["trades"]
    for name, run in wild.runs.items():
        total = sum(column(table, "net", name)) + trades_of(run).elsewhere
        assert total == pytest.approx(moved(run), abs=1e-6)


def test_law_sums_are_those_of_the_summary(wild: Comparison) -> None:
    found = sheets(wild)
    for name, row in wild.summary.iterrows():
        fundings = column(found["fundings"], "amount", str(name))
        assert sum(fundings) == pytest.approx(row["funding"], abs=1e-9)
        received = sum(amount for amount in fundings if amount > 0.0)
        assert received == pytest.approx(row["funding_received"], abs=1e-9)
        assert row["funding_received"] + row["funding_paid"] == pytest.approx(row["funding"])
        assert sum(column(found["trades"], "fees", str(name))) == pytest.approx(row["fees"])
        ended = [c for c in column(found["trades"], "closed", str(name)) if c is not None]
        assert len(ended) == row["trades"]
        assert len(column(found["liquidations"], "time", str(name))) == row["liquidations"]


def test_law_partings_are_worth_what_their_causes_sum_to(wild: Comparison) -> None:
    table = sheets(wild)["partings"]
    keys = [head["key"] for head in table["columns"]]
    begin, end = keys.index("price"), keys.index("kind")
    for row in table["rows"]:
        assert sum(row[begin:end]) == pytest.approx(row[keys.index("worth")], abs=1e-6)


def test_a_liquidation_tells_what_decided_it_and_what_came_after() -> None:
    data = {BTC: frame(UP), ETH: frame(UP)}
    table = sheets(compare(Hedge, data, venue=flat_venue(), leverage=10, cash=1_000))[
        "liquidations"
    ]
    (row,) = table["rows"]
    told = dict(zip([head["key"] for head in table["columns"]], row, strict=True))
    assert told["scenario"] == "isolated"
    assert told["size"] < 0.0
    assert told["requirement"] == pytest.approx(told["equity"])
    assert told["bound"] == "exact"
    assert told["extra_bar"] > 0.0
    assert told["extra_week"] is None
    assert told["price_1h"] in UP
    assert told["price_168h"] is None
    assert told["elsewhere"].startswith("cross held on to the end: -")
    assert "The mark reached" in told["explanation"]


def test_with_bounds_a_liquidation_has_its_label() -> None:
    bars = frame([100.0] * 8, lows={4: 85.0}, mark_lows={4: 85.0})
    result = compare(Hold, {BTC: bars}, venue=flat_venue(), leverage=10, bounds=True)
    table = sheets(result)["liquidations"]
    assert set(column(table, "certainty")) <= {"certain", "path-dependent"}
    assert column(table, "certainty")


def test_a_refused_order_has_both_numbers() -> None:
    data = {BTC: frame(UP)}
    result = compare(Hold, data, venue=flat_venue(), leverage=2, params={"exposure": 5.0})
    table = sheets(result)["rejections"]
    assert len(table["rows"]) == 2
    assert all(n > a for n, a in zip(column(table, "found"), column(table, "allowed"), strict=True))
    assert "needs" in column(table, "explanation")[0]


def test_a_run_without_orders_has_empty_tables() -> None:
    result = compare(Hold, {BTC: frame(UP)}, venue=flat_venue(), params={"exposure": 0.0})
    assert not any(table["rows"] for table in sheets(result).values())


def test_columns_that_would_be_zero_throughout_are_left_out() -> None:
    result = compare(Hold, {BTC: frame(UP)}, venue=flat_venue(), leverage=10)
    keys = [head["key"] for head in sheets(result)["trades"]["columns"]]
    assert "interest" not in keys
    assert "covered" not in keys
    assert "funding" in keys
