"""Is this value what an option, a fault or a control body may hold? The answer names the field.

Each function makes an attrs validator; what they raise is a ConfigError, so that a wrong command-line option and a
wrong control body are told in the same words.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kasparro import errors

Validator = Callable[[Any, Any, Any], None]


class FieldError(errors.ConfigError):
    """One field holds something it may not; `field` is its name."""

    def __init__(self, field: str, wanted: str, found: object) -> None:
        super().__init__([f"{field}: must be {wanted}, got {found!r}"])
        self.field = field


def whole(least: int, most: int | None = None) -> Validator:
    """A validator for whole numbers from `least` to `most`, both included."""

    def check(_: Any, attribute: Any, value: Any) -> None:
        if type(value) is not int or value < least or (most is not None and value > most):
            raise FieldError(attribute.name, f"a whole number {_span(least, most)}", value)

    return check


def number(least: float, most: float) -> Validator:
    """A validator for finite numbers from `least` to `most`, both included."""

    def check(_: Any, attribute: Any, value: Any) -> None:
        # Asked this way round because every comparison with a NaN is false.
        if type(value) not in (int, float) or not least <= value <= most:
            raise FieldError(attribute.name, f"a number {_span(least, most)}", value)

    return check


def one_of(*choices: str) -> Validator:
    """A validator for one of a few words."""

    def check(_: Any, attribute: Any, value: Any) -> None:
        if value not in choices:
            raise FieldError(attribute.name, f"one of {', '.join(choices)}", value)

    return check


def text() -> Validator:
    """A validator for a string that is not empty."""

    def check(_: Any, attribute: Any, value: Any) -> None:
        if not isinstance(value, str) or not value:
            raise FieldError(attribute.name, "a text that is not empty", value)

    return check


def texts() -> Validator:
    """A validator for a tuple of strings that are not empty; the error does not show them, for they may be keys."""

    def check(_: Any, attribute: Any, value: Any) -> None:
        if not isinstance(value, tuple) or not all(isinstance(entry, str) and entry for entry in value):
            raise FieldError(attribute.name, "a tuple of texts that are not empty", type(value).__name__)

    return check


def flag() -> Validator:
    """A validator for true or false."""

    def check(_: Any, attribute: Any, value: Any) -> None:
        if not isinstance(value, bool):
            raise FieldError(attribute.name, "true or false", value)

    return check


def known(body: Mapping[str, Any], names: Iterable[str]) -> None:
    """Raises FieldError for the first key of `body` that is not one of `names`."""
    allowed = list(names)
    for key in body:
        if key not in allowed:
            raise FieldError(key, f"left out (known: {', '.join(allowed)})", body[key])


def _span(least: float, most: float | None) -> str:
    return f"of at least {least}" if most is None else f"from {least} to {most}"
