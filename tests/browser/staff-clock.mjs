// A device whose clock is wrong, for the `script` of a page that is opened.

/** The clock is so many hours behind; `later(hours)` in the page moves it on. */
export const lateBy = (hours) => `{
  const Real = Date;
  let shift = -3_600_000 * ${hours};
  window.later = (hours) => { shift += 3_600_000 * hours; };
  window.Date = class extends Real {
    constructor(...given) { given.length ? super(...given) : super(Real.now() + shift); }
    static now() { return Real.now() + shift; }
  };
}`;
