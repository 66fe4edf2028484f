import { escapeControls } from "#pkg/text";
import { type ManifestObject, type Path, refuse, title, warn } from "./objects.ts";
import type { SourceProblem } from "./source-text.ts";

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

const maxLines = 1000; // Lines of each kind: a comment that nobody reads to its end helps nobody.

/**
 * Collects what a conversion has to tell. The same sentence twice is one. Where the objects are live, nobody reads a comment: a loss refuses its
 * object, and what is done almost as asked is a warning.
 */
export class Report {
  readonly #losses = new Set<string>();
  readonly #notes = new Set<string>();
  readonly #warnings = new Set<string>();
  readonly #isLive: boolean;
  readonly origins = new WeakMap<object, readonly ManifestObject[]>(); // part of the result -> the objects that it is made from

  constructor({ isLive = false } = {}) {
    this.#isLive = isLive;
  }

  /** The result cannot express it. @param what an object, or such as `pool "a"` @param path the object's field */
  lose(what: string | ManifestObject, message: string, path: Path = []): void {
    const text = oneLine(`${typeof what === "string" ? what : title(what)}: ${message}`);
    if (this.#isLive && typeof what !== "string" && !this.#losses.has(text)) refuse(what, path, message);
    this.#losses.add(text);
  }

  /** The result is close to it, and harmless. */
  approximate(what: ManifestObject, message: string, path: Path = []): void {
    if (this.#isLive) this.#warn(what, message, path);
    else this.lose(what, message, path);
  }

  /** People may want to know it. */
  remark(what: ManifestObject, message: string, path: Path = []): void {
    if (this.#isLive) this.#warn(what, message, path);
    else this.note(`${title(what)}: ${message}`);
  }

  /** An advertisement for a hundred pools gives the same warning a hundred times. */
  #warn(what: ManifestObject, message: string, path: Path): void {
    const text = `${title(what)}: ${path.join(".")}: ${message}`;
    if (!this.#warnings.has(text)) warn(what, path, message);
    this.#warnings.add(text);
  }

  /** Part of the result, such as a pool, is made from these objects; of several that have a field, the first counts. */
  origin(part: object, objects: readonly ManifestObject[]): void {
    this.origins.set(part, objects);
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
