"""The README keeps its promises: its commands are the ones CI runs, and its Python runs."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "bash" for line in text.splitlines() if line]


def command(marker: str) -> str:
    """The only command of the README that holds ``marker``."""
    (found,) = (line for line in COMMANDS if marker in line)
    return found


def test_the_first_two_commands_install_and_work_alone_in_a_fresh_clone() -> None:
    assert COMMANDS[0].endswith("--out out")
    assert COMMANDS[1].endswith("-m pytest -n auto")
    for line in COMMANDS[:2]:
        assert line.startswith("python3 -m venv .venv && .venv/bin/pip install ")


def test_ci_reads_both_commands_from_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    markers = re.findall(r"readme_command '([^']+)'", script)
    assert [command(marker) for marker in markers] == COMMANDS[:2]
    assert all(README.count(marker) == 1 for marker in markers)


def test_the_commands_are_good_shell_and_name_files_that_exist() -> None:
    for line in COMMANDS:
        subprocess.run(["bash", "-n", "-c", line], check=True)
        named = [word for word in shlex.split(line) if word.endswith((".py", ".md", ".json"))]
        assert [word for word in named if not (ROOT / word).exists()] == []


def test_the_python_of_the_readme_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    for kind, text in BLOCKS:
        if kind == "python":
            exec(compile(text, "README.md", "exec"), names)
    assert "isolated" in capsys.readouterr().out


def test_pictures_and_local_links_exist() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (ROOT / target).exists()] == []
