/**
 * The ring's thread: sockets, codec, state machine and gossip of one member, so that no work of the main thread delays a ping or an ack.
 * It waits in the kernel like the threads of layer 2 and BFD, but in turns of its event loop, because streams need that.
 */
import { parentPort, workerData } from "node:worker_threads";
import { systemRandom } from "#pkg/clock";
import { becomePrompt } from "#pkg/linux";
import { Hurry, hurryGarbageCollection, PolledEventLoop, trimHeap } from "#pkg/threads";
import { openSockets } from "./sockets.ts";
import { ThreadMember } from "./thread-member.ts";
import type { Command, Report, WorkerStart } from "./thread-messages.ts";

const port = parentPort;
if (port === null) throw new Error("Cannot run the ring's thread: this is the main thread");
const loop = new PolledEventLoop();
const hurry = new Hurry(loop);
const member = new ThreadMember(workerData as WorkerStart, {
  post: (report: Report) => {
    port.postMessage(report);
    if (report.type === "member" && report.change === "failed") hurry.begin();
  },
  clock: loop,
  random: systemRandom,
  openTransport: openSockets(loop),
});
port.on("message", (command: Command) => member.receive(command));
trimHeap();
// Where it may not, it is on time as long as the machine has time.
if (becomePrompt()) hurryGarbageCollection();
loop.start();
