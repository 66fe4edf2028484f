import { gunzipSync, gzipSync } from "node:zlib";
import type { Segment } from "./checkpoint.ts";

interface Chunk {
  readonly octets: Buffer;
  readonly lines: number;
}

/** A line that is longer than a chunk, and is one of its own. */
interface LongLine {
  readonly pieces: Iterator<string, void>;
  /** Parts that are compressed, each a whole gzip file. */
  readonly squeezed: Buffer[];
}

/** Makes a checkpoint, and calls `done` with it or with the error. Meanwhile no other is asked for. */
export type MakeCheckpoint = (segment: Segment, done: (made: Uint8Array | Error) => void) => void;

export interface RecorderOptions {
  /** Size of everything that is kept; with non-Latin letters up to twice the last 64 KiB more. */
  readonly maxBytes?: number;
  /** Without it there are no checkpoints. */
  readonly makeCheckpoint?: MakeCheckpoint;
}

const defaultMaxBytes = 2 << 20;
// Squeezing that much takes half a millisecond, and less would not become much smaller.
const chunkChars = 64 << 10;
const quick = { level: 3 };

/**
 * Lines in bounded memory, squeezed to a tenth in chunks, each a whole gzip file. Before the oldest go, a checkpoint is made of them and of
 * the one before, so that what is left can be run again; without one it can only be read.
 */
export class Recorder {
  readonly #maxBytes: number;
  readonly #makeCheckpoint: MakeCheckpoint | undefined;
  readonly #chunks: Chunk[] = [];
  #bytes = 0; // Bytes of all chunks, and of the checkpoint.
  #open: string[] = [];
  #openChars = 0;
  #long: LongLine | undefined;
  #waiting: (string | Iterator<string, void>)[] = []; // For the long line before them, or for those before them to be squeezed.
  #dropped = 0;
  #checkpoint: { readonly octets: Uint8Array; readonly after: number } | undefined; // How many lines came before it.
  /** How many of the oldest chunks the next checkpoint is made of, and how many of these are still here. */
  #making: { readonly chunks: number; left: number } | undefined;
  #whyNotMade = "more was recorded than checkpoints could be made of in that time";
  #whyLost: string | undefined;

  constructor({ maxBytes = defaultMaxBytes, makeCheckpoint }: RecorderOptions = {}) {
    this.#maxBytes = maxBytes;
    this.#makeCheckpoint = makeCheckpoint;
  }

  /** @param line in pieces, of which those beyond the first 64 KiB are made and squeezed in later turns of the event loop */
  add(line: string | Iterator<string, void>): void {
    if (this.#long !== undefined || this.#waiting.length > 0) this.#waiting.push(line);
    else this.#add(line);
  }

  #add(line: string | Iterator<string, void>): void {
    if (typeof line !== "string") {
      this.#long = { pieces: line, squeezed: [] };
      this.#continue();
      return;
    }
    this.#open.push(line);
    this.#openChars += line.length + 1;
    if (this.#openChars >= chunkChars) this.#close();
  }

  /** Takes a chunk's share of the long line. A share that ends the line is added like other lines. */
  #continue(): void {
    if (this.#long === undefined) return;
    const { pieces, squeezed } = this.#long;
    const { text, isEnd } = take(pieces, chunkChars);
    if (isEnd) this.#long = undefined;
    if (isEnd && squeezed.length === 0) {
      this.#add(text);
      return;
    }
    squeezed.push(gzipSync(isEnd ? `${text}\n` : text, quick));
    if (isEnd) {
      if (this.#open.length > 0) this.#close();
      this.#keep({ octets: Buffer.concat(squeezed), lines: 1 });
    }
    setImmediate(() => (isEnd ? this.#addWaiting() : this.#continue()));
  }

  /** Adds as many waiting lines as make a chunk. */
  #addWaiting(): void {
    const { length } = this.#chunks;
    let added = 0;
    while (added < this.#waiting.length && this.#long === undefined && this.#chunks.length === length)
      this.#add(this.#waiting[added++] ?? "");
    this.#waiting = this.#waiting.slice(added);
    if (this.#long === undefined && this.#waiting.length > 0) setImmediate(() => this.#addWaiting());
  }

  /** How many lines there are, but for those that still have to be made. */
  get size(): number {
    return this.#chunks.reduce((sum, { lines }) => sum + lines, this.#open.length);
  }

  /** How many lines were dropped. */
  get dropped(): number {
    return this.#dropped;
  }

  /** The checkpoint before the first line; undefined if the line is the beginning, or if the checkpoint was lost. */
  get checkpoint(): Uint8Array | undefined {
    return this.#checkpoint?.after === this.#dropped ? this.#checkpoint.octets : undefined;
  }

  /** Why the lines cannot be run again; undefined where they can. */
  get whyLost(): string | undefined {
    if (this.#whyLost !== undefined) return this.#whyLost;
    const isWhole = (this.#checkpoint?.after ?? 0) === this.#dropped;
    return isWhole ? undefined : "a checkpoint is being made: it can be run again in some seconds";
  }

  /** All these lines, as one gzip file. */
  octets(): Buffer {
    const open = this.#open.length === 0 ? [] : [squeeze(this.#open)];
    return Buffer.concat([...this.#chunks.map(({ octets }) => octets), ...open]);
  }

  /** All these lines, some at a time: unpacking that many takes half a millisecond. Lines added meanwhile are not among them. */
  *lines(): Generator<readonly string[], void> {
    const open = [...this.#open];
    for (const { octets } of [...this.#chunks]) yield gunzipSync(octets).toString().trimEnd().split("\n");
    yield open;
  }

  #close(): void {
    const chunk = { octets: squeeze(this.#open), lines: this.#open.length };
    this.#open = [];
    this.#openChars = 0;
    this.#keep(chunk);
  }

  #keep({ octets: squeezed, lines }: Chunk): void {
    const octets = Buffer.allocUnsafeSlow(squeezed.length); // zlib's own is the beginning of one many times as long.
    squeezed.copy(octets);
    const chunk = { octets, lines };
    this.#chunks.push(chunk);
    this.#bytes += chunk.octets.length;
    this.#beginCheckpoint();
    while (this.#bytes > this.#room && this.#chunks.length > 0) this.#dropForRoom();
  }

  /** For chunks and the checkpoint: the open lines need the rest. */
  get #room(): number {
    return this.#maxBytes - chunkChars;
  }

  /**
   * Begins a checkpoint of the older half close to the limit. In the meantime the lines of that half make room for others. A speaker that starts records
   * some four fifths of the limit with 5,000 nodes and 10,000 Services, and takes most memory then: the thread would take 40 MB besides.
   */
  #beginCheckpoint(): void {
    const isDue = this.#bytes > 0.9 * this.#room && this.#chunks.length > 1;
    if (!isDue || this.#makeCheckpoint === undefined || this.#making !== undefined || this.#whyLost !== undefined) return;
    const before = this.#checkpoint?.octets;
    const half = (this.#bytes - (before?.length ?? 0)) / 2;
    const those: Buffer[] = [];
    for (let bytes = 0; bytes < half; bytes += those.at(-1)?.length ?? 0)
      those.push((this.#chunks[those.length] as Chunk).octets);
    this.#making = { chunks: those.length, left: those.length };
    this.#makeCheckpoint({ checkpoint: before, entries: those }, (made) => this.#checkpointMade(made));
  }

  #checkpointMade(made: Uint8Array | Error): void {
    const { chunks, left } = this.#making ?? { chunks: 0, left: 0 };
    this.#making = undefined;
    if (this.#whyLost !== undefined) return;
    if (made instanceof Error) {
      this.#whyNotMade = `no checkpoint could be made: ${made.message}`;
      if (left < chunks) this.#lose(this.#whyNotMade);
      return; // Else the next chunk tries it again.
    }
    if (made.length > this.#maxBytes / 2) {
      this.#lose(`a checkpoint takes ${made.length} octets, and may take half of ${this.#maxBytes}`);
      return;
    }
    for (let i = 0; i < left; i++) this.#dropOldest();
    this.#bytes += made.length - (this.#checkpoint?.octets.length ?? 0);
    this.#checkpoint = { octets: made, after: this.#dropped };
    this.#beginCheckpoint();
  }

  #dropForRoom(): void {
    if (this.#making !== undefined && this.#making.left > 0) this.#making.left--;
    else this.#lose(this.#makeCheckpoint === undefined ? "no checkpoints are made" : this.#whyNotMade);
    this.#dropOldest();
  }

  #dropOldest(): void {
    const oldest = this.#chunks.shift();
    this.#bytes -= oldest?.octets.length ?? 0;
    this.#dropped += oldest?.lines ?? 0;
  }

  /** For good: each checkpoint is made of the one before. */
  #lose(why: string): void {
    this.#whyLost ??= why;
    this.#bytes -= this.#checkpoint?.octets.length ?? 0;
    this.#checkpoint = undefined;
  }
}

/** The next pieces, up to this many characters. */
function take(pieces: Iterator<string, void>, chars: number): { readonly text: string; readonly isEnd: boolean } {
  let text = "";
  while (text.length < chars) {
    const { value, done } = pieces.next();
    if (done) return { text, isEnd: true };
    text += value;
  }
  return { text, isEnd: false };
}

function squeeze(lines: readonly string[]): Buffer {
  return gzipSync(`${lines.join("\n")}\n`, quick);
}
