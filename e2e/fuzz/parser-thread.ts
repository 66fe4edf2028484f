import { Worker } from "node:worker_threads";
import type { FoundFault } from "./fuzzer.ts";
import { CurrentInput, type Report, type Task } from "./task.ts";

// Size of its heap: enough for the fuzzer's inputs, and for the largest configuration.
const heapMb = 1024;
const lookMs = 500;

export interface ThreadOptions extends Omit<Task, "shared"> {
  /** Seconds of processor time that one input may take before the thread is ended. */
  readonly maxSeconds: number;
  /** The thread's code. */
  readonly file: URL;
}

/**
 * Fuzzes a parser in a thread of its own, which neither an endless loop nor a lack of memory outlives. Either is a finding, and the end.
 * @param onReport called with the work so far, now and then and at the end
 */
export async function fuzzInThread(options: ThreadOptions, onReport: (report: Report) => void): Promise<void> {
  const { maxSeconds, file, ...task } = options;
  const current = new CurrentInput();
  const worker = new Worker(file, {
    workerData: { ...task, shared: current.shared } satisfies Task,
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
  });
  let last: Report = { isLast: true, executions: 0, reached: 0, maxLoad: 0, findings: [], inputs: [], seconds: 0 };
  worker.on("message", (report: Report) => {
    last = report;
    onReport(report);
  });
  const watch = new Watch(worker, current, maxSeconds);
  const ended = new Promise<string | undefined>((resolve) => {
    worker.on("error", (error) => resolve(`ends the thread: ${error.message}`));
    worker.on("exit", () => resolve(undefined));
  });
  const problem = await Promise.race([ended, watch.stuck]);
  watch[Symbol.dispose]();
  if (problem === undefined) return;
  await worker.terminate();
  const finding: FoundFault = { input: current.input, problem };
  onReport({ ...last, isLast: true, executions: current.count, findings: [...last.findings, finding] });
}

/** Notices an input that takes too much processor time. */
class Watch implements Disposable {
  readonly stuck: Promise<string>;
  readonly #timer: NodeJS.Timeout;

  constructor(worker: Worker, current: CurrentInput, maxSeconds: number) {
    const { promise, resolve } = Promise.withResolvers<string>();
    this.stuck = promise;
    let seen = -1;
    let since = 0;
    const look = async () => {
      const { user, system } = await worker.cpuUsage();
      const spent = (user + system) / 1e6;
      if (current.count !== seen) [seen, since] = [current.count, spent];
      else if (spent - since > maxSeconds) resolve(`does not end within ${maxSeconds} s of processor time`);
    };
    this.#timer = setInterval(() => void look().catch(() => {}), lookMs); // It fails once the thread has ended.
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
