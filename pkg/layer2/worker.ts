/** The thread that answers: it blocks in `poll`, never in its event loop, so the main thread stops it through shared memory. */
import { workerData } from "node:worker_threads";
import { SystemClock, systemRandom } from "#pkg/clock";
import { becomeUrgent } from "#pkg/linux";
import { mainThreadChannel } from "#pkg/threads";
import { Engine } from "./engine.ts";
import type { WorkerStart } from "./messages.ts";

becomeUrgent(); // Where it may not, it answers as soon as the machine lets it. Not real-time: a flood must leave the node its time.
using engine = new Engine(workerData as WorkerStart, mainThreadChannel(), new SystemClock(), systemRandom);
engine.run();
