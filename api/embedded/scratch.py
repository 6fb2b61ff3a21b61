"""A database for one moment: started in a temporary directory, migrated, and thrown away."""

import contextlib
import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from api.db.migrate import dump, migrate
from api.embedded.postgres import Cluster, Progress


@asynccontextmanager
async def scratch_cluster(say: Progress) -> AsyncGenerator[Cluster]:
    """Start a server whose data vanish at the end."""
    root = Path(tempfile.mkdtemp(prefix="motcua-scratch-"))
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        cluster = Cluster(root)
        await cluster.start(say)
        stack.push_async_callback(cluster.stop)
        yield cluster


async def schema_text(say: Progress) -> str:
    """Return what all migrations add up to, as `api/db/schema.sql` holds it."""
    async with scratch_cluster(say) as cluster:
        await migrate(cluster.dsn("admin"))
        return await dump(cluster.dsn("admin"), cluster.bindir)
