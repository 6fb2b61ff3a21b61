"""The log of revocations outside the database: a restore to an earlier moment must give nobody back what was taken.

One line for each right that ended (and for a lock that was lifted), signed like a checkpoint and naming the line before
it. It holds ids and times alone.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from api.audit import store
from api.audit.chain import KeyNote, Notary, Ring, Signed, Taken, digest_of
from api.audit.outside import OutsideFile, read_statements
from api.audit.store import Ended
from api.db.pools import Pools
from api.errors import Broken, Invalid
from api.kernel import Clock

NAME: Final = "revocations.jsonl"
GIVEN_BACK: Final = frozenset({"account", "lock"})
"""What two persons may give back; whatever else ended never comes again."""


@dataclass(frozen=True, slots=True)
class _State:
    """What the file says: the rights taken, number and digest of its last line, and the keys it names."""

    said: Mapping[tuple[str, UUID], Ended]
    number: int
    digest: str
    keys: frozenset[str]


class RevocationLog:
    """Keeps `revocations.jsonl` in step with the database, for one worker; of many workers one at a time."""

    def __init__(self, pools: Pools, notary: Notary, directory: Path, clock: Clock) -> None:
        """Write below this directory; the notary's current key signs."""
        self._pools, self._notary, self._clock = pools, notary, clock
        self.file: Final = OutsideFile(directory, NAME)
        self._read_at = -1
        self._state = _State({}, 0, "", frozenset())

    async def note(self) -> int:
        """Add what was taken or given back since the last line; return how many lines.

        Raises:
            Broken: something is in force again that had ended for good, as after a restore without this log.
            OSError: the file could not be read or written.
        """
        async with self._pools.transaction() as tx:
            if not await store.lock_sealer(tx):
                return 0
            state = await asyncio.to_thread(self._read)
            said = state.said
            now = {(each.what, each.id): each for each in await store.ended_rights(tx)}
            fresh = [each for key, each in now.items() if key not in said or said[key].state != each.state]
            gone = [said[key] for key in said if key not in now]
            back = await self._given_back(gone, await store.in_force(tx, [each.id for each in gone]) if gone else set())
            keys = await store.audit_keys(tx) if fresh or back else []
        if not keys:  # the sealer notes its key with the first checkpoint
            return 0
        lines = self._signed(state, [(each, False) for each in fresh] + [(each, True) for each in back])
        await asyncio.to_thread(self.file.append, [*(note for note in keys if note.body not in state.keys), *lines])
        return len(lines)

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
        number, previous, at = state.number, state.digest, self._clock()
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
            self._state = _State(
                said={(each.what, each.id): each for each in standing(taken for _, taken in said)},
                number=said[-1][1].number if said else 0,
                digest=digest_of(said[-1][0].body) if said else "",
                keys=frozenset(line.body for line in lines if isinstance(line.read(), KeyNote)),
            )
            self._read_at = size
        return self._state


def standing(lines: Iterable[Taken]) -> list[Ended]:
    """Return what is taken at the end of these lines: what was given back is not."""
    last = {(line.what, line.id): line for line in lines}
    return [
        Ended(what=line.what, id=line.id, account_id=line.account_id, state=line.state, ended_at=line.ended_at)
        for line in last.values()
        if not line.back
    ]


def read_log(path: Path, keys: Sequence[Signed]) -> tuple[list[Ended], datetime | None]:
    """Return what a log says is taken, and of when its last line is; `keys` are the notes that the database holds.

    Raises:
        Invalid: there is no such file, a line is not rightly signed, or lines are missing between others.
    """
    lines, _ = read_statements(path)  # a line that a crash has torn was written again, and numbers tell of a hole
    ring, proven = Ring(), list[Taken]()
    for line in keys:
        ring.check(line)
    previous = ""
    for line in lines:
        statement = ring.check(line)
        if statement is None:
            raise _damaged(path, f"line {line.body[:60]} is not signed by a key that is known")
        if isinstance(statement, Taken):
            if statement.previous != previous or statement.number != len(proven) + 1:
                raise _damaged(path, f"what stood before line {statement.number} is missing")
            previous = digest_of(line.body)
            proven.append(statement)
    return standing(proven), proven[-1].at if proven else None


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
