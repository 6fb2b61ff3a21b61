"""The port of a holder whose service can say, days later, how a transaction of ours ended: its account against ours."""

from typing import Protocol, runtime_checkable

from signing.contract import Outcome


@runtime_checkable
class Recalls(Protocol):
    """A holder whose service keeps transactions under our own ids."""

    async def recall(self, transaction_id: str) -> Outcome:
        """Ask the service itself how a transaction stands; raise HolderUnavailable where it does not answer."""
        ...
