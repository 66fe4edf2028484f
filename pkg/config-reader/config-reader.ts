import { Worker } from "node:worker_threads";
import { Assembly, type ParsedConfig, type Token } from "#pkg/config";
import { parseConfiguration } from "#pkg/convert";
import type { Log } from "#pkg/log";

// Some twenty-five pools in block style. Any text of this length takes 15 ms at most when the code has not been compiled yet: `{},` over
// and over takes longest. A thread takes 40 to 60 ms, 4 ms of the main thread's time and 6 MB while it runs. One alias can stand for very
// much.
const maxAtOnce = 2 << 10;

/** Reads one configuration after another. */
export class ConfigReader implements Disposable {
  readonly #log: Log;
  readonly #file: URL;
  #worker: Worker | undefined;

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
    this.#worker?.removeAllListeners();
    void this.#worker?.terminate();
    this.#worker = undefined;
  }

  #readInThread(text: string, done: (parsed: ParsedConfig) => void): void {
    const assembly = new Assembly();
    const end = (parsed: ParsedConfig): void => {
      this[Symbol.dispose]();
      done(parsed);
    };
    const failed = (error: unknown): void => {
      this.#log.warn("configuration is read in the main thread, since a thread for it cannot be had", {
        op: "readConfig",
        error,
      });
      end(parseConfiguration(text));
    };
    try {
      const worker = new Worker(this.#file, { name: "configuration", workerData: text });
      this.#worker = worker;
      // One piece is sent for each that is asked for, so that none of the main thread's turns has more of them.
      worker.on("message", (piece: readonly Token[]) => {
        if (assembly.add(piece)) end(assembly.value as ParsedConfig);
        else worker.postMessage("next");
      });
      worker.on("error", failed);
      worker.on("exit", (code) => failed(new Error(`Thread ended with code ${code}`)));
    } catch (error) {
      failed(error);
    }
  }
}
