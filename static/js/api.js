// Calls to the hub's REST API: JSON in, JSON or text out. A failed call throws a `Problem`, an aborted one an
// `AbortError`.

import { problemText } from "./words.js";

/** How long a response may take before the call fails with `no_answer`. */
const RESPONSE_MS_MAX = 20_000;
/** The longest `Retry-After` that is respected. The pause before a retry is up to twice as long. */
const RETRY_S_MAX = 30;

/** A problem document, or a missing response (`code` is `no_answer`). */
export class Problem extends Error {
  constructor(fields) {
    super(problemText(fields));
    Object.assign(this, fields);
  }
}

/**
 * Calls the hub. `body` is sent as JSON (staff/upload.js sends files); `ms` is the timeout, 0 for none; `onheaders`
 * gets the headers of the response.
 */
export async function call(method, path, { body, signal, ms = RESPONSE_MS_MAX, onheaders = () => {} } = {}) {
  const controller = new AbortController();
  const timer = ms > 0 && setTimeout(() => controller.abort(), ms);
  signal?.addEventListener("abort", () => controller.abort(), { once: true });
  // A signal that is already aborted fires no event.
  if (signal?.aborted) controller.abort();
  const { epoch } = api;
  let response, data;
  try {
    response = await (method === "GET" && api.early(path)) || await fetch(path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? body : JSON.stringify(body),
      signal: controller.signal,
    });
    // An early request is not aborted.
    controller.signal.throwIfAborted();
    onheaders(response.headers);
    const text = response.status === 204 ? "" : await response.text();
    data = /json/.test(response.headers.get("Content-Type")) && text ? JSON.parse(text) : text;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem({ status: 0, code: "no_answer" });
  } finally {
    clearTimeout(timer);
  }
  if (response.ok) return data;
  throw problemFrom(epoch, response.status, response.headers.get("Retry-After"), data);
}

/**
 * Builds the problem of a failed response. `epoch` is the value of `api.epoch` when the request was sent. Reports an
 * expired sign-in to `api.signedOut`.
 */
export function problemFrom(epoch, status, retryAfter, data) {
  const problem = new Problem({ retry_after: retryAfter ?? undefined, ...data, status });
  // A 401 for an earlier sign-in says nothing about the current one.
  const isSignIn = ["bad_credentials", "second_factor_required"].includes(problem.code);
  if (status === 401 && !isSignIn && epoch === api.epoch) api.signedOut();
  return problem;
}

/** Returns whether a retry may succeed: no response, rate limited, or a server error. */
export const isTransient = ({ status }) => !status || status === 429 || status >= 500;

/** Waits before a retry: `retry_after` or 2 seconds, times a random factor from 1 to 2 that keeps pages out of step. */
export function waitBeforeRetry({ retry_after }) {
  const s = Math.min(Number(retry_after) || 2, RETRY_S_MAX);
  return new Promise((resolve) => setTimeout(resolve, 1000 * s * (1 + Math.random())));
}

/**
 * The HTTP methods. `early(path)` returns the response to a request that the page has sent before, or undefined.
 * session.js sets `signedOut`, and increments `epoch` at each sign-in and sign-out.
 */
export const api = {
  epoch: 0,
  early() {},
  signedOut() {},
  get: (path, options) => call("GET", path, options),
  put: (path, body) => call("PUT", path, { body }),
  post: (path, body, options) => call("POST", path, { body, ...options }),
  patch: (path, body) => call("PATCH", path, { body }),
  delete: (path, body) => call("DELETE", path, { body }),
};

/** Builds a query string from the fields that are neither empty nor `false`. */
export function query(fields) {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

/** Returns the path of the caller's own registration in a section. */
export const registrationPath = (id) => `/api/v1/me/registrations/${encodeURIComponent(id)}`;
