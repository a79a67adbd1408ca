"""How a timestamp looks wherever Postgres renders it for a reader: RFC 3339 in UTC, ending in Z."""

from psycopg import sql


def rfc3339(expression: str) -> sql.Composed:
    """SQL text of a timestamptz expression such as `q.observed_at`; microseconds only where there are some."""
    return sql.SQL(
        """rtrim(rtrim(to_char({} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z'"""
    ).format(sql.SQL(expression))
