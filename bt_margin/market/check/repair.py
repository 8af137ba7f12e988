"""Mending a store: what to fetch again, and what is still wrong afterwards.

A repair never invents anything. Damaged files are taken out, every stretch a finding casts doubt on
is asked for again, and the venue's answer stands: a hole it confirms stays a hole and is recorded
as one, a bar it gives again is true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bt_margin.errors import DownloadError, StoreDamaged
from bt_margin.market.check.findings import Finding
from bt_margin.market.check.funding import JITTER
from bt_margin.market.check.run import check_store
from bt_margin.market.kinds import Grid, Span
from bt_margin.market.store import Dataset, Store
from bt_margin.market.store.places import MARKETS, TIERS, symbol_name

Key = tuple[str, str, str, str]  # exchange, symbol, kind, timeframe
Fetch = Callable[[str, str, str, str, Sequence[Span]], object]

_DATA = re.compile(r"(ohlcv|mark|index)/(\S+)|(funding)")

# Facts, and findings no new answer of the venue can mend. All other errors and warnings about a
# store are asked for again, whatever the reason: the venue's second answer settles it.
NOT_MENDABLE = frozenset({"unreadable", "empty", "zero volume", "coverage", "phase"})
# Rows that a venue would never send again: they are taken out before the stretch is asked for.
_FOREIGN = frozenset({"off grid", "future", "unfinished", "off hour"})


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did.

    asked : what was fetched again
    failed : datasets that could not be fetched, with the reason
    left : what the check says afterwards about the datasets concerned
    """

    asked: dict[Key, list[Span]]
    failed: dict[Key, str]
    left: list[Finding]


def spans_to_repair(findings: Iterable[Finding]) -> dict[Key, list[Span]]:
    """What to fetch again: (exchange, symbol, kind, timeframe) to half-open spans, merged.

    Errors and warnings about datasets of a store, but for the kinds in `NOT_MENDABLE`; facts, and
    findings about files, give nothing.

    >>> hole = Finding("gap", "error", "okx", "A", "mark/1h", 3_600_000, 7_200_000, 2, "...")
    >>> spans_to_repair([hole])
    {('okx', 'A', 'mark', '1h'): [(3600000, 10800000)]}
    """
    found: dict[Key, list[Span]] = {}
    for finding in findings:
        key = _key(finding)
        if key is None or finding.severity == "info" or finding.kind in NOT_MENDABLE:
            continue
        if finding.stop > 0:
            found.setdefault(key, []).append(_span(finding, key))
    return {key: _merged(spans) for key, spans in found.items()}


def repair(store: Store, findings: Sequence[Finding], fetch: Fetch) -> Repaired:
    """Take out what is damaged, fetch again what is doubtful, and check again.

    store : the store the findings are about
    fetch : called for each dataset as `fetch(exchange, symbol, kind, timeframe, spans)`; asks
        the venue for these spans whether they are covered or not, and adds the answer to the store

    A dataset whose venue does not answer (`DownloadError`) is told in `failed`; the others go on.
    """
    asked = spans_to_repair(each for each in findings if each.kind != "store")
    for finding in findings:
        _take_out_facts(store, finding)
    damaged = {key for each in findings if each.kind == "store" and (key := _key(each))}
    for key in sorted(damaged):
        _take_out_damage(store, key, asked)
    for finding in findings:
        found = _key(finding)
        if found in asked and finding.kind in _FOREIGN and finding.severity != "info":
            with store.dataset(*found).writing() as writer:
                writer.forget(_span(finding, found))
    failed = _ask(asked, fetch)
    left = _again(store, asked)
    hidden = {key: spans for key, spans in spans_to_repair(left).items() if key in damaged}
    if hidden and not failed:  # what the damage had hidden from the first check
        failed = _ask(hidden, fetch)
        asked |= {key: _merged([*asked.get(key, []), *spans]) for key, spans in hidden.items()}
        left = _again(store, asked)
    return Repaired(asked, failed, left)


def _ask(asked: Mapping[Key, Sequence[Span]], fetch: Fetch) -> dict[Key, str]:
    """Fetch all of it; the datasets nobody answered for, with the reason."""
    failed: dict[Key, str] = {}
    for key, spans in asked.items():
        try:
            fetch(*key, spans)
        except DownloadError as error:
            failed[key] = str(error)
    return failed


def _take_out_facts(store: Store, finding: Finding) -> None:
    """Damaged markets or tiers go; the next download brings today's."""
    place = store.folder / finding.exchange
    if finding.data == MARKETS:
        (place / MARKETS).unlink(missing_ok=True)
    elif finding.data == TIERS:
        (place / symbol_name(finding.symbol) / TIERS).unlink(missing_ok=True)


def _take_out_damage(store: Store, key: Key, asked: dict[Key, list[Span]]) -> None:
    """The damaged files out of the store; what they held, and what is then missing, is asked for."""
    dataset = store.dataset(*key)
    covered = _covered(dataset)
    dataset.repair()
    spans = [part for span in covered for part in dataset.missing(span)]
    first, last = dataset.first, dataset.last
    if first is not None and last is not None:
        spans += dataset.missing((first, last + 1))
    if spans:
        asked[key] = _merged([*asked.get(key, []), *spans])


def _covered(dataset: Dataset) -> tuple[Span, ...]:
    try:
        return tuple(dataset.covered)
    except StoreDamaged:
        return ()  # the manifest itself is damaged; what the files hold is all that is known


def _again(store: Store, asked: Iterable[Key]) -> list[Finding]:
    symbols: dict[str, set[str]] = {}
    for exchange, symbol, _, _ in asked:
        symbols.setdefault(exchange, set()).add(symbol)
    return [
        finding
        for exchange, names in sorted(symbols.items())
        for finding in check_store(store, exchange, sorted(names))
    ]


def _key(finding: Finding) -> Key | None:
    """The dataset of a store a finding is about; None for files and frames without an exchange."""
    match = _DATA.fullmatch(finding.data)
    if not match or not finding.exchange:
        return None
    kind = match.group(1) or match.group(3)
    return finding.exchange, finding.symbol, kind, match.group(2) or ""


def _span(finding: Finding, key: Key) -> Span:
    """From the first time concerned to the end of the last bar; a minute around settlements."""
    if not key[3]:
        return finding.start - JITTER, finding.stop + JITTER
    return finding.start, finding.stop + Grid.of(key[3]).step


def _merged(spans: Iterable[Span]) -> list[Span]:
    out: list[Span] = []
    for start, stop in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(stop, out[-1][1]))
        else:
            out.append((start, stop))
    return out
