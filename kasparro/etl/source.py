"""What is a source? One upstream and everything that reading it takes, as frozen values.

source_file.py makes them of a TOML file, source_rules.py says which of them make sense, catalogue.py knows which
files there are and what the environment changes about them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from enum import StrEnum

from attrs import asdict, evolve, field, frozen

from kasparro.etl import retry
from kasparro.etl import schedule as schedules
from kasparro.etl.bucket import Limit
from kasparro.etl.field_map import FieldMap
from kasparro.etl.policies import DriftPolicies
from kasparro.fields import Rename

# Every quote field that a map may fill, and how its value is read unless the map says otherwise.
FIELD_TYPES = {
    "external_id": "text", "symbol": "text", "name": "text", "observed_at": "time",
    "price_usd": "number", "market_cap_usd": "number", "volume_24h_usd": "number",
    "change_24h_pct": "number", "rank": "integer", "circulating_supply": "number",
}  # fmt: skip


# What a map may fill besides: in which currency a record's prices are. It is checked, never converted, and not kept.
CURRENCY = "currency"


class Kind(StrEnum):
    """How a source is read."""

    JSON_API = "json_api"
    CSV_FILES = "csv_files"


class Order(StrEnum):
    """Whether records come sorted by observed_at. For unsorted ones only a complete read moves the watermark."""

    SORTED = "sorted"
    UNSORTED = "unsorted"


class Duplicates(StrEnum):
    """What becomes of several rows of a file that differ for one listing and time: all are rejected, or the last is."""

    REJECT = "reject"
    LAST = "last"


@frozen(kw_only=True)
class Limits:
    """What the upstream allows: at most `requests` in any window of `seconds`, `burst` of them at once.

    `monthly_requests` is the budget of a calendar month. Sources that name the same `bucket` share one budget.
    """

    bucket: str = ""
    requests: int | None = None
    seconds: float = 60.0
    burst: int = 1
    monthly_requests: int | None = None

    def as_limit(self) -> Limit:
        """What the bucket goes by."""
        return Limit(
            requests=self.requests, seconds=self.seconds, burst=self.burst, monthly_requests=self.monthly_requests
        )


@frozen(kw_only=True)
class Plan:
    """What a key's plan changes: the header that carries the key, the host it belongs to, and what it allows."""

    header: str
    url: str | None = None
    limits: Limits | None = None


@frozen(kw_only=True)
class Auth:
    """How a key travels, in `header`, to `url` where that differs; without a key nothing is sent.

    `key` and `plan` name environment variables. With `plans`, the plan's header and url count instead. `limits` go
    before the source's own where a key is used.
    """

    key: str
    header: str = ""
    url: str | None = None
    plan: str | None = None
    default_plan: str | None = None
    limits: Limits | None = None
    plans: Mapping[str, Plan] = field(factory=dict)


@frozen(kw_only=True)
class Paging:
    """How an API hands out its list. Without `max_pages` it is read until a page is shorter than `size`.

    `limited_params` and `unlimited_params` are added with and without a page limit; `usual_pages` is what a read
    without a limit takes, for the projected calls a month.
    """

    param: str
    first: int = 1
    size_param: str
    size: int
    max_pages: int | None = None
    usual_pages: int = 1
    limited_params: Mapping[str, str] = field(factory=dict)
    unlimited_params: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class Since:
    """The parameter that asks for what is new: the watermark, moved back by `lookback_seconds`, written as `format`.

    An upstream that corrects what it sent, or stamps it late, is read again that far; the watermark itself stays.
    Without a watermark, at first, nothing is added to the parameters of [http].
    """

    param: str
    format: str = "rfc3339"
    lookback_seconds: float = 0.0


@frozen(kw_only=True)
class Backfill:
    """How an API is asked for the past of one listing, `window_days` at a time.

    `path` holds {id}, the listing's external_id; `from_param` and `to_param` carry the first and the last second of a
    window, written as `format`. The answer holds records at `records`, or `series`: name -> dotted path of a list of
    [time, value] pairs, which become records of `time` and the names. An answer of `max_records` is one that was cut
    off. `fields` are those of a quote; external_id, symbol and name are the listing's.
    """

    path: str
    from_param: str
    to_param: str
    format: str = "epoch_seconds"
    params: Mapping[str, str] = field(factory=dict)
    records: str = ""
    series: Mapping[str, str] = field(factory=dict)
    window_days: int
    max_records: int | None = None
    fields: Mapping[str, FieldMap]


@frozen(kw_only=True)
class Http:
    """Where an API answers. `records` is the dotted path of the list in the answer; '' is the answer itself.

    The timeouts are of one attempt; a run tries again `max_retries` times in all, waiting `max_retry_seconds` at most.
    """

    url: str
    path: str
    params: Mapping[str, str] = field(factory=dict)
    records: str = ""
    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 30.0
    total_timeout_seconds: float = 60.0
    max_bytes: int = 32 * 1024 * 1024
    max_retries: int = 6
    max_retry_seconds: float = 120.0

    @property
    def retry_policy(self) -> retry.Policy:
        """How often and how long a run tries again."""
        return retry.Policy(max_retries=self.max_retries, max_seconds=self.max_retry_seconds)


@frozen(kw_only=True)
class Wide:
    """Files with a column a coin, or a currency: every row and column is a record.

    A column whose whole name matches the regular expression `columns` is one: its named groups, and its cell under the
    name `value`, stand beside the row's other columns.
    """

    columns: str
    value: str = "value"


# Words that mean absent in numbers and times of files, where they could mean nothing else.
NULL_WORDS = ("-", "--", "n/a", "na", "#n/a", "nan", "null", "none", "\\n")


@frozen(kw_only=True)
class Files:
    """Which files are read, and how. A relative glob is relative to the TOML file.

    Without `encoding` a byte order mark decides, else it is UTF-8; without `delimiter` the header does. `columns` names
    the columns of files without a header. The named groups of `name_pattern`, a regular expression that is searched in
    a file's path, are columns of all its rows. `null` and `decimal` are of all number and time fields.
    """

    glob: str = ""
    encoding: str = ""
    delimiter: str = ""
    comment: str = ""
    escape: str = ""
    skip_lines: int = 0
    columns: tuple[str, ...] = ()
    name_pattern: str = ""
    wide: Wide | None = None
    null: tuple[str, ...] = NULL_WORDS
    decimal: str = ""
    duplicates: Duplicates = Duplicates.REJECT
    max_record_bytes: int = 1024 * 1024

    @property
    def reading(self) -> str:
        """Sixteen hex digits that change when a file would come to other records than before."""
        ways = (self.encoding, self.delimiter, self.comment, self.skip_lines, self.columns, self.name_pattern)
        wide = None if self.wide is None else asdict(self.wide)
        # A key that came later says nothing where it is not used: files that were read before are not read anew.
        text = json.dumps([*ways, wide, self.duplicates, *filter(None, [self.escape])])
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@frozen(kw_only=True)
class Source:
    """One upstream with everything that reading it takes."""

    name: str
    kind: Kind
    schedule: schedules.Schedule
    order: Order = Order.UNSORTED
    enabled: bool = True
    freshness_seconds: int | None = None
    expected: frozenset[str] = frozenset()
    http: Http | None = None
    auth: Auth | None = None
    paging: Paging | None = None
    since: Since | None = None
    backfill: Backfill | None = None
    files: Files | None = None
    limits: Limits = Limits()
    max_rejected_share: float | None = None
    min_records: int | None = None
    drift: DriftPolicies = field(factory=DriftPolicies)
    fields: Mapping[str, FieldMap]

    @property
    def rejected_share_limit(self) -> float:
        """The share of a batch's records that may be rejected without being expected; 1 is no limit.

        An API whose fields are renamed must not fill the tables with rejections for hours; a file is what it is.
        """
        if self.max_rejected_share is not None:
            return self.max_rejected_share
        return 0.5 if self.kind is Kind.JSON_API else 1.0

    @property
    def reads_all(self) -> bool:
        """Whether every read gives all that the source has now, not only what is new."""
        return self.kind is Kind.JSON_API and self.since is None

    @property
    def least_records(self) -> int:
        """The records that a complete read has at least: an API that answers with nothing is odd, an archive is not."""
        if self.min_records is not None:
            return self.min_records
        return 1 if self.reads_all else 0

    @property
    def bucket(self) -> str:
        """The name of the budget that its requests are paid from."""
        return self.limits.bucket or self.name

    def renamed(self, renames: Iterable[Rename]) -> "Source":
        """The source with these renames in force."""
        source = self
        for rename in renames:
            past = source.backfill and evolve(source.backfill, fields=_renamed(source.backfill.fields, rename))
            source = evolve(source, fields=_renamed(source.fields, rename), backfill=past)
        return source

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that change when anything about the source changes; holds no secret."""
        text = json.dumps(asdict(self), sort_keys=True, default=sorted)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _renamed(fields: Mapping[str, FieldMap], rename: Rename) -> dict[str, FieldMap]:
    return {name: spec.renamed(rename) for name, spec in fields.items()}
