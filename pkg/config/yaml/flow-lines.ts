const blank = /[ \t\r\n]/;
const blankOrEnd = /^[ \t\r\n]?$/;

/**
 * Puts each `[…]` and `{…}` of a YAML text on one line, by turning the line breaks, comments and tabs before values inside into
 * blanks; also tabs between a key or dash and its value, and comments right behind a bracket, comma, quote or the mark of a block scalar. Every
 * other character keeps its place. The parser wants lines inside brackets indented, no tab before a value there or before a bracket, and a blank
 * before a comment; to yaml.v2, and so in users' files, none of them means anything. Quoted text that spans lines is left as it is.
 */
export function joinFlowLines(source: string): string {
  return new Joiner(source).joined();
}

class Joiner {
  readonly #source: string;
  readonly #pieces: string[] = [];
  #kept = 0; // Up to here the source is in the pieces.
  #at = 0;
  #behind = -1; // The place right behind the last quoted text, or bracket or comma of a collection.

  constructor(source: string) {
    this.#source = source;
  }

  joined(): string {
    while (this.#at < this.#source.length) this.#blockLine();
    this.#pieces.push(this.#source.slice(this.#kept));
    return this.#pieces.join("");
  }

  /** Passes one line outside brackets, or more if a value spans them. */
  #blockLine(): void {
    const lineStart = this.#at;
    let atValue = true; // Whether a value may begin here; brackets, quotes and so on inside plain text mean nothing.
    let column = -1; // Column of the innermost key or dash of this line: a block scalar's text lies to the right of it.
    while (this.#at < this.#source.length) {
      const character = this.#source.charAt(this.#at);
      if (character === "\n" || (character === "\r" && this.#source.charAt(this.#at + 1) !== "\n")) {
        this.#at++;
        return;
      }
      if (character === "\t" && atValue && column >= 0) this.#blankOut(this.#at + 1);
      else if (blank.test(character)) this.#at++;
      else if (this.#isComment()) {
        if (this.#at === this.#behind) this.#blankOut(this.#lineEnd());
        this.#skipLine();
      } else if ((character === ":" || (atValue && "-?".includes(character))) && this.#isBlankOrEnd(this.#at + 1)) {
        if (character !== ":") column = this.#at - lineStart;
        atValue = true;
        this.#at++;
      } else if (!atValue) this.#at++;
      else if (character === "&" || character === "!") {
        while (!this.#isBlankOrEnd(this.#at)) this.#at++;
      } else if (character === "|" || character === ">") {
        this.#skipBlockScalar(column);
        return;
      } else if (character === "[" || character === "{") {
        this.#flow();
        atValue = false;
      } else {
        column = this.#at - lineStart;
        atValue = false;
        if (character === '"' || character === "'") this.#skipQuoted();
        else this.#at++;
      }
    }
  }

  /** Passes one collection in brackets. */
  #flow(): void {
    let depth = 0;
    let atValue = true; // Whether no plain text has begun; in it quotes and tabs are text.
    do {
      const character = this.#source.charAt(this.#at);
      const isTabBetween = character === "\t" && atValue;
      if (character === "\n" || character === "\r" || isTabBetween) this.#blankOut(this.#at + 1);
      else if (this.#isComment()) this.#blankOut(this.#lineEnd());
      else if (atValue && (character === '"' || character === "'")) {
        this.#skipQuoted();
        if (this.#source.charAt(this.#at) === ":") this.#at++; // After a quoted key it needs no blank behind it, as in JSON.
      } else {
        if (character === "[" || character === "{") depth++;
        if (character === "]" || character === "}") depth--;
        this.#at++;
        if ("[]{},".includes(character)) {
          this.#behind = this.#at;
          atValue = true;
        } else if (character === ":" && this.#isBlankOrEnd(this.#at)) atValue = true;
        else if (!blank.test(character)) atValue = false;
      }
    } while (depth > 0 && this.#at < this.#source.length);
  }

  #blankOut(end: number): void {
    this.#pieces.push(this.#source.slice(this.#kept, this.#at), " ".repeat(end - this.#at));
    this.#at = end;
    this.#kept = end;
  }

  #isComment(): boolean {
    if (this.#source.charAt(this.#at) !== "#") return false;
    return this.#at === 0 || this.#at === this.#behind || blank.test(this.#source.charAt(this.#at - 1));
  }

  #lineEnd(): number {
    return this.#at + this.#source.slice(this.#at).search(/[\r\n]|$/);
  }

  #isBlankOrEnd(at: number): boolean {
    return blankOrEnd.test(this.#source.charAt(at));
  }

  #skipLine(): void {
    this.#at = this.#lineEnd();
  }

  #skipQuoted(): void {
    const quote = this.#source.charAt(this.#at++);
    while (this.#at < this.#source.length) {
      const character = this.#source.charAt(this.#at++);
      if (character === "\\" && quote === '"') this.#at++;
      else if (character === quote) {
        this.#behind = this.#at;
        if (quote === '"' || this.#source.charAt(this.#at) !== quote) return;
        this.#at++; // Two single quotes stand for one.
      }
    }
  }

  #skipBlockScalar(column: number): void {
    while (!this.#isBlankOrEnd(this.#at) && this.#source.charAt(this.#at) !== "#") this.#at++;
    if (this.#source.charAt(this.#at) === "#") this.#blankOut(this.#lineEnd());
    this.#skipLine();
    const line = /(?:\r\n|\n|\r)( *)([^\r\n]?)/y;
    line.lastIndex = this.#at;
    for (let next = line.exec(this.#source); next !== null; next = line.exec(this.#source)) {
      const [, indent = "", text] = next;
      if (text !== "" && indent.length <= column) return;
      this.#at = line.lastIndex;
      this.#skipLine();
      line.lastIndex = this.#at;
    }
  }
}
