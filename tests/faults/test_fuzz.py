"""Schemathesis against the API's own description: the real server, real sessions of several roles, and without one.

It makes good and bad requests from `/schema/openapi.json` and follows what answers lead to. Nothing may be answered
that is not described; there is no 5xx but 503 with Retry-After; what the description forbids is refused.
`make fuzz` gives it ten minutes; the time here is split between the roles. The seed is printed: MOTCUA_FUZZ_SEED.
"""

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.site import Site, made, opened, walked

SECONDS = int(os.environ.get("MOTCUA_FUZZ_S", "45"))
SEED = int(os.environ.get("MOTCUA_FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
ROLES = ("tiepnhan", "thuly", "chutich", "vanthu", "giamdoc", "danhmuc", "nobody", "citizen")
PHASES = ("coverage", "fuzzing", "stateful")
RUNS = [(role, phase) for role in ROLES for phase in PHASES]
SHORT = [("citizen", "coverage"), ("chutich", "fuzzing"), ("thuly", "stateful")]
"""The short form: who has no account, who signs, and who does most."""
TRIED = SHORT if SECONDS < 60 else RUNS
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method,"
    "allow_header_conformance,ignored_auth"
)
pytestmark = pytest.mark.timeout(SECONDS * 2 + 240)


@pytest_asyncio.fixture(scope="module")
async def site(cluster, province, tmp_path_factory):
    async with opened(cluster, province, tmp_path_factory.mktemp("fuzz")) as site:
        yield site


@pytest_asyncio.fixture(scope="module")
async def left(site):
    """The ids of one dossier that went all the way, for the requests to name."""
    return await walked(site)


async def headers_of(site: Site, role: str) -> dict[str, str]:
    """What this role sends with each request."""
    if role == "nobody":
        return {}
    if role == "citizen":
        return {"X-Dossier-Secret": (await site.filed())["secret"]}
    who = f"{role}.tinh" if role == "danhmuc" else f"{role}.kinhbac"
    return {"Authorization": site.clients[who].headers["Authorization"]}


def configured(room: Path, left: dict[str, str]) -> Path:
    """Write the settings: real ids now and then, and nobody ends the session that the others use."""
    known = "\n".join(f'{name} = "{value}"' for name, value in left.items() if name.endswith("_id"))
    path = room / "schemathesis.toml"
    path.write_text(
        f"""
[parameters]
{known}

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503"]

[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "415", "422", "429", "503"]

[[operations]]
include-name = "GET /signature-batches/{{batch_id}}/events"
# Anybody may send headers of their own. The tool knows, except where a described header is a number: it compares text.
generation = {{ allow-extra-parameters = false }}

[[operations]]
include-name = "DELETE /session"
enabled = false

[[operations]]
include-name = "POST /factors/lost"
enabled = false
"""
    )
    return path


async def fuzzed(site: Site, role: str, phase: str, seconds: int, room: Path, left: dict[str, Any]) -> tuple[int, str]:
    """Let Schemathesis try as one role in one way; its exit status and what it printed."""
    arguments = [f"--header={name}:{value}" for name, value in (await headers_of(site, role)).items()]
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "schemathesis", f"--config-file={configured(room, left)}",
        "run", f"{site.server.url}/schema/openapi.json", f"--checks={CHECKS}",
        f"--phases={phase}", f"--max-time={seconds}",
        f"--seed={SEED}", "--generation-database=none", "--request-timeout=20", "--no-color", "--continue-on-failure",
        "--no-shrink", "--warnings=off", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=room,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), seconds * 2 + 120)
    return process.returncode or 0, output.decode(errors="replace")


@pytest.mark.parametrize(("role", "phase"), TRIED)
async def test_whatever_is_sent_the_answer_is_one_that_is_described(site, left, role, phase, tmp_path):
    seconds = SECONDS // len(TRIED)
    sys.stdout.write(f"\n{role}, {phase}: {seconds} s, MOTCUA_FUZZ_SEED={SEED}\n")
    status, output = await fuzzed(site, role, phase, seconds, tmp_path, left)
    if "Empty test suite" in output:  # a machine so busy that the time was over before the first request
        status, output = await fuzzed(site, role, phase, seconds * 3, tmp_path, left)
    sys.stdout.write("\n".join(output.splitlines()[-12:]) + "\n")
    assert status == 0, output[-20_000:]
    assert "Empty test suite" not in output
    assert site.server.living() == {"api", "signer", "worker"}
    assert made(await site["thuly"].get("/readyz"))["ready"]
