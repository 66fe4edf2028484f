import { LineIndex, type Problem, Problems } from "#pkg/config";
import { escapeControls } from "#pkg/text";

/** One text that is read, under the name by which people know it: a file, or a cluster. */
export interface Source {
  readonly name: string;
  readonly text: string;
}

export interface SourceProblem extends Problem {
  /** The `name` of the source. */
  readonly source: string;
}

/** The result of a conversion. */
export interface Conversion {
  /** The manifest, with all losses in the comment on top; undefined when a problem is an error. */
  readonly text: string | undefined;
  /** Settings that the result cannot express, each a sentence that names the object and the field. */
  readonly losses: readonly string[];
  /** Further notes on the result. */
  readonly notes: readonly string[];
  readonly problems: readonly SourceProblem[];
}

/** A source while it is read. */
export class SourceText {
  readonly name: string;
  readonly text: string;
  readonly problems = new Problems();

  constructor({ name, text }: Source) {
    this.name = name;
    this.text = text;
  }

  list(): SourceProblem[] {
    const lines = new LineIndex(this.text);
    return this.problems.list((offset) => lines.position(offset)).map((problem) => ({ source: this.name, ...problem }));
  }
}

const maxLines = 1000; // Lines of each kind: a comment that nobody reads to its end helps nobody.

/** Collects what a conversion has to tell. The same sentence twice is one. */
export class Report {
  readonly #losses = new Set<string>();
  readonly #notes = new Set<string>();

  /** @param what such as `BGPPeer "rack-a"`, or with a field behind it */
  lose(what: string, message: string): void {
    this.#losses.add(oneLine(`${what}: ${message}`));
  }

  note(message: string): void {
    this.#notes.add(oneLine(message));
  }

  get losses(): readonly string[] {
    return [...this.#losses];
  }

  get notes(): readonly string[] {
    return [...this.#notes];
  }

  /**
   * The report as comment lines, which nothing in the sources can end. @param of the converted objects, such as `MetalLB's custom
   * resources`
   */
  header(of: string): string {
    const lines = [`Converted from ${of} by "ingotctl convert".`];
    if (this.#losses.size === 0) lines.push("Nothing is lost.");
    else lines.push(`What this cannot say (${this.#losses.size}):`, ...bulleted(this.losses));
    if (this.#notes.size > 0) lines.push("To know:", ...bulleted(this.notes));
    return lines.map((line) => `# ${oneLine(line)}\n`).join("");
  }
}

function bulleted(lines: readonly string[]): string[] {
  const more = lines.length - maxLines;
  return [...lines.slice(0, maxLines).map((line) => `- ${line}`), ...(more > 0 ? [`- and ${more} more`] : [])];
}

/** Escapes characters that YAML takes for the end of a line, or that steer a terminal. */
function oneLine(text: string): string {
  return escapeControls(text).replaceAll("\ufeff", "\\ufeff");
}
