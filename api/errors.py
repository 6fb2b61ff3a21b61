"""Everything that can be refused or go wrong, as kinds; `api.http.problems` alone turns a kind into a status.

MotcuaError
├── Invalid        what was sent cannot be right (400; 422 where it is a field)
├── Unauthenticated nobody is logged in, or the factor was wrong (401)
├── Forbidden      somebody is, but may not do this here (403)
├── NotFound       no such thing, or none that this actor may know of (404)
├── Refused        a step that the state does not allow; says which steps are allowed (409)
├── Conflict       somebody else was first, or the same key came with another body (409)
├── TooLarge       over a size or count limit (413)
├── Busy           no room now; says when to come again (503)
└── Broken         our own fault: an invariant does not hold (500)
"""

from typing import Any, ClassVar


class MotcuaError(Exception):
    """The root. `code` is stable and machine-readable; `vi` and `en` are what a person reads."""

    code: ClassVar[str] = "error"

    def __init__(
        self, vi: str, en: str, *, code: str | None = None, next_step: tuple[str, str] | None = None, **facts: Any
    ) -> None:
        """Say what happened in Vietnamese and English; `facts` are shown beside it and must not hold personal data."""
        super().__init__(f"{vi} / {en}")
        self.vi = vi
        self.en = en
        self.kind_code = code or self.code
        self.next_step = next_step
        self.facts = facts


class Invalid(MotcuaError):
    """What was sent cannot be right."""

    code = "invalid"


class Unauthenticated(MotcuaError):
    """Nobody is logged in, the session has ended, or a factor was wrong."""

    code = "unauthenticated"


class Forbidden(MotcuaError):
    """The actor is known but has no right to this act at this agency."""

    code = "forbidden"


class NotFound(MotcuaError):
    """There is no such thing, or none that this actor may know of."""

    code = "not-found"


class Refused(MotcuaError):
    """The state does not allow this step. `allowed` names the steps that it does allow."""

    code = "step-refused"

    def __init__(self, vi: str, en: str, *, allowed: tuple[str, ...], code: str | None = None, **facts: Any) -> None:
        """Refuse a step and say what is allowed instead."""
        super().__init__(vi, en, code=code, **facts)
        self.allowed = allowed


class Conflict(MotcuaError):
    """Somebody else was first, or the same idempotency key came with another body."""

    code = "conflict"


class TooLarge(MotcuaError):
    """Over a limit of size or count."""

    code = "too-large"


class Busy(MotcuaError):
    """No room at present; `retry_after_s` says in how many seconds to come again."""

    code = "busy"

    def __init__(self, vi: str, en: str, *, retry_after_s: int, code: str | None = None, **facts: Any) -> None:
        """Shed this request and say when to try again."""
        super().__init__(vi, en, code=code, **facts)
        self.retry_after_s = retry_after_s


class Broken(MotcuaError):
    """One of our own invariants does not hold; a person must look."""

    code = "broken"
