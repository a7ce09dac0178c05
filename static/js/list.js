// A list of thousands of rows of which only those in sight exist. Rows are of one height, but for what is opened under
// one of them.

/** Rows kept ready beyond each edge. */
const BEYOND = 8;
/** Before the first row is measured. */
const ROW_PX = 56;

export class VirtualList {
  #ids = [];
  #rows = new Map();
  #spare = [];
  #extra = new Map();
  #height = ROW_PX;
  /** Where the list begins in the page. */
  #top = 0;
  #unmeasured = true;
  #due = 0;

  /** `make()` gives a row: `{el, line, more, bind(id), draw()}`, where `more` is what can be opened. */
  constructor(el, make) {
    this.el = el;
    this.make = make;
    this.sizes = new ResizeObserver((entries) => this.#measure(entries));
    this.sizes.observe(el);
    this.sizes.observe(document.body);
    addEventListener("scroll", () => this.#soon(), { passive: true });
    addEventListener("resize", () => this.#soon());
  }

  get ids() {
    return this.#ids;
  }

  /** Shows these instead. A row that stays, in its order, keeps its elements: focus, and a button that is being pressed. */
  show(ids) {
    this.#ids = ids;
    const places = new Map(ids.map((id, index) => [id, index]));
    let last = -1;
    for (const row of [...this.#rows.values()].sort((a, b) => a.index - b.index)) {
      const index = places.get(row.id) ?? -1;
      if (index > last) {
        last = index;
        this.#place(row, index);
        row.draw();
      } else {
        this.#extra.delete(row.id);
        this.#release(row);
      }
    }
    // What moves the list or makes its rows higher changes a size that is watched: it is not asked for here.
    this.#lay();
  }

  /** The row of this id, where it is drawn. */
  row(id) {
    return this.#rows.get(id);
  }

  /** Draws anew what is in sight of these; null for all. */
  redraw(ids) {
    if (!ids) for (const row of this.#rows.values()) row.draw();
    else for (const id of ids) this.#rows.get(id)?.draw();
  }

  /** Moves the focus to the row `by` places after the one that has it, and into sight. */
  step(by) {
    const at = document.activeElement?.closest("[data-index]");
    const index = at ? Number(at.dataset.index) + by : 0;
    if (index < 0 || index >= this.#ids.length) return false;
    this.#reveal(index);
    this.#rows.get(this.#ids[index])?.el.querySelector("button")?.focus({ preventScroll: true });
    return true;
  }

  #reveal(index) {
    const top = this.el.getBoundingClientRect().top + this.#offset(index);
    const over = parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) || 0;
    const under = parseFloat(getComputedStyle(document.documentElement).scrollPaddingBottom) || 0;
    if (top < over) scrollBy(0, top - over);
    else if (top + this.#height > innerHeight - under) scrollBy(0, top + this.#height - innerHeight + under);
    this.#lay();
  }

  #soon() {
    this.#due ||= requestAnimationFrame(() => { this.#due = 0; this.#lay(); });
  }

  /** Where a row begins: what is opened above it moves it down. */
  #offset(index) {
    let extra = 0;
    for (const [id, px] of this.#extra) if (px && this.#rows.has(id) && this.#rows.get(id).index < index) extra += px;
    return index * this.#height + extra;
  }

  #lay() {
    const total = this.#ids.length;
    let opened = 0;
    for (const px of this.#extra.values()) opened += px;
    this.el.style.height = `${total * this.#height + opened}px`;
    const top = scrollY - this.#top;
    const from = Math.max(0, Math.floor((top - opened) / this.#height) - BEYOND);
    const to = Math.min(total, Math.ceil((top + innerHeight) / this.#height) + BEYOND);
    const focused = document.activeElement?.closest("[data-index]");
    for (const row of [...this.#rows.values()]) {
      // A row that has the focus or is opened stays, so that neither is lost.
      if ((row.index < from || row.index >= to) && row.el !== focused && !this.#extra.get(row.id)) this.#release(row);
    }
    for (let index = from; index < to; index += 1) if (!this.#rows.has(this.#ids[index])) this.#take(index);
    for (const row of this.#rows.values()) row.el.style.transform = `translateY(${this.#offset(row.index)}px)`;
    if (this.#unmeasured) this.#measureRow();
  }

  /** Asking for a size makes the browser lay out at once: only when it may be another. */
  #measureRow() {
    if (!this.el.offsetParent) return;
    this.#top = this.el.getBoundingClientRect().top + scrollY;
    const height = this.#rows.values().next().value?.line.offsetHeight;
    if (!height) return;
    this.#unmeasured = false;
    if (height === this.#height) return;
    this.#height = height;
    this.#lay();
  }

  #place(row, index) {
    row.index = index;
    row.el.dataset.index = index;
    row.el.setAttribute("aria-posinset", index + 1);
    row.el.setAttribute("aria-setsize", this.#ids.length);
  }

  #take(index) {
    const row = this.#spare.pop() ?? this.make();
    const id = this.#ids[index];
    row.id = id;
    this.#place(row, index);
    this.#rows.set(id, row);
    row.bind(id);
    // In the order of the list, so that Tab and a screen reader go through it as it is seen.
    let after = null;
    for (const child of this.el.children) {
      if (Number(child.dataset.index) > index) {
        after = child;
        break;
      }
    }
    this.el.insertBefore(row.el, after);
    this.sizes.observe(row.more);
  }

  #release(row) {
    this.#rows.delete(row.id);
    this.sizes.unobserve(row.more);
    row.el.remove();
    this.#spare.push(row);
  }

  #measure(entries) {
    for (const { target } of entries) {
      if (target === this.el || target === document.body) this.#unmeasured = true;
      const row = target !== this.el && [...this.#rows.values()].find(({ more }) => more === target);
      if (!row) continue;
      if (target.offsetHeight) this.#extra.set(row.id, target.offsetHeight);
      else this.#extra.delete(row.id);
    }
    this.#lay();
  }
}
