// The assets: search them, choose one, see what each source says that it costs.
import { get, now } from "./api.js";
import { lineChart } from "./chart.js";
import { fillRows, find, make, reconcile, setAttribute, setNote, setText, show } from "./dom.js";
import { NONE, absolute, count, percent, price, priceTick } from "./format.js";
import { configuredSources } from "./sources.js";

const PAGE = 50;
// Quotes of one source in a chart; more are no longer told apart.
const QUOTES = 1000;

let shown = { query: null, rows: [], cursor: null };
let listing = null;
let drawing = null;
let drawn = null;

// The slug in the address; none where somebody mangled it.
function chosen() {
  try {
    return decodeURIComponent(location.hash.match(/^#asset=(.+)$/)?.[1] ?? "");
  } catch {
    return "";
  }
}

// Ask for what the search box says: the same rows as before, or from the start. A newer question ends an older one.
export async function refreshAssets() {
  listing?.abort();
  listing = new AbortController();
  const query = find("search").value.trim();
  const limit = query === shown.query ? Math.max(PAGE, Math.min(shown.rows.length, 1000)) : PAGE;
  const page = await get("/assets", { q: query, limit }, { signal: listing.signal });
  shown = { query, rows: page.data, cursor: page.pagination.next_cursor };
  showAssets();
  if (!chosen() && page.data.length && !query) {
    const first = (await mostQuoted(listing.signal)) ?? page.data[0];
    history.replaceState(null, "", `#asset=${encodeURIComponent(first.slug)}`);
    showAssets();
  }
}

// Somewhere to begin: what the most sources call by the symbol that most people know.
async function mostQuoted(signal) {
  const { data } = await get("/assets", { symbol: "BTC", limit: PAGE }, { signal });
  return data.sort((a, b) => b.sources.length - a.sources.length)[0];
}

export async function moreAssets() {
  const { query, cursor } = shown;
  const page = await get("/assets", { q: query, limit: PAGE, cursor });
  if (shown.query === query) {
    shown = { query, rows: [...shown.rows, ...page.data], cursor: page.pagination.next_cursor };
    showAssets();
  }
}

export function showAssets() {
  setNote("assets", shown.rows.length ? null : shown.query ? `Nothing is called “${shown.query}”.` : "No asset is known yet.");
  show(find("assets-more"), shown.cursor !== null);
  fillRows(find("assets-rows"), shown.rows, (one) => one.slug, (one) => [
    { text: one.symbol, href: `#asset=${encodeURIComponent(one.slug)}` },
    one.name,
    { text: one.sources.join(", "), class: "quiet" },
  ]);
  for (const row of find("assets-rows").children) {
    setAttribute(row.querySelector("a"), "aria-current", row.dataset.key === chosen() ? "true" : null);
  }
}

export async function refreshAsset() {
  const slug = chosen();
  if (!slug) {
    return;
  }
  drawing?.abort();
  drawing = new AbortController();
  const options = { signal: drawing.signal };
  const seconds = Number(find("range").value);
  const from = seconds ? new Date(now() - seconds * 1000).toISOString() : null;
  try {
    const asset = await get(`/assets/${encodeURIComponent(slug)}`, {}, options);
    const state = JSON.stringify([slug, seconds, asset.latest]);
    if (drawn?.state === state) {
      drawn = { ...drawn, asset };
      drawAsset();
      return;
    }
    const quoted = new Set(asset.listings.map((one) => one.source));
    const names = configuredSources().filter((name) => quoted.has(name));
    const gone = [...quoted].filter((name) => !names.includes(name)).sort();
    const pages = await Promise.all(names.map((source) => get("/data", { asset: slug, source, from, limit: QUOTES }, options)));
    drawn = { state, asset, names, gone, quotes: pages.map((page) => page.data), cut: pages.some((page) => page.pagination.has_more), seconds };
    drawAsset();
  } catch (error) {
    if (error.kind !== "missing") {
      throw error;
    }
    drawn = null;
    setText(find("asset-title"), slug);
    setText(find("asset-note"), "There is no such asset.");
    show(find("asset-note"), true);
    show(find("asset-body"), false);
  }
}

// Also called when the width changes.
export function drawAsset() {
  if (drawn === null) {
    return;
  }
  const { asset, names, gone, quotes, cut, seconds } = drawn;
  setText(find("asset-title"), `${asset.name} (${asset.symbol})`);
  const remarks = [
    cut ? `The newest ${count(QUOTES)} quotes of each source.` : "",
    gone.length ? `Not drawn, because no longer configured: ${gone.join(", ")}.` : "",
  ].join(" ").trim();
  show(find("asset-note"), remarks !== "");
  setText(find("asset-note"), remarks);
  show(find("asset-body"), true);
  const { consensus } = asset;
  setText(find("consensus"), consensus
    ? `${price(consensus.price_usd)} USD, median of ${count(consensus.sources)} ${consensus.sources === 1 ? "source" : "sources"}, ${percent(consensus.spread_pct, { digits: 3 })} apart`
    : "No consensus: no source has a fresh price.");
  drawPrices(asset, names, quotes, seconds);
  const newest = quotes.flat().sort((a, b) => Date.parse(b.observed_at) - Date.parse(a.observed_at)).slice(0, PAGE);
  fillRows(find("quotes-rows"), newest, (quote) => `${quote.source} ${quote.external_id} ${quote.observed_at}`, (quote) => [
    absolute(quote.observed_at),
    quote.source,
    price(quote.price_usd),
  ]);
  fillRows(find("asset-rows"), asset.latest, (quote) => quote.source, (quote) => [
    quote.source,
    price(quote.price_usd),
    percent(quote.change_24h_pct, { sign: true }),
    consensus ? percent((quote.price_usd / consensus.price_usd - 1) * 100, { sign: true, digits: 3 }) : NONE,
    { time: quote.observed_at },
  ]);
}

// What each source said last before the moment that is pointed at; null: none is.
function readOut(at, names, series) {
  const said = names.map((name, slot) => [name, series[slot].points.findLast((point) => point.at <= at)]).filter(([, point]) => point);
  const parts = said.map(([name, point]) => `${name} ${price(point.value)}`);
  setText(find("price-readout"), at === null ? "Point at the chart to read it." : [absolute(at), ...parts].join("  ·  "));
}

function drawPrices(asset, names, quotes, seconds) {
  const series = names.map((name, slot) => ({
    slot,
    points: quotes[slot].map((quote) => ({ at: Date.parse(quote.observed_at), value: quote.price_usd })).reverse(),
  }));
  const times = series.flatMap((one) => one.points.map((point) => point.at));
  // No emptier on the left than it has to be.
  const range = [Math.max(Math.min(...times), seconds ? now() - seconds * 1000 : 0), Math.max(now(), ...times)];
  show(find("price-chart"), times.length > 0);
  show(find("price-readout"), times.length > 0);
  if (times.length) {
    lineChart(find("price-chart"), {
      label: `Price of ${asset.name} in US dollars, by source; the table below has the latest`,
      range, series, format: priceTick, height: 240,
      level: asset.consensus && { value: asset.consensus.price_usd, label: "consensus" },
      read: (at) => readOut(at, names, series),
    });
  } else {
    show(find("asset-note"), true);
    setText(find("asset-note"), "No quote lies in this range; choose a longer one.");
  }
  reconcile(find("price-legend"), names.map((name, slot) => [name, slot, quotes[slot].length]), {
    key: ([name]) => name,
    create: () => make("li"),
    update: (item, [name, slot, number]) => {
      setAttribute(item, "data-slot", slot);
      setText(item, `${name}, ${count(number)} ${number === 1 ? "quote" : "quotes"}`);
    },
  });
}
