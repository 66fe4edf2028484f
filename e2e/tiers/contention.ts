const everyMs = 500;
const workMs = 10; // Longer than a kernel lets one process go on for while others wait.
const watched = 30; // As many times as that have to be known: what begins needs some seconds until it works.
const mostTimesAsLong = 2;

/**
 * Whether the processors have time for more: of every half a second this process works for 10 ms, and sees how long that takes. Processes of the
 * class SCHED_IDLE do not count, since they give way.
 */
export class Contention {
  #timer: NodeJS.Timeout | undefined; // Runs without further files at a time do not ask.
  #times: number[] = []; // As many times as long as alone; the latest last.

  #work(): void {
    const begun = performance.now();
    const end = ownMs() + workMs;
    while (ownMs() < end);
    this.#times = [...this.#times.slice(1 - watched), (performance.now() - begun) / workMs];
  }

  /** Watches from the first question on. True until it has watched for 15 seconds. */
  isHigh(): boolean {
    this.#timer ??= setInterval(() => this.#work(), everyMs);
    const median = this.#times.toSorted((a, b) => a - b)[watched / 2] ?? Infinity;
    return this.#times.length < watched || median > mostTimesAsLong;
  }

  forget(): void {
    this.#times = [];
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

function ownMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
