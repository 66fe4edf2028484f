import { Worker } from "node:worker_threads";
import { SystemClock, systemRandom } from "#pkg/clock";
import { EventFd } from "#pkg/linux";
import type { ThreadStart } from "./main-thread.ts";
import { Supervisor, type SupervisorOptions } from "./supervisor.ts";
import { withOwnCompiler } from "./v8.ts";

export interface WorkerThreadOptions<Start, Message> extends Pick<SupervisorOptions<Worker>, "title" | "op" | "log" | "onDeath"> {
  /** Its name in tools like top(1). */
  readonly name: string;
  readonly file: URL;
  /** Makes the arguments of a thread; called for each. */
  readonly start: () => Start;
  readonly onMessage: (message: Message) => void;
}

/**
 * A thread that waits in the kernel, by the main thread's end: it is replaced when it dies, stopped through shared memory, because it does
 * not enter its event loop, and ended with the process, because Node waits for its threads.
 */
export class WorkerThread<Start, Command, Message> implements AsyncDisposable {
  readonly #options: WorkerThreadOptions<Start, Message>;
  readonly #stop = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  readonly #supervisor: Supervisor<Worker>;
  #wake: EventFd | undefined;
  #isStarted = false;

  constructor(options: WorkerThreadOptions<Start, Message>) {
    this.#options = options;
    const { title, op, log, onDeath } = options;
    this.#supervisor = new Supervisor({
      spawn: () => this.#spawn(),
      title,
      op,
      log,
      onDeath,
      clock: new SystemClock(),
      random: systemRandom,
    });
  }

  /** Takes the descriptor that a thread needs, before one starts. @throws {SystemCallError} */
  open(): void {
    if (this.#wake !== undefined) return;
    this.#wake = EventFd.create();
    process.on("exit", this.#end);
  }

  /** Starts the thread, unless that is done. Where it cannot start, that is tried again as after its death. */
  start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#supervisor.start();
  }

  /** Does nothing between a death and the restart: the next thread starts with all that is wanted. */
  send(command: Command): void {
    this.#supervisor.thread?.postMessage(command);
    this.#wake?.signal();
  }

  /** Ends the thread, and resolves when it has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end();
    await this.#supervisor.stop();
    process.off("exit", this.#end);
    this.#wake?.[Symbol.dispose]();
    this.#wake = undefined;
  }

  readonly #end = (): void => {
    Atomics.store(new Int32Array(this.#stop), 0, 1);
    this.#wake?.signal();
  };

  #spawn(): Worker {
    const { name, file, start, onMessage } = this.#options;
    this.open();
    if (this.#wake === undefined) throw new Error(`Cannot start the thread ${name}: it has no descriptor to wake it`);
    const workerData: ThreadStart<Start> = { stop: this.#stop, wake: this.#wake.fd, start: start() };
    const worker = withOwnCompiler(() => new Worker(file, { name, workerData }));
    worker.on("message", onMessage);
    return worker;
  }
}

/** The file of a thread's code: `worker.ts` beside the source that starts it, `self`; or `bundled`, which the build puts beside the bundle. */
export function workerFile(self: string, bundled: string): URL {
  return new URL(self.endsWith(".ts") ? "./worker.ts" : `./${bundled}`, self);
}
