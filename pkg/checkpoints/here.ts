import { constants, setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import { type CoreKind, fold, type Plain, type Segment } from "#pkg/recorder";

export interface Task {
  readonly options: Plain;
  readonly segment: Segment;
}

/** What such a thread does: to be called by its code, with the core of the program. */
export function makeCheckpointHere(kind: CoreKind): void {
  if (parentPort === null) throw new Error("Cannot make a checkpoint: this is the main thread");
  setPriority(constants.priority.PRIORITY_BELOW_NORMAL); // On Linux of this thread alone.
  const { options, segment } = workerData as Task;
  parentPort.postMessage(new Uint8Array(fold(kind, options, segment))); // A copy: Brotli's own may be the beginning of more memory.
}
