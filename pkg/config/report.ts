import type { Problem } from "./config.ts";
import { limits } from "./limits.ts";
import type { Position } from "./position.ts";
import { formatPath, type Path } from "./problem.ts";
import type { YamlNode } from "./yaml-node.ts";

interface Finding {
  readonly severity: Problem["severity"];
  readonly path: Path;
  readonly offset: number;
  readonly message: string;
}

const collected = 5000; // Of each severity, so that no flood of warnings hides an error; more are only counted.

/** Collects what is wrong with one text. */
export class Report {
  readonly #findings: Record<Problem["severity"], Finding[]> = { error: [], warning: [] };
  #total = 0;
  #root: YamlNode | undefined;

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
    this.#add({ severity: "error", path: [...path], offset, message });
  }

  warnAt(offset: number, path: Path, message: string): void {
    this.#add({ severity: "warning", path: [...path], offset, message });
  }

  /** In the order of the text; when there are too many, errors are kept over warnings and the last one says how many more. */
  problems(position: (offset: number) => Position): Problem[] {
    const { error, warning } = this.#findings;
    const byOffset = (a: Finding, b: Finding) => a.offset - b.offset;
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
      message,
    }));
  }

  #add(finding: Finding): void {
    this.#total++;
    const findings = this.#findings[finding.severity];
    if (findings.length < collected) findings.push(finding);
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
