"""Unit tests reach nothing outside of their process: who connects or binds a socket here fails, and learns why."""

import socket
from collections.abc import Iterator
from typing import NoReturn

import psycopg
import pytest
import urllib3  # noqa: F401 - binds a socket to look for IPv6 when it is first imported: before any test


def refuse(*args: object, **kwargs: object) -> NoReturn:
    """Stands in for whatever would leave the process."""
    pytest.fail("a unit test uses no sockets and no Postgres: move it to tests/integration", pytrace=True)


@pytest.fixture(autouse=True, scope="module")
def no_network() -> Iterator[None]:
    """Refuse sockets, and psycopg, whose library opens its own without asking Python."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "bind"):
            patch.setattr(socket.socket, name, refuse)
        patch.setattr(psycopg.Connection, "connect", refuse)
        patch.setattr(psycopg, "connect", refuse)
        yield
