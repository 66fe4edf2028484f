/** The thread that keeps the sessions: it waits in the kernel, never in its event loop, so it is stopped through shared memory. */
import { workerData } from "node:worker_threads";
import { SystemClock, systemRandom } from "#pkg/clock";
import { becomeRealTime } from "#pkg/linux";
import { mainThreadChannel } from "#pkg/threads";
import { Engine } from "./engine.ts";
import type { WorkerStart } from "./messages.ts";

becomeRealTime(); // Where it may not, it is on time as long as the machine has time.
using engine = new Engine(workerData as WorkerStart, mainThreadChannel(), new SystemClock(), systemRandom);
engine.run();
