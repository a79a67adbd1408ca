// Asks the API. Every failure is one of few kinds, so that the page can say what to do about it.
import { storedKey } from "./key.js";

// Milliseconds until an answer is given up; the service's own limits on statements are shorter.
const PATIENCE_MS = 15000;

// How far the service's clock is ahead of this machine's, in milliseconds: ages are told by the service's.
let skewMs = 0;

export const now = () => Date.now() + skewMs;

// kind: key (401), away (no answer), busy (429, 503; seconds says when to ask again), missing (404), wrong (the rest).
export class ApiError extends Error {
  constructor(kind, message, seconds = null) {
    super(message);
    this.kind = kind;
    this.seconds = seconds;
  }
}

const KINDS = { 401: "key", 404: "missing", 429: "busy", 503: "busy" };

// Whether the service wants a key; its contract says so, which costs no refused request. Null where nobody answers.
export async function keyNeeded() {
  try {
    const contract = await (await fetch("/openapi.json", { cache: "no-cache", credentials: "omit", signal: AbortSignal.timeout(PATIENCE_MS) })).json();
    return contract.paths["/stats"].get.security.length > 0;
  } catch {
    return null;
  }
}

// The body of GET path, where `params` are query parameters; null and "" are left out. Statuses in `also` are no failure.
export async function get(path, params = {}, { signal, also = [] } = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== null && value !== ""));
  const response = await ask(query.size ? `${path}?${query}` : path, signal);
  noteClock(response.headers.get("Date"));
  const body = await read(response);
  if (response.ok || also.includes(response.status)) {
    return body;
  }
  const seconds = Number(response.headers.get("Retry-After")) || null;
  throw new ApiError(KINDS[response.status] ?? "wrong", body?.detail ?? `${path} answered ${response.status}`, seconds);
}

async function ask(address, signal) {
  const key = storedKey();
  const limit = AbortSignal.timeout(PATIENCE_MS);
  try {
    return await fetch(address, {
      headers: { Accept: "application/json", ...(key ? { "X-API-Key": key } : {}) },
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      cache: "no-store",
      credentials: "omit",
    });
  } catch (error) {
    if (signal?.aborted) {
      throw error;
    }
    throw new ApiError("away", "the service does not answer");
  }
}

async function read(response) {
  try {
    return await response.json();
  } catch {
    if (response.ok) {
      throw new ApiError("away", "the answer broke off");
    }
    return null;
  }
}

function noteClock(date) {
  const served = Date.parse(date ?? "");
  // The header has whole seconds; what is nearer than two of them is no difference.
  if (!Number.isNaN(served)) {
    const difference = served - Date.now();
    skewMs = Math.abs(difference) > 2000 ? difference : 0;
  }
}
