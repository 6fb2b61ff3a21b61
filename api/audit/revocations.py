"""The log of revocations outside the database: a restore to an earlier moment must give nobody back what was taken.

One line for each right that ended (and for a lock that was lifted), signed like a checkpoint and naming the line before
it; the next checkpoint names the last line, so a tail that was cut off is noticed. It holds ids and times alone.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
import structlog

from api.audit import store
from api.audit.chain import Checkpoint, KeyNote, LogEnd, Notary, Ring, Signed, Taken, digest_of, newest
from api.audit.outside import NAME as CHECKPOINTS
from api.audit.outside import OutsideFile, read_statements
from api.audit.store import Ended
from api.db.pools import Pools
from api.errors import Broken, Invalid
from api.kernel import Clock

NAME: Final = "revocations.jsonl"
GIVEN_BACK: Final = frozenset({"account", "lock"})
"""What two persons may give back; whatever else ended never comes again."""

_log: Final = structlog.get_logger("audit")


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """A log that has lost its end: how many lines it has, and which one a checkpoint names as its last."""

    has: int
    line: int
    checkpoint: int


class Log:
    """What the lines of a log say, in order."""

    def __init__(self, lines: Iterable[tuple[Signed, Taken]]) -> None:
        """Take each line with what it says."""
        said = list(lines)
        self.lines: Final = tuple(taken for _, taken in said)
        self._digests = {taken.number: digest_of(signed.body) for signed, taken in said}

    @property
    def end(self) -> LogEnd | None:
        """The last line; None where there is none."""
        return LogEnd(number=(last := self.lines[-1].number), digest=self._digests[last]) if self.lines else None

    @property
    def until(self) -> datetime | None:
        """Of when the last line is."""
        return self.lines[-1].at if self.lines else None

    def standing(self) -> list[Ended]:
        """Return what is taken at the end of the log: what was given back is not."""
        last = {(line.what, line.id): line for line in self.lines}
        return [
            Ended(what=line.what, id=line.id, account_id=line.account_id, state=line.state, ended_at=line.ended_at)
            for line in last.values()
            if not line.back
        ]

    def cut(self, checkpoint: Checkpoint | None) -> Cut | None:
        """Tell whether the line that a checkpoint names is gone; None also where the log was begun anew since then.

        Who cuts a log cannot write another first line: its time, signed by the worker, tells the two apart.
        """
        named = checkpoint.revocations if checkpoint else None
        if checkpoint is None or named is None or self._digests.get(named.number) == named.digest:
            return None
        begun_anew = bool(self.lines) and self.lines[0].number == 1 and self.lines[0].at > checkpoint.at
        return None if begun_anew else Cut(has=len(self.lines), line=named.number, checkpoint=checkpoint.number)


def naming(checkpoints: Iterable[Checkpoint]) -> Checkpoint | None:
    """Return the newest of these checkpoints that names the end of the log."""
    return max((each for each in checkpoints if each.revocations), key=lambda each: each.number, default=None)


@dataclass(frozen=True, slots=True)
class _State:
    """What the file says, and the keys it names."""

    log: Log
    keys: frozenset[str]


class RevocationLog:
    """Keeps `revocations.jsonl` in step with the database, for one worker; of many workers one at a time."""

    def __init__(self, pools: Pools, notary: Notary, directory: Path, clock: Clock) -> None:
        """Write below this directory; the notary's current key signs."""
        self._pools, self._notary, self._clock = pools, notary, clock
        self.file: Final = OutsideFile(directory, NAME)
        self._read_at = -1
        self._state = _State(Log(()), frozenset())

    async def end(self, before: Checkpoint | None) -> LogEnd | None:
        """Return the last line for the next checkpoint to name; where the one before names more, that stays named.

        Raises:
            OSError: the file could not be read.
        """
        log = (await asyncio.to_thread(self._read)).log
        return before.revocations if before and log.cut(before) else log.end

    async def note(self) -> int:
        """Add what was taken or given back since the last line; return how many lines.

        Raises:
            Broken: something is in force again that had ended for good, as after a restore without this log; or the
                file lacks lines that the last checkpoint names.
            OSError: the file could not be read or written.
        """
        async with self._pools.transaction() as tx:
            if not await store.lock_sealer(tx):
                return 0
            state = await asyncio.to_thread(self._read)
            self._refuse_a_cut(state.log, await store.last_checkpoint(tx))
            said = {(each.what, each.id): each for each in state.log.standing()}
            now = {(each.what, each.id): each for each in await store.ended_rights(tx)}
            fresh = [each for key, each in now.items() if key not in said or said[key].state != each.state]
            gone = [said[key] for key in said if key not in now]
            back = await self._given_back(gone, await store.in_force(tx, [each.id for each in gone]) if gone else set())
            keys = await store.audit_keys(tx) if fresh or back else []
            if not keys:  # the sealer notes its key with the first checkpoint
                return 0
            lines = self._signed(state, [(each, False) for each in fresh] + [(each, True) for each in back])
            # Still as the one sealer: another worker that read the file before this would write the same lines again.
            await asyncio.to_thread(self.file.append, [*(note for note in keys if note.body not in state.keys), *lines])
        return len(lines)

    def _refuse_a_cut(self, log: Log, last: Signed | None) -> None:
        """Write on only where the file is whole, or was moved aside: then a new one is begun from the database."""
        cut = log.cut(newest([last]) if last else None)
        if cut is None:
            return
        if not self.file.path.exists():
            _log.warning("revocations_begun_anew", path=str(self.file.path), lines_before=cut.line)
            return
        raise Broken(
            f"Nhật ký thu hồi {self.file.path} bị cắt đuôi: điểm kiểm tra đã ký có ghi dòng {cut.line}.",
            f"The log of revocations {self.file.path} was cut off: a signed checkpoint names line {cut.line}.",
            code="revocations-cut",
            next_step=(
                "Đặt lại bản sao đầy đủ của tệp ấy. Nếu không còn, chuyển nó sang chỗ khác và giữ làm bằng chứng: tệp "
                "mới sẽ được ghi từ cơ sở dữ liệu.",
                "Put a whole copy of that file back. Where there is none, move it aside and keep it as evidence: a new "
                "one is written from the database.",
            ),
        )

    async def _given_back(self, gone: Sequence[Ended], in_force: set[UUID]) -> list[Ended]:
        back = [each for each in gone if each.id in in_force]
        wrong = next((each for each in back if each.what not in GIVEN_BACK), None)
        if wrong is not None:
            raise Broken(
                f"Quyền đã thu hồi lại có hiệu lực ({wrong.what} {wrong.id}): đã khôi phục mà không mang theo?",
                f"A right that had ended is in force ({wrong.what} {wrong.id}): restored without what was revoked?",
                code="revocation-undone",
                next_step=(
                    f"Khôi phục lại với --revocations {self.file.path}, hoặc thu hồi lại.",
                    f"Restore again with --revocations {self.file.path}, or revoke it again.",
                ),
            )
        return back

    def _signed(self, state: _State, changes: Sequence[tuple[Ended, bool]]) -> list[Signed]:
        end, at = state.log.end, self._clock()
        number, previous = (end.number, end.digest) if end else (0, "")
        lines: list[Signed] = []
        for ended, back in changes:
            number += 1
            line = self._notary.sign(
                Taken(
                    number=number, what=ended.what, id=ended.id, account_id=ended.account_id, state=ended.state,
                    ended_at=ended.ended_at, back=back, at=at, previous=previous, key=self._notary.current,
                )
            )  # fmt: skip
            previous = digest_of(line.body)
            lines.append(line)
        return lines

    def _read(self) -> _State:
        """Read the file where it has grown since the last time."""
        size = self.file.path.stat().st_size if self.file.path.exists() else 0
        if size != self._read_at:
            lines = read_statements(self.file.path)[0] if size else []
            said = [(line, taken) for line in lines if isinstance(taken := line.read(), Taken)]
            keys = frozenset(line.body for line in lines if isinstance(line.read(), KeyNote))
            self._state = _State(Log(said), keys)
            self._read_at = size
        return self._state


def prove_log(lines: Iterable[Signed], ring: Ring) -> tuple[Log, str]:
    """Return what the lines say that are proven, and how the log is damaged: empty where each line is in its place."""
    proven: list[tuple[Signed, Taken]] = []
    previous = ""
    for line in lines:
        statement = ring.check(line)
        if statement is None:
            return Log(proven), f"line {line.body[:60]} is not signed by a key that is known"
        if isinstance(statement, Taken):
            if statement.previous != previous or statement.number != len(proven) + 1:
                return Log(proven), f"what stood before line {statement.number} is missing"
            previous = digest_of(line.body)
            proven.append((line, statement))
    return Log(proven), ""


def read_log(path: Path, inside: Iterable[Signed]) -> tuple[Log, Cut | None]:
    """Return what a log says, and whether it has lost its end.

    Args:
        path: the log; checkpoints that lie beside it are heard, too.
        inside: the notes of keys and the checkpoints that the database holds.

    Raises:
        Invalid: there is no such file, a line is not rightly signed, or lines are missing between others.
    """
    ring, beside = Ring(), path.with_name(CHECKPOINTS)
    said = [ring.check(line) for line in inside]
    lines, _ = read_statements(path)  # a line that a crash has torn was written again, and numbers tell of a hole
    log, damage = prove_log(lines, ring)
    if damage:
        raise _damaged(path, damage)
    if beside.is_file():
        said += [ring.check(line) for line in read_statements(beside)[0]]
    return log, log.cut(naming(each for each in said if isinstance(each, Checkpoint)))


def _damaged(path: Path, how: str) -> Invalid:
    return Invalid(
        f"Nhật ký thu hồi {path} bị hỏng hoặc bị sửa.",
        f"The log of revocations {path} is damaged or was altered: {how}.",
        code="revocations-damaged",
        next_step=(
            "Dùng bản sao khác của tệp ấy.",
            "Use another copy of that file.",
        ),
    )
