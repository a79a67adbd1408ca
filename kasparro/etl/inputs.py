"""Which fields does an input have, as its source's file says: what is compared with what, and which paths are read?"""

from collections.abc import Mapping

from kasparro.etl import drift
from kasparro.etl.field_map import FieldMap
from kasparro.etl.field_rules import REQUIRED_FIELDS
from kasparro.etl.source import Kind, Source
from kasparro.etl.usual import Usual
from kasparro.fields import KnownFields, Rename
from kasparro.model import BACKFILL_PREFIX, LIVE


def name_of(source: Source, slice_name: str) -> str:
    """Whose fields a slice's are compared with: files have columns of their own, an API is one thing, its past another.

    What a file looks like says nothing about the next one: archives of many origins may lie in one folder.
    """
    if slice_name.startswith(BACKFILL_PREFIX):
        return BACKFILL_PREFIX
    return slice_name if source.kind is Kind.CSV_FILES else LIVE


def maps_of(source: Source, slice_name: str) -> Mapping[str, FieldMap]:
    """The field maps of what is read: the past of a source has its own."""
    if source.backfill is not None and slice_name.startswith(BACKFILL_PREFIX):
        return source.backfill.fields
    return source.fields


def rules(
    source: Source, maps: Mapping[str, FieldMap], baseline: Mapping[str, Usual], known: KnownFields
) -> drift.Rules:
    """What a comparison with the baseline must know of the source that is read by these maps."""
    reads = [paths for spec in maps.values() for paths in spec.reads]
    return drift.Rules(
        optional=source.drift.optional,
        alternatives={
            path: [
                other
                for other in paths
                # What a rename put there is a difference until it is usual.
                if other != path and (other in baseline or Rename(path=path, renamed_to=other) not in known.renames)
            ]
            for paths in reads
            for path in paths
        },
        mapped=[path for paths in reads for path in paths],
        required=[
            path for name, spec in maps.items() if name in REQUIRED_FIELDS for paths in spec.reads for path in paths
        ],
        renamed=known.renames,
        excluded=known.rejected,
    )
