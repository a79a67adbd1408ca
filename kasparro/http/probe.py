"""A look at the database for whoever watches the service: ended in time, and not before the service is ready."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import frozen

from kasparro import errors
from kasparro.store import db
from kasparro.store.bounded import BoundedDatabase

# Gives None once the database was reached and its schema is current, else the error that says why not.
Ready = Callable[[], errors.KasparroError | None]


@frozen
class Probe:
    """The database, and whether it may be asked."""

    database: BoundedDatabase
    ready: Ready

    @contextmanager
    def reading(self, **seconds: float) -> Iterator[db.Connection]:
        """Lend a connection, limited as by BoundedDatabase.reading. Raises KasparroError: why there is no answer."""
        reason = self.ready()
        if reason is not None:
            raise reason
        with self.database.reading(**seconds) as conn:
            yield conn
