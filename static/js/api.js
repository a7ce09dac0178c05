// Asking the hub: JSON in, JSON out, and every failure is one kind of error.

import { sentence } from "./words.js";

/** How long an answer may take before the page says that none came. */
const ANSWER_MS_MAX = 20_000;
/** The longest pause that the hub is believed to want. */
const RETRY_S_MAX = 30;

/** A problem document, or the lack of an answer (`code` is `no_answer`). */
export class Problem extends Error {
  constructor(fields) {
    super(sentence(fields));
    Object.assign(this, fields);
  }
}

/** Calls the hub. `body` is sent as JSON (files go by staff/upload.js); `ms` bounds the wait, 0 does not. */
export async function call(method, path, { body, signal, ms = ANSWER_MS_MAX } = {}) {
  const giveUp = new AbortController();
  const timer = ms > 0 && setTimeout(() => giveUp.abort(), ms);
  signal?.addEventListener("abort", () => giveUp.abort(), { once: true });
  // One that was given up before tells nobody any more.
  if (signal?.aborted) giveUp.abort();
  const { who } = api;
  let response, data;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? body : JSON.stringify(body),
      signal: giveUp.signal,
    });
    const text = response.status === 204 ? "" : await response.text();
    data = /json/.test(response.headers.get("Content-Type")) && text ? JSON.parse(text) : text;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem({ status: 0, code: "no_answer" });
  } finally {
    clearTimeout(timer);
  }
  if (response.ok) return data;
  throw refused(who, response.status, response.headers.get("Retry-After"), data);
}

/** The problem that an answer is to `who` asked (`api.who` of then). A sign-in that has ended is told of. */
export function refused(who, status, retryAfter, data) {
  const problem = new Problem({ retry_after: retryAfter ?? undefined, ...data, status });
  // An answer to whoever was here before says nothing about who is here now.
  if (status === 401 && problem.code !== "bad_credentials" && who === api.who) api.signedOut();
  return problem;
}

/** Whether what failed may work a little later: nothing was heard, or the hub was busy. */
export const passes = ({ status }) => !status || status === 429 || status >= 500;

/** Waits before it is asked again: what the hub said, or some seconds, so drawn that pages do not ask in step. */
export function pause({ retry_after }) {
  const s = Math.min(Number(retry_after) || 2, RETRY_S_MAX);
  return new Promise((resolve) => setTimeout(resolve, 1000 * s * (1 + Math.random())));
}

/** The verbs; `signedOut` and `who`, which is another for each sign-in, are set by whoever shows the sign-in. */
export const api = {
  who: 0,
  signedOut() {},
  get: (path, options) => call("GET", path, options),
  put: (path, body) => call("PUT", path, { body }),
  post: (path, body, options) => call("POST", path, { body, ...options }),
  patch: (path, body) => call("PATCH", path, { body }),
  delete: (path) => call("DELETE", path),
};

/** A query string of what is given: nothing for what is empty. */
export function query(fields) {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

/** A section's own path, its id made safe. */
export const mine = (id) => `/api/v1/me/registrations/${encodeURIComponent(id)}`;
