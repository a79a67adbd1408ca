"""Where does a quote field come from? An entry of the table [fields] of a source file; what a rename makes of it."""

import re
import string

from attrs import evolve, frozen

from kasparro.fields import Rename

# A dot that leads into an object; one with a backslash before it is part of a name.
_DOT = re.compile(r"(?<!\\)\.")


def keys(path: str) -> tuple[str, ...]:
    """The names that a path goes through, from the outermost object on."""
    return tuple(part.replace("\\.", ".") for part in _DOT.split(path))


def escaped(key: str) -> str:
    """A name as a part of a path: an upstream may call a field `quote.price`, and that is no price in a quote."""
    return key.replace(".", "\\.")


@frozen(kw_only=True)
class FieldMap:
    """Where one quote field comes from: the first of `paths` with a value, else a constant `value`; or a `template`.

    A path is dotted (`quotes.USD.price`), see `keys`; in a template, several are separated by `|`. `scale`
    multiplies numbers; words in `null` (case ignored) and, with `zero_is_null`, zeros count as absent. With a
    `decimal` sign numbers may be written for people (numbers.written). Times are ISO 8601 or, with `formats` (those
    of strptime), written so; without a zone of their own they are in `timezone`, else UTC; `fold` says which of the
    two hours is meant when clocks are set back. Words in `accept` mean US dollars, or the same coin in
    the names of files.
    """

    paths: tuple[str, ...] = ()
    value: str | None = None
    template: str | None = None
    type: str = ""
    scale: str | None = None
    null: tuple[str, ...] = ()
    zero_is_null: bool = False
    decimal: str = ""
    formats: tuple[str, ...] = ()
    timezone: str = ""
    fold: str = ""
    accept: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[tuple[str, ...], ...]:
        """The paths in records that a value is made of, each with those that are read where it has none."""
        if self.template is None:
            return (self.paths,) if self.paths else ()
        keys = [key for _, key, _, _ in string.Formatter().parse(self.template) if key]
        # These two stand for what their own fields gave.
        return tuple(tuple(key.split("|")) for key in keys if key not in ("symbol", "name"))

    def renamed(self, rename: Rename) -> "FieldMap":
        """The same, reading the new path too where the old one has no value."""
        reads = [paths for paths in self.reads if rename.path in paths and rename.renamed_to not in paths]
        if not reads:
            return self
        if self.template is not None:
            old, new = "|".join(reads[0]), "|".join(_with(reads[0], rename))
            return evolve(self, template=self.template.replace(f"{{{old}}}", f"{{{new}}}"))
        return evolve(self, paths=_with(self.paths, rename))


def _with(paths: tuple[str, ...], rename: Rename) -> tuple[str, ...]:
    after = paths.index(rename.path) + 1
    return (*paths[:after], rename.renamed_to, *paths[after:])
