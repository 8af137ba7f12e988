"""Fill one dataset: ask for what it lacks, page by page, while the pages before are being written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from bt_margin.errors import DownloadError
from bt_margin.market.exchange import Client, bar_pages, funding_pages
from bt_margin.market.kinds import BAR_KINDS, Grid, Page, Span
from bt_margin.market.store import Dataset, Writer

_RECENT = 3  # bars (or settlements) so new that the venue may not have them yet
_SETTLEMENT = 28_800_000  # ms, the usual time between two settlements
_AHEAD = 64  # pages that may wait to be written while more are asked for


@dataclass(slots=True)
class Job:
    """One dataset on its way, and what became of it.

    rows : rows that arrived; requests : calls they took; gaps : bars the venue confirmed not to have
    lacking : stretches that were asked for and are not settled, though their time is over: the venue keeps
        less, or may still deliver them
    skipped : why nothing was asked; error : why it ended early
    """

    exchange: str
    symbol: str
    kind: str
    timeframe: str
    spans: tuple[Span, ...]
    rows: int = 0
    requests: int = 0
    gaps: int = 0
    revised: int = 0
    lacking: tuple[Span, ...] = ()
    skipped: str = ""
    error: BaseException | None = None

    @property
    def label(self) -> str:
        """How messages call it."""
        return " ".join(
            part for part in (self.exchange, self.symbol, self.kind, self.timeframe) if part
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a job stands: `done` of `total` ms settled, the time reached, rows so far."""

    job: Job
    done: int
    total: int
    reached: int


class Stopped(DownloadError):
    """The work was called off; what was fetched is kept."""


Told = Callable[[Progress], None]


def fill(
    client: Client,
    dataset: Dataset,
    job: Job,
    *,
    again: bool = False,
    parts: bool = False,
    check: Callable[[], None] = lambda: None,
    told: Told | None = None,
) -> None:
    """Ask the venue for what the dataset lacks of the job's spans, and store it.

    again : ask for all of the spans, whatever is covered
    parts : noted in a new dataset, so that nobody takes what lies between the spans for a defect
    check : called before each page; raises when the work was called off
    told : where the job stands, after each page

    No other process writes the dataset meanwhile; what came before an error is kept.
    """
    now = client.now()
    spans = [(start, min(stop, now)) for start, stop in job.spans if start < min(stop, now)]
    known, fresh = len(dataset.revisions), not dataset.rows
    partly = bool(dataset.provenance.get("parts"))
    with dataset.writing(told=client.mention) as writer:
        missing = spans if again else [gap for span in spans for gap in dataset.missing(span)]
        place = _Place(job, sum(b - a for a, b in spans), sum(b - a for a, b in missing), told)
        place.tell(spans[0][0] if spans else now)
        with _Pen(writer) as pen:
            for gap in missing:
                for page in _pages(client, job, _overlapping(dataset, job, gap)):
                    check()
                    pen.add(page)
                    place.passed(page, gap)
        about = {"source": f"ccxt {client.version}, class {client.exchange}"}
        writer.flush(about if again else about | {"parts": parts and (fresh or partly)})
    job.revised = len(dataset.revisions) - known
    recent = now - _RECENT * (Grid.of(job.timeframe).step if job.timeframe else _SETTLEMENT)
    over = [(start, min(stop, recent)) for start, stop in spans if start < recent]
    job.lacking = tuple(gap for span in over for gap in dataset.missing(span))


class _Pen:
    """Adds pages to a writer on a thread of its own, in order, never more than a few behind."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._pool = ThreadPoolExecutor(1)
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> _Pen:
        return self

    def add(self, page: Page) -> None:
        """Take a page; what went wrong with an earlier one is raised here."""
        while self._waiting and (self._waiting[0].done() or len(self._waiting) >= _AHEAD):
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._writer.add, page))

    def __exit__(self, *_: object) -> None:
        """Wait until all is written."""
        self._pool.shutdown()
        for added in self._waiting:
            added.result()


class _Place:
    """How far a job has come."""

    def __init__(self, job: Job, total: int, missing: int, told: Told | None) -> None:
        self.job, self.total, self.done, self.told = job, total, total - missing, told

    def tell(self, reached: int) -> None:
        """Say it, if anybody wants to know."""
        if self.told is not None:
            self.told(Progress(self.job, self.done, self.total, reached))

    def passed(self, page: Page, gap: Span) -> None:
        """Count a page."""
        job = self.job
        job.rows += len(page.times)
        if job.kind in BAR_KINDS:
            grid = Grid.of(job.timeframe)
            job.gaps += sum(grid.count(hole) for hole in page.holes)
        self.done += max(0, min(page.span[1], gap[1]) - max(page.span[0], gap[0]))
        self.tell(page.span[1])


def _pages(client: Client, job: Job, span: Span) -> Iterator[Page]:
    if job.kind == "funding":
        return funding_pages(client, job.symbol, span)
    return bar_pages(client, job.symbol, job.kind, job.timeframe, span)


def _overlapping(dataset: Dataset, job: Job, gap: Span) -> Span:
    """The span with one bar of what is stored before it, so that a revised candle is noticed."""
    if job.kind not in BAR_KINDS:
        return gap
    start, stop = gap
    follows = any(end == start for _, end in dataset.covered)
    return (start - Grid.of(job.timeframe).step, stop) if follows else gap
