// The "Sessions" view: who is connected. The table refreshes itself, can be filtered, and has buttons that disconnect
// sessions.

import { $, button, h, debounce, put } from "../dom.js";
import { api, query } from "../api.js";
import { number, t } from "../i18n.js";
import { Poller } from "../poll.js";
import { timeOfDay, joinList, dateTime } from "../words.js";

const REFRESH_MS = 2_000;
const TYPING_MS = 200;
/** Rows shown at first. */
const FIRST_ROWS = 100;
/** Maximum number of rows that the hub returns. */
const ROWS_MAX = 5_000;
const DAY_MS = 86_400_000;
/** Roles in the metrics, and the texts of their numbers. */
const ROLES = [["student", "n.students"], ["instructor", "n.instructors"], ["staff", "n.staff_members"], ["admin", "n.admins"], ["visitor", "n.visitors"]];
const COLUMNS = ["user", "address", "connected", "rtt", "queued", "sent", "channels"];
const columnName = (column) => t(`sessions.${column}`);
/** The first of the columns that change during a session. */
const FIRST_LIVE_COLUMN = COLUMNS.indexOf("rtt");

export class Sessions {
  /** The rows by session id. */
  #rows = new Map();
  #limit = FIRST_ROWS;
  #poller = new Poller((signal) => this.#read(signal), {
    ms: REFRESH_MS,
    isNeeded: () => document.body.dataset.view === "sessions",
    onerror: (problem) => this.#setSummary(problem.message),
  });

  constructor() {
    this.form = $("session-filter");
    const onfilter = () => { this.#limit = FIRST_ROWS; this.#poller.now(); };
    this.form.addEventListener("submit", (event) => { event.preventDefault(); onfilter(); });
    this.form.addEventListener("input", debounce(TYPING_MS, onfilter));
    this.body = h("tbody", { id: "session-rows" });
    this.table = h("div", { class: "scroll action-table", hidden: true }, h("table", { id: "sessions-table" },
      h("thead", null, h("tr", null, COLUMNS.map((column) => h("th", { scope: "col" }, columnName(column))), h("td"))), this.body));
    this.more = h("p");
    put($("sessions"), this.table, this.more);
  }

  run(running) {
    if (running) return this.#poller.start();
    this.#poller.stop();
    this.#rows.clear();
    put(this.body);
  }

  async #read(signal) {
    const { q, role } = this.form.elements;
    const filtered = Boolean(q.value.trim() || role.value);
    const path = `/api/v1/admin/sessions${query({ q: q.value.trim(), role: role.value, limit: this.#limit })}`;
    const { items, total, hubs } = await api.get(path, { signal });
    this.#draw(items, total, filtered, sum(hubs));
  }

  #setSummary(text) {
    if ($("session-count").textContent !== text) put($("session-count"), text);
  }

  /** Draws the sessions. Existing rows keep their place and their elements; rows are only added and removed. */
  #draw(items, total, filtered, connections) {
    // Screen readers announce the result of a search, but not a count that changes on its own.
    $("session-count").setAttribute("aria-live", filtered ? "polite" : "off");
    this.#setSummary(summary(total, filtered, connections));
    this.#drawMore(total - items.length);
    this.#removeEnded(new Set(items.map((session) => session.id)));
    const added = [];
    for (const session of items) {
      const row = this.#rows.get(session.id) ?? this.#addRow(session, added);
      const { rtt_ms, queued, sent, channels } = session;
      const roundTrip = rtt_ms === null || rtt_ms === undefined ? "" : `${number(Math.round(rtt_ms))} ms`;
      const cells = [roundTrip, number(queued), number(sent), channels.join(", ")];
      // Unchanged cells are not written, because the browser would lay out all rows again.
      cells.forEach((text, i) => { if (row.texts[i] !== text) row.liveCells[i].textContent = row.texts[i] = text; });
    }
    this.body.append(...added);
    // An ended row that is in use stays visible, even if it was the only one.
    this.table.hidden = !this.#rows.size;
  }

  #drawMore(rest) {
    const canShowAll = this.#limit < ROWS_MAX;
    const text = rest <= 0 ? "" : t(canShowAll ? "sessions.more" : "sessions.hidden", { n: rest });
    if (this.more.textContent === text) return;
    put(this.more, text && canShowAll ? button(text, () => { this.#limit = ROWS_MAX; this.#poller.now(); }) : text);
  }

  /** Removes ended sessions. While the user points at the table or focuses a row, ended rows stay and say so. */
  #removeEnded(ids) {
    const inUse = this.body.matches(":hover, :focus-within") && !document.activeElement?.closest("#session-filter");
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      if (inUse) {
        if (!row.ended) put(row.action, t("sessions.ended"));
        row.ended = true;
      } else {
        row.el.remove();
        this.#rows.delete(id);
      }
    }
  }

  #addRow(session, added) {
    const { user, role, ip, user_agent, connected_at } = session;
    const liveCells = COLUMNS.slice(FIRST_LIVE_COLUMN).map((column) => h("td", { "data-head": columnName(column) }));
    const disconnect = button(t("sessions.disconnect"), () => this.#disconnect(session, action), { "aria-label": t("sessions.disconnect.of", { user: user ?? t("sessions.visitor").toLowerCase() }) });
    const action = h("td", null, disconnect);
    const isOld = Date.now() - Date.parse(connected_at) > DAY_MS;
    const el = h("tr", null,
      h("td", null, h("strong", { dir: "auto" }, user ?? t("sessions.visitor")), role && h("small", null, t(`role.${role}`))),
      h("td", null, ip, h("small", { title: user_agent }, browserName(user_agent))),
      h("td", { title: dateTime(connected_at), "data-head": columnName("connected") }, isOld ? dateTime(connected_at) : timeOfDay(connected_at)),
      liveCells, action);
    added.push(el);
    const row = { el, liveCells, texts: [], action };
    this.#rows.set(session.id, row);
    return row;
  }

  /** Disconnects a session. A user can connect again, so the row then offers to end all sign-ins of the user. */
  async #disconnect({ id, user }, action) {
    put(action, t("sessions.disconnecting"));
    const row = this.#rows.get(id);
    try {
      await api.delete(`/api/v1/admin/sessions/${encodeURIComponent(id)}`);
      // The row keeps saying "Disconnected", not "Ended".
      if (row) row.ended = true;
      const everywhere = user && button(t("sessions.sign_out"), () => this.#signOut(user, action), { "aria-label": t("sessions.sign_out.of", { user }) });
      put(action, h("span", null, t("sessions.disconnected")), everywhere);
    } catch (problem) {
      put(action, problem.status === 404 ? t("sessions.gone") : problem.message);
    }
    this.#poller.now();
  }

  /** Ends all sign-ins and sessions of a user. */
  async #signOut(user, action) {
    put(action, t("sessions.signing_out"));
    try {
      await api.post(`/api/v1/admin/users/${encodeURIComponent(user)}/sign-out`);
      put(action, t("sessions.signed_out"));
    } catch (problem) {
      put(action, problem.message);
    }
    this.#poller.now();
  }
}

/** Returns the number of sessions of each role at all hubs. */
function sum(hubs) {
  const ofRole = ([role]) => [role, hubs.reduce((n, { connections }) => n + connections[role], 0)];
  return Object.fromEntries(ROLES.map(ofRole));
}

function summary(total, filtered, connections) {
  if (!total) return t(filtered ? "sessions.none" : "sessions.no_one");
  if (filtered) return t("sessions.match", { n: total });
  const roles = ROLES.filter(([role]) => connections?.[role]).map(([role, key]) => t(key, { n: connections[role] }));
  return `${t("n.sessions", { n: total })}${roles.length ? `: ${joinList(roles)}` : ""}.`;
}

/** Returns the browser's name and version from its user agent, or the start of an unknown one. */
function browserName(userAgent) {
  const product = /(Firefox|Edg|OPR|Chrome|Safari)\/[\d]+/.exec(userAgent ?? "")?.[0];
  return product?.replace("Edg/", "Edge/").replace("OPR/", "Opera/").replace("/", " ") ?? (userAgent ?? "").slice(0, 40);
}
