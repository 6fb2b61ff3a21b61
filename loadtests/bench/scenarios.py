"""What is asked of the three, and how their answers are compared."""

import itertools
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from api.embedded.province import data
from loadtests.bench.contenders import Contender
from loadtests.bench.drive import ask, request
from loadtests.bench.ground import FILING, WARD, Ground, actor

COUNTER: Final = f"tiepnhan.{WARD}"
SIGNATORY: Final = f"chutich.{WARD}"
_OWN: Final = frozenset({"id", "code", "secret", "task_id", "due_at", "step_due_at", "allowed"})
"""Fields of an answer to a write that each effect has for itself, or that follow from rules the product alone has."""
_TABLES: Final = (
    "dossier", "journal", "audit", "idempotency", "task", "person", "person_private", "dossier_party", "dossier_part",
    "dossier_fee", "dossier_access", "dossier_deadline",
)  # fmt: skip


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of request, the same for all three; `requests` gives each contender its own endless supply."""

    name: str
    vi: str
    en: str
    writes: bool
    requests: Callable[[str], Iterator[bytes]]


async def scenarios(earth: Ground, *, per_kind: int, filed: deque[str] | None = None) -> list[Scenario]:
    """Log people in and prepare every request.

    Of `filed`, where somebody keeps the codes of what was submitted, every second step is made, and each once what was
    seeded has come to its end: a load that submits as often as it steps never does.
    """
    counter, signatory = await earth.log_in(COUNTER), await earth.log_in(SIGNATORY)
    codes = await earth.received(3 * per_kind)
    order = msgspec.to_builtins(FILING)
    filing = {
        "procedure_code": FILING.procedure_code,
        "territory_code": FILING.territory_code,
        "filer": {name: order["filer"][name] for name in ("name", "id_number", "phone")},
        "parts": [{name: order["parts"][0][name] for name in ("part_code", "name", "originals")}],
    }
    over = {"facts": {"agency_id": str(actor(f"thuly.{WARD}").agency_id)}}
    shares = {name: codes[n::3] for n, name in enumerate(("motcua", "fastapi", "floor"))}
    tracks = [request("GET", f"/track/{code}") for code in codes[:5000]]
    page = request("GET", "/signature-requests?limit=50", token=signatory)

    def submits(_: str) -> Iterator[bytes]:
        return (request("POST", "/dossiers", token=counter, body=filing, key=new_key()) for _ in itertools.count())

    def steps(name: str) -> Iterator[bytes]:
        while shares[name] or filed:
            if shares[name]:
                yield step(shares[name].pop())
            if filed:
                yield step(filed.popleft())

    def step(code: str) -> bytes:
        return request("POST", f"/dossiers/{code}/steps/hand_over", token=counter, body=over, key=new_key())

    return [
        Scenario(
            name="look-up", vi="Tra cứu theo mã", en="Look-up by code", writes=False,
            requests=lambda _: itertools.cycle(tracks),
        ),
        Scenario(
            name="to-sign", vi="Trang đầu danh sách chờ ký", en="First page of a to-sign list", writes=False,
            requests=lambda _: itertools.cycle([page]),
        ),
        Scenario(name="submit", vi="Nộp hồ sơ", en="Submit", writes=True, requests=submits),
        Scenario(name="step", vi="Một bước (chuyển hồ sơ)", en="One step (hand over)", writes=True, requests=steps),
    ]  # fmt: skip


async def unequal(kind: Scenario, rivals: Mapping[str, Contender], earth: Ground) -> str | None:
    """Ask all three the same; return how they differ, or None: whole answers of reads, of writes also the rows."""
    told: dict[str, Any] = {}
    for name, rival in rivals.items():
        before = await _counts(earth) if kind.writes else {}
        status, answer = await ask(rival.port, next(kind.requests(name)))
        if not 200 <= status < 300 or not isinstance(answer, dict):
            return f"{name} answered {status}: {answer}"
        if kind.writes:
            after = await _counts(earth)
            rows = {table: after[table] - before[table] for table in _TABLES}
            answer = {key: "own" if key in _OWN else value for key, value in answer.items()} | {"rows": rows}
        told[name] = _plain(answer)
    first = next(iter(told.values()))
    return None if all(answer == first for answer in told.values()) else str(told)


async def _counts(earth: Ground) -> dict[str, int]:
    return {table: await earth.owner.fetchval(f"SELECT count(*) FROM {table}") for table in _TABLES}


def _plain(answer: Any) -> Any:
    """Return an answer in which one instant is written in one way, and a page's cursor does not matter."""
    if isinstance(answer, dict):
        return {key: _plain(value) for key, value in answer.items() if key != "next"}
    if isinstance(answer, list):
        return [_plain(value) for value in answer]
    return answer.replace("+00:00", "Z") if isinstance(answer, str) else answer


SIGNATORIES: Final = tuple(one.slug for one in data.people() if one.demo and "signatory" in one.roles)
"""Everybody of the demo who signs."""


async def signings(earth: Ground, count: int, each: int = 100) -> list[bytes]:
    """Return asks of up to so many signatures each, of all signatories in turn."""
    asks: list[list[bytes]] = []
    for who in SIGNATORIES:
        token = await earth.log_in(who)
        waiting = await earth.waiting(who, each * count)
        parts = [waiting[n : n + each] for n in range(0, len(waiting), each)]
        asks.append([_ask(token, items) for items in parts if items])
    turns = itertools.chain.from_iterable(itertools.zip_longest(*asks))
    return [one for one in turns if one is not None][:count]


def _ask(token: str, items: list[tuple[str, str]]) -> bytes:
    wanted = [{"request_id": key, "sha256": digest} for key, digest in items]
    return request("POST", "/signature-batches", token=token, body={"items": wanted, "code": "123456"}, key=new_key())


def new_key() -> str:
    """Return a key for one intent."""
    return str(uuid.uuid4())
