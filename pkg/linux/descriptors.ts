import { libc, library } from "./libc.ts";

// v8::Isolate::GetCurrent and node::AddEnvironmentCleanupHook and RemoveEnvironmentCleanupHook: what addons may call.
const addHook = library.func("_ZN4node25AddEnvironmentCleanupHookEPN2v87IsolateEPFvPvES3_", "void", [
  "void *",
  "intptr_t",
  "intptr_t",
]);
const removeHook = library.func("_ZN4node28RemoveEnvironmentCleanupHookEPN2v87IsolateEPFvPvES3_", "void", [
  "void *",
  "intptr_t",
  "intptr_t",
]);
const isolate = library.func("_ZN2v87Isolate10GetCurrentEv", "void *", [])(); // Each thread loads this file for itself.
const addressOfClose = library.func("dlsym", "intptr_t", ["void *", "const char *"])(null, "close");

const owned = new Set<number>(); // Node ends the process for one that is given to it twice.

/**
 * Has the kernel's descriptor end with this thread. Node does not know it: without this it stays open, and its port bound, for as long as the
 * process lives. Node closes it together with its own, before anybody hears that the thread has ended, whether that threw or was
 * terminated.
 */
export function own(fd: number): number {
  if (!owned.has(fd)) addHook(isolate, addressOfClose, fd);
  owned.add(fd);
  return fd;
}

/** The descriptor belongs to somebody else from now on. */
export function disown(fd: number): void {
  if (owned.delete(fd)) removeHook(isolate, addressOfClose, fd);
}

/** Closes a descriptor of this thread. */
export function close(fd: number): void {
  disown(fd); // First: the number may be another descriptor's as soon as it is closed.
  libc.close(fd);
}
