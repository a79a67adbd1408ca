"""From a downloaded export to /data, as the README shows it: guess, fill in what is left open, try, run, ask."""

import re
from pathlib import Path

from program import Start, get, run, wait_until

# As a spreadsheet in Germany writes it, below a title.
EXPORT = "Kursverlauf Bitcoin\r\nDatum;Schlusskurs;Marktkapitalisierung;Volumen (24h)\r\n" + "".join(
    f"{day:02}.01.2024;4{day % 10}.339,67 $;81{day % 10},26 Mrd;30.884.584.506\r\n" for day in range(1, 32)
)


def test_download_becomes_data_by_guess_try_and_run(home: Path, env: dict[str, str], start: Start) -> None:
    """One line is filled in by hand; nothing of the file is lost, and a second run finds nothing new."""
    (home / "Bitcoin-Kurs.csv").write_text(EXPORT, encoding="cp1252", newline="")
    (home / "sources").mkdir()
    guessed = run("sources", "guess", "Bitcoin-Kurs.csv", env=env)
    assert (guessed.returncode, guessed.stderr.count('symbol: such as { value = "BTC" }')) == (3, 1)
    source = home / "sources" / "bitcoin_kurs.toml"
    source.write_text(re.sub("(?m)^symbol = .*", 'symbol = { value = "BTC" }', guessed.stdout))
    tried = run("sources", "try", str(source), "Bitcoin-Kurs.csv", env=env)
    assert (tried.returncode, "31 records: 31 quotes, 0 rejected" in tried.stdout) == (0, True)
    env = env | {"KASPARRO_SOURCES_DIR": str(home / "sources")}
    assert [run("run", "bitcoin_kurs", env=env).returncode for _ in range(2)] == [0, 0]
    url = start("serve", "--no-scheduler", env=env).wait_url()
    wait_until(lambda: get(f"{url}/health/ready")[0] == 200, "a ready service")
    _, answer = get(f"{url}/data?source=bitcoin_kurs&limit=100")
    assert [row["price_usd"] for row in answer["data"]] == [40339.67 + day % 10 * 1000 for day in range(31, 0, -1)]
    assert {(row["symbol"], row["name"]) for row in answer["data"]} == {("BTC", "Bitcoin")}
