"""The settings: what counts as given, every mistake at once, and secrets that never show."""

from pathlib import Path

import pytest

from kasparro.config import VARIABLES, Config, Secret, SourceOverride
from kasparro.errors import ConfigError


def problems(environ: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Config.from_env(environ)
    return caught.value.problems


def test_from_env_gives_the_defaults_when_nothing_is_set() -> None:
    """An empty environment is a working one."""
    config = Config.from_env({"HOME": "/root", "PATH": "/bin"})
    assert config == Config()
    assert (config.host, config.port, config.scheduler, config.prepare) == ("127.0.0.1", 8000, True, True)


def test_from_env_takes_blank_values_as_absent() -> None:
    """`KASPARRO_PORT=` in an env file means that it is not set."""
    assert Config.from_env(dict.fromkeys(VARIABLES, "  ")) == Config()


def test_from_env_reports_every_bad_value_at_once() -> None:
    """Nobody has to start the service five times to learn of five mistakes."""
    found = problems({
        "DATABASE_URL": "nonsense",
        "KASPARRO_PORT": "70000",
        "KASPARRO_PREPARE": "maybe",
        "KASPARRO_SOURCES_DIR": "/does/not/exist",
        "KASPARRO_SOURCE_CSV_MAX_PAGES": "-1",
        "COINGECKO_API_PLAN": "free",
    })  # fmt: skip
    assert [line.partition(":")[0] for line in found] == [
        "COINGECKO_API_PLAN", "DATABASE_URL", "KASPARRO_PORT", "KASPARRO_PREPARE", "KASPARRO_SOURCES_DIR",
        "KASPARRO_SOURCE_CSV_MAX_PAGES",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e9", "soon", "3601"])
def test_seconds_are_refused_outside_their_range(text: str) -> None:
    """A lease of no length, or of all eternity, is a mistake."""
    (line,) = problems({"KASPARRO_LEASE_SECONDS": text})
    assert line.startswith("KASPARRO_LEASE_SECONDS: must be ")
    assert text in line


@pytest.mark.parametrize(("text", "on"), [("on", True), ("TRUE", True), ("1", True), ("Off", False), ("no", False)])
def test_switch_takes_the_usual_words(text: str, on: bool) -> None:
    """On, true, yes, 1 and their opposites, in any case."""
    assert Config.from_env({"KASPARRO_SCHEDULER": text}).scheduler is on


def test_port_is_understood_as_platforms_give_it() -> None:
    """PORT alone counts; KASPARRO_PORT comes first."""
    assert Config.from_env({"PORT": "9000"}).port == 9000
    assert Config.from_env({"PORT": "9000", "KASPARRO_PORT": "9001"}).port == 9001


def test_secret_shows_in_no_text() -> None:
    """repr, str and format are what ends up in logs and tracebacks."""
    config = Config.from_env({
        "DATABASE_URL": "postgresql://kasparro:hunter2hunter2@db/kasparro",
        "COINGECKO_API_KEY": "CG-hunter2hunter2",
        "KASPARRO_API_KEYS": "desk:hunter2hunter2",
    })  # fmt: skip
    assert "hunter2" not in f"{config!r} {config} {config.database_url} {[*config.api_keys.values()]}"
    assert config.upstream_keys["COINGECKO_API_KEY"].reveal() == "CG-hunter2hunter2"


@pytest.mark.parametrize("name", ["DATABASE_URL", "KASPARRO_DIRECT_DSN"])
def test_bad_address_is_reported_without_its_value(name: str) -> None:
    """It may hold a password."""
    (line,) = problems({name: "postgers://kasparro:hunter2hunter2@db/kasparro"})
    assert line.startswith(f"{name}: ")
    assert "hunter2" not in line


def test_secret_is_read_from_a_mounted_file(tmp_path: Path) -> None:
    """NAME_FILE is a path; line ends around the secret do not belong to it."""
    path = tmp_path / "key"
    path.write_text("CG-from-a-file\n")
    config = Config.from_env({"COINGECKO_API_KEY_FILE": str(path)})
    assert config.upstream_keys == {"COINGECKO_API_KEY": Secret("CG-from-a-file")}
    assert config.unknown == ()


def test_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The variable and the path, because one of them is wrong."""
    (line,) = problems({"DATABASE_URL_FILE": str(tmp_path / "gone")})
    assert line.startswith("DATABASE_URL_FILE: cannot read ")
    assert "gone" in line


@pytest.mark.parametrize("name", ["DATABASE_URL", "KASPARRO_DIRECT_DSN", "KASPARRO_API_KEYS", "COINGECKO_API_KEY"])
def test_secret_file_that_is_empty_is_named(tmp_path: Path, name: str) -> None:
    """It is not taken for absent: the data would go to another database, or the API be open."""
    (tmp_path / "empty").write_text("\n")
    (line,) = problems({f"{name}_FILE": str(tmp_path / "empty")})
    assert line.startswith(f"{name}_FILE: ")
    assert line.endswith("is empty")


def test_secret_given_twice_is_refused(tmp_path: Path) -> None:
    """Which of the two counts should be nobody's guess."""
    (line,) = problems({"COINGECKO_API_KEY": "a", "COINGECKO_API_KEY_FILE": str(tmp_path)})
    assert line == "COINGECKO_API_KEY: set either COINGECKO_API_KEY or COINGECKO_API_KEY_FILE, not both"


def test_api_keys_come_by_comma_or_line() -> None:
    """Names in front of keys; spaces and empty entries do not matter."""
    config = Config.from_env({"KASPARRO_API_KEYS": "desk: one-long-key ,\nbot:another-key,\n"})
    assert {name: secret.reveal() for name, secret in config.api_keys.items()} == {
        "desk": "one-long-key",
        "bot": "another-key",
    }


def test_api_keys_are_refused_without_being_shown() -> None:
    """No name, too short, twice: each entry is told by its name or number, never by its key."""
    lines = problems({"KASPARRO_API_KEYS": "hunter2hunter2,desk:hunter2,bot:hunter2hunter2,bot:hunter2hunter2"})
    assert [line.startswith("KASPARRO_API_KEYS: ") for line in lines] == [True] * 3
    assert "hunter2" not in "".join(lines)


def test_source_overrides_are_collected_by_source() -> None:
    """The source's name may have underscores itself; 0 pages lifts the limit."""
    config = Config.from_env({
        "KASPARRO_SOURCE_MY_DESK_URL": "https://desk.example/v1/",
        "KASPARRO_SOURCE_MY_DESK_MAX_PAGES": "0",
        "KASPARRO_SOURCE_CSV_ENABLED": "off",
        "KASPARRO_SOURCE_CSV_SCHEDULE": "every 5m",
    })  # fmt: skip
    assert config.source_overrides == {
        "my_desk": SourceOverride(url="https://desk.example/v1", max_pages=0),
        "csv": SourceOverride(enabled=False, schedule="every 5m"),
    }


@pytest.mark.parametrize("value", [",", "\n,\n"])
def test_client_keys_are_refused_when_there_is_none(value: str) -> None:
    """Whoever sets the variable wants an API that asks for a key: an empty list must not open it to everybody."""
    with pytest.raises(ConfigError, match="KASPARRO_API_KEYS: holds no key"):
        Config.from_env({"KASPARRO_API_KEYS": value})


def test_unknown_settings_are_found(tmp_path: Path) -> None:
    """A typo in a name is worth a warning; keys of further sources and the test suite's setting are none."""
    (tmp_path / "keys").write_text("desk:0123456789")
    config = Config.from_env({
        "KASPARRO_PROT": "1",
        "KASPARRO_SOURCE_CSV_SPEED": "1",
        "KASPARRO_TEST_DSN": "dbname=test",
        "KASPARRO_DESK_API_KEY": "x",
        "KASPARRO_API_KEYS_FILE": str(tmp_path / "keys"),
    })  # fmt: skip
    assert config.unknown == ("KASPARRO_PROT", "KASPARRO_SOURCE_CSV_SPEED")


@pytest.mark.parametrize(
    "url",
    [
        "http://user:urlsecret@h/x",
        "http://h:99999/urlsecret",
        "http://[::1/urlsecret",
        "http://h/x?key=urlsecret",
        "http://h/x#urlsecret",
        "http://h/ urlsecret",
        "http://@h/urlsecret",
        "http://h:0/urlsecret",
        "ftp://h/urlsecret",
    ],
)
def test_address_is_refused_without_showing_it_when_it_may_hold_a_secret(url: str) -> None:
    """Addresses stand in logs and run records: none with a password may get that far, not even into the error."""
    with pytest.raises(ConfigError, match="KASPARRO_SOURCE_CSV_URL: must be an http") as caught:
        Config.from_env({"KASPARRO_SOURCE_CSV_URL": url})
    assert "urlsecret" not in str(caught.value)


def test_client_keys_are_refused_when_two_names_share_one() -> None:
    """The log names who asked; with one key for two it could not."""
    with pytest.raises(ConfigError, match="entry 2 has the key of another name"):
        Config.from_env({"KASPARRO_API_KEYS": "a:secretkey9,b:secretkey9"})


def test_database_address_is_refused_when_its_port_is_none() -> None:
    """Otherwise the service would wait for ever for a database that cannot be."""
    with pytest.raises(ConfigError, match="DATABASE_URL: must be a postgresql"):
        Config.from_env({"DATABASE_URL": "postgresql://u:p@h:notaport/db"})


def test_schedule_is_reported_with_all_other_mistakes() -> None:
    """Nobody wants to learn of them one start at a time."""
    with pytest.raises(ConfigError) as caught:
        Config.from_env({"KASPARRO_SOURCE_CSV_SCHEDULE": "often", "KASPARRO_PORT": "x"})
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "KASPARRO_PORT",
        "KASPARRO_SOURCE_CSV_SCHEDULE",
    ]


@pytest.mark.parametrize(
    "address",
    ["postgresql://u:hunter2@h:99999/db", "postgresql://u:hunter2@h:0/db", "postgresql://u:hunter2@[::1/db"],
)
def test_database_address_is_refused_when_no_port_can_be_read(address: str) -> None:
    """Out of range, or a bracket that never closes."""
    (line,) = problems({"DATABASE_URL": address})
    assert line.startswith("DATABASE_URL: ")
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "address",
    [
        "postgresql:///db", "postgresql://u:p#s@h/db", "postgresql://a:5432,b:5433/db", "postgresql://[::1]:5432/db",
        "postgresql://%2Fvar%2Frun/db?user=u", "host=/var/run dbname=db",
    ],
)  # fmt: skip
def test_database_address_is_taken_when_libpq_takes_it(address: str) -> None:
    """Several hosts, sockets and passwords that no web address could hold."""
    assert Config.from_env({"DATABASE_URL": address}).database_url == Secret(address)


def test_client_key_is_not_shown_when_it_stands_in_the_place_of_the_name() -> None:
    """Whoever mixes up name and key should not find the key in a log."""
    assert "hunter2" not in "".join(problems({"KASPARRO_API_KEYS": "hunter2hunter2:bot"}))


def test_plan_is_refused_without_being_shown() -> None:
    """It may be the key, under the wrong name."""
    assert problems({"COINGECKO_API_PLAN": "CG-hunter2"}) == ["COINGECKO_API_PLAN: must be demo or pro"]


def test_page_limit_names_its_bounds() -> None:
    """And what the lower one means."""
    (line,) = problems({"KASPARRO_SOURCE_COINGECKO_MAX_PAGES": "1000001"})
    assert "whole number (0: no limit) from 0 to 1000000, got '1000001'" in line


def test_setting_of_a_source_without_a_name_is_unknown() -> None:
    """There is no source to change."""
    assert Config.from_env({"KASPARRO_SOURCE__URL": "http://h"}).unknown == ("KASPARRO_SOURCE__URL",)


def test_port_setting_is_the_variable_that_chose_the_port() -> None:
    """So that an error about the port names it."""
    assert Config.from_env({"PORT": "9000"}).port_setting == "PORT"
    assert Config.from_env({"PORT": "9000", "KASPARRO_PORT": "9001"}).port_setting == "KASPARRO_PORT"
