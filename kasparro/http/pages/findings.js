// What was not as it should be: anomalies of runs, drift of fields, rejected records.
import { get } from "./api.js";
import { fillRows, find, setNote, setText, show } from "./dom.js";
import { count, percent } from "./format.js";

// Rows of each; who wants more asks the API.
const ROWS = 50;
// Drifts are asked for with the closed ones among them.
const DRIFTS = 200;

export async function refreshAnomalies() {
  const { data } = await get("/anomalies", { limit: ROWS });
  setNote("anomalies", data.length ? null : "No run was unlike those before it.");
  fillRows(find("anomalies-rows"), data, (one) => one.id, (one) => [
    { text: one.severity, status: one.severity, class: "tag" },
    one.source,
    String(one.run_id),
    one.metric,
    one.message,
    { time: one.created_at },
  ]);
}

export async function refreshDrift() {
  const { data } = await get("/drift", { limit: DRIFTS });
  const open = data.filter((one) => one.status === "open");
  setNote("drift", open.length ? null : "The fields of every source are what they were.");
  fillRows(find("drift-rows"), open, (one) => one.id, (one) => [
    { text: one.kind.replace("_", " "), status: one.action === "failed" || one.action === "quarantined" ? "failed" : "partial", class: "tag" },
    one.source,
    one.renamed_to ? [{ text: one.path, class: "code" }, { text: `→ ${one.renamed_to}`, class: "code" }] : { text: one.path, class: "code" },
    one.action,
    percent(one.confidence * 100, { digits: 0 }),
    { time: one.first_seen_at },
    { time: one.last_seen_at },
  ]);
}

export async function refreshRejections() {
  const { data, pagination } = await get("/rejections", { resolved: "false", limit: DRIFTS });
  const wanted = find("show-expected").checked ? data : data.filter((one) => !one.expected);
  const hidden = data.length - wanted.length;
  const shown = wanted.slice(0, ROWS);
  const expected = hidden ? ` ${count(hidden)} that are normal for their sources are not shown.` : "";
  setNote("rejections", shown.length ? null : `Every record gave a quote.${expected}`);
  const more = wanted.length > ROWS || pagination.has_more;
  show(find("rejections-more"), Boolean(more || expected));
  setText(find("rejections-more"), `${more ? `The newest ${count(shown.length)}; /rejections has all.` : ""}${expected}`.trim());
  fillRows(find("rejections-rows"), shown, (one) => one.id, (one) => [
    [{ text: one.code, class: "code" }, ...(one.expected ? [{ text: "expected", class: "tag", status: "off" }] : [])],
    one.slice ? [{ text: one.source, class: "main" }, { text: one.slice, class: "quiet" }] : one.source,
    one.external_id ?? "unknown",
    one.message,
    [{ text: String(one.run_id), class: "main" }, ...(one.attempts > 1 ? [{ text: `${count(one.attempts)} times`, class: "quiet" }] : [])],
    { time: one.last_seen_at },
  ]);
}
