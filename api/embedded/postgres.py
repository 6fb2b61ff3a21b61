"""The embedded PostgreSQL: a foreground child of the launcher, on its own socket, with no TCP listener.

`Cluster` makes the data directory once, starts the server, waits until it answers, and stops it in order. The
launcher's role `admin` enters by peer; `app`, `signer` and `worker` by SCRAM with a password file that only the
launcher's user can read. It does not migrate: see `api.db.migrate`.
"""

import asyncio
import ctypes
import errno
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import asyncpg

from api.embedded import leftovers
from api.embedded.binaries import ServerUser, find_bindir, place, reachable_bindir, server_user, socket_directory
from api.embedded.faults import LauncherError, disk_full, start_failure
from api.embedded.lock import DirectoryLock

ADMIN: Final = "admin"
ROLES: Final = ("app", "signer", "worker")
DATABASE: Final = "motcua"
START_BUDGET_S: Final = 120.0
"""Crash recovery after a power cut may take this long; pg_ctl's own limit of 10 s called that a failure."""
STOP_BUDGET_S: Final = 60.0
LOOK_S: Final = 0.1
PAUSE_S: Final = 2.0
"""How often `keep` looks whether the server lives, and how long it waits after a start that failed."""
LONGEST_LOG: Final = 20 * 1024 * 1024

TUNING: Final[Mapping[str, str]] = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "pglz",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "unix_socket_permissions": "0777",  # the directory is 0700
    "autovacuum_naptime": "15s",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "60s",
    "max_slot_wal_keep_size": "8GB",  # a backup that nobody follows any more must not fill the disk
}

Progress = Callable[[str, str], None]
"""Takes one line in Vietnamese and the same in English."""

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG: Final = 1


def die_with_parent(signal_number: int, parent: int) -> Callable[[], None]:
    """Return a `preexec_fn` that has the kernel send the child this signal when its parent dies, even by kill -9."""

    def in_child() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal_number)
        if os.getppid() != parent:  # the launcher died between fork and here
            os._exit(1)

    return in_child


class Cluster:
    """One PostgreSQL data directory and, between `start` and `stop`, its running server."""

    def __init__(
        self,
        root: Path,
        *,
        tuning: Mapping[str, str] | None = None,
        least_free_mb: int = 256,
        admin: str = ADMIN,
        start_budget_s: float = START_BUDGET_S,
    ) -> None:
        """Manage the cluster under `root`; `tuning` overrides server settings, `admin` is who enters by peer."""
        self.root: Final = root.absolute()
        self._tuning = {**TUNING, **(tuning or {})}
        self._least_free_mb = least_free_mb
        self._admin = admin
        self._start_budget_s = start_budget_s
        self._lock = DirectoryLock(self.root)
        self._server: subprocess.Popen[bytes] | None = None
        self._home = self.root
        self._sockets = self.root
        self.bindir = Path()

    @property
    def data(self) -> Path:
        """The data directory."""
        return self._home / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.root / "server.log"

    @property
    def pid(self) -> int | None:
        """The postmaster's PID while it runs."""
        return self._server.pid if self._server and self._server.poll() is None else None

    def dsn(self, role: str, database: str = DATABASE) -> str:
        """Return asyncpg's DSN for a role; it names the password file and holds no secret itself."""
        where = f"postgresql://{role}@/{database}?host={quote(str(self._sockets))}&port=5432"
        return where if role == self._admin else f"{where}&passfile={quote(str(self._password_file(role)))}"

    async def start(self, progress: Progress, *, ensure_roles: bool = True) -> None:
        """Start the server and wait until it answers; make the data directory at the first start.

        A cluster that is being brought back keeps the roles and passwords it was saved with (`ensure_roles=False`).

        Raises:
            LauncherError: another launcher holds it, the disk is full, the directory is somebody else's, or it fails.
        """
        try:
            self._lock.take()
            user = self._settle()
            await self._end_leftovers(progress)
            if not (self.data / "PG_VERSION").exists():
                progress("Đang tạo cơ sở dữ liệu lần đầu…", "Creating the database for the first time…")
                await asyncio.to_thread(self._initialise, user)
            self._require_same_major()
            progress("Đang khởi động PostgreSQL…", "Starting PostgreSQL…")
            await self._run_until_ready(user, progress)
            if ensure_roles:
                await self._ensure_roles()
        except OSError as error:
            await self.stop()
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full(self._home) from error
            raise
        except BaseException:
            await self.stop()
            raise

    async def keep(self, progress: Progress) -> None:
        """Start the server again whenever it ends by itself, until cancelled; a full disk is waited for."""
        while self._server is not None:
            if self._server.poll() is None:
                await asyncio.sleep(LOOK_S)
                continue
            progress("PostgreSQL đã dừng, khởi động lại.", "PostgreSQL ended; starting it again.")
            try:
                await self._end_leftovers(progress)
                await self._run_until_ready(server_user(), progress)
            except (LauncherError, OSError) as error:
                progress(f"PostgreSQL chưa chạy lại được: {error}", f"PostgreSQL cannot run yet: {error}")
                await asyncio.sleep(PAUSE_S)

    async def stop(self) -> None:
        """Shut the server down fast (open transactions roll back) and give the directory free."""
        server, self._server = self._server, None
        if server is not None and server.poll() is None:
            server.send_signal(signal.SIGINT)
            try:
                await asyncio.to_thread(server.wait, STOP_BUDGET_S)
            except subprocess.TimeoutExpired:
                server.send_signal(signal.SIGQUIT)
                await asyncio.to_thread(server.wait)
        self._lock.release()

    def _settle(self) -> ServerUser:
        """Fix who runs the server and where its files lie; check that the disk has room."""
        user = server_user()
        programs = find_bindir()
        self._home = place(self.root, user)
        free_mb = shutil.disk_usage(self._home).free // 2**20
        if free_mb < self._least_free_mb:
            raise disk_full(self._home, free_mb, self._least_free_mb)
        self.bindir = reachable_bindir(programs, self._home, user)
        self._sockets = socket_directory(self._home, user)
        for role in ROLES:
            self._ensure_password(role)
        launcher = server_user().name if not user.drop else "root"
        (self._home / "pg_hba.conf").write_text(
            f"local all,replication {self._admin} peer map=launcher\nlocal all all scram-sha-256\n"
        )
        (self._home / "pg_ident.conf").write_text(f"launcher {launcher} {self._admin}\n")
        for name in ("pg_hba.conf", "pg_ident.conf"):
            (self._home / name).chmod(0o644)
        return user

    async def _end_leftovers(self, progress: Progress) -> None:
        """Let a server that lost its launcher end, then clear the PID file that it or a power cut left."""
        deadline = time.monotonic() + STOP_BUDGET_S
        told = False
        while leftovers.ask_to_stop(self.data) and time.monotonic() < deadline:
            if not told:
                progress(
                    "Đang chờ PostgreSQL của lần chạy trước kết thúc…", "Waiting for the previous PostgreSQL to end…"
                )
                told = True
            await asyncio.sleep(0.1)
        leftovers.clear_stale_pid_file(self.data)

    def _initialise(self, user: ServerUser) -> None:
        """Run initdb into a directory beside, and rename: a half-made cluster is never taken for a whole one."""
        fresh = self._home / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if user.drop:
            os.chown(fresh, user.uid, user.gid)
        command = [
            str(self.bindir / "initdb"),
            f"--pgdata={fresh}",
            f"--username={ADMIN}",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--auth-local=peer",
            "--auth-host=scram-sha-256",
            "--data-checksums",
        ]
        made = subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=_environment(),
            user=user.run_uid,
            group=user.run_gid,
            extra_groups=user.run_groups,
        )
        if made.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise start_failure(self._home, f"{made.stdout}\n{made.stderr}")
        fresh.rename(self.data)

    def _require_same_major(self) -> None:
        kept = (self.data / "PG_VERSION").read_text().strip()
        answer = subprocess.run([self.bindir / "postgres", "--version"], capture_output=True, text=True, check=True)  # noqa: S603
        runs = answer.stdout.split(")")[1].split(".")[0].strip()
        if kept != runs:
            raise LauncherError(
                f"Dữ liệu ở {self.data} là của PostgreSQL {kept}, chương trình là {runs}.",
                f"The data in {self.data} belongs to PostgreSQL {kept}; the programs are {runs}.",
                next_step=(
                    "Nâng cấp bằng pg_upgrade hoặc khôi phục từ bản sao.",
                    "Upgrade with pg_upgrade or restore.",
                ),
            )

    def _spawn(self, user: ServerUser) -> int:
        """Start the postmaster in its own session; return where its part of the log begins."""
        if self.log.exists() and self.log.stat().st_size > LONGEST_LOG:
            self.log.replace(self.log.with_suffix(".old.log"))
        settings = {
            **self._tuning,
            "unix_socket_directories": str(self._sockets),
            "hba_file": str(self._home / "pg_hba.conf"),
            "ident_file": str(self._home / "pg_ident.conf"),
        }
        command = [str(self.bindir / "postgres"), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            begins = log.tell()
            self._server = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_environment(),
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGINT, os.getpid()),  # noqa: PLW1509 -- one prctl, no Python state
                user=user.run_uid,
                group=user.run_gid,
                extra_groups=user.run_groups,
            )
        return begins

    async def _run_until_ready(self, user: ServerUser, progress: Progress) -> None:
        deadline = time.monotonic() + self._start_budget_s
        begins = self._spawn(user)
        next_word = time.monotonic() + 5
        while True:
            if await self._answers():
                return
            ended = self._server is not None and self._server.poll() is not None
            said = self._log_since(begins)  # after that look, or its last words could be missing
            if ended:
                # After kill -9 the old backends hold the shared memory for a second or two.
                if "shared memory" not in said and "lock file" not in said:
                    raise start_failure(self._home, said)
                await asyncio.sleep(0.3)
                begins = self._spawn(user)
            if time.monotonic() > deadline:
                raise start_failure(self._home, said)
            if time.monotonic() > next_word:
                progress(
                    "PostgreSQL đang khôi phục dữ liệu, xin chờ…", "PostgreSQL is recovering its data, please wait…"
                )
                next_word += 5
            await asyncio.sleep(0.05)

    async def _answers(self) -> bool:
        """Return whether the server takes a connection; only connecting proves it, a PID or a socket file does not."""
        try:
            connection = await asyncpg.connect(self.dsn(self._admin, "postgres"), timeout=5)
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
            return False
        await connection.close()
        return True

    def _log_since(self, begins: int) -> str:
        with self.log.open("rb") as log:
            log.seek(begins)
            return log.read(100_000).decode("utf-8", "replace")

    def _password_file(self, role: str) -> Path:
        return self.root / "passwords" / f"{role}.pgpass"

    def _ensure_password(self, role: str) -> None:
        file = self._password_file(role)
        file.parent.mkdir(mode=0o700, exist_ok=True)
        if not file.exists() or not file.stat().st_size:
            fresh = file.with_suffix(".new")
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
                out.write(f"*:*:*:{role}:{secrets.token_urlsafe(32)}\n")
            fresh.replace(file)

    async def _ensure_roles(self) -> None:
        """Give the three roles their passwords and make the database, at every start and without harm."""
        connection = await asyncpg.connect(self.dsn(ADMIN, "postgres"), timeout=10)
        try:
            for role in ROLES:
                password = self._password_file(role).read_text().strip().rsplit(":", 1)[1]
                await connection.execute("SELECT set_config('motcua.role', $1, false)", role)
                await connection.execute("SELECT set_config('motcua.password', $1, false)", password)
                await connection.execute(_ENSURE_ROLE)
            if not await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute("CREATE DATABASE motcua")
        finally:
            await connection.close()


_ENSURE_ROLE: Final = """
DO $$
DECLARE
  wanted text := current_setting('motcua.role');
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
    EXECUTE format('CREATE ROLE %I', wanted);
  END IF;
  EXECUTE format('ALTER ROLE %I LOGIN PASSWORD %L', wanted, current_setting('motcua.password'));
END
$$
"""


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
