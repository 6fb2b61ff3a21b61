"""The command line `motcua`: each command imports only what it needs, and an error is words, never a traceback."""

import argparse
import asyncio
import difflib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

from api.embedded import measuring, operators
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
        sys.stderr.writelines(f"  motcua {name:<12} {text}\n" for name, (text, *_) in _COMMANDS.items())
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


def _backup(options: argparse.Namespace) -> int:
    from api.backup.commands import backup  # noqa: PLC0415

    return backup(options.directory, keep=options.keep, following=options.follow, checking=options.check, say=say)


def _restore(options: argparse.Namespace) -> int:
    from api.backup.commands import bring_back  # noqa: PLC0415

    return bring_back(
        options.directory,
        to=options.to,
        into=options.into,
        base=options.base,
        margin=options.number_margin,
        floors=options.number_floor,
        look_ahead=not options.no_look_ahead,
        revocations=options.revocations,
        say=say,
    )


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
    applied = asyncio.run(migrate.migrate(owner, post=options.post))
    say(f"Đã áp dụng: {', '.join(applied) or 'không có gì mới'}", f"Applied: {', '.join(applied) or 'nothing new'}")
    if options.backfill:
        _backfill(owner)
    if waiting := asyncio.run(migrate.pending(owner, post=True)):
        named = ", ".join(waiting)
        say(
            f"Còn {named}: chạy `motcua migrate --post` khi không còn tiến trình của phiên bản cũ.",
            f"{named} waits: run `motcua migrate --post` once no process of the old version is left.",
        )
    return 0


def _people(options: argparse.Namespace) -> int:
    from api.embedded import first_administrator  # noqa: PLC0415
    from api.kernel import system_clock  # noqa: PLC0415

    made = first_administrator.make(options.login, options.name, at=system_clock())
    say(f"Đã tạo quản trị của tỉnh: {made.login}", f"Made an administrator of the province: {made.login}")
    sys.stdout.write(f"{made.password}\n{made.totp_uri}\n")
    say("Mật khẩu dùng một lần, trong 24 giờ; chỉ hiện lần này.", "A one-time password for 24 hours; shown this once.")
    return 0


def _backfill(owner: str) -> None:
    from api.db import backfill  # noqa: PLC0415
    from signing import turns  # noqa: PLC0415

    turns.stand_back()
    for each in backfill.ALL:
        told = backfill.seldom(lambda now, name=each.name: say(f"{name}: {now.rows} dòng", f"{name}: {now.rows} rows"))
        done = asyncio.run(backfill.run(owner, each, told))
        say(f"{each.name}: xong {done.rows} dòng", f"{each.name}: {done.rows} rows done")


def _doctor(_: argparse.Namespace) -> int:
    from api.embedded.doctor import examine  # noqa: PLC0415

    return examine(sys.stdout.write)


def _mode(options: argparse.Namespace) -> int:
    from api.http.control import command  # noqa: PLC0415

    return asyncio.run(command.mode(_owner(), options.mode, reason=options.reason, until=options.until, say=say))


def _limit(options: argparse.Namespace) -> int:
    from api.http.control import command  # noqa: PLC0415

    rate = None if options.remove else (options.per_second, options.burst)
    return asyncio.run(command.limit(_owner(), options.agency, options.work, rate, reason=options.reason, say=say))


def _owner() -> str:
    """Return the owner's DSN: of the environment, or of what `up --demo` has made here."""
    from api.embedded import demo_settings  # noqa: PLC0415
    from api.settings import BadSettings  # noqa: PLC0415

    made = demo_settings.layout().settings / f"{demo_settings.OWNER}.env"
    owner = os.environ.get("DATABASE_URL")
    if not owner and made.exists():
        owner = demo_settings.read_environment(made).get("DATABASE_URL")
    if not owner:
        raise BadSettings([("DATABASE_URL: chưa có", "DATABASE_URL: is missing")])
    return owner


def _verify(options: argparse.Namespace) -> int:
    from api.embedded.verifying import verify_file  # noqa: PLC0415

    return verify_file(Path(options.file), as_json=options.json, write=sys.stdout.write)


def _audit(options: argparse.Namespace) -> int:
    from api.embedded import auditing  # noqa: PLC0415

    if options.act == "export":
        return auditing.export(Path(options.file), options.since, write=sys.stdout.write, tell=sys.stderr.write)
    return auditing.verify(
        checkpoint=Path(options.checkpoint) if options.checkpoint else None,
        bundle=Path(options.bundle) if options.bundle else None,
        keys=options.key,
        as_json=options.json,
        write=sys.stdout.write,
        tell=sys.stderr.write,
    )


def _keys(options: argparse.Namespace) -> int:
    from api.embedded import rotating  # noqa: PLC0415

    if options.act == "new":
        return rotating.new(options.kind, options.id, write=sys.stdout.write, tell=sys.stderr.write)
    if options.act == "list":
        return rotating.show(options.kind, as_json=options.json, write=sys.stdout.write)
    if options.act == "rotate":
        return rotating.rotate(options.kind, write=sys.stdout.write)
    return rotating.retire(options.kind, options.id, write=sys.stdout.write)


def _no_options(_: argparse.ArgumentParser) -> None:
    """Add nothing: the command has no options."""


def _up_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--demo", action="store_true", help="dữ liệu và khóa để thử / demo data and keys")


def _signer_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--check", action="store_true", help="chỉ kiểm tra khóa / only check the keys")


def _migrate_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--dump", action="store_true", help="ghi lại schema.sql / write schema.sql anew")
    command.add_argument("--backfill", action="store_true", help="viết lại dòng cũ dần dần / rewrite old rows")
    command.add_argument("--post", action="store_true", help="bản cũ đã dừng hết / the old version is gone")


def _backup_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("directory", metavar="DIR", nargs="?", help="ở đâu; hoặc MOTCUA_BACKUP_DIR / where")
    command.add_argument("--keep", type=int, default=0, metavar="N", help="giữ N bản mới nhất / keep the newest N")
    how = command.add_mutually_exclusive_group()
    how.add_argument("--follow", action="store_true", help="nhận nhật ký và tài liệu liên tục / follow the server")
    how.add_argument("--check", action="store_true", help="chỉ kiểm tra bản đã có / only check what is there")


def _restore_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("directory", metavar="DIR", nargs="?", help="bản sao lưu; hoặc MOTCUA_BACKUP_DIR / the backup")
    command.add_argument("--to", metavar="TIME", help="thời điểm, như 2026-11-24T10:00:00+07:00 / the moment")
    command.add_argument("--into", metavar="PATH", help="nơi trống, mặc định var / an empty place, by default var")
    command.add_argument("--base", metavar="NAME", help="bản gốc nào / which base")
    command.add_argument(
        "--number-margin",
        type=int,
        default=10,
        metavar="N",
        help="bỏ qua N số mỗi sổ / numbers to pass over per series",
    )
    command.add_argument(
        "--number-floor", action="append", default=[], metavar="SERIES=N", help="số cuối thấy trên giấy / last on paper"
    )
    command.add_argument(
        "--no-look-ahead", action="store_true", help="không xem sau đó / do not look at what came after"
    )
    command.add_argument(
        "--revocations", metavar="FILE", help="nhật ký thu hồi cất ở ngoài / the log of revocations kept outside"
    )


def _mode_options(command: argparse.ArgumentParser) -> None:
    modes = ("normal", "read-only", "maintenance")
    command.add_argument("mode", nargs="?", choices=modes, help="không có: cho xem / without: show it")
    command.add_argument("--reason", default="", help="lý do, người dùng đọc được / why, as people read it")
    command.add_argument("--until", help="đến khi nào, ISO 8601 / until when")


def _limit_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("agency", help="mã cơ quan, hoặc all / an agency's code, or all")
    command.add_argument("work", help="loại công việc, hoặc all / class of work, or all")
    command.add_argument("--per-second", type=float, default=100.0, help="về lâu dài / in the long run")
    command.add_argument("--burst", type=int, default=1000, help="cùng một lúc / at once")
    command.add_argument("--reason", default="", help="lý do / why")
    command.add_argument("--remove", action="store_true", help="trở về mặc định / back to the default")


def _people_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("action", choices=("first-administrator",), help="việc cần làm / what to do")
    command.add_argument("--login", required=True, help="tên đăng nhập / log-in name")
    command.add_argument("--name", required=True, help="họ tên / name in public office")


def _verify_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="tệp PDF / the PDF file")
    command.add_argument("--json", action="store_true", help="in JSON / print JSON")


def _audit_options(command: argparse.ArgumentParser) -> None:
    acts = command.add_subparsers(dest="act", required=True, metavar="verify | export")
    verify = acts.add_parser("verify", help="nhật ký còn nguyên vẹn không / is the audit as it was sealed")
    verify.add_argument("--checkpoint", metavar="FILE", help="tệp điểm kiểm tra ở ngoài / checkpoints kept outside")
    verify.add_argument("--bundle", metavar="FILE", help="gói đã xuất; không cần cơ sở dữ liệu / a bundle; no database")
    verify.add_argument("--key", metavar="ID:HEX", action="append", default=[], help="khóa công khai / a public key")
    verify.add_argument("--json", action="store_true", help="in JSON / print JSON")
    export = acts.add_parser("export", help="xuất bằng chứng ra một tệp / write evidence to a file")
    export.add_argument("file", metavar="FILE", help="tệp mới / a new file")
    export.add_argument("--since", metavar="TIME", help="chỉ từ thời điểm này (UTC) / only from this instant on")


def _keys_options(command: argparse.ArgumentParser) -> None:
    acts = command.add_subparsers(dest="act", required=True, metavar="new | list | rotate | retire")
    kinds = ("data", "factors", "sessions", "checkpoints")
    new = acts.add_parser("new", help="tạo một khóa mới / draw a new key")
    new.add_argument("--id", help="tên khóa / the key's id")
    shown = acts.add_parser("list", help="khóa nào đang dùng cho gì / which key holds what up")
    shown.add_argument("--json", action="store_true", help="in JSON / print JSON")
    rotate = acts.add_parser("rotate", help="mã hóa lại bằng khóa đứng đầu / seal again under the first key")
    retire = acts.add_parser("retire", help="hỏi xem bỏ khóa này được chưa / ask whether a key may be dropped")
    for act in (new, shown, rotate, retire):
        act.add_argument("kind", choices=kinds, help="loại khóa / kind of key")
    retire.add_argument("id", help="tên khóa / the key's id")


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
    "backup": ("sao lưu cơ sở dữ liệu và tài liệu / back up database and documents", _backup, _backup_options),
    "restore": ("khôi phục về một thời điểm / restore to a moment", _restore, _restore_options),
    "verify": ("kiểm tra một tệp PDF đã ký / verify a signed PDF", _verify, _verify_options),
    **operators.COMMANDS,
    "mode": ("bảo trì, chỉ xem / maintenance, read-only", _mode, _mode_options),
    "limit": ("giới hạn số yêu cầu của cơ quan / how often an agency may ask", _limit, _limit_options),
    **measuring.COMMANDS,
    "audit": ("kiểm tra, xuất nhật ký kiểm toán / verify or export the audit", _audit, _audit_options),
    "keys": ("tạo, đổi, bỏ khóa / draw, rotate and drop keys", _keys, _keys_options),
    "doctor": ("tìm xem thiếu gì, hỏng gì / say what is missing or wrong", _doctor, _no_options),
}
