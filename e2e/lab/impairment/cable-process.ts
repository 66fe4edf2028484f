// A bad cable: takes frames from each of two interfaces to the other, as an impairment says. `cable-process.ts IMPAIRMENT INTERFACE INTERFACE`, until it
// is killed; prints `connected` when it carries frames.
import { performance } from "node:perf_hooks";
import { seededRandom } from "#pkg/clock/testing";
import { interfaceIndexOf, type PacketSocket, PollSet, ReceiveBatch, SendBatch, SystemCallError } from "#pkg/linux";
import { openForWholeFrames } from "#pkg/linux/testing";
import { corrupted, fateOf, type Impairment } from "./impairment.ts";

// Segments of TCP that are yet to be cut are that long, with their headers.
const frameSize = 66_000;
const maxWaitMs = 1_000;
// More than waits at any rate that labs have; a flood has to end somewhere.
const maxWaiting = 20_000;

interface Waiting {
  readonly at: number;
  readonly to: PacketSocket;
  readonly frame: Uint8Array;
}

function carry(impairment: Impairment, one: PacketSocket, other: PacketSocket): never {
  const random = seededRandom(impairment.seed);
  const received = new ReceiveBatch(16, frameSize);
  const sent = new SendBatch(1, frameSize);
  const poll = new PollSet();
  poll.watch([one.fd, other.fd]);
  const waiting: Waiting[] = []; // In the order of their time.

  const take = (from: PacketSocket, to: PacketSocket): void => {
    const now = performance.now();
    for (let count = received.capacity; count === received.capacity; ) {
      count = receiveFrom(from, received);
      for (let index = 0; index < count; index++) {
        const { frame, arrival } = received.frame(index);
        if (arrival === "outgoing") continue; // The cable's own namespace sent it, which is no host.
        for (const { delay, isCorrupt } of fateOf(impairment, random)) {
          const copy = (isCorrupt && corrupted(frame, random)) || Uint8Array.from(frame);
          if (waiting.length < maxWaiting) insert(waiting, { at: now + delay, to, frame: copy });
        }
      }
    }
  };

  console.log("connected");
  for (;;) {
    const [next] = waiting;
    const ready = poll.wait(next === undefined ? maxWaitMs : Math.min(maxWaitMs, next.at - performance.now()));
    if (ready.includes(one.fd)) take(one, other);
    if (ready.includes(other.fd)) take(other, one);
    const due = waiting.findIndex(({ at }) => at > performance.now());
    for (const { to, frame } of waiting.splice(0, due < 0 ? waiting.length : due)) {
      sent.clear();
      sent.push(frame);
      to.send(sent); // A frame that cannot leave is lost, as on a pulled cable.
    }
  }
}

function receiveFrom(socket: PacketSocket, batch: ReceiveBatch): number {
  try {
    return socket.receive(batch);
  } catch (error) {
    if (error instanceof SystemCallError && error.code === "ENETDOWN") return 0; // Said once; it goes on when the interface is up.
    throw error;
  }
}

function insert(waiting: Waiting[], one: Waiting): void {
  let at = waiting.length;
  while (at > 0 && (waiting[at - 1]?.at ?? 0) > one.at) at--;
  waiting.splice(at, 0, one);
}

function opened(name: string): PacketSocket {
  const index = interfaceIndexOf(name);
  if (index === undefined) throw new Error(`Cannot find interface ${name}`);
  return openForWholeFrames(index);
}

if (import.meta.main) {
  const [impairment = "{}", one = "", other = ""] = process.argv.slice(2);
  carry(JSON.parse(impairment), opened(one), opened(other));
}
