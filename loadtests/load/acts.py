"""What each persona does, written once: an act yields its steps and is given what came of each.

The closed model (Locust) and the open one perform the same acts and differ in when an act begins: so there is one list
of operations, not two. An act is a generator; whoever performs it sends in the answer's JSON, or None.
"""

import itertools
import secrets
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from loadtests.load.model import BATCH, FILES_BACK, LATE_CLOCK_S, RESUMES, STORM_BATCH, WATCH_S, WRONG_PASSWORDS, lot
from loadtests.load.scans import scan
from loadtests.load.shapes import SHAPES
from loadtests.load.visitors import Visitor

_FILER: Final = {"name": "Nguyễn Thị Hồng Nhung", "id_number": "024199001234", "phone": "0912345678"}
_TRIES: Final = 5
_COUNTERS: Final = ("tiepnhan", "quay")
"""Posts that sit at a counter."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request under an operation's name; what comes back is its JSON (bytes where it has none), or None."""

    op: str
    path: str
    method: str = "GET"
    body: Any = None
    content: bytes | None = None
    headers: dict[str, str] = {}
    effect: bool = False
    """It is to have an effect: bears a key, and goes into the ledger once it is acknowledged."""
    key: str = ""
    items: int = 0
    right: tuple[int, ...] = ()
    """Statuses that are the right answer beside 2xx and 304."""


class Pause(msgspec.Struct, frozen=True):
    """Think, in seconds."""

    seconds: float


class Follow(msgspec.Struct, frozen=True):
    """Watch a ticket by its stream; what comes back is the ticket at its end, or None."""

    ticket: str


class Drop(msgspec.Struct, frozen=True):
    """Send a request and close the connection without waiting for the answer."""

    path: str


class Twins(msgspec.Struct, frozen=True):
    """Two answers to one intent have named two dossiers."""

    first: str
    again: str


class Took(msgspec.Struct, frozen=True):
    """Something that was done in several requests took so long, in seconds, and came out right or not."""

    op: str
    seconds: float
    right: bool = True


class Token(msgspec.Struct, frozen=True):
    """Have the own token sign: `prepared` files become files with its CMS, without one a raw value comes back."""

    errand: Any
    prepared: bytes | None = None


Step: TypeAlias = Ask | Pause | Follow | Drop | Twins | Took | Token
Act: TypeAlias = Generator[Step, Any, None]


def arrive(who: Visitor) -> Act:
    """Pay the first visit, cold, and come in: resume yesterday's session, or log in by password."""
    yield Pause(who.chance.uniform(0, 1.0))
    yield Ask(op="first visit", path="/procedures")
    yield Ask(op="first visit", path="/agencies")
    if who.seat is None or not who.persona.official or who.seat.locked:
        return
    who.token = who.seat.token
    if who.chance.random() > RESUMES:
        entered = {"login": who.seat.login, "password": who.plan.password}
        told = yield Ask(op="log in", method="POST", path="/session", body=entered)
        who.token = (told or {}).get("token", who.token)
    yield Ask(op="first visit", path="/session")


# --- those without an account ---


def filing(procedure: str, centre: str, territory: str) -> dict[str, Any]:
    """Return a dossier handed in online."""
    parts = [{"part_code": "TK", "name": "Tờ khai", "originals": 1}]
    return {
        "procedure_code": procedure, "receipt_agency_code": centre, "territory_code": territory,
        "filer": _FILER, "parts": parts,
    }  # fmt: skip


def track(who: Visitor) -> Act:
    """Look where a dossier is, by its code."""
    yield Ask(op="track", path=f"/track/{who.chance.choice(who.plan.codes)}")


def submit(who: Visitor) -> Act:
    """Hand a dossier in, send a file with it, and look again with the secret."""
    place = who.chance.choice(who.plan.seats["head"])
    body = filing(who.plan.procedure, place.centre_code, place.territory)
    filed = yield Ask(op="submit online", method="POST", path="/online", body=body, effect=True)
    if not isinstance(filed, dict):
        return
    secret = {"X-Dossier-Secret": filed["secret"]}
    paper, headers = scan(who.chance, who.plan.largest_file), {**secret, "Content-Type": "application/pdf"}
    uploads = f"/track/{filed['code']}/uploads"
    yield Ask(op="hand a file in", method="POST", path=uploads, content=paper, headers=headers, effect=True)
    yield Pause(who.rest() / 4)
    yield Ask(op="track with secret", path=f"/track/{filed['code']}", headers=secret)


def hand_in(who: Visitor) -> Act:
    """Hand in for others; what comes twice under its key must be the same dossier: one in ten, after an outage all."""
    place = who.chance.choice(who.plan.seats["head"])
    body, key = filing(who.plan.procedure, place.centre_code, place.territory), secrets.token_hex(16)
    first = yield Ask(op="submit online", method="POST", path="/online", body=body, key=key, effect=True)
    twice = SHAPES[who.plan.shape].twice
    if not isinstance(first, dict) or who.chance.random() >= twice:
        return
    if twice == 1.0:  # the others' repeats come in between
        yield Pause(who.rest())
    headers = {"Idempotency-Key": key}
    again = yield Ask(op="submit online", method="POST", path="/online", body=body, headers=headers)
    if isinstance(again, dict) and again["code"] != first["code"]:
        yield Twins(first["code"], again["code"])


def press_f5(who: Visitor) -> Act:
    """Drop what takes too long and ask again, up to five times; now and then drop what is under way at once."""
    path = f"/track/{who.chance.choice(who.plan.codes)}"
    if who.chance.random() < 0.25:
        yield Drop(path)
    for _ in range(_TRIES):
        if (yield Ask(op="impatient", path=path)) is not None:
            return


# --- those with an account ---


def look(who: Visitor) -> Act:
    """Keep the work list open and read a dossier of it."""
    told = yield Ask(op="work list", path="/desk/officer?limit=50")
    if isinstance(told, dict) and told["items"]:
        code = who.chance.choice(told["items"])["dossier_code"]
        yield Pause(who.rest() / 4)
        yield Ask(op="dossier", path=f"/dossiers/{code}")
        yield Ask(op="journal", path=f"/dossiers/{code}/journal")


def receive(who: Visitor) -> Act:
    """Take a dossier in and hand it to the ward: what a counter does all morning."""
    if who.seat is None or not who.seat.login.startswith(_COUNTERS):
        return
    body = {
        "procedure_code": who.plan.procedure, "filer": {name: _FILER[name] for name in ("name", "id_number")},
        "parts": [{"part_code": "TK", "name": "Tờ khai", "originals": 1}], "territory_code": who.seat.territory,
    }  # fmt: skip
    filed = yield Ask(op="receive", method="POST", path="/dossiers", body=body, effect=True)
    if isinstance(filed, dict):
        yield Pause(who.rest() / 4)
        step, path = {"facts": {"agency_id": who.seat.ward_id}}, f"/dossiers/{filed['code']}/steps/hand_over"
        yield Ask(op="hand over", method="POST", path=path, body=step, effect=True)


def _order(op: str, items: list[Any], code: str, lane: str = "normal") -> Ask:
    shown = [{"request_id": item["id"], "sha256": item["sha256"]} for item in items]
    body = {"lane": lane, "items": shown, "code": code}
    return Ask(op=op, method="POST", path="/signature-batches", body=body, effect=True, items=len(items))


def _waiting(at_most: int) -> Generator[Step, Any, list[Any]]:
    told = yield Ask(op="to-sign list", path=f"/signature-requests?limit={at_most}")
    return told["items"] if isinstance(told, dict) else []


def _batch(who: Visitor) -> int:
    return STORM_BATCH if SHAPES[who.plan.shape].desks else BATCH


def sign(who: Visitor) -> Act:
    """Sign a batch: the key holder asks the telephone, and the ticket is watched to its end."""
    items = yield from _waiting(_batch(who))
    if items and (code := who.code()) is not None:
        accepted = yield _order("sign these", items, code)
        if isinstance(accepted, dict):
            yield Follow(accepted["ticket"])


def sign_late(who: Visitor) -> Act:
    """Ask with the code of a telephone that is 90 s late, which may sign nothing; then set it right and sign."""
    items = yield from _waiting(1)
    if not items:
        return
    began = time.time()
    refused = yield _order("sign by a late clock", items, who.late_code(LATE_CLOCK_S))
    if not isinstance(refused, dict):
        return
    ended = yield Follow(refused["ticket"])
    signed = not isinstance(ended, dict) or any(item["stage"] == "recorded" for item in ended["items"])
    yield Took("late clock refused", time.time() - began, right=not signed)
    yield Pause(who.rest() / 4)
    if (code := who.code()) is not None:
        accepted = yield _order("sign these", items, code)
        if isinstance(accepted, dict):
            yield Follow(accepted["ticket"])


def sign_by_token(who: Visitor) -> Act:
    """Sign a batch with the own token: fetch each file, sign it at the desk, and hand it or its value back."""
    items = yield from _waiting(_batch(who))
    if not items or (code := who.code()) is None:
        return
    accepted = yield _order("sign by token", items, code)
    if not isinstance(accepted, dict):
        return
    left, until = len(items), time.time() + WATCH_S
    for looks in itertools.count():
        told = yield Ask(op="errands", path="/signing-tool/transactions")
        mine = [one for one in told or [] if isinstance(told, list) and one["ticket"] == accepted["ticket"]]
        for one in mine:
            left -= yield from _errands(who, one)
        if left <= 0 or time.time() > until:
            break
        yield Pause(min(5.0, 1.0 + looks / 10))  # whoever waits long looks less often
    yield Follow(accepted["ticket"])


def _errands(who: Visitor, transaction: dict[str, Any]) -> Generator[Step, Any, int]:
    """Work off one transaction, half of it as whole files and half as raw values; return how many documents it had."""
    room = f"/signing-tool/transactions/{transaction['transaction_id']}"
    values: list[Any] = []
    for errand in transaction["items"]:
        place = f"{room}/items/{errand['request_id']}"
        prepared = yield Ask(op="errand file", path=f"{place}/prepared", headers={"Accept": "*/*"})
        yield Pause(who.chance.uniform(1.0, 3.0) / who.plan.haste)
        if isinstance(prepared, bytes) and who.chance.random() < FILES_BACK:
            content, kind = form((yield Token(errand, prepared)))
            yield Ask(op="file back", method="POST", path=f"{place}/file", content=content, headers=kind)
        else:
            values.append((yield Token(errand)))
    if values:
        yield Ask(op="values back", method="POST", path=f"{room}/values", body={"values": values})
    return len(transaction["items"])


def form(content: bytes) -> tuple[bytes, dict[str, str]]:
    """Return a file as the form in which the desktop tool sends it, and the head that says so."""
    edge = secrets.token_hex(16)
    head = f'--{edge}\r\nContent-Disposition: form-data; name="uploadfile"; filename="ket-qua.pdf"\r\n'
    whole = head.encode() + b"Content-Type: application/pdf\r\n\r\n" + content + f"\r\n--{edge}--\r\n".encode()
    return whole, {"Content-Type": f"multipart/form-data; boundary={edge}"}


def seal(who: Visitor) -> Act:
    """Number and seal what was signed; every fifth time somebody stands at the counter, and passes ahead."""
    items = yield from _waiting(STORM_BATCH)
    if not items or (code := who.code()) is None:
        return
    counter = who.chance.random() < 0.2
    lane, chosen = ("counter", items[:1]) if counter else ("normal", items)
    began = time.time()
    accepted = yield _order("seal these", chosen, code, lane)
    if isinstance(accepted, dict) and (yield Follow(accepted["ticket"])) is not None and counter:
        yield Took("counter item sealed", time.time() - began)


def watch(who: Visitor) -> Act:
    """Look where things stand, and what is late."""
    yield Ask(op="head counts", path="/desk/head")
    yield Pause(who.rest() / 4)
    yield Ask(op="late list", path="/desk/head/late")


def read(who: Visitor) -> Act:
    """Open a file of the own ward, each for the first time."""
    if who.seat is not None and (papers := who.plan.documents.get(who.seat.ward_id)):
        path = f"/documents/{who.chance.choice(papers)}/file"
        yield Ask(op="read PDF", path=path, headers={"Accept": "*/*"})


def enter(who: Visitor) -> Act:
    """Log in again and again, as when all sessions have ended: some always mistype, some are locked out."""
    if who.seat is None:
        return
    entered, mistypes = {"login": who.seat.login, "password": who.plan.password}, lot(who.number) < WRONG_PASSWORDS
    if mistypes or who.seat.locked:
        wrong = {**entered, "password": "sai-mat-khau"} if mistypes else entered
        yield Ask(op="log in in vain", method="POST", path="/session", body=wrong, right=(401, 403, 429))
        return
    told = yield Ask(op="log in", method="POST", path="/session", body=entered)
    if isinstance(told, dict):
        who.token = told["token"]
        yield Ask(op="work list", path="/desk/officer?limit=50")


ACTS: Final[Mapping[str, tuple[tuple[float, Callable[[Visitor], Act]], ...]]] = {
    "tracker": ((1, track),),
    "submitter": ((1, submit),),
    "portal": ((1, hand_in),),
    "officer": ((3, look), (1, receive)),
    "phone-signatory": ((1, sign),),
    "token-signatory": ((1, sign_by_token),),
    "clerk": ((1, seal),),
    "head": ((1, watch),),
    "reader": ((1, read),),
    "impatient": ((1, press_f5),),
    "entering": ((1, enter),),
    "late-phone": ((1, sign_late),),
}
"""The acts of each persona, and how often each is done against the others."""


def next_act(who: Visitor) -> Act:
    """Draw what somebody does now."""
    those = ACTS[who.persona.name]
    return who.chance.choices([act for _, act in those], [weight for weight, _ in those])[0](who)
