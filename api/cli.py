"""The command line `motcua`: each command imports only what it needs, and an error is words, never a traceback."""

import argparse
import asyncio
import difflib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

from api.errors import MotcuaError

_PROGRAMS: Final = {"api": "api.http.server", "signer": "api.signer", "worker": "api.worker"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0 done, 1 refused or failed, 2 not understood."""
    options = _parser().parse_args(arguments)
    try:
        if options.env:
            _take_environment(Path(options.env))
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except MotcuaError as error:
        _complain(error)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # somebody piped us into `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def say(vi: str, en: str) -> None:
    """Print one line of progress, Vietnamese first."""
    sys.stdout.write(f"» {vi}  /  {en}\n")
    sys.stdout.flush()


class _Parser(argparse.ArgumentParser):
    """Answers a slip with what was probably meant."""

    def error(self, message: str) -> NoReturn:
        """Say what was not understood, in Vietnamese and English, and exit with 2."""
        sys.stderr.write(f"Không hiểu lệnh. / Not understood: {message}\n")
        words = [word for word in sys.argv[1:] if not word.startswith("-")]
        near = difflib.get_close_matches(words[0], _COMMANDS, n=1, cutoff=0.4) if words else []
        if near and near[0] != words[0]:
            sys.stderr.write(f"Có phải: motcua {near[0]}? / Did you mean: motcua {near[0]}?\n")
        sys.stderr.write("Các lệnh / Commands:\n")
        sys.stderr.writelines(f"  motcua {name:<8} {text}\n" for name, (text, *_) in _COMMANDS.items())
        raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="motcua", description="Một cửa: hồ sơ, chữ ký số, con dấu. / Dossiers, signatures, seals.")
    parser.add_argument("--env", metavar="FILE", help="đọc biến môi trường từ tệp / read settings from a file")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (text, run, add_options) in _COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        add_options(command)
    return parser


def _complain(error: MotcuaError) -> None:
    sys.stderr.write(f"Lỗi: {error.vi}\nError: {error.en}\n")
    if error.next_step:
        sys.stderr.write(f"→ {error.next_step[0]}\n→ {error.next_step[1]}\n")


def _take_environment(path: Path) -> None:
    from api.embedded.demo_settings import read_environment  # noqa: PLC0415
    from api.errors import Invalid  # noqa: PLC0415

    try:
        os.environ.update(read_environment(path))
    except OSError as error:
        raise Invalid(f"Không đọc được {path}: {error.strerror}", f"Cannot read {path}: {error.strerror}") from None


def _up(options: argparse.Namespace) -> int:
    from api.embedded.up import up  # noqa: PLC0415

    return asyncio.run(up(demo=options.demo, once=False, say=say))


def _demo(_: argparse.Namespace) -> int:
    from api.embedded.up import demo  # noqa: PLC0415

    return asyncio.run(demo(say))


def _process(options: argparse.Namespace) -> int:
    import importlib  # noqa: PLC0415

    from api import settings  # noqa: PLC0415

    told = settings.read(options.command)
    program = importlib.import_module(_PROGRAMS[options.command])
    if getattr(options, "check", False):
        return int(program.check(told))
    return int(program.main(told))


def _migrate(options: argparse.Namespace) -> int:
    from api.db import migrate  # noqa: PLC0415
    from api.settings import BadSettings  # noqa: PLC0415

    if options.dump:
        from api.embedded.scratch import schema_text  # noqa: PLC0415

        migrate.SCHEMA_FILE.write_text(asyncio.run(schema_text(say)), encoding="utf-8")
        say(f"Đã ghi {migrate.SCHEMA_FILE}", f"Wrote {migrate.SCHEMA_FILE}")
        return 0
    owner = os.environ.get("DATABASE_URL")
    if not owner:
        raise BadSettings([("DATABASE_URL: chưa có", "DATABASE_URL: is missing")])
    applied = asyncio.run(migrate.migrate(owner))
    say(f"Đã áp dụng: {', '.join(applied) or 'không có gì mới'}", f"Applied: {', '.join(applied) or 'nothing new'}")
    return 0


def _people(options: argparse.Namespace) -> int:
    from api.embedded import first_administrator  # noqa: PLC0415
    from api.kernel import system_clock  # noqa: PLC0415

    made = first_administrator.make(options.login, options.name, at=system_clock())
    say(f"Đã tạo quản trị của tỉnh: {made.login}", f"Made an administrator of the province: {made.login}")
    sys.stdout.write(f"{made.password}\n{made.totp_uri}\n")
    say("Mật khẩu dùng một lần, trong 24 giờ; chỉ hiện lần này.", "A one-time password for 24 hours; shown this once.")
    return 0


def _doctor(_: argparse.Namespace) -> int:
    from api.embedded.doctor import examine  # noqa: PLC0415

    return examine(sys.stdout.write)


def _verify(options: argparse.Namespace) -> int:
    from api.embedded.verifying import verify_file  # noqa: PLC0415

    return verify_file(Path(options.file), as_json=options.json, write=sys.stdout.write)


def _bench(options: argparse.Namespace) -> int:
    """Start a benchmark as a process of its own: the product never imports its load tests."""
    import subprocess  # noqa: PLC0415

    told = ["--json"] if options.json else []
    return subprocess.run([sys.executable, "-m", f"loadtests.bench.{options.name}", *told], check=False).returncode  # noqa: S603 - the name is one of a fixed list


def _no_options(_: argparse.ArgumentParser) -> None:
    """Add nothing: the command has no options."""


def _up_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--demo", action="store_true", help="dữ liệu và khóa để thử / demo data and keys")


def _signer_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--check", action="store_true", help="chỉ kiểm tra khóa / only check the keys")


def _migrate_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--dump", action="store_true", help="ghi lại schema.sql / write schema.sql anew")


def _people_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("action", choices=("first-administrator",), help="việc cần làm / what to do")
    command.add_argument("--login", required=True, help="tên đăng nhập / log-in name")
    command.add_argument("--name", required=True, help="họ tên / name in public office")


def _verify_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="tệp PDF / the PDF file")
    command.add_argument("--json", action="store_true", help="in JSON / print JSON")


def _bench_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("name", choices=_BENCHES, help="đo gì / what to measure")
    command.add_argument("--json", action="store_true", help="in JSON / print JSON")


_BENCHES: Final = ("api", "audit")
_Command = tuple[str, Callable[[argparse.Namespace], int], Callable[[argparse.ArgumentParser], None]]
_COMMANDS: Final[dict[str, _Command]] = {
    "up": ("chạy tất cả trên máy này / run everything on this machine", _up, _up_options),
    "demo": ("đi một hồ sơ qua năm bước / take a dossier through the five steps", _demo, _no_options),
    "api": ("tiến trình web / the web process", _process, _no_options),
    "signer": ("tiến trình ký số / the signing process", _process, _signer_options),
    "worker": ("tiến trình việc nền / the background process", _process, _no_options),
    "migrate": ("nâng cấp cơ sở dữ liệu / bring the database up to date", _migrate, _migrate_options),
    "people": (
        "tạo quản trị đầu tiên của tỉnh / make the first administrators of a province",
        _people,
        _people_options,
    ),
    "verify": ("kiểm tra một tệp PDF đã ký / verify a signed PDF", _verify, _verify_options),
    "bench": ("đo tốc độ / measure speed", _bench, _bench_options),
    "doctor": ("tìm xem thiếu gì, hỏng gì / say what is missing or wrong", _doctor, _no_options),
}
