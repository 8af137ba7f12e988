"""Run a script nobody has changed under several margin settings.

The file runs as ``python script.py`` would run it. Each of its ``cerebro.run()`` calls is answered by one
run per scenario, on fresh brokers that take over what the script has set; the runs are compared, and the
script goes on with the strategies of one scenario, the told one, which is run last: what it prints, plots
or returns afterwards is that scenario's.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from bt_margin.errors import InputError, UnknownSymbol
from bt_margin.plugin import interception
from bt_margin.plugin.assemble import NobodyRan, runnable
from bt_margin.plugin.broker import MarginBroker
from bt_margin.plugin.patch import check_takeover, echo
from bt_margin.studies.belongings import keep
from bt_margin.studies.compare import stamp_of
from bt_margin.studies.comparison import Comparison
from bt_margin.studies.optimisation import Optimisation, Trial
from bt_margin.studies.run import complete
from bt_margin.studies.scenarios import Around, Scenarios, run_all
from bt_margin.studies.speech import Speech, speaking

_BACKEND = "MPLBACKEND"  # where matplotlib looks for what draws


@dataclass(frozen=True)
class Study:
    """What a script is run under.

    ``scenarios`` name → every broker keyword; ``told`` the scenario whose strategies the script gets back,
    and whose words are shown; ``watch`` is entered around each run, as :func:`run_all`'s ``around``.
    """

    scenarios: Scenarios
    told: str
    watch: Around
    bounds: bool = False
    plots: bool = False
    shown: bool = True
    command: str = ""


@dataclass
class Outcome:
    """What became of a script: a comparison for each of its runs, and how it ended.

    ``speech`` what it printed, by scenario; ``error`` the exception that ended it or one of its runs,
    ``code`` what it gave to ``sys.exit`` (None: it ran to its end).
    """

    script: Path
    told: str
    speech: Speech
    runs: list[Comparison | Optimisation] = field(default_factory=list)
    error: BaseException | None = None
    code: Any = None


def run_script(script: str | Path, arguments: Sequence[str], study: Study) -> Outcome:
    """Run a script file under a study, as ``python script.py arguments`` would run it.

    :raises InputError: no such file, a run that cannot be repeated under our account, a symbol the venue
        does not know, no ``cerebro.run()`` at all. What the script itself raises is in the outcome.
    """
    file = _file(script)
    with speaking(study.told, sys.stdout if study.shown else None) as (out, err):
        outcome = Outcome(file, study.told, out)
        director = _Director(study, outcome, (out, err))
        with (
            _as_main(file, arguments, study.plots),
            interception.intercepted(director, plots=study.plots),
        ):
            try:
                runpy.run_path(str(file), run_name="__main__")
            except SystemExit as leaving:
                outcome.code = leaving.code
            except Exception as error:
                outcome.error = outcome.error or error
    if isinstance(outcome.error, InputError) or outcome.error is None:
        _check(outcome, director)
    return outcome


def _check(outcome: Outcome, director: _Director) -> None:
    """:raises InputError: a run that was refused, or a script that ran nothing."""
    if outcome.error is not None:
        raise outcome.error
    if outcome.runs or outcome.code not in (None, 0):
        return
    name = outcome.script.name
    if director.empty:
        raise InputError(
            f"{name} called cerebro.run() on a Cerebro without data feeds: nothing ran"
        )
    raise InputError(
        f"{name} never called cerebro.run() of backtrader in this process; "
        "give the script that does, with the arguments it needs after -- "
        "(a file with a strategy alone is for bt-margin compare)"
    )


class _Director:
    """Answers the script's ``cerebro.run()`` calls."""

    def __init__(self, study: Study, outcome: Outcome, speech: tuple[Speech, Speech]) -> None:
        self.study, self.outcome, self.speech = study, outcome, speech
        self.busy = self.empty = False
        self.before = frozenset(sys.modules)

    def __call__(self, cerebro: Any, run: Callable[..., Any], keywords: dict[str, Any]) -> Any:
        """One call of the script, or one of our own runs under a scenario."""
        if self.busy:
            return run(cerebro, **keywords)
        if not cerebro.datas:
            self.empty = True
            return run(cerebro, **keywords)
        self.busy = True
        try:
            return self._answer(cerebro, keywords)
        except Exception as error:
            self.outcome.error = self.outcome.error or error
            raise
        finally:
            self.busy = False

    def _answer(self, cerebro: Any, keywords: dict[str, Any]) -> Any:
        for name, value in keywords.items():
            if name in cerebro.p._getkeys():
                setattr(cerebro.p, name, value)
        check_takeover(cerebro)
        for own in self.study.scenarios.values():
            _check_feeds(cerebro, own)
        self.put_back = interception.repeatable(cerebro)
        former = cerebro.broker
        if interception.is_optimisation(cerebro):
            answer, told = self._optimise(cerebro)
        else:
            runnable(cerebro)
            comparison = self._compare(cerebro)
            self.outcome.runs.append(comparison)
            answer, told = cerebro.runstrats[0], comparison.runs[self.study.told].broker
        if told is not None:
            echo(former, told)
            cerebro.broker = told
        return answer

    def _compare(self, cerebro: Any) -> Comparison:
        """The Cerebro under every scenario, the told one last."""
        study = self.study
        keepsakes = keep(_own_modules(self.outcome.script, self.before))

        @contextmanager
        def around(label: str) -> Iterator[Callable[[float], None] | None]:
            keepsakes()
            self.put_back()
            for speech in self.speech:
                speech.run = label
            try:
                with study.watch(label) as progress:
                    yield progress
            finally:
                for speech in self.speech:
                    speech.run = study.told

        return run_all(
            cerebro,
            None,
            study.scenarios,
            bounds=study.bounds,
            around=around,
            stamp=lambda runs, seconds: {
                **stamp_of(runs, seconds, study.command),
                "script": str(self.outcome.script),
            },
            last=study.told,
        )

    def _optimise(self, cerebro: Any) -> tuple[list[Any], Any]:
        """Every set of parameters under every scenario: what ``run`` returns, and the told broker."""
        found, trials, told, best = [], [], None, None
        for combination in interception.combinations(cerebro):
            try:
                with interception.only(cerebro, combination):
                    comparison = self._compare(cerebro)
                    strategies = cerebro.runstrats[0]
            except NobodyRan:  # the set said no to itself: backtrader leaves it empty
                found.append(interception.finished(cerebro, []))
                continue
            trial = Trial.of(combination, comparison)
            trials.append(trial)
            if best is None or trial.finals[self.study.told] > best.finals[self.study.told]:
                best, shown = trial, comparison
            told = comparison.runs[self.study.told].broker
            found.append(interception.finished(cerebro, strategies))
        cerebro.runstrats = found
        if best is not None:
            self.outcome.runs.append(Optimisation(tuple(trials), best, shown))
        return found, told


def _check_feeds(cerebro: Any, keywords: Mapping[str, Any]) -> None:
    """:raises UnknownSymbol: a feed whose name is no symbol of the venue; says how to name it."""
    broker = MarginBroker(**complete(keywords, cerebro, True))
    broker.cerebro = cerebro
    unknown = []
    for place, data in enumerate(cerebro.datas):
        try:
            broker.name_of(data)
        except UnknownSymbol:
            if getattr(data, "data", data) is data:
                unknown.append((f"data{place}", str(data._name or "")))
    if unknown:
        feeds = ", ".join(
            f"{place} ({name!r})" if name else f"{place} (no name)" for place, name in unknown
        )
        venue = broker.account.venue.title
        example = " ".join(f"--symbol {place}=SYMBOL" for place, _ in unknown)
        raise UnknownSymbol(
            f"{venue} needs to know what the script's feeds are, and these names are no symbols of it: "
            f"{feeds}; say {example} with symbols like BTC/USDT:USDT, or take --venue generic with its "
            "numbers as --rule name=value, which trades any name"
        )


def _file(script: str | Path) -> Path:
    """The script's file. :raises InputError: there is none."""
    file = Path(script).expanduser()
    if not file.is_file():
        found = "a folder" if file.is_dir() else "no such file"
        raise InputError(f"script {script}: {found}; give the path of a Python file")
    return file


@contextmanager
def _as_main(file: Path, arguments: Sequence[str], plots: bool) -> Iterator[None]:
    """``sys.argv`` and ``sys.path`` as a script finds them, no windows of matplotlib; then as before."""
    words, places, drawn = sys.argv, list(sys.path), os.environ.get(_BACKEND)
    sys.argv = [str(file), *arguments]
    sys.path.insert(0, str(file.resolve().parent))
    if not plots and drawn is None:
        os.environ[_BACKEND] = "Agg"
    try:
        yield
    finally:
        sys.argv, sys.path[:] = words, places
        if not plots and drawn is None:
            os.environ.pop(_BACKEND, None)


def _own_modules(script: Path, before: Collection[str]) -> list[ModuleType]:
    """The running script and what it has imported from its own folder; installed packages are not its own."""
    folder = script.resolve().parent
    own = [sys.modules["__main__"]]
    for name, module in list(sys.modules.items()):
        place = str(getattr(module, "__file__", None) or "")
        if name not in before and name != "__main__" and place.startswith(f"{folder}{os.sep}"):
            inside = Path(place).relative_to(folder).parts
            if not {"site-packages", "dist-packages"} & set(inside):
                own.append(module)
    return own
