"""The rules of the house that a tool can check; rules in prose drift."""

import ast
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from litestar import get

import api.signer
import api.worker
from api.app import PUBLIC, create_app
from api.http.auth.guards import Guard, handlers_of
from tests.office import settings_for

REPOSITORY = Path(__file__).resolve().parents[1]
SCRIPTS = Path(sysconfig.get_path("scripts"))
PRODUCT = sorted([*REPOSITORY.joinpath("api").rglob("*.py"), *REPOSITORY.joinpath("signing").rglob("*.py")])
ALL_PYTHON = sorted(
    [*PRODUCT, *REPOSITORY.joinpath("tests").rglob("*.py"), *REPOSITORY.joinpath("loadtests").rglob("*.py")]
)
TEXT = (".py", ".sql", ".toml", ".md", ".typ", ".json", ".lock", ".yml", ".yaml", "Makefile", "run")
MOST_LINES_OF_A_FUNCTION = 70
MOST_LINES_OF_A_FILE = 400
LONGER_FOR_A_REASON: dict[str, str] = {}
"""Path or path:function, and why; it grows only with a row in the README's decisions."""


def _name(file: Path) -> str:
    return str(file.relative_to(REPOSITORY))


def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


def _files() -> list[Path]:
    """Every text file of the repository that git would commit."""
    words = ["git", "-C", str(REPOSITORY), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(words, capture_output=True, check=False)
    if listed.returncode == 0:
        return [REPOSITORY / name for name in listed.stdout.decode().split("\0") if name.endswith(TEXT)]
    aside = (".venv", "var", "bundle", "wheels", "build")  # a copy without git
    return [
        file
        for file in REPOSITORY.rglob("*")
        if file.is_file() and file.name.endswith(TEXT) and file.relative_to(REPOSITORY).parts[0] not in aside
    ]


def test_the_import_contracts_hold():
    done = subprocess.run(
        [SCRIPTS / "lint-imports", "--no-cache"], capture_output=True, text=True, cwd=REPOSITORY, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_import_contracts_are_awake(tmp_path):
    """Planted breaches are found, each by the contract meant for it."""
    planted = {
        "api/dossiers/lifecycle.py": "import api.db.pools\n",
        "api/registry/authority.py": "import api.desks\n",
        "api/jobs/store.py": "import litestar\n",
        "signing/pdf/prepare.py": "import socket\n",
    }
    for name in ("api", "signing"):
        copy_tree(REPOSITORY / name, tmp_path / name)
    (tmp_path / "pyproject.toml").write_text((REPOSITORY / "pyproject.toml").read_text())
    for name, line in planted.items():
        file = tmp_path / name
        file.write_text(file.read_text() + line)
    done = subprocess.run(
        [SCRIPTS / "lint-imports", "--no-cache"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    broken = {line.split()[0] for line in done.stdout.splitlines() if "BROKEN" in line}
    assert {"1", "6", "8", "9"} <= broken, done.stdout + done.stderr


def copy_tree(source: Path, target: Path) -> None:
    for file in source.rglob("*.py"):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(file.read_text(encoding="utf-8"), encoding="utf-8")


def test_functions_and_files_stay_short():
    long: list[str] = []
    for file in PRODUCT:
        lines = len(file.read_text(encoding="utf-8").splitlines())
        if lines > MOST_LINES_OF_A_FILE:
            long.append(f"{_name(file)}: {lines} lines")
        for node in ast.walk(_tree(file)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                height = node.end_lineno - node.lineno + 1
                if height > MOST_LINES_OF_A_FUNCTION:
                    long.append(f"{_name(file)}:{node.name}: {height} lines")
    assert sorted(set(long) - {entry for entry in long if entry.rpartition(":")[0] in LONGER_FOR_A_REASON}) == []
    still_long = {entry.rpartition(":")[0] for entry in long}
    assert set(LONGER_FOR_A_REASON) <= still_long, "an exception that is no longer needed"


def test_there_is_no_drawer_for_odds_and_ends():
    drawers = [_name(file) for file in ALL_PYTHON if re.fullmatch(r"(utils?|helpers?|common|misc)", file.stem)]
    drawers += [
        _name(d)
        for d in REPOSITORY.joinpath("api").rglob("*")
        if d.is_dir() and d.name in {"utils", "helpers", "common"}
    ]
    assert drawers == []


def test_nothing_is_left_unfinished():
    signs = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")
    unfinished = [
        _name(file) for file in ALL_PYTHON if file != Path(__file__) and signs.search(file.read_text(encoding="utf-8"))
    ]
    assert unfinished == []


def test_no_test_is_skipped_or_expected_to_fail():
    signs = re.compile(r"pytest\.(mark\.)?(skip|skipif|xfail|importorskip)\b|unittest\.skip")
    found = [
        _name(file)
        for file in REPOSITORY.joinpath("tests").rglob("test_*.py")
        if file != Path(__file__) and signs.search(file.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_only_stores_and_the_database_package_touch_the_driver():
    may = re.compile(r"api/(db|embedded|jobs)/|/store\.py$")
    touching = [
        _name(file)
        for file in REPOSITORY.joinpath("api").rglob("*.py")
        for node in ast.walk(_tree(file))
        if "asyncpg" in _imported(node) and not may.search(_name(file))
    ]
    assert touching == []


def test_only_the_edge_imports_the_web_framework():
    may = re.compile(r"api/(http/.*|app\.py|.*controller\.py)$")
    found = [
        _name(file)
        for file in REPOSITORY.joinpath("api").rglob("*.py")
        for node in ast.walk(_tree(file))
        if {"litestar", "granian"} & _imported(node) and not may.search(_name(file))
    ]
    assert found == []


def _imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").partition(".")[0]}
    return set()


def test_only_the_edge_asks_what_time_it_is():
    """Rules and services take `at`; processes, the launcher and the measuring edge may ask a clock."""
    may = re.compile(
        r"api/(kernel|logs|app|signer|worker)\.py|api/(embedded|jobs|http|documents/blobs)/|signing/(keys|__main__)"
    )
    asking: list[str] = []
    for file in PRODUCT:
        if not may.match(_name(file)):
            asking += [
                f"{_name(file)}:{node.lineno}"
                for node in ast.walk(_tree(file))
                if isinstance(node, ast.Call)
                and re.fullmatch(r"(datetime\.)?(datetime|date)\.(now|utcnow|today)|time\.time", ast.unparse(node.func))
            ]
    assert asking == []


def test_controllers_keep_their_annotations_for_run_time():
    late = [
        _name(file)
        for file in REPOSITORY.joinpath("api").rglob("*.py")
        if "from __future__ import annotations" in file.read_text(encoding="utf-8")
    ]
    assert late == []


def test_no_place_of_one_machine_stands_in_a_file():
    signs = re.compile(r"/roo[t]/|/wor[k]/|/home/[a-z]|pyp[i]\.org|python[h]osted")
    found = {}
    for file in _files():
        hit = signs.search(file.read_text(encoding="utf-8", errors="replace"))
        if hit:
            found[_name(file)] = hit[0]
    assert found == {}


@pytest.mark.parametrize("module", ["api.app", "api.worker"])
def test_a_process_without_keys_loads_none_of_their_code(module):
    words = [sys.executable, "-c", f"import sys, {module}; print(*sorted(sys.modules), sep='\\n')"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert module in loaded
    assert [name for name in loaded if name.startswith(("signing.keys", "signing.holders", "pkcs11"))] == []


# --- routes and jobs ---


def _app(extra=()):
    return create_app(settings_for("postgresql://app@/nowhere", REPOSITORY / "var"), extra=extra)


def test_the_web_process_holds_no_library_for_pdfs_nor_the_queues():
    """It hands orders over; what it does not hold is room for connections."""
    heavy = ["PIL", "aiohttp", "fontTools", "pgqueuer", "pikepdf", "pyhanko", "pyhanko_certvalidator", "typst"]
    script = f"import sys, api.app; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert done.stdout.strip() == "[]"


def test_every_route_has_a_guard_or_stands_in_the_public_list():
    routes = {(method, path): handler for method, path, handler in handlers_of(_app())}
    assert set(PUBLIC) <= set(routes), "the public list names a route that does not exist"
    guarded = {pair for pair, handler in routes.items() if any(isinstance(g, Guard) for g in handler.resolve_guards())}
    assert set(routes) - guarded == set(PUBLIC)
    assert len(guarded) > 20


def test_a_route_with_neither_guard_nor_entry_stops_the_start():
    @get("/planted")
    async def planted() -> None:
        return None

    with pytest.raises(RuntimeError, match="GET /planted: neither guarded nor public"):
        _app(extra=[planted])


def _kinds_put_in() -> set[str]:
    """Every kind of job that some code of the product enqueues, with names of constants resolved."""
    constants: dict[str, str] = {}
    used: list[str] = []
    for file in REPOSITORY.joinpath("api").rglob("*.py"):
        for node in ast.walk(_tree(file)):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Name)
                and isinstance(node.value, ast.Constant)
            ):
                constants[node.target.id] = str(node.value.value)
            if isinstance(node, ast.Call) and file.parent.name != "jobs":
                name = ast.unparse(node.func).rpartition(".")[2]
                if name == "enqueue" and len(node.args) > 1:
                    used.append(ast.unparse(node.args[1]))
                if name == "Job":
                    used += [ast.unparse(word.value) for word in node.keywords if word.arg == "kind"]
    names = (word.rpartition(".")[2] if not word.startswith(("'", '"')) else word for word in used)
    return {ast.literal_eval(name) if name.startswith(("'", '"')) else constants[name] for name in names}


def test_every_kind_of_job_has_exactly_one_process_that_does_it():
    put_in = _kinds_put_in()
    assert len(put_in) >= 5
    signer, worker = set(api.signer.STEPS), set(api.worker.STEPS)
    assert put_in == signer | worker
    assert not signer & worker
