// Figures and times as text: units always, the same number of digits always.
import { now } from "./api.js";

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const NONE = "–";

export const count = (number) => (number === null || number === undefined ? NONE : whole.format(number));
export const compact = (number) => short.format(number);

export function price(number) {
  if (number === null) {
    return NONE;
  }
  const digits = Math.abs(number) >= 1 ? { minimumFractionDigits: 2, maximumFractionDigits: 2 } : { maximumSignificantDigits: 6 };
  return number !== 0 && Math.abs(number) < 1e-12 ? number.toExponential(4) : number.toLocaleString("en", digits);
}

// A price beside an axis: with the digits that tell one tick from the next.
export function priceTick(number, step) {
  const digits = Math.max(0, Math.min(20, 1 - Math.floor(Math.log10(step))));
  return step >= 10 ? whole.format(number) : number.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

export function percent(number, { sign = false, digits = 2 } = {}) {
  if (number === null || !Number.isFinite(number)) {
    return NONE;
  }
  const text = number.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${sign && number > 0 ? "+" : ""}${text.replace("-", "−")} %`;
}

// A span of time, in the one or two largest units.
export function span(seconds) {
  if (seconds === null || seconds === undefined) {
    return NONE;
  }
  if (seconds > 0 && seconds < 1) {
    return `${Math.round(seconds * 1000)} ms`;
  }
  if (seconds < 60) {
    return `${seconds && seconds < 10 ? seconds.toFixed(1) : Math.floor(seconds)} s`;
  }
  for (const [size, unit, small, smallUnit] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    if (seconds >= size) {
      const rest = Math.floor((seconds % size) / small);
      return `${Math.floor(seconds / size)} ${unit}${rest && seconds < 10 * size ? ` ${rest} ${smallUnit}` : ""}`;
    }
  }
  return NONE;
}

// How long ago, or in how long; seconds are whole, because they are seen to tick.
export function relative(iso) {
  const seconds = (now() - Date.parse(iso)) / 1000;
  const size = Math.abs(seconds);
  if (size < 1) {
    return "now";
  }
  const text = size < 60 ? `${Math.floor(size)} s` : span(size);
  return seconds >= 0 ? `${text} ago` : `in ${text}`;
}

// Takes milliseconds as well.
export const absolute = (iso) => `${new Date(iso).toISOString().slice(0, 19).replace("T", " ")} UTC`;
export const clock = (ms) => new Date(ms).toISOString().slice(11, 19);

// The labels of a time axis: as coarse as the distance between two of them.
export function tick(ms, stepMs) {
  const text = new Date(ms).toISOString();
  if (stepMs >= 86400000) {
    return stepMs >= 27 * 86400000 ? text.slice(0, 7) : text.slice(5, 10);
  }
  return stepMs >= 60000 ? text.slice(11, 16) : text.slice(11, 19);
}
