"""Do the files for Docker know every setting, and nothing that is not one? And do they keep what they promise?"""

import re
from pathlib import Path

import pytest

from kasparro import config
from kasparro.config import Config
from kasparro.etl import catalogue
from kasparro.etl.source import Source

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
DEMO = (ROOT / "deploy" / "demo.env").read_text(encoding="utf-8")

# Settings that compose does not hand on as they are, and why.
DECIDED_BY_COMPOSE = {
    "KASPARRO_HOST": "the image listens everywhere; it chooses the address that is published",
    "KASPARRO_PORT": "the image listens on 8000; it chooses the port that is published",
    "KASPARRO_DATA_DIR": "of the embedded PostgreSQL, which is not in the image",
    "KASPARRO_DIRECT_DSN": "there is no pooler before the PostgreSQL of compose",
}
SECRETS = ("KASPARRO_API_KEYS", "POSTGRES_PASSWORD", "GRAFANA_PASSWORD", "COINPAPRIKA_API_KEY", "COINGECKO_API_KEY")


def _handed_on() -> dict[str, str]:
    """What compose puts into the service's environment, but for libpq's own variable."""
    blocks = re.findall(r"^x-(?:database|settings): &\w+\n((?:  .*\n)+)", COMPOSE, re.MULTILINE)
    assert len(blocks) == 2
    found = dict(re.findall(r'^  ([A-Z_]+): "?([^"\n]*)"?$', "".join(blocks), re.MULTILINE))
    del found["PGPASSWORD"]
    return found


def _services() -> dict[str, str]:
    """The text of every service."""
    services = COMPOSE.partition("\nservices:\n")[2].partition("\nvolumes:\n")[0]
    return dict(re.findall(r"^  ([a-z]+):\n((?:    .*\n|\n|  #.*\n)+)", services, re.MULTILINE))


def _interpolated() -> set[str]:
    return set(re.findall(r"\$\{([A-Z_]+)", COMPOSE))


def _exemplified() -> dict[str, str]:
    return dict(re.findall(r"^#?([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))


def _source_settings(source: Source) -> set[str]:
    """The variables that may change this source."""
    names = (
        {"SCHEDULE", "ENABLED"}
        | ({"URL", "RATE"} if source.http else set())
        | ({"MAX_PAGES"} if source.paging else set())
    )
    return {f"KASPARRO_SOURCE_{source.name.upper()}_{name}" for name in names}


def _built_in_settings() -> set[str]:
    return set().union(*(_source_settings(source) for source in catalogue.load_all(Config()).values()))


@pytest.mark.parametrize("name", sorted(config.VARIABLES))
def test_setting_reaches_the_service_in_compose(name: str) -> None:
    """A setting is handed on under its own name, or there is a reason why not."""
    assert (name in _handed_on()) != (name in DECIDED_BY_COMPOSE)
    if name in _handed_on() and name != "DATABASE_URL":
        assert _handed_on()[name].startswith("${" + name)


def test_source_settings_reach_the_service_in_compose() -> None:
    """Every built-in source can be changed; what it has no use for is not handed on."""
    assert {name for name in _handed_on() if name.startswith("KASPARRO_SOURCE_")} == _built_in_settings()


def test_compose_hands_on_nothing_that_is_no_setting() -> None:
    """A name that was removed or misspelt would be a warning at every start."""
    names = {name.removesuffix("_FILE") for name in _handed_on()}
    assert names <= config.VARIABLES.keys() | _built_in_settings()


def test_every_secret_reaches_the_service_as_a_file_too() -> None:
    """From the folder of secrets; migrations need none of them."""
    for name in ("KASPARRO_API_KEYS", "COINPAPRIKA_API_KEY", "COINGECKO_API_KEY"):
        assert _handed_on()[f"{name}_FILE"] == f"${{{name}_FILE:-}}"
        assert _exemplified()[f"{name}_FILE"].startswith("/secrets/")
    assert "environment: *database" in _services()["migrate"]
    assert ":/secrets:ro" in _services()["app"]
    assert ":/secrets:ro" not in _services()["migrate"]


def test_env_example_and_compose_know_the_same_names() -> None:
    """.env.example tells of all that compose reads, and of nothing else but compose's own profiles."""
    assert _exemplified().keys() - {"COMPOSE_PROFILES"} == _interpolated()


def test_env_example_sets_nothing() -> None:
    """It is copied: a value in it would be everybody's, a secret above all."""
    assert [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")] == []
    assert {name: _exemplified()[name] for name in SECRETS} == dict.fromkeys(SECRETS, "")


def test_env_example_values_are_good_settings() -> None:
    """What stands there can be used by taking the # away."""
    host_only = {"KASPARRO_VERSION", "KASPARRO_REVISION", "KASPARRO_SOURCES_DIR"}
    _, problems = Config.read(
        {name: value for name, value in _exemplified().items() if name not in host_only and not name.endswith("_FILE")}
    )
    assert problems == []


def test_demo_changes_what_compose_reads() -> None:
    """A misspelt name would let the demo ask the real upstreams, or mix its prices with real ones."""
    names = set(re.findall(r"^([A-Z_]+)=", DEMO, re.MULTILINE))
    assert names - {"COMPOSE_PROJECT_NAME", "COMPOSE_FILE"} <= _interpolated()
    assert names >= {
        "COMPOSE_PROJECT_NAME",
        *(name for name in _built_in_settings() if name.endswith(("URL", "ENABLED"))),
    }


@pytest.mark.parametrize("name", sorted(_services()))
def test_service_is_confined(name: str) -> None:
    """Every container has the fewest rights and limits on memory, processor and processes."""
    shared = re.search(r"^x-kasparro: &kasparro\n((?:  .*\n)+)", COMPOSE, re.MULTILINE)
    assert shared
    text = _services()[name]
    if "*kasparro" in text:
        text += shared[1]
    for wanted in ("*service", "mem_limit:", "cpus:", "pids_limit:"):
        assert wanted in text
    assert "privileged:" not in text


def test_compose_confines_what_every_service_gets() -> None:
    """No rights, no way to new ones, nothing to write to."""
    block = re.search(r"^x-service: &service\n((?:  .*\n)+)", COMPOSE, re.MULTILINE)
    assert block
    for line in ("cap_drop: [ALL]", 'security_opt: ["no-new-privileges:true"]', "read_only: true"):
        assert line in block[1]


def test_compose_publishes_on_this_machine_only() -> None:
    """Nobody else reaches a port unless somebody says so."""
    hosts = re.findall(r"published: .*host_ip: (.*)\}", COMPOSE)
    assert len(hosts) == COMPOSE.count("published:") == 3
    assert all("127.0.0.1" in host for host in hosts)


def test_image_runs_as_a_number_that_is_not_root_and_handles_signals() -> None:
    """A number, so that an orchestrator can see that it is not root; the exec form, so that no shell is PID 1."""
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    for instruction in ("ENTRYPOINT", "CMD"):
        assert re.search(rf'^{instruction} \["', DOCKERFILE, re.MULTILINE)


def test_images_are_pinned() -> None:
    """No image is whatever is newest today."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    images = re.findall(r"^ +image: (\S+)$", COMPOSE, re.MULTILINE)
    assert [base for base in bases if base != "base"] == ["python:3.13-slim-bookworm"]
    assert [image for image in images if not re.search(r":v?\d", image)] == [
        '"${KASPARRO_IMAGE:-${COMPOSE_PROJECT_NAME}}"',
        '"postgres:${POSTGRES_VERSION:-17}"',
    ]


def test_data_of_17_stay_where_they_are_and_other_versions_lie_beside() -> None:
    """From 18 on the image refuses a mount at the place of 17's, unless it is told of another place."""
    text = _services()["postgres"]
    assert 'PGDATA: "/var/lib/postgresql/${POSTGRES_VERSION:-data}"' in text
    assert 'volumes: ["postgres-versions:/var/lib/postgresql", "postgres:/var/lib/postgresql/data"]' in text


def test_nothing_is_copied_into_the_image_by_accident() -> None:
    """Everything is left out but what the Dockerfile copies: a .env never gets there."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    assert let_in == {name for names in copied for name in names.split()}
