"""Sets of instants as half-open spans, sorted, apart from each other, and never empty."""

from __future__ import annotations

from collections.abc import Iterable

from bt_margin.market.kinds import Grid, Span

Spans = tuple[Span, ...]


def joined(spans: Iterable[Span]) -> Spans:
    """The union of any spans: sorted, overlapping and touching ones made one, empty ones left out.

    >>> joined([(5, 9), (0, 3), (3, 4), (7, 12), (20, 20)])
    ((0, 4), (5, 12))
    """
    out: list[Span] = []
    for start, stop in sorted(spans):
        if stop <= start:
            continue
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(stop, out[-1][1]))
        else:
            out.append((start, stop))
    return tuple(out)


def minus(spans: Spans, taken: Spans) -> Spans:
    """What is in `spans` and not in `taken`; both as `joined` gives them.

    >>> minus(((0, 10), (20, 30)), ((3, 5), (8, 22), (40, 50)))
    ((0, 3), (5, 8), (22, 30))
    """
    out: list[Span] = []
    at = 0
    for start, stop in spans:
        while at < len(taken) and taken[at][1] <= start:
            at += 1
        here = at
        while here < len(taken) and taken[here][0] < stop:
            if start < taken[here][0]:
                out.append((start, taken[here][0]))
            start = max(start, taken[here][1])
            here += 1
        if start < stop:
            out.append((start, stop))
    return tuple(out)


def common(spans: Spans, others: Spans) -> Spans:
    """What is in both; both as `joined` gives them.

    >>> common(((0, 10), (20, 30)), ((5, 25), (29, 99)))
    ((5, 10), (20, 25), (29, 30))
    """
    out: list[Span] = []
    at = other = 0
    while at < len(spans) and other < len(others):
        start = max(spans[at][0], others[other][0])
        stop = min(spans[at][1], others[other][1])
        if start < stop:
            out.append((start, stop))
        if spans[at][1] < others[other][1]:
            at += 1
        else:
            other += 1
    return tuple(out)


def on_grid(spans: Iterable[Span], grid: Grid | None) -> Spans:
    """The spans that hold the same bars and begin and end where a bar opens; without a grid, all.

    Two spans with the same bars in them become the same span, and one without any is left out.

    >>> on_grid([(1, 7_200_000), (7_300_000, 7_400_000)], Grid.of("1h"))
    ((3600000, 7200000),)
    """
    if grid is None:
        return joined(spans)
    return joined((grid.ceil(start), grid.ceil(stop)) for start, stop in spans)
