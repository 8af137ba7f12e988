"""Reading cases: what is accepted, and the one line that says why a file is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bt_margin.errors import InputError
from bt_margin.studies.conformance import cases_of, read_cases, run_cases
from bt_margin.studies.conformance.case import Case, Inputs, Tolerance, UnknownCase, signed, within

CEX = {
    "id": "one",
    "venue": "binance",
    "mode": "isolated",
    "side": "short",
    "what": "liquidation_price",
    "inputs": {"entry_price": 10.0, "positions": [{"mmr": 0.01}]},
    "expected": {"liquidation_price": 11.9, "liquidatable": True, "nothing": None},
    "tolerance_abs": {"liquidation_price": 0.05},
    "source": "a page",
    "as_of": "2022-2026",
}
DEX = {
    "id": "two",
    "venue": "dydx_v4",
    "mode": "cross",
    "kind": "margin",
    "inputs": {"side": "long"},
    "expected": {"margin": 3},
    "tolerance": {"abs": 0.5, "rel": 0.1},
    "source": "a repository",
    "note": "rounded",
}


def document(**changes: Any) -> list[dict[str, Any]]:
    return [CEX | changes]


def test_both_spellings_become_the_same_thing() -> None:
    first, second = cases_of({"meta": {}, "examples": [CEX, DEX]})
    assert (first.kind, second.kind) == ("liquidation_price", "margin")
    assert (first.side, second.side, second.notes) == ("short", "long", "rounded")
    assert first.tolerance["liquidation_price"] == Tolerance(abs=0.05)
    assert second.tolerance["margin"] == Tolerance(0.5, 0.1)
    assert isinstance(first.inputs["positions"][0], Inputs)


def test_the_dates_of_a_case_have_a_first_and_a_last_moment() -> None:
    (case,) = cases_of([CEX])
    assert (case.since, case.until) == (1_640_995_200_000, 1_798_761_599_999)


def test_a_number_without_a_stated_tolerance_may_be_off_by_the_noise_of_floats() -> None:
    (case,) = cases_of(document(tolerance_abs={}))
    assert within(11.9, 11.9 * (1 + 1e-10), case.tolerance["liquidation_price"])
    assert not within(11.9, 11.9 * (1 + 1e-8), case.tolerance["liquidation_price"])


@pytest.mark.parametrize(
    ("expected", "ours", "right"),
    [
        (10, 10.5, True),
        (10, 10.51, False),
        (10, float("nan"), False),
        (10, None, False),
        (1, True, False),
        (True, True, True),
        (True, 1, False),
        (None, None, True),
        (None, 0.0, False),
        ("sold", "sold", True),
        ("sold", "kept", False),
    ],
)
def test_what_counts_as_right(expected: Any, ours: Any, right: bool) -> None:
    assert within(expected, ours, Tolerance(abs=0.5)) is right


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not JSON"),
        ("[1,]", "is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[NaN]", "NaN is no number"),
        ('{"a": 1, "a": 2}', "'a' stands twice in one object"),
        ("7", "no list of cases"),
        ('{"cases": 7}', "no list of cases"),
        ("[]", "empty"),
        ("[7]", "case 1 is no object"),
        ("[" + "9" * 5000 + "]", "is not JSON that can be read"),
    ],
)
def test_what_is_no_list_of_cases_is_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "cases.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"cases\.json") as error:
        read_cases(file)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"id": ""}, "'id'"),
        ({"id": 7}, "'id'"),
        ({"venue": None}, "'venue'"),
        ({"what": None}, "'what'"),
        ({"inputs": []}, "'inputs'"),
        ({"expected": {}}, "'expected' is empty"),
        ({"expected": {"x": [1]}}, "expected 'x'"),
        ({"tolerance_abs": {"other": 1}}, "'other'"),
        ({"tolerance_abs": {"liquidation_price": -1}}, "0 or more"),
        ({"tolerance": {"absolute": 1}}, "abs, rel"),
        ({"tolerance": {}}, "abs, rel"),
        ({"inputs": {"quantity": 1e80}}, "beyond"),
        ({"inputs": {"quantity": [0] * 30_000}}, "20,000"),
        ({"as_of": 2020}, "'as_of'"),
        ({"inputs": {"price_exponent": 10**18}}, "'price_exponent'"),
    ],
)
def test_a_wrong_schema_names_the_case_and_the_field(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match="case 1") as error:
        cases_of(document(**changes))
    assert told in str(error.value)


def test_two_cases_of_one_id_are_refused() -> None:
    with pytest.raises(InputError, match="'one' stands twice"):
        cases_of([CEX, CEX])


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_cases(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_cases(tmp_path)
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00[")
    with pytest.raises(InputError, match="UTF-8"):
        read_cases(tmp_path / "bytes.json")


def test_a_venue_nobody_knows_is_an_outcome_with_a_hint() -> None:
    (outcome,) = run_cases(cases_of(document(venue="binanse")))
    assert not outcome.ok
    assert "did you mean binance" in outcome.reason


def test_a_missing_input_and_an_unknown_kind_are_named() -> None:
    lacking, unknown = run_cases(
        cases_of(
            [
                CEX | {"inputs": {"positions": [{"mmr": 0.01}]}},
                CEX | {"id": "two", "what": "the weather", "inputs": {"wind": 3}},
            ]
        )
    )
    assert "no 'quantity'" in lacking.reason
    assert "'the weather'" in unknown.reason


def test_an_input_of_the_wrong_kind_is_an_outcome() -> None:
    inputs = {"entry_price": "ten", "quantity": 1, "mmr": 0.01, "wallet_balance": 2}
    (outcome,) = run_cases(cases_of(document(inputs=inputs)))
    assert not outcome.ok
    assert outcome.reason


def test_a_key_without_an_answer_fails_beside_the_right_ones() -> None:
    inputs = {"entry_price": 10, "quantity": 1, "leverage": 5, "mmr": 0.01, "wallet_balance": 2.0}
    expected = {"initial_margin": 2.0, "colour": 1}
    (outcome,) = run_cases(cases_of(document(inputs=inputs, expected=expected, tolerance_abs={})))
    assert [(each.key, each.ours, each.ok) for each in outcome.checked] == [
        ("initial_margin", 2.0, True),
        ("colour", None, False),
    ]
    assert not outcome.ok


def test_outcomes_are_plain_types() -> None:
    (outcome,) = run_cases(cases_of(document(venue="none")))
    assert json.loads(json.dumps(outcome.to_dict()))["ok"] is False


def test_sides_that_are_none_are_refused() -> None:
    with pytest.raises(UnknownCase, match="'both'"):
        signed(1, "both")


def test_the_case_says_what_it_cannot_answer() -> None:
    case = Case("a", "binance", "cross", "x", Inputs({"b": 1}), {"c": 2})
    with pytest.raises(UnknownCase, match=r"'x' \(c from b\)"):
        case.unknown()


def test_a_text_in_the_place_of_a_number_is_not_repeated_a_billion_times() -> None:
    inputs = {"entry_price": 10**12, "quantity": 1, "mmr": "x", "wallet_balance": 2, "leverage": 2}
    (outcome,) = run_cases(cases_of(document(inputs=inputs)))
    assert outcome.reason


def test_a_position_of_nothing_is_an_outcome() -> None:
    inputs = {"entry_price": 10, "quantity": 0, "mmr": 0.01, "wallet_balance": 2}
    (outcome,) = run_cases(cases_of(document(inputs=inputs)))
    assert "anything but 0" in outcome.reason
