import { brotliDecompressSync, gunzipSync } from "node:zlib";
import type { Plain } from "./codec.ts";
import { type Entry, parseEntry, RecordingError } from "./entry.ts";

/** A core whose recorded inputs are run again. */
export interface ReplayedCore {
  /** @returns the decisions, as they are recorded @throws {Error} for an input that cannot be one */
  run(entry: Pick<Entry, "at" | "input">): readonly Plain[];
  /** Its whole state as text of JSON, in pieces: one that is restored from it decides as this one does. */
  save(): Iterable<string>;
}

/** The cores of one program. */
export interface CoreKind {
  /**
   * Format of the saved state. It changes whenever an earlier version could not restore the state, or a later version not the earlier
   * state.
   */
  readonly format: number;
  /** One that has seen nothing. */
  begin(options: Plain): ReplayedCore;
  /** @throws {Error} for text that was not saved */
  restore(saved: Plain): ReplayedCore;
}

/** The state of a core before the first entry that is kept; as octets it is JSON, squeezed by Brotli. */
export interface Checkpoint {
  readonly format: number;
  /** How many entries came before it. */
  readonly entries: number;
  /** How many of them were decided otherwise when it was made: what follows from it is not certain then. */
  readonly otherwise: number;
  readonly state: Plain;
}

/** The input of a checkpoint. */
export interface Segment {
  /** The one before; undefined for the beginning. */
  readonly checkpoint: Uint8Array | undefined;
  /** Later entries: gzip files, each of whole lines. */
  readonly entries: readonly Uint8Array[];
}

// What 2 MB unpack to at most, and then some: a file may be anything.
const maxUnpackedBytes = 512 << 20;

/**
 * The checkpoint after a segment, before it is squeezed, in pieces: the whole may have tens of megabytes. It is made of nothing but recorded
 * inputs, so that it has no secret that they lack. Takes seconds where there are 10,000 Services.
 */
export function* checkpointAfter(kind: CoreKind, options: Plain, { checkpoint, entries }: Segment): Generator<string, void> {
  const { core, count, otherwise } = run(resume(kind, options, checkpoint), entries);
  yield `{"format":${kind.format},"entries":${count},"otherwise":${otherwise},"state":`;
  yield* core.save();
  yield "}";
}

interface Resumed {
  readonly core: ReplayedCore;
  readonly count: number;
  readonly otherwise: number;
}

function resume(kind: CoreKind, options: Plain, checkpoint: Uint8Array | undefined): Resumed {
  const before = checkpoint && parseCheckpoint(checkpoint);
  return { core: coreOf(kind, options, before), count: before?.entries ?? 0, otherwise: before?.otherwise ?? 0 };
}

function run({ core, count, otherwise }: Resumed, files: Segment["entries"]): Resumed {
  for (const file of files)
    for (const { at, input, decisions } of readEntries(file)) {
      count++;
      if (JSON.stringify(core.run({ at, input })) !== JSON.stringify(decisions)) otherwise++;
    }
  return { core, count, otherwise };
}

/**
 * The core at a checkpoint, or from its beginning if there is no checkpoint. @throws {RecordingError} for a checkpoint of another format
 */
export function coreOf(kind: CoreKind, options: Plain, checkpoint: Checkpoint | undefined): ReplayedCore {
  if (checkpoint === undefined) return kind.begin(options);
  const { format, state } = checkpoint;
  if (format !== kind.format)
    throw new RecordingError(`it begins with a checkpoint of format ${format}, and this version reads ${kind.format}`);
  try {
    return kind.restore(state);
  } catch (error) {
    throw new RecordingError(`its checkpoint cannot be restored: ${(error as Error).message}`, { cause: error });
  }
}

/** @throws {RecordingError} for anything else */
export function parseCheckpoint(octets: Uint8Array): Checkpoint {
  try {
    const text = brotliDecompressSync(octets, { maxOutputLength: maxUnpackedBytes }).toString();
    const { format, entries, otherwise, state } = JSON.parse(text);
    if ([format, entries, otherwise].every(Number.isInteger) && state !== undefined) return { format, entries, otherwise, state };
  } catch (error) {
    throw new RecordingError(`its checkpoint cannot be read: ${(error as Error).message}`, { cause: error });
  }
  throw new RecordingError("its checkpoint is none");
}

/** @param octets a gzip file of lines @throws {RecordingError} for anything else */
export function* readEntries(octets: Uint8Array): Generator<Entry, void> {
  const lines = unpack(octets).split("\n");
  if (lines.at(-1) === "") lines.pop();
  for (const [index, line] of lines.entries()) {
    const entry = parseEntry(line);
    if (entry === undefined) throw new RecordingError(`its entry ${index + 1} is broken: ${line.slice(0, 80)}`);
    yield entry;
  }
}

function unpack(octets: Uint8Array): string {
  try {
    return octets.length === 0 ? "" : gunzipSync(octets, { maxOutputLength: maxUnpackedBytes }).toString();
  } catch (error) {
    throw new RecordingError(`its entries cannot be unpacked: ${(error as Error).message}`, { cause: error });
  }
}
