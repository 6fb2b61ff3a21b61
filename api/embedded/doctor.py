"""`motcua doctor`: what is missing or wrong on this machine, in plain words, and how to mend it.

It looks at what can be seen without a network. Whether the clock agrees with the world's it cannot know; it says so.
"""

import asyncio
import os
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import asyncpg
import msgspec

from api import settings
from api.db import migrate
from api.embedded import demo_settings, ports
from api.embedded.binaries import find_bindir, server_user
from api.embedded.faults import LauncherError
from api.embedded.fonts import missing_fonts
from api.embedded.up import find_running
from api.http.server import connection_budget

Level = Literal["good", "note", "bad"]
_MARK: Final[Mapping[Level, str]] = {"good": "✓", "note": "•", "bad": "✗"}
_LEAST_DISK_MB: Final = 1024
_WANTED_DESCRIPTORS: Final = 20_000
_GREATEST_SKEW_S: Final = 2.0
_RELEASED: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""No machine on which this runs can rightly show an earlier day."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at: how it is, in both languages, and how to mend it."""

    level: Level
    vi: str
    en: str
    mend: tuple[str, str] | None = None


def examine(write: Callable[[str], object]) -> int:
    """Look at everything, write the findings, and return 1 if anything is broken."""
    environment = _environment()
    checks: tuple[Callable[[Mapping[str, str]], list[Finding]], ...] = (
        _check_programs,
        _check_ports,
        _check_disk,
        _check_clock,
        _check_descriptors,
        _check_fonts,
        _check_database,
        _check_keys,
    )
    bad = 0
    for check in checks:
        for finding in check(environment):
            bad += finding.level == "bad"
            write(f"{_MARK[finding.level]} {finding.vi}\n  {finding.en}\n")
            if finding.mend:
                write(f"    → {finding.mend[0]}\n    → {finding.mend[1]}\n")
    write(
        f"\n{bad} điều cần sửa. / {bad} to mend.\n"
        if bad
        else "\nKhông thấy gì hỏng. / Nothing found that is broken.\n"
    )
    return 1 if bad else 0


def _environment() -> dict[str, str]:
    """Return the environment, filled up with the demo's own settings where `up --demo` has made them."""
    files = demo_settings.layout()
    made: dict[str, str] = {}
    if not os.environ.get("DATABASE_URL"):
        for file in sorted(files.settings.glob("*.env")):
            made |= demo_settings.read_environment(file)
    return {**made, **os.environ}


def _check_programs(_: Mapping[str, str]) -> list[Finding]:
    findings: list[Finding] = []
    try:
        bindir = find_bindir()
        user = server_user().name
        findings.append(
            Finding(
                level="good",
                vi=f"Chương trình PostgreSQL: {bindir} (chạy bằng {user})",
                en=f"PostgreSQL programs: {bindir} (run as {user})",
            )
        )
    except LauncherError as error:
        findings.append(Finding(level="bad", vi=error.vi, en=error.en, mend=error.next_step))
    dbmate = Path(sysconfig.get_path("scripts")) / "dbmate"
    if not dbmate.exists() and not shutil.which("dbmate"):
        mend = ("Chạy lại `make run`.", "Run `make run` again.")
        findings.append(Finding(level="bad", vi="Thiếu chương trình dbmate.", en="dbmate is missing.", mend=mend))
    return findings


def _check_ports(environment: Mapping[str, str]) -> list[Finding]:
    running = find_running(demo_settings.layout())
    if running:
        where = running.base_url
        return [Finding(level="good", vi=f"Đang chạy và trả lời ở {where}", en=f"Running and answering at {where}")]
    try:
        listen = settings.address(environment.get("MOTCUA_LISTEN") or "127.0.0.1:8080")
    except ValueError:
        mend = ("Ví dụ: MOTCUA_LISTEN=127.0.0.1:8080", "For example: MOTCUA_LISTEN=127.0.0.1:8080")
        return [Finding(level="bad", vi="MOTCUA_LISTEN viết sai.", en="MOTCUA_LISTEN is not host:port.", mend=mend)]
    if listen.port == 0 or ports.is_free(listen):
        return [Finding(level="good", vi=f"Cổng {listen.port} còn trống", en=f"Port {listen.port} is free")]
    return [
        Finding(
            level="bad" if environment.get("MOTCUA_LISTEN") else "note",
            vi=f"Cổng {listen.port} đang bị chương trình khác dùng",
            en=f"Port {listen.port} is in use by another program",
            mend=(
                "Dừng chương trình ấy hoặc đặt MOTCUA_LISTEN; `up --demo` tự lấy cổng kế tiếp.",
                "Stop it or set MOTCUA_LISTEN; `up --demo` takes the next port by itself.",
            ),
        )
    ]


def _check_disk(_: Mapping[str, str]) -> list[Finding]:
    place = demo_settings.layout().var
    while not place.exists():
        place = place.parent
    free_mb = shutil.disk_usage(place).free // 2**20
    inodes = os.statvfs(place).f_favail
    if free_mb < _LEAST_DISK_MB or 0 < inodes < 10_000:
        mend = ("Giải phóng chỗ trống hoặc đặt MOTCUA_VAR ở đĩa khác.", "Free space or set MOTCUA_VAR on another disk.")
        vi, en = f"Đĩa sắp đầy: còn {free_mb} MB ({place})", f"The disk is nearly full: {free_mb} MB left ({place})"
        return [Finding(level="bad", vi=vi, en=en, mend=mend)]
    return [Finding(level="good", vi=f"Đĩa còn {free_mb} MB ({place})", en=f"{free_mb} MB of disk free ({place})")]


def _check_clock(_: Mapping[str, str]) -> list[Finding]:
    now = datetime.now(UTC)
    mend = ("Đặt lại giờ, ví dụ bằng chrony hoặc systemd-timesyncd.", "Set the clock, e.g. with chrony or timesyncd.")
    if now < _RELEASED:
        vi, en = f"Đồng hồ sai: {now:%Y-%m-%d}", f"The clock is wrong: {now:%Y-%m-%d}"
        return [Finding(level="bad", vi=vi, en=en, mend=mend)]
    with tempfile.NamedTemporaryFile() as probe:
        skew = abs(Path(probe.name).stat().st_mtime - time.time())
    if skew > _GREATEST_SKEW_S:
        vi = f"Đồng hồ của hệ thống tệp lệch {skew:.0f} giây"
        return [Finding(level="bad", vi=vi, en=f"The file system's clock is off by {skew:.0f} s", mend=mend)]
    synchronised = _synchronised()
    if synchronised is None:
        vi = f"Đồng hồ: {now:%Y-%m-%d %H:%M} UTC; không có mạng nên không so được với giờ chuẩn"
        en = f"Clock: {now:%Y-%m-%d %H:%M} UTC; without a network it cannot be compared with standard time"
        return [Finding(level="note", vi=vi, en=en)]
    vi = "Đồng hồ được đồng bộ" if synchronised else "Đồng hồ chưa được đồng bộ với giờ chuẩn"
    en = "The clock is synchronised" if synchronised else "The clock is not synchronised with standard time"
    return [Finding(level="good" if synchronised else "note", vi=vi, en=en, mend=None if synchronised else mend)]


def _synchronised() -> bool | None:
    """Return what systemd says of time synchronisation, or None where it cannot be asked."""
    program = shutil.which("timedatectl")
    if program is None:
        return None
    words = [program, "show", "--property=NTPSynchronized", "--value"]
    answer = subprocess.run(words, capture_output=True, text=True, check=False, timeout=5)  # noqa: S603
    return {"yes": True, "no": False}.get(answer.stdout.strip())


def _check_descriptors(_: Mapping[str, str]) -> list[Finding]:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]  # each process raises its own limit to the ceiling
    most = _WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else hard
    held = connection_budget(most)
    vi = f"Số tệp mở tối đa: {most}, đủ cho {held} kết nối cùng lúc mỗi tiến trình web"
    en = f"Open files allowed: {most}, enough for {held} connections at once per web worker"
    if hard != resource.RLIM_INFINITY and hard < _WANTED_DESCRIPTORS:
        mend = (
            f"Đủ để thử. Cho nhiều người dùng: ulimit -n {_WANTED_DESCRIPTORS}.",
            f"Enough to try it. For many users: ulimit -n {_WANTED_DESCRIPTORS}.",
        )
        return [Finding(level="note", vi=vi, en=en, mend=mend)]
    return [Finding(level="good", vi=vi, en=en)]


def _check_fonts(_: Mapping[str, str]) -> list[Finding]:
    missing = missing_fonts()
    if missing:
        names = ", ".join(missing)
        mend = ("Cài lại gói motcua.", "Install the motcua package again.")
        vi, en = f"Thiếu phông chữ: {names}", f"Fonts are missing: {names}"
        return [Finding(level="bad", vi=vi, en=en, mend=mend)]
    return [Finding(level="good", vi="Đủ phông chữ tiếng Việt", en="The Vietnamese fonts are there")]


def _check_database(environment: Mapping[str, str]) -> list[Finding]:
    owner = environment.get("DATABASE_URL")
    if not owner:
        vi, en = "Cơ sở dữ liệu chưa được tạo; `make run` sẽ tạo", "There is no database yet; `make run` makes one"
        return [Finding(level="note", vi=vi, en=en)]
    try:
        return asyncio.run(_ask_database(owner, environment))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        embedded = not os.environ.get("DATABASE_URL")
        mend = (
            ("Khởi động bằng `make run`.", "Start it with `make run`.")
            if embedded
            else ("Kiểm tra DATABASE_URL và máy chủ.", "Check DATABASE_URL and the server.")
        )
        level: Level = "note" if embedded and not find_running(demo_settings.layout()) else "bad"
        vi, en = f"Không nối được cơ sở dữ liệu: {error}", f"The database does not answer: {error}"
        return [Finding(level=level, vi=vi, en=en, mend=mend)]


async def _ask_database(owner: str, environment: Mapping[str, str]) -> list[Finding]:
    findings: list[Finding] = []
    connection = await asyncpg.connect(owner, timeout=5)
    try:
        version = connection.get_server_version()
        skew = abs((await connection.fetchval("SELECT clock_timestamp()") - datetime.now(UTC)).total_seconds())
        unsafe = [
            name
            for name in ("fsync", "full_page_writes", "synchronous_commit")
            if await connection.fetchval("SELECT current_setting($1)", name) == "off"
        ]
    finally:
        await connection.close()
    told = f"PostgreSQL {version.major}.{version.minor}"
    level: Level = "good" if version.major >= 18 else "bad"
    findings.append(Finding(level=level, vi=f"{told} trả lời", en=f"{told} answers"))
    if skew > _GREATEST_SKEW_S:
        mend = ("Đồng bộ giờ của hai máy.", "Synchronise the clocks of both machines.")
        vi, en = f"Giờ của cơ sở dữ liệu lệch {skew:.1f} giây", f"The database's clock is off by {skew:.1f} s"
        findings.append(Finding(level="bad", vi=vi, en=en, mend=mend))
    if unsafe:
        names = ", ".join(unsafe)
        mend = ("Bật lại trong postgresql.conf.", "Turn it on again in postgresql.conf.")
        findings.append(
            Finding(level="bad", vi=f"Ghi không an toàn: {names} = off", en=f"Unsafe: {names} is off", mend=mend)
        )
    waiting = await migrate.pending(owner)
    if waiting:
        mend = ("Chạy: motcua migrate", "Run: motcua migrate")
        vi, en = f"Chưa nâng cấp: {', '.join(waiting)}", f"Migrations not applied: {', '.join(waiting)}"
        findings.append(Finding(level="bad", vi=vi, en=en, mend=mend))
    return findings + [
        finding
        for variable in settings.ROLE_VARIABLE.values()
        for finding in await _ask_role(variable, environment.get(variable))
    ]


async def _ask_role(variable: str, dsn: str | None) -> list[Finding]:
    mend = (f"Kiểm tra {variable} và mật khẩu của vai trò.", f"Check {variable} and the role's password.")
    if not dsn:
        return [Finding(level="bad", vi=f"{variable} chưa có", en=f"{variable} is missing", mend=mend)]
    try:
        connection = await asyncpg.connect(dsn, timeout=5)
        role = await connection.fetchval("SELECT current_user")
        await connection.close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        vi, en = f"{variable}: không đăng nhập được ({error})", f"{variable}: cannot log in ({error})"
        return [Finding(level="bad", vi=vi, en=en, mend=mend)]
    return [Finding(level="good", vi=f"Vai trò {role} đăng nhập được", en=f"The role {role} can log in")]


def _check_keys(environment: Mapping[str, str]) -> list[Finding]:
    if not environment.get("MOTCUA_HOLDERS_FILE"):
        vi, en = "Chưa có khóa ký; `make run` tạo khóa để thử", "No signing keys yet; `make run` makes demo keys"
        return [Finding(level="note", vi=vi, en=en)]
    words = [sys.executable, "-m", "api", "signer", "--check"]
    own = settings.own_environment("signer", environment)
    try:
        answer = subprocess.run(words, capture_output=True, text=True, env=own, timeout=60, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        mend = ("Xem var/log/signer.log.", "See var/log/signer.log.")
        return [Finding(level="bad", vi="Nơi giữ khóa không trả lời", en="The key holder does not answer", mend=mend)]
    said = " ".join((answer.stdout or answer.stderr).split())[:300]
    if answer.returncode == 0:
        return [Finding(level="good", vi=f"Khóa ký dùng được: {said}", en=f"The signing keys work: {said}")]
    mend = ("Kiểm tra MOTCUA_HOLDERS_FILE và nơi giữ khóa.", "Check MOTCUA_HOLDERS_FILE and the key holder.")
    return [Finding(level="bad", vi=f"Khóa ký chưa dùng được: {said}", en=f"Signing keys fail: {said}", mend=mend)]
