/** A part of a core's state that uses what all parts of a step share, such as its time. */
export abstract class PartOf<Context> {
  protected readonly context: Context;

  constructor(context: Context) {
    this.context = context;
  }
}
