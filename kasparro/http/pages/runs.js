// The runs: when they were, how long they took, how much they read, and which of them were not like the others.
import { get, now } from "./api.js";
import { laneChart, lineChart } from "./chart.js";
import { fillRows, find, make, reconcile, setAttribute, setNote, setText } from "./dom.js";
import { NONE, absolute, compact, count, span } from "./format.js";

const STATUSES = ["succeeded", "partial", "failed", "crashed", "interrupted", "deferred", "running", "queued"];
// Runs of a source's page at first; and of one page of all sources, when only what is new is asked for.
const FIRST = 200;
const NEWEST = 100;
// Runs of one source that are kept: more are no longer told apart in a chart.
const MOST = 600;
const TABLE_ROWS = 50;
// Milliseconds of nothing before the very first run: a chart must not begin with half a bar.
const LEAD_MS = 30000;

// source -> {runs: Map, cursor}: cursor leads to older ones, null where there are none.
const known = new Map();
let sources = [];
// The newest run that was told of: all before it are known.
let newest = 0;

const windowMs = () => Number(find("window").value) * 1000;
const startOf = (run) => Date.parse(run.started_at ?? run.created_at);

export async function refreshRuns(names, { signal } = {}) {
  sources = names;
  const since = now() - windowMs();
  const { data, pagination } = await get("/runs", { limit: NEWEST }, { signal });
  if (pagination.has_more && data.every((run) => run.run_id > newest)) {
    // More are new than were asked for: each source is asked for its own again.
    known.clear();
  }
  await Promise.all(names.map((name) => load(name, data.filter((run) => run.source === name), since, signal)));
  newest = Math.max(newest, ...data.map((run) => run.run_id));
  drawRuns();
}

// Changes with every run that begins or ends: what runs find can only have changed then.
export function runsState() {
  return sources.map((name) => newestFirst(known.get(name)).slice(0, NEWEST).map((run) => `${run.run_id}${run.status}`)).join();
}

async function load(name, told, since, signal) {
  const kept = known.get(name) ?? (await begin(name, signal));
  add(kept, told);
  known.set(name, kept);
  await Promise.all(unfinished(kept, told).map((run) => update(kept, run, signal)));
  while (kept.cursor && kept.runs.size < MOST && oldest(kept) > since) {
    const older = await get("/runs", { source: name, limit: FIRST, cursor: kept.cursor }, { signal });
    add(kept, older.data);
    kept.cursor = older.pagination.next_cursor;
  }
  // On a page that is open for days, what is new would pile up.
  newestFirst(kept).slice(MOST).forEach((run) => kept.runs.delete(run.run_id));
}

async function begin(name, signal) {
  const { data, pagination } = await get("/runs", { source: name, limit: FIRST }, { signal });
  return { runs: new Map(data.map((run) => [run.run_id, run])), cursor: pagination.next_cursor };
}

const add = (kept, runs) => runs.forEach((run) => kept.runs.set(run.run_id, run));

// What was under way when it was last seen, and is no longer among the newest.
function unfinished(kept, told) {
  const ids = new Set(told.map((run) => run.run_id));
  return [...kept.runs.values()].filter((run) => !run.finished_at && !ids.has(run.run_id));
}

async function update(kept, { run_id: id }, signal) {
  const run = await get(`/runs/${id}`, {}, { signal, also: [404] });
  if (run.run_id === id) {
    kept.runs.set(id, run);
  } else {
    kept.runs.delete(id);
  }
}

const oldest = (kept) => Math.min(...[...kept.runs.values()].map(startOf));

// Also called when the window or the width changes.
export function drawRuns() {
  const range = [Math.max(now() - windowMs(), firstKnown() - LEAD_MS), now()];
  const inside = new Map(sources.map((name) => [name, newestFirst(known.get(name)).filter((run) => endOf(run, range[1]) >= range[0])]));
  const all = [...inside.values()].flat();
  const any = [...known.values()].some((kept) => kept.runs.size);
  setNote("runs", any ? null : "Nothing was run yet.");
  if (!any) {
    return;
  }
  drawLegend(all);
  const lanes = sources.map((name) => ({ name, bars: inside.get(name).map((run) => bar(run, range[1])) }));
  laneChart(find("timeline"), { label: `Timeline of ${all.length} runs; the table below has the newest`, range, lanes });
  const drawn = sources.filter((name) => inside.get(name).some((run) => run.finished_at));
  const charts = drawn.flatMap((name) => [[name, "records"], [name, "duration"]]);
  reconcile(find("charts"), charts, { key: ([name, what]) => `${name}/${what}`, create: newChart, update: () => {} });
  // Only once all are there is each as wide as it will be.
  charts.forEach(([name, what], at) => drawChart(find("charts").children[at], what, inside.get(name), range));
  fillTable();
}

// When the first run ever was; nothing, where not all of them are known.
function firstKnown() {
  const all = [...known.values()];
  return all.some((kept) => kept.cursor || kept.runs.size >= MOST) ? 0 : Math.min(...all.filter((kept) => kept.runs.size).map(oldest));
}

const newestFirst = (kept) => [...(kept?.runs.values() ?? [])].sort((a, b) => b.run_id - a.run_id);
const endOf = (run, otherwise) => (run.finished_at ? Date.parse(run.finished_at) : otherwise);

function drawLegend(runs) {
  const counted = STATUSES.map((status) => [status, runs.filter((run) => run.status === status).length]).filter(([, number]) => number);
  const flagged = runs.filter((run) => run.anomalies.length).length;
  const items = [...counted, ...(flagged ? [["anomaly", flagged]] : [])];
  reconcile(find("legend"), items, {
    key: ([status]) => status,
    create: ([status]) => make("li", { "data-status": status }),
    update: (item, [status, number]) => setText(item, `${count(number)} ${status === "anomaly" ? "with anomalies" : status}`),
  });
}

function describe(run) {
  const error = run.error ? `\n${run.error.message}` : "";
  const found = run.anomalies.map((one) => `\n${one.severity}: ${one.message}`).join("");
  const counts = `${count(run.counts.read)} read, ${count(run.counts.inserted)} new, ${count(run.counts.rejected)} rejected`;
  return `Run ${run.run_id}, ${run.source}, ${run.status}\n${absolute(run.started_at ?? run.created_at)}, ${span(run.duration_seconds)}\n${counts}${error}${found}`;
}

// The worst of some verdicts, as a mark; null where there is none.
function mark(verdicts) {
  if (!verdicts.length) {
    return null;
  }
  const severity = verdicts.some((one) => one.severity === "alert") ? "alert" : "warn";
  return { severity, title: verdicts.map((one) => `${one.severity}: ${one.message}`).join("\n") };
}

function bar(run, end) {
  return { from: startOf(run), to: endOf(run, end), status: run.status, title: describe(run), mark: mark(run.anomalies) };
}

function newChart([name, what]) {
  const title = what === "records" ? "records read a run" : "seconds a run";
  const figure = make("figure", {}, make("figcaption", {}, make("b", {}, name), ` ${title}`), make("div", { class: "plot" }));
  setAttribute(figure, "data-what", what);
  return figure;
}

const ABOUT_TIME = new Set(["duration", "duration_seconds"]);
// The slice of a run that reads what is kept, not the source: as many records as that are, in no time.
const REPLAY = "replay";

function drawChart(box, what, runs, range) {
  const finished = runs.filter((run) => run.finished_at && run.started_at && run.slice !== REPLAY).reverse();
  const points = finished.map((run) => ({
    at: startOf(run),
    value: what === "records" ? run.counts.read : run.duration_seconds,
    status: run.status,
    title: describe(run),
    mark: mark(run.anomalies.filter((one) => ABOUT_TIME.has(one.metric) === (what === "duration"))),
  }));
  const flagged = points.filter((point) => point.mark).length;
  const label = `${box.querySelector("figcaption").textContent}: ${points.length} runs, ${flagged} with anomalies`;
  lineChart(box.querySelector(".plot"), {
    label, range, zero: true, format: what === "records" ? compact : span,
    series: [{ slot: 0, points, dots: points.length <= 150 }],
  });
}

function fillTable() {
  const runs = sources.flatMap((name) => newestFirst(known.get(name))).sort((a, b) => b.run_id - a.run_id).slice(0, TABLE_ROWS);
  fillRows(find("runs-rows"), runs, (run) => run.run_id, (run) => [
    String(run.run_id),
    run.slice ? `${run.source}, ${run.slice}` : run.source,
    { text: run.status, status: run.status, class: "tag" },
    run.started_at ? { time: run.started_at } : NONE,
    span(run.duration_seconds),
    count(run.counts.read),
    count(run.counts.inserted),
    count(run.counts.updated),
    count(run.counts.rejected),
    [run.error?.message, ...run.anomalies.map((one) => `${one.severity}: ${one.message}`)].filter(Boolean).join("; ") || NONE,
  ]);
}
