// The sources: how fresh they are, when they run next, what they were counted for, and what is left of their budgets.
import { ApiError, get, now } from "./api.js";
import { fillRows, find, setAttribute, setNote, setText } from "./dom.js";
import { NONE, absolute, count, percent, span } from "./format.js";

const moment = (iso) => (iso ? [{ time: iso, class: "main" }, { text: absolute(iso).slice(11, 19), class: "quiet", title: absolute(iso) }] : NONE);

// The sources that the API can be asked for by name; what else was ever run stands in statistics and among quotes alone.
let configured = [];

export const configuredSources = () => configured;

// What each source was counted for, as it was last heard; nothing before.
let counted = [];

export const statistics = () => counted;

// Gives the names of the configured sources. Health needs no key, and is shown whether there are statistics or not.
export async function refreshSources({ withStats }) {
  const asked = withStats ? get("/stats") : Promise.resolve(null);
  const [health, stats] = await Promise.allSettled([get("/health", {}, { also: [503] }), asked]);
  if (health.status === "rejected") {
    throw health.reason;
  }
  showOverall(health.value);
  configured = Object.keys(health.value.etl).sort();
  counted = stats.value?.sources ?? counted;
  const known = new Map(counted.map((one) => [one.source, one]));
  const names = [...new Set([...configured, ...known.keys()])].sort();
  fillRows(find("sources-rows"), names, (name) => name, (name) => cells(name, health.value.etl[name], known.get(name)));
  setNote("sources", names.length ? null : "No source is configured.");
  if (health.value.error) {
    throw new ApiError("busy", health.value.error.message, 5);
  }
  if (stats.status === "rejected") {
    throw stats.reason;
  }
  return configured;
}

function showOverall({ status, scheduler }) {
  const idle = scheduler.enabled && !scheduler.alive ? ", scheduler stopped" : "";
  setAttribute(find("overall"), "data-status", status);
  setText(find("overall"), status + idle);
  document.title = status === "ok" ? "Kasparro" : `${status}: Kasparro`;
}

function cells(name, health, stats) {
  const run = stats?.last_run;
  return [
    [{ text: name, class: "main" }, state(health)],
    lastRun(health, run),
    health?.data_age_seconds === null || health === undefined ? NONE : [{ text: health.data_age_seconds < 1 ? "now" : `${span(health.data_age_seconds)} old`, class: "main" }],
    nextRun(health, run),
    stats?.duration.last != null ? [{ text: span(stats.duration.last), class: "main" }, { text: `median ${span(stats.duration.median)}`, class: "quiet" }] : NONE,
    stats ? [{ text: count(stats.records.read), class: "main" }, { text: `${count(stats.records.inserted)} new`, class: "quiet" }] : NONE,
    stats ? rejected(stats.records) : NONE,
    stats ? budget(stats.budget, stats.throttled_seconds) : NONE,
  ];
}

function state(health) {
  if (health === undefined) {
    return { text: "not configured", status: "off", class: "tag" };
  }
  if (!health.enabled) {
    return { text: "disabled", status: "off", class: "tag" };
  }
  if (health.stale === null) {
    return { text: "unknown", status: "off", class: "tag" };
  }
  if (health.stale) {
    return { text: "stale", status: "stale", class: "tag" };
  }
  return health.last_success_at && health.data_age_seconds !== null ? { text: "fresh", status: "ok", class: "tag" } : { text: "no data yet", status: "off", class: "tag" };
}

function nextRun(health, run) {
  if (run?.status === "running" || run?.status === "queued") {
    return [{ text: run.status, status: run.status, class: "tag" }, { time: run.started_at ?? run.created_at }];
  }
  if (!health?.enabled || !health.next_run_at) {
    return NONE;
  }
  return Date.parse(health.next_run_at) < now() ? [{ text: "due", class: "tag", status: "off" }, { time: health.next_run_at }] : moment(health.next_run_at);
}

function lastRun(health, run) {
  const status = health?.last_status ?? run?.status;
  if (!status) {
    // While the database is away, nobody knows.
    return health?.stale === null ? NONE : "never ran";
  }
  const parts = [{ text: status, status, class: "tag" }, ...[moment(health?.last_run_at ?? run?.started_at)].flat()];
  if (run?.error && run.status === status && status !== "succeeded") {
    parts.push({ text: run.error.message, class: "remark", title: run.error.code });
  }
  return parts;
}

function rejected({ read, rejected: number }) {
  return [{ text: count(number), class: "main" }, { text: read ? percent((number / read) * 100) : NONE, class: "quiet" }];
}

function budget({ tokens, month_used: used, month_limit: limit }, throttled) {
  if (used === null || (tokens === null && limit === null && used === 0)) {
    return NONE;
  }
  const waits = throttled >= 1 ? `, waited ${span(throttled)} in all` : "";
  const spare = tokens === null ? "no rate limit" : `${count(Math.floor(tokens))} at once`;
  if (limit === null) {
    return [{ text: `${count(used)} this month`, class: "main" }, { text: `${spare}, no monthly limit${waits}`, class: "quiet" }];
  }
  return [
    { text: `${count(used)} of ${count(limit)} this month`, class: "main" },
    { meter: { min: 0, max: limit, value: used, low: limit * 0.75, high: limit * 0.9, optimum: 0, "aria-label": "used of the month's budget" } },
    { text: `${spare}${waits}`, class: "quiet" },
  ];
}
