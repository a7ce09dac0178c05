// A device with a wrong clock, for the `script` option of `open`.

/** Returns a script that sets the page's clock `hours` behind. `window.later(hours)` advances it. */
export const lateBy = (hours) => `{
  const Real = Date;
  let shift = -3_600_000 * ${hours};
  window.later = (hours) => { shift += 3_600_000 * hours; };
  window.Date = class extends Real {
    constructor(...given) { given.length ? super(...given) : super(Real.now() + shift); }
    static now() { return Real.now() + shift; }
  };
}`;
