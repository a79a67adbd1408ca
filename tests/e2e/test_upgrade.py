"""Old and new code on one database: starters at once, a schema that is newer, and one that is too new."""

import json
from pathlib import Path

import psycopg
import pytest
from program import Start, environment, get, run, wait_until

TOO_NEW = "serves kasparro 99.0 and newer, this is "


def add_migration(dsn: str, script: str, *, min_code: str) -> None:
    """What a later release's migration leaves behind."""
    with psycopg.connect(dsn) as conn:
        conn.execute(script)
        conn.execute(
            """
            insert into schema_version (version, name, min_code, checksum)
            select max(version) + 1, 'of_a_later_release', %s, 'unknown' from schema_version
            """,
            (min_code,),
        )


def test_services_that_start_together_migrate_once(home: Path, start: Start, empty_dsn: str) -> None:
    """Two containers on an empty database: each migration is applied by one of them, and both serve."""
    env = environment(home, {"DATABASE_URL": empty_dsn, "KASPARRO_SCHEDULER": "off"})
    starters = [start("serve", env=env) for _ in range(2)]
    urls = [starter.wait_url() for starter in starters]
    wait_until(lambda: all(get(f"{url}/health/ready")[0] == 200 for url in urls), "both are ready")
    lines = [json.loads(starter.wait_line('"schema is current"')) for starter in starters]
    applied = sorted(version for line in lines for version in line["migrations_applied"])
    with psycopg.connect(empty_dsn) as conn:
        assert applied == [version for (version,) in conn.execute("select version from schema_version order by 1")]
    assert all(starter.stop()[0] == 0 for starter in starters)


@pytest.mark.parametrize("command", [("serve",), ("serve", "--no-migrate"), ("run", "csv"), ("migrate",)])
def test_older_code_refuses_a_schema_that_no_longer_serves_it(
    env: dict[str, str], dsn: str, command: tuple[str, ...]
) -> None:
    """It ends at once, writes nothing, and says why and what to do."""
    add_migration(dsn, "alter table quotes rename column price_usd to price", min_code="99.0")
    done = run(*command, env=env)
    assert done.returncode == 1
    assert TOO_NEW in done.stderr
    assert "install a newer one" in done.stderr
    assert "Traceback" not in done.stderr


def test_running_service_ends_its_work_once_its_schema_is_too_new(start: Start, env: dict[str, str], dsn: str) -> None:
    """A deployment that migrates while the old release still runs: it is not ready any more, and ingests no more."""
    serve = start("serve", env=env | {"KASPARRO_SOURCE_CSV_SCHEDULE": "every 1s"})
    url = serve.wait_url()
    wait_until(lambda: get(f"{url}/health/ready")[0] == 200, "readiness")
    add_migration(dsn, "select 1", min_code="99.0")
    status, problem = get(f"{url}/health/ready")
    assert (status, TOO_NEW in problem["detail"]) == (503, True)
    assert TOO_NEW in serve.wait_line('"scheduler ends"')
    wait_until(lambda: not get(f"{url}/health")[1]["scheduler"]["alive"], "the end of the scheduler")
    assert get(f"{url}/health/live")[0] == 200


def test_rolling_back_one_release_works(home: Path, start: Start, env: dict[str, str], dsn: str) -> None:
    """A newer schema that only added something, and says that it still serves this code, is no obstacle."""
    (home / "archives" / "a.csv").write_text("date,symbol,name,price_usd\n2025-01-01,BTC,Bitcoin,1\n")
    add_migration(dsn, "alter table quotes add column open_usd numeric; create table later (id int)", min_code="0.1.0")
    assert run("migrate", env=env).stdout == "the schema is current\n"
    assert run("run", "csv", env=env).returncode == 0
    url = start("serve", "--no-migrate", env=env).wait_url()
    wait_until(lambda: get(f"{url}/health/ready")[0] == 200, "readiness")
    assert [row["price_usd"] for row in get(f"{url}/data")[1]["data"]] == [1]
