import { LineIndex, type Problem, Problems } from "#pkg/config";

/** One text that is read, under the name by which people know it: a file, or a cluster. */
export interface Source {
  readonly name: string;
  readonly text: string;
}

export interface SourceProblem extends Problem {
  /** The `name` of the source. */
  readonly source: string;
}

/** A source while it is read. */
export class SourceText {
  readonly name: string;
  readonly text: string;
  readonly problems = new Problems();
  #lines: LineIndex | undefined;

  constructor({ name, text }: Source) {
    this.name = name;
    this.text = text;
  }

  get hasErrors(): boolean {
    return this.list().some(({ severity }) => severity === "error");
  }

  position(offset: number): Pick<Problem, "line" | "column"> {
    this.#lines ??= new LineIndex(this.text);
    return this.#lines.position(offset);
  }

  list(): SourceProblem[] {
    return this.problems.list((offset) => this.position(offset)).map((problem) => ({ source: this.name, ...problem }));
  }
}
