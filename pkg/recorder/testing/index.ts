/** For tests that what a core recorded is decided again alike. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Random } from "#pkg/clock";
import { type CoreKind, type Plain, parseEntry } from "#pkg/recorder";

/**
 * Runs lines of a recording again from its beginning. At moments drawn by chance the core is replaced by one that is restored from what was
 * saved of it, read from text as from a file: it goes on as the one that recorded did.
 */
export function assertReplays(kind: CoreKind, options: Plain, lines: readonly string[], random: Random): void {
  let core = kind.begin(options);
  for (const line of lines) {
    if (random() < 8 / lines.length) core = kind.restore(JSON.parse(JSON.stringify(core.save())));
    const entry = parseEntry(line);
    assert.ok(entry, line);
    assert.deepEqual(JSON.parse(JSON.stringify(core.run(entry))), entry.decisions, line);
  }
}

/** Which fields there are in what was saved: where they are others, so is the format. */
export function shapeOf(saved: Plain): string {
  const names = new Set<string>();
  JSON.stringify(saved, (key, value) => {
    if (!/^[0-9]*$/.test(key)) names.add(key);
    return value;
  });
  return createHash("sha256")
    .update([...names].sort().join())
    .digest("hex")
    .slice(0, 12);
}
