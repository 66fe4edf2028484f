/**
 * A client of UDP Services whose Pods echo: `stream.ts NAME=ADDRESS …`, a process on the client's host. Sends a packet to port 9000 of each
 * every 5 ms, and asks by ARP every 20 ms who has those addresses that are on its link. Prints `streaming` once all have answered and, on
 * SIGTERM, a line of JSON: `Streamed`.
 */
import { createSocket } from "node:dgram";
import { setTimeout as sleep } from "node:timers/promises";
import { ArpAsker } from "../../bench/arp-asker.ts";

export type Streamed = Readonly<Record<string, StreamedTo>>; // name -> what became of its packets

export interface StreamedTo {
  readonly sent: number;
  readonly lost: number;
  /** Stray packets that were not sent within a second of another node's becoming the owner. */
  readonly stray: number;
  /** Packets answered by another Pod that were not sent within a second of that change. */
  readonly strayFromPods: number;
  /** Milliseconds between the packets around each run of lost ones. */
  readonly gaps: readonly number[];
  /** How many answers came from Pods of each node. */
  readonly nodes: Readonly<Record<string, number>>;
  /** Only for addresses on the link; `owners` are MAC addresses that alone answered, one for each time that it was another than before. */
  readonly arp: {
    readonly asked: number;
    readonly unanswered: number;
    /** Milliseconds of each run of requests without an answer. */
    readonly gaps: readonly number[];
    readonly answeredByTwo: number;
    readonly owners: readonly string[];
  };
}

const everyMs = 5;
const arpEvery = 4; // packets
const lateMs = 5_000;
const nearPackets = 200;
const atOncePackets = 20;
const bufferBytes = 1 << 20; // For when this process waits for a processor.

class Stream implements Disposable {
  readonly name: string;
  readonly #address: string;
  readonly #socket = createSocket({ type: "udp4", recvBufferSize: bufferBytes });
  readonly #unanswered = new Set<number>();
  readonly #nodes: Record<string, number> = {};
  readonly #answers: { readonly packet: number; readonly from: string }[] = [];
  readonly #asker: ArpAsker | undefined;
  readonly #asked = new Map<number, { readonly packet: number; readonly macs: Set<string> }>(); // request -> its time, and the nodes that answered
  #sent = 0;
  #answered = false;

  constructor(target: string, asker: ArpAsker) {
    const [name = "", address = ""] = target.split("=");
    this.name = name;
    this.#address = address;
    this.#asker = address.startsWith("172.30.0.") ? asker : undefined;
    this.#socket.on("message", (data) => {
      const [node = "", number] = data.toString().split(" ");
      this.#answered = true;
      this.#unanswered.delete(Number(number));
      this.#nodes[node] = (this.#nodes[node] ?? 0) + 1;
      this.#answers.push({ packet: Number(number), from: node });
    });
  }

  get isAnswered(): boolean {
    return this.#answered;
  }

  get isWaiting(): boolean {
    return this.#unanswered.size > 0;
  }

  /** Forgets what was not answered so far. */
  begin(): void {
    this.#unanswered.clear();
  }

  send(): void {
    this.#unanswered.add(this.#sent);
    if (this.#asker !== undefined && this.#sent % arpEvery === 0)
      this.#asked.set(this.#asker.ask(this.#address), { packet: this.#sent, macs: new Set() });
    this.#socket.send(`${this.#sent++}`, 9000, this.#address, () => {}); // A packet that cannot be sent has no answer either.
  }

  /** An answer by ARP, to any stream's request. */
  replied(request: number, mac: string): void {
    this.#asked.get(request)?.macs.add(mac);
  }

  report(): StreamedTo {
    const lost = [...this.#unanswered];
    const gaps = gapsOf(lost, everyMs);
    const answers = [...this.#asked.values()];
    const silent = answers.flatMap(({ macs }, index) => (macs.size === 0 ? [index] : []));

    const single = answers.flatMap(({ packet, macs }) => (macs.size === 1 ? [{ packet, from: [...macs].join() }] : []));
    const stray = strayFrom(single, lost);
    const strayFromPods = strayFrom(
      this.#answers.toSorted((a, b) => a.packet - b.packet),
      lost,
    );
    const arp = {
      asked: answers.length,
      unanswered: silent.length,
      gaps: gapsOf(silent, arpEvery * everyMs),
      answeredByTwo: answers.filter(({ macs }) => macs.size > 1).length,
      owners: single
        .filter(({ from }, index) => from !== single[index - 1]?.from)
        .map(({ from }) => from.replace(/..(?!$)/g, "$&:")),
    };
    return { sent: this.#sent, lost: lost.length, stray, strayFromPods, gaps, nodes: this.#nodes, arp };
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** How long each run of consecutive numbers is: the time between what is around it. */
function gapsOf(numbers: readonly number[], every: number): number[] {
  const gaps: number[] = [];
  for (const [index, number] of numbers.entries()) {
    if (number !== (numbers[index - 1] ?? -2) + 1) gaps.push(every);
    gaps.push((gaps.pop() ?? 0) + every);
  }
  return gaps;
}

/** How many packets were lost while answers before and after came from the same, a second around included. @param answers in order */
function strayFrom(answers: readonly { readonly packet: number; readonly from: string }[], lost: readonly number[]): number {
  const changes = answers.flatMap(({ packet, from }, index) => {
    const before = answers[index - 1];
    return before === undefined || before.from === from
      ? []
      : [{ begin: before.packet - nearPackets, end: packet + nearPackets }];
  });
  return lost.filter((packet) => !changes.some(({ begin, end }) => packet >= begin && packet <= end)).length;
}

if (import.meta.main) {
  using stack = new DisposableStack();
  const asker: ArpAsker = stack.use(
    new ArpAsker("eth0", (request, mac) => {
      for (const stream of streams) stream.replied(request, mac);
    }),
  );
  const streams = process.argv.slice(2).map((target) => stack.use(new Stream(target, asker)));
  let isStopped = false;
  process.once("SIGTERM", () => {
    isStopped = true;
  });
  let isStreaming = false;
  let due = performance.now();
  for (; !isStopped; await sleep(1)) {
    asker.listen();
    // It leaves out late packets: a burst would fill buffers, which no client of this kind does.
    due = Math.max(due, performance.now() - atOncePackets * everyMs);
    for (; due < performance.now(); due += everyMs) {
      for (const stream of streams) stream.send();
      if (isStreaming || !streams.every(({ isAnswered }) => isAnswered)) continue;
      isStreaming = true;
      for (const stream of streams) stream.begin();
      console.log("streaming");
    }
  }
  const stopped = performance.now();
  do {
    await sleep(500); // Answers by ARP are late as well.
    asker.listen();
  } while (streams.some(({ isWaiting }) => isWaiting) && performance.now() - stopped < lateMs);
  console.log(JSON.stringify(Object.fromEntries(streams.map((stream) => [stream.name, stream.report()])) satisfies Streamed));
}
