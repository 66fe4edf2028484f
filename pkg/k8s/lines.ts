/**
 * Cuts a stream of bytes into lines of UTF-8 text. A line may arrive in any number of pieces, cut anywhere, also inside a
 * character; memory is bounded by `maxBytes` and one chunk. Octets after the last line feed are never returned: that line was
 * cut short.
 */
export class LineSplitter {
  readonly #maxBytes: number;
  #pieces: Buffer[] = [];
  #held = 0; // bytes in #pieces

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @throws {RangeError} when a line is longer than `maxBytes` */
  *push(chunk: Buffer): Generator<string> {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      this.#hold(chunk.subarray(start, end));
      start = end + 1;
      const line = this.#take();
      if (line !== "") yield line;
    }
    this.#hold(chunk.subarray(start));
  }

  #hold(piece: Buffer): void {
    if (piece.length === 0) return;
    this.#held += piece.length;
    if (this.#held > this.#maxBytes) throw new RangeError(`Cannot read line: it is longer than ${this.#maxBytes} bytes`);
    this.#pieces.push(piece);
  }

  #take(): string {
    const [only, ...more] = this.#pieces;
    if (only === undefined) return "";
    const line = more.length === 0 ? only : Buffer.concat(this.#pieces, this.#held);
    this.#pieces = [];
    this.#held = 0;
    return line.toString("utf8");
  }
}
