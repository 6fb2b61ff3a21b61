"""Who did what: plain rows in the transaction of the act itself, so that neither exists without the other.

A row holds ids and never personal data. Its canonical bytes and their SHA-256 are fixed when it is written; one sealer
chains *committed* rows later (nothing here touches a row that two transactions share, so nobody waits for anybody).
"""

from api.audit.rows import Entry, append, canonical_bytes, log_view

__all__ = ["Entry", "append", "canonical_bytes", "log_view"]
