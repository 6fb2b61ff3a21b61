"""`motcua mode` and `motcua limit`: what the owner sets while the system runs; every API process hears within 2 s."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from api import audit
from api.db.budget import SHARES
from api.db.pools import Pools, Tx, open_pools
from api.errors import Invalid, NotFound
from api.http.control import store
from api.http.control.rules import Mode, ModeName, Override
from api.kernel import VIETNAM, system_clock

Say = Callable[[str, str], object]


async def mode(dsn: str, name: ModeName | None, *, reason: str, until: str | None, say: Say) -> int:
    """Set the mode, or without a name show it.

    Raises:
        Invalid: a mode that refuses people was given no reason, or `until` is no instant.
    """
    at = system_clock()
    wanted = None if name is None else _wanted(name, reason.strip(), until, at)
    pools = await open_pools(dsn, read_size=1, write_size=1)
    try:
        if wanted is not None:
            async with pools.transaction() as tx:
                await store.set_mode(tx, wanted)
                detail = {"mode": wanted.mode, "reason": wanted.reason, "until": until}
                await _note(tx, "service.mode", detail, at)
        async with pools.reading() as tx:
            now = await store.service_mode(tx)
    finally:
        await pools.close()
    end = f", đến / until {now.until:%Y-%m-%d %H:%M %Z}" if now.until else ""
    why = f": {now.reason}" if now.reason else ""
    say(f"Chế độ: {now.mode}{why}{end}", f"Mode: {now.mode}")
    return 0


def _wanted(name: ModeName, reason: str, until: str | None, at: datetime) -> Mode:
    if name == "normal":
        return Mode(since=at)
    if not reason:
        raise Invalid("Cần lý do: --reason.", "A reason is needed: --reason.", code="reason-missing")
    return Mode(mode=name, reason=reason, until=_instant(until), since=at)


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(
            "--until phải theo ISO 8601, ví dụ 2026-12-01T22:00.",
            "--until is ISO 8601, such as 2026-12-01T22:00.",
            code="not-an-instant",
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=VIETNAM)


async def limit(dsn: str, agency: str, work: str, rate: tuple[float, int] | None, *, reason: str, say: Say) -> int:
    """Let an agency ("all": every one) ask so often for a class of work ("all": each), or go back to the default.

    Raises:
        Invalid: no such class of work, no reason, or a limit that lets nobody in.
        NotFound: no such agency.
    """
    of_work = None if work == "all" else work
    if of_work is not None and of_work not in SHARES:
        known = ", ".join(SHARES)
        raise Invalid(f"Loại công việc: {known}, all.", f"Classes of work: {known}, all.", code="unknown-work")
    if rate is not None and (rate[0] <= 0 or rate[1] < 1 or not reason.strip()):
        raise Invalid(
            "Cần --per-second > 0, --burst ≥ 1 và --reason.",
            "--per-second above 0, --burst of at least 1 and --reason are needed.",
            code="limit-incomplete",
        )
    pools = await open_pools(dsn, read_size=1, write_size=1)
    try:
        await _set_limit(pools, agency, of_work, rate, reason.strip())
    finally:
        await pools.close()
    said = "mặc định / default" if rate is None else f"{rate[0]:g}/s, {rate[1]}"
    say(f"Giới hạn {agency} {work}: {said}", f"Limit of {agency} {work}: {said}")
    return 0


async def _set_limit(pools: Pools, agency: str, work: str | None, rate: tuple[float, int] | None, reason: str) -> None:
    at = system_clock()
    async with pools.transaction() as tx:
        agency_id: UUID | None = None
        if agency != "all":
            agency_id = await store.agency_of_code(tx, agency)
            if agency_id is None:
                raise NotFound(f"Không có cơ quan {agency}.", f"There is no agency {agency}.", code="no-agency")
        if rate is None:
            await store.drop_limit(tx, agency_id, work)
        else:
            found = Override(agency_id=agency_id, work=work, per_second=rate[0], burst=rate[1])
            await store.set_limit(tx, found, reason, at)
        detail = {"agency": agency, "work": work or "all", "rate": list(rate) if rate else None, "reason": reason}
        await _note(tx, "service.limit", detail, at)


async def _note(tx: Tx, action: str, detail: dict[str, Any], at: datetime) -> None:
    await audit.append(
        tx, None, process="owner", action=action, subject_kind="service", subject_id=None, detail=detail, at=at
    )
