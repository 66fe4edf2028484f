import type { Problem } from "./config.ts";
import { limits } from "./limits.ts";
import type { Position } from "./position.ts";
import { formatPath, type Path } from "./problem.ts";
import type { YamlNode } from "./yaml-tree.ts";

interface Finding {
  readonly severity: Problem["severity"];
  readonly path: Path;
  readonly offset: number;
  readonly message: string;
}

/** Collects what is wrong with one text. Past a few thousand problems it only counts. */
export class Report {
  readonly #findings: Finding[] = [];
  #errors = 0;
  #uncollected = 0;
  #root: YamlNode | undefined;

  /** Whether anything so far refuses the text. */
  get refused(): boolean {
    return this.#errors > 0;
  }

  /** Sets the values that paths lead through. */
  read(root: YamlNode): void {
    this.#root = root;
  }

  /** Refuses the value at `path`; where there is none, the innermost value around it. */
  error(path: Path, message: string): void {
    this.errorAt(this.#offset(path, "value"), path, message);
  }

  /** Refuses the field at the end of `path`. */
  errorAtKey(path: Path, message: string): void {
    this.errorAt(this.#offset(path, "key"), path, message);
  }

  warn(path: Path, message: string): void {
    this.warnAt(this.#offset(path, "value"), path, message);
  }

  errorAt(offset: number, path: Path, message: string): void {
    this.#errors++;
    this.#add({ severity: "error", path: [...path], offset, message });
  }

  warnAt(offset: number, path: Path, message: string): void {
    this.#add({ severity: "warning", path: [...path], offset, message });
  }

  /** In the order of the text; when there are too many, errors are kept over warnings and the last one says how many more. */
  problems(position: (offset: number) => Position): Problem[] {
    const byOffset = (a: Finding, b: Finding) => a.offset - b.offset;
    const all = this.#findings.toSorted(byOffset);
    const total = all.length + this.#uncollected;
    const kept =
      total <= limits.problems
        ? all
        : [...all.filter((f) => f.severity === "error"), ...all.filter((f) => f.severity === "warning")]
            .slice(0, limits.problems - 1)
            .sort(byOffset);
    const problems: Problem[] = kept.map(({ severity, path, offset, message }) => ({
      severity,
      path: formatPath(path),
      ...position(offset),
      message,
    }));
    if (total > kept.length) {
      const more = `${total - kept.length} more problems are not listed`;
      problems.push({
        severity: this.refused ? "error" : "warning",
        path: "",
        ...position(kept.at(-1)?.offset ?? 0),
        message: more,
      });
    }
    return problems;
  }

  #add(finding: Finding): void {
    if (this.#findings.length < 50 * limits.problems) this.#findings.push(finding);
    else this.#uncollected++;
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
