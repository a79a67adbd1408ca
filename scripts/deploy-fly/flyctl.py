"""How is flyctl asked and told? Every command that changes something is shown first, and no secret is ever shown.

In a dry run it is only asked. Whatever it prints passes through a mask: some of its commands print connection strings.
"""

import contextlib
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

# The password in an address. flyctl prints the addresses of databases that it makes or attaches.
_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]+@")
_MISSING = "flyctl is missing: see https://fly.io/docs/flyctl/install"
# Seconds for a question; orders, such as building an image, take as long as they take.
_ANSWER_SECONDS = 120


class Failed(Exception):  # noqa: N818 - what is printed
    """The deployment ends here; the message says why."""


class Flyctl:
    """flyctl for one app. `secrets` are the values that must not be seen."""

    def __init__(self, *, dry_run: bool, secrets: Iterable[str]) -> None:
        self.dry_run = dry_run
        # The longest first: one may be a part of another.
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)

    def ask(self, *arguments: str, absent: str | None = None) -> Any:
        """What flyctl answers in JSON; None where it has nothing, or in a dry run where it cannot be asked.

        `absent` is what it says when it fails because there is no such thing. Raises Failed for other failures.
        """
        command = ["flyctl", *arguments, "--json"]
        try:
            asked = subprocess.run(
                command,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=_ANSWER_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as ex:
            reason = _MISSING if _is_missing() else str(ex)
        else:
            if asked.returncode == 0:
                return _parsed(asked.stdout)
            said = asked.stderr.strip() or asked.stdout.strip()
            if absent is not None and absent in said.lower():
                return None
            reason = f"{shlex.join(command)}: {self.masked(said)}"
        if not self.dry_run:
            raise Failed(reason)
        print(f"# not known, so as if there were nothing yet: {reason}", flush=True)
        return None

    def tell(self, *arguments: str, secrets: Mapping[str, str] | None = None) -> None:
        """Run a command, and show it and what it prints. `secrets` go to its stdin, and their names are shown.

        Raises Failed when it does.
        """
        shown = shlex.join(["flyctl", *arguments])
        if secrets is not None:
            shown += "".join(f"\n    {name}=***" for name in secrets)
        print(f"$ {self.masked(shown)}", flush=True)
        if self.dry_run:
            return
        if _is_missing():
            raise Failed(_MISSING)
        with subprocess.Popen(
            ["flyctl", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            # One that gave up before it read them says why below.
            with contextlib.suppress(BrokenPipeError), process.stdin:
                process.stdin.write("".join(f'{name}="""{value}"""\n' for name, value in (secrets or {}).items()))
            for line in process.stdout:
                print(f"  {self.masked(line.rstrip())}", flush=True)
        if process.returncode != 0:
            raise Failed(f"flyctl {arguments[0]} failed with exit code {process.returncode}; see above")

    def masked(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _PASSWORD.sub(r"\1***@", text)


def _is_missing() -> bool:
    return shutil.which("flyctl") is None


def _parsed(text: str) -> Any:
    """None for the sentence that some lists say instead of an empty list."""
    try:
        return json.loads(text)
    except ValueError:
        return None
