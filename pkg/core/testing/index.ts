/** For tests that a core repeats its decisions on its recording, also from checkpoints that threads made. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Random } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { type Checkpoints, type Plain, parseEntry, Recorder, type ReplayedCore } from "#pkg/core";
import type { CoreKind } from "../recording/checkpoint.ts";
import type { SavableClasses } from "../recording/graph.ts";

export { entryPieces } from "../recording/entry.ts";
export { decodeGraph, encodeGraph } from "../recording/graph.ts";

/**
 * Runs lines of a recording again from its beginning. At random moments the core is replaced by one that is restored from its saved state,
 * read from text as from a file: it goes on like the core that recorded.
 */
export function assertReplays(kind: CoreKind, options: Plain, lines: readonly string[], random: Random): void {
  let core = kind.begin(options);
  for (const line of lines) {
    if (random() < 8 / lines.length) core = kind.restore(savedState(core));
    const entry = parseEntry(line);
    assert.ok(entry, line);
    assert.deepEqual(JSON.parse(JSON.stringify(core.run(entry))), entry.decisions, line);
  }
}

/** The state of a core, saved and read again. */
export function savedState(core: Pick<ReplayedCore, "save">): Plain {
  return JSON.parse([...core.save()].join(""));
}

/** Private fields that are lost when an instance of these classes is saved by its fields. */
export function unsavedFields({ classes }: { readonly classes: SavableClasses }): string[] {
  return Object.entries(classes).flatMap(([name, { prototype }]) => {
    if ("save" in prototype) return [];
    return [...`${prototype.constructor}`.matchAll(/^\s+#(\w+)\s*[=;]/gm)].map(([, field]) => `${name}.${field}`);
  });
}

/** The names of fields in a saved state: if they change, the format has to change. */
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

/**
 * A small recorder, and `fill`, which calls `record` until this many checkpoints were made; nothing is recorded while a checkpoint is made.
 */
export function smallRecorder(checkpoints: Checkpoints) {
  let making: Promise<void> | undefined;
  const recorder = new Recorder({
    maxBytes: 512 << 10,
    makeCheckpoint: (segment, done) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      making = promise;
      checkpoints.make(segment, (made) => {
        done(made);
        resolve();
      });
    },
  });
  const fill = async (count: number, record: () => void) => {
    for (let made = 0; made < count; ) {
      record();
      if (making === undefined) continue;
      const begun = making;
      making = undefined;
      await begun;
      made++;
    }
  };
  return { recorder, fill };
}

const random: Random = seededRandom(1);

/** A long text that does not get smaller. */
export function noise(): string {
  return Array.from({ length: 8_000 }, () => Math.trunc(random() * 65_536).toString(36)).join("");
}
