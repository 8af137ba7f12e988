"""What a failure means: ask again (and when), or stop (and why), in plain words.

ccxt's classes alone do not tell: a geo-block looks like an outage (ExchangeNotAvailable, on Bybit
even like a rate limit), an answer cut on its way like a plain ExchangeError. So the HTTP status and
the body are read first, then the cause, then the class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from bt_margin.errors import ExchangeRefused, ExchangeUnreachable, message
from bt_margin.market.exchange.clocks import date_of, header

MINUTE = 60.0
MOST_OF_A_BODY = 200

TODO_BLOCKED = (
    "this place or address is blocked: take another exchange, set a proxy in --exchange-options, "
    "or import the venue's bulk files with bt-margin import"
)
TODO_KEY = "put apiKey and secret (and password where the venue has one) into --exchange-options"
TODO_PROXY_KEY = "put the proxy's user and password into its address in --exchange-options"
TODO_CERTIFICATE = "check the clock, the proxy and the certificates of this computer"
TODO_CLOCK = "set this computer's clock, or options.adjustForTimeDifference in --exchange-options"
TODO_SYMBOL = (
    "write the full ccxt symbol, such as BTC/USDT:USDT for a perpetual or BTC/USDT for spot"
)
TODO_LATER = "run it again later: what was fetched is kept, and only the rest is asked for"
TODO_REQUEST = "check symbol, timeframe and dates, and `urls` and `options` in --exchange-options"

_BLOCKED = re.compile(
    r"restricted location|not available in your (country|region)|geo.?block", re.I
)
_TOO_OFTEN = re.compile(r"too (frequent|many)|rate.?limit", re.I)
_BUSY = re.compile(
    r"(server|system|internal|service|database)\W{1,3}(error|busy|unavailable|timeout)|time[d ]?.?out|"
    r"try again|temporarily",
    re.I,
)
_BANNED_UNTIL = re.compile(r"until\D{0,12}(\d{13})")
_QUERY = re.compile(r"(https?://[^\s?]+)\?\S*")
_USER = re.compile(r"(\w+://)[^\s/@]+@")
_TAGS = re.compile(r"<(script|style).*?</\1>|<[^>]*>", re.S | re.I)


@dataclass(frozen=True, slots=True)
class Reply:
    """The last answer of a server as it came: status (None: none came), headers and body."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked for, for messages: exchange, symbol, kind and half-open span   [ms]."""

    exchange: str
    symbol: str = ""
    kind: str = ""
    span: tuple[int, int] | None = None

    def __str__(self) -> str:
        """
        >>> str(Question("bybit", "BTC/USDT:USDT", "mark", (0, 3_600_000)))
        'mark of BTC/USDT:USDT, 1970-01-01 00:00 to 1970-01-01 01:00 UTC'
        """
        parts = " of ".join(part for part in (self.kind, self.symbol) if part)
        if self.span is None:
            return parts
        return f"{parts}, {minute(self.span[0])} to {minute(self.span[1])} UTC"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about one failure.

    again : whether asking again can help
    words : what happened, in plain words
    todo : the next step for the reader
    wait : seconds the venue asks to wait; None: a back-off that starts at `base` seconds
    most : the most tries for this kind of failure
    final : when `most` tries failed, the venue refuses (otherwise: it cannot be reached)
    venue_wide : every other request to this venue has to wait too
    """

    again: bool
    words: str
    todo: str = TODO_LATER
    wait: float | None = None
    base: float = 1.0
    most: int = 1_000
    final: bool = False
    venue_wide: bool = False

    def said(self, words: str) -> Verdict:
        """The same verdict in other words."""
        return replace(self, words=words)


def judge(error: Exception, reply: Reply, now: int) -> Verdict:
    """The verdict on a failure.

    error : what ccxt raised
    reply : the server's last answer, `Reply()` when none came
    now : the venue's time   [ms], for a ban that names its end
    """
    names = {each.__name__ for each in type(error).__mro__}
    if "BaseError" not in names:
        words = f"the answer has an unexpected shape ({type(error).__name__}: {_short(str(error))})"
        return Verdict(True, words, most=4, todo=TODO_REQUEST)
    for rule in (_by_status, _by_cause, _by_class):
        verdict = rule(error, names, reply, now)
        if verdict is not None:
            return verdict
    return _permanent(error, reply, TODO_REQUEST)


def _by_status(error: Exception, names: set[str], reply: Reply, now: int) -> Verdict | None:
    """What the HTTP status alone decides."""
    status, body = reply.status, reply.body
    if status == 403 and _TOO_OFTEN.search(body):
        return _rate_limited(error, reply, now, base=10 * MINUTE)
    if status in (403, 451) or "RestrictedLocation" in names or _BLOCKED.search(body):
        return _permanent(error, reply, TODO_BLOCKED)
    if status in (418, 429):
        return _rate_limited(error, reply, now, base=MINUTE if status == 429 else 2 * MINUTE)
    if status == 407:
        return _permanent(error, reply, TODO_PROXY_KEY)
    if "OnMaintenance" in names:
        return Verdict(True, f"it is under maintenance ({_facts(error, reply)})", base=MINUTE)
    if status is None or status < 400 or status == 401 or status in (408, 425):
        return None
    if status >= 500:
        return Verdict(True, _facts(error, reply))
    if "ExchangeNotAvailable" in names or not _is_json(body):
        return Verdict(True, _facts(error, reply), TODO_REQUEST, most=2, final=True)
    return None


def _by_cause(error: Exception, names: set[str], reply: Reply, now: int) -> Verdict | None:
    """What broke below ccxt: certificates, connections, bodies cut short."""
    chain = list(_causes(error))
    below = {each.__name__ for cause in chain for each in type(cause).__mro__}
    root = _root(chain)
    if "SSLCertVerificationError" in below or "CERTIFICATE_VERIFY_FAILED" in root:
        words = f"the connection cannot be trusted ({root})"
        return Verdict(True, words, TODO_CERTIFICATE, most=2, final=True)
    if "RequestTimeout" in names and reply.status is None:
        return Verdict(True, f"no answer in time ({_name(error)})")
    if reply.status is None and below & {"RequestException", "ClientError", "OSError"}:
        if "ProxyError" in below and "407" in root:
            return _permanent(error, Reply(body=root), TODO_PROXY_KEY)
        return Verdict(True, f"the connection failed ({_name(error)}: {root})")
    return None


def _by_class(error: Exception, names: set[str], reply: Reply, now: int) -> Verdict | None:
    """What ccxt's class says when neither status nor cause did."""
    if names & {"DDoSProtection", "RateLimitExceeded"}:
        lockout = "lockout" in str(error).lower()
        return _rate_limited(error, reply, now, base=15 * MINUTE if lockout else MINUTE)
    if names & {"AuthenticationError", "PermissionDenied", "AccountSuspended"}:
        return _permanent(error, reply, TODO_KEY)
    if "BadSymbol" in names:
        return _permanent(error, reply, TODO_SYMBOL)
    if "InvalidNonce" in names:
        return Verdict(True, _facts(error, reply), TODO_CLOCK, most=3)
    if "BadResponse" in names:
        return Verdict(True, f"the answer is not whole JSON ({_facts(error, reply)})")
    if "OperationFailed" in names:
        return Verdict(True, _facts(error, reply))
    plain = type(error).__name__ == "ExchangeError"
    if plain and _BUSY.search(f"{error} {reply.body}"):
        return Verdict(True, _facts(error, reply), most=6)
    return Verdict(True, _facts(error, reply), TODO_REQUEST, most=3, final=True) if plain else None


def _rate_limited(error: Exception, reply: Reply, now: int, base: float) -> Verdict:
    """Wait as long as the venue says: the end of a ban, Retry-After, else a back-off from `base`."""
    banned = _BANNED_UNTIL.search(reply.body) or _BANNED_UNTIL.search(str(error))
    wait = _retry_after(reply)
    if banned:
        wait = max(wait or 0.0, (int(banned.group(1)) - now) / 1_000 + 1, 1.0)
    words = f"it asks for fewer requests ({_facts(error, reply)})"
    return Verdict(True, words, wait=wait, base=base, venue_wide=True)


def _retry_after(reply: Reply) -> float | None:
    """Seconds of a Retry-After header, given as a number or as a date; None without one."""
    text = header(reply.headers, "Retry-After").strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    then, sent = date_of({"Date": text}), date_of(reply.headers)
    return max(0.0, (then - sent) / 1_000) if then is not None and sent is not None else None


def _permanent(error: Exception, reply: Reply, todo: str) -> Verdict:
    return Verdict(False, _facts(error, reply), todo)


def refused(verdict: Verdict, question: Question) -> ExchangeRefused:
    """The error of a permanent verdict."""
    text = message(
        f"{question.exchange} refuses", verdict.words, None, str(question) or None, verdict.todo
    )
    return ExchangeRefused(text, **_where(question))


def unreachable(
    verdict: Verdict, question: Question, tries: int, spent: float, wait: float
) -> ExchangeUnreachable:
    """The error of a question that was asked as often and as long as patience allows."""
    times = "once" if tries == 1 else f"{tries} times"
    text = message(
        f"{question.exchange} gave no good answer, asked {times} in {spent:.0f} s",
        f"{verdict.words}, next try in {wait:.0f} s",
        None,
        str(question) or None,
        verdict.todo,
    )
    return ExchangeUnreachable(text, **_where(question))


def scrubber(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that takes secrets, and the queries and users of addresses, out of a text.

    >>> scrubber(["hunter2"])("hunter2 at https://me:you@host/path?signature=1f")
    '*** at https://***@host/path'
    """
    words = sorted({each for each in secrets if len(each) > 3}, key=len, reverse=True)

    def scrub(text: str) -> str:
        for word in words:
            text = text.replace(word, "***")
        return _QUERY.sub(r"\1", _USER.sub(r"\1***@", text))

    return scrub


def minute(time: int) -> str:
    """A time for eyes, to the minute, UTC.

    >>> minute(1_704_067_200_000)
    '2024-01-01 00:00'
    """
    try:
        return datetime.fromtimestamp(time / 1_000, timezone.utc).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return f"{time} ms"


def iso(time: int) -> str:
    """The ISO form of a time, to the millisecond.

    >>> iso(1_704_067_200_001)
    '2024-01-01T00:00:00.001Z'
    """
    whole = datetime.fromtimestamp(time // 1_000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{time % 1_000:03d}Z"


def _where(question: Question) -> dict[str, Any]:
    """The fields of a DownloadError."""
    return asdict(question)


def _facts(error: Exception, reply: Reply) -> str:
    """Status, class and the venue's own words."""
    status = f"HTTP {reply.status}, " if reply.status and reply.status != 200 else ""
    said = _short(reply.body) or ("" if reply.status else _short(str(error)))
    return f"{status}{_name(error)}{': ' + said if said else ''}"


def _name(error: Exception) -> str:
    return f"ccxt {type(error).__name__}"


def _short(text: str) -> str:
    """The readable beginning of a body, without tags and line breaks."""
    plain = " ".join(_TAGS.sub(" ", text[:20_000]).split())
    return plain if len(plain) <= MOST_OF_A_BODY else plain[:MOST_OF_A_BODY] + " ..."


def _is_json(body: str) -> bool:
    return body.lstrip()[:1] in ("{", "[")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exceptions below this one, from the nearest to the root."""
    seen: set[int] = {id(error)}
    below = error.__cause__ or error.__context__
    while below is not None and id(below) not in seen:
        seen.add(id(below))
        yield below
        below = below.__cause__ or below.__context__


def _root(chain: list[BaseException]) -> str:
    """The innermost reason in a few words; addresses of requests are left out."""
    if not chain:
        return ""
    root = chain[-1]
    text = getattr(root, "strerror", None) or str(root)
    return _short(re.sub(r"(url: )\S+", r"\1...", str(text))) or type(root).__name__
