"""The trace id of a request: W3C `traceparent` where one came, otherwise a new one; answered as `X-Request-Id`."""

import re
import secrets
from typing import Final

_TRACEPARENT: Final = re.compile(rb"^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$")
_NONE: Final = b"0" * 32


def trace_id_of(traceparent: bytes | None) -> str:
    """Return the 32 hexadecimal digits of the trace a request belongs to (W3C Trace Context, level 1)."""
    found = _TRACEPARENT.match(traceparent) if traceparent else None
    if found and found[1] != _NONE and not (traceparent or b"").startswith(b"ff"):
        return found[1].decode()
    return secrets.token_hex(16)
