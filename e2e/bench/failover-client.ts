/**
 * The client of `failover.bench.ts`, a process on a host of its lab. To each --address of a Service it sends a stream of UDP packets
 * that the Service's backend echoes, watches the kernel's neighbor entry for it, and asks for the IPv4 one by ARP. Prints a line of
 * JSON when all streams are answered, for each MAC address that the kernel learns and, on SIGTERM, what was not answered.
 */
import { execFileSync, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { becomeRealTime } from "#pkg/linux";
import { ArpAsker, monotonicNow } from "./arp-asker.ts";

/** Instants are those of `monotonicNow`. */
export type Line =
  | { readonly type: "streaming" }
  | { readonly type: "neighbor"; readonly address: string; readonly mac: string; readonly at: number }
  | {
      readonly type: "summary";
      /** When each packet was sent that was not answered. */
      readonly lost: Readonly<Record<string, readonly number[]>>; // address -> instants
      /** When ARP was asked in vain. */
      readonly unanswered: readonly number[];
      /** When this process went on after the machine had held it up, and for how long. */
      readonly stalls: readonly (readonly [at: number, ms: number])[];
    };

// IPv6 shows by its neighbor entry what there is to see; all packets pass through processes, which share this machine's processors.
const packetEveryMs = { IPv4: 1, IPv6: 20 };
const arpEveryMs = 5;
const lateMs = 300;
const stallMs = 10; // It is to work each millisecond.

function print(line: Line): void {
  console.log(JSON.stringify(line));
}

/** Packets to one address, and which of them came back. */
class Stream implements Disposable {
  readonly address: string;
  readonly everyMs: number;
  readonly #port: number;
  readonly #socket;
  readonly #unanswered = new Map<number, number>(); // number of the packet -> when it was sent
  #sent = 0;
  answered = false;

  constructor(address: string, port: number) {
    this.address = address;
    this.everyMs = packetEveryMs[isIPv6(address) ? "IPv6" : "IPv4"];
    this.#port = port;
    this.#socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    this.#socket.on("message", (data) => {
      this.answered = true;
      this.#unanswered.delete(Number(data.toString().split(" ").at(-1)));
    });
  }

  get lost(): readonly number[] {
    return [...this.#unanswered.values()];
  }

  send(): void {
    this.#unanswered.set(this.#sent, monotonicNow());
    this.#socket.send(`${this.#sent++}`, this.#port, this.address, () => {}); // A request that cannot be sent has no answer either.
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** Prints the MAC address of each neighbor, and each time that it becomes another one, as the kernel says so. */
function watchNeighbors(isRealTime: boolean): Disposable {
  const program = ["ip", "monitor", "neigh", "dev", "eth0"];
  const [name = "", ...argv] = isRealTime ? ["chrt", "--rr", "2", ...program] : program;
  const monitor = spawn(name, argv, { stdio: ["ignore", "pipe", "inherit"] });
  const learned = new Map<string, string>(); // address -> MAC address
  const read = (line: string): void => {
    const [, address, mac] = /^(\S+) .*lladdr (\S+)/.exec(line) ?? [];
    if (address === undefined || mac === undefined || learned.get(address) === mac) return;
    learned.set(address, mac);
    print({ type: "neighbor", address, mac, at: monotonicNow() });
  };
  createInterface({ input: monitor.stdout }).on("line", read);
  for (const line of execFileSync("ip", ["neigh", "show", "dev", "eth0"], { encoding: "utf8" }).split("\n")) read(line);
  return { [Symbol.dispose]: () => void monitor.kill() };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { address: { type: "string", multiple: true, default: [] }, port: { type: "string" } },
  });
  const isRealTime = becomeRealTime(); // It stands for another machine, with processors of its own.
  const ended = new Promise((resolve) => process.once("SIGTERM", resolve));
  using stack = new DisposableStack();
  stack.use(watchNeighbors(isRealTime));
  const asker = stack.use(new ArpAsker("eth0"));
  const streams = values.address.map((address) => stack.use(new Stream(address, Number(values.port))));
  const asked = values.address.filter((address) => !isIPv6(address));
  let streaming = false;
  let tick = 0;
  let tickedAt = monotonicNow();
  const stalls: [number, number][] = [];
  const timer = setInterval(() => {
    const now = monotonicNow();
    if (now - tickedAt > stallMs) stalls.push([now, now - tickedAt]);
    tickedAt = now;
    for (const stream of streams) if (tick % stream.everyMs === 0) stream.send();
    if (tick++ % arpEveryMs === 0) for (const address of asked) asker.ask(address);
    asker.listen();
    if (streaming || !streams.every(({ answered }) => answered)) return;
    streaming = true;
    print({ type: "streaming" });
  }, 1);
  await ended;
  clearInterval(timer);
  await sleep(lateMs);
  asker.listen();
  const lost = Object.fromEntries(streams.map(({ address, lost }) => [address, lost]));
  print({ type: "summary", lost, unanswered: asker.takeUnanswered(), stalls });
}
