import { arch, constants } from "node:os";
import { pid } from "node:process";
import { close, own } from "./descriptors.ts";
import { check, checkNonBlocking, flagCloseOnExec, flagNonBlocking, libc, library, SystemCallError } from "./libc.ts";

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
    return new EventFd(own(check("eventfd", "create an event descriptor", libc.eventfd(0, flagNonBlocking | flagCloseOnExec))));
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
    close(this.fd);
  }
}

const pollIn = 0x01;
const pollInvalid = 0x20; // POLLNVAL
const maxWait = 2 ** 31; // Milliseconds; a wait for ever is some of these.

/** Waits until one of some descriptors is readable or in error (ppoll(2)). */
export class PollSet {
  #entries = new Int32Array(0); // struct pollfd: the descriptor, then 16 bits of wanted and 16 bits of returned events.
  readonly #timeout = new Int32Array(4); // struct timespec: the lower and upper half of its seconds, and of its nanoseconds.

  /** Replaces what is waited for. */
  watch(fds: readonly number[]): void {
    this.#entries = Int32Array.from(fds.flatMap((fd) => [fd, pollIn]));
  }

  /**
   * Blocks the thread for at most `timeoutMilliseconds`, to the microsecond; a signal ends it early. @returns the ready descriptors
   * @throws {SystemCallError} also for a descriptor that is not open: it would be ready for ever
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
    const microseconds = Math.ceil(Math.min(Math.max(0, milliseconds), maxWait) * 1000);
    this.#timeout[0] = Math.floor(microseconds / 1e6);
    this.#timeout[2] = (microseconds % 1e6) * 1000;
  }
}

/** `poll` passes it over. */
export const noDescriptor = -1;

/**
 * A descriptor that is readable while Node's event loop of this thread has something to do for a socket, a pipe, a finished task or a message,
 * so that one `poll` waits for these and for sockets that Node does not know. Timers do not show on it. It stays Node's own.
 * @returns `noDescriptor` where this Node tells of none
 */
export function eventLoopFd(): number {
  try {
    // v8::Isolate::GetCurrent, node::GetCurrentEventLoop and uv_backend_fd: what addons may call.
    const isolate = library.func("_ZN2v87Isolate10GetCurrentEv", "void *", [])();
    const loop = library.func("_ZN4node19GetCurrentEventLoopEPN2v87IsolateE", "void *", ["void *"])(isolate);
    return library.func("uv_backend_fd", "int", ["void *"])(loop);
  } catch {
    return noDescriptor; // A Node without one of these functions.
  }
}

const ordinary = 0; // SCHED_OTHER
const roundRobin = 2; // SCHED_RR
/** SCHED_RESET_ON_FORK: threads and processes that a real-time thread begins are ordinary. Not all may clear it, so it stays set. */
const resetOnFork = 0x4000_0000;
const noPriority = 0; // struct sched_param: what is not real-time has none.
// struct sched_param: of 1 to 99. The main thread in a hurry runs after threads whose work takes microseconds.
const lowest = 1;
const low = 2;
const caller = 0; // Instead of a thread's number.
const process = 0; // PRIO_PROCESS, by which Linux means a thread.
/** The numbers of two system calls. */
const schedulerCalls: Partial<Record<NodeJS.Architecture, { readonly set: number; readonly get: number }>> = {
  x64: { set: 144, get: 145 },
  arm64: { set: 119, get: 120 },
};
const nicest = -20;

/**
 * Lets a thread, the caller or the thread of that number (gettid(2)), run before all that are not real-time (sched(7)): it is on time on a
 * machine without time to spare. For bounded work: nothing else gets that time.
 * @returns false where it may not, without CAP_SYS_NICE or a limit that allows it (RLIMIT_RTPRIO), or in a cgroup without time for it (CONFIG_RT_GROUP_SCHED)
 */
export function becomeRealTime(thread = caller): boolean {
  return setScheduler(thread, roundRobin, low);
}

/**
 * Lets the main thread run before all that are not real-time, and after threads that are (`becomeRealTime`), until it calls `becomeOrdinary`. Any
 * thread may call this.
 * @returns false where it may not, as for `becomeRealTime`
 */
export function hurryMainThread(): boolean {
  return setScheduler(pid, roundRobin, lowest); // The first thread of a process has its number.
}

/** Ends what `hurryMainThread` and `becomeRealTime` began, for the calling thread. */
export function becomeOrdinary(): void {
  setScheduler(caller, ordinary, noPriority);
}

/**
 * Gives a thread, the one that calls or the one of that number, the largest share of the machine's time (nice(7)), while others still get theirs; it is real-time no longer. For work
 * that others can make more of.
 * @returns false where it may not, without CAP_SYS_NICE or a limit that allows it (RLIMIT_NICE)
 */
export function becomeUrgent(thread = caller): boolean {
  return setScheduler(thread, ordinary, noPriority) && libc.setPriority(process, thread, nicest) === 0;
}

/** Has a thread be on time as far as it may: real-time, or else urgent. For work that is bounded. @returns false where it may be neither */
export function becomePrompt(thread = caller): boolean {
  return becomeRealTime(thread) || becomeUrgent(thread);
}

/**
 * Does work in real time, where it may: work that wakes a real-time thread while it holds a lock of both, as `MessagePort.postMessage` does. Otherwise the woken thread would take this one's processor, and wait for the lock as long as this thread waits for
 * a processor. To be called for microseconds, by a thread that is not real-time, or by the main thread in a hurry.
 */
export function withoutInterruption(work: () => void): void {
  const isInHurry = isRealTime();
  const isRaised = becomeRealTime();
  try {
    work();
  } finally {
    if (isInHurry) setScheduler(caller, roundRobin, lowest);
    else if (isRaised) becomeOrdinary();
  }
}

/** Whether threads of this process may be real-time, which the calling one tries for a moment. */
export function mayBeRealTime(): boolean {
  return becomeRealTime() && setScheduler(caller, ordinary, noPriority);
}

function setScheduler(thread: number, policy: number, priority: number): boolean {
  const calls = schedulerCalls[arch()];
  return calls !== undefined && libc.setScheduler(calls.set, thread, policy | resetOnFork, Int32Array.of(priority)) === 0;
}

/** Whether the calling thread is. */
function isRealTime(): boolean {
  const calls = schedulerCalls[arch()];
  return calls !== undefined && (libc.getScheduler(calls.get, caller) & ~resetOnFork) === roundRobin;
}
