// Writing an alert: who gets it, how it will look, one press; and taking one down.

import { $, h, later, put } from "./dom.js";
import { api } from "./api.js";
import { icon } from "./icons.js";
import { count } from "./words.js";
import { note } from "./session.js";

const names = (text) => text.split(/[\s,;]+/).filter(Boolean);
const lists = (text) => text.split(/[,;\n]+/).map((one) => one.trim()).filter(Boolean);

/** What the form says, as the hub takes it; without an audience when nobody is chosen. */
export function read(form) {
  const data = new FormData(form);
  const audience = data.get("to") === "all" ? { all: true } : Object.fromEntries(Object.entries({
    roles: data.getAll("roles"), sections: names(data.get("sections")), courses: lists(data.get("courses").toUpperCase()), users: names(data.get("users")),
  }).filter(([, list]) => list.length));
  const until = data.get("expires_at");
  return {
    title: data.get("title").trim(), message: data.get("message").trim(), priority: data.get("priority"), category: data.get("category"),
    ...(Object.keys(audience).length ? { audience } : {}), ...(until ? { expires_at: new Date(until).toISOString() } : {}),
  };
}

export class AlertDesk {
  #asked = 0;

  /** `onsent(alert)`: one has gone out. */
  constructor(onsent) {
    this.onsent = onsent;
    this.form = $("alert-form");
    const ask = later(400, () => this.reach());
    this.form.addEventListener("input", ({ target }) => {
      this.#preview();
      if (["to", "roles", "sections", "courses", "users"].includes(target.name)) ask();
    });
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.#send(); });
    this.#preview();
  }

  #preview() {
    const { title, message, priority } = read(this.form);
    $("chosen").hidden = this.form.elements.to.value === "all";
    const loud = ["high", "critical"].includes(priority);
    put($("preview"), h("article", { class: `alert ${priority}` }, h("h3", null, loud && icon("warn"), title || "Title"), h("p", null, message || "Message"),
      h("footer", null, { low: "In the list of alerts.", medium: "In the list of alerts.", high: "A banner under the header, until it is read.", critical: "Above everything, and read out." }[priority])));
  }

  /** How many it would reach: asked of the hub, which sends nothing. */
  async reach() {
    const alert = read(this.form);
    const asked = ++this.#asked;
    let text = "Choose who gets it.";
    if (alert.audience) {
      try {
        // Who gets it does not depend on the words: they may still be missing.
        const body = { ...alert, title: alert.title || "-", message: alert.message || "-" };
        const { recipients, recipients_online } = await api.post("/api/v1/alerts?dry_run=true", body);
        text = recipients === null || recipients === undefined
          ? `Reaches everyone, ${recipients_online.toLocaleString()} of them connected now.`
          : `Reaches ${count(recipients, "person", "people")}, ${recipients_online.toLocaleString()} of them connected now.`;
      } catch (problem) {
        text = problem.message;
      }
    }
    if (asked === this.#asked) put($("reach"), text);
  }

  async #send() {
    const alert = read(this.form);
    const answer = this.form.querySelector("button + [role=status]");
    if (!alert.audience) return put(answer, "Choose who gets it.");
    const press = this.form.querySelector("button");
    press.disabled = true;
    put(answer, "Sending…");
    try {
      const { recipients_online, ...sent } = await api.post("/api/v1/alerts", alert);
      this.onsent(sent);
      this.form.reset();
      this.#preview();
      this.reach();
      put(answer, `Sent. ${count(recipients_online, "person", "people")} connected got it at once; the others get it when they come back.`);
    } catch (problem) {
      put(answer, problem.message);
    }
    press.disabled = false;
  }

  /** Takes an alert down everywhere; whether that was done. */
  async cancel({ id }) {
    try {
      await api.delete(`/api/v1/alerts/${encodeURIComponent(id)}`);
      return true;
    } catch (problem) {
      note(problem.message);
      return problem.status === 404;
    }
  }
}
