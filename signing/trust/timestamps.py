"""Several timestamping authorities as one: one kept-alive session each, quotas, hedging, and a breaker for the ill.

Real authorities answer after 2 to 131 s, allow as little as 20 requests in 20 minutes, and go away. So the quickest of
those that are well and within their quota is asked first; where it is slower than it used to be, the next one is asked
beside it, and the first good token wins. What is asked is a digest; what comes back is judged in a thread. Nobody is
asked who is known to take longer than the caller has, and what is under way ends with the caller.
"""

import asyncio
import base64
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import aiohttp
import msgspec

from signing.contract import Der, Problem, Sha256, Trust
from signing.deadlines import NO_TIME_LEFT, WITHOUT_END, Deadline
from signing.errors import TimestampUnavailable
from signing.levels import Limit, Quotas, Token
from signing.trust import tokens

_MOST_BYTES: Final = 256 * 1024
_SLOWER: Final = 2.0
"""An answer this many times later than usual is no longer waited for alone."""
_LEAST_HEDGE_S: Final = 0.2
_FIRST_HEDGE_S: Final = 2.0
_WEIGHT: Final = 0.3
_PLENTY: Final = 1_000_000
_FAILURES: Final = 3
_FIRST_REST_S: Final = 5.0
_LONGEST_REST_S: Final = 120.0
_NOT_ITS_FAULT: Final = frozenset({"busy", "quota", NO_TIME_LEFT})
_QUERY: Final = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}

Told = Callable[[str, str, float], None]
"""Takes an authority's name, how a call ended (`good`, `silent`, `429`, `wrong-nonce`, ...), and its seconds."""


class AuthoritySettings(msgspec.Struct, frozen=True, kw_only=True):
    """One authority. `quota` requests in any `quota_s` seconds, whoever counts them; 0 is without end.

    `chain` is a PEM file of certificates between the authority's and the anchor, where tokens do not bring them.
    """

    name: str
    url: str
    username: str = ""
    password: str = ""
    timeout_s: float = 150.0
    parallel: int = 8
    quota: int = 0
    quota_s: float = 1200.0
    chain: str = ""
    development: bool = False

    def __repr__(self) -> str:
        """Name the authority and nothing secret."""
        return f"AuthoritySettings(name={self.name!r}, url={self.url!r})"

    @property
    def limit(self) -> Limit:
        """What may be asked of it."""
        return Limit(authority=self.name, quota=self.quota, window_s=self.quota_s)


class OwnQuotas:
    """Counts in this process alone, for the service by itself."""

    def __init__(self) -> None:
        self._sent: dict[str, deque[float]] = {}

    async def take(self, limit: Limit) -> float:
        """Take one request: 0.0 where it may be sent at once, else after how many seconds one is free."""
        now = time.monotonic()
        sent = self._recent(limit, now)
        if len(sent) >= limit.quota:
            return sent[0] + limit.window_s - now
        sent.append(now)
        return 0.0

    async def room(self, limit: Limit) -> int:
        """Return how many requests are left now."""
        return limit.quota - len(self._recent(limit, time.monotonic()))

    def _recent(self, limit: Limit, now: float) -> deque[float]:
        sent = self._sent.setdefault(limit.authority, deque())
        while sent and sent[0] <= now - limit.window_s:
            sent.popleft()
        return sent


class _Refused(Exception):
    """An answer that is no token; `rest_s` is how long the authority wants to be left alone."""

    def __init__(self, code: str, rest_s: float = 0.0) -> None:
        super().__init__(code)
        self.code = code
        self.rest_s = rest_s


class _Authority:
    """One authority as this process knows it: its session, when its quota is free, how quick and how well it is."""

    def __init__(self, settings: AuthoritySettings, chain: tuple[Der, ...], quotas: Quotas) -> None:
        self.settings = settings
        self.chain = chain
        self.seconds: float | None = None
        self._quotas = quotas
        self._full_until = 0.0
        self._under_way = 0
        self._places = asyncio.Semaphore(settings.parallel)
        self._failures = 0
        self._rests_until = 0.0
        self._session: aiohttp.ClientSession | None = None

    def free_in(self, now: float) -> float:
        """Return after how many seconds it may be asked, as far as is known; 0 is at once."""
        wait = max(0.0, self._rests_until - now, self._full_until - now)
        if not self.well and self._under_way:
            wait = max(wait, 1.0)
        return wait

    async def room(self) -> int:
        """Return how many requests may be asked of it now; of an ill one, a single one to see whether it is well."""
        if self.free_in(time.monotonic()) > 0:
            return 0
        if not self.well:
            return 1
        return await self._quotas.room(self.settings.limit) if self.settings.quota else _PLENTY

    def expected(self) -> float:
        """Return the seconds that an answer takes, as far as is known; one never asked comes before the slow."""
        return self.seconds if self.seconds is not None else 0.5

    def hedge_after(self) -> float:
        """Return after how many seconds another one is asked beside it."""
        return max(_LEAST_HEDGE_S, _SLOWER * self.seconds) if self.seconds is not None else _FIRST_HEDGE_S

    async def ask(self, body: bytes, deadline: Deadline) -> bytes:
        """Send one request; whoever is cancelled for another's answer has still shown how slow it is."""
        try:
            async with deadline.limit(), self._places:
                return await self._in_turn(body, deadline)
        except TimeoutError:
            if deadline.left_s() > 0:
                raise
            raise _Refused(NO_TIME_LEFT) from None

    async def _in_turn(self, body: bytes, deadline: Deadline) -> bytes:
        now = time.monotonic()
        if self.free_in(now) > 0:
            raise _Refused("busy")
        if self.expected() > deadline.left_s():
            raise _Refused(NO_TIME_LEFT)
        await self._take()
        self._under_way += 1
        try:
            return await self._send(body)
        finally:
            self._under_way -= 1
            took = time.monotonic() - now
            self.seconds = took if self.seconds is None else (1 - _WEIGHT) * self.seconds + _WEIGHT * took

    async def _take(self) -> None:
        if not self.settings.quota:
            return
        wait = await self._quotas.take(self.settings.limit)
        if wait > 0:
            self._full_until = time.monotonic() + wait
            raise _Refused("quota")

    async def _send(self, body: bytes) -> bytes:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self.settings.timeout_s)
            limits = aiohttp.TCPConnector(limit=self.settings.parallel)
            self._session = aiohttp.ClientSession(timeout=timeout, connector=limits)
        headers = dict(_QUERY)
        if self.settings.username:
            said = f"{self.settings.username}:{self.settings.password}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(said).decode()
        async with self._session.post(self.settings.url, data=body, headers=headers, allow_redirects=False) as answer:
            if answer.status == 429:
                raise _Refused("429", _seconds(answer.headers.get("Retry-After")))
            if answer.status != 200:
                raise _Refused(f"http-{answer.status}", 1.0)
            held = await answer.content.read(_MOST_BYTES + 1)
            while len(held) <= _MOST_BYTES and (more := await answer.content.read(_MOST_BYTES)):
                held += more
        if len(held) > _MOST_BYTES:
            raise _Refused("garbage")
        return held

    def went_well(self) -> None:
        self._failures = 0

    def failed(self, rest_s: float) -> None:
        """Rest after a few failures, longer each time; what was asked for is kept at once."""
        self._failures += 1
        now = time.monotonic()
        if self._failures >= _FAILURES:
            rest_s = max(rest_s, min(_FIRST_REST_S * 2 ** (self._failures - _FAILURES), _LONGEST_REST_S))
        self._rests_until = max(self._rests_until, now + rest_s)

    @property
    def well(self) -> bool:
        """Whether its last calls did not all fail."""
        return self._failures < _FAILURES

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _seconds(said: str | None) -> float:
    return min(float(said), 3600.0) if said is not None and said.isdecimal() else 30.0


class TsaPool:
    """The port `TimestampSource` over several authorities."""

    def __init__(
        self,
        authorities: tuple[tuple[AuthoritySettings, tuple[Der, ...]], ...],
        trust: Trust,
        *,
        told: Told | None = None,
        clock: Callable[[], datetime] | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        counted = quotas or OwnQuotas()
        self._all = [_Authority(settings, chain, counted) for settings, chain in authorities]
        self._trust = trust
        self._told = told or (lambda _name, _ended, _seconds: None)
        self._clock = clock or partial(datetime.now, UTC)

    def well(self) -> dict[str, bool]:
        """Return each authority's name and whether its last calls did not all fail."""
        return {each.settings.name: each.well for each in self._all}

    def free_in(self) -> float:
        """Return after how many seconds some authority may be asked; without end where there is none."""
        now = time.monotonic()
        return min((each.free_in(now) for each in self._all), default=float("inf"))

    async def room(self) -> int:
        """Return how many tokens may be asked for now: what the quotas leave, and one of each that is ill."""
        return sum([await each.room() for each in self._all])

    def limits(self) -> tuple[Limit, ...]:
        """Return what each authority allows."""
        return tuple(each.settings.limit for each in self._all)

    async def stamp(self, digest: Sha256, deadline: Deadline = WITHOUT_END) -> Token:
        """Return the first good token of whoever is quickest.

        Raises:
            TimestampUnavailable: nobody gives one now, or in the time that is left; it says why of each, and when to
                ask again.
        """
        left = self._in_order()
        running: dict[asyncio.Task[Token], _Authority] = {}
        problems: list[Problem] = []
        try:
            while left or running:
                if left:
                    authority = left.pop(0)
                    running[asyncio.create_task(self._of(authority, digest, deadline))] = authority
                patience = max(each.hedge_after() for each in running.values()) if left else None
                done, _ = await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    authority = running.pop(task)
                    if task.exception() is None:
                        return task.result()
                    problems.append(_problem(authority, task.exception()))
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        raise TimestampUnavailable(
            "Chưa lấy được dấu thời gian; hệ thống sẽ tự thử lại",
            "No authority gives a timestamp now; it is asked again",
            problems=tuple(problems),
            retry_s=max(1.0, min(self.free_in(), 3600.0)),
        )

    def _in_order(self) -> list[_Authority]:
        """Return those that may be asked at once: the well before the ill, then the quickest."""
        now = time.monotonic()
        free = [each for each in self._all if each.free_in(now) == 0.0]
        return sorted(free, key=lambda each: (not each.well, each.expected()))

    async def _of(self, authority: _Authority, digest: Sha256, deadline: Deadline) -> Token:
        began, ended = time.monotonic(), "cancelled"
        try:
            body, nonce = tokens.ask(digest)
            answer = await authority.ask(body, deadline)
            der, at = await asyncio.to_thread(
                tokens.check, answer, digest, nonce, self._trust, authority.chain, self._clock()
            )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            ended = "silent"
            authority.failed(0.0)
            raise _Refused("silent") from error
        except _Refused as error:
            ended = error.code
            if error.code not in _NOT_ITS_FAULT:
                authority.failed(error.rest_s)
            raise
        except tokens.BadToken as error:
            ended = error.code
            authority.failed(1.0)
            raise _Refused(error.code) from error
        else:
            ended = "good"
            authority.went_well()
            return Token(der=der, authority=authority.settings.name, at=at)
        finally:
            self._told(authority.settings.name, ended, time.monotonic() - began)

    async def close(self) -> None:
        """End the sessions."""
        for each in self._all:
            await each.close()


def _problem(authority: _Authority, error: Any) -> Problem:
    name = authority.settings.name
    code = error.code if isinstance(error, _Refused) else "failed"
    vi, en = _WORDS.get(code, ("không cho dấu thời gian dùng được", "gave no usable token"))
    return Problem(
        code=code,
        vi=f"Dịch vụ dấu thời gian «{name}» {vi} ({code})",
        en=f"Timestamping authority '{name}' {en} ({code})",
    )


_WORDS: Final = {
    NO_TIME_LEFT: ("cần nhiều thời gian hơn phần còn lại của lượt này", "takes longer than this attempt has left"),
    "quota": ("đã dùng hết hạn mức", "has no request left of its quota"),
}
