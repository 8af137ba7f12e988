"""The README keeps its promises: its commands are the ones CI runs, and its Python runs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from market.loopback import Coin, loopback, ms
from typer.testing import CliRunner

import bt_margin as btm
from bt_margin.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
COINS = tuple(Coin(name, listed=ms("2024-01-01")) for name in ("BTC", "ETH"))
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
    with loopback("binanceusdm", *COINS, now=ms("2025-02-01")) as server:
        for name in ("download", "FinerBars"):
            there = partial(getattr(btm, name), exchange_options=server.exchange_options)
            monkeypatch.setattr(btm, name, there)
        for kind, text in BLOCKS:
            if kind == "python":
                exec(compile(text, "README.md", "exec"), names)
    assert "isolated" in capsys.readouterr().out
    assert len(names["frames"]["ETH/USDT:USDT"]) == 31 * 24 - 1  # the last one is not closed yet


def test_the_commands_on_real_data_run_on_a_server_that_answers_as_the_venue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strategies").symlink_to(ROOT / "strategies")
    verbs = ("--exchange", "bt-margin check", "bt-margin list")
    lines = [line for line in COMMANDS if any(verb in line for verb in verbs)]
    for line in lines:
        words = shlex.split(line)[1:]
        exchange = words[words.index("--exchange") + 1] if "--exchange" in words else ""
        if exchange:
            with loopback(exchange, *COINS, now=ms("2025-02-01")) as server:
                (tmp_path / "options.json").write_text(json.dumps(server.exchange_options))
                found = CliRunner().invoke(app, [*words, "--exchange-options", "options.json"])
        else:
            found = CliRunner().invoke(app, words)
        assert found.exit_code == 0, found.output
    assert sum("--exchange" in line for line in lines) == 2
    assert {"check", "list", "download", "compare"} <= {line.split()[1] for line in lines}


def test_pictures_and_local_links_exist() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (ROOT / target).exists()] == []


def test_the_script_of_the_readme_is_run_as_it_is() -> None:
    words = shlex.split(command("bt-margin run"))[1:]
    call = [sys.executable, "-W", "ignore", "-c", "from bt_margin.cli import main; main()", *words]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "isolated" in done.stdout


def test_every_venue_of_the_package_is_in_the_table_and_the_other_way_round() -> None:
    table = README[README.index("## Venues") : README.index("Venues differ in mechanism")]
    named = re.findall(
        r"`([a-z0-9_]+)`",
        "\n".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `")),
    )
    assert sorted(named) == sorted(set(btm.venues()) - _registered_by_tests())


def _registered_by_tests() -> set[str]:
    """Venues that other tests have registered in this process."""
    from bt_margin.venues import _BUILDERS

    return {name for name, where in _BUILDERS.items() if not isinstance(where, tuple)}


def test_the_number_of_shipped_cases_is_what_the_readme_says() -> None:
    cases = (ROOT / "bt_margin" / "venues" / "cases").glob("*.json")
    assert sum(len(json.loads(path.read_text("utf-8"))["examples"]) for path in cases) > 300


def test_the_commands_about_venues_work() -> None:
    lines = [line for line in COMMANDS if re.search(r"bt-margin (venues|calc)|--venues", line)]
    assert len(lines) == 5
    for line in lines:
        found = CliRunner().invoke(app, shlex.split(line)[1:])
        assert found.exit_code == 0, found.output


def test_the_studies_of_the_readme_run() -> None:
    studies = r"bt-margin (sweep|survival|stress)|--counterfactuals"
    lines = [line for line in COMMANDS if re.search(studies, line)]
    assert len(lines) == 4
    for line in lines:
        found = CliRunner().invoke(app, shlex.split(line)[1:])
        assert found.exit_code == 0, found.output
