"""Everything on one machine: database, migrations, demo province, the three processes, and the walk that shows it."""

import asyncio
import contextlib
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping

import msgspec

from api import settings
from api.db.migrate import migrate
from api.embedded import demo_settings, ports
from api.embedded.demo_laying import lay_demo, read_accounts
from api.embedded.demo_settings import OWNER, Layout
from api.embedded.faults import LauncherError
from api.embedded.lock import DirectoryLock
from api.embedded.postgres import Cluster, Progress
from api.embedded.province import Accounts
from api.embedded.supervisor import Service, Supervisor, end_previous_run
from api.embedded.walk import walk
from api.errors import MotcuaError
from api.settings import Address, Process

HEALTH_BUDGET_S = 90.0
STOP_ORDER = ("api", "worker", "signer", "backup")
"""First nobody comes in, then what was taken in is finished as far as it goes, and the backup sees all of it."""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A server that `up` keeps running, as `var/run/up.json` tells other commands."""

    pid: int
    run_id: str
    base_url: str


def find_running(files: Layout) -> Running | None:
    """Return the server that runs on this directory, if its API answers."""
    try:
        found = msgspec.json.decode((files.run / "up.json").read_bytes(), type=Running)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return found if is_healthy(found.base_url) else None


def is_healthy(base_url: str) -> bool:
    """Return whether `/healthz` answers 200 within two seconds."""
    try:
        with urllib.request.urlopen(f"{base_url}/healthz", timeout=2) as answer:  # noqa: S310 -- our own http address
            return answer.status == 200
    except (OSError, urllib.error.URLError):
        return False


async def up(*, demo: bool, once: bool, say: Progress) -> int:
    """Start everything, show the walk (demo), and serve until SIGINT or SIGTERM; return the exit status.

    Args:
        demo: make settings, certificates and a province; without it every setting must be real.
        once: end after the walk instead of serving.
        say: takes progress in Vietnamese and English.

    Raises:
        BadSettings: without `demo`, something is missing or wrong; all of it is listed.
        LauncherError: the database or a port is not to be had.
    """
    if not demo:
        faults = settings.all_faults()
        if faults:
            raise settings.BadSettings(faults)
    me = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _cancel_once(me))
    try:
        async with _Everything(layout=demo_settings.layout(), demo=demo, say=say) as everything:
            await everything.show(once=once)
            if not once:
                await everything.serve()
    except asyncio.CancelledError:
        say("Đã dừng.", "Stopped.")
    return 0


async def demo(say: Progress) -> int:
    """Walk one dossier through the five steps, on the running server or on one started for it; 0 when it ended well.

    Raises:
        LauncherError: a step was refused or the result did not verify.
    """
    files = demo_settings.layout()
    running = await asyncio.to_thread(find_running, files)
    if running is None:
        return await up(demo=True, once=True, say=say)
    say(f"Dùng máy chủ đang chạy ở {running.base_url}", f"Using the server that runs at {running.base_url}")
    await walk(running.base_url, read_accounts(files), files.result, say)
    return 0


def _cancel_once(task: "asyncio.Task[int] | None") -> Callable[[], None]:
    """Return a signal handler: the first signal stops in order, later ones do not disturb that."""
    asked: list[bool] = []

    def handler() -> None:
        if not asked and task is not None:
            asked.append(True)
            task.cancel()

    return handler


class _Everything:
    """What runs between the first and the last line of `up`; leaving it stops all in reverse order."""

    def __init__(self, *, layout: Layout, demo: bool, say: Progress) -> None:
        self._files = layout
        self._demo = demo
        self._say = say
        self._stack = contextlib.AsyncExitStack()
        self._began = time.monotonic()
        self.base_url = ""
        self.accounts: Accounts | None = None

    async def __aenter__(self) -> "_Everything":
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._say("Đang dừng…", "Stopping…")
        await self._stack.aclose()

    async def _start(self) -> None:
        lock = DirectoryLock(self._files.run)
        lock.take()
        self._stack.callback(lock.release)
        if end_previous_run(self._files.run):
            self._say("Đã dọn tiến trình còn sót của lần chạy trước.", "Ended what was left of the previous run.")
        listen = self._addresses()
        owner, environments = await self._database(listen)
        self._say("Đang nâng cấp cơ sở dữ liệu…", "Bringing the database up to date…")
        await migrate(owner, post=not os.environ.get("DATABASE_URL"))  # our own lock shows that nothing old runs
        if self._demo:
            self.accounts = await lay_demo(self._files, owner, environments, self._say)
        supervisor = Supervisor(self._files.logs, self._files.run, self._say)
        self._stack.push_async_callback(supervisor.stop, STOP_ORDER)
        self._say("Đang khởi động API, signer, worker…", "Starting API, signer and worker…")
        for name in ("api", "signer", "worker"):
            await supervisor.start(
                Service(name=name, command=(sys.executable, "-m", "api", name), environment=environments[name])
            )
        if os.environ.get("MOTCUA_BACKUP_DIR"):
            told = {**environments[OWNER], "MOTCUA_BACKUP_DIR": os.environ["MOTCUA_BACKUP_DIR"]}
            command = (sys.executable, "-m", "api", "backup", "--follow")
            await supervisor.start(Service(name="backup", command=command, environment=told))
        self.base_url = demo_settings.browser_url(listen[0])
        await self._until_healthy(supervisor)
        supervisor.note(base_url=self.base_url)
        took = time.monotonic() - self._began
        self._say(f"Sẵn sàng sau {took:.1f} giây: {self.base_url}", f"Ready after {took:.1f} s: {self.base_url}")

    def _addresses(self) -> tuple[Address, Address, Address]:
        asked = os.environ.get("MOTCUA_LISTEN")
        api = settings.address(asked) if asked else Address("127.0.0.1", 8080)
        chosen = ports.choose(api, insist=bool(asked) or not self._demo)
        if chosen.port != api.port != 0:
            self._say(f"Cổng {api.port} bận, dùng {chosen.port}.", f"Port {api.port} is taken; using {chosen.port}.")
        any_port = Address("127.0.0.1", 0)
        return chosen, ports.choose(any_port, insist=True), ports.choose(any_port, insist=True)

    async def _database(self, listen: tuple[Address, Address, Address]) -> tuple[str, Mapping[str, dict[str, str]]]:
        """Open the database; return the owner's DSN and the environment of each process."""
        if not self._demo:
            processes: tuple[Process, ...] = ("api", "signer", "worker")
            environments = {name: settings.own_environment(name) for name in processes}
            return os.environ["DATABASE_URL"], {**environments, OWNER: settings.own_environment(OWNER)}
        dsn = _given_dsn if os.environ.get("DATABASE_URL") else await self._embedded()
        environments = demo_settings.environments(self._files, dsn, listen)
        return dsn("admin"), environments

    async def _embedded(self) -> Callable[[str], str]:
        cluster = Cluster(self._files.cluster)
        await cluster.start(self._say)
        self._stack.push_async_callback(cluster.stop)
        keeper = asyncio.create_task(cluster.keep(self._say), name="keep-postgres")
        self._stack.callback(keeper.cancel)
        return cluster.dsn

    async def _until_healthy(self, supervisor: Supervisor) -> None:
        deadline = time.monotonic() + HEALTH_BUDGET_S
        next_word = time.monotonic() + 5
        while not await asyncio.to_thread(is_healthy, self.base_url):
            if time.monotonic() > deadline:
                raise LauncherError(
                    f"API không trả lời sau {HEALTH_BUDGET_S:g} giây.",
                    f"The API did not answer within {HEALTH_BUDGET_S:g} s.",
                    next_step=(f"Xem {self._files.logs}/api.log", f"See {self._files.logs}/api.log"),
                )
            if time.monotonic() > next_word:
                state = "đang chạy / running" if supervisor.alive("api") else "đang khởi động lại / restarting"
                self._say(f"Vẫn đang chờ API ({state})…", f"Still waiting for the API ({state})…")
                next_word += 5
            await asyncio.sleep(0.1)

    async def show(self, *, once: bool) -> None:
        """Walk one dossier and name the log-ins (demo only). A walk that fails is told; only `once` ends with it."""
        if self.accounts is None:
            return
        try:
            await walk(self.base_url, self.accounts, self._files.result, self._say)
        except MotcuaError as error:
            if once:
                raise
            self._say(f"Buổi trình diễn không xong: {error.vi}", f"The demonstration failed: {error.en}")
        if not once:
            self._say(
                f"Tài khoản để thử (cũng ở {self._files.accounts}):",
                f"Log-ins to try (also in {self._files.accounts}):",
            )
            for account in self.accounts.accounts:
                self._say(
                    f"  {account.login:<22} {account.password}  TOTP {account.totp_secret}",
                    f"{', '.join(account.roles)}",
                )
        self._say(f"Địa chỉ: {self.base_url}", f"Address: {self.base_url}")

    async def serve(self) -> None:
        """Go on until somebody says stop."""
        self._say("Nhấn Ctrl-C để dừng.", "Press Ctrl-C to stop.")
        await asyncio.Event().wait()


def _given_dsn(role: str) -> str:
    """Return the DSN of a role from the environment, where DATABASE_URL replaces the embedded server."""
    variable = {"admin": "DATABASE_URL", "app": "DATABASE_URL_APP", "signer": "DATABASE_URL_SIGNER"}
    name = variable.get(role, "DATABASE_URL_WORKER")
    value = os.environ.get(name)
    if not value:
        raise settings.BadSettings([(f"{name}: chưa có", f"{name}: is missing")])
    return value
