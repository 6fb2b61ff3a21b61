"""The bill of materials (CycloneDX 1.6) of what is installed for production, drawn from the lock alone.

Each package stands in it with its version, its purl and what it was brought in by, which uv writes beside it (`# via`).
What a wheel carries within itself (PostgreSQL, Typst, qpdf) is its maker's to tell and not listed. One lock always
gives one text, so two bills can be compared.
"""

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

REPOSITORY: Final = Path(__file__).resolve().parents[1]
_ENTRY: Final = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)(?:\[[^]]*\])?==(?P<version>[^\s;\\]+)")
_WHY: Final = re.compile(r"^    # +(?:via\s*)?(?P<name>[a-z0-9._-]*)")
OWN: Final = "motcua"


def bill(lock: str, version: str) -> dict[str, Any]:
    """Return the bill as CycloneDX's JSON: components, and which of them needs which."""
    components: list[dict[str, str]] = []
    needs: dict[str, set[str]] = {OWN: set()}
    refs = {OWN: OWN}
    for line in lock.splitlines():
        if entry := _ENTRY.match(line):
            name, locked = entry["name"], entry["version"]
            refs[name] = f"pkg:pypi/{name}@{locked}"
            components.append(
                {"type": "library", "bom-ref": refs[name], "name": name, "version": locked, "purl": refs[name]}
            )
        elif components and (why := _WHY.match(line)) and why["name"]:
            needs.setdefault(why["name"], set()).add(components[-1]["name"])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_OID, version + lock)}",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": refs[OWN], "name": OWN, "version": version},
        },
        "components": components,
        "dependencies": [
            {"ref": refs[name], "dependsOn": sorted(refs[need] for need in needs.get(name, ()))} for name in refs
        ],
    }


if __name__ == "__main__":
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    sys.stdout.write(json.dumps(bill(lock, project["version"]), indent=1) + "\n")
