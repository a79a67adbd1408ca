"""The example in docs/FILES.md: what stands in which table after each step."""

from pathlib import Path

from files_rule import HEADER, row

pytest_plugins = ("etl_checks", "test_file_versions")

PAGE = Path(__file__).parents[2] / "docs" / "FILES.md"
COLUMNS = (
    """
    select concat(
        l.external_id, ' ', price_usd, rtrim(' ' || (payload->>'note')), ' (', left(v.slice, 1), ' ', v.id, ')'
    )
    from quotes join raw_records using (content_hash) join listings l on l.id = listing_id
    join file_versions v on v.id = file_version
    order by l.external_id
    """,
    """
    select concat(
        l.external_id, ' ', coalesce(x.price_usd::text || rtrim(' ' || (r.payload->>'note')), '?'),
        ' (', left(x.slice, 1), ' ', file_version, ')'
    )
    from also_said x join raw_records r using (source, content_hash) join listings l on l.id = listing_id
    order by x.slice, l.external_id, said_at
    """,
    """
    select concat(j.external_id, ' ', payload->>'price', rtrim(' ' || (payload->>'note')), ' (', left(j.slice, 1), ')')
    from rejections j join raw_records r using (source, content_hash)
    where resolved_at is null
    order by j.external_id, payload->>'price', payload->>'note'
    """,
    "select distinct kind from unended_writes order by 1",
)


def write(path, step):
    """What is written: rows of a new version of the file, or behind a + more of it; "…" is where a line was cut."""
    is_more, rows = step.startswith("+"), step.strip("+ ").split(", ")
    lines = [each.strip("…") if each.startswith("…") else row(*each.strip("…").split(" ")) for each in rows]
    text = (path.read_text() if is_more else HEADER) + "\n".join(lines) + ("" if step.endswith("…") else "\n")
    path.write_text(text)


def test_tables_are_as_the_page_says_when_files_change_as_it_says(world):
    """Each line of the example is one run."""
    for line in PAGE.read_text().splitlines():
        if not line.startswith(("| `a`:", "| `b`:")):
            continue
        step, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        name, _, rows = step.partition(": ")
        write(world.folder / f"{name.strip('`')}.csv", rows)
        world.run()
        world.check()
        found = [", ".join(text for (text,) in world.etl.rows(query)) for query in COLUMNS]
        assert (step, found) == (step, cells)
