// Uploads a file with XMLHttpRequest, because `fetch` does not report upload progress.

import { api, Problem, problemFrom } from "../api.js";
import { mediaType } from "./import-file.js";

/** An upload without progress for this long is aborted. */
const STALL_MS_MAX = 60_000;

/**
 * Uploads `file`. Resolves with the parsed response; rejects with a `Problem`. `onprogress(bytes)` receives the
 * number of bytes sent so far; `signal` aborts the upload.
 */
export function upload(path, file, { signal, onprogress }) {
  return new Promise((resolve, reject) => {
    const { epoch } = api;
    const request = new XMLHttpRequest();
    const fail = () => reject(new Problem({ status: 0, code: "no_answer" }));
    let timer;
    const restartTimer = () => { clearTimeout(timer); timer = setTimeout(() => request.abort(), STALL_MS_MAX); };
    request.upload.addEventListener("progress", ({ loaded }) => { restartTimer(); onprogress(loaded); });
    request.addEventListener("load", () => settle(request, epoch, resolve, reject));
    for (const type of ["error", "abort"]) request.addEventListener(type, fail);
    request.addEventListener("loadend", () => clearTimeout(timer));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.open("POST", path);
    request.setRequestHeader("Content-Type", mediaType(file));
    request.send(file);
    restartTimer();
  });
}

function settle(request, epoch, resolve, reject) {
  let data = {};
  try { data = JSON.parse(request.responseText); } catch { /* The status alone decides. */ }
  if (request.status >= 200 && request.status < 300) return resolve(data);
  reject(problemFrom(epoch, request.status, request.getResponseHeader("Retry-After"), data));
}
