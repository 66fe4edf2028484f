import { quote } from "./problem.ts";

/** What to say of a name that no entry of `list` has. */
export function noSuchName(list: string, name: string, names: readonly string[]): string {
  const near = nearestName(name, names);
  return `no entry of ${list} is named ${quote(name)}${near === undefined ? "" : `; did you mean ${quote(near)}?`}`;
}

/** The one of `names` that a misspelt name most likely means, however it is cased and joined: `bfdProfile` is `bfd-profile`. */
export function nearestName(wrong: string, names: readonly string[]): string | undefined {
  if (wrong.length > 40 || names.length > 100) return undefined; // Too much work for a hint.
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
