"""One ccxt class made ready for work nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bt_margin.errors import ExchangeRefused, message, near
from bt_margin.market.exchange.clocks import Clock, VenueClock, wall
from bt_margin.market.exchange.habits import Habits, habits_of
from bt_margin.market.exchange.instance import Spy, library, make, strange
from bt_margin.market.exchange.metadata import tidy
from bt_margin.market.exchange.options import secrets_of
from bt_margin.market.exchange.retry import Pace, Retry
from bt_margin.market.exchange.verdicts import (
    TODO_SYMBOL,
    Question,
    Reply,
    Verdict,
    judge,
    scrubber,
)
from bt_margin.market.kinds import Span


class Client:
    """A ccxt class with a shared pace, patience, verdicts, and proof of an empty answer.

    exchange : the ccxt class, such as "binanceusdm"
    options : merged deeply into the class's configuration: proxies, `urls`, `timeout`, keys ...
    retry, pace : patience and rate limit; every `twin` shares them
    told : gets a sentence about the data that is worth keeping (what the venue no longer has)
    aside : gets a sentence about the work that is worth saying at once (a long wait, clocks that are far
        apart); `told` where it is not given
    clock : the local time   [UTC epoch ms]; ccxt gets it too
    markets : ccxt's market structures by symbol, where they are known already

    Not for several threads at once: give each thread its `twin`. Use it in a `with`, or `close` it.
    """

    def __init__(
        self,
        exchange: str,
        options: Mapping[str, Any] | None = None,
        *,
        retry: Retry | None = None,
        pace: Pace | None = None,
        told: Callable[[str], None] | None = None,
        aside: Callable[[str], None] | None = None,
        clock: Clock | None = None,
        markets: Mapping[str, Any] | None = None,
    ) -> None:
        self.exchange = exchange
        self.retry = retry or Retry()
        self._options = dict(options or {})
        self._told = told
        self._aside = aside or told
        self._pace = pace or Pace(self.retry.sleep, self.retry.clock)
        self._clock = VenueClock(clock or wall)
        self._scrub = scrubber(secrets_of(self._options))
        self._spy = Spy()
        self._ccxt = make(exchange, self._options, self._pace, self._spy, self._heard)
        if clock is not None:
            self._ccxt.milliseconds = clock
        self.version = str(library().__version__)
        for text in strange(self._ccxt, self._options):
            self.mention(text)
        self.habits: Habits = habits_of(exchange, self._ccxt)
        if markets:
            self._ccxt.set_markets(list(markets.values()))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def requests(self) -> int:
        """Requests this client has sent so far."""
        return self._spy.requests

    @property
    def limited(self) -> bool:
        """Whether the rate limit is kept (ccxt's enableRateLimit)."""
        return bool(self._ccxt.enableRateLimit)

    @property
    def timeframes(self) -> tuple[str, ...]:
        """The bar lengths the class offers, in ccxt's order."""
        return tuple(self._ccxt.timeframes or ())

    @property
    def markets(self) -> dict[str, Any]:
        """ccxt's market structures by symbol; loaded on first use."""
        if not self._ccxt.markets:
            self._call(self._load, Question(self.exchange, kind="markets"))
        return dict(self._ccxt.markets)

    def has(self, method: str) -> Any:
        """What ccxt says about a unified method: True, False, None or "emulated"."""
        return self._ccxt.has.get(method)

    def offers(self, kind: str) -> bool:
        """Whether this exchange gives a kind of data to everybody (tiers: to the holder of a key)."""
        return self.why_not(kind) == ""

    def why_not(self, kind: str) -> str:
        """Why a kind is not offered, in plain words; "" when it is."""
        reason = self.habits.missing.get(kind, "")
        key_given = bool(self._options.get("apiKey") and self._options.get("secret"))
        return "" if kind in self.habits.with_key and key_given else reason

    def market(self, symbol: str) -> dict[str, Any]:
        """What is known about one market, ready for JSON; see `metadata.tidy` for the fields.

        The symbol must be the full one: a short form that ccxt would accept may be another market.
        Raises `ExchangeRefused` with the names that come near.
        """
        return tidy(self.raw_market(symbol), self._ccxt, self.version)

    def raw_market(self, symbol: str) -> dict[str, Any]:
        """ccxt's own structure of one market, the symbol checked."""
        markets = self._ccxt.markets or self.markets
        found = markets.get(symbol)
        if found is not None and found["symbol"] == symbol:
            return dict(found)
        meant = self._meant(symbol, markets)
        hint = f"did you mean {meant}?" if meant else near(symbol, markets)
        text = message(
            f"{self.exchange} has no market of this name",
            repr(symbol),
            None,
            f"it lists {len(markets):,} now; delisted ones are not listed any more",
            f"{hint} {TODO_SYMBOL}".strip(),
        )
        raise ExchangeRefused(text, exchange=self.exchange, symbol=symbol)

    def now(self) -> int:
        """The safe time   [UTC epoch ms]: the earlier of the local and the venue's clock."""
        return self._clock.now()

    @property
    def local(self) -> int:
        """The local time   [UTC epoch ms]; `safe` turns it into the safe one once an answer came."""
        return self._clock.local()

    def safe(self, local: int) -> int:
        """The safe time of a moment the local clock called `local`."""
        return self._clock.safe(local)

    def twin(self) -> Client:
        """Another client of the same settings for another thread; markets and pace are shared."""
        markets = self._ccxt.markets or self.markets
        twin = Client(self.exchange, self._options, retry=self.retry, pace=self._pace)
        twin._told, twin._aside = self._told, self._aside
        twin._clock = self._clock
        if self._clock.local is not wall:
            twin._ccxt.milliseconds = self._clock.local
        if hasattr(twin._ccxt, "set_markets_from_exchange"):
            twin._ccxt.set_markets_from_exchange(self._ccxt)
        else:
            twin._ccxt.set_markets(list(markets.values()))
        return twin

    def close(self) -> None:
        """Close the connections; the client can still be used afterwards."""
        session = getattr(self._ccxt, "session", None)
        if session is not None:
            session.close()

    def tell(self, text: str) -> None:
        """Pass a sentence about the data on to whoever listens."""
        if self._told is not None:
            self._told(text)

    def mention(self, text: str) -> None:
        """Pass a sentence about the work on to whoever listens."""
        if self._aside is not None:
            self._aside(text)

    def call(
        self,
        method: str,
        *args: Any,
        symbol: str = "",
        kind: str = "",
        span: Span | None = None,
    ) -> Any:
        """What a ccxt method answers: every request of this package goes through here.

        symbol, kind, span : what the call is for, for messages
        Raises `ExchangeRefused` when asking again cannot help, `ExchangeUnreachable` when attempts
        and patience are used up. An empty answer was whole JSON.
        """

        def do() -> Any:
            answer = getattr(self._ccxt, method)(*args)
            if (
                not answer
                and self._spy.reply.status is not None
                and "[" not in self._spy.reply.body
            ):
                raise ValueError("an empty answer without an empty list in it")
            return answer

        return self._call(do, Question(self.exchange, symbol, kind, span))

    def _call(self, do: Callable[[], Any], question: Question) -> Any:
        def ask() -> Any:
            self._pace.gate()
            self._spy.reply = Reply()
            return do()

        return self.retry.run(ask, self._judge, question, self._aside, self._pace.hold)

    def _load(self) -> None:
        """Load the markets; an empty list is no answer."""
        if not self._ccxt.load_markets():
            raise ValueError("the list of markets is empty")

    def _judge(self, error: Exception) -> Verdict:
        verdict = judge(error, self._spy.reply, self._clock.venue())
        return verdict.said(self._scrub(verdict.words))

    def _heard(self, headers: Mapping[str, str]) -> None:
        self._clock.heard(headers)
        apart = self._clock.apart()
        if apart:
            self.mention(f"{self.exchange}: {apart}")

    def _meant(self, symbol: str, markets: Mapping[str, Any]) -> str:
        """The full symbol ccxt would take for a short one; "" when it would take none."""
        try:
            found = self._ccxt.market(symbol)["symbol"]
        except Exception:  # whatever ccxt says about a wrong name, the caller gets our words
            return ""
        return str(found) if found in markets else ""
