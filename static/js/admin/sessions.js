// Who is connected: a table that refreshes itself, that can be filtered by typing, and that a button can be pressed in.

import { $, button, h, later, put } from "../dom.js";
import { api, query } from "../api.js";
import { t } from "../i18n.js";
import { clock, count, listed, moment } from "../words.js";

const REFRESH_MS = 2_000;
/** Rows at first, and at most: as many as the hub tells. */
const FIRST = 100;
const ALL = 5_000;
const DAY_MS = 86_400_000;
const KINDS = [["student", "student"], ["staff", "staff member"], ["admin", "administrator"], ["visitor", "visitor"]];
const COLUMNS = ["Who", "From", "Since", "Round trip", "Queued", "Sent", "Listens to"];

export class Sessions {
  #rows = new Map();
  #timer = 0;
  #running = false;
  #asked = 0;
  #limit = FIRST;

  constructor() {
    this.form = $("session-filter");
    const narrowed = () => { this.#limit = FIRST; this.#refresh(); };
    this.form.addEventListener("submit", (event) => { event.preventDefault(); narrowed(); });
    this.form.addEventListener("input", later(200, narrowed));
    this.body = h("tbody", { id: "session-rows" });
    this.table = h("div", { class: "scroll acts", hidden: true }, h("table", { id: "sessions-table" },
      h("thead", null, h("tr", null, COLUMNS.map((head) => h("th", { scope: "col" }, head)), h("td"))), this.body));
    this.more = h("p");
    put($("sessions"), this.table, this.more);
    addEventListener("hashchange", () => this.#running && this.#shown && this.#refresh());
  }

  get #shown() {
    return document.body.dataset.view === "sessions";
  }

  run(running) {
    this.#running = running;
    clearTimeout(this.#timer);
    if (running) return this.#refresh();
    this.#rows.clear();
    put(this.body);
  }

  async #refresh() {
    clearTimeout(this.#timer);
    const asked = ++this.#asked;
    try {
      if (document.hidden || !this.#shown) return;
      const { q, role } = this.form.elements;
      const narrowed = Boolean(q.value.trim() || role.value);
      const [{ items, total }, { connections }] = await Promise.all([
        api.get(`/api/v1/admin/sessions${query({ q: q.value.trim(), role: role.value, limit: this.#limit })}`),
        narrowed ? {} : api.get("/api/v1/admin/metrics")]);
      if (asked === this.#asked) this.#draw(items, total, narrowed, connections);
    } catch (problem) {
      if (asked === this.#asked) this.#tell(problem.message);
    } finally {
      if (this.#running && asked === this.#asked) this.#timer = setTimeout(() => this.#refresh(), REFRESH_MS);
    }
  }

  #tell(text) {
    if ($("session-count").textContent !== text) put($("session-count"), text);
  }

  /** Rows stay where they are and keep their elements: who comes is added, who goes is taken out. */
  #draw(items, total, narrowed, connections) {
    // What was looked for is read out; numbers that come and go by themselves are not.
    $("session-count").setAttribute("aria-live", narrowed ? "polite" : "off");
    const kinds = KINDS.filter(([kind]) => connections?.[kind]).map(([kind, name]) => count(connections[kind], name));
    this.#tell(total ? `${count(total, "session")}${narrowed ? (total === 1 ? " fits" : " fit") : kinds.length ? `: ${listed(kinds)}` : ""}.`
      : narrowed ? "No session fits. Take a word or the role away." : "Nobody is connected.");
    this.table.hidden = !total;
    const rest = total - items.length;
    const text = rest <= 0 ? "" : this.#limit < ALL ? `Show ${rest.toLocaleString()} more` : `${rest.toLocaleString()} more are not shown: type a name or an address to find one.`;
    if (this.more.textContent !== text) put(this.more, this.#limit < ALL ? text && button(text, () => { this.#limit = ALL; this.#refresh(); }) : text);
    const here = new Set(items.map((one) => one.id));
    // Under a finger nothing moves: what is gone stays in its place until the table is left.
    const held = this.body.matches(":hover, :focus-within") && !document.activeElement?.closest("#session-filter");
    for (const [id, row] of this.#rows) {
      if (here.has(id)) continue;
      if (held) {
        if (!row.gone) put(row.end, "Gone");
        row.gone = true;
      } else {
        row.el.remove();
        this.#rows.delete(id);
      }
    }
    const fresh = [];
    for (const one of items) {
      const row = this.#rows.get(one.id) ?? this.#add(one, fresh);
      const cells = [one.rtt_ms === null || one.rtt_ms === undefined ? "" : `${Math.round(one.rtt_ms)} ms`, String(one.queued), one.sent.toLocaleString(), one.channels.join(", ")];
      // Only what has changed: a thousand rows are laid out again otherwise.
      cells.forEach((cell, at) => { if (row.told[at] !== cell) row.changing[at].textContent = row.told[at] = cell; });
    }
    this.body.append(...fresh);
  }

  #add(one, fresh) {
    const changing = COLUMNS.slice(3).map((name) => h("td", { "data-head": name }));
    const who = one.user ?? "A visitor";
    const end = h("td", null, button("Disconnect", () => this.#disconnect(one, end), { "aria-label": `Disconnect ${one.user ?? "a visitor"}` }));
    const old = Date.now() - Date.parse(one.connected_at) > DAY_MS;
    const el = h("tr", null,
      h("td", null, h("strong", null, who), one.role && h("small", null, t(`role.${one.role}`))),
      h("td", null, one.ip, h("small", { title: one.user_agent }, browser(one.user_agent))),
      h("td", { title: moment(one.connected_at), "data-head": "Since" }, old ? moment(one.connected_at) : clock(one.connected_at)), changing, end);
    fresh.push(el);
    const row = { el, changing, told: [], end };
    this.#rows.set(one.id, row);
    return row;
  }

  async #disconnect({ id }, end) {
    put(end, "Disconnecting…");
    const row = this.#rows.get(id);
    try {
      await api.delete(`/api/v1/admin/sessions/${encodeURIComponent(id)}`);
      // It is gone because of this press, and that is what stays there.
      if (row) row.gone = true;
      put(end, "Disconnected");
    } catch (problem) {
      put(end, problem.status === 404 ? "Gone already" : problem.message);
    }
    this.#refresh();
  }
}

/** What people call the browser: the last product of its name, or the start of it. */
function browser(agent) {
  return /(Firefox|Edg|OPR|Chrome|Safari)\/[\d]+/.exec(agent ?? "")?.[0].replace("Edg/", "Edge/").replace("OPR/", "Opera/").replace("/", " ") ?? (agent ?? "").slice(0, 40);
}
