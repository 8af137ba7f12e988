"""The parameter sets of a script's optimisation, each under every margin setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bt_margin.studies.comparison import Comparison
from bt_margin.studies.run import plain


@dataclass(frozen=True)
class Trial:
    """One parameter set: ``params`` as given, and by scenario the final equity and the liquidations."""

    params: Mapping[str, Any]
    finals: Mapping[str, float]
    liquidations: Mapping[str, int]

    @classmethod
    def of(cls, combination: Any, comparison: Comparison) -> Trial:
        """The figures of a comparison; parameters of several strategies carry the strategy's name."""
        several = len(combination) > 1
        params = {
            f"{kind.__name__}.{name}" if several else name: plain(value)
            for kind, _, given in combination
            for name, value in given.items()
        }
        fallen = comparison.summary["liquidations"].to_dict()
        return cls(
            params,
            {name: float(run.final) for name, run in comparison.runs.items()},
            {name: int(fallen[name]) for name in comparison.runs},
        )


@dataclass(frozen=True)
class Optimisation:
    """An optimisation of a script: ``trials`` in its order, the best of the told scenario and its runs."""

    trials: tuple[Trial, ...]
    best: Trial
    comparison: Comparison

    @property
    def table(self) -> pd.DataFrame:
        """One row per parameter set: its parameters, then per scenario final equity and liquidations."""
        return pd.DataFrame(
            [
                {
                    **trial.params,
                    **{f"final equity, {name}": v for name, v in trial.finals.items()},
                    **{f"liquidations, {name}": v for name, v in trial.liquidations.items()},
                }
                for trial in self.trials
            ]
        )

    def best_of(self, scenario: str) -> Trial:
        """The set that ends highest under a scenario; the first of equals."""
        return max(self.trials, key=lambda trial: trial.finals[scenario])
