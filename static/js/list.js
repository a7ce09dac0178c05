// A virtual list: only the rows near the viewport have elements. All have one height, plus that of their open details.

/** Extra rows rendered beyond each edge of the viewport; the first rows of the page are drawn without. */
const OVERSCAN = 8;
/** The row height before the first measurement: near that of the highest rows, so that few are drawn unnecessarily. */
const ROW_PX = 96;

export class VirtualList {
  #ids = [];
  #rows = new Map();
  #spare = [];
  #extra = new Map();
  #height = ROW_PX;
  /** The offset of the list from the top of the page, in pixels. */
  #top = 0;
  #unmeasured = true;
  #overscan = 0;
  #due = 0;

  /** `createRow()` returns `{el, line, more, bind(id), draw()}`; `more` holds the details that can be open. */
  constructor(el, createRow) {
    this.el = el;
    this.createRow = createRow;
    this.sizes = new ResizeObserver((entries) => this.#measure(entries));
    this.sizes.observe(el);
    this.sizes.observe(document.body);
    addEventListener("scroll", () => this.#scheduleLayout(), { passive: true });
    addEventListener("resize", () => this.#scheduleLayout());
  }

  get ids() {
    return this.#ids;
  }

  /** Replaces the ids. Rows that stay in order keep their elements, and with them the focus and a pressed button. */
  show(ids) {
    this.#ids = ids;
    const indexes = new Map(ids.map((id, index) => [id, index]));
    let last = -1;
    for (const row of [...this.#rows.values()].sort((a, b) => a.index - b.index)) {
      const index = indexes.get(row.id) ?? -1;
      if (index > last) {
        last = index;
        this.#place(row, index);
        row.draw();
      } else {
        this.#extra.delete(row.id);
        this.#release(row);
      }
    }
    // Not measured here, since that forces a layout: the resize observer reports any change.
    this.#layOut();
  }

  /** Returns the row of an id, if it is rendered. */
  row(id) {
    return this.#rows.get(id);
  }

  /** Redraws the rendered rows of these ids; null for all. */
  redraw(ids) {
    if (!ids) for (const row of this.#rows.values()) row.draw();
    else for (const id of ids) this.#rows.get(id)?.draw();
  }

  /** Moves the focus by `by` rows and scrolls the row into view. Returns whether there is such a row. */
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
    this.#layOut();
  }

  #scheduleLayout() {
    this.#due ||= requestAnimationFrame(() => {
      [this.#due, this.#overscan] = [0, OVERSCAN];
      this.#layOut();
    });
  }

  /** Returns the offset of a row from the top of the list; open details above it count. */
  #offset(index) {
    let extra = 0;
    for (const [id, px] of this.#extra) if (px && this.#rows.has(id) && this.#rows.get(id).index < index) extra += px;
    return index * this.#height + extra;
  }

  #layOut() {
    const total = this.#ids.length;
    let opened = 0;
    for (const px of this.#extra.values()) opened += px;
    this.el.style.height = `${total * this.#height + opened}px`;
    const top = scrollY - this.#top;
    const from = Math.max(0, Math.floor((top - opened) / this.#height) - this.#overscan);
    const to = Math.min(total, Math.ceil((top + innerHeight) / this.#height) + this.#overscan);
    const focused = document.activeElement?.closest("[data-index]");
    for (const row of [...this.#rows.values()]) {
      // A row with the focus or with open details stays rendered, so that neither is lost.
      if ((row.index < from || row.index >= to) && row.el !== focused && !this.#extra.get(row.id)) this.#release(row);
    }
    for (let index = from; index < to; index += 1) if (!this.#rows.has(this.#ids[index])) this.#render(index);
    for (const row of this.#rows.values()) row.el.style.transform = `translateY(${this.#offset(row.index)}px)`;
    if (this.#unmeasured) this.#measureRow();
    if (!this.#overscan && total) this.#scheduleLayout();
  }

  /** Measures the rows. Called only when their size may have changed, since measuring forces a layout. */
  #measureRow() {
    if (!this.el.offsetParent) return;
    this.#top = this.el.getBoundingClientRect().top + scrollY;
    const height = this.#rows.values().next().value?.line.offsetHeight;
    if (!height) return;
    this.#unmeasured = false;
    if (height === this.#height) return;
    this.#height = height;
    this.#layOut();
  }

  #place(row, index) {
    row.index = index;
    row.el.dataset.index = index;
    row.el.setAttribute("aria-posinset", index + 1);
    row.el.setAttribute("aria-setsize", this.#ids.length);
  }

  #render(index) {
    const row = this.#spare.pop() ?? this.createRow();
    const id = this.#ids[index];
    row.id = id;
    this.#place(row, index);
    this.#rows.set(id, row);
    row.bind(id);
    // Elements follow the visible order, so that Tab and screen readers do too.
    let next = null;
    for (const child of this.el.children) {
      if (Number(child.dataset.index) > index) {
        next = child;
        break;
      }
    }
    this.el.insertBefore(row.el, next);
    this.sizes.observe(row.more);
    this.sizes.observe(row.line);
  }

  #release(row) {
    this.#rows.delete(row.id);
    this.sizes.unobserve(row.more);
    this.sizes.unobserve(row.line);
    row.el.remove();
    this.#spare.push(row);
  }

  #measure(entries) {
    for (const { target } of entries) {
      // The height of a line changes with the reader's text size and spacing.
      if (target === this.el || target === document.body || (target.classList.contains("line") && target.offsetHeight !== this.#height)) this.#unmeasured = true;
      const row = target !== this.el && [...this.#rows.values()].find(({ more }) => more === target);
      if (!row) continue;
      if (target.offsetHeight) this.#extra.set(row.id, target.offsetHeight);
      else this.#extra.delete(row.id);
    }
    this.#layOut();
  }
}
