"""What integration tests share beside the databases of tests/conftest.py: a connection."""

from collections.abc import Iterator

import pytest

from kasparro.store import db


@pytest.fixture
def conn(dsn: str) -> Iterator[db.Connection]:
    """An autocommit connection to a fresh, migrated database."""
    with db.connect(dsn) as connection:
        yield connection
