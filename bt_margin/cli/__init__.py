"""``bt-margin``: the command line.

Exit codes: 0 done, 1 a fault of ours or of the strategy, 2 something in the command or its data is wrong.
"""

from __future__ import annotations


def main() -> None:
    """Entry point of the ``bt-margin`` command."""
    from bt_margin.cli.app import app

    app()
