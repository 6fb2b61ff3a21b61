"""Judging a chain as its links go by: pure, with one row in the hand, for a database and for a bundle alike."""

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import msgspec

from api.audit import findings
from api.audit.chain import GENESIS, Checkpoint, Ring, Signed, digest_of, link
from api.audit.findings import LISTED, Finding


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """An audit row beneath its link: its canonical bytes, and what its columns would give."""

    xid: int
    recorded_at: datetime
    canonical: bytes
    digest: bytes
    columns: bytes
    """The canonical form of the columns; a bundle has the canonical bytes alone and puts them here."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One place of the chain, with its row if that is still there."""

    position: int
    audit_id: int
    hash: bytes
    row: Row | None


class Judge:
    """Takes the links in order and notes what is not as it was sealed."""

    def __init__(self, position: int = 0, reached: bytes = GENESIS) -> None:
        """Begin after a place whose hash is known: the genesis, or a checkpoint."""
        self.findings: Final[list[Finding]] = []
        self.more = 0
        self.rows = 0
        self.last_row: tuple[int, int] = (0, 0)
        """Transaction and id of the last row seen."""
        self._position, self._reached = position, reached
        self._proven = position
        self._pins: dict[int, Checkpoint] = {}
        self._recomputed = False

    def pin(self, checkpoint: Checkpoint) -> None:
        """Hold the chain against a proven checkpoint; of two at one place the first counts."""
        self._pins.setdefault(checkpoint.rows, checkpoint)

    def note(self, finding: Finding) -> None:
        """Keep a finding, or count it where there are too many."""
        if len(self.findings) < LISTED:
            self.findings.append(finding)
        else:
            self.more += 1

    def take(self, one: Link) -> None:
        """Judge the next link."""
        gap = one.position != self._position + 1
        if gap:
            self.note(findings.links_removed(self._position + 1, one.position - 1))
        row = one.row
        if row is None:
            self.note(findings.removed(one.position, one.audit_id))
        else:
            self.rows += 1
            self.last_row = max(self.last_row, (row.xid, one.audit_id))
            if sha256(row.canonical).digest() != row.digest or row.columns != row.canonical:
                self.note(findings.altered(one.position, one.audit_id, _differing(row)))
            elif not gap and one.hash != _link(self._reached, one.audit_id, row):
                self.note(findings.altered(one.position, one.audit_id, ()))
        self._position, self._reached = one.position, one.hash
        self._hold_against_pin()

    def _hold_against_pin(self) -> None:
        pin = self._pins.get(self._position)
        if pin is None:
            return
        if bytes.fromhex(pin.hash) == self._reached:
            self._proven = self._position
        elif not self._recomputed:
            self._recomputed = True
            self.note(findings.recomputed(self._proven + 1, self._position, pin.number))

    def finish(self) -> None:
        """Judge the end: it must be where the last proven checkpoint says."""
        last = max(self._pins, default=self._position)
        if last > self._position:
            self.note(findings.tail_removed(self._position + 1, last, self._pins[last].number))
        elif last < self._position or not self._pins:
            begin = last if self._pins else 0
            if self._position > begin:
                self.note(findings.unsigned(begin + 1, self._position))


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint file proves, with what is not as it should be in the file itself."""

    checkpoints: tuple[Checkpoint, ...]
    lines: dict[int, Signed]
    findings: tuple[Finding, ...]
    notes: tuple[tuple[str, str], ...]


def prove(lines: Iterable[Signed], ring: Ring) -> Outside:
    """Check signatures and order of the statements of a file; the ring learns the keys that are vouched for."""
    proven: list[Checkpoint] = []
    kept: dict[int, Signed] = {}
    faults: list[Finding] = []
    notes: list[tuple[str, str]] = []
    for number, line in enumerate(lines, 1):
        statement = ring.check(line)
        if statement is None:
            faults.append(findings.unproven(f"dòng / line {number}"))
            continue
        if not isinstance(statement, Checkpoint):
            continue
        before = proven[-1] if proven else None
        if before is not None and statement.number <= before.number:
            if kept.get(statement.number, line).body != line.body:
                faults.append(findings.unproven(f"điểm kiểm tra / checkpoint {statement.number}"))
            continue
        if before is not None and statement.number == before.number + 1:
            if statement.previous != digest_of(kept[before.number].body):
                faults.append(findings.unproven(f"điểm kiểm tra / checkpoint {statement.number}"))
                continue
            if statement.at < before.at:
                back = (before.at - statement.at).total_seconds()
                notes.append((
                    f"Đồng hồ lùi {back:.0f} giây trước điểm kiểm tra {statement.number}.",
                    f"The clock went back by {back:.0f} s before checkpoint {statement.number}.",
                ))  # fmt: skip
        proven.append(statement)
        kept[statement.number] = line
    return Outside(checkpoints=tuple(proven), lines=kept, findings=tuple(faults), notes=tuple(notes))


def _link(reached: bytes, audit_id: int, row: Row) -> bytes:
    return link(reached, audit_id=audit_id, xid=row.xid, recorded_at=row.recorded_at, digest=row.digest)


def _differing(row: Row) -> tuple[str, ...]:
    """Name the columns that differ from the canonical bytes, where those can be read at all."""
    try:
        said: dict[str, Any] = msgspec.json.decode(row.canonical)
        stands: dict[str, Any] = msgspec.json.decode(row.columns)
    except msgspec.MsgspecError:
        return ("canonical",)
    names = tuple(sorted(name for name in {*said, *stands} if said.get(name) != stands.get(name)))
    return names or ("digest",)
