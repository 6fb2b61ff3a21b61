"""The bill of materials: the packages of the lock, held against what is installed from it and what those ask for."""

import importlib.util
import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SBOM = REPOSITORY / "deploy" / "sbom.py"
LOCK = """# made by a tool
aiohttp[speedups]==3.14.5 \\
    --hash=sha256:00 \\
    --hash=sha256:01
    # via motcua (pyproject.toml)
attrs==26.1.0 ; python_version < "4" \\
    --hash=sha256:02
    # via
    #   -c requirements.lock
    #   aiohttp
    #   motcua (pyproject.toml)
"""


@pytest.fixture(scope="module")
def sbom():
    spec = importlib.util.spec_from_file_location("sbom", SBOM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(name: str) -> str:
    """A name as the lock writes it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", name)[0]).lower()


def test_a_lock_is_read_with_its_extras_markers_and_reasons(sbom):
    told = sbom.bill(LOCK, "1.2.3")
    assert [one["purl"] for one in told["components"]] == ["pkg:pypi/aiohttp@3.14.5", "pkg:pypi/attrs@26.1.0"]
    assert told["dependencies"] == [
        {"ref": "motcua", "dependsOn": ["pkg:pypi/aiohttp@3.14.5", "pkg:pypi/attrs@26.1.0"]},
        {"ref": "pkg:pypi/aiohttp@3.14.5", "dependsOn": ["pkg:pypi/attrs@26.1.0"]},
        {"ref": "pkg:pypi/attrs@26.1.0", "dependsOn": []},
    ]
    assert told == sbom.bill(LOCK, "1.2.3")
    assert told["serialNumber"] != sbom.bill(LOCK + "#", "1.2.3")["serialNumber"]


def test_the_bill_is_what_is_installed_and_whole():
    told = json.loads(subprocess.run([sys.executable, SBOM], check=True, capture_output=True).stdout)
    named = {one["bom-ref"]: one for one in told["components"]}
    pinned = re.findall(r"^[a-z0-9].*==", (REPOSITORY / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(named) == len(pinned) > 50
    assert {one["name"]: one["version"] for one in named.values()} == {
        one["name"]: metadata.version(one["name"]) for one in named.values()
    }
    needs = {each["ref"]: each["dependsOn"] for each in told["dependencies"]}
    assert set(needs) == {"motcua", *named}
    for ref, wanted in needs.items():
        asked = {plain(one) for one in metadata.requires(named[ref]["name"] if ref in named else "motcua") or ()}
        assert {named[one]["name"] for one in wanted} <= asked, ref
    reached, fresh = set(), {"motcua"}
    while fresh:
        reached |= fresh
        fresh = {need for ref in fresh for need in needs[ref]} - reached
    assert reached == set(needs), "nothing is installed that nothing asks for"
