"""How is a CSV file written, and how does the csv module parse such a one?"""

import csv
import re
from collections.abc import Iterable, Iterator

from attrs import frozen


@frozen(kw_only=True)
class Form:
    """How a file is written. A line that begins with `comment`, where a row could begin, is none; '' is no comment.

    Behind the sign `escape`, '' for none, a quote or a delimiter is of the cell; with an N alone it means absent.
    """

    encoding: str = "utf-8"
    delimiter: str = ","
    comment: str = ""
    escape: str = ""


PLAIN = Form()


def rows(texts: Iterable[str], form: Form) -> Iterator[list[str]]:
    """The cells of each row of these lines. Raises csv.Error for what cannot be parsed.

    Spaces before a cell are not of it, so that quotes behind them are quotes.
    """
    if form.escape:
        sign, delimiter = re.escape(form.escape), re.escape(form.delimiter)
        absent = re.compile(rf"((?:^|{delimiter}) *){sign}(?=N *(?:{delimiter}|[\r\n]|$))")
        texts = (absent.sub(lambda found: f"{found[1]}{form.escape * 2}", text) for text in texts)
    return csv.reader(
        texts, strict=True, delimiter=form.delimiter, escapechar=form.escape or None, skipinitialspace=True
    )
