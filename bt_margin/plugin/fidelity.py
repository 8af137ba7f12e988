"""How true a run's inputs were: what the report says about marks, funding, tiers and guesses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bt_margin.engine.settings import leg_of
from bt_margin.plugin.instrument import utc_text
from bt_margin.plugin.series import attribute_of


def fidelity_of(broker: Any) -> dict[str, Any]:
    """Counts and notes of a run.

    ``bars`` that mattered (a position or an order could be touched), of which ``bars_with_mark`` had a
    mark of their own; ``mark_proxies`` per symbol the bars whose mark is an estimate;
    ``funding_charged`` settlements; ``walked`` dangerous bars, ``walked_blind`` those of them
    (symbol, start, end) that had no finer bars; ``notes`` in words.
    """
    instruments = broker._instruments
    marked = sum(i.marked for i in instruments)
    unmarked = sum(i.unmarked for i in instruments)
    events = broker.account.events
    return {
        "bars": marked + unmarked,
        "bars_with_mark": marked,
        "bars_without_mark": unmarked,
        "mark_share": marked / (marked + unmarked) if marked + unmarked else 1.0,
        "mark_proxies": dict(_proxies_in(broker)),
        "funding_charged": sum(1 for e in events if e.kind == "funding"),
        "funding_missing": missing_settlements(broker),
        "symbols_without_funding": tuple(broker._without_funding),
        "symbols_without_mark": tuple(
            name for symbol in broker._without_mark for name in broker.sides_of(symbol)
        ),
        "walked": broker._stepper.walked,
        "walked_blind": tuple(
            dict.fromkeys((leg_of(s)[0], *span) for s, *span in broker._stepper.guessed)
        ),
        "intrabar": broker.p.intrabar,
        "detail": tuple(sorted(broker._detail)),
        "proxy_tiers": tuple(proxies(broker)),
        "notes": tuple(notes(broker)),
    }


def _markets(broker: Any) -> list[Any]:
    """The instruments without the sides they may be held on (hedge mode)."""
    return [quote for quote in broker._instruments if quote.position.leg is None]


def _proxies_in(broker: Any) -> Iterator[tuple[str, int]]:
    """Symbols of which some marks are estimates, as their frames say, and how many."""
    for quote in _markets(broker):
        marks = (attribute_of(quote.data, "alignment") or {}).get("marks", {})
        if marks.get("proxy"):
            yield quote.symbol, int(marks["proxy"])


def missing_settlements(broker: Any) -> dict[str, int]:
    """Settlements the venue's clock demands within the run and the series does not have, by symbol.

    Only symbols with a funding series are counted. More stamps than the clock's (a symbol settled every
    four hours on an eight-hour venue) are no fault.
    """
    curve, every = broker.equity_curve[0], broker.account.venue.funding_interval
    if not curve:
        return {}
    first, last = int(curve[0]), int(curve[-1])
    after_first = (first // every + 1) * every  # nothing is held before the first bar
    due = range(after_first, last + 1, every)
    found = {}
    elsewhere = broker.account.venue.stands_for  # whose feeds settle at another venue's hours
    for quote in _markets(broker):
        if quote.stamps and quote.symbol not in elsewhere:
            there = {round(stamp.time / 60_000) for stamp in quote.stamps}
            gone = sum(1 for time in due if round(time / 60_000) not in there)
            if gone:
                found[quote.symbol] = gone
    return found


def proxies(broker: Any) -> list[str]:
    """Symbols whose first bars lie before their first dated tier table."""
    curve = broker.equity_curve[0]
    if not curve:
        return []
    venue = broker.account.venue
    return [i.symbol for i in _markets(broker) if venue.schedule(i.symbol).is_proxy(int(curve[0]))]


def notes(broker: Any) -> list[str]:
    """What a reader should know, one sentence each.

    Frames that were aligned (:mod:`bt_margin.market.align`) say themselves what their marks and funding lack.
    """
    aligned = {q.symbol for q in broker._instruments if attribute_of(q.data, "alignment")}
    said = [*_of_marks(broker, aligned), *_of_funding(broker, aligned)]
    if broker._idle_symbols:
        said.append(f"symbols= names {', '.join(broker._idle_symbols)}, which no feed trades.")
    stand_in = proxies(broker)
    if stand_in:
        said.append(
            f"Tier tables of {', '.join(stand_in)} begin after the first bar; "
            "the first known table stands in for the time before."
        )
    for event in broker.account.events:
        if event.kind == "delisted":
            held = "what was open was closed at the last mark" if event.size else "nothing was open"
            said.append(f"{event.symbol} was delisted at {utc_text(event.time)}: {held}.")
    for name, own in broker.account.venue.stands_for.items():
        said.append(
            f"{name} stands for {own} of {broker.account.venue.title}: prices, marks and funding are "
            "those of the feed, the rules the venue's."
        )
    said.extend(_of_leverage(broker))
    for quote in _markets(broker):
        said.extend(str(note) for note in attribute_of(quote.data, "notes") or ())
    said.extend(broker.account.venue.approximations)
    return said


def _of_leverage(broker: Any) -> Iterator[str]:
    """Symbols held at less leverage than was asked for the account, because the venue allows no more."""
    account, wanted = broker.account, broker.p.leverage
    for quote in _markets(broker):
        tables = account.venue.schedule(quote.symbol).tables
        most, own = min(table.max_leverage(0.0) for _, table in tables), quote.position.leverage
        if own <= most < wanted:
            yield (
                f"{quote.symbol} ran at {own:g}× instead of {wanted:g}×: "
                f"{account.venue.title} allows no more."
            )


def _of_marks(broker: Any, aligned: set[str]) -> Iterator[str]:
    bare = [symbol for symbol in broker._without_mark if symbol not in aligned]
    if bare:
        yield f"No mark prices for {', '.join(bare)}: liquidations were triggered by the last price."
    silent = {*broker._without_mark, *aligned}
    for quote in [
        q for q in broker._instruments if q.unmarked and leg_of(q.symbol)[0] not in silent
    ]:
        share = quote.marked / (quote.marked + quote.unmarked)
        yield (
            f"{quote.unmarked} bars of {quote.symbol} had no mark and were judged by the last price "
            f"({share:.1%} had one)."
        )


def _of_funding(broker: Any, aligned: set[str]) -> Iterator[str]:
    bare = [symbol for symbol in broker._without_funding if symbol not in aligned]
    if bare:
        yield f"No funding rates for {', '.join(bare)}: none was charged."
    for symbol, every in broker._repeating_funding.items():
        yield (
            f"The funding column of {symbol} repeats a rate on every bar; one charge per "
            f"{every / 3_600_000:g} h "
            "was read from it; give NaN except at settlements, or frame.attrs['funding'], "
            "if every bar settles."
        )
    for symbol, gone in missing_settlements(broker).items():
        if symbol not in aligned:
            yield f"{gone} funding settlements of {symbol} are missing; nothing was charged there."
