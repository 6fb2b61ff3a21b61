"""Who did what: plain rows in the transaction of the act itself, so that neither exists without the other.

A row holds ids and never personal data. Its canonical bytes and their SHA-256 are fixed when it is written; one sealer
chains *committed* rows later (nothing here touches a row that two transactions share, so nobody waits for anybody).
"""

from api.audit.rows import Columns, Entry, append, canonical_bytes, columns, log_view
from api.audit.store import append_all

__all__ = ["Columns", "Entry", "append", "append_all", "canonical_bytes", "columns", "log_view"]
