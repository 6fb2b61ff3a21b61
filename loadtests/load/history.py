"""The history of runs: one line each in a file that is kept with the code, and the last of a kind to compare with."""

from pathlib import Path
from typing import Final

import msgspec

from loadtests.load.verdict import Evidence

REPORTS: Final = Path(__file__).resolve().parents[1] / "reports"
HISTORY: Final = REPORTS / "history.jsonl"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One run: its verdict and its evidence without what is only plotted."""

    word: str
    evidence: Evidence


def read(path: Path = HISTORY) -> list[Entry]:
    """Return all runs, the oldest first."""
    if not path.exists():
        return []
    return [msgspec.json.decode(line, type=Entry) for line in path.read_bytes().splitlines() if line]


def last_like(entries: list[Entry], evidence: Evidence) -> Entry | None:
    """Return the latest run that counts of the same shape, size and machine."""
    return next(
        (
            one
            for one in reversed(entries)
            if one.word != "VOID" and _kind(one.evidence) == _kind(evidence) and one.evidence.at < evidence.at
        ),
        None,
    )


def _kind(evidence: Evidence) -> tuple[object, ...]:
    return evidence.shape, evidence.users, evidence.rate, evidence.faults, evidence.quick, evidence.machine.cores


def other_model(entries: list[Entry], evidence: Evidence) -> Evidence | None:
    """Return the latest whole run that counts of the other model, open against closed, with as many operations."""
    those = (
        one.evidence
        for one in reversed(entries)
        if one.word != "VOID" and bool(one.evidence.rate) != bool(evidence.rate) and not one.evidence.quick
    )
    return next((one for one in those if len(one.latencies) >= len(evidence.latencies) / 2), None)


def add(word: str, evidence: Evidence, path: Path = HISTORY) -> None:
    """Write a run behind the others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = Entry(word=word, evidence=msgspec.structs.replace(evidence, series={}, model=()))
    with path.open("ab") as file:
        file.write(msgspec.json.encode(entry) + b"\n")
