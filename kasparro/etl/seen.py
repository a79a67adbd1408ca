"""What did a run see that no table keeps? Tallies for judging it when it ends: of pages, listings and absent values.

Values absent from quotes are counted here, of all quotes that were committed, because that is what an anomaly is about;
nulls at an upstream's paths are the profile's, of a sample and before anything is normalised, because drift is about
those.
"""

from collections import Counter
from collections.abc import Sequence

from attrs import define, field

from kasparro.model import Normalised, Page

# Quote fields that may be absent.
OPTIONAL_FIELDS = ("market_cap_usd", "volume_24h_usd", "change_24h_pct", "rank", "circulating_supply")


@define(kw_only=True)
class Seen:
    """Grows with the run: pages as they are read, quotes as they are committed.

    `confirmed`: some of what was read before was proven to be there still, or was not asked for again.
    """

    pages: int = 0
    last_page_records: int = 0
    unchanged: bool = False
    confirmed: bool = False
    quotes: int = 0
    absent: Counter[str] = field(factory=Counter)
    external_ids: set[str] = field(factory=set)

    def note_page(self, page: Page, *, proven: bool) -> None:
        """A page was read. `proven`: what its slice's checkpoint says had been read is as it was, or not asked for."""
        self.pages += 1
        self.last_page_records = len(page.records)
        self.unchanged = page.unchanged
        self.confirmed = self.confirmed or proven or page.unchanged

    def note_items(self, items: Sequence[Normalised]) -> None:
        """A batch of these was committed."""
        self.external_ids.update(item.external_id for item in items if item.external_id is not None)
        quotes = [item.quote for item in items if item.quote is not None]
        self.quotes += len(quotes)
        for name in OPTIONAL_FIELDS:
            self.absent[name] += sum(getattr(quote, name) is None for quote in quotes)
