/** The thread that answers: it blocks in `poll`, never in its event loop, so the main thread stops it through shared memory. */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { SystemClock, systemRandom } from "#pkg/clock";
import { becomeUrgent } from "#pkg/linux";
import { Engine } from "./engine.ts";
import type { Command, WorkerStart } from "./messages.ts";

const port = parentPort;
if (port === null) throw new Error("Cannot run the layer 2 worker: not in a worker thread");

becomeUrgent(); // Where it may not, it answers as soon as the machine lets it. Not real-time: a flood must leave the node its time.
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
