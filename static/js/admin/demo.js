// The performance demonstration: two lanes with the same scales, drawn as it runs.

export class Demo {
  run() {}
}
