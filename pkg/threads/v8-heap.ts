/**
 * Collects garbage now, and gives back what is free of this thread's heap, also of its space for young objects, which is as small as at
 * first then: starting leaves some 6 MB of it in each thread, and a thread at rest comes late or never to where V8 would do that by itself.
 * Takes some 15 ms of a processor, part of it by V8's own threads, for which a real-time thread would wait long on a busy machine: it does this
 * before it becomes one.
 */
export function trimHeap(): void {
  const collect = globalThis.gc ?? collectorOfNewContext();
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
}

/** Threads do without: V8 gives them `gc` when they start (`withOwnCompiler`), and Node's modules for this take them 10 ms to load. */
function collectorOfNewContext(): NodeJS.GCFunction {
  process.getBuiltinModule("node:v8").setFlagsFromString("--expose-gc");
  return process.getBuiltinModule("node:vm").runInNewContext("gc");
}
