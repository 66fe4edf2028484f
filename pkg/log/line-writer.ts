import { fstatSync, writeSync } from "node:fs";

/** A stream of the process such as `process.stdout`, or one of a test's. */
export type LineStream = NodeJS.WritableStream & {
  readonly fd?: number;
  readonly writableLength?: number;
};

/** What `LineWriter` says of lines that it lost. */
export interface Loss {
  readonly lines: number;
  readonly reason: string;
}

export interface LineWriterOptions {
  /** Lines begin to be lost. */
  readonly lossBegan: (reason: string) => void;
  /** @returns the line that takes the place of those that were lost, when one can be written again */
  readonly lossEnded: (loss: Loss) => string;
}

// 20,000 lines of the usual length: a pipe takes 64 KiB, and with 10,000 Services as many lines come at once.
const maxWaitingBytes = 4 << 20;
const gatherMs = 10;
const lineFeed = Buffer.from("\n");

/**
 * Writes lines to where they may stop being taken: a disk that is full, a reader that is gone, slow or stuck. None of these stops
 * or breaks the process, and memory is bounded: what cannot be written and cannot wait is lost and counted. Lines of one turn of the event loop go
 * into a pipe of the process together, and where they follow one another those of some milliseconds, because each write wakes its reader.
 */
export class LineWriter {
  readonly #stream: LineStream;
  readonly #options: LineWriterOptions;
  /** The descriptor to write to at once; undefined for a pipe or socket, on which that would block. */
  readonly #descriptor: number | undefined;
  readonly #isPipe: boolean;
  #gathered = ""; // Lines, each with its end, until the end of this turn or a moment later.
  #flushedAt = -Infinity;
  #broken: string | undefined; // why nothing more can be written
  #torn = false; // The last line was cut short.
  #lost = 0;
  #lossBefore: Loss = { lines: 0, reason: "" }; // since the last line that was written

  constructor(stream: LineStream, options: LineWriterOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#descriptor = descriptorOf(stream);
    this.#isPipe = stream.fd !== undefined && this.#descriptor === undefined;
    if (this.#isPipe) process.on("exit", () => this.#flush()); // The process may end in the turn of its last line.
    // Without a listener an error ends the process.
    stream.on("error", (error: Error) => {
      this.#broken = error.message;
    });
  }

  /** Lines that were lost since the process began. */
  get lost(): number {
    return this.#lost;
  }

  /** Never throws and never blocks on a reader. */
  write(line: string): void {
    const { lines } = this.#lossBefore;
    const text = lines === 0 ? line : `${this.#options.lossEnded(this.#lossBefore)}\n${line}`;
    const refusal = this.#descriptor === undefined ? this.#enqueue(`${text}\n`) : this.#put(this.#descriptor, `${text}\n`);
    if (refusal !== undefined) this.#lose(refusal);
    else if (lines > 0) this.#lossBefore = { lines: 0, reason: "" };
  }

  /** @returns why it cannot be done */
  #enqueue(text: string): string | undefined {
    if (this.#broken !== undefined) return this.#broken;
    if ((this.#stream.writableLength ?? 0) + this.#gathered.length > maxWaitingBytes) return "nobody reads it";
    if (!this.#isPipe) {
      this.#stream.write(text);
      return undefined;
    }
    if (this.#gathered === "") {
      const wait = this.#flushedAt + gatherMs - performance.now();
      if (wait <= 0) setImmediate(() => this.#flush());
      else setTimeout(() => this.#flush(), wait);
    }
    this.#gathered += text;
    return undefined;
  }

  #flush(): void {
    if (this.#gathered === "") return;
    this.#stream.write(this.#gathered);
    this.#gathered = "";
    this.#flushedAt = performance.now();
  }

  #put(descriptor: number, text: string): string | undefined {
    const line = Buffer.from(text);
    try {
      if (this.#torn) writeSync(descriptor, lineFeed);
      const written = writeSync(descriptor, line);
      this.#torn = written < line.length;
      return this.#torn ? "only a part of a line could be written" : undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #lose(reason: string): void {
    this.#lost++;
    this.#lossBefore = { lines: this.#lossBefore.lines + 1, reason };
    if (this.#lossBefore.lines === 1) this.#options.lossBegan(reason);
  }
}

function descriptorOf({ fd }: LineStream): number | undefined {
  if (fd === undefined) return undefined;
  const kind = fstatSync(fd);
  return kind.isFIFO() || kind.isSocket() ? undefined : fd;
}
