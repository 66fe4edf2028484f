/** The thread that keeps the sessions: it waits in the kernel, never in its event loop, so it is stopped through shared memory. */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { SystemClock, systemRandom } from "#pkg/clock";
import { becomeRealTime } from "#pkg/linux";
import { Engine } from "./engine.ts";
import type { Command, WorkerStart } from "./messages.ts";

const port = parentPort;
if (port === null) throw new Error("Cannot run the BFD worker: not in a worker thread");

becomeRealTime(); // Where it may not, it is on time as long as the machine has time.
using engine = new Engine(
  workerData as WorkerStart,
  {
    receive: () => receiveMessageOnPort(port)?.message as Command | undefined,
    post: (report) => port.postMessage(report),
  },
  new SystemClock(),
  systemRandom,
);
engine.run();
