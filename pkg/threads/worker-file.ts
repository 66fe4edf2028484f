/**
 * Where a thread's code is: `worker.ts` beside the source that starts it, `self`; or `bundled`, which the build puts beside the bundle.
 */
export function workerFile(self: string, bundled: string): URL {
  return new URL(self.endsWith(".ts") ? "./worker.ts" : `./${bundled}`, self);
}
