"""The README against the code: tree, diagrams, commands, decisions, words. What a page says and nothing checks rots."""

import asyncio
import re
import shutil
import subprocess
import sysconfig
from collections import Counter
from pathlib import Path

import asyncpg
import pytest

from api import failpoints
from api.cli import _COMMANDS
from api.dossiers import lifecycle, words
from api.dossiers.words import Status
from api.embedded.demo_settings import DATABASE_ROLE
from api.signatures import states

REPOSITORY = Path(__file__).resolve().parents[1]
SCRIPTS = Path(sysconfig.get_path("scripts"))
README = REPOSITORY / "README.md"
TEXT = README.read_text(encoding="utf-8")
SECURITY = REPOSITORY / "deploy" / "SECURITY.md"
PAGES = (
    README,
    SECURITY,
    REPOSITORY / "deploy" / "RUNBOOK.md",
    REPOSITORY / "CONTRIBUTING.md",
    REPOSITORY / "CHANGELOG.md",
)
LISTED_WHOLE = (".", "api", "signing")
"""Directories of which the tree names every file; of the others, every directory."""


def section(title: str) -> str:
    """Return what stands under a heading of the second level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"the README has no section {title!r}"
    return found[1]


def blocks(text: str, kind: str) -> list[str]:
    """Return the contents of the fenced blocks of one kind."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def rows(text: str) -> list[list[str]]:
    """Return the cells of the rows of the first table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


# --- the tree ---


def told() -> set[str]:
    """Return the paths in the README's tree; directories end with a slash."""
    (drawn,) = blocks(section("The tree"), "text")
    paths: set[str] = set()
    above: list[str] = []
    for line in drawn.splitlines():
        found = re.fullmatch(r"( *)(\S+)(?: +(\S.*))?", line)
        assert found, line
        depth = len(found[1]) // 2
        above = [*above[:depth], found[2]]
        path = "".join(above)
        assert path not in paths, f"{path} stands twice"
        assert found[3] or path == "tests/", f"{path}: say what it is for"
        paths.add(path)
    return paths


def on_disk() -> set[str]:
    """Return every directory that holds a committed file, and every file of the directories listed whole."""
    words = ["git", "-C", str(REPOSITORY), "ls-files", "-z"]
    listed = subprocess.run(words, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        files = [Path(name) for name in listed.stdout.split("\0") if name and (REPOSITORY / name).exists()]
    else:  # a copy without git
        aside = {".venv", "var", "bundle", "wheels", "build", "__pycache__"}
        walked = (file.relative_to(REPOSITORY) for file in REPOSITORY.rglob("*") if file.is_file())
        files = [
            file
            for file in walked
            if not aside & set(file.parts) and not any(part.endswith(("_cache", ".egg-info")) for part in file.parts)
        ]
    directories = {f"{above}/" for file in files for above in file.parents if above != Path()}
    return directories | {str(file) for file in files if str(file.parent) in LISTED_WHOLE}


def test_the_tree_equals_the_disk():
    drawn, there = told(), on_disk()
    assert sorted(there - drawn - {"api/__init__.py"}) == [], "not in the README's tree"
    assert [path for path in sorted(drawn) if not (REPOSITORY / path).exists()] == [], "not on the disk"


# --- the diagrams ---


def test_the_life_of_a_signature_is_the_table():
    (drawn,) = blocks(section("The life of a signature"), "mermaid")
    assert drawn.strip() == states.diagram().strip()


def test_the_life_of_a_dossier_is_the_table():
    (drawn,) = blocks(section("The life of a dossier"), "mermaid")
    assert drawn.strip() == lifecycle.diagram().strip()


def test_the_statuses_are_those_of_the_code():
    table = rows(section("The life of a dossier"))
    expected = [
        [
            f"`{status}`",
            words.STATUS_VI[status],
            str(words.STEP_OF.get(status, "as before")),
            str(words.NATIONAL[status]),
        ]
        for status in (Status(row[0].strip("`")) for row in table)
    ]
    assert table == expected
    assert len(table) == len(Status)


def test_every_failpoint_is_named():
    (named,) = re.findall(r"`MOTCUA_FAILPOINTS`[^:]*: (.*)\.$", section("The life of a signature"), re.MULTILINE)
    assert tuple(re.findall(r"`([^`]+)`", named)) == failpoints.POINTS


# --- the commands ---

RUN_HERE = ("make help", "motcua --help", "python -m signing --help")
"""Run by this module as they stand."""

RUN_BY: dict[str, tuple[str, str]] = {
    "make run": ("tests/journey/test_up.py", '"make", "run"'),
    "make bundle": ("tests/journey/test_up.py", '["make", "bundle"]'),
    "make test": (".ci/run", "make --no-print-directory test "),
    "make test-tools": ("Makefile", "\ntest: test-tools "),
    "make demo": ("Makefile", "exec $(BIN)/motcua demo\n"),
    "make doctor": ("Makefile", "exec $(BIN)/motcua doctor\n"),
    "motcua demo": ("tests/journey/test_up.py", '[MOTCUA, "demo"]'),
    "motcua doctor": ("tests/journey/test_up.py", '[MOTCUA, "doctor"]'),
    "motcua verify FILE": ("tests/journey/test_up.py", '[MOTCUA, "verify", result]'),
    "motcua verify var/demo/result.pdf": ("tests/journey/test_up.py", '"var" / "demo" / "result.pdf"'),
    "motcua mode": ("tests/journey/test_control.py", 'main, ["mode"]'),
    "motcua mode maintenance --reason WHY [--until WHEN]": ("tests/journey/test_control.py", 'main, ["mode", "maint'),
    "motcua limit AGENCY WORK --per-second N --burst N --reason WHY": (
        "tests/journey/test_control.py",
        'main, ["limit", ',
    ),
    "motcua up": ("tests/journey/test_up.py", '[MOTCUA, "up"]'),
    "motcua up --demo": ("tests/journey/test_up.py", '"up", "--demo"'),
    # `up` starts the three as processes, and `doctor` asks the second how its keys are.
    "motcua api": ("api/embedded/up.py", '"api"'),
    "motcua signer": ("api/embedded/up.py", '"signer"'),
    "motcua worker": ("api/embedded/up.py", '"worker"'),
    "motcua signer --check": ("api/embedded/doctor.py", '"signer", "--check"'),
    "motcua audit verify --checkpoint FILE": ("tests/journey/test_up.py", '"audit", "verify", "--checkpoint"'),
    "motcua audit export FILE": ("tests/journey/test_up.py", '"audit", "export"'),
    "motcua audit verify --bundle FILE": ("tests/database/test_audit_evidence.py", '"--bundle", bundle'),
    "motcua bench api": ("tests/journey/test_bench.py", '"loadtests.bench.api"'),
    "motcua bench audit": ("tests/journey/test_bench_audit.py", '"loadtests.bench.audit"'),
    "motcua bench backfill": ("tests/journey/test_bench_backfill.py", '"loadtests.bench.backfill"'),
    "motcua bench admission": ("tests/journey/test_bench_admission.py", '"loadtests.bench.admission"'),
    "motcua bench growth": ("tests/journey/test_bench_growth.py", '"loadtests.bench.growth"'),
    "motcua bench levers": ("tests/journey/test_bench_levers.py", '"loadtests.bench.levers"'),
    "motcua load SHAPE": ("tests/journey/test_load.py", '"load", "average"'),
    "motcua load SHAPE --host URL": ("tests/journey/test_load.py", '"--host", '),
    "motcua load serve": ("tests/journey/test_load.py", '"load", "serve"'),
    "motcua capacity --inhabitants N": ("tests/unit/test_load_verdict.py", 'main(["--inhabitants", '),
    "python -m signing bench": ("tests/unit/test_signing_bench.py", 'main(["bench", '),
    "make peers": ("Makefile", "exec $(BIN)/python -m loadtests.peers.signers"),
    "motcua keys new KIND": ("tests/journey/test_up.py", '"keys", "new", '),
    "motcua keys list KIND": ("tests/journey/test_up.py", '"keys", "list", '),
    "motcua keys rotate KIND": ("tests/database/test_rotation.py", '"keys", "rotate", '),
    "motcua keys retire KIND ID": ("tests/journey/test_up.py", '"keys", "retire", '),
    "motcua people first-administrator": (
        "tests/database/test_first_administrator.py",
        '[MOTCUA, "people", "first-administrator", ',
    ),
    "motcua trace TICKET": ("tests/journey/test_observed.py", 'motcua(server, "trace", '),
    "motcua failures": ("tests/journey/test_observed.py", 'motcua(server, "failures", '),
    "motcua jobs parked": ("tests/journey/test_observed.py", 'motcua(server, "jobs", "parked")'),
    "motcua jobs requeue KEY": ("tests/journey/test_observed.py", '(("requeue", "drop"), keys, strict=True)'),
    "motcua jobs drop KEY": ("tests/journey/test_observed.py", '(("requeue", "drop"), keys, strict=True)'),
    "motcua certificates": ("tests/journey/test_observed.py", 'motcua(server, "certificates", '),
    "make fuzz-pdf": ("Makefile", "exec $(BIN)/python -m pytest -s tests/faults/test_pdf_fuzz.py"),
    "make fuzz": ("Makefile", "exec $(BIN)/python -m pytest -s tests/faults/test_fuzz.py"),
    "make journeys": ("tests/journey/test_holders.py", '["make", "journeys", '),
    "make cluster-test": ("tests/faults/test_cluster.py", '["make", "cluster-test"'),
    "make chaos": ("tests/faults/test_chaos.py", '["make", "chaos"'),
    "motcua migrate": ("tests/test_readme.py", 'SCRIPTS / "motcua", "migrate"]'),
    "motcua migrate --post": ("tests/test_readme.py", '"migrate", "--post"]'),
    "motcua backup DIR": ("tests/faults/test_backup.py", '"backup", office.place.root'),
    "motcua restore DIR": ("tests/faults/test_backup.py", '"restore", office.place.root'),
    "motcua migrate --dump": ("tests/test_readme.py", '"-m", "api", "migrate", "--dump"]'),
}
"""Which file runs a command, and the words in it that do."""

COMMAND = re.compile(r"make [a-z-]+|motcua( .+)?|python -m .+")


def commands() -> set[str]:
    """Return every command of the README: the lines of its `sh` blocks, and what stands between backticks."""
    fenced = [line.partition(" #")[0].strip() for block in blocks(TEXT, "sh") for line in block.splitlines()]
    plain = [line.removeprefix(".venv/bin/") for line in [*fenced, *re.findall(r"`([^`\n]+)`", TEXT)]]
    return {line for line in plain if COMMAND.fullmatch(line) and line != "motcua"}


def test_every_command_is_run_by_a_test():
    themselves = {found for found in commands() if re.fullmatch(r"python -m pytest -s tests/[\w/]+\.py", found)}
    assert [found for found in themselves if not (REPOSITORY / found.split()[-1]).is_file()] == []
    assert commands() - themselves - {*RUN_HERE, *RUN_BY} == set()
    silent = {
        command: file
        for command, (file, said) in RUN_BY.items()
        if said not in REPOSITORY.joinpath(file).read_text(encoding="utf-8")
    }
    assert silent == {}


@pytest.mark.parametrize("command", RUN_HERE)
def test_a_quick_command_works(command):
    words = command.replace("motcua", f"{SCRIPTS}/motcua").replace("python", f"{SCRIPTS}/python").split()
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


async def test_migrating_twice_by_hand(cluster):
    connection = await asyncpg.connect(cluster.dsn("admin", "postgres"))
    await connection.execute("CREATE DATABASE migrated_by_hand")
    environment = {"PATH": "/usr/bin:/bin", "DATABASE_URL": cluster.dsn("admin", "migrated_by_hand")}
    told = []
    for typed in ([SCRIPTS / "motcua", "migrate"], [SCRIPTS / "motcua", "migrate", "--post"]):
        done = await asyncio.to_thread(
            subprocess.run, typed, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        told.append(done.stdout)
    await connection.execute("DROP DATABASE migrated_by_hand WITH (FORCE)")
    await connection.close()
    assert "Applied: 0001" in told[0]
    assert "Applied: nothing new" in told[1]


def test_writing_the_schema_anew_changes_nothing(tmp_path):
    shutil.copytree(REPOSITORY / "api", tmp_path / "api", ignore=shutil.ignore_patterns("__pycache__"))
    schema = tmp_path / "api" / "db" / "schema.sql"
    schema.write_text("-- forgotten")
    words = [SCRIPTS / "python", "-m", "api", "migrate", "--dump"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert schema.read_text() == REPOSITORY.joinpath("api/db/schema.sql").read_text()


def test_each_number_comes_with_the_command_that_gives_it():
    table = rows(section("Measured"))
    for what, number, command in table:
        assert re.search(r"\d", number), what
        assert set(re.findall(r"`([^`]+)`", command.replace(".venv/bin/", ""))) & commands(), what


def test_every_command_of_the_command_line_is_named():
    named = {found for command in commands() for found in re.findall(r"(?:motcua|make) ([a-z]+)", command)}
    assert set(_COMMANDS) - named == set()


# --- decisions and words ---


def test_decisions_are_numbered_and_enforced_by_what_is_there():
    table = rows(section("Decisions"))
    assert [row[0] for row in table] == [str(number) for number in range(1, len(table) + 1)]
    missing = []
    for number, decision, why, enforced in table:
        assert decision, number
        assert why, number
        for named in re.findall(r"`([^`]+)`", enforced) or [f"nothing enforces {number}"]:
            file, _, test = named.partition("::")
            path = REPOSITORY / file
            if not path.is_file() or (test and f"def {test}(" not in path.read_text(encoding="utf-8")):
                missing.append(named)
    assert missing == []


def test_the_glossary_has_each_word_once_and_as_the_code_has_it():
    table = rows(section("Glossary"))
    assert all(len(row) == 3 and row[0] and row[1] for row in table)
    named = [word for row in table for word in (re.findall(r"`([^`]+)`", row[0]) or [row[0]])]
    assert [word for word, times in Counter(named).items() if times > 1] == []
    assert [word for word, times in Counter(row[1] for row in table).items() if times > 1] == []
    product = [*REPOSITORY.joinpath("api").rglob("*"), *REPOSITORY.joinpath("signing").rglob("*")]
    source = "\n".join(
        file.read_text(encoding="utf-8") for file in product if file.suffix in {".py", ".sql", ".toml", ".typ"}
    )
    in_code = [word for row in table for word in re.findall(r"`([^`]+)`", row[0])]
    assert [word for word in in_code if not re.search(rf"\b{re.escape(word)}(?!\w)", source, re.IGNORECASE)] == []


# --- links and places ---


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_points_to_is_there(page):
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    paths = [(page.parent / link).resolve() for link in links]
    kept = ("api/", "signing/", "tests/", "loadtests/", "deploy/")
    named = [code for code in re.findall(r"`([^`\s]+)`", text) if code.startswith(kept) and "NNNN" not in code]
    paths += [REPOSITORY / code.partition("::")[0] for code in named]
    assert [str(path) for path in paths if not path.exists()] == []


def test_who_holds_what_names_every_process_and_its_role():
    told_roles = dict(re.findall(r"^\| \w+, `motcua (\w+)` \| `(\w+)` \|", SECURITY.read_text("utf-8"), re.MULTILINE))
    assert told_roles == DATABASE_ROLE
