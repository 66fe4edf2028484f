import { execFileSync } from "node:child_process";
import { EtherType, etherTypeFilter, PacketSocket, ReceiveBatch, SendBatch } from "#pkg/linux";
import { parseAddress } from "#pkg/net";

/** A gratuitous announcement that was received. */
export interface Announced {
  readonly address: string;
  readonly mac: string;
}

const requestOperation = 1;
const replyOperation = 2;
const lateMs = 200;
// A host that is not there, on the same cable as this one, so that the answers to it teach this one's kernel nothing.
const mac = "020000fffffe";
const senders = 0x0a000000; // Each request has a sender address of its own, by which its answer is known.

/** Milliseconds of CLOCK_MONOTONIC, the same in every process. */
export function monotonicNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Asks by ARP as a host would that does not know an address, and receives announcements. To be polled with `listen`. */
export class ArpAsker implements Disposable {
  readonly #socket: PacketSocket;
  readonly #toSend = new SendBatch(1, 60);
  readonly #received = new ReceiveBatch(64, 60);
  readonly #open = new Map<number, number>(); // sender address -> when it asked
  readonly #onReply: (request: number, mac: string) => void;
  #asked = 0;

  /** @param onReply hears of every answer to the request that `ask` returned; of several, if there are several */
  constructor(interfaceName: string, onReply: (request: number, mac: string) => void = () => {}) {
    this.#onReply = onReply;
    const link = execFileSync("ip", ["-o", "link", "show", "dev", interfaceName], { encoding: "utf8" });
    this.#socket = PacketSocket.open(Number.parseInt(link, 10), EtherType.arp, etherTypeFilter(EtherType.arp, 60));
  }

  ask(address: string): number {
    const sender = senders + (this.#asked++ & 0xffffff);
    const target = Buffer.from(parseAddress(address)?.toBytes() ?? []).toString("hex");
    const header = ["ffffffffffff", mac, "0806", "000108000604", "0001"].join("");
    const body = [mac, sender.toString(16).padStart(8, "0"), "0".repeat(12), target].join("");
    this.#toSend.clear();
    this.#toSend.push(Buffer.from(header + body, "hex"));
    this.#open.set(sender, monotonicNow());
    this.#socket.send(this.#toSend);
    return sender;
  }

  /** Takes in the frames that have arrived. @returns the announcements */
  listen(): readonly Announced[] {
    const now = monotonicNow();
    const announced: Announced[] = [];
    for (let count = this.#received.capacity; count === this.#received.capacity; ) {
      count = this.#socket.receive(this.#received);
      for (let i = 0; i < count; i++) {
        const frame = Buffer.from(this.#received.frame(i).frame);
        const [operation, sender, target] = [frame.readUInt16BE(20), frame.readUInt32BE(28), frame.readUInt32BE(38)];
        if (operation === replyOperation) {
          if (now - (this.#open.get(target) ?? now) <= lateMs) this.#open.delete(target);
          this.#onReply(target, frame.toString("hex", 22, 28));
        }
        if (operation === requestOperation && sender === target)
          announced.push({ address: frame.subarray(28, 32).join("."), mac: frame.toString("hex", 22, 28) });
      }
    }
    return announced;
  }

  /** When the requests were sent that have had no answer for 200 ms; each is returned once. */
  takeUnanswered(): readonly number[] {
    const now = monotonicNow();
    const late = [...this.#open].filter(([, at]) => now - at > lateMs);
    for (const [sender] of late) this.#open.delete(sender);
    return late.map(([, at]) => at);
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}
