"""Kills at random: wherever runs, recoveries and backfills die, the tables end as in a database where nothing did.

The seed is printed. `make chaos` kills a hundred times (KILLS=N, SEED=N); with the suite it is a handful.
"""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from attrs import define, field, frozen
from program import Program, Start, environment, post, run
from tables import DATA, TABLES, digests, flaws

KILLS = int(os.environ.get("KASPARRO_CHAOS_KILLS", "6"))
SEED = int(os.environ.get("KASPARRO_CHAOS_SEED", random.randrange(10**6)))
# Kills of each command in one round, before it is let alone and the tables are compared.
KILLS_A_ROUND = 2 if KILLS < 20 else 3
# Starts of a command in a round that may be spent on them: not every fault is reached.
STARTS_A_ROUND = 3 * KILLS_A_ROUND
# Starts that a command gets to end by itself when nothing kills it any more: a busy machine may cost it its lease.
LAST_STARTS = 4
# Seconds after which a signal kills: from before the claim to after the end of a run.
LATEST_SIGNAL_SECONDS = 2.5
# One kill in so many comes from outside.
SIGNAL_EACH = 5
STAGES = ("claim", "fetch", "load", "raw", "checkpoint", "commit", "identify", "finish")
SINGLE = ("read", "normalise", "copy")
ROWS = 11_000
FIRST_DAY, FIRST_TICK = date(2025, 6, 1), 500_000
IDS = ("btc-bitcoin", "eth-ethereum", "usdt-tether")


@frozen(kw_only=True)
class Command:
    """What is started and killed; `argv` of each round."""

    source: str
    argv: Callable[[int], tuple[str, ...]]


def backfill(number: int) -> tuple[str, ...]:
    """Other days in every round."""
    first = FIRST_DAY + timedelta(days=20 * number)
    return ("backfill", "coinpaprika", "--from", str(first), "--to", str(first + timedelta(days=19)), "--ids", *IDS)


COMMANDS = (
    Command(source="coingecko", argv=lambda _: ("run", "coingecko")),
    Command(source="csv", argv=lambda _: ("run", "csv")),
    Command(source="coinpaprika", argv=backfill),
    Command(source="coinpaprika", argv=lambda _: ("run", "coinpaprika")),
)


@define
class Tally:
    """What happened, of all threads together."""

    ended: Counter[str] = field(factory=Counter)
    lock: threading.Lock = field(factory=threading.Lock)
    number: int = 1

    def count(self, *names: str) -> None:
        with self.lock:
            self.ended.update(names)

    def unique(self) -> int:
        """A number for a fault's `times`, which makes it another one than all before: each fires once."""
        with self.lock:
            self.number += 1
            return self.number


def faults(dice: random.Random, source: str, tally: Tally) -> str:
    """One or two places to die at; in the first or a later page or batch."""
    found = []
    for _ in range(dice.randint(1, 2)):
        stage = dice.choice(STAGES + SINGLE)
        place = f"{source}:{stage}" + ("" if stage in SINGLE else dice.choice((":before", ":after")))
        if stage in ("fetch", "read", "normalise"):
            place += f":page={dice.randint(1, 3)}"
        elif stage in ("copy", "load", "raw", "checkpoint", "commit"):
            place += f":batch={dice.randint(1, 3)}"
        found.append(f"{place}:exit:times={tally.unique()}")
    return ", ".join(found)


def start_once(argv: tuple[str, ...], env: dict[str, str], seconds: float | None) -> int:
    """Start it, kill it after so many seconds where they are given; its exit code."""
    if seconds is None:
        return run(*argv, env=env).returncode
    program = Program(*argv, env=env)
    timer = threading.Timer(seconds, program.send, (signal.SIGKILL,))
    timer.start()
    code = program.wait()
    timer.cancel()
    program.close()
    return code


def torment(command: Command, number: int, env: dict[str, str], tally: Tally) -> None:
    """Start a command again and again, killing it, until it was killed often enough; then let it end."""
    dice = random.Random(f"{SEED}/{number}/{command.argv(0)}")
    argv, kills, recovering = command.argv(number), 0, False
    for _ in range(STARTS_A_ROUND):
        if kills == KILLS_A_ROUND:
            break
        seconds = dice.uniform(0.1, LATEST_SIGNAL_SECONDS) if dice.randrange(SIGNAL_EACH) == 0 else None
        injected = {} if seconds is not None else {"KASPARRO_FAULTS": faults(dice, command.source, tally)}
        code = start_once(argv, env | injected, seconds)
        killed = code == -signal.SIGKILL
        kills += killed
        names = ["starts"] + ["kills"] * killed + ["during recovery"] * (killed and recovering)
        tally.count(*names, *["by a signal"] * (killed and seconds is not None))
        recovering = killed
    for _ in range(LAST_STARTS):
        tally.count("starts")
        if run(*argv, env=env).returncode in (0, 3):
            return
    tally.count("commands that did not end")


def write_archive(folder: Path, number: int) -> None:
    """Let the file grow, by rows of which some have no price."""
    begin = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=number * ROWS)
    with (folder / "large.csv").open("a", encoding="utf-8") as file:
        if number == 0:
            file.write("symbol,name,date,price\n")
        for row in range(ROWS):
            price = "" if row % 1000 == 7 else f"{row + number}.5"
            file.write(f"C{row % 40},Coin {row % 40},{begin + timedelta(minutes=row)},{price}\n")


@pytest.fixture
def settings(home: Path, start: Start, env: dict[str, str]) -> tuple[dict[str, str], str]:
    """An environment with three sources, and the address of the stand-in behind two of them."""
    args = ("--tick", str(FIRST_TICK), "--coinpaprika-coins", "40", "--coingecko-coins", "600")
    line = start("upstream", "--port", "0", *args, env=environment(home, {})).wait_line("CoinPaprika")
    url = line.split()[-1].removesuffix("/v1")
    env = env | {"KASPARRO_LEASE_SECONDS": "2"}
    for name, path in (("COINPAPRIKA", "v1"), ("COINGECKO", "api/v3")):
        env |= {f"KASPARRO_SOURCE_{name}_URL": f"{url}/{path}", f"KASPARRO_SOURCE_{name}_ENABLED": "on"}
    return env, url


def differences(dsn: str, undisturbed: str) -> list[str]:
    """The tables that are not the same, and what must never be there."""
    found, expected = digests(dsn, DATA), digests(undisturbed, DATA)
    return [name for name in TABLES if name in found and found[name] != expected[name]] + flaws(dsn)


def tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the report


@pytest.mark.timeout(60 + 8 * KILLS)
def test_tables_are_those_of_undisturbed_runs_when_kills_come_at_random(
    settings: tuple[dict[str, str], str], dsn: str, second_dsn: str
) -> None:
    """Round after round, each with other data; the sources are killed beside each other."""
    env, url = settings
    tally, number, wrong = Tally(), 0, []
    tell(f"\nchaos: seed {SEED}, until {KILLS} kills")
    for target in (dsn, second_dsn):
        # A backfill asks for listings that are there.
        assert run("run", "coinpaprika", env=env | {"DATABASE_URL": target}).returncode in (0, 3)
    while (tally.ended["kills"] < KILLS or not tally.ended["during recovery"]) and not wrong:
        write_archive(Path(env["KASPARRO_CSV_GLOB"]).parent, number)
        assert post(f"{url}/_control/tick", {"tick": FIRST_TICK + 10 * number})[0] == 200
        threads = [threading.Thread(target=torment, args=(each, number, env, tally)) for each in COMMANDS]
        for thread in threads:
            thread.start()
        for each in COMMANDS:
            ended = run(*each.argv(number), env=env | {"DATABASE_URL": second_dsn, "KASPARRO_LEASE_SECONDS": "30"})
            assert ended.returncode in (0, 3), ended.stderr
        for thread in threads:
            thread.join()
        wrong = [f"round {number}: {each}" for each in differences(dsn, second_dsn)]
        number += 1
    told = ", ".join(f"{count} {what}" for what, count in tally.ended.items())
    tell(f"chaos: seed {SEED}: {told}; {number} rounds compared, {len(wrong)} differences")
    assert (wrong, tally.ended["commands that did not end"]) == ([], 0), f"seed {SEED}"
