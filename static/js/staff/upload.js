// Sends a file and tells how much of it has gone, which `fetch` cannot.

import { api, Problem, refused } from "../api.js";

/** How long nothing may move before it is given up. */
const STALL_MS_MAX = 60_000;

/**
 * Sends `file` as CSV; gives what the hub answers, or throws as `call` does. `onprogress(bytes)`: so much is on its way.
 * `signal` stops it.
 */
export function upload(path, file, { signal, onprogress }) {
  return new Promise((resolve, reject) => {
    const { who } = api;
    const request = new XMLHttpRequest();
    const none = () => reject(new Problem({ status: 0, code: "no_answer" }));
    let timer;
    const moved = () => { clearTimeout(timer); timer = setTimeout(() => request.abort(), STALL_MS_MAX); };
    request.upload.addEventListener("progress", ({ loaded }) => { moved(); onprogress(loaded); });
    request.addEventListener("load", () => answered(request, who, resolve, reject));
    for (const type of ["error", "abort"]) request.addEventListener(type, none);
    request.addEventListener("loadend", () => clearTimeout(timer));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.open("POST", path);
    request.setRequestHeader("Content-Type", "text/csv");
    request.send(file);
    moved();
  });
}

function answered(request, who, resolve, reject) {
  let data = {};
  try { data = JSON.parse(request.responseText); } catch { /* What is no JSON says nothing. */ }
  if (request.status >= 200 && request.status < 300) return resolve(data);
  reject(refused(who, request.status, request.getResponseHeader("Retry-After"), data));
}
