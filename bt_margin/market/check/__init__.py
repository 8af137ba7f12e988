"""The check a researcher runs before believing a liquidation: is this data what it says it is?

for finding in check_store("data"): print(finding.severity, finding.text)

Kinds of findings are in `findings.KINDS`; each threshold stands with its meaning where it is used.
Nothing is repaired in passing: `spans_to_repair` says what to fetch again, `repair` does it.
"""

from bt_margin.market.check.findings import KINDS, Finding, exit_code, worst
from bt_margin.market.check.repair import Repaired, repair, spans_to_repair
from bt_margin.market.check.run import (
    Checked,
    check_files,
    check_frames,
    check_paths,
    check_store,
)

__all__ = [
    "KINDS",
    "Checked",
    "Finding",
    "Repaired",
    "check_files",
    "check_frames",
    "check_paths",
    "check_store",
    "exit_code",
    "repair",
    "spans_to_repair",
    "worst",
]
