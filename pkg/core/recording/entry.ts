import { encodePieces, type Hide, type Plain } from "./codec.ts";

/** One input and the decisions on it. */
export interface Entry {
  /** When it came, in milliseconds of the process's clock. */
  readonly at: number;
  readonly input: Plain;
  readonly decisions: readonly Plain[];
}

export function entryLine({ at, input, decisions }: Entry): string {
  return `{"at":${at},"input":${JSON.stringify(input)},"decisions":${JSON.stringify(decisions)}}`;
}

/** The line of an entry in pieces: its input may be of any size, is not encoded yet, and stays as it is. */
export function* entryPieces(
  { at, input, decisions }: Omit<Entry, "input"> & { readonly input: unknown },
  hide: Hide,
): Generator<string, void> {
  yield `{"at":${at},"input":`;
  yield* encodePieces(input, hide);
  yield `,"decisions":${JSON.stringify(decisions)}}`;
}

/** @returns undefined for other lines */
export function parseEntry(line: string): Entry | undefined {
  try {
    const { at, input, decisions } = JSON.parse(line);
    return typeof at === "number" && input !== undefined && Array.isArray(decisions) ? { at, input, decisions } : undefined;
  } catch {
    return undefined;
  }
}

/** The recording cannot be read, or not from where it begins. The message goes on from "The recording cannot be used:". */
export class RecordingError extends Error {
  override readonly name = "RecordingError";
}
