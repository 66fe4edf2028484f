/** A place in a text; both count from 1, columns in UTF-16 code units as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Turns offsets into lines and columns. A line ends with a line feed, a carriage return, or both. */
export class LineIndex {
  readonly #starts: number[] = [0]; // Offset of each line's first character.

  constructor(text: string) {
    for (const lineBreak of text.matchAll(/\r\n|\n|\r/g)) this.#starts.push(lineBreak.index + lineBreak[0].length);
  }

  position(offset: number): Position {
    let low = 0;
    let high = this.#starts.length - 1; // The last line that starts at or before the offset lies within low..high.
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (this.#starts[low] ?? 0) + 1 };
  }
}
