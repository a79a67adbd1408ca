"""What is done about each kind of drift? The table [drift] of a source file."""

from collections.abc import Iterator
from enum import StrEnum

from attrs import frozen

from kasparro.fields import DriftKind


class Policy(StrEnum):
    """What is done about a drift: nothing, tell, read the new field, do not load its records and keep them or not."""

    IGNORE = "ignore"
    WARN = "warn"
    MAP = "map"
    QUARANTINE = "quarantine"
    FAIL = "fail"

    @property
    def severity(self) -> int:
        """The later in the list above, the more it keeps from being loaded."""
        return list(Policy).index(self)


@frozen(kw_only=True)
class DriftPolicies:
    """What is done about each kind of drift. `optional` paths, and those below them, come and go and raise none.

    Without a word about missing fields, one that every quote needs is quarantined and any other warned about.
    """

    added: Policy = Policy.WARN
    missing: Policy | None = None
    type_changed: Policy = Policy.WARN
    null_jump: Policy = Policy.WARN
    renamed: Policy = Policy.MAP
    optional: tuple[str, ...] = ()

    def of(self, kind: DriftKind, *, required: bool) -> Policy:
        """The policy for a kind, of a field that every quote needs or not."""
        if kind is DriftKind.MISSING and self.missing is None:
            return Policy.QUARANTINE if required else Policy.WARN
        return Policy(getattr(self, kind.value))

    def problems(self) -> Iterator[str]:
        """What makes no sense, by its key."""
        for kind in DriftKind:
            if kind is not DriftKind.RENAMED and getattr(self, kind) is Policy.MAP:
                others = ", ".join(policy for policy in Policy if policy is not Policy.MAP)
                yield f"drift.{kind}: only a renamed field can be mapped; must be one of {others}"
