import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * The memory of V8. It is apart from `threads`, so that what needs no system calls does not load the library for them.
 */

/**
 * Collects garbage now, and gives back what is free of this thread's heap: starting leaves 2 to 3 MB of it, the main thread's 6 MB, and a
 * thread at rest comes late or never to where V8 would do that by itself. Takes some 10 ms.
 * @param flavor `last-resort` also makes the space for young objects as small as it was before the start. It collects several times, for
 *   which a real-time thread would wait long on a busy machine: V8's own threads do a part of it.
 */
export function trimHeap(flavor: "regular" | "last-resort" = "regular"): void {
  setFlagsFromString("--expose-gc");
  const collect: NodeJS.GCFunction = runInNewContext("gc");
  collect({ type: "major", execution: "sync", flavor });
}
