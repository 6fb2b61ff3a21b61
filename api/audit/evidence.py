"""Verifying what was sealed: the database against its checkpoints outside, or a bundle that needs no database.

Whoever verifies needs public keys only. A bundle is one text file: a head, the notes of the keys, the checkpoints, then
each link with its row's canonical bytes.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from api.audit import findings, store
from api.audit.chain import GENESIS, Checkpoint, Ring, Signed, newest
from api.audit.findings import Finding
from api.audit.judging import Judge, Link, Outside, Row, prove
from api.audit.revocations import naming, prove_log
from api.audit.rows import Entry, canonical_bytes
from api.db.pools import Pools, Tx
from api.db.pools import Row as Record
from api.errors import Invalid

Progress = Callable[[int, int], object]
"""Told how many rows are done, of how many (0: not known)."""

_AT_ONCE: Final = 1_000
_COLUMNS: Final = Entry.__struct_fields__
_NO_LOG: Final = (
    "Bên cạnh tệp không có revocations.jsonl: chưa kiểm tra nhật ký thu hồi.",
    "There is no revocations.jsonl beside the file: the log of revocations was not looked at.",
)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification found; `ok` only where nothing is amiss."""

    ok: bool
    of: str
    rows: int
    checkpoints: int
    last_checkpoint: Checkpoint | None
    unsealed: int
    unsealed_oldest_s: float
    keys: dict[str, str]
    keys_given: bool
    findings: tuple[Finding, ...]
    more: int
    """Findings beyond the hundred that are listed."""
    notes: tuple[tuple[str, str], ...]


class Head(msgspec.Struct, frozen=True, kw_only=True, tag="bundle", tag_field="kind"):
    """The first line of a bundle: after which place of the chain it begins."""

    version: int
    after: int
    hash: str


class Said(msgspec.Struct, frozen=True, kw_only=True, tag="signed", tag_field="kind"):
    """A signed statement in a bundle."""

    body: str
    signature: str


class Line(msgspec.Struct, frozen=True, kw_only=True, tag="row", tag_field="kind"):
    """A link with its row; without `canonical` the row was gone when the bundle was made."""

    position: int
    audit_id: int
    hash: str
    xid: int = 0
    recorded_at: datetime | None = None
    canonical: str | None = None


async def verify_database(
    pools: Pools, lines: list[Signed], torn: int, revocations: list[Signed] | None, ring: Ring, progress: Progress
) -> Report:
    """Hold the rows, the chain and its checkpoints against the statements that were kept outside.

    Args:
        pools: the database, as the worker.
        lines: the statements of the checkpoint file.
        torn: how many of its lines a crash had torn.
        revocations: the lines of the log of revocations beside it; None where there is none.
        ring: the keys that are believed.
        progress: told how far it is.
    """
    outside = prove(lines, ring)
    judge = _judge(outside)
    async with pools.snapshot() as tx:
        inside = await _hold_inside(tx, outside, ring, judge)
        total = await store.chain_length(tx)
        async for one in _links(tx, 0):
            judge.take(one)
            if one.position % _AT_ONCE == 0:
                progress(one.position, total)
        judge.finish()
        for audit_id in await store.never_chained(tx, *judge.last_row):
            judge.note(findings.inserted(audit_id))
        waiting = await store.unsealed(tx, *judge.last_row)
    notes = (*outside.notes, *_torn(torn), *_hold_log(revocations, [*outside.checkpoints, *inside], ring, judge))
    return _report("database", judge, [*outside.checkpoints, *inside], ring, notes, waiting)


def verify_bundle(path: Path, lines: list[Signed], ring: Ring, progress: Progress) -> Report:
    """Verify a bundle by itself, and against the statements of a checkpoint file where one is given.

    Raises:
        Invalid: it is not a bundle.
    """
    outside = prove(lines, ring)
    parts = _bundle_lines(path)
    head = next(parts, None)
    if not isinstance(head, Head):
        raise _no_bundle(path, "1")
    judge = Judge(head.after, bytes.fromhex(head.hash))
    for finding in outside.findings:
        judge.note(finding)
    said: list[Signed] = []
    rows: Iterator[Line] | None = None
    for part in parts:
        if isinstance(part, Said):
            said.append(Signed(part.body, part.signature))
        elif isinstance(part, Line):
            rows = _rows_from(part, parts, path)
            break
    inside = prove(said, ring)
    for finding in inside.findings:
        judge.note(finding)
    last = inside.checkpoints[-1].rows if inside.checkpoints else 0
    for one in (*outside.checkpoints, *inside.checkpoints):
        if one.rows <= last:
            judge.pin(one)
    if head.after and not any((one.rows, one.hash) == (head.after, head.hash) for one in inside.checkpoints):
        judge.note(findings.unproven("phần đầu gói / the head of the bundle"))
    for done, line in enumerate(rows or (), 1):
        judge.take(_link_of(line))
        if done % _AT_ONCE == 0:
            progress(done, last - head.after)
    judge.finish()
    return _report("bundle", judge, [*inside.checkpoints], ring, (*outside.notes, *inside.notes), None)


async def export_bundle(pools: Pools, path: Path, since: datetime | None, progress: Progress) -> int:
    """Write a bundle of everything sealed, or of what was sealed after an instant; return how many rows it holds.

    Raises:
        Invalid: nothing is sealed yet, or the file exists.
    """
    encode = msgspec.json.Encoder().encode
    async with pools.snapshot() as tx:
        last = await store.last_checkpoint(tx)
        end = newest([last]) if last else None
        if end is None:
            raise Invalid("Chưa có gì được niêm phong.", "Nothing is sealed yet.", code="audit-bundle")
        with _new_file(path) as out:
            first = await store.checkpoint_before(tx, since) if since else None
            begin = newest([first]) if first else None
            after, number = (begin.rows, begin.number - 1) if begin else (0, 0)
            out.write(encode(Head(version=1, after=after, hash=begin.hash if begin else GENESIS.hex())) + b"\n")
            for key in await store.audit_keys(tx):
                out.write(encode(Said(body=key.body, signature=key.signature)) + b"\n")
            async for one in _checkpoints(tx, number):
                out.write(encode(Said(body=one.body, signature=one.signature)) + b"\n")
            async for link in _links(tx, after):
                out.write(encode(_line_of(link)) + b"\n")
                if (link.position - after) % _AT_ONCE == 0:
                    progress(link.position - after, end.rows - after)
            out.flush()
            os.fsync(out.fileno())
    return end.rows - after


def _new_file(path: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except OSError as error:
        raise Invalid(f"Không ghi được {path}: {error.strerror}", f"Cannot write {path}: {error.strerror}") from None


async def _hold_inside(tx: Tx, outside: Outside, ring: Ring, judge: Judge) -> list[Checkpoint]:
    """Hold the database's own checkpoints against the file; return the proven ones that the file does not have yet."""
    for key in await store.audit_keys(tx):
        ring.check(key)
    proven: list[Checkpoint] = []
    last = outside.checkpoints[-1].number if outside.checkpoints else 0
    expected = 1
    async for line in _checkpoints(tx, 0):
        said = newest([line])
        if said is None:
            continue
        for number in range(expected, said.number):
            judge.note(findings.checkpoint_altered(number))
        expected = said.number + 1
        kept = outside.lines.get(said.number)
        if kept is not None and kept.body == line.body:
            continue
        if kept is not None or ring.check(line) is None:
            judge.note(findings.checkpoint_altered(said.number))
        elif said.number > last:
            proven.append(said)
            judge.pin(said)
    return proven


def _hold_log(
    lines: list[Signed] | None, checkpoints: list[Checkpoint], ring: Ring, judge: Judge
) -> list[tuple[str, str]]:
    """Hold the log of revocations against the newest checkpoint that names its end; return what cannot be told."""
    named = naming(checkpoints)
    if lines is None:
        return [_NO_LOG] if named else []
    log, damage = prove_log(lines, ring)
    cut = log.cut(named)
    if damage:
        judge.note(findings.revocations_altered(damage))
    elif cut:
        judge.note(findings.revocations_cut(cut.has, cut.line, cut.checkpoint))
    elif log.end != (named.revocations if named else None):
        return [(
            f"Chưa điểm kiểm tra nào ghi dòng cuối ({len(log.lines)}) của nhật ký thu hồi: có bị cắt sau đó không thì "
            "không biết được.",
            f"No checkpoint names the last line ({len(log.lines)}) of the log of revocations yet: whether more was cut "
            "off after it cannot be told.",
        )]  # fmt: skip
    return []


async def _checkpoints(tx: Tx, after: int) -> AsyncIterator[Signed]:
    while page := await store.checkpoints_after(tx, after, _AT_ONCE):
        for line in page:
            yield line
        after = (newest(page) or _broken_page(page)).number


def _broken_page(page: list[Signed]) -> Checkpoint:
    raise Invalid("Bảng audit_checkpoint có dòng lạ.", f"audit_checkpoint holds a strange row: {page[-1].body[:80]}.")


async def _links(tx: Tx, after: int) -> AsyncIterator[Link]:
    async for record in store.chain(tx, after):
        yield Link(
            position=record["position"],
            audit_id=record["audit_id"],
            hash=record["hash"],
            row=_row_of(record) if record["canonical"] is not None else None,
        )


def _row_of(record: Record) -> Row:
    columns = {name: record[name] for name in _COLUMNS}
    columns["source"] = str(record["source"]) if record["source"] is not None else None
    return Row(
        xid=record["xid"],
        recorded_at=record["recorded_at"],
        canonical=record["canonical"],
        digest=record["digest"],
        columns=canonical_bytes(Entry(**columns)),
    )


def _line_of(link: Link) -> Line:
    row = link.row
    return Line(
        position=link.position,
        audit_id=link.audit_id,
        hash=link.hash.hex(),
        xid=row.xid if row else 0,
        recorded_at=row.recorded_at if row else None,
        canonical=row.canonical.decode("utf-8", "replace") if row else None,
    )


def _link_of(line: Line) -> Link:
    row = None
    if line.canonical is not None and line.recorded_at is not None:
        text = line.canonical.encode()
        row = Row(
            xid=line.xid, recorded_at=line.recorded_at, canonical=text, digest=sha256(text).digest(), columns=text
        )
    return Link(position=line.position, audit_id=line.audit_id, hash=bytes.fromhex(line.hash), row=row)


def _bundle_lines(path: Path) -> Iterator[Head | Said | Line]:
    decode = msgspec.json.Decoder(Head | Said | Line).decode
    number = 0
    try:
        with path.open("rb") as stream:
            for number, raw in enumerate(stream, 1):  # noqa: B007 - named in the error
                yield decode(raw)
    except OSError as error:
        raise Invalid(f"Không đọc được {path}: {error.strerror}", f"Cannot read {path}: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _no_bundle(path, str(number)) from None


def _rows_from(first: Line, parts: Iterator[Head | Said | Line], path: Path) -> Iterator[Line]:
    yield first
    for part in parts:
        if not isinstance(part, Line):
            raise _no_bundle(path, "?")
        yield part


def _no_bundle(path: Path, line: str) -> Invalid:
    return Invalid(
        f"{path} không phải gói kiểm toán (dòng {line}).",
        f"{path} is no audit bundle (line {line}).",
    )


def _judge(outside: Outside) -> Judge:
    judge = Judge()
    for finding in outside.findings:
        judge.note(finding)
    for one in outside.checkpoints:
        judge.pin(one)
    return judge


def _torn(torn: int) -> list[tuple[str, str]]:
    return [(f"{torn} dòng bị đứt do mất điện giữa chừng.", f"{torn} lines were torn by a crash.")] if torn else []


def _report(
    of: str,
    judge: Judge,
    checkpoints: list[Checkpoint],
    ring: Ring,
    notes: tuple[tuple[str, str], ...],
    waiting: store.Waiting | None,
) -> Report:
    return Report(
        ok=not judge.findings,
        of=of,
        rows=judge.rows,
        checkpoints=len(checkpoints),
        last_checkpoint=checkpoints[-1] if checkpoints else None,
        unsealed=waiting.rows if waiting else 0,
        unsealed_oldest_s=round(waiting.oldest_s, 1) if waiting else 0.0,
        keys=ring.known(),
        keys_given=ring.given,
        findings=tuple(judge.findings),
        more=judge.more,
        notes=notes,
    )
