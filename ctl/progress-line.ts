import type { WriteStream } from "node:tty";

const patienceMs = 1_000;
const everyMs = 200;

/**
 * One line on a terminal that names the work under way, once it has taken a second, until it is cleared. Writes nothing
 * elsewhere.
 */
export class ProgressLine {
  readonly #to: WriteStream;
  #text = "";
  #timer: NodeJS.Timeout | undefined;
  #isShown = false;

  constructor(to: WriteStream) {
    this.#to = to;
  }

  show(text: string): void {
    if (!this.#to.isTTY) return;
    this.#text = text;
    this.#timer ??= setTimeout(() => this.#draw(), patienceMs).unref();
  }

  /** To be called before anything else is printed. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#isShown) this.#to.write("\r\u001b[K");
    this.#isShown = false;
  }

  #draw(): void {
    this.#isShown = true;
    this.#to.write(`\r\u001b[K${this.#text.slice(0, Math.max(1, this.#to.columns - 1))}`);
    this.#timer = setTimeout(() => this.#draw(), everyMs).unref();
  }
}
