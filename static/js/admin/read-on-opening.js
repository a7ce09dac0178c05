// Lists that are read when their view is opened, and not before, since the audit trail records who reads them.

export class ReadOnOpening {
  #isRunning = false;

  /**
   * Calls `read()` each time the view at `hash` is opened: the administrator may look for what was just done. The list
   * that is shown stays while `isKept()` is true.
   */
  constructor(hash, isKept, read) {
    Object.assign(this, { hash, isKept, read });
    addEventListener("hashchange", () => this.#opened());
  }

  /** Starts or stops, as after a sign-in or a sign-out. Resolves when the list of an open view has been read. */
  run(running) {
    this.#isRunning = running;
    return this.#opened();
  }

  #opened() {
    if (this.#isRunning && location.hash === this.hash && !this.isKept()) return this.read();
  }
}
