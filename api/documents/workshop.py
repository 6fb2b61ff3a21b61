"""What the documents' jobs share: the bounded process pool, the store, the keys, the clock, whom to trust."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from api.db.pools import Pools
from api.db.privacy import Vault
from api.documents.blobs import BlobStore
from api.kernel import Clock
from signing.contract import LintLimits, Trust

R = TypeVar("R")


class ProcessPool(Protocol):
    """The bounded process pool (`signing.pdf.bounded.BoundedPool`): one task a process, ended when over its time."""

    async def run(self, work: Callable[..., R], *args: Any, timeout_s: float, **kwargs: Any) -> R:
        """Run one picklable task; raise TimedOut or Crashed, or the task's own SigningError."""
        ...


@dataclass(frozen=True, slots=True)
class Workshop:
    """Everything the documents' jobs need."""

    pools: Pools
    processes: ProcessPool
    blobs: BlobStore
    vault: Vault
    trust: Trust
    clock: Clock
    public_url: str
    limits: LintLimits
