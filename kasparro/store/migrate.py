"""Which migrations has this database seen, which must it still see, and may this code use it?

Migrations are numbered SQL files, applied in order, each in a transaction of its own under a transaction-level lock, so
that several starters migrate once, also through a transaction pooler. Partitions of raw_records are made here as well.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen
from psycopg import sql

from kasparro import errors
from kasparro.store import db

FOLDER = Path(__file__).with_name("migrations")
# Code of the error about a database that was never migrated.
NO_SCHEMA = "no_schema"
# The advisory lock of all starters: the ASCII codes of "kasparro", so that no other program takes it by accident.
_LOCK_KEY = 0x6B6173706172726F
# How long a starter waits for another one's migration, which may be long.
_TURN_TIMEOUT = "5s"
# How long a statement waits for a table: everything that comes after it queues behind it meanwhile.
_LOCK_TIMEOUT = "5s"

_FILE_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_MIN_CODE = re.compile(r"^-- min_code: (\d+(?:\.\d+)*)$")
_SOURCE = re.compile(r"^[a-z][a-z0-9_]{0,39}$")


@frozen(kw_only=True)
class Migration:
    """One file. `min_code` is the oldest version of the code that still works after it."""

    version: int
    name: str
    min_code: str
    checksum: str
    script: bytes


@frozen(kw_only=True)
class SchemaState:
    """`version` is the newest migration applied (None: an empty database), `expected` the newest this code knows.

    `min_code` is the oldest code that the database still serves.
    """

    version: int | None
    expected: int
    min_code: str | None


def load(folder: Path) -> list[Migration]:
    """The migrations in `folder`, in order.

    Raises SchemaError: a file is misnamed, states no min_code in its first line, or a number is missing or doubled.
    """
    found = [_read(path) for path in sorted(folder.glob("*.sql"))]
    if not found or [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise errors.SchemaError(f"{folder}: migrations must be numbered 0001, 0002, ... without a gap")
    return found


def apply(conn: db.Connection, *, sources: Sequence[str]) -> list[int]:
    """Apply what is missing, make the partitions of `sources`, and return the versions applied.

    `conn` must be outside of a transaction: every step commits by itself, and a later start goes on where this failed.
    Raises SchemaError when an applied migration's file has changed, ConflictError when a table stays locked (a later
    attempt may succeed), ConfigError for a source name that cannot name a partition.
    """
    _check_names(sources)
    known = load(FOLDER)
    applied = []
    with conn.transaction():
        seen = _seen(conn)
    _check_unchanged(known, seen)
    for migration in known:
        if migration.version not in seen:
            with _turn(conn, f"migration {migration.name}"):
                if _apply_one(conn, migration):
                    applied.append(migration.version)
    with conn.transaction():
        attached = _partitions(conn)
    for source in sources:
        if f"raw_{source}" not in attached:
            with _turn(conn, f"partition raw_{source}"):
                _attach(conn, source)
    return applied


def state(conn: db.Connection) -> SchemaState:
    """What the database has seen, beside what this code knows."""
    version, min_code = _newest(conn)
    return SchemaState(version=version, expected=load(FOLDER)[-1].version, min_code=min_code)


def require_current(conn: db.Connection, *, code_version: str) -> None:
    """Return when code of this version may use the database; a newer schema that still serves it is fine.

    Raises SchemaError when the schema is behind, or serves only newer code.
    """
    found = state(conn)
    if found.version is None or found.version < found.expected:
        raise errors.SchemaError(
            f"the database's schema is at version {found.version or 0}, this code needs {found.expected}: "
            "run kasparro migrate",
            code=NO_SCHEMA if found.version is None else None,
        )
    _refuse_unserved(found.version, found.min_code, code_version)


def require_served(conn: db.Connection, *, code_version: str) -> None:
    """Return when the schema, however old, was not made for newer code alone. Raises SchemaError when it was."""
    _refuse_unserved(*_newest(conn), code_version)


def require_partitions(conn: db.Connection, *, sources: Sequence[str]) -> None:
    """Raise SchemaError when one of `sources` has no partition to keep its raw records in: it was added since."""
    missing = sorted({f"raw_{source}" for source in sources} - _partitions(conn))
    if missing:
        raise errors.SchemaError(f"there is no {' and no '.join(missing)} yet: run `kasparro migrate`")


def version_key(version: str) -> tuple[int, ...]:
    """What versions are compared by: 1.10 is newer than 1.9, 1.0 equals 1, and suffixes (rc1, .dev0) do not count."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    parts = [int(part) for part in match[0].split(".")] if match else []
    while parts and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def _read(path: Path) -> Migration:
    name = _FILE_NAME.match(path.name)
    # Line ends do not count: a checkout may change them.
    script = path.read_bytes().replace(b"\r\n", b"\n")
    min_code = _MIN_CODE.match(script.partition(b"\n")[0].decode("utf-8", errors="replace"))
    if name is None or min_code is None:
        raise errors.SchemaError(f"{path.name}: must be named NNNN_what.sql and open with the line -- min_code: 1.2.3")
    return Migration(
        version=int(name[1]),
        name=path.stem,
        min_code=min_code[1],
        checksum=hashlib.sha256(script).hexdigest(),
        script=script,
    )


def _check_names(sources: Sequence[str]) -> None:
    wrong = [source for source in sources if not _SOURCE.match(source) or source == "records"]
    if wrong:
        raise errors.ConfigError([f"{source!r} cannot be the name of a source" for source in wrong])


@contextmanager
def _turn(conn: db.Connection, step: str) -> Iterator[None]:
    """A transaction that only one starter at a time is in; errors name the step."""
    try:
        with db.translated(), conn.transaction():
            conn.execute(
                """
                select
                    set_config('lock_timeout', %(turn_timeout)s, true),
                    set_config('statement_timeout', '0', true)
                """,
                {"turn_timeout": _TURN_TIMEOUT},
            )
            conn.execute("select pg_advisory_xact_lock(%(key)s)", {"key": _LOCK_KEY})
            conn.execute("select set_config('lock_timeout', %(timeout)s, true)", {"timeout": _LOCK_TIMEOUT})
            yield
    except errors.DatabaseError as ex:
        raise type(ex)(f"{step}: {ex.message}") from ex


def _has_versions(conn: db.Connection) -> bool:
    row = db.one(conn.execute("select to_regclass('schema_version') is not null"))
    return bool(row[0])


def _newest(conn: db.Connection) -> tuple[int | None, str | None]:
    """Version and min_code of the newest migration applied, whoever's it is."""
    row = None
    if _has_versions(conn):
        row = conn.execute(
            """
            select version, min_code
            from schema_version
            order by version desc
            limit 1
            """
        ).fetchone()
    return row or (None, None)


def _seen(conn: db.Connection) -> dict[int, str]:
    """Applied versions with their checksums."""
    if not _has_versions(conn):
        return {}
    return dict(conn.execute("select version, checksum from schema_version order by version").fetchall())


def _check_unchanged(known: Sequence[Migration], seen: dict[int, str]) -> None:
    for migration in known:
        if seen.get(migration.version, migration.checksum) != migration.checksum:
            raise errors.SchemaError(
                f"migration {migration.name} was applied to this database with another content: "
                "restore the file, and put the change into a new migration"
            )


def _refuse_unserved(version: int | None, min_code: str | None, code_version: str) -> None:
    if min_code is not None and version_key(min_code) > version_key(code_version):
        raise errors.SchemaError(
            f"the database's schema (version {version}) serves kasparro {min_code} and newer, "
            f"this is {code_version}: install a newer one"
        )


def _apply_one(conn: db.Connection, migration: Migration) -> bool:
    """False when another starter was faster."""
    conn.execute(
        """
        create table if not exists schema_version (
            version integer primary key,
            name text not null,
            min_code text not null,
            checksum text not null,
            applied_at timestamptz not null default clock_timestamp()
        )
        """
    )
    if migration.version in _seen(conn):
        return False
    conn.execute(migration.script)
    conn.execute(
        """
        insert into schema_version (version, name, min_code, checksum)
        values (%(version)s, %(name)s, %(min_code)s, %(checksum)s)
        """,
        {
            "version": migration.version,
            "name": migration.name,
            "min_code": migration.min_code,
            "checksum": migration.checksum,
        },
    )
    return True


def _partitions(conn: db.Connection) -> set[str]:
    rows = conn.execute(
        """
        select child.relname
        from pg_inherits
        join pg_class child on child.oid = pg_inherits.inhrelid
        where pg_inherits.inhparent = 'raw_records'::regclass
        order by child.relname
        """
    )
    return {row[0] for row in rows}


def _attach(conn: db.Connection, source: str) -> None:
    if f"raw_{source}" in _partitions(conn):
        return
    names = {
        "partition": sql.Identifier(f"raw_{source}"),
        "only_this": sql.Identifier(f"raw_{source}_only"),
        "source": sql.Literal(source),
    }
    conn.execute(
        sql.SQL("create table if not exists {partition} (like raw_records including all)").format(**names),
    )
    # The check proves what the partition holds, so that attaching one with rows does not read them all under its lock.
    conn.execute(
        sql.SQL("alter table {partition} add constraint {only_this} check (source = {source})").format(**names),
    )
    conn.execute(
        sql.SQL("alter table raw_records attach partition {partition} for values in ({source})").format(**names),
    )
    conn.execute(
        sql.SQL("alter table {partition} drop constraint {only_this}").format(**names),
    )
