/** A part of a core's state that is saved and restored by its fields, of which none has a `#`. */
export abstract class Part {
  save(): object {
    return { ...this };
  }
}
