"""Which sources may be asked about? Those of this process, and those that the database knows.

That is one that another process runs, for it was added since this one began; or one that is no longer configured.
"""

from collections.abc import Collection

from kasparro.http import params
from kasparro.store import schedules
from kasparro.store.bounded import BoundedDatabase


def of(configured: Collection[str], database: BoundedDatabase) -> params.Parser:
    """One or several such names. The database is asked only where a name is not `configured`."""

    def list_others() -> list[str]:
        with database.reading() as conn:
            return schedules.list_sources(conn)

    return params.sources(configured, list_others)
