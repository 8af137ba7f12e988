"""Options that several verbs take together: a dataclass whose fields are options, one parameter of a verb.

    @grouped
    def compare(strategy: o.Strategy, *, market: Source, leverage: o.Leverage = 10.0) -> None: ...

has the options of :class:`~bt_margin.cli.source.Source` where ``market`` stands, and is called with one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, get_type_hints

import typer

from bt_margin.cli import options as o
from bt_margin.cli import parse, shell
from bt_margin.cli.source import Source


@dataclass(frozen=True, slots=True)
class Rules:
    """The options that say whose rules apply, as they were typed."""

    venue: o.Venue = None
    rule: o.Rule = None
    as_of: o.AsOf = None

    def chosen(self, market: Source) -> Any:
        """The venue of an account on this market: by name, or built from the numbers given."""
        return chosen_venue(market.venue(self.venue), self.rule, self.as_of)


@dataclass(frozen=True, slots=True)
class OwnTier:
    """The numbers of a tier stated in place of the venue's table, as they were typed."""

    mmr: Annotated[
        float | None,
        typer.Option(parser=shell.number, help="Maintenance rate instead of the table."),
    ] = None
    maintenance_amount: Annotated[
        float | None,
        typer.Option(parser=shell.number, help="Maintenance amount (deduction) of --mmr."),
    ] = None
    max_leverage: Annotated[
        float | None, typer.Option(parser=shell.number, help="Largest leverage of --mmr.")
    ] = None
    taker: Annotated[
        float | None,
        typer.Option(parser=shell.number, help="Taker fee rate instead of the venue's."),
    ] = None


def chosen_venue(name: str, rules: list[str] | None, as_of: str | None) -> Any:
    """The venue by name, or built from the numbers given."""
    if not rules and name != "generic":
        return name
    from bt_margin.venues import venue

    return venue(name, as_of=as_of, **parse.assignments(rules or [], "--rule"))


def grouped(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb that is shown to typer with the options of its groups in the place of each group.

    >>> def show(*, rules: Rules, quiet: o.Quiet = False) -> None:
    ...     print(rules, quiet)
    >>> list(inspect.signature(grouped(show)).parameters)
    ['venue', 'rule', 'as_of', 'quiet']
    >>> grouped(show)(venue="okx")
    Rules(venue='okx', rule=None, as_of=None) False
    """
    hints = get_type_hints(verb, include_extras=True)
    groups: dict[str, Any] = {n: kind for n, kind in hints.items() if is_dataclass(kind)}
    shown: list[inspect.Parameter] = []
    for name, own in inspect.signature(verb).parameters.items():
        if name not in groups:
            shown.append(own.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        inner = get_type_hints(groups[name], include_extras=True)
        shown += [
            own.replace(name=field.name, annotation=inner[field.name], default=field.default)
            for field in fields(groups[name])
        ]

    def called(**typed: Any) -> None:
        made = {
            name: group(**{f.name: typed.pop(f.name) for f in fields(group) if f.name in typed})
            for name, group in groups.items()
        }
        verb(**typed, **made)

    called.__doc__, called.__name__, called.__module__ = verb.__doc__, verb.__name__, __name__
    called.__annotations__ = {each.name: each.annotation for each in shown}
    called.__dict__["__signature__"] = inspect.Signature(shown)
    return called
