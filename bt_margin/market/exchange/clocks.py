"""Two clocks that may disagree: the computer's own and the one the venue's answers carry.

A bar is closed when the VENUE says so. A local clock ahead of the venue's would let an unfinished
bar in, so the safe time is the earlier of the two. The Date header counts whole seconds and was
written before the answer travelled: what it says is never later than the venue's true time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

Clock = Callable[[], int]

FAR = 60_000  # clocks further apart than this are worth a message   [ms]


def wall() -> int:
    """The computer's clock   [UTC epoch ms]."""
    return int(time.time() * 1_000)


class VenueClock:
    """The safe time of one venue, shared by all clients of it.

    local : the computer's clock   [UTC epoch ms]

    >>> clock = VenueClock(lambda: 10_000)
    >>> clock.now()
    10000
    >>> clock.heard({"Date": "Thu, 01 Jan 1970 00:00:07 GMT"})
    >>> clock.now(), clock.ahead
    (7000, 3000)
    """

    def __init__(self, local: Clock = wall) -> None:
        self.local = local
        self._ahead: int | None = None
        self._told = False
        self._lock = threading.Lock()

    @property
    def ahead(self) -> int | None:
        """How far the local clock is ahead of the venue's   [ms]; None before the first answer."""
        return self._ahead

    def heard(self, headers: Mapping[str, str] | None) -> None:
        """Take the venue's time from the headers of an answer; nothing happens without a date."""
        said = date_of(headers)
        if said is not None:
            with self._lock:
                self._ahead = self.local() - said

    def apart(self) -> str:
        """A sentence about clocks that are far apart, once; "" otherwise."""
        with self._lock:
            if self._told or self._ahead is None or abs(self._ahead) < FAR:
                return ""
            self._told = True
        side = "ahead of" if self._ahead > 0 else "behind"
        return (
            f"this computer's clock is {abs(self._ahead) / 1_000:,.0f} s {side} the exchange's; "
            "only bars that are closed by both are taken"
        )

    def now(self) -> int:
        """The earlier of the two clocks   [UTC epoch ms]."""
        return self.safe(self.local())

    def safe(self, local: int) -> int:
        """The safe time of a moment the local clock called `local`."""
        return local - max(0, self._ahead or 0)

    def venue(self) -> int:
        """The venue's time as far as it is known, the local one before the first answer."""
        return self.local() - (self._ahead or 0)


def date_of(headers: Mapping[str, str] | None) -> int | None:
    """The time of a Date header   [UTC epoch ms]; None when there is none that can be read.

    >>> date_of({"date": "Mon, 01 Jan 2024 00:00:00 GMT"})
    1704067200000
    >>> date_of({"Date": "yesterday"}) is None
    True
    """
    text = header(headers, "Date")
    if not text:
        return None
    try:
        return int(parsedate_to_datetime(text).timestamp() * 1_000)
    except (TypeError, ValueError, OverflowError):
        return None


def header(headers: Mapping[str, str] | None, name: str) -> str:
    """The value of a header whatever its case; "" when it is not there."""
    for key, value in (headers or {}).items():
        if str(key).lower() == name.lower():
            return str(value)
    return ""
