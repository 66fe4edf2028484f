/** The thread that answers: it blocks in `poll`, never in its event loop, so the main thread stops it through shared memory. */
import { workerData } from "node:worker_threads";
import { SystemClock, systemRandom } from "#pkg/clock";
import { becomeRealTime, becomeUrgent } from "#pkg/linux";
import { mainThreadChannel } from "#pkg/threads";
import { Engine } from "./engine.ts";
import type { WorkerStart } from "./messages.ts";

// Where it may not, it answers as soon as the machine lets it.
const hurry = (flooded: boolean): void => void (flooded ? becomeUrgent() : becomeRealTime());
hurry(false);
using engine = new Engine(workerData as WorkerStart, mainThreadChannel(), new SystemClock(), systemRandom, hurry);
engine.run();
