import { check, flagCloseOnExec, flagNonBlocking, libc, library } from "./libc.ts";

/** Something that closes the descriptors of this thread when the thread ends. */
interface Closer {
  readonly add: (fd: number) => void;
  readonly remove: (fd: number) => void;
}

const owned = new Set<number>(); // Node ends the process for one that is given to it twice.

/**
 * Why the descriptors of a thread that is terminated stay open until the process ends; undefined while they do not. They are closed in any case
 * where the thread ends by itself or throws.
 */
export let whyDescriptorsStay: string | undefined;
const closer = closerOfThread();

/**
 * Has the kernel's descriptor end with this thread. Node does not know it: without this it stays open, and its port bound, for as long as the
 * process lives.
 */
export function own(fd: number): number {
  if (!owned.has(fd)) closer.add(fd);
  owned.add(fd);
  return fd;
}

const socketType = { stream: 1, datagram: 2, raw: 3 } as const; // SOCK_STREAM, SOCK_DGRAM, SOCK_RAW

/** A socket of this thread that never blocks. `attempted` completes "Cannot …". @throws {SystemCallError} */
export function openSocket(attempted: string, family: number, type: keyof typeof socketType, protocol = 0): number {
  const flags = socketType[type] | flagNonBlocking | flagCloseOnExec;
  return own(check("socket", attempted, libc.socket(family, flags, protocol)));
}

/** The descriptor belongs to somebody else from now on. */
export function disown(fd: number): void {
  if (owned.delete(fd)) closer.remove(fd);
}

/** Closes a descriptor of this thread. */
export function close(fd: number): void {
  disown(fd); // First: the number may be another descriptor's as soon as it is closed.
  libc.close(fd);
}

/** Closes a descriptor of this thread in a thread of libuv's pool, where the kernel takes long for that. */
export function closeAside(fd: number): void {
  disown(fd);
  libc.close.async(fd, () => {});
}

/** Each thread loads this file for itself. */
function closerOfThread(): Closer {
  try {
    return cleanupHooksOfNode();
  } catch (error) {
    whyDescriptorsStay = (error as Error).message;
    process.on("exit", () => {
      for (const fd of owned) libc.close(fd);
    });
    return { add() {}, remove() {} };
  }
}

/**
 * Node closes these together with its own, before anybody hears that the thread has ended, whether that threw or was terminated. The functions are
 * what addons may call, under their mangled names of C++: another Node may have others.
 * @throws {Error} where it has
 */
function cleanupHooksOfNode(): Closer {
  const parameters = ["void *", "intptr_t", "intptr_t"];
  const addHook = library.func("_ZN4node25AddEnvironmentCleanupHookEPN2v87IsolateEPFvPvES3_", "void", parameters);
  const removeHook = library.func("_ZN4node28RemoveEnvironmentCleanupHookEPN2v87IsolateEPFvPvES3_", "void", parameters);
  const isolate = library.func("_ZN2v87Isolate10GetCurrentEv", "void *", [])();
  const addressOfClose = library.func("dlsym", "intptr_t", ["void *", "const char *"])(null, "close");
  return { add: (fd) => addHook(isolate, addressOfClose, fd), remove: (fd) => removeHook(isolate, addressOfClose, fd) };
}
