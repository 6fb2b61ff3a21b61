"""What the fault tests share: one server with fsync on, which they may kill."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.conftest import Province
from tests.durable import DurableServer, durable_server


@pytest_asyncio.fixture(scope="session")
async def durable(province: Province) -> AsyncIterator[DurableServer]:
    """A durable server: take a database of it, and kill it as you like."""
    async with durable_server(province) as server:
        yield server
