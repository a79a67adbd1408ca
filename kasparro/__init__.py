"""A trustworthy, queryable record of crypto market quotes.

The way of the data, and where each step lives:

    source     etl/source.py       one upstream, described by one TOML file
    read       etl/readers/        (source, checkpoint) -> pages of records with the position after each
    raw        store/raw.py        every record as it came
    normalise  etl/normalise.py    record -> Quote or Rejection
    identify   etl/identify.py     which listing, and after a run which asset
    store      store/              quotes, latest, counters and checkpoint in one fenced transaction
    API        http/               what REST clients read

etl/pipeline.py puts the steps in order: read it first. app.py wires everything together.
"""

__version__ = "0.1.0"
