"""The pieces a comparison is cut into: episodes, in which two runs differ, and the stretches between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bt_margin.studies.amounts import money

#: Everything that can move an equity, in the order in which tables show it.
CAUSES = (
    "price",
    "fees",
    "funding",
    "interest",
    "liquidation_fee",
    "slippage",
    "shortfall",
    "transfers",
)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an episode opened: two words, a sentence, the run it happened to, the event there.

    ``brief`` is the event as a clause, for a sentence about something larger. ``aftermath`` says what else
    happened while it lasted, in a sentence ("": nothing worth telling).
    """

    kind: str
    sentence: str
    run: str
    event: int | None
    brief: str = ""
    aftermath: str = ""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Both runs hold the same share of their equity: the difference only compounds.

    ``worth`` and ``causes`` [settle] are other − first; ``before`` and ``after`` the difference then.
    """

    first: str
    other: str
    opened: pd.Timestamp
    closed: pd.Timestamp
    bars: int
    before: float
    worth: float
    causes: Mapping[str, float]

    @property
    def after(self) -> float:
        """The difference of the equities at the end."""
        return self.before + self.worth

    @property
    def sentence(self) -> str:
        """What a stretch is, for a person."""
        if not self.before and not self.worth:
            return "The runs are the same."
        return "Both runs hold the same share of their equity; the difference compounds."


@dataclass(frozen=True, slots=True)
class Episode:
    """The runs' exposures differ: from the event that parted them until they agree again.

    ``kind`` names the cause in two words, ``sentence`` tells it; ``run`` is the run it happened to and
    ``event`` the id of the event there (``None``: no single event); ``brief`` is that event as a clause.
    ``liquidations`` counts those of both runs while it lasted, ``aftermath`` says what else happened then.
    ``ongoing``: the data ended first.
    """

    first: str
    other: str
    opened: pd.Timestamp
    closed: pd.Timestamp
    bars: int
    before: float
    worth: float
    causes: Mapping[str, float]
    kind: str
    sentence: str
    aftermath: str
    run: str
    event: int | None
    symbols: tuple[str, ...]
    liquidations: int
    ongoing: bool
    brief: str = ""

    @property
    def after(self) -> float:
        """The difference of the equities when the episode ended."""
        return self.before + self.worth


@dataclass(frozen=True, slots=True)
class Divergence(Sequence["Episode | Stretch"]):
    """The pieces of a comparison in order of time: a list of :class:`Episode` and :class:`Stretch`.

    ``opening`` other → difference of the equities before the first bar; ``final`` other → after the last.
    """

    pieces: tuple[Episode | Stretch, ...]
    opening: Mapping[str, float]
    final: Mapping[str, float]
    currency: str = "USDT"

    def __getitem__(self, index: Any) -> Any:
        return self.pieces[index]

    def __len__(self) -> int:
        return len(self.pieces)

    def __iter__(self) -> Iterator[Episode | Stretch]:
        return iter(self.pieces)

    @property
    def episodes(self) -> list[Episode]:
        """The episodes alone."""
        return [piece for piece in self.pieces if isinstance(piece, Episode)]

    @property
    def stretches(self) -> list[Stretch]:
        """The stretches alone."""
        return [piece for piece in self.pieces if isinstance(piece, Stretch)]

    def to_frame(self) -> pd.DataFrame:
        """One row per piece; the causes are columns and sum to ``worth``. Empty: the columns alone."""
        return pd.DataFrame([_row(piece) for piece in self.pieces], columns=list(_COLUMNS))

    def __repr__(self) -> str:
        counts = ((len(self.episodes), "episode", "s"), (len(self.stretches), "stretch", "es"))
        told = ", ".join(f"{n} {one}{'' if n == 1 else more}" for n, one, more in counts)
        final = ", ".join(f"{k}: {money(v, self.currency)}" for k, v in self.final.items())
        return f"Divergence({told}, final difference {final or 'none'})"

    def _repr_html_(self) -> str:
        return str(self.to_frame().to_html(index=False))


_COLUMNS = (
    "piece",
    "first",
    "other",
    "opened",
    "closed",
    "bars",
    "before",
    "worth",
    "after",
    *CAUSES,
    "kind",
    "run",
    "event",
    "symbols",
    "liquidations",
    "ongoing",
    "sentence",
    "aftermath",
)


def _row(piece: Episode | Stretch) -> dict[str, Any]:
    """A piece as a row of :meth:`Divergence.to_frame`."""
    row: dict[str, Any] = {
        name: getattr(piece, name, None)
        for name in _COLUMNS
        if name not in CAUSES and name != "piece"
    }
    episode = isinstance(piece, Episode)
    row["piece"] = "episode" if episode else "stretch"
    row["symbols"] = ", ".join(row["symbols"] or ())
    row["ongoing"] = bool(row["ongoing"])
    row["liquidations"] = row["liquidations"] or 0
    row["kind"] = row["kind"] or "compounding"
    return row | dict(piece.causes)
