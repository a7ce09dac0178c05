// The second factor: set-up with a QR code, recovery codes, and removal.

import { $, button, field, h, markInvalid, put } from "../dom.js";
import { api } from "../api.js";
import { t } from "../i18n.js";
import { problemText } from "../words.js";

const SVG = "http://www.w3.org/2000/svg";

/** Returns the QR code, whose dark modules are the path of an SVG image. */
function qrCode({ size, path }) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ viewBox: `0 0 ${size} ${size}`, class: "qr", role: "img", "aria-label": t("factor.picture"), "shape-rendering": "crispEdges" })) svg.setAttribute(name, value);
  const dark = document.createElementNS(SVG, "path");
  dark.setAttribute("d", path);
  svg.append(dark);
  return svg;
}

/**
 * Returns a form with one field. `send(value)` resolves when it is done; `refusal(problem)` is the text of a failure.
 */
function oneField(label, input, action, send, refusal) {
  const status = h("p", { role: "status" });
  const submit = h("button", { class: "strong" }, action);
  const onsubmit = async (event) => {
    event.preventDefault();
    submit.disabled = true;
    put(status);
    try {
      await send(input.value);
    } catch (problem) {
      status.className = "stop";
      put(status, refusal(problem));
      if (problem.field) markInvalid(input, status);
      submit.disabled = false;
      input.select();
    }
  };
  return h("form", { onsubmit }, field(label, input), submit, status);
}

/** Shows the current state; `done` is the text of what has just changed. */
export function showFactor(enabled, done) {
  const note = h("p", { role: "status", class: "good" }, done);
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const refusal = (problem) => problem.field ? t("factor.password.wrong") : problemText(problem);
  if (!enabled) {
    const begin = async (value) => setUp(await api.post("/api/v1/me/totp", { password: value }));
    return put($("factor"), h("p", null, t("factor.off")), oneField(t("factor.password"), password, t("factor.set_up"), begin, refusal), note);
  }
  const remove = async (value) => {
    await api.delete("/api/v1/me/totp", { password: value });
    showFactor(false, t("factor.removed"));
  };
  put($("factor"), h("p", null, t("factor.on")), oneField(t("factor.password"), password, t("factor.remove"), remove, refusal), note);
}

function setUp({ secret, qr }) {
  const code = h("input", { name: "code", inputmode: "numeric", autocomplete: "one-time-code", required: true, maxlength: 10 });
  const confirm = async (value) => showCodes((await api.post("/api/v1/me/totp", { code: value.trim() })).recovery_codes);
  const refusal = (problem) => problem.field ? t("factor.wrong") : problemText(problem);
  put($("factor"), h("p", null, t("factor.scan")), qr && qrCode(qr), h("p", null, `${t("factor.key")}: `, h("code", null, secret)),
    oneField(t("factor.code"), code, t("factor.confirm"), confirm, refusal));
  code.focus();
}

function showCodes(codes) {
  put($("factor"), h("p", { role: "status", class: "good" }, t("factor.done")), h("p", null, t("factor.recovery")),
    h("ul", { class: "codes", role: "list" }, codes.map((code) => h("li", null, code))),
    button(t("factor.saved"), () => showFactor(true), { class: "strong" }));
}
