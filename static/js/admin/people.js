// Who may sign in, and when they were last here.

export class People {
  run() {}
}
