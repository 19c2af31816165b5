/** An invariant of INVARIANTS.md that did not hold; 0 stands for progress: nothing ends or stands still for good. */
export class Violation extends Error {
  readonly invariant: number;

  constructor(invariant: number, message: string) {
    super(message);
    this.name = 'Violation';
    this.invariant = invariant;
  }
}
