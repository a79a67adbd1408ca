"""Has maps guessed for made-up files, and tries them, as `kasparro sources guess` and `try` do."""

import tomllib

from attrs import frozen

from kasparro.etl import source_file, trial
from kasparro.etl.guess import check, document, draft


@frozen(kw_only=True)
class Guessed:
    """The map as TOML says it, what is undecided (key -> what to fill in), and what the rest gives of the file."""

    map: dict
    undecided: dict
    trial: trial.Trial | None

    @property
    def fields(self):
        return self.map["fields"]

    @property
    def quotes(self):
        """Symbol, time and price of the first quotes."""
        assert self.trial is not None
        assert self.trial.error is None
        return [(each.symbol, f"{each.quote.observed_at:%Y-%m-%d %H:%M}", f"{each.quote.price_usd:f}")
                for each in self.trial.first]  # fmt: skip


def write(folder, name, content, encoding="utf-8"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def look(*paths):
    """The guess of these files, tried on them, with what it gives of the first one."""
    found = check.run(draft.run(paths)).guess
    text = document.write(found)
    preview = document.preview(found)
    source = source_file.parse(preview, name="preview", folder=paths[0].parent) if preview else None
    return Guessed(
        map=tomllib.loads(text),
        undecided={entry.key: entry.todo for entry in found.undecided},
        trial=trial.run(source, paths[0], first=1000) if source is not None else None,
    )
