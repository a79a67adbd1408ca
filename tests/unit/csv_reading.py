"""Reads files through maps, without a database: what of them becomes quotes, and what becomes of the rest."""

from attrs import evolve, frozen

from kasparro.etl import normalise, source_file
from kasparro.etl.readers.csv_files import CsvFilesReader
from kasparro.model import Checkpoint

MAP = """
name = "archive"
kind = "csv_files"
schedule = "every 1m"
[files]
glob = "*"
#files
[fields]
symbol = "symbol"
name = "name"
observed_at = "date"
price_usd = "price"
#fields
"""


@frozen(kw_only=True)
class Read:
    """What a read gave, record by record, and the checkpoint after it; `unended` records are read again."""

    items: list
    after: Checkpoint
    unended: int

    @property
    def shown(self):
        """Price of each quote, code of each rejection, in order."""
        return [item.rejection.code if item.rejection else f"{item.quote.price_usd:f}" for item in self.items]


def load(folder, *, files="", fields="", replace=()):
    """The source of MAP with these lines added, and these pairs of texts exchanged."""
    text = MAP.replace("#files", files).replace("#fields", fields)
    for old, new in replace:
        assert old in text
        text = text.replace(old, new)
    path = folder / "archive.toml"
    path.write_text(text, encoding="utf-8")
    return source_file.load(path)


def read(source, path, checkpoint=None, *, root=None):
    """Everything that the file gives from the checkpoint on; its glob's fixed part is the `root`, else its folder."""
    reader = CsvFilesReader(evolve(source, files=evolve(source.files, glob=str(root / "**" if root else path))))
    normaliser = normalise.compile_source(source)
    name = str(path.relative_to(root or path.parent))
    after, items, unended = checkpoint or Checkpoint(slice=name), [], 0
    for page in reader.read(name, after):
        items += [normaliser(record, page.constants) for record in page.records]
        after = Checkpoint(slice=page.slice, position=page.position, validators=page.validators)
        unended = page.unended
    return Read(items=items, after=after, unended=unended)
