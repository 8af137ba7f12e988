"""The summary: every column defined on its page, and its numbers consistent with each other."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from studies.test_trades import RULES, Wild, walk
from studies.worlds import BTC, ETH, Hold, flat_venue, frame

from bt_margin.report.headline import LINES, headline, meaning
from bt_margin.studies.compare import compare
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.summary import COLUMNS
from bt_margin.studies.trades import trades_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "statistics.md"
UP = [100.0, 100.0, *[100.0 + 2.0 * i for i in range(1, 20)]]
MADE_OF = (
    "price_result", "fees", "funding", "interest", "liquidation_fees", "slippage", "shortfall",
)  # fmt: skip


@pytest.fixture(scope="module")
def wild() -> Comparison:
    data = {BTC: walk(3, 1200), ETH: walk(53, 1200)}
    return compare(
        Wild, data, params={"seed": 3}, venue=RULES, leverage=10, cash=1_000.0, bounds=True
    )


def test_every_statistic_is_defined_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    missing = [name for name in COLUMNS if f"`{name}`" not in text]
    assert missing == []


def test_every_line_of_the_headline_has_a_meaning_and_its_own_label() -> None:
    assert all(meaning(line.key) for line in LINES)
    labels = [line.label for line in LINES]
    assert len(labels) == len(set(labels))
    shown = {line.key for line in LINES}
    assert set(COLUMNS) - shown == {"initial_cash", "bars", "synthetic"}


def test_law_the_parts_make_the_final_equity(wild: Comparison) -> None:
    for _, row in wild.summary.iterrows():
        total = row["initial_cash"] + sum(row[name] for name in MADE_OF)
        assert total == pytest.approx(row["final_equity"], abs=1e-6)


def test_statistics_of_trades_are_those_of_their_net_results(wild: Comparison) -> None:
    for name, run in wild.runs.items():
        row, made = wild.summary.loc[name], [t.net for t in trades_of(run).ended]
        assert row["trades"] == len(made)
        assert row["expectancy"] * len(made) == pytest.approx(sum(made))
        won, lost = [m for m in made if m > 0], [-m for m in made if m < 0]
        assert row["win_rate"] == pytest.approx(len(won) / len(made))
        assert row["profit_factor"] == pytest.approx(sum(won) / sum(lost))
        assert row["payoff"] == pytest.approx((sum(won) / len(won)) / (sum(lost) / len(lost)))


def test_values_and_cells_of_the_headline_are_those_of_the_summary(wild: Comparison) -> None:
    table = headline(wild)
    assert table["columns"] == ["", "cross", "isolated", "difference"]
    for row in table["rows"]:
        assert len(row["cells"]) == len(row["values"]) == 3
        if row["key"].startswith("drawdown_"):
            continue
        for name, value in zip(wild.runs, row["values"], strict=False):
            expected = float(wild.summary.loc[name, row["key"]])
            assert (value is None and math.isnan(expected)) or value == pytest.approx(expected)
        first, second, gap = row["values"]
        assert gap is None or gap == pytest.approx(second - first)


def test_the_compact_table_is_a_part_of_the_whole(wild: Comparison) -> None:
    whole = [row["key"] for row in headline(wild)["rows"]]
    compact = [row["key"] for row in headline(wild, compact=True)["rows"]]
    assert set(compact) < set(whole)
    assert len(compact) <= 30
    assert compact == [key for key in whole if key in set(compact)]


def test_buy_and_hold_is_the_price_from_the_first_open_to_the_last_close() -> None:
    falling = [100.0 - i for i in range(21)]
    result = compare(Hold, {BTC: frame(UP), ETH: frame(falling)}, venue=flat_venue(), leverage=2)
    row = result.summary.loc["cross"]
    assert row["hold_first"] == pytest.approx(UP[-1] / UP[0] - 1.0)
    assert row["hold_all"] == pytest.approx((UP[-1] / 100.0 + falling[-1] / 100.0) / 2.0 - 1.0)


def test_exposure_and_leverage_count_idle_bars() -> None:
    result = compare(Hold, {BTC: frame([100.0] * 10)}, venue=flat_venue(), leverage=5)
    row = result.summary.loc["cross"]
    assert row["exposure"] == pytest.approx(0.9)
    assert row["average_leverage"] == pytest.approx(0.9 * row["max_leverage"])
    assert row["turnover"] == pytest.approx(5.0)


def test_a_run_without_a_trade_has_no_win_rate() -> None:
    result = compare(Hold, {BTC: frame(UP)}, venue=flat_venue(), params={"exposure": 0.0})
    row = result.summary.loc["cross"]
    assert math.isnan(row["win_rate"])
    assert math.isnan(row["expectancy"])
    assert (row["trades"], row["turnover"], row["exposure"]) == (0, 0.0, 0.0)
