"""Log lines: the fields bound to them, and the secrets that are not in them."""

import io
import json
import logging
import re
import threading
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from kasparro import log

SECRET = "s3cret-of-nobody"
logger = logging.getLogger("kasparro.tests")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leaves logging as it was."""
    root, own = logging.getLogger(), logging.getLogger("kasparro")
    before = (list(root.handlers), root.level, own.level)
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    own.setLevel(before[2])


def lines(write, *, text=False, secrets=(SECRET,)):
    """What `write` logs."""
    stream = io.StringIO()
    log.configure(secrets=secrets, stream=stream, text=text)
    write()
    return stream.getvalue().splitlines()


def one(write, **options):
    """The fields of the one JSON line that `write` logs."""
    (line,) = lines(write, **options)
    return json.loads(line)


def test_line_is_json_with_its_fields_when_not_on_a_terminal():
    """Time, level, logger and message are there under those names."""
    found = one(lambda: logger.info("run ended", extra={"read": 5}))
    assert (found["level"], found["logger"], found["message"], found["read"]) == (
        "INFO",
        "kasparro.tests",
        "run ended",
        5,
    )
    moment = datetime.strptime(found["time"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - moment).total_seconds() < 60


def test_bound_fields_are_on_every_line_when_logged_inside():
    """The inner binding wins, and ends with its block; a line's own field wins over both."""

    def write():
        with log.bind(run_id=1, source="a"), log.bind(source="b"):
            logger.info("x")
            logger.info("y", extra={"source": "c"})
        logger.info("z")

    found = [json.loads(line) for line in lines(write)]
    assert [(each.get("run_id"), each.get("source")) for each in found] == [(1, "b"), (1, "c"), (None, None)]


def test_bound_fields_stay_in_their_thread_when_runs_go_on_beside_each_other():
    """A line of one run never carries another's number."""

    def write():
        with log.bind(run_id=1):
            thread = threading.Thread(target=logger.info, args=("other",))
            thread.start()
            thread.join()

    assert "run_id" not in one(write)


@pytest.mark.parametrize("text", [False, True])
def test_secret_is_hidden_when_it_would_appear_anywhere(text):
    """In messages, fields and tracebacks."""

    def write():
        logger.info("key %s", SECRET, extra={"header": f"x {SECRET} y"})
        try:
            raise ValueError(SECRET)
        except ValueError:
            logger.exception("failed")

    found = "\n".join(lines(write, text=text))
    assert SECRET not in found
    assert found.count("***") >= 3


@pytest.mark.parametrize("secret", ['quote"in-it', "back\\slash-in-it", "ümlaut-in-it", "line\nbreak-in-it"])
@pytest.mark.parametrize("text", [False, True])
def test_secret_is_hidden_when_json_writes_it_differently(secret, text):
    """A quoted or escaped secret is a secret still."""
    found = "\n".join(lines(lambda: logger.info("x", extra={"a": f"<{secret}>"}), text=text, secrets=[secret]))
    assert secret not in found
    assert json.dumps(secret)[1:-1] not in found
    assert secret.split("-")[0] not in found


@pytest.mark.parametrize("safe", ["", "/", "!*'()"])
@pytest.mark.parametrize("change", [str, str.upper, str.lower, lambda text: text.replace("%20", "+")])
def test_secret_is_hidden_when_an_address_spells_it(safe, change):
    """Percent-encoded, with large or small digits, it is a secret still."""
    secret = "/".join(("key", "of=a", "careless+one", "it's a ü")).lower()
    spelled = re.sub("(%..)+", lambda found: change(found[0]), urllib.parse.quote(secret, safe=safe))
    found = "\n".join(lines(lambda: logger.info("GET /x?key=%s", spelled), secrets=[secret]))
    assert "GET /x?key=***" in found
    assert "careless" not in found


def test_short_word_is_no_secret_when_it_would_garble_the_lines():
    """A password of three letters hides nothing but meaning."""
    assert one(lambda: logger.info("a run"), secrets=["run"])["message"] == "a run"


def test_terminal_line_is_text_with_its_fields_when_it_has_some():
    """Fields follow the message; a traceback follows on lines of its own."""

    def write():
        try:
            raise ValueError("oops")
        except ValueError:
            logger.exception("failed", extra={"slice": "a.csv"})

    found = lines(write, text=True)
    assert found[0].endswith("ERROR   failed  slice=a.csv")
    assert found[-1] == "ValueError: oops"


def test_terminal_line_stays_one_when_an_upstream_put_control_characters_into_it():
    """In its message, its fields and its traceback they are escapes: a terminal would obey them."""

    def write():
        try:
            raise ValueError("o\x1b[2Jops")
        except ValueError:
            logger.exception("failed\x1b[1A", extra={"path": "a\nb\u202e"})

    found = lines(write, text=True)
    assert found[0].endswith("failed\\x1b[1A  path=a\\nb\\u202e")
    assert found[-1] == "ValueError: o\\x1b[2Jops"


def test_line_is_written_when_its_fields_are_no_json():
    """Whatever is logged, logging does not fail."""
    extra = {"amount": Decimal("1.50"), "at": datetime(2026, 1, 1, tzinfo=UTC), "odd": {1, 2}, "text": "a\ud800\x00"}
    found = one(lambda: logger.info("x", extra=extra))
    assert "1.50" in str(found["amount"])


def test_foreign_loggers_are_quiet_when_nothing_is_wrong():
    """Only the service's own lines come at level info."""

    def write():
        logging.getLogger("urllib3").info("noise")
        logging.getLogger("urllib3").warning("trouble")

    assert one(write)["message"] == "trouble"
