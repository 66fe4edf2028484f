import { quote } from "#pkg/text";
import type { Config } from "./config.ts";
import { limits } from "./limits.ts";
import type { RawList } from "./shape/raw.ts";
import type { YamlNode } from "./yaml/node.ts";
import type { Position } from "./yaml/offsets.ts";

/** One thing wrong in the text. Lines and columns count from 1, in the text that was given. */
export interface Problem {
  /** An error refuses the configuration; a warning does not. */
  readonly severity: "error" | "warning";
  /** Where in the configuration, such as `address-pools[0].addresses[1]`; empty for the whole. Of custom resources, the place within the object. */
  readonly path: string;
  /** The object of Kubernetes that it is in, such as `IPAddressPool metallb-system/a`; absent for a configuration in a ConfigMap. */
  readonly object?: string;
  readonly line: number;
  readonly column: number;
  /** The value found and the values allowed. */
  readonly message: string;
}

/** `config` is absent if any problem is an error. */
export interface ParsedConfig {
  readonly config?: Config;
  /** Where it first asks for labels of namespaces, if it does. */
  readonly namespaceLabels?: Pick<Problem, "path" | "object" | "line" | "column">;
  readonly problems: readonly Problem[];
}

interface RawProblem {
  readonly severity: Problem["severity"];
  readonly path: Path;
  readonly offset: number;
  readonly message: Message;
}

/** A text, or what makes it where that takes time: few of many problems are listed. */
type Message = string | (() => string);

const byOffset = (a: RawProblem, b: RawProblem) => a.offset - b.offset;

/** Collects what is wrong with one text. */
export class Problems {
  readonly #findings: Record<Problem["severity"], RawProblem[]> = { error: [], warning: [] };
  #total = 0;
  #root: YamlNode | undefined;

  /** Sets the values that paths lead through. */
  read(root: YamlNode): void {
    this.#root = root;
  }

  /** Refuses the value at `path`; if there is no value, the innermost value around it. */
  error(path: Path, message: Message): void {
    this.errorAt(this.#offset(path, "value"), path, message);
  }

  /** Refuses the field at the end of `path`. */
  errorAtKey(path: Path, message: Message): void {
    this.errorAt(this.#offset(path, "key"), path, message);
  }

  warn(path: Path, message: Message): void {
    this.warnAt(this.#offset(path, "value"), path, message);
  }

  errorAt(offset: number, path: Path, message: Message): void {
    this.#add({ severity: "error", path: [...path], offset, message });
  }

  warnAt(offset: number, path: Path, message: Message): void {
    this.#add({ severity: "warning", path: [...path], offset, message });
  }

  /** Where the value at `path` is. */
  place(path: Path, position: (offset: number) => Position): Pick<Problem, "path" | "line" | "column"> {
    return { path: formatPath(path), ...position(this.#offset(path, "key")) };
  }

  /** In the order of the text; when there are too many, errors are kept over warnings and the last one says how many more. */
  list(position: (offset: number) => Position): Problem[] {
    const { error, warning } = this.#findings;
    const ranked = [...error.toSorted(byOffset), ...warning.toSorted(byOffset)];
    const kept = (this.#total <= limits.problems ? ranked : ranked.slice(0, limits.problems - 1)).sort(byOffset);
    const more = this.#total - kept.length;
    if (more > 0) {
      const severity = error.length > 0 ? "error" : "warning";
      kept.push({ severity, path: [], offset: kept.at(-1)?.offset ?? 0, message: `${more} more problems are not listed` });
    }
    return kept.map(({ severity, path, offset, message }) => ({
      severity,
      path: formatPath(path),
      ...position(offset),
      message: typeof message === "string" ? message : message(),
    }));
  }

  /** Keeps the first findings of each severity in the text and counts the rest, so that no flood of warnings hides an error. */
  #add(finding: RawProblem): void {
    this.#total++;
    const findings = this.#findings[finding.severity];
    findings.push(finding);
    if (findings.length >= 10 * limits.problems) findings.sort(byOffset).length = limits.problems;
  }

  #offset(path: Path, end: "key" | "value"): number {
    let node = this.#root;
    let offset = node?.offset ?? 0;
    for (const [index, step] of path.entries()) {
      if (typeof step === "number") node = node?.kind === "list" ? node.items[step] : undefined;
      else {
        const entry = node?.kind === "mapping" ? node.entries.get(step) : undefined;
        if (entry !== undefined && end === "key" && index === path.length - 1) return entry.offset;
        node = entry?.value;
      }
      if (node === undefined) break;
      offset = node.offset;
    }
    return offset;
  }
}

/** `line:column: severity: path: message`, as compilers write it; without the path if it is empty. */
export function formatProblem(problem: Problem): string {
  const object = problem.object === undefined ? "" : `${problem.object}: `;
  const path = `${object}${problem.path === "" ? "" : `${problem.path}: `}`;
  return `${problem.line}:${problem.column}: ${problem.severity}: ${path}${problem.message}`;
}

/** Field names, map keys and positions in lists, from the root of the configuration. */
export type Path = readonly (string | number)[];

/** `address-pools[0].addresses[1]`; keys that are not plain words are quoted: `bgp-communities["a b"]`. */
export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (!/^[A-Za-z0-9_-]{1,60}$/.test(step)) text += `[${quote(step)}]`;
    else text += text === "" ? step : `.${step}`;
  }
  return text;
}

/** A place in the text, and what is wrong there. */
export class Place {
  readonly path: Path;
  readonly #problems: Problems;

  constructor(problems: Problems, path: Path = []) {
    this.#problems = problems;
    this.path = path;
  }

  /** A place inside this one. */
  in(...steps: Path): Place {
    return new Place(this.#problems, [...this.path, ...steps]);
  }

  /** The readable entries of the list here, with their places and positions. All others are refused already. */
  *each<Entry>(raw: RawList<Entry> = []): Generator<[entry: Entry, at: Place, index: number], void> {
    for (const [index, entry] of raw.entries()) if (entry !== undefined) yield [entry, this.in(index), index];
  }

  /** See `Problems`. */
  error(message: Message): void {
    this.#problems.error(this.path, message);
  }

  errorAtKey(message: Message): void {
    this.#problems.errorAtKey(this.path, message);
  }

  warn(message: Message): void {
    this.#problems.warn(this.path, message);
  }

  toString(): string {
    return formatPath(this.path);
  }
}

/** Each text of a list -> its first place. Refuses all further places of a text. */
export function placesOf<Text extends string>(raw: RawList<Text> | undefined, at: Place): Map<Text, Place> {
  const places = new Map<Text, Place>();
  for (const [text, here] of at.each(raw)) {
    const before = places.get(text);
    if (before === undefined) places.set(text, here);
    else here.error(`${quote(text)} is already listed as ${formatPath(before.path.slice(-2))}`);
  }
  return places;
}

/** Refuses each further entry of a name. */
export class Names {
  readonly #places = new Map<string, Place>();

  add(name: string, at: Place): void {
    const before = this.#places.get(name);
    if (before !== undefined) at.in("name").error(`${quote(name)} is already the name of ${before}`);
    else this.#places.set(name, at);
  }
}

/** Names of entries of `list`, each once. */
export function readNames(raw: RawList<string> | undefined, at: Place, list: string, known: ReadonlySet<string>): string[] {
  const places = placesOf(raw, at);
  for (const [name, here] of places) if (!known.has(name)) here.error(() => noSuchName(list, name, known));
  return [...places.keys()];
}

/** The message for a name that no entry of `list` has. */
export function noSuchName(list: string, name: string, names: Iterable<string>): string {
  const near = nearestName(name, [...names]);
  return `no entry of ${list} is named ${quote(name)}${near === undefined ? "" : `; did you mean ${quote(near)}?`}`;
}

/** The one of `names` that a misspelt name most likely means, however it is cased and joined: `bfdProfile` is `bfd-profile`. */
export function nearestName(wrong: string, names: readonly string[]): string | undefined {
  if (wrong.length > 40 || names.length > 50) return undefined; // Too much work for a hint.
  const wanted = normalize(wrong);
  let nearest: string | undefined;
  let least = Math.max(1, Math.floor(wanted.length / 3)) + 1; // More edits than this make another word.
  for (const name of names) {
    const edits = editDistance(wanted, normalize(name));
    if (edits < least) [nearest, least] = [name, edits];
  }
  return nearest;
}

function normalize(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
}

/** How many characters have to be inserted, removed or replaced to turn `a` into `b` (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j); // Distances of a's first i characters to each start of b.
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
