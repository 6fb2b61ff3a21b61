"""What a new user does first: `make run` without a network, `make demo`, Ctrl-C, and again after kill -9."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import threading
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MOTCUA = Path(sysconfig.get_path("scripts")) / "motcua"
NOBODY = 65534

_IN_A_NAMESPACE_WITH_LOOPBACK_ONLY = """
import fcntl, os, socket, struct, sys
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh", b"lo", 0x41))  # SIOCSIFFLAGS: lo up and running
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Started:
    """A command that goes on running, with the lines it has written so far."""

    def __init__(self, words: list[str], cwd: Path, environment: dict[str, str]) -> None:
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            words, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def until(self, pattern: str, budget: float) -> re.Match[str]:
        """Wait for a line; `budget` counts from the start of the command."""
        while True:
            for line in list(self.lines):
                found = re.search(pattern, line)
                if found:
                    return found
            said = "".join(self.lines[-60:])
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{said}"
            assert time.monotonic() - self.began < budget, f"no {pattern!r} in:\n{said}"
            time.sleep(0.05)

    def family(self) -> set[int]:
        """The command and everything it started, through all generations."""
        parents: dict[int, int] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with contextlib.suppress(OSError):
                    parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        found = {self.process.pid}
        while True:
            more = {pid for pid, parent in parents.items() if parent in found} - found
            if not more:
                return found
            found |= more

    def kill_everything(self) -> None:
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def interrupt(self) -> int:
        """What Ctrl-C does: the signal goes to the whole foreground group."""
        family = self.family()
        for pid in family:
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
                if len(words) > 1 and words[1].endswith("/motcua"):
                    os.kill(pid, signal.SIGINT)
        code = self.process.wait(timeout=60)
        self._reader.join(timeout=5)
        return code


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(home), "LANG": "C.UTF-8", **more}


@pytest.fixture
def place():
    """A directory that other users can enter too; pytest's own is closed to them."""
    directory = Path(tempfile.mkdtemp(prefix="motcua-up-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def _apart_from_every_network() -> list[str]:
    """Run in a network namespace without routes, and as an ordinary user even where the tests run as root."""
    loopback = [shutil.which("python3", path="/usr/bin:/usr/local/bin"), "-c", _IN_A_NAMESPACE_WITH_LOOPBACK_ONLY]
    if os.geteuid() == 0:
        user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        return ["unshare", "--net", *loopback, *user]
    return ["unshare", "--user", "--map-current-user", "--keep-caps", "--net", *loopback]


@pytest.mark.alone
def test_make_run_from_a_bundle_needs_no_network_and_survives_kill_9(place):
    subprocess.run(["make", "bundle"], cwd=REPOSITORY, check=True, capture_output=True)
    checkout = place / "motcua"
    shutil.copytree(REPOSITORY / "bundle", checkout, symlinks=True)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(place)], check=True)
    command = [*_apart_from_every_network(), "make", "run", "PYTHON=/usr/bin/python3"]

    first = Started(command, checkout, environment(place))
    first.until(r"Ready after", 120)
    first.until(r"Signed and verified", 180)
    assert (checkout / "var" / "demo" / "result.pdf").stat().st_size > 10_000
    assert (checkout / "var" / "pg" / "data").stat().st_uid == (NOBODY if os.geteuid() == 0 else os.geteuid())
    family = first.family()
    assert len(family) >= 5
    first.kill_everything()

    second = Started(command, checkout, environment(place))
    try:
        took = float(second.until(r"Ready after ([0-9.]+) s", 60)[1])
        assert took < 10
        assert second.interrupt() in (0, 130, -signal.SIGINT)
        assert any("Stopped." in line for line in second.lines)
        assert not [pid for pid in second.family() if pid != second.process.pid]
    finally:
        second.kill_everything()


@pytest.mark.timeout(600)
def test_demo_walks_on_the_running_server_and_on_its_own(place):
    told = environment(place, MOTCUA_VAR=str(place / "var"), MOTCUA_LISTEN="127.0.0.1:0")
    alone = subprocess.run([MOTCUA, "demo"], env=told, capture_output=True, text=True, check=False, timeout=180)
    assert alone.returncode == 0, alone.stdout + alone.stderr
    result = place / "var" / "demo" / "result.pdf"
    first = result.read_bytes()
    verified = subprocess.run([MOTCUA, "verify", result], env=told, capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stdout
    assert "CHỈ ĐỂ THỬ" in verified.stdout

    backup, restored = place / "backup", place / "restored"
    running = Started([str(MOTCUA), "up", "--demo"], place, {**told, "MOTCUA_BACKUP_DIR": str(backup)})
    try:
        address = running.until(r"Ready after .*: (http://\S+)", 60)[1]
        running.until(r"Signed and verified", 120)
        other = subprocess.run([MOTCUA, "demo"], env=told, capture_output=True, text=True, check=False, timeout=180)
        assert other.returncode == 0, other.stdout + other.stderr
        assert address in other.stdout
        assert result.read_bytes() != first
        known = subprocess.run([MOTCUA, "verify", "--json", result], env=told, capture_output=True, check=False)
        facts = json.loads(known.stdout)
        assert {facts[name]["state"] for name in ("untouched", "signed", "competent", "in_force")} == {"yes"}
        assert facts["registered"]

        twice = subprocess.run(
            [MOTCUA, "up", "--demo"], env=told, capture_output=True, text=True, check=False, timeout=60
        )
        assert twice.returncode == 1
        assert f"PID {running.process.pid}" in twice.stderr

        def motcua(*words: str | Path) -> subprocess.CompletedProcess[str]:
            return subprocess.run([MOTCUA, *words], env=told, capture_output=True, text=True, check=False, timeout=60)

        file = place / "var" / "checkpoints" / "checkpoints.jsonl"
        audited = motcua("audit", "verify", "--checkpoint", file)
        assert (audited.returncode, "rows are as they were sealed" in audited.stdout) == (0, True), audited.stdout
        exported = motcua("audit", "export", place / "bundle.jsonl")
        assert exported.returncode == 0, exported.stderr
        drawn = motcua("keys", "new", "sessions")
        assert re.fullmatch(r"k\d{8}:[0-9a-f]{64}\n", drawn.stdout)
        listed = motcua("keys", "list", "sessions")
        assert "▶ demo1: " in listed.stdout, listed.stderr
        refused = motcua("keys", "retire", "factors", "demo1")
        assert (refused.returncode, "comes first" in refused.stderr) == (1, True)

        doctor = subprocess.run([MOTCUA, "doctor"], env=told, capture_output=True, text=True, check=False, timeout=120)
        assert doctor.returncode == 0, doctor.stdout
        assert f"answering at {address}" in doctor.stdout
    finally:
        running.until(r"backup .* Done: ", 240)
        running.process.send_signal(signal.SIGTERM)
        code = running.process.wait(timeout=60)
    assert code == 0
    assert not (place / "var" / "run" / "up.json").exists()
    # Everything up to the stop is in the backup, the signed result included.
    words = [MOTCUA, "restore", backup, "--into", restored]
    back = subprocess.run(words, env=told, capture_output=True, text=True, check=False, timeout=180)
    assert back.returncode == 0, back.stdout + back.stderr
    name = hashlib.sha256(result.read_bytes()).hexdigest()
    assert (restored / "blobs" / name[:2] / name[2:4] / name).read_bytes() == result.read_bytes()
    assert "0 journal lines, 0 numbers and 0 uses of keys are lost" in back.stdout


def test_without_demo_every_missing_setting_is_named(place):
    refused = subprocess.run(
        [MOTCUA, "up"], env=environment(place), cwd=place, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    for name in (
        "DATABASE_URL",
        "MOTCUA_DATA_KEYS",
        "MOTCUA_SESSION_KEYS",
        "MOTCUA_CHECKPOINT_DIR",
        "MOTCUA_HOLDERS_FILE",
        "MOTCUA_PUBLIC_URL",
    ):
        assert f"{name}: is missing" in refused.stderr
    assert not (place / "var").exists()


def test_a_slip_is_answered_with_what_was_meant(place):
    slip = subprocess.run([MOTCUA, "doctr"], env=environment(place), capture_output=True, text=True, check=False)
    assert slip.returncode == 2
    assert "Did you mean: motcua doctor?" in slip.stderr
