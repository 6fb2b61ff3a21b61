"""The life of a signature request: one table, no clock, no database.

`to_sign -> asked -> prepared -> sent -> value_received -> recorded`, or `refused | expired | failed | superseded`.
The database repeats this table in `signature_request_guard`; a test compares the two.
"""

from enum import StrEnum
from typing import Final

from api.errors import Refused


class State(StrEnum):
    """Where a request stands."""

    TO_SIGN = "to_sign"  # chờ ký
    ASKED = "asked"  # the person has acted; the authorisation covers exactly the digest shown
    PREPARED = "prepared"  # the bytes to be signed are fixed
    SENT = "sent"  # the intent to use the key is committed
    VALUE_RECEIVED = "value_received"  # a value that fits is committed
    RECORDED = "recorded"  # the signed revision is the head
    REFUSED = "refused"  # không ký
    EXPIRED = "expired"
    FAILED = "failed"
    SUPERSEDED = "superseded"  # the revision it was for is evidence now


OPEN: Final = frozenset({State.ASKED, State.PREPARED, State.SENT, State.VALUE_RECEIVED})
"""A request in one of these is the one job that may write its document."""

TRANSITIONS: Final[dict[State, frozenset[State]]] = {
    # An approval bound to the hash (ký nháy without a PDF signature) is recorded straight away.
    State.TO_SIGN: frozenset({State.ASKED, State.RECORDED, State.REFUSED, State.SUPERSEDED}),
    # Back to to_sign: what is not signed when an authorisation ends returns to the list.
    State.ASKED: frozenset(
        {State.PREPARED, State.TO_SIGN, State.RECORDED, State.REFUSED, State.EXPIRED, State.FAILED, State.SUPERSEDED}
    ),
    # Back to asked: older than its window, or past a change of mandate, hence prepared anew.
    State.PREPARED: frozenset({State.SENT, State.ASKED, State.TO_SIGN, State.EXPIRED, State.FAILED, State.SUPERSEDED}),
    # Never superseded while the holder may still answer.
    State.SENT: frozenset({State.VALUE_RECEIVED, State.TO_SIGN, State.REFUSED, State.EXPIRED, State.FAILED}),
    State.VALUE_RECEIVED: frozenset({State.RECORDED, State.ASKED, State.TO_SIGN, State.FAILED, State.SUPERSEDED}),
    State.RECORDED: frozenset({State.SUPERSEDED}),
    State.REFUSED: frozenset(),
    State.EXPIRED: frozenset({State.TO_SIGN}),
    State.FAILED: frozenset({State.TO_SIGN}),
    State.SUPERSEDED: frozenset(),
}

APP_MAY: Final = frozenset(
    {
        (State.TO_SIGN, State.REFUSED),
        (State.TO_SIGN, State.SUPERSEDED),
        (State.ASKED, State.TO_SIGN),
        (State.ASKED, State.REFUSED),
        (State.ASKED, State.SUPERSEDED),
    }
)
"""The moves that the API's database role may make; the signer makes all others."""

assert set(TRANSITIONS) == set(State)  # noqa: S101 - a gap here is our bug, and import is the time to find it


def diagram() -> str:
    """Return the table as a Mermaid state diagram, line by line in the order of the states; `app` marks `APP_MAY`."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.TO_SIGN}"]
    for before in State:
        for after in (state for state in State if state in TRANSITIONS[before]):
            mark = " : app" if (before, after) in APP_MAY else ""
            lines.append(f"    {before} --> {after}{mark}")
    return "\n".join(lines) + "\n"


def move(before: State, after: State) -> State:
    """Return `after` if the table allows it from `before`.

    Raises:
        Refused: it does not; the error names the states that are allowed.
    """
    if after not in TRANSITIONS[before]:
        raise Refused(
            f"Yêu cầu ký đang ở trạng thái «{before}», không chuyển sang «{after}» được.",
            f"The signature request is in state '{before}' and cannot become '{after}'.",
            allowed=tuple(sorted(TRANSITIONS[before])),
            code="signature-state",
        )
    return after
