"""SQL as source code: migrations against schema.sql, the linter, every named query against the migrated schema."""

import ast
import importlib
import re
import subprocess
import sysconfig
import types
import typing
import uuid
from datetime import datetime
from pathlib import Path

import asyncpg
import msgspec
import pytest

import api
from api.db.migrate import MIGRATIONS, SCHEMA_FILE, dump
from api.db.queries import Queries

REPOSITORY = Path(__file__).resolve().parents[2]
PRODUCT = Path(api.__file__).parent
FIRST_SCHEMA = ("0001", "0002", "0003", "0004", "0005")
"""Laid together on an empty database; only later files meet tables that are in use."""

FILES = sorted(MIGRATIONS.glob("*.sql"))


def _modules() -> list[types.ModuleType]:
    """Every module of the product that loads named queries."""
    found = []
    for file in sorted(PRODUCT.rglob("*.py")):
        if re.search(r"\bload\(\"api", file.read_text(encoding="utf-8")):
            parts = file.relative_to(PRODUCT.parent).with_suffix("").parts
            found.append(importlib.import_module(".".join(part for part in parts if part != "__init__")))
    return found


LOADED = [
    (module, name, value) for module in _modules() for name, value in vars(module).items() if isinstance(value, Queries)
]
QUERIES = sorted(
    {(value._origin, name): sql for _, _, value in LOADED for name, sql in value.statements.items()}.items()
)


# --- migrations ---


async def test_the_migrations_add_up_to_schema_sql(cluster, template):
    """If this fails after a change to the migrations: run `motcua migrate --dump` and review the difference."""
    assert await dump(cluster.dsn("admin", template), cluster.bindir) == SCHEMA_FILE.read_text(encoding="utf-8")


def test_migrations_are_numbered_and_say_which_side_of_a_release_they_belong_to():
    assert all(re.fullmatch(r"\d{4}_(pre|post)_[a-z0-9_]+\.sql", file.name) for file in FILES)
    assert [file.name[:4] for file in FILES] == [f"{number:04}" for number in range(1, len(FILES) + 1)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_migration_gives_up_rather_than_stop_the_service(file):
    text = file.read_text(encoding="utf-8")
    assert text.startswith("-- migrate:up")
    assert "lock_timeout" in text
    assert "statement_timeout" in text


def _squawk(text: str) -> str:
    program = Path(sysconfig.get_path("scripts")) / "squawk"
    words = [program, "--config", REPOSITORY / ".squawk.toml", "--stdin-filepath", "migration.sql"]
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False, env={"NO_COLOR": "1"})
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_first_schema_passes_the_linter():
    first = [file for file in FILES if file.name[:4] in FIRST_SCHEMA]
    assert _squawk("\n".join(file.read_text(encoding="utf-8") for file in first)) == ""


def test_every_later_migration_passes_the_linter():
    later = [file for file in FILES if file.name[:4] not in FIRST_SCHEMA]
    assert {file.name: said for file in later if (said := _squawk(file.read_text(encoding="utf-8")))} == {}


def test_the_linter_is_awake():
    assert "require-concurrent-index-creation" in _squawk("CREATE INDEX slow ON dossier (code);")


async def test_every_table_says_what_it_is_for(db):
    silent = await db.admin.fetch(
        """SELECT relname FROM pg_class
            WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace AND NOT relispartition
              AND relname NOT LIKE 'pgqueuer%' AND relname <> 'schema_migrations'
              AND obj_description(oid, 'pg_class') IS NULL"""
    )
    assert [row["relname"] for row in silent] == []


# --- what each role may do ---

NOT_THE_APIS = (
    "mandate",
    "account",
    "second_factor",
    "passkey",
    "certificate",
    "key_holder",
    "key_use",
    "signature_value",
    "handed_back_verdict",
    "holder_page",
    "key_use_check",
)
"""What the signer decides by, and what it alone records."""

APPEND_ONLY = (
    "audit", "view_log", "audit_chain", "audit_checkpoint", "audit_key", "journal", "key_use", "signature_answer",
    "handed_back", "handed_back_verdict", "holder_page", "page_answer", "key_use_check",
)  # fmt: skip


@pytest.mark.parametrize("table", NOT_THE_APIS)
async def test_the_api_cannot_write_what_the_signer_decides_by(db, table):
    may = await db.admin.fetchrow(
        """SELECT has_any_column_privilege('app', $1, 'INSERT') AS adds,
                  has_any_column_privilege('app', $1, 'UPDATE') AS changes,
                  has_table_privilege('app', $1, 'DELETE') AS removes,
                  has_table_privilege('app', $1, 'TRUNCATE') AS empties""",
        table,
    )
    assert not any(may.values())


async def test_the_api_cannot_read_second_factors(db):
    assert not await db.admin.fetchval("SELECT has_any_column_privilege('app', 'second_factor', 'SELECT')")


@pytest.mark.parametrize("table", APPEND_ONLY)
async def test_nobody_rewrites_a_fact(db, table):
    for role in ("app", "signer", "worker"):
        may = await db.admin.fetchrow(
            """SELECT has_any_column_privilege($1, $2, 'UPDATE') AS changes,
                      has_table_privilege($1, $2, 'DELETE') AS removes,
                      has_table_privilege($1, $2, 'TRUNCATE') AS empties""",
            role,
            table,
        )
        assert not any(may.values()), role


@pytest.mark.parametrize("table", ["audit_chain", "audit_checkpoint", "audit_key"])
async def test_only_the_worker_seals(db, table):
    for role, may in {"app": False, "signer": False, "worker": True}.items():
        assert await db.admin.fetchval("SELECT has_any_column_privilege($1, $2, 'INSERT')", role, table) == may, role


async def test_no_role_of_a_process_may_change_the_schema(db):
    for role in ("app", "signer", "worker"):
        assert not await db.admin.fetchval("SELECT has_schema_privilege($1, 'public', 'CREATE')", role)
        facts = await db.admin.fetchrow(
            """SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication
                 FROM pg_roles WHERE rolname = $1""",
            role,
        )
        assert not any(facts.values())


# --- named queries ---


def test_every_sql_file_of_the_product_is_loaded():
    on_disk = {
        f"{'.'.join(file.parent.relative_to(PRODUCT.parent).parts)}/{file.name}"
        for file in PRODUCT.rglob("*.sql")
        if file.parent != MIGRATIONS and file != SCHEMA_FILE
    }
    assert {value._origin for _, _, value in LOADED} == on_disk
    assert len(QUERIES) > 50


async def test_every_named_query_can_be_prepared(db):
    faults = {}
    for (origin, name), sql in QUERIES:
        try:
            await db.admin.prepare(sql)
        except asyncpg.PostgresError as error:
            faults[f"{origin}:{name}"] = str(error)
    assert faults == {}


def test_no_query_selects_everything():
    stars = [
        f"{origin}:{name}" for (origin, name), sql in QUERIES if re.search(r"SELECT\s+(\w+\.)?\*", sql, re.IGNORECASE)
    ]
    assert stars == []


def test_every_named_query_is_used():
    unused = set()
    for module, _, value in LOADED:
        source = "\n".join(file.read_text(encoding="utf-8") for file in Path(module.__file__).parent.rglob("*.py"))
        unused |= {f"{value._origin}:{name}" for name in value.statements if not re.search(rf"\.{name}\b", source)}
    assert unused == set()


def _rows_as_structs(*by: str) -> list[tuple[str, str, type]]:
    """Every `as_struct(…q.name…, Kind)` of the product, or what else makes Structs: query, statement, Struct."""
    found = []
    for module, variable, value in LOADED:
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") in by:
                named = [
                    node.attr
                    for node in ast.walk(call.args[0])
                    if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == variable
                ]
                kind = getattr(module, ast.unparse(call.args[1]), None)
                if len(named) == 1 and kind is not None:
                    found.append((f"{module.__name__}:{named[0]}", value.statements[named[0]], kind))
    return found


async def test_the_columns_of_each_query_fit_its_struct(db):
    pairs = _rows_as_structs("as_struct", "as_structs", "as_they_come")
    assert len(pairs) > 15
    faults = {}
    for where, sql, kind in pairs:
        columns = {attribute.name for attribute in (await db.admin.prepare(sql)).get_attributes()}
        fields = msgspec.structs.fields(typing.cast("type[msgspec.Struct]", kind))
        missing = {field.encode_name for field in fields if field.required} - columns
        unknown = columns - {field.encode_name for field in fields}
        if missing or unknown:
            faults[where] = f"missing {sorted(missing)}, read by nobody {sorted(unknown)}"
    assert faults == {}


DRIVERS = {"uuid": uuid.UUID, "text": str, "timestamptz": datetime, "text[]": list[str]}
"""Types of columns, and as what the driver gives them."""


async def test_what_is_taken_as_it_comes_is_what_the_struct_says(db):
    pairs = _rows_as_structs("as_they_come")
    assert pairs
    for where, sql, kind in pairs:
        columns = (await db.admin.prepare(sql)).get_attributes()
        fields = msgspec.structs.fields(typing.cast("type[msgspec.Struct]", kind))
        assert [column.name for column in columns] == [field.name for field in fields], where
        for column, field in zip(columns, fields, strict=True):
            given = DRIVERS[column.type.name]
            assert field.type in (given, given | None), f"{where}: {column.name}"
