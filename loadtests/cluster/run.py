"""One run inside its namespaces: build, load, restart and kill, judge."""

import argparse
import asyncio
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Final

import aiohttp

from loadtests.chaos.judgement import Judgement, counts
from loadtests.chaos.lives import Ward
from loadtests.cluster import lan
from loadtests.cluster.acts import Acts, Found, TimedLedger
from loadtests.cluster.parts import ROOT, until
from loadtests.cluster.product import Cluster
from loadtests.cluster.pulse import Pulse

WARM: Final = 3
"""Dossiers that were sealed and delivered before anything is done."""
WARM_S: Final = 90.0
DRAIN_S: Final = 90.0
AUDIT_S: Final = 20.0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main_inside(room: Path, options: argparse.Namespace) -> int:
    """Run once; return the exit status. What lives on is ended by the kernel, with the namespaces."""
    try:
        return asyncio.run(run(room, options))
    except KeyboardInterrupt:
        say("Đã dừng. / Stopped.")
        return 130
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and what was seen so far is kept
        (room / "keep").touch()
        say(f"✗ gave up: {error}\n{traceback.format_exc()}")
        return 2


async def run(room: Path, options: argparse.Namespace) -> int:
    """Build everything, do the parts under a load, judge."""
    began = time.monotonic()
    await asyncio.to_thread(lan.build)
    cluster = Cluster(room)
    say(f"{len(lan.HOSTS)} hosts: {', '.join(lan.HOSTS)}")
    async with aiohttp.ClientSession() as plain:
        await cluster.start(plain, lambda vi, en: None)  # noqa: ARG005 - their names are the port's
        say(f"ready in {time.monotonic() - began:.0f} s: {cluster.url}")
        ledger, before = TimedLedger(room / "ledger.jsonl"), await counts(cluster)
        async with aiohttp.ClientSession(cluster.url, timeout=aiohttp.ClientTimeout(total=30)) as web:
            ward = Ward(web, cluster, ledger)
            await ward.log_in()
            found = await under_load(cluster, plain, web, ward, ledger, options)
        await cluster.stop_people()
        judgement = Judgement(cluster, ledger, ward, before)
        good = await judgement.pass_()
    for line in judgement.lines:
        say(f"  {line}")
    told, audited = await audit(cluster)
    say(f"{'✓' if audited else '✗'} audit against the checkpoints outside: {told}")
    shares = {name: cluster.work_done(name) for name in ("signer", "worker")}
    side_by_side = all(done for share in shares.values() for done in share.values())
    say(f"{'✓' if side_by_side else '✗'} jobs done side by side: {shares}")
    passed = good and audited and side_by_side and not any(one.faults for one in found)
    if not passed:
        (room / "keep").touch()
    say(f"{'✓ PASS' if passed else '✗ FAIL'} in {time.monotonic() - began:.0f} s")
    return 0 if passed else 1


async def under_load(
    cluster: Cluster, plain: aiohttp.ClientSession, web: aiohttp.ClientSession, ward: Ward, ledger: TimedLedger,
    options: argparse.Namespace,
) -> list[Found]:  # fmt: skip
    """Let dossiers live and readers read while the parts are done; every life is lived to its end."""
    pulse = Pulse(web, ward, options.reads)
    acts = Acts(cluster, plain, ward, ledger, pulse)
    does = {
        "a": acts.rolling_restart,
        "b": acts.primary_killed,
        "c": acts.object_node_killed,
        "d": acts.api_host_killed,
    }
    found: list[Found] = []
    try:
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(pulse.run())
            living = [group.create_task(ward.lives(), name=f"life {number + 1}") for number in range(options.lives)]
            await until("the first dossiers' end", lambda: _some(ward.ended >= WARM), WARM_S)
            for letter in options.parts:
                one = await does[letter]()
                say(one.line())
                found.append(one)
            ward.enough.set()
            await asyncio.wait_for(asyncio.gather(*living), DRAIN_S)
            reading.cancel()
    except BaseException:
        now = time.monotonic()
        for life, doing in ward.doing.items():
            say(f"  {life}: {doing.told(now)}")
        raise
    return found


async def _some(holds: bool) -> bool:
    return holds


async def audit(cluster: Cluster) -> tuple[str, bool]:
    """Hold the audit against its checkpoints, as an operator does, once the last row is chained."""
    deadline = time.monotonic() + AUDIT_S
    words = [sys.executable, "-m", "api", "audit", "verify", "--checkpoint",
             str(cluster.files.checkpoints / "checkpoints.jsonl")]  # fmt: skip
    while True:
        process = await asyncio.create_subprocess_exec(
            *words, cwd=ROOT, env={"PATH": os.environ["PATH"], **cluster.environment}, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        told = " | ".join(out.decode(errors="replace").strip().splitlines()[-2:])
        if process.returncode == 0 or time.monotonic() > deadline:
            return told, process.returncode == 0
        await asyncio.sleep(2)
