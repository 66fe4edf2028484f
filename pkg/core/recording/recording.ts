import { isDeeper, parsed } from "#pkg/untrusted";
import { type Checkpoint, parseCheckpoint, readEntries } from "./checkpoint.ts";
import { decode, maxDepth, type Plain } from "./codec.ts";
import { type Entry, parseEntry, RecordingError } from "./entry.ts";
import type { Recorder } from "./recorder.ts";

/** What `/v1/recorder` answers. */
export interface RecordingAnswer {
  readonly program: "controller" | "speaker";
  readonly version: string;
  readonly node?: string;
  /** The options with which the core was made. */
  readonly options: Plain;
  /** The date of instant 0, by the present difference between clock and date. */
  readonly epoch: string;
  /** How many entries there are, and how many older ones were dropped. */
  readonly size: number;
  readonly dropped: number;
  /** Format of this answer, as described here: 3. In 2 a controller's inputs were others; answers from before there were checkpoints have none. */
  readonly format?: number;
  /** The state of the core before the first entry, where older ones were dropped: in base64; its form is the program's. */
  readonly checkpoint?: string;
  /** Why there is no such state, so that the entries cannot be run again. */
  readonly whyLost?: string;
  /** The entries, one on a line: a gzip file in base64. */
  readonly entries: string;
}

/** A recording as it is read from a file. */
export interface Recording extends Omit<RecordingAnswer, "size" | "entries" | "checkpoint"> {
  readonly entries: readonly Entry[];
  readonly checkpoint?: Checkpoint;
}

const format = 3;
// Length of an input that matters to all, such as a failed member; a configuration is longer.
const shortInput = 1_000;

type Described = Pick<RecordingAnswer, "format" | "size" | "dropped" | "checkpoint" | "whyLost" | "entries">;

/** The whole recording. */
export function describeRecording(recorder: Recorder): Described {
  const { size, dropped, checkpoint, whyLost } = recorder;
  return {
    format,
    size,
    dropped,
    ...(checkpoint !== undefined && { checkpoint: Buffer.from(checkpoint).toString("base64") }),
    ...(whyLost !== undefined && { whyLost }),
    entries: recorder.octets().toString("base64"),
  };
}

/** An entry that is about something in particular. */
export interface FoundEntry {
  readonly at: string;
  /** The same in milliseconds of the process's clock: dates of one instant may differ between two answers. */
  readonly instant: number;
  /** Only its type, where it is about something else. */
  readonly input: Plain;
  /** Decisions about it; of context, all decisions. */
  readonly decisions: readonly Plain[];
}

/**
 * Entries about an address or a Service, and those that most others follow from. Undefined stands for one that was looked at and is neither.
 * @param about an address or a Service key, as it is in entries
 * @param context types of inputs that matter to all
 * @param dateOf the date of an instant
 */
export function* findEntries(
  recorder: Recorder,
  about: string,
  context: ReadonlySet<string>,
  dateOf: (at: number) => string,
): Generator<FoundEntry | undefined, void> {
  const text = JSON.stringify(about);
  const names = (plain: Plain) => JSON.stringify(plain).includes(text);
  for (const lines of recorder.lines())
    for (const line of lines) {
      const type = /^.{1,40}?"type":"(\w+)"/.exec(line)?.[1] ?? "";
      const entry = line.includes(text) || context.has(type) ? parseEntry(line) : undefined;
      if (entry === undefined) {
        yield undefined;
        continue;
      }
      const { at, input, decisions } = entry;
      const inputText = JSON.stringify(input);
      const short = inputText.includes(text) || inputText.length < shortInput ? input : { type };
      yield { at: dateOf(at), instant: at, input: short, decisions: context.has(type) ? decisions : decisions.filter(names) };
    }
}

/** @param text an answer of `/v1/recorder` @throws {RecordingError} for anything else */
export function readRecording(text: string): Recording {
  const answer = parseAnswer(text);
  const { program, version, node, options, epoch, dropped, checkpoint, whyLost, entries } = answer;
  if (program !== "controller" && program !== "speaker") throw new RecordingError("it does not say which program it is of");
  if (typeof answer.format === "number" && answer.format > format)
    throw new RecordingError(`it has format ${answer.format}, and this version reads up to ${format}`);
  if (typeof entries !== "string") throw new RecordingError("it has no entries");
  const begin = typeof epoch === "string" ? epoch : new Date(0).toISOString();
  if (!isDate(begin, 0)) throw new RecordingError("its epoch is no date");
  const read = [...readEntries(Buffer.from(entries, "base64"))];
  for (const [index, entry] of read.entries())
    if (!isDate(begin, entry.at) || isDeeper(entry, maxEntryDepth)) throw new RecordingError(`its entry ${index + 1} is broken`);
  return {
    program,
    ...(typeof answer.format === "number" && { format: answer.format }),
    version: typeof version === "string" ? version : "unknown",
    ...(typeof node === "string" && { node }),
    options: readOptions((options ?? {}) as Plain),
    epoch: begin,
    dropped: typeof dropped === "number" ? dropped : 0,
    ...(typeof checkpoint === "string" && { checkpoint: parseCheckpoint(Buffer.from(checkpoint, "base64")) }),
    ...(typeof whyLost === "string" && { whyLost }),
    entries: read,
  };
}

// A value within another is up to three levels of JSON, as in a map: the object, its list of entries and the entry. Deeper values are not
// shown.
const maxEntryDepth = 4 * maxDepth;

/** Whether the instant has a date that can be shown. */
function isDate(epoch: string, at: number): boolean {
  return !Number.isNaN(new Date(Date.parse(epoch) + at).getTime());
}

/** @returns them as they are, if a core can be made with them */
function readOptions(options: Plain): Plain {
  try {
    decode(options);
    return options;
  } catch (error) {
    throw new RecordingError(`its options cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function parseAnswer(text: string): Partial<Record<keyof RecordingAnswer, unknown>> {
  const answer = parsed(text);
  if (typeof answer === "object" && answer !== null) return answer;
  throw new RecordingError("it is no answer of /v1/recorder");
}
