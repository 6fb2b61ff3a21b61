"""What the signer counts of its own work: endings by outcome, and how long each stage of a recorded signature took."""

from datetime import datetime
from typing import Final

from prometheus_client import Counter, Histogram

from api.signatures.engine import rows

_ENDED: Final = Counter("motcua_signature_items", "Items of tickets by how they ended.", ["outcome"])
_STAGES: Final = Histogram(
    "motcua_signature_stage_seconds",
    "Seconds that a recorded signature spent in each stage, by key holder; `whole` is from the ask to the record.",
    ["stage", "holder"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900),
)
for _outcome in ("recorded", "refused", "expired", "failed"):
    _ENDED.labels(_outcome)  # a rate needs the nought from which it grew


_RAISED: Final = Histogram(
    "motcua_level_seconds",
    "Seconds from the seal until its document had the level it owed.",
    ["level"],
    buckets=(1, 5, 15, 60, 300, 900, 3600, 14400, 86400),
)
_NOT_RAISED: Final = Counter("motcua_levels_put_off", "Debts put off, by why.", ["why"])
_TIMESTAMPS: Final = Counter(
    "motcua_timestamps", "Requests for timestamps, by authority and how they ended.", ["authority", "ended"]
)
_TOOK: Final = Histogram(
    "motcua_timestamp_seconds",
    "Seconds that a request for a timestamp took.",
    ["authority"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 150),
)
_FETCHED: Final = Counter("motcua_revocation_fetches", "Fetches of OCSP and CRL, by how they ended.", ["kind", "ended"])


def timestamp(authority: str, how: str, seconds: float) -> None:
    """Count one request to a timestamping authority."""
    _TIMESTAMPS.labels(authority, how).inc()
    _TOOK.labels(authority).observe(seconds)


def fetched(kind: str, how: str) -> None:
    """Count one fetch of revocation data."""
    _FETCHED.labels(kind, how).inc()


def raised(level: str, seconds: float | None) -> None:
    """Count a raised document; a renewal has no seconds since its seal worth telling."""
    if seconds is not None:
        _RAISED.labels(level).observe(max(seconds, 0.0))
        _STAGES.labels("timestamp", "none").observe(max(seconds, 0.0))


def not_raised(why: str) -> None:
    """Count a debt that was put off."""
    _NOT_RAISED.labels(why).inc()


def ended(outcome: str, count: int = 1) -> None:
    """Count items that came to their end."""
    _ENDED.labels(outcome).inc(count)


def stages(work: rows.ToFinish, recorded_at: datetime) -> dict[str, float]:
    """Return the seconds of each stage of a signature. Pure."""
    sent_at = work.sent_at or work.prepared_at
    return {
        "prepare": (work.prepared_at - work.asked_at).total_seconds(),
        "send": (sent_at - work.prepared_at).total_seconds(),
        "confirm": (work.received_at - sent_at).total_seconds(),
        "record": (recorded_at - work.received_at).total_seconds(),
        "whole": (recorded_at - work.asked_at).total_seconds(),
    }


def recorded(work: rows.ToFinish, at: datetime) -> None:
    """Count one recorded signature with its stages; clocks of two machines may disagree, so none is below nought."""
    ended("recorded")
    for stage, seconds in stages(work, at).items():
        _STAGES.labels(stage, work.holder or "none").observe(max(seconds, 0.0))
