"""One API worker with one of the product's levers undone, or one added that it does not have; all else is the same.

`python -m loadtests.bench.unlevered LEVER` starts it as `motcua api` starts the product's own.
"""

import gc
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import asyncpg
import msgspec
from granian.constants import Loops, TaskImpl
from litestar import Litestar

from api import app
from api.cli import main as motcua
from api.db import pools
from api.http import hot, lighter, server
from api.telemetry import process

_TOLD: Final = "MOTCUA_BENCH_LEVER"


class Lever(msgspec.Struct, frozen=True, kw_only=True):
    """One change that was made for speed, or tried for it."""

    name: str
    vi: str
    en: str
    change: Callable[[], None] = lambda: None
    """What is done to the worker before it builds its app."""
    server: Mapping[str, Any] = {}
    """What its server is started with instead."""
    tried: bool = False
    """The product is without it: the change adds it, where it undoes the others."""


def _by_the_framework() -> None:
    hot.HotRoutes._find = lambda *_: None  # noqa: SLF001 - what has no switch is changed from outside


def _reset_by_the_driver() -> None:
    setattr(pools, "_leave_as_it_is", None)  # noqa: B010 - what asyncpg takes for its own way


def _connect_with(**more: Any) -> None:
    plain = asyncpg.create_pool

    def create_pool(*arguments: Any, **options: Any) -> Any:
        options["server_settings"] |= more.get("server_settings", {})
        return plain(*arguments, **(more | options))

    asyncpg.create_pool = create_pool


async def _json_as_text(connection: asyncpg.Connection) -> None:
    """As the driver's manual has it."""
    await connection.set_type_codec("jsonb", encoder=_dumps, decoder=json.loads, schema="pg_catalog")


def _dumps(value: Any) -> str:
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False, separators=(",", ":"))


def _standard_json() -> None:
    hot.encode = lighter.encode = lambda value: _dumps(value).encode()
    pools.prepare_connection = _json_as_text


def _collected_as_ever() -> None:
    process.spare_the_collector = lambda: None


def _never_collected() -> None:
    process.spare_the_collector = gc.disable


LEVERS: Final[Mapping[str, Lever]] = {
    lever.name: lever
    for lever in (
        Lever(
            name="short-way", change=_by_the_framework,
            vi="tuyến nóng không qua tầng định tuyến, tham số, phụ thuộc của khung",
            en="hot routes past the framework's routing, parameters and dependencies",
        ),
        Lever(
            name="no-reset", change=_reset_by_the_driver,
            vi="trả kết nối về nhóm mà không hỏi máy chủ", en="connections go back to the pool unasked",
        ),
        Lever(
            name="kept-statements", change=lambda: _connect_with(statement_cache_size=0),
            vi="câu lệnh được chuẩn bị một lần cho mỗi kết nối", en="statements prepared once for each connection",
        ),
        Lever(
            name="kept-plans", change=lambda: _connect_with(server_settings={"plan_cache_mode": "force_custom_plan"}),
            vi="kế hoạch truy vấn được giữ lại", en="plans that PostgreSQL keeps",
        ),
        Lever(
            name="msgspec", change=_standard_json,
            vi="msgspec thay thư viện json chuẩn, jsonb ở dạng nhị phân",
            en="msgspec in place of the standard json, jsonb as it lies",
        ),
        Lever(
            name="spared-collector", change=_collected_as_ever,
            vi="bộ dọn rác bỏ qua những gì đã có từ đầu", en="the collector passes over what stands since the start",
        ),
        Lever(name="uvloop", server={"loop": Loops.asyncio}, vi="uvloop", en="uvloop in place of asyncio's own loop"),
        Lever(
            name="no-collector", change=_never_collected, tried=True,
            vi="không dọn rác", en="no garbage collection at all",
        ),
        Lever(
            name="rust-tasks", server={"task_impl": TaskImpl.rust}, tried=True,
            vi="tác vụ của granian viết bằng Rust", en="granian's own tasks in Rust",
        ),
        Lever(
            name="two-threads", server={"runtime_threads": 2}, tried=True,
            vi="hai luồng mạng cho mỗi tiến trình", en="two network threads for each worker",
        ),
    )
}  # fmt: skip


def from_environment() -> Litestar:
    """Build the app in a worker, after its lever was changed."""
    LEVERS[os.environ[_TOLD]].change()
    return app.from_environment()


def main(name: str) -> int:
    """Start the product's server with one lever changed."""
    os.environ[_TOLD] = name
    as_it_is = server._Server  # noqa: SLF001 - as above
    target = f"{__spec__.name if __spec__ else __name__}:from_environment"

    def changed(listener: Any, _: str, **options: Any) -> Any:
        return as_it_is(listener, target, **(options | LEVERS[name].server))

    setattr(server, "_Server", changed)  # noqa: B010 - as above
    return motcua(["api"])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
