"""One script, once, in this process, under one broker: ``python child.py WISHES.json``.

The wishes are a JSON object: ``script``, ``args``, ``broker`` (empty for the stock broker), ``yahoo`` (a
file in place of what would be downloaded) and ``out``, where the record goes. What the script prints goes
to stdout as ever.
"""

from __future__ import annotations

import json
import os
import random
import re
import sys
import time
import traceback
import types
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
OLD_PYTHON = re.compile(r"\b(\w+)\.keys\(\)")
"""Scripts of Python 2 take the keys of a dictionary for a list."""


def main(wishes: dict[str, Any]) -> None:
    """Run the script and write the record."""
    sys.path[:1] = [str(HERE.parent), str(HERE.parents[1])]
    from harness import mirror, recording

    if wishes["broker"]:
        mirror.put(mirror.broker_class(wishes["broker"]))
    recording.install()
    same_world(wishes["yahoo"])
    del sys.path[0]
    error = run(Path(wishes["script"]).resolve(), wishes["args"])
    sys.stdout.flush()
    record = {"runs": recording.RUNS, "error": error}
    Path(wishes["out"]).write_text(json.dumps(record, default=repr), encoding="utf-8")


def same_world(yahoo: str) -> None:
    """What else could differ between two runs: chance, clocks, the network."""
    random.seed(0)
    time.clock = lambda: 0.0  # type: ignore[attr-defined] # gone since Python 3.8, old scripts call it
    import backtrader as bt

    if yahoo:

        class Stored(bt.feeds.YahooFinanceCSVData):
            """A stored file, whatever ticker is asked for."""

            params = (("reverse", False),)

            def start(self) -> None:
                self.p.dataname = yahoo
                super().start()

        bt.feeds.YahooFinanceData = Stored


def run(script: Path, args: list[str]) -> str:
    """The script as the program it is, or every test function of a test file; how it failed, if so."""
    os.chdir(script.parent)
    sys.path[0] = str(script.parent)
    sys.argv = [script.name, *args]
    testing = script.name.startswith("test_")
    module = types.ModuleType("tested" if testing else "__main__")
    module.__file__ = str(script)
    sys.modules[module.__name__] = module
    source = OLD_PYTHON.sub(r"list(\1)", script.read_text(encoding="utf-8"))
    try:
        exec(compile(source, str(script), "exec"), module.__dict__)
        if testing:
            run_tests(module)
    except SystemExit as end:
        return f"SystemExit: {end.code}" if end.code else ""
    except BaseException as error:
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    return ""


def run_tests(module: types.ModuleType) -> None:
    """Call the test functions of a module."""
    tests = [thing for name, thing in vars(module).items() if name.startswith("test_")]
    tests = [test for test in tests if isinstance(test, types.FunctionType)]
    for test in tests:
        test()
    print(f"{len(tests)} test functions passed")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
