"""`kasparro healthcheck`: is the service of this configuration ready? Asked every few seconds, so it loads little."""

import argparse
import http.client

from kasparro.commands.signals import Stop
from kasparro.config import Config

# Seconds for connecting, and for the answer; Docker's own limit is above it.
_TIMEOUT_SECONDS = 2.0
# Where a service that listens everywhere is reached from its own machine.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, never bound


def run(args: argparse.Namespace, config: Config, stop: Stop) -> int:  # noqa: ARG001 - as every command
    """0 when /health/ready answers 200, else 1, with one line that says so."""
    host = local_host(config)
    connection = http.client.HTTPConnection(host, config.port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health/ready")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as ex:
        print(f"not ready: {host} port {config.port}: {ex or type(ex).__name__}")
        return 1
    finally:
        connection.close()
    print("ready" if status == 200 else f"not ready: {host} port {config.port} answered {status}")
    return 0 if status == 200 else 1


def local_host(config: Config) -> str:
    """Where this machine itself reaches the service."""
    return _EVERYWHERE.get(config.host, config.host)
