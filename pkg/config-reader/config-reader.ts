import { Worker } from "node:worker_threads";
import { Assembly, type ParsedConfig, type Token } from "#pkg/config";
import { parseConfiguration } from "#pkg/convert";
import type { Log } from "#pkg/log";

// Some twenty-five pools in block style. Any text of this length takes 15 ms at most when the code has not been compiled yet: `{},` over
// and over takes longest. A thread takes 40 to 60 ms, 4 ms of the main thread's time and 6 MB while it runs. One alias can stand for very
// much.
const maxAtOnce = 2 << 10;

// Objects that make up a configuration come one after the other, each with a new text, and V8 compiles the code once more for
// each new thread: some 40 ms of processor time for each text.
const keptMs = 5_000;

/** Reads one configuration after another. */
export class ConfigReader implements Disposable {
  readonly #log: Log;
  readonly #file: URL;
  #worker: Worker | undefined;
  /** Ends a thread that has nothing to read. */
  #end: NodeJS.Timeout | undefined;

  /** @param file the thread's code, where it is not beside this one */
  constructor(log: Log, file = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./config-worker.js", import.meta.url)) {
    this.#log = log;
    this.#file = file;
  }

  /**
   * Calls `done` with what `parseConfiguration` says of the text: at once where that takes no time, else later, unless it is disposed before. To be
   * called again only then.
   */
  read(text: string, done: (parsed: ParsedConfig) => void): void {
    if (text.length <= maxAtOnce && !text.includes("*")) done(parseConfiguration(text));
    else this.#readInThread(text, done);
  }

  /** Gives up a text that is being read. */
  [Symbol.dispose](): void {
    clearTimeout(this.#end);
    this.#worker?.removeAllListeners();
    void this.#worker?.terminate();
    this.#worker = undefined;
  }

  #readInThread(text: string, done: (parsed: ParsedConfig) => void): void {
    const assembly = new Assembly();
    const failed = (error: unknown): void => {
      this.#log.warn("configuration is read in the main thread, since a thread for it cannot be had", {
        op: "readConfig",
        error,
      });
      this[Symbol.dispose]();
      done(parseConfiguration(text));
    };
    try {
      const worker = this.#thread();
      // One piece is sent for each that is asked for, so that none of the main thread's turns has more of them.
      worker.on("message", (piece: readonly Token[]) => {
        if (!assembly.add(piece)) return worker.postMessage("next");
        this.#keep(worker);
        done(assembly.value as ParsedConfig);
      });
      worker.on("error", failed);
      worker.on("exit", (code) => failed(new Error(`Thread ended with code ${code}`)));
      worker.postMessage({ text });
    } catch (error) {
      failed(error);
    }
  }

  /** The thread that read the text before, or a new one. */
  #thread(): Worker {
    clearTimeout(this.#end);
    this.#worker ??= new Worker(this.#file, { name: "configuration" });
    this.#worker.removeAllListeners();
    this.#worker.ref();
    return this.#worker;
  }

  /** Keeps a thread that has nothing to read for a moment. A process that ends meanwhile does not wait for it. */
  #keep(worker: Worker): void {
    worker.removeAllListeners();
    const end = (): void => this[Symbol.dispose]();
    worker.on("error", end).on("exit", end).unref();
    this.#end = setTimeout(end, keptMs).unref();
  }
}
