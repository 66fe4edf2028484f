import { SCALAR_STYLE, type ScalarEvent } from "js-yaml";

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

const escapedDigits: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/**
 * Where in `source` each character of a scalar's decoded `text` was written, and last where the text ends. It walks both at once
 * and lets the decoded text say which blanks and line breaks of the source were folded away.
 * @returns undefined if the two do not match
 */
export function scalarOffsets(source: string, event: ScalarEvent, text: string): Int32Array | undefined {
  const offsets = new Int32Array(text.length + 1);
  const block = event.style === SCALAR_STYLE.LITERAL_BLOCK || event.style === SCALAR_STYLE.FOLDED_BLOCK;
  let at = block ? skipIndent(source, event.valueStart, event.indent) : event.valueStart;
  for (let i = 0; i < text.length; ) {
    if (at >= event.valueEnd) return undefined;
    const wanted = text.charAt(i);
    const found = source.charAt(at);
    let consumed = 1;
    let produced = 0;
    if (found === "\n" || found === "\r") {
      consumed = source.startsWith("\r\n", at) ? 2 : 1;
      if (wanted === "\n" || (wanted === " " && event.style !== SCALAR_STYLE.LITERAL_BLOCK)) produced = 1;
    } else if (found === "\\" && event.style === SCALAR_STYLE.DOUBLE_QUOTED) {
      const letter = source.charAt(at + 1);
      consumed = 2 + (escapedDigits[letter] ?? 0);
      if (letter === "\r" || letter === "\n") consumed = source.startsWith("\r\n", at + 1) ? 3 : 2;
      else produced = letter === "U" && (text.codePointAt(i) ?? 0) > 0xffff ? 2 : 1;
    } else if (found === wanted) {
      produced = 1;
      if (found === "'" && event.style === SCALAR_STYLE.SINGLE_QUOTED) consumed = 2;
    } else if (block || (found !== " " && found !== "\t")) return undefined;
    offsets.fill(at, i, i + produced);
    i += produced;
    at += consumed;
    if (block && (found === "\n" || found === "\r")) at = skipIndent(source, at, event.indent);
  }
  offsets[text.length] = at;
  return offsets;
}

function skipIndent(source: string, at: number, indent: number): number {
  let spaces = 0;
  while (spaces < indent && source.charAt(at + spaces) === " ") spaces++;
  return at + spaces;
}
