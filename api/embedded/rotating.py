"""`motcua keys new | list | rotate | retire`: keys for data, second factors, sessions and checkpoints, one way for all.

A key is drawn, named second in the settings, then first, then what older keys sealed is put under it, and the old one
is dropped once `retire` finds nothing that needs it. Each command works with the settings of the process it belongs to.
"""

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from api import settings
from api.db.pools import Pools, open_pools
from api.db.privacy import Vault
from api.embedded import demo_settings
from api.errors import Conflict, Invalid, NotFound
from api.kernel import system_clock, vn_day
from api.rotation import reseal, store
from api.rotation.columns import Place
from api.settings import ROLE_VARIABLE, Process, Settings

Kind = Literal["data", "factors", "sessions", "checkpoints"]
Write = Callable[[str], object]

VARIABLE: Final[Mapping[Kind, str]] = {
    "data": "MOTCUA_DATA_KEYS",
    "factors": "MOTCUA_FACTOR_KEYS",
    "sessions": "MOTCUA_SESSION_KEYS",
    "checkpoints": "MOTCUA_CHECKPOINT_KEYS",
}
COUNTED_BY: Final[Mapping[Kind, Process]] = {
    "data": "worker",
    "factors": "signer",
    "sessions": "api",
    "checkpoints": "worker",
}
"""Whose settings hold the keys and whose role knows what they hold up."""


def new(kind: Kind, key_id: str | None, *, write: Write, tell: Write) -> int:
    """Draw a key and say where it goes; the key alone is written, for a file or a pipe."""
    name = key_id or f"k{vn_day(system_clock()):%Y%m%d}"
    write(f"{name}:{secrets.token_hex(32)}\n")
    tell(
        f"» Thêm vào CUỐI {VARIABLE[kind]} ở mọi tiến trình, khởi động lại; rồi chuyển lên ĐẦU, khởi động lại.\n"
        f"» Add it at the END of {VARIABLE[kind]} of every process and restart; then at the FRONT, and restart.\n"
    )
    return 0


def show(kind: Kind, *, as_json: bool, write: Write) -> int:
    """Write which key comes first, and what each still holds up.

    Raises:
        BadSettings: the settings of the process are not complete.
    """
    told = _told(COUNTED_BY[kind])
    named = list(_keys_of(told, kind))
    used = asyncio.run(_uses(told, kind))
    if as_json:
        write(
            msgspec.json.format(msgspec.json.encode({"first": named[0], "keys": named, "uses": used})).decode() + "\n"
        )
        return 0
    for key_id in [*named, *sorted(set(used) - set(named))]:
        mark = "▶" if key_id == named[0] else " " if key_id in named else "✗"
        write(f"{mark} {key_id}: {_counted(used.get(key_id, {})) or '–'}\n")
    return 0


def rotate(kind: Kind, *, write: Write) -> int:
    """Put what older keys sealed under the first one, with progress; may be stopped and repeated.

    Raises:
        BadSettings: the settings of the process are not complete.
        Broken: something is sealed by a key that the settings do not name.
    """
    if kind in ("sessions", "checkpoints"):
        told = _told(COUNTED_BY[kind])
        first = next(iter(_keys_of(told, kind)))
        write(
            f"» Không có gì phải mã hóa lại: từ nay dùng khóa {first}; trước khi bỏ khóa cũ: motcua keys retire.\n"
            f"» Nothing has to be sealed again: {first} is used from now on; before dropping one: motcua keys retire.\n"
        )
        return 0
    processes: tuple[Process, ...] = ("worker", "signer") if kind == "data" else ("signer",)
    reachable: list[Process] = [process for process in processes if _environment(process) is not None]
    for process in reachable or list(processes[:1]):
        asyncio.run(_rotate(_told(process), kind, process, write))
    for process in set(processes) - set(reachable):
        write(
            f"• Còn phần của {process}: chạy lại với thiết lập của nó  /  run it again with the settings of {process}\n"
        )
    return 0


def retire(kind: Kind, key_id: str, *, write: Write) -> int:
    """Say that a key may be dropped from the settings.

    Raises:
        NotFound: the settings do not name it.
        Conflict: it comes first, or something still needs it; the words say what.
    """
    told = _told(COUNTED_BY[kind])
    named = list(_keys_of(told, kind))
    if key_id not in named:
        raise NotFound(f"{VARIABLE[kind]} không có khóa {key_id!r}.", f"{VARIABLE[kind]} names no key {key_id!r}.")
    if key_id == named[0]:
        raise Conflict(
            f"Khóa {key_id!r} đứng đầu: nó đang được dùng.",
            f"The key {key_id!r} comes first: it is the one in use.",
            code="key-current",
            next_step=("Đặt khóa mới lên đầu và khởi động lại.", "Put the new key first and restart."),
        )
    used = asyncio.run(_uses(told, kind)).get(key_id)
    if used:
        raise Conflict(
            f"Khóa {key_id!r} vẫn cần cho: {_counted(used)}.",
            f"The key {key_id!r} is still needed for: {_counted(used)}.",
            code="key-in-use",
            next_step=_WAIT.get(kind, (f"Chạy: motcua keys rotate {kind}", f"Run: motcua keys rotate {kind}")),
        )
    write(
        f"✓ Không còn gì cần khóa {key_id}: có thể bỏ khỏi {VARIABLE[kind]} của mọi tiến trình.\n"
        f"  Nothing needs the key {key_id}: it may go from {VARIABLE[kind]} of every process.\n"
    )
    return 0


_WAIT: Final[Mapping[Kind, tuple[str, str]]] = {
    "sessions": (
        "Chờ các phiên ấy kết thúc (nhiều nhất là MOTCUA_SESSION_ABSOLUTE_S).",
        "Wait until those sessions have ended (MOTCUA_SESSION_ABSOLUTE_S at most).",
    ),
    "checkpoints": (
        "Chờ worker ký điểm kiểm tra đầu tiên bằng khóa mới.",
        "Wait until the worker has signed its first checkpoint with the new key.",
    ),
}


async def _rotate(told: Settings, kind: Literal["data", "factors"], process: Process, write: Write) -> None:
    vault = _vault(told, kind)
    pools = await _open(told)

    def progress(place: Place, seen: int, renewed: int) -> None:
        write(f"» {place.vi}: {renewed}/{seen}  /  {place.en}\n")

    try:
        await reseal.reseal(pools, vault, kind, process, system_clock(), progress)
    finally:
        await pools.close()
    write(f"✓ {process}: tất cả dùng khóa {vault.current}  /  everything is under {vault.current}\n")


async def _uses(told: Settings, kind: Kind) -> dict[str, dict[str, int]]:
    pools = await _open(told)
    try:
        if kind in ("data", "factors"):
            return await reseal.uses_of(pools, kind, _vault(told, kind), told.process, system_clock())
        async with pools.reading() as tx:
            what = "sessions" if kind == "sessions" else "the newest checkpoint"
            used = await (store.uses_sessions(tx, system_clock()) if kind == "sessions" else store.uses_checkpoints(tx))
        return {key_id: {what: count} for key_id, count in used.items()}
    finally:
        await pools.close()


async def _open(told: Settings) -> Pools:
    return await open_pools(told.database_url, read_size=1, write_size=1, budget_s=30.0)


def _vault(told: Settings, kind: Kind) -> Vault:
    return Vault(told.data_keys, told.data_key) if kind == "data" else Vault(told.factor_keys, told.factor_key)


def _keys_of(told: Settings, kind: Kind) -> Mapping[str, bytes]:
    return {
        "data": told.data_keys,
        "factors": told.factor_keys,
        "sessions": told.session_keys,
        "checkpoints": told.checkpoint_keys,
    }[kind]


def _told(process: Process) -> Settings:
    environment = _environment(process)
    if environment is None:
        raise Invalid(
            f"Chưa có thiết lập của {process}.",
            f"The settings of {process} are not here.",
            next_step=("Dùng: motcua --env TỆP keys …", f"Use: motcua --env FILE keys …, with the file of {process}"),
        )
    return settings.read(process, environment)


def _environment(process: Process) -> Mapping[str, str] | None:
    """Return the settings of a process: those of this command, else the demo's own."""
    if os.environ.get(ROLE_VARIABLE[process]):
        return os.environ
    made = demo_settings.layout().settings / f"{process}.env"
    alone = not any(os.environ.get(variable) for variable in ROLE_VARIABLE.values())
    return demo_settings.read_environment(made) if alone and made.exists() else None


def _counted(used: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(used.items()))
