"""Every error that the service raises on purpose: a code for machines, a message for people.

`code` names the problem in run records, problem+json bodies and logs; `retryable` says whether
the same attempt may succeed later without anybody changing anything.
"""


class KasparroError(Exception):
    """Something went wrong that the operator or the caller should read about."""

    code = "error"
    retryable = False
    # The run that it ended, where it ended one without a result.
    run_id: int | None = None

    def __init__(self, message: str, *, code: str | None = None, retryable: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable


class ConfigError(KasparroError):
    """A setting or a source file is wrong; `problems` holds one line for every mistake found."""

    code = "config"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class NotFoundError(KasparroError):
    """The row asked for does not exist."""

    code = "not_found"


class BusyError(KasparroError):
    """Another process holds the lease of this source and renews it."""

    code = "busy"
    retryable = True


class LeaseLostError(KasparroError):
    """This process slept past its lease, or was fenced off; it must write nothing more."""

    code = "lease_lost"
    retryable = True


class StalledError(KasparroError):
    """Nothing of a run moved for so long that it counts as hung; what it left is for the next one."""

    code = "stalled"
    retryable = True


class StoppedError(KasparroError):
    """The process was asked to stop; the run ends as interrupted."""

    code = "interrupted"
    retryable = True


class DatabaseError(KasparroError):
    """Postgres refused a statement; the message is Postgres' own, without values."""

    code = "database"


class DatabaseUnavailableError(DatabaseError):
    """Postgres cannot be reached, is starting or stopping, or the pool gave no connection in time."""

    code = "database_unavailable"
    retryable = True


class ConflictError(DatabaseError):
    """A deadlock, a serialisation failure or a race for a unique key: do the transaction again."""

    code = "conflict"
    retryable = True


class SchemaError(KasparroError):
    """The database's schema is older or newer than this code can serve."""

    code = "schema"


class FetchError(KasparroError):
    """An upstream gave no usable answer: none at all, or one of `status`, maybe with the wish to be left alone."""

    code = "fetch"
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retryable: bool | None = None,
        status: int | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, code=code, retryable=retryable)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class DeferredError(KasparroError):
    """There is no asking for longer than a run waits; it ends and is due again in `seconds`.

    `wished` is whether the upstream wants to be left alone, or only our own budget says so.
    """

    code = "deferred"
    retryable = True

    def __init__(self, message: str, *, seconds: float, wished: bool) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.wished = wished


class InjectedError(KasparroError):
    """A failure that KASPARRO_FAULTS asked for."""

    code = "injected"


class SliceError(KasparroError):
    """One slice of a source (a file, a window) cannot be read; the others go on."""

    code = "slice"
