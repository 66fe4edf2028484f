import type { Clock } from "#pkg/clock";
import { EventFd, PollSet, type TrackedInterface } from "#pkg/linux";
import { LinkWatcher } from "./link-watcher.ts";
import type { WriteLog } from "./messages.ts";

/**
 * Knows the links while there is nothing to answer for. It waits in a thread of libuv's pool: one that runs JavaScript, as answering
 * needs, would take 16 MB.
 */
export class Standby {
  readonly #clock: Clock;
  readonly #log: WriteLog;
  readonly #wake: EventFd;
  #stopped = false;

  /** @throws {SystemCallError} */
  constructor(log: WriteLog, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    this.#wake = EventFd.create();
  }

  /**
   * Calls `onLinks` with all links when each was read, and when they changed, until it is stopped. To be called once.
   * @throws {SystemCallError} when they cannot be watched
   */
  async run(onLinks: (links: readonly TrackedInterface[]) => void): Promise<void> {
    try {
      using watcher = new LinkWatcher(this.#log);
      const poll = new PollSet();
      poll.watch([this.#wake.fd, watcher.fd]);
      while (!this.#stopped) {
        const links = watcher.work(this.#clock.now());
        if (links !== undefined) onLinks(links);
        else await poll.waitAside(watcher.nextAt - this.#clock.now());
      }
    } finally {
      this.#stopped = true;
      this.#wake[Symbol.dispose]();
    }
  }

  /** `onLinks` is not called any more, and `run` ends soon. Does nothing when it has ended. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#wake.signal();
  }
}
