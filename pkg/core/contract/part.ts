/** A part of a core's state that is saved and restored by its fields, of which none has a `#`. */
export abstract class Part {
  save(): object {
    return { ...this };
  }
}

/** A part that uses what all parts of a step share, such as its time. */
export abstract class PartOf<Context> extends Part {
  protected readonly context: Context;

  constructor(context: Context) {
    super();
    this.context = context;
  }
}
