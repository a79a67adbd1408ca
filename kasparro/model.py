"""The values that every layer speaks: frozen, typed, with their units in their names.

Nothing here does anything: the rules live in the stages and in the schema; these are what they pass on.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from attrs import field, frozen

from kasparro.tallies import Counts, Traffic

# The slice of runs that read what a source has now; those of its schedule.
LIVE = ""
# What the names of slices that fill in the past begin with. They have leases and checkpoints of their own.
BACKFILL_PREFIX = "backfill:"
# The slice of runs that read nothing anew; they hold the source's own lease, so that no live run goes on beside them.
REPLAY = "replay"


class RunStatus(StrEnum):
    """What became of a run. Queued and running are live; every other status is final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    CRASHED = "crashed"
    DEFERRED = "deferred"


# What a run is before it ends.
LIVE_STATUSES = (RunStatus.QUEUED, RunStatus.RUNNING)


class Trigger(StrEnum):
    """Who asked for a run."""

    SCHEDULE = "schedule"
    API = "api"
    CLI = "cli"
    CRON = "cron"
    DEMO = "demo"
    REPLAY = "replay"
    BACKFILL = "backfill"


class Reading(StrEnum):
    """How much of its source a run read. Only runs that read alike are compared with each other."""

    # All that the source has now.
    FULL = "full"
    # The same, when nothing was known yet.
    FIRST = "first"
    # What files have more than at the run before.
    TAIL = "tail"
    # What a run that did not get to its end left over.
    REST = "rest"
    # The upstream said that nothing changed, or no file did.
    NOTHING = "nothing"


# What a run may be judged by, as the log, its record and the verdicts name it; and how grave a verdict may be.
JUDGED_METRICS = (
    "records", "inserted", "rejected_share", "duration_seconds", "new_listings", "vanished_listings", "price_move_pct",
    "pages", "data_age_seconds", "null_share_market_cap_usd", "null_share_volume_24h_usd", "null_share_change_24h_pct",
    "null_share_rank", "null_share_circulating_supply",
)  # fmt: skip
SEVERITIES = ("warn", "alert")


@frozen(kw_only=True)
class Anomaly:
    """A verdict on a run. `score` is how far `value` is from `expected`, where the run's history is the judge.

    `rule` is history, or the hard rule that was broken: min_records, freshness, partial_pages, price_move.
    `severity` is warn or alert.
    """

    metric: str
    rule: str
    severity: str
    value: float
    expected: float
    score: float | None = None
    message: str


@frozen(kw_only=True)
class Quote:
    """One normalised observation. Prices and values in US dollars, change in percent, supply in coins."""

    observed_at: datetime
    price_usd: Decimal
    market_cap_usd: Decimal | None = None
    volume_24h_usd: Decimal | None = None
    change_24h_pct: Decimal | None = None
    rank: int | None = None
    circulating_supply: Decimal | None = None


@frozen(kw_only=True)
class Rejection:
    """Why a record gave no quote. `expected` means that the source says this is normal."""

    stage: str
    code: str
    field: str | None
    message: str
    expected: bool = False


@frozen(kw_only=True)
class Record:
    """One raw item of a source, as the reader found it.

    `fields` is the parsed item (JSON numbers as Decimal), `payload` the JSON text to keep. `defect` says what is
    wrong with the record itself, when no field of it can be trusted (a ragged CSV row).
    """

    fields: Mapping[str, Any]
    payload: str
    defect: Rejection | None = None


@frozen(kw_only=True)
class Page:
    """Records that were read together, and where reading stands after them.

    `position` is a resume point only where the input cannot move (bytes of a file); `validators` prove later that
    the input is still the same. `last` marks the page that completes its slice. The last `unended` records are read
    again the next time, and may be others then. With one `anew` begins another version of a file that was read before;
    one `again` is of bytes that were read before, and are as they were, `inner` if those without a line end come later.
    `bytes_read` is what reading it took from a file; what came over the network is counted where it is asked for.
    A page is `unchanged`, and empty, when the upstream says that nothing changed since its validators.
    """

    slice: str
    records: Sequence[Record]
    position: Mapping[str, Any] = field(factory=dict)
    validators: Mapping[str, Any] = field(factory=dict)
    constants: Mapping[str, str] = field(factory=dict)
    bytes_read: int = 0
    last: bool = False
    unchanged: bool = False
    unended: int = 0
    anew: bool = False
    again: bool = False
    inner: bool = False


@frozen(kw_only=True)
class Normalised:
    """A record after normalising: whose it is, and its quote or the reason there is none.

    `content_hash` is 32 hex digits (128 bits) over the record, its external_id and the constants of its slice;
    `symbol_key` is the symbol group that matching puts it in.
    """

    content_hash: str
    payload: str
    external_id: str | None
    symbol: str | None
    name: str | None
    symbol_key: str | None
    quote: Quote | None
    rejection: Rejection | None


@frozen(kw_only=True)
class Checkpoint:
    """How far one slice has been read; empty mappings and None for a slice never read."""

    slice: str
    position: Mapping[str, Any] = field(factory=dict)
    watermark: datetime | None = None
    validators: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class BucketState:
    """What is left of a request budget: `tokens` as of `refilled_at`, and what was used in `month` (its first day)."""

    tokens: float
    refilled_at: datetime
    blocked_until: datetime | None = None
    month: date | None = None
    month_used: int = 0


@frozen(kw_only=True)
class Lease:
    """The right to write for `key`, proven to Postgres by `epoch` in every batch."""

    key: str
    epoch: int
    holder: str
    run_id: int


@frozen(kw_only=True)
class Run:
    """One run as the pipeline needs it. `started_at` is the database's clock."""

    id: int
    source: str
    slice: str = LIVE
    status: RunStatus
    trigger: Trigger
    started_at: datetime
    resumed_from: int | None = None


@frozen(kw_only=True)
class RunResult:
    """How a run ended, for whoever started it."""

    run_id: int
    source: str
    status: RunStatus
    counts: Counts
    traffic: Traffic
    seconds: float
    error_code: str | None = None
    error_message: str | None = None
    anomalies: Sequence[Anomaly] = ()


@frozen(kw_only=True)
class Listing:
    """One thing as its source names it."""

    external_id: str
    symbol: str
    name: str


@frozen(kw_only=True)
class MatchListing:
    """What matching knows of a listing; `superseded_by` is the drift after which its source has another id for it."""

    id: int
    source: str
    external_id: str
    symbol: str
    name: str
    asset_id: int
    superseded_by: int | None = None


@frozen(kw_only=True)
class Match:
    """Where a listing belongs: the asset's slug and names, and how sure that is (0 to 1)."""

    listing_id: int
    slug: str
    symbol: str
    name: str
    method: str
    confidence: Decimal


@frozen(kw_only=True)
class SourceInfo:
    """What the API needs to know of a configured source.

    `interval_seconds` is the longest gap between two scheduled runs; `freshness_seconds` the age of the newest data
    above which the source counts as stale (None: data age does not count, as for an archive). Its `bucket` holds up to
    `burst` tokens (None: no limit) and gets `tokens_per_second`.
    """

    name: str
    enabled: bool
    interval_seconds: float | None
    freshness_seconds: float | None
    monthly_requests: int | None
    config_fingerprint: str
    bucket: str = ""
    burst: int | None = None
    tokens_per_second: float = 0.0


@frozen(kw_only=True)
class SchedulerState:
    """Whether this process schedules runs, whether its scheduler thread moved lately, and how long ago it last did."""

    enabled: bool
    alive: bool
    heartbeat_age_seconds: float | None = None
