/**
 * The ring's thread: sockets, codec, state machine and gossip of one member, so that whatever the main thread does delays no ping and no
 * ack. Unlike the threads of layer 2 and BFD it waits in Node's event loop, because streams need it.
 */
import { parentPort, workerData } from "node:worker_threads";
import { SystemClock, systemRandom } from "#pkg/clock";
import { becomeRealTime } from "#pkg/linux";
import { ThreadMember } from "./thread-member.ts";
import type { Command, Report, WorkerStart } from "./thread-messages.ts";

const port = parentPort;
if (port === null) throw new Error("Cannot run the ring's thread: this is the main thread");
becomeRealTime(); // Where it may not, it is on time as long as the machine has time.
const member = new ThreadMember(workerData as WorkerStart, {
  post: (report: Report) => port.postMessage(report),
  clock: new SystemClock(),
  random: systemRandom,
});
port.on("message", (command: Command) => member.receive(command));
