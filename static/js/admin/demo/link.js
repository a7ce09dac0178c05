// The link to the report of a demonstration: creates, copies and withdraws it.

import { copyText } from "../../clipboard.js";
import { button, h, put } from "../../dom.js";
import { api } from "../../api.js";
import { t } from "../../i18n.js";
import { problemText } from "../../words.js";

export class ReportLink {
  #task = null;

  constructor() {
    this.status = h("p", { role: "status" });
    this.content = h("div", { class: "inline" });
    this.el = h("div", { id: "demo-link", class: "screen-only", hidden: true }, this.content, this.status);
  }

  /** Offers a link to the report of `task`; null while no demonstration has finished. */
  show(task) {
    this.el.hidden = !task;
    if (task === this.#task) return;
    this.#task = task;
    put(this.status);
    this.#offer();
  }

  get #path() {
    return `/api/v1/admin/demo/${this.#task}/link`;
  }

  #offer() {
    put(this.content, button(t("demo.share"), () => this.#run(() => this.#create()), { class: "plain" }));
  }

  async #run(action) {
    const task = this.#task;
    put(this.status);
    try {
      await action();
    } catch (problem) {
      if (task === this.#task) put(this.status, h("span", { class: "stop" }, problemText(problem)));
    }
  }

  async #create() {
    const task = this.#task;
    const { url } = await api.put(this.#path);
    if (task !== this.#task) return;
    put(this.content, h("a", { href: url }, url),
      button(t("demo.link.copy"), () => this.#copy(url)),
      button(t("demo.link.withdraw"), () => this.#run(() => this.#withdraw()), { class: "quiet" }));
    put(this.status, t("demo.shared"));
  }

  async #copy(url) {
    const copied = await copyText(url);
    put(this.status, t(copied ? "demo.link.copied" : "demo.link.not_copied"));
  }

  async #withdraw() {
    const task = this.#task;
    await api.delete(this.#path);
    if (task !== this.#task) return;
    this.#offer();
    put(this.status, t("demo.link.withdrawn"));
  }
}
