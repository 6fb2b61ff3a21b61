"""The operators' part of the command line: what each command is told, and what does it, loaded only when it is run."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import Final
from uuid import UUID


def operators_dsn() -> str:
    """Return the worker's DSN, by which operators read: of the environment, or of the demo that is laid here.

    Raises:
        BadSettings: there is neither.
    """
    from api.embedded.demo_settings import layout, read_environment  # noqa: PLC0415
    from api.settings import BadSettings  # noqa: PLC0415

    name, kept = "DATABASE_URL_WORKER", layout().settings / "worker.env"
    dsn = os.environ.get(name) or (read_environment(kept).get(name) if kept.is_file() else None)
    if not dsn:
        raise BadSettings([(f"{name}: chưa có", f"{name}: is missing")])
    return dsn


def _trace(options: argparse.Namespace) -> int:
    from api.operating import commands  # noqa: PLC0415

    return commands.trace(operators_dsn(), options.ticket, sys.stdout.write)


def _failures(options: argparse.Namespace) -> int:
    from api.operating import commands  # noqa: PLC0415

    return commands.failures(operators_dsn(), options.account, options.ticket, options.limit, sys.stdout.write)


def _jobs(options: argparse.Namespace) -> int:
    from api.operating import commands  # noqa: PLC0415

    if options.action == "parked":
        return commands.parked(operators_dsn(), sys.stdout.write)
    return commands.settle(operators_dsn(), options.key, again=options.action == "requeue", write=sys.stdout.write)


def _certificates(options: argparse.Namespace) -> int:
    from api.operating import commands  # noqa: PLC0415

    return commands.certificates(operators_dsn(), options.within, sys.stdout.write)


def _trace_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("ticket", metavar="TICKET", type=UUID, help="mã lượt ký / the ticket's id")


def _failures_options(command: argparse.ArgumentParser) -> None:
    which = command.add_mutually_exclusive_group()
    which.add_argument("--account", metavar="LOGIN", help="của một tài khoản / of one account")
    which.add_argument("--ticket", metavar="ID", type=UUID, help="của một lượt ký / of one ticket")
    command.add_argument("--limit", metavar="N", type=int, default=10, help="bao nhiêu / how many")


def _jobs_options(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="parked | requeue | drop")
    actions.add_parser("parked", help="việc tạm giữ, cần người xem / what lies parked")
    for name, text in (("requeue", "làm lại một việc / do one again"), ("drop", "bỏ hẳn một việc / forget one")):
        actions.add_parser(name, help=text).add_argument("key", metavar="KEY", help="khóa của việc / the job's key")


def _certificates_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--within", metavar="DAYS", type=int, default=60, help="trong bao nhiêu ngày / in days")


Command = tuple[str, Callable[[argparse.Namespace], int], Callable[[argparse.ArgumentParser], None]]
COMMANDS: Final[dict[str, Command]] = {
    "trace": ("một lượt ký đang ở đâu / where a ticket stands", _trace, _trace_options),
    "failures": ("các lần ký thất bại gần đây / what was not signed lately", _failures, _failures_options),
    "jobs": ("việc tạm giữ: xem, làm lại, bỏ / parked work: list, requeue, drop", _jobs, _jobs_options),
    "certificates": ("chứng thư sắp hết hạn / certificates that end soon", _certificates, _certificates_options),
}
