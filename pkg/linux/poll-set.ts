import { constants } from "node:os";
import { SystemCallError } from "./error.ts";
import { checkNonBlocking, libc } from "./libc.ts";

const pollIn = 0x01;
const pollInvalid = 0x20; // POLLNVAL

/** Waits until one of some descriptors is readable or in error (poll(2)). */
export class PollSet {
  #entries = new Int32Array(0); // struct pollfd: the descriptor, then 16 bits of wanted and 16 bits of returned events.

  /** Replaces what is waited for. */
  watch(fds: readonly number[]): void {
    this.#entries = Int32Array.from(fds.flatMap((fd) => [fd, pollIn]));
  }

  /**
   * Blocks the thread for at most `timeoutMilliseconds`, rounded up; a signal ends it early. @returns the descriptors that are ready
   * @throws {SystemCallError} also for a descriptor that is not open, which would be ready for ever
   */
  wait(timeoutMilliseconds: number): number[] {
    const timeout = Math.max(0, Math.ceil(timeoutMilliseconds));
    const ready: number[] = [];
    const result = libc.poll(this.#entries, this.#entries.length / 2, timeout);
    if (!checkNonBlocking("poll", "wait for sockets", result)) return ready; // None, or a signal.
    for (let i = 0; i < this.#entries.length; i += 2) {
      const [fd = -1, events = 0] = [this.#entries[i], this.#entries[i + 1]];
      const returned = events >>> 16;
      if (returned & pollInvalid) throw new SystemCallError("poll", constants.errno.EBADF, `wait for descriptor ${fd}`);
      if (returned !== 0) ready.push(fd);
    }
    return ready;
  }
}
