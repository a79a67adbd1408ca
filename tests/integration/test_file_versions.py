"""Versions of files, whatever happens to them: the tables are what the rule makes of them (files_rule.py)."""

import os
import threading

import psycopg
import pytest
from attrs import define, evolve, field
from etl_fixtures import NOON, Etl, source
from files_rule import HEADER, Rule, row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kasparro import errors
from kasparro.etl import replay
from kasparro.etl.pipeline import Task
from kasparro.etl.replay import Replay
from kasparro.etl.source import Duplicates, FieldMap, Files, Kind
from kasparro.model import REPLAY, Trigger
from kasparro.store.replays import Wanted

pytest_plugins = ("etl_checks",)


class CutOnce:
    """Ends the run at one of its batches, just before it is committed or just after."""

    def __init__(self, batch, moment):
        self._wanted = (batch, "commit", moment)

    def hit(self, place, *, wait, conn=None):
        if (place.batch, place.stage, place.moment) == self._wanted:
            raise errors.StoppedError("cut")
        return False


@define
class World:
    """A folder of files, the tables that they are read into, and what the rule says of them."""

    etl: Etl
    folder: object
    rule: Rule
    fields: dict = field(factory=dict)

    def source(self):
        """The source of all files of the folder."""
        made = source("csv")
        fields = {name: made.fields[name] for name in ("symbol", "name", "observed_at", "price_usd")}
        fields["external_id"] = FieldMap(template="{symbol}", type="text")
        duplicates = Duplicates.REJECT if self.rule.rejects else Duplicates.LAST
        files = Files(glob=str(self.folder / "*.csv"), duplicates=duplicates)
        return evolve(made, kind=Kind.CSV_FILES, http=None, fields={**fields, **self.fields}, files=files)

    def texts(self):
        """The files by name."""
        return {path.name: path.read_text() for path in sorted(self.folder.iterdir())}

    def write(self, files):
        """Write these rows into these files; others stay as they are."""
        for name, rows in files.items():
            (self.folder / f"{name}.csv").write_text(HEADER + "".join(f"{line}\n" for line in rows))

    def run(self, *, batch_records=5000, cut=None):
        """One run, cut off at a batch where that is given."""
        faults = {"faults": CutOnce(*cut)} if cut else {}
        result = self.etl.run(of=self.source(), batch_records=batch_records, **faults)
        reached = dict(self.etl.rows("select slice, (position->>'offset')::int from checkpoints where run_id = %s",
                                     result.run_id))  # fmt: skip
        unended = {name for (name,) in self.etl.rows("select distinct slice from unended_writes where run_id = %s",
                                                     result.run_id)}  # fmt: skip
        for name, text in self.texts().items():
            if not cut or name in unended:
                self.rule.read(name, text)
            elif name in reached:
                self.rule.read(name, text, upto=reached[name])

    def replay(self, *, rejected):
        """Every kept record once more, or the rejected ones; whether more files are to be read anew then."""
        marked = "select count(*) from checkpoints where validators->>'reading' = ''"
        before = self.etl.value(marked)
        made = self.source()
        pipeline = self.etl.build()
        work = Replay(self.etl.database, pipeline.committer, Wanted(source="csv", rejected=rejected)).work
        pipeline.run(made, trigger=Trigger.REPLAY, stop=threading.Event(), task=Task(slice=REPLAY, work=work))
        found_more = self.etl.value(marked) > before
        if found_more:
            self.rule.reread()
        return found_more

    def move(self):
        """Map all rows to another time, or back, and replay: none of them says anything else beside the others."""
        self.fields = {} if self.fields else LATER
        return self.replay(rejected=False)

    def check(self):
        """The tables are as the rule says."""
        assert {external_id: int(price) for (external_id, _), price in self.etl.quotes().items()} == self.rule.quotes()
        query = """
            select j.slice, j.external_id, r.payload->>'note', r.payload->>'price', j.code
            from rejections j join raw_records r using (source, content_hash) where resolved_at is null
        """
        assert set(self.etl.rows(query)) == {(*each, "ambiguous_key") for each in self.rule.rejections()}
        query = "select external_id from latest_quotes join listings l on l.id = listing_id"
        assert {key for (key,) in self.etl.rows(query)} == set(self.rule.quotes())


@pytest.fixture
def world(etl, tmp_path):
    """A folder without files."""
    (tmp_path / "files").mkdir()
    yield World(etl, tmp_path / "files", Rule())
    etl.empty()


LATER = {"observed_at": FieldMap(value="2026-01-03", type="time")}
ROW = st.builds(row, st.sampled_from("AB"), st.sampled_from(["1", "2", "12"]), st.sampled_from(["", "", "x"]))
LINES = st.lists(ROW, max_size=3)
NAME = st.sampled_from(["a.csv", "b.csv", "c.csv"])
STEP = st.fixed_dictionaries({
    "name": NAME,
    "change": st.sampled_from(["append", "append", "replace", "prepend", "behead", "truncate", "rename"]),
    "lines": LINES,
    "end": st.sampled_from(["\n", "\n", "\n", ""]),
    "join": st.sampled_from(["\n", "2\n"]),
    "to": NAME,
    "batch_records": st.integers(1, 3),
    "cut": st.sampled_from([None, None, (1, "after"), (2, "before"), (2, "after"), (3, "before")]),
    "replay": st.sampled_from([None, None, True, False]),
    "moves": st.sampled_from([False, False, True]),
})  # fmt: skip


def change(folder, step):
    """Do to a file what the step says; how it ends is one more thing that may change."""
    path = folder / step["name"]
    body = path.read_text().removeprefix(HEADER) if path.exists() else ""
    new = "".join(f"{line}\n" for line in step["lines"])
    kind = step["change"]
    if kind == "rename" and path.exists():
        path.rename(folder / step["to"])
        return
    if body and not body.endswith("\n"):
        body += step["join"] if kind == "append" else "\n"
    body = {
        "append": body + new,
        "prepend": new + body,
        "behead": body.partition("\n")[2] + new,
        "truncate": body[: body.removesuffix("\n").rfind("\n") + 1],
    }.get(kind, new)
    if kind in ("append", "replace") and body:
        body = body.removesuffix("\n") + step["end"]
    path.write_text(HEADER + body)


@settings(
    max_examples=int(os.environ.get("KASPARRO_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(STEP, min_size=1, max_size=5), st.sampled_from([True, True, False]))
def test_tables_are_what_the_rule_says_when_files_change_in_any_way(world, steps, rejects):
    """Growth, edits, truncation, names, overlaps, batches, kills, replays and other times: no part of the rule."""
    world.etl.empty()
    for path in world.folder.iterdir():
        path.unlink()
    world.rule, world.fields = Rule(rejects=rejects), {}
    for step in steps:
        change(world.folder, step)
        # In the middle of a reading of the same again, contradictions of a file are found only as far as it was read.
        cut = None if world.rule.rereads else step["cut"]
        world.run(batch_records=step["batch_records"], cut=cut)
        world.check()
        if step["replay"] is not None:
            assert not world.replay(rejected=step["replay"])
            world.check()
        # Of three files that give one key, one of them in two ways, a replay may show the wrong one: see the README.
        if step["moves"] and (len(world.texts()) < 3 or not world.rule.rejections()):
            world.move()
            world.check()


A1, A2, A3, A1X, B1, B2 = row("A", "1"), row("A", "2"), row("A", "3"), row("A", "1", "x"), row("B", "1"), row("B", "2")
# What is in which file at each run, what A's price is in the end, and how many records contradict others.
STORIES = {
    "edit far from an unchanged row": ([{"a": [A1, B1]}, {"a": [B2, A1, B2, A2]}], None, 2),
    "growth after an edit": ([{"a": [A1, B1]}, {"a": [B2, A1]}, {"a": [B2, A1, B2, A2]}], None, 2),
    "edit of a contradicted row": ([{"a": [A1, A2]}, {"a": [A2, A2]}], 2, 0),
    "other contradiction": ([{"a": [A1, A2]}, {"a": [A3, A2]}], None, 2),
    "older version said otherwise": ([{"a": [A1, B1]}, {"a": [B1]}, {"a": [B1, A2]}], 2, 0),
    "two files say the same, one grows": ([{"a": [A1], "b": [A1]}, {"b": [A1, A2]}], 1, 2),
    "renamed file grows": ([{"a": [A1]}, {"b": [A1, A2]}], 1, 2),
    "the other file's quote comes back": ([{"a": [A1], "b": [A2]}, {"b": [A2, A3]}], 1, 2),
    "the last of two others comes back": ([{"a": [A1], "b": [A2], "c": [A3]}, {"c": [A3, A1]}], 2, 2),
    "both files contradict themselves, one is mended": ([{"a": [A1, A2], "b": [A1, A2]}, {"a": [A1, A1]}], 1, 2),
    "another record said the same": ([{"a": [A1, A1X]}, {"a": [A1, A1X, A2]}], None, 3),
}


@pytest.mark.parametrize(("steps", "price", "rejected"), STORIES.values(), ids=STORIES.keys())
def test_contradiction_is_one_versions_own_when_files_change(world, steps, price, rejected):
    """Whatever was read before or beside it, and in however small batches."""
    for step in steps:
        world.write(step)
        world.run(batch_records=1)
        world.check()
    for rejected_only in (True, False):
        world.replay(rejected=rejected_only)
        world.check()
    assert world.rule.quotes().get("A") == price
    assert len(world.rule.rejections()) == rejected


def test_what_another_file_said_later_stands_when_a_replay_has_files_read_anew(world):
    """They say nothing new, so each keeps its place."""
    for price in ("2", "3"):
        world.write({"a": [row("A", price)], "z": [A1, row("B", "x")]})
        world.run()
    world.fields = {"price_usd": FieldMap(paths=("price",), value="7", null=("x",), type="price")}
    world.replay(rejected=True)
    world.etl.conn.execute('update checkpoints set validators = validators || \'{"reading": ""}\'')
    world.run(batch_records=1, cut=(2, "after"))
    world.run(batch_records=1)
    assert sorted(world.etl.quotes().values()) == [3, 7]


@pytest.mark.parametrize(("moves", "cut"), [(True, None), (False, (3, "before")), (True, (3, "before"))])
@pytest.mark.parametrize("is_read", [True, False])
def test_half_line_leaves_nothing_when_it_goes_on_after_all(world, moves, cut, is_read):
    """Also after a kill between it and its checkpoint, and where a replay moved it meanwhile."""
    world.fields = {"external_id": FieldMap(paths=("price",), type="text")}
    world.write({"a": [A1]})
    path = world.folder / "a.csv"
    path.write_text(path.read_text() + row("B", "5"))
    for each in [cut] * bool(cut) + [None]:
        world.run(batch_records=1, cut=each)
    if moves:
        world.fields = {**world.fields, **LATER}
        assert world.replay(rejected=False)
        if is_read:
            world.run(batch_records=1)
    path.write_text(path.read_text() + "5\n")
    world.etl.run(of=world.source())
    assert world.etl.rows("select external_id from listings order by 1") == [("1",), ("55",)]
    assert {(key, price) for (key, _), price in world.etl.quotes().items()} == {("1", 1), ("55", 55)}
    assert not world.etl.rows("select from unended_writes")


def test_replay_changes_nothing_when_a_line_went_on_that_another_file_stood_in_for(world):
    """What the other file says was there again for a moment, but before it."""
    world.write({"z": [row(symbol, "7") for symbol in "ABCDEF"]})
    world.run()
    for end in ("", "2\n"):
        for symbol in "ABCDEF":
            (world.folder / f"{symbol}.csv").write_text(HEADER + row(symbol, "1") + end)
        world.run()
    assert not world.replay(rejected=False)
    world.check()
    assert world.rule.quotes() == dict.fromkeys("ABCDEF", 12)


AX, AY, AY2, AY3 = row("A", "1", "x"), row("A", "2", "y"), row("A", "3", "y"), row("A", "4", "y")
MENDED = {"external_id": FieldMap(template="{symbol}:{note}", type="text")}


@pytest.mark.parametrize(("rejected", "page"), [(True, 1), (False, 1), (True, 1000)])
def test_rows_give_quotes_when_a_replay_tells_them_apart(world, monkeypatch, rejected, page):
    """After the map was mended; those that still contradict each other do, for rows that are to come too."""
    monkeypatch.setattr(replay, "_PAGE_RECORDS", page)
    world.write({"a": [AX, AY, AY2]})
    world.run()
    world.fields = MENDED
    for _ in range(2):
        world.replay(rejected=rejected)
        assert {key: int(price) for (key, _), price in world.etl.quotes().items()} == {"A:x": 1}
    open_ones = "select slice, external_id from rejections where resolved_at is null order by id"
    assert world.etl.rows(open_ones) == [("a.csv", "A:y")] * 2
    world.write({"a": [AX, AY, AY2, AY3]})
    world.etl.run(of=world.source())
    assert {key for key, _ in world.etl.quotes()} == {"A:x"}
    assert world.etl.rows(open_ones) == [("a.csv", "A:y")] * 3


@pytest.mark.parametrize("is_gone", [False, True])
def test_record_is_not_lost_when_a_replay_moves_it_and_another_file_contradicts_it(world, is_gone):
    """One file says it alone: at once, and also when that file is there no more."""
    world.write({"a": [A1, A2], "b": [A1]})
    world.run()
    assert world.move()
    world.check()
    assert world.rule.quotes() == {"A": 1}
    if is_gone:
        (world.folder / "b.csv").unlink()
    world.run()
    world.check()
    assert not world.replay(rejected=False)


def test_rows_contradict_each_other_when_a_replay_has_put_them_on_one_key(world):
    """Once their file was read anew, which the next run does by itself."""
    world.fields = MENDED
    world.write({"a": [AX, AY], "b": [row("B", "1", "z")]})
    world.run()
    world.fields = {}
    assert world.replay(rejected=False)
    world.run()
    world.check()
    assert (world.rule.quotes(), len(world.rule.rejections())) == ({"B": 1}, 2)


def test_listing_keeps_its_name_when_rows_that_say_the_same_are_replayed(world, monkeypatch):
    """In whatever order that is: it is called as the row that its quote shows."""
    monkeypatch.setattr(replay, "_PAGE_RECORDS", 1)
    world.fields = {"name": FieldMap(paths=("note",), type="text")}
    world.write({"a": [row("A", "1", note) for note in "abcdef"]})
    world.run(batch_records=2)
    assert not world.replay(rejected=False)
    assert world.etl.rows("select name from listings") == [("f",)]


def test_record_is_rejected_once_when_a_replay_gave_it_another_id(world):
    """And its file was read anew: the id is part of what a record is kept by."""
    world.write({"a": [AX, row("B", "x", "y")]})
    world.etl.run(of=world.source())
    world.fields = MENDED
    assert world.replay(rejected=False)
    world.etl.run(of=world.source())
    assert world.etl.rows("select external_id from rejections where resolved_at is null") == [("B:y",)]


def test_listing_is_called_the_same_when_rows_that_contradict_each_other_are_replayed(world):
    """Rejected or not, the last one that was read counts; what the mended map makes of it, too."""
    world.fields = {"name": FieldMap(paths=("note",), type="text")}
    world.write({"a": [row("A", "1", "a")], "b": [row("A", "1", "b"), row("A", "2", "c")]})
    world.run(batch_records=1)
    for mended, name in ((world.fields, "c"), ({"name": FieldMap(template="No. {price}", type="text")}, "No. 2")):
        world.fields = mended
        assert not world.replay(rejected=False)
        assert world.etl.rows("select name from listings") == [(name,)]


def test_quote_has_a_version_when_a_record_from_before_there_were_any_is_replayed(world):
    """The oldest one of its file, so that rows that are to come contradict it."""
    world.write({"a": [row("A", "1x"), B1]})
    world.run()
    world.etl.conn.execute("update file_versions set began_at = clock_timestamp()")
    world.fields = {"price_usd": FieldMap(value="1", type="price")}
    world.replay(rejected=True)
    assert world.etl.rows("select file_version from quotes") == [(1,)] * 2


def test_rejection_says_what_it_is_for_when_rows_contradict_each_other(world):
    """By columns, not in words alone."""
    world.write({"a": [A1, A2]})
    world.run()
    query = "select slice, external_id, observed_at, file_version from rejections order by id"
    assert world.etl.rows(query) == [("a.csv", "A", NOON, 1)] * 2


@pytest.fixture
def rows_handled(monkeypatch):
    """Of each statement that is about contradictions the rows that its plan handled, found by running it twice."""
    handled, execute = [], psycopg.Connection.execute

    def count(plan):
        dropped = sum(plan.get(f"Rows Removed by {what}", 0) for what in ("Filter", "Join Filter", "Index Recheck"))
        return (plan["Actual Rows"] + dropped) * plan["Actual Loops"] + sum(map(count, plan.get("Plans", [])))

    def measure(conn, query, params=None, **options):
        text = query if isinstance(query, str) else query.as_string(conn)
        if "also_said" in text or "rejections" in text:
            with conn.transaction(force_rollback=True):
                explain = f"explain (analyze, timing off, format json) {text}"
                handled.append(count(execute(conn, explain, params).fetchone()[0][0]["Plan"]))
        return execute(conn, query, params, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", measure)
    return handled


@pytest.mark.parametrize("first", ["1", "2"])
def test_rows_are_not_compared_with_each_other_when_many_are_for_one_key(world, rows_handled, first):
    """Contradicting each other or not: a file without its times column, read and replayed without any statistics."""
    rows = [row("A", "1" if at else first, str(at)) for at in range(400)]
    world.write({"a": rows})
    world.run(batch_records=200)
    world.check()
    for rejected in (True, False):
        world.replay(rejected=rejected)
        world.check()
    assert max(rows_handled) < 25 * len(rows)
