"""Where the embedded PostgreSQL lives, and what it says when it cannot live there."""

import importlib.util
import os
from pathlib import Path

import pytest

from kasparro.errors import ConfigError, KasparroError
from kasparro.store import embedded_files as files

AS_ROOT = os.geteuid() == 0


def test_default_base_dir_is_the_users_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_DATA_HOME when it is absolute, else below HOME, else below the home that the machine knows."""
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert files.default_base_dir({"XDG_DATA_HOME": "/data", "HOME": "/home/ada"}) == Path("/data/kasparro")
    assert files.default_base_dir({"XDG_DATA_HOME": "data", "HOME": "/home/ada"}) == Path(
        "/home/ada/.local/share/kasparro"
    )
    assert files.default_base_dir({"HOME": ""}).is_absolute()


def test_default_base_dir_needs_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a name and a home has to say where."""
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_123_456)
    with pytest.raises(KasparroError, match="set KASPARRO_DATA_DIR"):
        files.default_base_dir({})


def test_default_base_dir_of_root_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's own home is closed to the account that runs postgres."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert files.default_base_dir({"HOME": "/root", "XDG_DATA_HOME": "/data"}) == Path("/var/lib/kasparro")


def test_prepare_makes_missing_folders_and_leaves_others_alone(tmp_path: Path) -> None:
    """Folders of somebody else keep their modes; ours are closed, or passable when root hands them to an account."""
    tmp_path.chmod(0o751)
    cluster = files.prepare("test", tmp_path / "not" / "yet")
    assert tmp_path.stat().st_mode & 0o777 == 0o751
    assert cluster.folder == tmp_path / "not" / "yet" / "test"
    assert cluster.folder.stat().st_mode & 0o777 == (0o755 if AS_ROOT else 0o700)
    assert (cluster.account is None) != AS_ROOT


@pytest.mark.parametrize("name", ["", "..", "a/b", "Test", "x" * 41])
def test_prepare_refuses_a_name_that_is_no_word(tmp_path: Path, name: str) -> None:
    """A cluster's name is the name of its folder."""
    with pytest.raises(KasparroError, match="short lower-case word"):
        files.prepare(name, tmp_path)


def test_prepare_refuses_foreign_files(tmp_path: Path) -> None:
    """Nothing of somebody else's is ever overwritten."""
    data = tmp_path / "test" / "data"
    data.mkdir(parents=True)
    files.prepare("test", tmp_path)
    (data / "thesis.txt").write_text("mine")
    with pytest.raises(KasparroError, match="holds files, but not those of a PostgreSQL"):
        files.prepare("test", tmp_path)


def test_prepare_refuses_data_of_another_postgres(tmp_path: Path) -> None:
    """Another major version cannot open them."""
    data = tmp_path / "test" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    with pytest.raises(KasparroError, match="was made by PostgreSQL 16"):
        files.prepare("test", tmp_path)


def test_prepare_names_the_folder_when_it_cannot_be_made(tmp_path: Path) -> None:
    """The message says which setting helps."""
    (tmp_path / "file").write_text("")
    with pytest.raises(KasparroError, match=r"Not a directory.*file.*KASPARRO_DATA_DIR"):
        files.prepare("test", tmp_path / "file")


def test_socket_folder_is_in_the_cluster_when_its_path_is_short(tmp_path: Path) -> None:
    """And only its owner may enter it."""
    cluster = files.Cluster(folder=tmp_path, account=None)
    assert files.socket_dir(cluster) == tmp_path / "socket"
    assert (tmp_path / "socket").stat().st_mode & 0o777 == 0o700


def test_socket_folder_is_a_private_one_when_the_clusters_path_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every process finds the same one; two clusters never share one."""
    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(files, "_SOCKET_PATH_BYTES", len(str(tmp_path)) + 70)
    first = files.Cluster(folder=tmp_path / ("x" * 80) / "one", account=None)
    second = files.Cluster(folder=tmp_path / ("x" * 80) / "two", account=None)
    folder = files.socket_dir(first)
    assert folder.parent == tmp_path
    assert folder == files.socket_dir(first) != files.socket_dir(second)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_socket_folder_is_refused_when_others_may_enter_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else could have put it there first."""
    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(files, "_SOCKET_PATH_BYTES", len(str(tmp_path)) + 70)
    cluster = files.Cluster(folder=tmp_path / ("x" * 80), account=None)
    folder = files.socket_dir(cluster)
    folder.chmod(0o755)
    with pytest.raises(KasparroError, match="somebody else made it"):
        files.socket_dir(cluster)
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(KasparroError, match="somebody else made it"):
        files.socket_dir(cluster)


def test_programs_are_missing_when_the_extra_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a matter of settings, and the message names both ways out."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"DATABASE_URL.*the embedded one, an extra"):
        files.programs(files.Cluster(folder=tmp_path, account=None))
