// Charts over time as SVG: lines with dots and marks, and lanes of bars. What they show stands in a table beside them.
import { setAttribute } from "./dom.js";
import { tick } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = { top: 10, right: 10, bottom: 20 };
// Pixels of a letter of an axis, at most.
const LETTER = 6.5;
// Distances between two ticks of a time axis, in milliseconds.
const STEPS = [5, 10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800, 2592000, 7776000, 31536000].map((s) => s * 1000);

export function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    setAttribute(element, name, value);
  }
  element.append(...children);
  return element;
}

const titled = (element, title) => {
  if (title) {
    element.append(draw("title", {}, title));
  }
  return element;
};

// The SVG element of `box`, as wide as it; null where what it shows is what it showed before.
function canvas(box, height, label, content) {
  const width = Math.max(box.clientWidth, 240);
  const signature = JSON.stringify([width, height, content]);
  let svg = box.querySelector("svg");
  if (svg === null) {
    svg = draw("svg", { role: "img" });
    box.append(svg);
  }
  setAttribute(svg, "aria-label", label);
  if (box.dataset.drawn === signature) {
    return [null, width];
  }
  box.dataset.drawn = signature;
  for (const [name, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) {
    setAttribute(svg, name, value);
  }
  svg.replaceChildren();
  return [svg, width];
}

function timeTicks([low, high], wanted) {
  const step = STEPS.find((size) => (high - low) / size <= wanted) ?? STEPS.at(-1);
  const ticks = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) {
    ticks.push(at);
  }
  return { ticks, step };
}

function valueTicks([low, high]) {
  const rough = (high - low) / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const [first, last] = [Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9)];
  // Counted, not added up to: beside a large number a small step is lost. Without the sum a zero may be a negative one.
  const ticks = Array.from({ length: last - first + 1 }, (_, at) => (first + at) * step + 0);
  return { ticks, step };
}

function timeAxis(svg, x, range, width, base) {
  const { ticks, step } = timeTicks(range, Math.max(2, Math.floor(width / 90)));
  for (const at of ticks) {
    svg.append(draw("line", { class: "grid", x1: x(at), x2: x(at), y1: MARGIN.top, y2: base }));
    const anchor = x(at) > width - 24 ? "end" : x(at) < 24 ? "start" : "middle";
    svg.append(draw("text", { class: "axis", x: x(at), y: base + 14, "text-anchor": anchor }, tick(at, step)));
  }
}

// The part of a value by which others must differ to be drawn apart: what is nearer was computed otherwise, at most.
const SEEN = 1e-6;

// The values that the axis must hold: all of them and a little air; from zero where a figure is an amount.
function valueRange(values, zero) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  if (zero) {
    low = 0;
  }
  const air = high - low > Math.abs(high) * SEEN ? (high - low) * 0.08 : Math.abs(high) * 0.01 || 1;
  return [zero ? 0 : low - air, high + air];
}

// series: [{slot, points: [{at, value, status, title, mark}], dots}]; level: {value, label}, a line across; `read` is told
// the moment that is pointed at, and null when none is.
export function lineChart(box, { label, range, series, format, height = 132, zero = false, level = null, read = null }) {
  const [svg, width] = canvas(box, height, label, [range, series, level]);
  const values = [...series.flatMap((one) => one.points.map((point) => point.value)), ...(level ? [level.value] : [])];
  if (svg === null || values.length === 0) {
    return;
  }
  const [low, high] = valueRange(values, zero);
  const base = height - MARGIN.bottom;
  const { ticks, step } = valueTicks([low, high]);
  const labels = ticks.map((value) => format(value, step));
  const left = 10 + Math.max(...labels.map((text) => text.length)) * LETTER;
  const x = (at) => left + ((at - range[0]) / (range[1] - range[0] || 1)) * (width - left - MARGIN.right);
  const y = (value) => base - ((value - low) / (high - low)) * (base - MARGIN.top);
  timeAxis(svg, x, range, width, base);
  for (const [at, value] of ticks.entries()) {
    svg.append(draw("line", { class: "grid", x1: left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }));
    svg.append(draw("text", { class: "axis", x: left - 6, y: y(value) + 4, "text-anchor": "end" }, labels[at]));
  }
  if (level) {
    svg.append(draw("line", { class: "level", x1: left, x2: width - MARGIN.right, y1: y(level.value), y2: y(level.value) }));
    const above = y(level.value) > MARGIN.top + 16;
    svg.append(draw("text", { class: "axis", x: width - MARGIN.right, y: y(level.value) + (above ? -5 : 14), "text-anchor": "end" }, level.label));
  }
  for (const { points, slot, dots } of series) {
    const path = points.map((point, at) => `${at ? "L" : "M"}${x(point.at).toFixed(1)} ${y(point.value).toFixed(1)}`).join("");
    svg.append(draw("path", { class: "line", "data-slot": slot, d: path }));
    for (const point of points.length === 1 || dots ? points : []) {
      svg.append(titled(draw("circle", { class: "dot", "data-slot": slot, "data-status": point.status, cx: x(point.at), cy: y(point.value), r: 2.5 }), point.title));
    }
    for (const point of points.filter((one) => one.mark)) {
      svg.append(anomaly(x(point.at), y(point.value), point.mark));
    }
  }
  if (read) {
    follow(svg, [left, width - MARGIN.right, base], (place) => range[0] + ((place - left) / (width - left - MARGIN.right)) * (range[1] - range[0]), read);
  }
}

// A line that goes with the pointer.
function follow(svg, [left, right, base], moment, read) {
  const line = draw("line", { class: "pointer", y1: MARGIN.top, y2: base, x1: -9, x2: -9 });
  const put = (place) => ["x1", "x2"].forEach((name) => setAttribute(line, name, place));
  svg.append(line);
  svg.onpointermove = (event) => {
    const place = event.clientX - svg.getBoundingClientRect().left;
    const inside = place >= left && place <= right;
    put(inside ? place : -9);
    read(inside ? moment(place) : null);
  };
  svg.onpointerleave = () => {
    put(-9);
    read(null);
  };
}

function anomaly(x, y, { severity, title }) {
  const ring = draw("g", { class: "anomaly", "data-status": severity });
  ring.append(draw("circle", { cx: x, cy: y, r: 6 }), draw("path", { d: `M${x - 4} ${y - 15}h8l-4 6z` }));
  return titled(ring, title);
}

const LANE = 38;

// lanes: [{name, bars: [{from, to, status, title, mark}]}].
export function laneChart(box, { label, range, lanes }) {
  const height = MARGIN.top + lanes.length * LANE + MARGIN.bottom;
  const [svg, width] = canvas(box, height, label, [range, lanes]);
  if (svg === null) {
    return;
  }
  const base = height - MARGIN.bottom;
  const x = (at) => 1 + ((Math.max(at, range[0]) - range[0]) / (range[1] - range[0])) * (width - 2);
  timeAxis(svg, x, range, width, base);
  lanes.forEach(({ name, bars }, at) => {
    const top = MARGIN.top + at * LANE;
    svg.append(draw("text", { class: "lane", x: 1, y: top + 11 }, name));
    svg.append(draw("line", { class: "grid", x1: 0, x2: width, y1: top + LANE - 6, y2: top + LANE - 6 }));
    for (const bar of bars) {
      svg.append(titled(drawBar(bar, x, top + LANE - 6), bar.title));
    }
  });
}

// What went well is low, what did not is high: the colour alone says nothing.
const TALL = new Set(["failed", "crashed", "partial"]);

function drawBar({ from, to, status, mark }, x, base) {
  const size = TALL.has(status) ? 18 : 10;
  const group = draw("g", {});
  group.append(draw("rect", { class: "bar", "data-status": status, x: x(from), y: base - size, width: Math.max(x(to) - x(from), 3), height: size, rx: 1 }));
  if (mark) {
    group.append(draw("path", { class: "flag", "data-status": mark.severity, d: `M${x(from) - 3} ${base - size - 9}h8l-4 6z` }));
  }
  return group;
}
