import { check, checkNonBlocking, flagCloseOnExec, flagNonBlocking, libc } from "./libc.ts";

const one = new Uint8Array(new BigUint64Array([1n]).buffer);

/** Wakes a thread out of `poll` (eventfd(2)). The number is valid in every thread; the thread that created it disposes of it. */
export class EventFd implements Disposable {
  readonly fd: number;
  readonly #counter = new Uint8Array(8);

  /** Takes the number of an event descriptor that another thread created. */
  constructor(fd: number) {
    this.fd = fd;
  }

  /** @throws {SystemCallError} */
  static create(): EventFd {
    return new EventFd(check("eventfd", "create an event descriptor", libc.eventfd(0, flagNonBlocking | flagCloseOnExec)));
  }

  /** Makes it readable; any number of signals before the next `clear` count as one. @throws {SystemCallError} */
  signal(): void {
    checkNonBlocking("write", "signal an event descriptor", libc.write(this.fd, one, one.length));
  }

  /** @throws {SystemCallError} */
  clear(): void {
    checkNonBlocking("read", "clear an event descriptor", libc.read(this.fd, this.#counter, this.#counter.length));
  }

  [Symbol.dispose](): void {
    libc.close(this.fd);
  }
}
