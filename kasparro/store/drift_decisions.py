"""What does a person say to a drift? That it is the new usual, or that it is none. drifts.py tells how it goes on."""

from collections.abc import Mapping
from typing import Any

from attrs import frozen
from psycopg.types.json import Jsonb

from kasparro import errors
from kasparro.fields import DriftKind
from kasparro.store import drifts, held_drifts, superseded
from kasparro.store.db import Connection


@frozen(kw_only=True)
class _Kept:
    """A drift that a person decides about."""

    id: int
    source: str
    path: str
    kind: DriftKind
    renamed_to: str | None
    status: str
    details: Mapping[str, Any]

    @property
    def rescaled(self) -> bool:
        """Whether it is about values that are others than before."""
        return bool(self.details.get("rescaled"))

    @property
    def renumbers(self) -> bool:
        """Whether it is about ids that are others than before."""
        return "external_id" in self.details.get("fields", ()) and (self.rescaled or self.renamed_to is not None)


def accept(conn: Connection, drift_id: int) -> str:
    """Take a drift for the new usual; a rename is in force from now on. Its new status.

    Of one about values that is over the records that it keeps out may come in by a replay: that is all. Where ids are
    others now, the listings that have the old ones are superseded, until they are quoted again.
    Raises NotFoundError, and ConflictError for one that is over.
    """
    kept = _lock(conn, drift_id)
    if kept.status == "accepted":
        return kept.status
    if kept.renumbers and kept.status != "resolved":
        superseded.swap(conn, kept.source, kept.id)
    if kept.rescaled and kept.status != "open":
        return _close(conn, kept, "accepted", details={"let_in": True})
    if kept.kind is DriftKind.RENAMED and kept.status in ("open", "rejected"):
        drifts.put_in_force(conn, kept.id)
        _forget_rejections(conn, kept)
    elif kept.status != "open":
        raise errors.KasparroError(f"drift {drift_id} is {kept.status}: there is nothing to accept", code="drift_over")
    after = kept.details.get("after")
    # What it is like one page showed, and no other need be like that one: the next read of all tells.
    sketch = {"share": after["share"], "null": after["null"], "types": {}} if after else None
    if sketch and kept.rescaled:
        sketch["accepted"] = True
    _rewrite_baselines(conn, kept, gone=kept.path, come=kept.renamed_to or kept.path, usual=sketch)
    drifts.supersede(conn, kept.id, kept.details)
    return _close(conn, kept, "accepted")


def reject(conn: Connection, drift_id: int) -> str:
    """Undo what was accepted or mapped by itself; a rename that was rejected is not proposed again. Its new status.

    What was read by an accepted drift of values is kept out from now on: a replay of all takes its quotes away. Of ids,
    the new ones are superseded.
    Raises NotFoundError, and KasparroError for what cannot be rejected.
    """
    kept = _lock(conn, drift_id)
    if kept.status == "rejected":
        return kept.status
    if kept.kind is not DriftKind.RENAMED and kept.status == "open":
        raise errors.KasparroError(
            f"drift {drift_id} is {kept.kind}: only a rename can be rejected; this is accepted as the new usual, or "
            "resolved when the field is back as it was",
            code="drift_open",
        )
    if kept.status == "accepted":
        if kept.renumbers:
            superseded.swap(conn, kept.source, kept.id)
        if kept.rescaled:
            held_drifts.keep_out(conn, kept.id)
        if not kept.details.get("let_in"):
            before = kept.details.get("before")
            usual = before | {"undone": kept.id} if before and kept.rescaled else before
            _rewrite_baselines(conn, kept, gone=kept.renamed_to or kept.path, come=kept.path, usual=usual)
    elif kept.status == "resolved" and kept.kind is not DriftKind.RENAMED:
        raise errors.KasparroError(f"drift {drift_id} is resolved: there is nothing to reject", code="drift_over")
    conn.execute(
        """
        delete from field_renames
        where source = %(source)s
        and path = %(path)s
        and renamed_to = %(renamed_to)s
        """,
        {"source": kept.source, "path": kept.path, "renamed_to": kept.renamed_to},
    )
    return _close(conn, kept, "rejected")


def _lock(conn: Connection, drift_id: int) -> _Kept:
    row = conn.execute(
        """
        select id, source, path, kind, renamed_to, status, details
        from drifts
        where id = %(id)s
        for update
        """,
        {"id": drift_id},
    ).fetchone()
    if row is None:
        raise errors.NotFoundError(f"there is no drift {drift_id}")
    id_, source, path, kind, renamed_to, status, details = row
    return _Kept(
        id=id_, source=source, path=path, kind=DriftKind(kind), renamed_to=renamed_to, status=status, details=details
    )


def _rewrite_baselines(conn: Connection, kept: _Kept, *, gone: str, come: str, usual: object) -> None:
    """In every input where it was seen, one field is usual no more and another, as it was then, is."""
    conn.execute(
        """
        update field_baselines
        set fields = (fields - %(gone)s::text) || %(come)s::jsonb, updated_at = clock_timestamp()
        where source = %(source)s
        and slice = any(%(baselines)s)
        """,
        {
            "source": kept.source,
            "baselines": kept.details.get("baselines", []),
            "gone": gone,
            "come": Jsonb({come: usual} if usual is not None else {}),
        },
    )


def _forget_rejections(conn: Connection, kept: _Kept) -> None:
    """What was said about the same rename before holds no more."""
    conn.execute(
        """
        update drifts
        set status = 'resolved'
        where source = %(source)s
        and path = %(path)s
        and renamed_to = %(renamed_to)s
        and status = 'rejected'
        """,
        {"source": kept.source, "path": kept.path, "renamed_to": kept.renamed_to},
    )


def _close(conn: Connection, kept: _Kept, status: str, details: Mapping[str, Any] | None = None) -> str:
    conn.execute(
        """
        update drifts
        set status = %(status)s, closed_at = clock_timestamp(), details = (details - 'let_in') || %(details)s
        where id = %(id)s
        """,
        {"id": kept.id, "status": status, "details": Jsonb(details or {})},
    )
    return status
