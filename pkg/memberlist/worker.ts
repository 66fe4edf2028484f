/**
 * The ring's thread: sockets, codec, state machine and gossip of one member, so that whatever the main thread does delays no ping and no
 * ack. Unlike the threads of layer 2 and BFD it waits in Node's event loop, because streams need it.
 */
import { readlinkSync } from "node:fs";
import { basename } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { SystemClock, systemRandom } from "#pkg/clock";
import { trimHeap } from "#pkg/heap";
import { ThreadMember } from "./thread-member.ts";
import type { Command, Report, WorkerStart } from "./thread-messages.ts";

const port = parentPort;
if (port === null) throw new Error("Cannot run the ring's thread: this is the main thread");
const member = new ThreadMember(workerData as WorkerStart, {
  post: (report: Report) => port.postMessage(report),
  clock: new SystemClock(),
  random: systemRandom,
});
port.on("message", (command: Command) => member.receive(command));
trimHeap();
// The main thread makes it real-time: what is needed for system calls would take another megabyte here.
port.postMessage({ type: "thread", thread: threadNumber() } satisfies Report);

/** As the kernel counts threads. Undefined where /proc is not to be read. */
function threadNumber(): number | undefined {
  try {
    return Number(basename(readlinkSync("/proc/thread-self")));
  } catch {
    return undefined;
  }
}
