"""Run a folder of backtrader scripts twice, under the stock broker and under ours, and compare.

    python tests/harness FOLDER [--scripts GLOB] [--list FILE] [--broker MODULE:CLASS] [--out TABLE.md]

Each script runs twice in a process of its own, in its own folder, unchanged: once as it is, once with
``MarginBroker`` (leverage 1, no maintenance margin, no funding, no fees but the script's own) where
backtrader would make its ``BackBroker``. Every status of every order, every trade, and of each bar the
value, fund value, cash and positions are compared to 1e-9; so is what is printed, numbers by value, the
rest to the letter.

A script that differs runs a third time, under the same account answering in stock's words (``StockWords``
in ``mirror.py``): where that is the same, the difference is one of meaning, and the table names the word.

``--list`` names a file of command lines relative to FOLDER, one a line: ``script.py --its arguments``,
``skip script.py: why``, ``# remark``; a line ``known: why`` says that the next one must differ. Without a
list every script that matches ``--scripts`` (``**/*.py``) runs without arguments. Files named
``test_*.py`` have their test functions called.

``--yahoo`` names a stored Yahoo file that scripts get in place of downloads.

The table goes to stdout, or to ``--out``; the exit code is the number of scripts that differ.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == "__main__":
    from harness.command import main

    sys.exit(main())
