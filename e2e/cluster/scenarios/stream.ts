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
  /** Of these, those that were not sent within a second of another node's becoming the owner. */
  readonly stray: number;
  /** Milliseconds between the packets around each run of lost ones. */
  readonly gaps: readonly number[];
  /** How many answers came from Pods of each node. */
  readonly nodes: Readonly<Record<string, number>>;
  /** Only for addresses on the link; `owners` are MAC addresses that alone answered, one for each time that it was another than before. */
  readonly arp: {
    readonly asked: number;
    readonly unanswered: number;
    readonly answeredByTwo: number;
    readonly owners: readonly string[];
  };
}

const everyMs = 5;
const arpEvery = 4; // packets
const lateMs = 500;
const nearPackets = 200;

class Stream implements Disposable {
  readonly name: string;
  readonly #address: string;
  readonly #socket = createSocket("udp4");
  readonly #unanswered = new Set<number>();
  readonly #nodes: Record<string, number> = {};
  readonly #asker: ArpAsker | undefined;
  readonly #asked = new Map<number, { readonly packet: number; readonly macs: Set<string> }>(); // request -> when, and who answered
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
    });
  }

  get isAnswered(): boolean {
    return this.#answered;
  }

  send(): void {
    this.#unanswered.add(this.#sent);
    if (this.#asker !== undefined && this.#sent % arpEvery === 0)
      this.#asked.set(this.#asker.ask(this.#address), { packet: this.#sent, macs: new Set() });
    this.#socket.send(`${this.#sent++}`, 9000, this.#address, () => {}); // What cannot be sent is not answered either.
  }

  /** An answer by ARP, to any stream's request. */
  replied(request: number, mac: string): void {
    this.#asked.get(request)?.macs.add(mac);
  }

  report(): StreamedTo {
    const lost = [...this.#unanswered];
    const gaps: number[] = [];
    for (const [index, number] of lost.entries()) {
      if (number !== (lost[index - 1] ?? -2) + 1) gaps.push(everyMs);
      gaps.push((gaps.pop() ?? 0) + everyMs);
    }
    const answers = [...this.#asked.values()];
    const single = answers.flatMap(({ packet, macs }) => (macs.size === 1 ? [{ packet, mac: [...macs].join() }] : []));
    const changes = single.flatMap(({ packet, mac }, index) => {
      const before = single[index - 1];
      return before === undefined || before.mac === mac ? [] : [{ from: before.packet - nearPackets, to: packet + nearPackets }];
    });
    const stray = lost.filter((packet) => !changes.some(({ from, to }) => packet >= from && packet <= to)).length;
    const arp = {
      asked: answers.length,
      unanswered: answers.filter(({ macs }) => macs.size === 0).length,
      answeredByTwo: answers.filter(({ macs }) => macs.size > 1).length,
      owners: single.filter(({ mac }, index) => mac !== single[index - 1]?.mac).map(({ mac }) => mac.replace(/..(?!$)/g, "$&:")),
    };
    return { sent: this.#sent, lost: lost.length, stray, gaps, nodes: this.#nodes, arp };
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
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
  const started = performance.now();
  for (let sent = 0; !isStopped; await sleep(1)) {
    asker.listen();
    for (; sent * everyMs < performance.now() - started; sent++) {
      for (const stream of streams) stream.send();
      if (isStreaming || !streams.every(({ isAnswered }) => isAnswered)) continue;
      isStreaming = true;
      console.log("streaming");
    }
  }
  await sleep(lateMs);
  asker.listen();
  console.log(JSON.stringify(Object.fromEntries(streams.map((stream) => [stream.name, stream.report()])) satisfies Streamed));
}
