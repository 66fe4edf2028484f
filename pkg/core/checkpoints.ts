import { constants, getPriority, setPriority } from "node:os";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { parentPort, Worker, workerData } from "node:worker_threads";
import { createBrotliCompress, constants as zlib } from "node:zlib";
import type { Log } from "#pkg/log";
import { type CoreKind, checkpointAfter, type Segment } from "./recording/checkpoint.ts";
import type { Plain } from "./recording/codec.ts";
import type { MakeCheckpoint } from "./recording/recorder.ts";

// Limits of the thread's own heap: at 10,000 Services 96 MB are enough. With more room V8 takes 300 MB for the same.
const resourceLimits = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 160 };

// Half of what gzip comes to: what is alike is far apart. A window of 16 MB in place of 4 takes half as long again, and more octets.
const dense = { params: { [zlib.BROTLI_PARAM_QUALITY]: 5, [zlib.BROTLI_PARAM_LGWIN]: 22 } };

export interface CheckpointsOptions {
  readonly program: "controller" | "speaker";
  /** The URL of the program's own code, beside which the thread's is. */
  readonly main: string;
  /** The options with which the core was made. */
  readonly options: Plain;
  /** Called when a thread has ended: tens of MB that it had are free, and nobody needs them for minutes. */
  readonly onThreadEnd: () => void;
  readonly log: Log;
}

interface Task {
  readonly options: Plain;
  readonly segment: Segment;
}

/**
 * Makes one checkpoint after another, each in a thread of low priority that ends with it. The thread runs the oldest recorded inputs once more
 * from the checkpoint before them, so that the core that works is neither read nor kept waiting.
 */
export class Checkpoints implements Disposable {
  readonly #file: URL;
  readonly #options: Plain;
  readonly #onThreadEnd: () => void;
  readonly #log: Log;
  #worker: Worker | undefined;

  constructor({ program, main, options, onThreadEnd, log }: CheckpointsOptions) {
    this.#file = new URL(main.endsWith(".ts") ? "./checkpoint-worker.ts" : `./${program}-checkpoint-worker.js`, main);
    this.#options = options;
    this.#onThreadEnd = onThreadEnd;
    this.#log = log;
  }

  /** For `Recorder`. */
  readonly make: MakeCheckpoint = (segment, done) => {
    const failed = (error: Error): void => {
      this.#log.warn("no checkpoint can be made of what was recorded", { op: "checkpoint", error });
      end(error);
    };
    const end = (made: Uint8Array | Error): void => {
      this[Symbol.dispose]();
      done(made);
    };
    try {
      const task: Task = { options: this.#options, segment };
      const worker = new Worker(this.#file, { name: "checkpoint", workerData: task, resourceLimits });
      this.#worker = worker;
      worker.on("message", end);
      worker.on("error", failed);
      worker.once("exit", (code) => this.#worker === worker && failed(new Error(`Thread ended with code ${code}`)));
      worker.once("exit", this.#onThreadEnd);
    } catch (error) {
      failed(error as Error);
    }
  };

  /** Gives up a checkpoint that is being made. */
  [Symbol.dispose](): void {
    this.#worker?.removeAllListeners("message").removeAllListeners("error");
    void this.#worker?.terminate();
    this.#worker = undefined;
  }
}

/** The work of the checkpoint thread: its code calls this, with the core of the program. */
export async function makeCheckpointHere(kind: CoreKind): Promise<void> {
  if (parentPort === null) throw new Error("Cannot make a checkpoint: this is the main thread");
  // On Linux of this thread alone. Only root may raise a priority that is lower already.
  setPriority(Math.max(getPriority(), constants.priority.PRIORITY_BELOW_NORMAL));
  const { options, segment } = workerData as Task;
  const squeezed = await pipeline(checkpointAfter(kind, options, segment), createBrotliCompress(dense), buffer);
  parentPort.postMessage(new Uint8Array(squeezed)); // A copy: this one may be the beginning of more memory.
}
