"""GET /compare-runs: two runs of a source beside each other, and what differs."""

from collections.abc import Mapping

import falcon

from kasparro import model
from kasparro.http import params, render
from kasparro.http.errors import FieldError
from kasparro.http.resource import Resource
from kasparro.store import db, run_comparisons
from kasparro.store.bounded import BoundedDatabase


class CompareRuns(Resource):
    """Run a beside run b; of a source its last finished run beside the one before."""

    def __init__(self, database: BoundedDatabase, sources: Mapping[str, model.SourceInfo]) -> None:
        self._database = database
        self._parsers: dict[str, params.Parser] = {
            "a": params.run_id,
            "b": params.run_id,
            "source": params.choice(*sorted(sources)),
        }

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Both records, deltas and ratios, what changed about settings and fields, and the verdicts on both."""
        query = params.parse(req, self._parsers)
        _check(query)
        with self._database.reading() as conn:
            source = query.get("source")
            pair = _named(conn, query) if source is None else run_comparisons.get_last(conn, source)
            comparison = run_comparisons.compare(conn, *pair)
        render.send_object(req, resp, comparison)


def _check(query: params.Query) -> None:
    """Raise the 400 Problem unless there are either both runs or a source."""
    given = query.values.keys() & {"a", "b"}
    if "source" in query.values:
        if given:
            message = "goes without a and b: it stands for its last finished run and the one before"
            raise query.invalid(FieldError("source", message))
    elif len(given) < 2:
        missing = sorted({"a", "b"} - given)
        raise query.invalid(*(FieldError(name, "is required, unless source is given") for name in missing))


def _named(conn: db.Connection, query: params.Query) -> tuple[int, int]:
    """The ids of a and b; raises NotFoundError, and the 400 Problem when they cannot be compared."""
    a, b = run_comparisons.list_heads(conn, [query.get("a"), query.get("b")])
    found = run_comparisons.problems(a, b)
    if found:
        raise query.invalid(*(FieldError(name, message) for name, message in found))
    return a.run_id, b.run_id
