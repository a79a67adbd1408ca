// What was not as it should be: anomalies of runs, drift of fields, rejected records.
import { get } from "./api.js";
import { fillRows, find, setNote, setText, show } from "./dom.js";
import { NONE, count, percent } from "./format.js";
import { statistics } from "./sources.js";

// Findings of each kind that are asked for, and rows that are shown: what is the same but for its run is one row.
const NEWEST = 200;
const ROWS = 25;
// Rejections of one source and code that the service counts at most.
const MOST_COUNTED = 1000;

// The findings that are the same, newest first, each with how many there are.
function group(findings, key) {
  const groups = new Map();
  for (const one of findings) {
    const name = key(one).join(" ");
    const known = groups.get(name);
    groups.set(name, known ? { ...known, number: known.number + 1 } : { ...one, name, number: 1 });
  }
  return [...groups.values()].slice(0, ROWS);
}

export async function refreshAnomalies() {
  const { data, pagination } = await get("/anomalies", { limit: NEWEST });
  show(find("anomalies-more"), pagination.has_more);
  setText(find("anomalies-more"), `Counted among the newest ${count(NEWEST)}; /anomalies has all.`);
  const groups = group(data, (one) => [one.source, one.metric, one.rule, one.severity]);
  setNote("anomalies", groups.length ? null : "No run was unlike those before it.");
  fillRows(find("anomalies-rows"), groups, (one) => one.name, (one) => [
    { text: one.severity, status: one.severity, class: "tag" },
    one.source,
    one.message,
    [{ text: count(one.number), class: "main" }, { text: `newest ${one.run_id}`, class: "quiet" }],
    { time: one.created_at },
  ]);
}

export async function refreshDrift() {
  // A rename stays to be seen as long as its source is read by it, long after somebody accepted it.
  const pages = await Promise.all([{ status: "open" }, { in_force: true }].map((which) => get("/drift", { ...which, limit: NEWEST })));
  const shown = [...new Map(pages.flatMap(({ data }) => data).map((one) => [one.id, one])).values()];
  show(find("drift-more"), pages.some(({ pagination }) => pagination.has_more));
  setText(find("drift-more"), `The newest ${count(NEWEST)}; /drift has all.`);
  setNote("drift", shown.length ? null : "The fields of every source are what they were.");
  fillRows(find("drift-rows"), shown, (one) => one.id, (one) => [
    { text: one.details.rescaled ? "values changed" : one.kind.replace("_", " "), status: drifted(one), class: "tag" },
    one.source,
    fieldOf(one),
    valuesOf(one.details) || seen(one.details),
    [
      { text: one.status === "open" ? one.action : one.status, class: "main" },
      ...(one.in_force ? [{ text: "in force", status: "ok", class: "tag" }] : []),
      { text: `drift ${one.id}`, class: "quiet" },
    ],
    percent(one.confidence * 100, { digits: 0 }),
    { time: one.first_seen_at },
    { time: one.last_seen_at },
  ]);
}

const drifted = ({ action, status }) => (status !== "open" ? "ok" : ["failed", "quarantined"].includes(action) ? "failed" : "partial");

function fieldOf({ path, renamed_to: to, details: { fields = [] } }) {
  const feeds = fields.length ? [{ text: `read as ${fields.join(", ")}`, class: "quiet" }] : [];
  return [{ text: path, class: "code" }, ...(to ? [{ text: `→ ${to}`, class: "code" }] : []), ...feeds];
}

const share = (number) => percent(number * 100, { digits: 0 });
const types = (profile) => Object.keys(profile.types ?? {}).join(" or ");

// By which factor values changed, and an example of it.
const valuesOf = ({ factor, example }) => [factor ? `x${factor}` : "", example].filter(Boolean).join(": ");

// How the field was and is: how often it is there, how often null, of which type.
function seen({ before, after }) {
  if (!before || !after) {
    const known = before ?? after;
    return known ? `${before ? "was" : "is"} in ${share(known.share)} of the records, ${types(known)}` : NONE;
  }
  const parts = [
    types(before) === types(after) ? types(after) : `${types(before)} → ${types(after)}`,
    share(before.share) === share(after.share) ? "" : `in ${share(before.share)} → ${share(after.share)}`,
    share(before.null) === share(after.null) ? "" : `null in ${share(before.null)} → ${share(after.null)}`,
  ];
  return parts.filter(Boolean).join(", ");
}

// By source and code, as the statistics count them: a flood of one hides no other.
export function showRejections() {
  const all = find("show-expected").checked;
  const kinds = statistics().flatMap(({ source, open_rejections: open }) => open.map((one) => ({ source, ...one })));
  const shown = kinds.filter((one) => all || !one.expected).sort((a, b) => b.newest.id - a.newest.id);
  setNote("rejections", shown.length ? null : all ? "Every record gave a quote." : "Every record gave a quote, or is not expected to.");
  show(find("rejections-more"), shown.length > ROWS);
  setText(find("rejections-more"), `The newest ${ROWS} kinds; /stats has all.`);
  fillRows(find("rejections-rows"), shown.slice(0, ROWS), (one) => `${one.source} ${one.code} ${one.expected}`, ({ source, code, expected, records, newest }) => [
    [{ text: code, class: "code" }, ...(expected ? [{ text: "expected", class: "tag", status: "off" }] : [])],
    source,
    records < MOST_COUNTED ? count(records) : `${count(records)} or more`,
    newest.message,
    [{ text: newest.external_id ?? "unknown", class: "main" }, { text: `run ${newest.run_id}${newest.slice ? `, ${newest.slice}` : ""}`, class: "quiet" }],
    { time: newest.last_seen_at },
  ]);
}
