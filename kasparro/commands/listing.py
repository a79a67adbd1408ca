"""How does a command print a page of records? As a table, or as the JSON that the API would give."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from kasparro.commands import output
from kasparro.store.record_pages import RecordPage


@frozen(kw_only=True)
class Listing:
    """Records called `name`, a `row` each; `options` make their list shorter."""

    name: str
    headers: Sequence[str]
    row: Callable[[Mapping[str, Any]], Sequence[object]]
    numbers: Sequence[str]
    options: str

    def show(self, page: RecordPage, args: argparse.Namespace, *, nothing: str) -> int:
        """Print a page as `args` ask for it, or that there is `nothing`; 0, whatever is on it."""
        if args.json:
            print(f'{{"{self.name}": {page.rows}, "has_more": {json.dumps(page.next_id is not None)}}}')
            return 0
        rows = json.loads(page.rows, parse_float=str)
        if not rows:
            print(nothing)
            return 0
        output.show_table(self.headers, [self.row(each) for each in rows], numbers=self.numbers)
        if page.next_id is not None:
            print(f"there are more than {args.limit}: see --limit, {self.options}")
        return 0
