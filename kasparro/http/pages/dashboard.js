// The dashboard: asks again and again while somebody looks, shows what came, and says so when nothing comes.
import { ApiError, keyNeeded, now } from "./api.js";
import { drawAsset, moreAssets, refreshAsset, refreshAssets, showAssets } from "./assets.js";
import { find, setAttribute, setNote, setText, show, tickTimes } from "./dom.js";
import { refreshAnomalies, refreshDrift, showRejections } from "./findings.js";
import { clock, relative } from "./format.js";
import { forgetKey, storeKey, storedKey } from "./key.js";
import { drawRuns, refreshRuns, runsState } from "./runs.js";
import { refreshSources } from "./sources.js";

// Seconds between two looks, or as many as ?every= says; after failures twice as many each time, up to what nobody minds to
// wait once the service is back.
const EVERY_SECONDS = Math.max(Number(new URLSearchParams(location.search).get("every")) || 10, 1);
const MOST_SECONDS = Math.max(15, EVERY_SECONDS);
// Seconds after which findings are asked for though no run ended: people accept drift and replay records, too.
const FINDINGS_SECONDS = 60;
// Milliseconds after the last letter until a search is sent.
const TYPING_MS = 250;
// What a header can carry: anything else would be refused by the browser, as if the service did not answer.
const PRINTABLE = /^[ -~]+$/;

let timer = null;
let busy = false;
let again = false;
let failures = 0;
let updatedAt = null;
// Whether the service wants a key, and whether somebody said "not now" when asked for it.
let wanted = null;
let declined = false;

async function refresh() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  clearTimeout(timer);
  find("refresh").disabled = updatedAt === null;
  const problems = [];
  await look(problems).catch((error) => problems.push(["sources", new ApiError("wrong", `an answer cannot be shown (${error.message})`)]));
  busy = false;
  find("refresh").disabled = false;
  conclude(problems.filter(([, error]) => error.name !== "AbortError"));
}

// Asks for everything and shows it. What goes wrong is a problem of its section; the rest is shown all the same.
async function look(problems) {
  wanted ??= await keyNeeded();
  const locked = wanted && storedKey() === null;
  const attempt = (section, work) => work.catch((error) => problems.push([section, error]));
  const names = await refreshSources({ withStats: !locked }).catch((error) => problems.push(["sources", error]) && null);
  if (locked && names) {
    problems.push(["runs", new ApiError("key", "a key is needed")]);
  } else if (names) {
    await Promise.all([attempt("runs", refreshRuns(names)), attempt("assets", refreshAssets().then(refreshAsset))]);
    await refreshFindings(attempt, problems);
    showRejections();
  }
}

let findings = { state: null, at: 0 };

async function refreshFindings(attempt, problems) {
  const state = runsState();
  if (state === findings.state && now() - findings.at < FINDINGS_SECONDS * 1000) {
    return;
  }
  await Promise.all([
    attempt("anomalies", refreshAnomalies()),
    attempt("drift", refreshDrift()),
  ]);
  findings = problems.length ? findings : { state, at: now() };
}

// What the failures of one look mean for the page, and when to look again.
function conclude(problems) {
  const missing = problems.filter(([, error]) => error.kind === "missing");
  missing.forEach(([section]) => setNote(section, "This service does not tell."));
  const real = problems.filter(([, error]) => error.kind !== "missing");
  const key = real.find(([, error]) => error.kind === "key");
  failures = real.length ? failures + 1 : 0;
  if (!real.length) {
    updatedAt = now();
    setBanner("", null);
  } else if (key) {
    needKey();
  } else {
    const [, error] = real[0];
    setBanner("bad", `${sentence(error.message.replace(/; try again in a moment$/, ""))} ${updatedAt ? `What you see is from ${clock(updatedAt)} UTC.` : ""} Trying again.`);
    if (error.kind === "away") {
      setAttribute(find("overall"), "data-status", "down");
      setText(find("overall"), "no answer");
      document.title = "no answer: Kasparro";
    }
  }
  document.body.classList.toggle("stale", real.length > 0);
  emptySections(real);
  showKeyButtons();
  tickAges();
  const asked = Math.max(0, ...real.map(([, error]) => error.seconds ?? 0));
  const wait = Math.max(asked, Math.min(EVERY_SECONDS * 2 ** Math.max(0, failures - 1), MOST_SECONDS));
  schedule(again ? 0 : wait);
  again = false;
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

// Sections that never had anything to show say why, instead of loading for ever.
function emptySections(problems) {
  for (const [, error] of problems.slice(0, 1)) {
    for (const note of document.querySelectorAll("[data-note]")) {
      if (note.textContent === "Loading …") {
        setText(note, error.kind === "key" ? "Shown when there is a key." : "Not loaded.");
      }
    }
  }
}

function schedule(seconds) {
  clearTimeout(timer);
  if (!document.hidden) {
    timer = setTimeout(refresh, seconds * 1000);
  }
}

function setBanner(kind, text) {
  setAttribute(find("banner"), "class", `banner ${kind}`.trim());
  setText(find("banner"), text ?? "");
}

function needKey() {
  const wrong = storedKey() !== null;
  wanted = true;
  forgetKey();
  setBanner("key", wrong ? "The key was not accepted." : "This service wants an API key; only its health is shown.");
  if (!declined || wrong) {
    askKey(wrong ? "The service does not accept this key." : "");
  }
}

function askKey(error) {
  setText(find("key-error"), error);
  setAttribute(find("key-input"), "aria-invalid", error ? "true" : null);
  if (!find("key-dialog").open) {
    find("key-dialog").showModal();
  }
}

function showKeyButtons() {
  const stored = storedKey() !== null;
  show(find("forget-key"), stored);
  show(find("enter-key"), !stored && find("banner").classList.contains("key"));
}

function tickAges() {
  tickTimes();
  setText(find("updated"), updatedAt === null ? "" : `updated ${relative(new Date(updatedAt).toISOString())}`);
}

function wireKey() {
  find("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const key = find("key-input").value.trim();
    if (!PRINTABLE.test(key)) {
      askKey("A key has letters, digits and signs of ASCII alone.");
      return;
    }
    storeKey(key);
    find("key-input").value = "";
    declined = false;
    failures = 0;
    find("key-dialog").close();
    refresh();
  });
  find("key-cancel").addEventListener("click", () => find("key-dialog").close());
  find("key-dialog").addEventListener("close", () => {
    declined = storedKey() === null;
    find("key-input").value = "";
  });
  find("enter-key").addEventListener("click", () => askKey(""));
  find("forget-key").addEventListener("click", () => {
    forgetKey();
    // What was shown with the key goes with it.
    location.reload();
  });
}

function wireControls() {
  const alone = (work) => () => work().catch((error) => error.name !== "AbortError" && conclude([["assets", error]]));
  let typing = null;
  find("refresh").addEventListener("click", () => {
    findings.state = null;
    refresh();
  });
  find("window").addEventListener("change", refresh);
  find("show-expected").addEventListener("change", showRejections);
  find("search").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(alone(refreshAssets), TYPING_MS);
  });
  find("assets-more").addEventListener("click", alone(moreAssets));
  find("range").addEventListener("change", alone(refreshAsset));
  addEventListener("hashchange", () => {
    showAssets();
    alone(refreshAsset)();
    // On a phone it stands below the list.
    find("asset").scrollIntoView({ block: "nearest" });
  });
  new ResizeObserver(() => {
    if (updatedAt !== null) {
      drawRuns();
      drawAsset();
    }
  }).observe(find("main"));
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
}

wireKey();
wireControls();
setInterval(() => document.hidden || tickAges(), 1000);
refresh();
