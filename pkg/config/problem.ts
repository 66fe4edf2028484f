import type { Problem } from "./config.ts";

/** `line:column: severity: path: message`, as compilers write it; without the path where there is none. */
export function formatProblem(problem: Problem): string {
  const path = problem.path === "" ? "" : `${problem.path}: `;
  return `${problem.line}:${problem.column}: ${problem.severity}: ${path}${problem.message}`;
}

/** Quotes what was found in the text for a message: on one line, at most 60 characters of it, and nothing near a password. */
export function quote(found: string): string {
  return /passw/i.test(found) ? '"…"' : JSON.stringify(shorten(found));
}

/** At most 60 characters. */
export function shorten(found: string): string {
  return found.length > 60 ? `${found.slice(0, 60)}…` : found;
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
