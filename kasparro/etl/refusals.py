"""Why is a page not loaded, though it was read? Its fields drifted, and what becomes of its records then."""

from collections.abc import Sequence

from attrs import evolve, frozen

from kasparro.etl.drift import Difference
from kasparro.fields import DriftKind
from kasparro.model import Normalised, Rejection

# What a run fails of, and a record is rejected for, when a drift keeps it from being loaded.
SCHEMA_DRIFT = "schema_drift"
_RESCALED = "runs on another scale than before"
_OTHER = {
    "external_id": "no longer gives the ids of known listings, but of their symbols and names",
    "symbol": "is, with their names, another one than known listings had",
    "name": "is, with their symbols, another one than known listings had",
    "observed_at": "mostly lies more than a day ahead of now",
}


@frozen(kw_only=True)
class Refusal:
    """Why a page is not loaded, the quote field that it is about, and whether its records are kept as rejections.

    `path`, `kind` and `rescaled` are those of the drift.
    """

    message: str
    field: str
    keep: bool
    path: str
    kind: DriftKind
    rescaled: bool


def refused(items: Sequence[Normalised], refusal: Refusal) -> list[Normalised]:
    """The records of a page that is not loaded, as rejections; none where they are not kept."""
    if not refusal.keep:
        return []
    why = Rejection(stage="compare", code=SCHEMA_DRIFT, field=refusal.field, message=refusal.message)
    return [
        item
        if item.rejection is not None and item.rejection.stage == "read"
        else evolve(item, quote=None, rejection=why)
        for item in items
    ]


def kept_out(item: Normalised) -> Normalised:
    """A record that was loaded by a drift which a person accepted, and then rejected."""
    why = Rejection(stage="compare", code=SCHEMA_DRIFT, field=None, message="was read by a drift that was rejected")
    return evolve(item, quote=None, rejection=why)


def of_drift(each: Difference, slice_name: str, name: str, *, keep: bool) -> Refusal:
    """A page in which a path that quote field `name` is read from differs from what it was."""
    where = f"{slice_name}: " if slice_name else ""
    what = {
        DriftKind.MISSING: "is gone",
        DriftKind.RENAMED: f"is gone; it may be {each.renamed_to!r} now (confidence {each.confidence:.2f})",
        DriftKind.TYPE_CHANGED: "has another type than before" if not each.rescaled else _rescaled(each, name),
        DriftKind.NULL_JUMP: "is null far more often than before",
        DriftKind.ADDED: "was not there before",
    }[each.kind]
    return Refusal(
        message=f"{where}the field {each.path!r}, read as {name}, {what}. Look at kasparro drift list: accept what is "
        "right, or mend the field map",
        field=name,
        keep=keep,
        path=each.path,
        kind=each.kind,
        rescaled=each.rescaled,
    )


def _rescaled(each: Difference, name: str) -> str:
    what, how = _OTHER.get(name, _RESCALED), shown(each.factor, each.example)
    return f"{what} ({how})" if how else what


def shown(factor: float | None, example: str | None) -> str:
    """How values changed, for people: `x100: bitcoin 1.07 -> 107`."""
    return ": ".join(part for part in (f"x{factor:g}" if factor else None, example) if part)
