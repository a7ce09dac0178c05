// Who is connected: a table that refreshes itself and that a button can be pressed in.

import { $, button, h, later, put } from "../dom.js";
import { api, query } from "../api.js";
import { clock, count } from "../words.js";

const REFRESH_MS = 2_000;

export class Sessions {
  #rows = new Map();
  #timer = 0;
  #running = false;
  #asked = 0;

  constructor() {
    this.form = $("session-filter");
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", later(200, () => this.#refresh()));
  }

  run(running) {
    this.#running = running;
    clearTimeout(this.#timer);
    if (running) this.#refresh();
  }

  async #refresh() {
    clearTimeout(this.#timer);
    const asked = ++this.#asked;
    try {
      if (document.hidden && this.#rows.size) return;
      const { q, role } = this.form.elements;
      const { items, total } = await api.get(`/api/v1/admin/sessions${query({ q: q.value.trim(), role: role.value })}`);
      if (asked === this.#asked) this.#draw(items, total);
    } catch (problem) {
      put($("session-count"), problem.message);
    } finally {
      if (this.#running && asked === this.#asked) this.#timer = setTimeout(() => this.#refresh(), REFRESH_MS);
    }
  }

  /** Rows stay where they are and keep their elements: who comes is added, who goes is taken out. */
  #draw(items, total) {
    put($("session-count"), `${count(total, "session")}${total > items.length ? `, ${items.length} shown` : ""}.`);
    const here = new Set(items.map((one) => one.id));
    for (const [id, row] of this.#rows) {
      if (here.has(id)) continue;
      // Under a finger nothing moves: what is gone stays in its place until the table is left.
      if ($("session-rows").matches(":hover, :focus-within")) {
        if (!row.gone) put(row.end, "Gone");
        row.gone = true;
      } else {
        row.el.remove();
        this.#rows.delete(id);
      }
    }
    for (const one of items) {
      const row = this.#rows.get(one.id) ?? this.#add(one);
      row.channels.textContent = one.channels.join(", ");
      row.queued.textContent = one.queued;
      row.sent.textContent = one.sent.toLocaleString();
      row.rtt.textContent = one.rtt_ms === null || one.rtt_ms === undefined ? "" : `${Math.round(one.rtt_ms)} ms`;
    }
  }

  #add(one) {
    const [channels, queued, sent, rtt] = Array.from({ length: 4 }, () => h("td"));
    const end = h("td", null, button("Disconnect", () => this.#disconnect(one, end), { "aria-label": `Disconnect ${one.user ?? "a visitor"}` }));
    const since = new Date(one.connected_at);
    const el = h("tr", null, h("td", null, one.user ?? "visitor"), h("td", null, one.role ?? ""), h("td", null, one.ip),
      h("td", { title: since.toLocaleString() }, clock(since)), channels, queued, sent, rtt, h("td", null, browser(one.user_agent)), end);
    $("session-rows").append(el);
    const row = { el, channels, queued, sent, rtt, end };
    this.#rows.set(one.id, row);
    return row;
  }

  async #disconnect({ id }, end) {
    put(end, "Disconnecting…");
    try {
      await api.delete(`/api/v1/admin/sessions/${encodeURIComponent(id)}`);
      put(end, "Disconnected");
    } catch (problem) {
      put(end, problem.status === 404 ? "Gone already" : problem.message);
    }
    this.#refresh();
  }
}

/** What people call the browser: the last product of its name, or the start of it. */
function browser(agent) {
  return /(Firefox|Edg|OPR|Chrome|Safari)\/[\d]+/.exec(agent ?? "")?.[0].replace("/", " ") ?? (agent ?? "").slice(0, 40);
}
