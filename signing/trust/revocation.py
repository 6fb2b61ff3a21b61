"""What was revoked, fetched before anybody waits for it, kept on a shelf, and asked once however many want it.

An authority's outage changes nothing while what was kept is of the present; after that a certificate's state is
`unknown`, which a signature survives and a level does not. A revoked certificate stays revoked, whoever is silent; one
on hold is neither good nor revoked until its authority says which. A fetch lives as long as somebody waits for it, and
nobody waits longer than the own deadline allows.
"""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from signing.contract import Der, Problem
from signing.deadlines import NO_TIME_LEFT, WITHOUT_END, Deadline
from signing.errors import EvidenceUnavailable
from signing.levels import CertificateStatus, CertPath, Evidence, Shelf
from signing.trust import answers
from signing.trust.answers import Answer, BadAnswer, Kind, Where

_MOST_BYTES: Final = 32 * 1024 * 1024
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_RECENT: Final = 1024
_PATIENCE_S: Final = 10.0
_LEAST_S: Final = 0.05
"""With less than this left nobody is asked."""
_REST: Final = timedelta(seconds=10)
"""How long an authority that has just failed is not asked again about the same certificate."""

Told = Callable[[str, str], None]
"""Takes the kind of a fetch (`ocsp`, `crl`) and how it ended."""


class _Listed(msgspec.Struct, frozen=True):
    """What was loaded, and when."""

    der: bytes
    fetched_at: datetime


class _Flight:
    """One fetch, and how many wait for it."""

    def __init__(self, fetch: Coroutine[Any, Any, _Listed]) -> None:
        self.task = asyncio.create_task(fetch)
        self.waiting = 0

    async def wait(self, deadline: Deadline) -> _Listed:
        self.waiting += 1
        try:
            async with deadline.limit():
                return await asyncio.shield(self.task)
        except TimeoutError:
            raise BadAnswer(NO_TIME_LEFT) from None
        finally:
            self.waiting -= 1


class Directory:
    """A shelf of files, for the service by itself; each is written whole or not at all."""

    def __init__(self, place: Path) -> None:
        self._place = place

    async def get(self, key: str) -> bytes | None:
        """Return what was kept under a key."""
        return await asyncio.to_thread(self._read, key)

    def _read(self, key: str) -> bytes | None:
        try:
            return (self._place / key).read_bytes()
        except OSError:
            return None

    async def put(self, key: str, value: bytes, until: datetime) -> None:
        """Keep something."""
        _ = until
        await asyncio.to_thread(self._write, key, value)

    def _write(self, key: str, value: bytes) -> None:
        self._place.mkdir(parents=True, exist_ok=True)
        fresh = self._place / f".{key}"
        fresh.write_bytes(value)
        fresh.replace(self._place / key)


class Revocation:
    """The port `RevocationSource` over the network and a shelf."""

    def __init__(
        self,
        shelf: Shelf,
        *,
        told: Told | None = None,
        clock: Callable[[], datetime] | None = None,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._shelf = shelf
        self._told = told or (lambda _kind, _ended: None)
        self._clock = clock or partial(datetime.now, UTC)
        self._timeout = aiohttp.ClientTimeout(total=patience_s)
        self._flights: dict[str, _Flight] = {}
        self._recent: dict[CertPath, Answer] = {}
        self._failed: dict[str, tuple[datetime, str]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def status(
        self, path: CertPath, *, newer_than: datetime | None = None, deadline: Deadline = WITHOUT_END
    ) -> CertificateStatus:
        """Return what is known of a path's first certificate; fetches only what is not of the present or not so new."""
        if len(path) < 2:
            return CertificateStatus(state="unknown", problem=_problem("no-issuer"))
        try:
            answer, why = await self._answer(path, newer_than or _NEVER, deadline)
        except BadAnswer as error:
            return CertificateStatus(state="unknown", problem=_problem(error.code))
        return CertificateStatus(
            state=answer.state,
            revoked_at=answer.revoked_at,
            known_at=answer.from_,
            problem=_problem(why) if why else None,
        )

    async def evidence(
        self, paths: Sequence[CertPath], *, newer_than: datetime, deadline: Deadline = WITHOUT_END
    ) -> Evidence:
        """Return certificates, OCSP and CRLs for every path; what is the same for several is fetched and held once.

        Raises:
            EvidenceUnavailable: of some certificate nothing of the present is to be had, or not in the time left.
        """
        parts = dict.fromkeys(path[at:] for path in paths for at in range(len(path) - 1))
        held: dict[Kind, dict[bytes, None]] = {"ocsp": {}, "crl": {}}
        for part in parts:
            if (await asyncio.to_thread(answers.where, part[0])).nobody:
                continue
            try:
                answer, why = await self._answer(part, newer_than, deadline)
            except BadAnswer as error:
                answer, why = None, error.code
            if answer is None or (why is not None and answer.kind == "ocsp"):
                raise EvidenceUnavailable(
                    "Chưa lấy được tình trạng thu hồi của chứng thư; hệ thống sẽ tự thử lại",
                    "The revocation state of a certificate is not to be had now; it is asked again",
                    problems=(_problem(why or "nowhere"),),
                )
            if answer.state == "on_hold":
                raise EvidenceUnavailable(
                    "Chứng thư đang bị tạm dừng; hệ thống sẽ tự thử lại",
                    "A certificate is on hold; it is asked again",
                    problems=(_problem("on-hold"),),
                )
            held[answer.kind][answer.der] = None
        certificates = dict.fromkeys(der for path in paths for der in path[:-1])
        return Evidence(certificates=tuple(certificates), ocsps=tuple(held["ocsp"]), crls=tuple(held["crl"]))

    async def _answer(self, path: CertPath, newer_than: datetime, deadline: Deadline) -> tuple[Answer, str | None]:
        """Return the best answer about a certificate, kept or fetched, and why nothing newer is to be had.

        Raises:
            BadAnswer: nothing that is kept or fetched is of the present.
        """
        asked = await asyncio.to_thread(answers.where, path[0])
        if not asked.ocsp and not asked.crls:
            raise BadAnswer("nowhere")
        kept = self._recent.get(path[:2]) or await self._kept(path, asked)
        if kept is not None and kept.state != "revoked" and kept.until <= self._clock():
            kept = None
        if kept is not None and (kept.state == "revoked" or kept.fetched_at >= newer_than):
            return self._remembered(path, kept), None
        code = "nowhere"
        self._recent.pop(path[:2], None)
        sources: tuple[tuple[Kind, tuple[str, ...]], ...] = (("ocsp", asked.ocsp), ("crl", asked.crls))
        for kind, urls in sources:
            for url in urls:
                try:
                    return self._remembered(path, await self._fetched(kind, url, path, deadline)), None
                except BadAnswer as error:
                    code = error.code if error.code == NO_TIME_LEFT else f"{kind}-{error.code}"
        if kept is not None:
            return kept, code
        raise BadAnswer(code)

    def _remembered(self, path: CertPath, answer: Answer) -> Answer:
        """Keep an answer in this process too, so that a batch reads the shelf once."""
        if len(self._recent) >= _MOST_RECENT:
            self._recent.clear()
        self._recent[path[:2]] = answer
        return answer

    async def _kept(self, path: CertPath, asked: Where) -> Answer | None:
        """Return what is on the shelf about a certificate, if it is of the present or says that it was revoked."""
        found: Answer | None = None
        raw = await self._shelf.get(_ocsp_key(path[0], path[1]))
        if raw is not None:
            found = msgspec.msgpack.decode(raw, type=Answer)
        for url in asked.crls if found is None or found.state != "revoked" else ():
            raw = await self._shelf.get(_crl_key(url))
            if raw is None:
                continue
            try:
                listed = await self._judge("crl", msgspec.msgpack.decode(raw, type=_Listed), path)
            except BadAnswer:
                continue
            if listed.state == "revoked" or found is None or found.until <= self._clock():
                found = listed
        return found if found is not None and (found.state == "revoked" or found.until > self._clock()) else None

    async def _fetched(self, kind: Kind, url: str, path: CertPath, deadline: Deadline) -> Answer:
        """Return a fresh answer; whoever asks for the same meanwhile waits for this one."""
        key = _ocsp_key(path[0], path[1]) if kind == "ocsp" else _crl_key(url)
        failed = self._failed.get(key)
        if failed is not None and self._clock() < failed[0]:
            raise BadAnswer(failed[1])
        if deadline.left_s() < _LEAST_S:
            raise BadAnswer(NO_TIME_LEFT)
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(self._fetch(kind, url, path, key))
        try:
            listed = await flight.wait(deadline)
            return await self._judge(kind, listed, path)
        except BadAnswer as error:
            if error.code != NO_TIME_LEFT:
                self._failed[key] = (self._clock() + _REST, error.code)
            raise
        finally:
            self._leave(key, flight)

    def _leave(self, key: str, flight: _Flight) -> None:
        """End a fetch that nobody waits for any longer."""
        if not flight.waiting and self._flights.get(key) is flight:
            del self._flights[key]
            flight.task.cancel()

    async def _judge(self, kind: Kind, listed: _Listed, path: CertPath) -> Answer:
        held = await asyncio.to_thread(answers.judge, kind, listed.der, path, self._clock())
        return msgspec.structs.replace(held, fetched_at=listed.fetched_at)

    async def _fetch(self, kind: Kind, url: str, path: CertPath, key: str) -> _Listed:
        """Load an answer and put it on the shelf, once it is found to prove something about this certificate."""
        ended = "failed"
        try:
            listed = _Listed(der=await self._load(kind, url, path), fetched_at=self._clock())
            answer = await self._judge(kind, listed, path)
            ended = answer.state
        except BadAnswer as error:
            ended = error.code
            raise
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            ended = "silent"
            raise BadAnswer("silent") from error
        finally:
            self._told(kind, ended)
        kept = msgspec.msgpack.encode(answer if kind == "ocsp" else listed)
        await self._shelf.put(key, kept, answer.until)
        return listed

    async def _load(self, kind: Kind, url: str, path: CertPath) -> bytes:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        if kind == "ocsp":
            body = await asyncio.to_thread(answers.ask_ocsp, path[0], path[1])
            call = self._session.post(url, data=body, headers={"Content-Type": "application/ocsp-request"})
        else:
            call = self._session.get(url)
        async with call as answer:
            if answer.status != 200:
                raise BadAnswer(f"http-{answer.status}")
            held = bytearray()
            async for part in answer.content.iter_chunked(1 << 16):
                held += part
                if len(held) > _MOST_BYTES:
                    raise BadAnswer("too-large")
        return bytes(held)

    async def close(self) -> None:
        """End the session, and what is under way."""
        for flight in list(self._flights.values()):
            flight.task.cancel()
        if self._session is not None:
            await self._session.close()


def _ocsp_key(certificate: Der, issuer: Der) -> str:
    return f"ocsp-{hashlib.sha256(certificate + issuer).hexdigest()}"


def _crl_key(url: str) -> str:
    """Return the name of a list, which is loaded and kept once for all certificates on it."""
    return f"crl-{hashlib.sha256(url.encode()).hexdigest()}"


_WORDS: Final = {
    "garbage": ("trả về dữ liệu không hợp lệ", "answers with garbage"),
    NO_TIME_LEFT: ("cần nhiều thời gian hơn phần còn lại của lượt này", "takes longer than this attempt has left"),
    "proves-nothing": ("trả lời không dùng được cho chứng thư này", "answers, but not for this certificate"),
    "silent": ("không trả lời", "does not answer"),
    "hold": ("đang tạm dừng chứng thư", "has put the certificate on hold"),
    "stale": ("trả lời đã quá hạn", "answers with something of the past"),
}


def _problem(code: str) -> Problem:
    last = code if code == NO_TIME_LEFT else code.split("-", 1)[-1]
    vi, en = _WORDS.get(last, ("không cho biết tình trạng thu hồi", "does not tell"))
    return Problem(code=code, vi=f"Nơi công bố thu hồi {vi}", en=f"The revocation authority {en} ({code})")
