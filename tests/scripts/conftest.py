"""The scripts are run by the tests beside them, never collected: most do their work when imported."""

from pathlib import Path

collect_ignore = [
    path.name
    for path in Path(__file__).parent.glob("*.py")
    if not path.name.startswith(("test_", "conftest"))
]
