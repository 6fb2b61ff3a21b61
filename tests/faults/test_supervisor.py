"""The supervisor: restarts what fails, stops in order, and leaves no orphan even after kill -9."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from api.embedded.supervisor import RUN_VARIABLE, Service, Supervisor, end_previous_run

REPOSITORY = Path(__file__).resolve().parents[2]


class Said:
    """Collects what the supervisor tells a person."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, vi: str, en: str) -> None:
        assert vi
        self.lines.append(en)


def python(name: str, code: str, **environment: str) -> Service:
    return Service(
        name=name, command=(sys.executable, "-c", code), environment={"PATH": "/usr/bin:/bin", **environment}
    )


async def until(condition, budget: float = 15.0) -> None:
    deadline = time.monotonic() + budget
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


@pytest.fixture
async def supervisor(tmp_path):
    made = Supervisor(tmp_path / "log", tmp_path / "run", Said())
    yield made
    await made.stop(tuple(made._running))


async def test_a_process_that_fails_is_started_again_after_a_pause(supervisor, tmp_path):
    runs = tmp_path / "runs"
    code = f"open({str(runs)!r}, 'a').write('x'); print('xin chào', flush=True); raise SystemExit(3)"
    await supervisor.start(python("flaky", code))
    await until(lambda: runs.exists() and len(runs.read_text()) >= 2)
    assert any("flaky (3) ended" in line for line in supervisor._say.lines)
    assert "xin chào" in (tmp_path / "log" / "flaky.log").read_text()


async def test_what_a_process_writes_is_shown_with_its_name(supervisor, capsys):
    request = '{"event":"request","status":200,"level":"info"}'
    code = f"import time; print({request!r}, flush=True); print('một dòng', flush=True); time.sleep(30)"
    await supervisor.start(python("talk", code))
    shown = ""
    deadline = time.monotonic() + 10
    while "một dòng" not in shown and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        shown += capsys.readouterr().out
    assert "  talk | một dòng\n" in shown
    assert "request" not in shown  # each request is in the file alone


async def test_stopping_keeps_the_order_and_kills_what_does_not_listen(tmp_path, monkeypatch):
    monkeypatch.setattr("api.embedded.supervisor.STOP_BUDGET_S", 1.0)
    supervisor = Supervisor(tmp_path / "log", tmp_path / "run", Said())
    ends = tmp_path / "ends"
    polite = """
import signal, sys, time
def end(*_):
    open({0!r}, 'a').write('{1} ')
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print('ready', flush=True)
time.sleep(60)
"""
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    for name in ("second", "first"):
        await supervisor.start(python(name, polite.format(str(ends), name)))
    await supervisor.start(python("deaf", deaf))
    await until(lambda: all((tmp_path / "log" / f"{n}.log").read_text() for n in ("first", "second", "deaf")))
    await supervisor.stop(("first", "second", "deaf"))
    assert ends.read_text() == "first second "
    assert not any(supervisor.alive(name) for name in ("first", "second", "deaf"))
    assert any("did not stop" in line for line in supervisor._say.lines)


async def test_a_child_of_a_child_does_not_outlive_it(supervisor, tmp_path):
    noted = tmp_path / "grandchild"
    code = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
open({str(noted)!r}, 'w').write(str(child.pid))
"""
    await supervisor.start(python("parent", code))
    await until(lambda: noted.exists() and noted.read_text())
    grandchild = Path(f"/proc/{noted.read_text()}")
    await until(lambda: not grandchild.exists())


_SUPERVISED = """
import asyncio, sys
from pathlib import Path
from api.embedded.supervisor import Service, Supervisor

async def main():
    here = Path(sys.argv[1])
    supervisor = Supervisor(here / "log", here / "run", lambda vi, en: None)
    kind = "import os, signal, time; print(os.getpid(), flush=True); time.sleep(60)"
    deaf = kind.replace("print", "signal.signal(signal.SIGTERM, signal.SIG_IGN); print")
    for name, code in (("kind", kind), ("deaf", deaf)):
        await supervisor.start(Service(name=name, command=(sys.executable, "-c", code), environment={}))
    supervisor.note(base_url="http://127.0.0.1:1")
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_kill_9_of_the_supervisor_leaves_no_orphan(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", _SUPERVISED, str(tmp_path)], cwd=REPOSITORY, stdout=subprocess.DEVNULL
    )
    logs = [tmp_path / "log" / f"{name}.log" for name in ("kind", "deaf")]
    await until(
        lambda: all(log.exists() and log.read_text().strip() for log in logs) and (tmp_path / "run/up.json").exists()
    )
    kind, deaf = (Path(f"/proc/{log.read_text().strip()}") for log in logs)
    process.kill()
    process.wait()
    await until(lambda: not kind.exists())
    assert deaf.exists()
    assert end_previous_run(tmp_path / "run") == 1  # the one that did not listen is found by the run's id
    await until(lambda: not deaf.exists() or "State:\tZ" in (deaf / "status").read_text())
    assert end_previous_run(tmp_path / "run") == 0


async def test_a_stranger_with_the_same_pid_is_left_alone(tmp_path):
    stranger = subprocess.Popen(["sleep", "30"], env={RUN_VARIABLE: "another run"})
    try:
        (tmp_path / "up.json").write_text(
            json.dumps({"pid": stranger.pid, "run_id": "this run", "base_url": "http://x"})
        )
        assert end_previous_run(tmp_path) == 0
        assert stranger.poll() is None
    finally:
        os.kill(stranger.pid, signal.SIGKILL)
        stranger.wait()
