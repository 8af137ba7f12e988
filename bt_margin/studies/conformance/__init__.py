"""Published worked examples of the venues, answered by the functions the broker runs on."""

from bt_margin.studies.conformance.case import Case, UnknownCase
from bt_margin.studies.conformance.reading import cases_of, read_cases
from bt_margin.studies.conformance.run import Outcome, answering, run_cases

__all__ = [
    "Case",
    "Outcome",
    "UnknownCase",
    "answering",
    "cases_of",
    "read_cases",
    "run_cases",
]
