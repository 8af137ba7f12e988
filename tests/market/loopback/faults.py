"""What can go wrong with an answer, and the queue that says which answer it happens to.

the venue refuses    `429` (retry_after=s), `418` (ban=ms), `500`, `502`, `503`, `451`, `403`, and
                     whatever else the venue has words for: `-1001`, `-1121`, `-1016`, `maintenance`
somebody in between  `502 html`, `html` (status 200), `cut` (half a JSON text, well counted)
the line             `short` (fewer bytes than announced), `closed` (no answer), `slow` (seconds=)
the rows             `empty`, `duplicates`, `overlap`, `disorder`, `holes`, `tail` (newest half missing)
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from market.loopback.wire import Reply

HTML = (
    "<html>\r\n<head><title>{0}</title></head>\r\n"
    "<body>\r\n<center><h1>{0}</h1></center>\r\n</body></html>"
)
OF_ROWS = ("empty", "duplicates", "overlap", "disorder", "holes", "tail")
OF_THE_LINE = ("html", "502 html", "cut", "short", "closed", "slow")


@dataclass
class Answer:
    """What a venue says: rows between a head and a tail, in the order the venue sends them.

    before : rows older than the page, which an overlapping page begins (or, newest first, ends) with
    """

    rows: list[str] = field(default_factory=list)
    head: str = "["
    tail: str = "]"
    status: int = 200
    before: list[str] = field(default_factory=list)
    newest_first: bool = False

    def reply(self) -> Reply:
        return Reply(self.status, self.head + ",".join(self.rows) + self.tail)


@dataclass
class Fault:
    """One thing that goes wrong `times` times, in answers whose request contains `where`."""

    name: str
    times: int = 1
    where: str = ""
    skip: int = 0
    detail: dict[str, Any] = field(default_factory=dict)


class Faults:
    """The faults still to come, oldest first; `fired` counts those that happened.

    known : raises ValueError for a fault the venue has no words for
    """

    def __init__(self, known: Callable[[Fault], object]) -> None:
        self._known = known
        self._lock = threading.Lock()
        self._pending: list[Fault] = []
        self.fired: Counter[str] = Counter()

    def add(self, name: str, times: int = 1, where: str = "", skip: int = 0, **detail: Any) -> None:
        """The next `times` matching answers go wrong, after `skip` matching ones that do not."""
        fault = Fault(name, times, where, skip, detail)
        self._known(fault)
        with self._lock:
            self._pending.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._pending.clear()

    @property
    def pending(self) -> int:
        """How many faulty answers are still to come."""
        return sum(fault.times for fault in self._pending)

    def take(self, asked: str) -> Fault | None:
        """The fault of this answer, if any; counted down."""
        with self._lock:
            for fault in self._pending:
                if fault.where not in asked:
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                if not fault.times:
                    self._pending.remove(fault)
                self.fired[fault.name] += 1
                return fault
        return None


def with_rows(answer: Answer, name: str) -> Answer:
    """The same answer with its rows spoilt."""
    rows = answer.rows
    if name == "overlap":
        spoilt = [*rows, *answer.before] if answer.newest_first else [*answer.before, *rows]
    else:
        spoilt = {
            "empty": [],
            "duplicates": [row for row in rows for _ in range(2)],
            "disorder": rows[1::2] + rows[::2],
            "holes": [row for place, row in enumerate(rows) if place % 3 != 1],
            "tail": rows[: len(rows) // 2],
        }[name]
    return replace(answer, rows=spoilt)


def on_the_line(reply: Reply, fault: Fault) -> Reply:
    """The same reply after the network had its way with it."""
    if fault.name == "html":
        return Reply(200, HTML.format("Please wait"), kind="text/html")
    if fault.name == "502 html":
        return Reply(502, HTML.format("502 Bad Gateway"), kind="text/html")
    if fault.name == "cut":
        return replace(reply, body=reply.body[: len(reply.body) // 2])
    if fault.name == "slow":
        return replace(reply, wait=fault.detail.get("seconds", 0.3))
    return replace(reply, sent=0.5 if fault.name == "short" else 0.0)
