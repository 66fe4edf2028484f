import { constants } from "node:os";
import { SystemCallError } from "./error.ts";
import { checkNonBlocking, libc } from "./libc.ts";

const pollIn = 0x01;
const pollInvalid = 0x20; // POLLNVAL
const longestWait = 2 ** 31; // Milliseconds; a wait for ever is some of these.

/** Waits until one of some descriptors is readable or in error (ppoll(2)). */
export class PollSet {
  #entries = new Int32Array(0); // struct pollfd: the descriptor, then 16 bits of wanted and 16 bits of returned events.
  readonly #timeout = new BigInt64Array(2); // struct timespec: seconds, nanoseconds.

  /** Replaces what is waited for. */
  watch(fds: readonly number[]): void {
    this.#entries = Int32Array.from(fds.flatMap((fd) => [fd, pollIn]));
  }

  /**
   * Blocks the thread for at most `timeoutMilliseconds`, to the microsecond; a signal ends it early. @returns the descriptors that are
   * ready
   * @throws {SystemCallError} also for a descriptor that is not open, which would be ready for ever
   */
  wait(timeoutMilliseconds: number): number[] {
    this.#setTimeout(timeoutMilliseconds);
    const ready: number[] = [];
    const result = libc.ppoll(this.#entries, this.#entries.length / 2, this.#timeout, null);
    if (!checkNonBlocking("ppoll", "wait for sockets", result)) return ready; // None, or a signal.
    for (let i = 0; i < this.#entries.length; i += 2) {
      const [fd = -1, events = 0] = [this.#entries[i], this.#entries[i + 1]];
      const returned = events >>> 16;
      if (returned & pollInvalid) throw new SystemCallError("ppoll", constants.errno.EBADF, `wait for descriptor ${fd}`);
      if (returned !== 0) ready.push(fd);
    }
    return ready;
  }

  /**
   * Like `wait`, but blocks a thread of libuv's pool instead of this one. The descriptors stay open, and are not replaced, until it is
   * over; Node does not exit before.
   * @throws {SystemCallError} like `wait`
   */
  async waitAside(timeoutMilliseconds: number): Promise<number[]> {
    this.#setTimeout(timeoutMilliseconds);
    const { promise, resolve } = Promise.withResolvers<void>();
    libc.ppoll.async(this.#entries, this.#entries.length / 2, this.#timeout, null, resolve);
    await promise;
    return this.wait(0); // Why it failed there is not known here; what is ready, or not open, still is.
  }

  #setTimeout(milliseconds: number): void {
    const microseconds = Math.ceil(Math.min(Math.max(0, milliseconds), longestWait) * 1000);
    this.#timeout[0] = BigInt(Math.floor(microseconds / 1e6));
    this.#timeout[1] = BigInt(microseconds % 1e6) * 1000n;
  }
}
