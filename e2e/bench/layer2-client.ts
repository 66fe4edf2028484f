/** The client of `layer2.bench.ts`, in a network namespace of its own: probes addresses, and prints how it went. */
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { EtherType, etherTypeFilter, icmpv6Filter, PacketSocket, PollSet, ReceiveBatch, SendBatch } from "#pkg/linux";
import { parseAddress } from "#pkg/net";
import { arrivedAt, kernelNow, stampArrivals } from "./kernel-time.ts";

export type Protocol = "ARP" | "NDP";

export interface Question {
  readonly protocol: Protocol;
  /** The address that is asked for, and the client's own. */
  readonly target: string;
  readonly sender: string;
}

/** Microseconds from each question until the answer. */
export interface Waits {
  /** Was at the client's interface. */
  readonly arrived: number[];
  /** Was read by the client, which may have had to wait for a core. */
  readonly read: number[];
}

const batch = 32;
const octets = 128;
const neighborAdvertisement = 136;
const [name = ""] = process.argv.slice(2);
const received = new ReceiveBatch(batch, octets);
const poll = new PollSet();

export const client = {
  /** Asks `count` times, a millisecond apart, each after the answer to the one before. */
  async ask(question: Question, count: number): Promise<Waits> {
    using socket = open(question.protocol);
    const request = frames(question, 1);
    const waits = { arrived: [] as number[], read: [] as number[] };
    poll.watch([socket.fd]);
    stampArrivals(socket.fd);
    for (let i = 0; i < count; i++) {
      await sleep(1);
      while (socket.receive(received) > 0); // Late ones.
      const start = kernelNow();
      socket.send(request);
      let answered = false;
      for (const end = performance.now() + 1000; !answered && performance.now() < end; answered = socket.receive(received) > 0)
        poll.wait(end - performance.now());
      waits.read.push(answered ? kernelNow() - start : Infinity);
      waits.arrived.push(answered ? arrivedAt(socket.fd) - start : Infinity);
    }
    return waits;
  },

  /** Asks at an even rate, or as fast as it can. @returns how often it asked, how many answers came, and seconds until the last */
  flood(question: Question, perSecond: number, milliseconds: number): { asked: number; answered: number; seconds: number } {
    using socket = open(question.protocol);
    const requests = frames(question, batch);
    let asked = 0;
    let answered = 0;
    const start = performance.now();
    for (let passed = 0; passed < milliseconds; passed = performance.now() - start) {
      if ((passed / 1000) * perSecond - asked >= batch) asked += batch - socket.send(requests).length;
      answered += socket.receive(received);
    }
    poll.watch([socket.fd]);
    let seconds = 0;
    for (let more = 1; more > 0; answered += more) {
      seconds = (performance.now() - start) / 1000;
      poll.wait(100);
      more = socket.receive(received);
    }
    return { asked, answered, seconds };
  },
};

function open(protocol: Protocol): PacketSocket {
  const index = Number.parseInt(execFileSync("ip", ["-o", "link", "show", "dev", name], { encoding: "utf8" }), 10);
  if (protocol === "ARP") return PacketSocket.open(index, EtherType.arp, etherTypeFilter(EtherType.arp, octets));
  return PacketSocket.open(index, EtherType.ipv6, icmpv6Filter([neighborAdvertisement], octets));
}

/** The same question, this many times. */
function frames(question: Question, count: number): SendBatch {
  const frame = encode(question);
  const requests = new SendBatch(count, frame.length);
  for (let i = 0; i < count; i++) requests.push(frame);
  return requests;
}

/** Encodes the question that a Linux host sends when it looks for an address. */
function encode({ protocol, target, sender }: Question): Uint8Array {
  const [link] = JSON.parse(execFileSync("ip", ["-json", "link", "show", "dev", name], { encoding: "utf8" }));
  const mac = Buffer.from(link.address.replaceAll(":", ""), "hex");
  const [wanted, own] = [target, sender].map((text) => parseAddress(text)?.toBytes() ?? new Uint8Array());
  if (wanted === undefined || own === undefined) throw new Error(`Cannot ask for ${target}`);
  if (protocol === "ARP") {
    const header = Buffer.from("0806" + "0001080006040001", "hex");
    return Buffer.concat([Buffer.alloc(6, 0xff), mac, header, mac, own, Buffer.alloc(6), wanted]);
  }
  const group = Buffer.concat([Buffer.from("ff0200000000000000000001ff", "hex"), wanted.subarray(13)]);
  const addresses = Buffer.concat([own, group]);
  const message = Buffer.concat([Buffer.from("8700000000000000", "hex"), wanted, Buffer.from("0101", "hex"), mac]);
  message.writeUInt16BE(
    checksum(Buffer.concat([addresses, Buffer.from([message.length, 58].flatMap((n) => [0, n])), message])),
    2,
  );
  const header = Buffer.from(`86dd6000000000${message.length.toString(16)}3aff`, "hex");
  return Buffer.concat([Buffer.from([0x33, 0x33]), group.subarray(12), mac, header, addresses, message]);
}

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** The benchmark's message for one call. */
export interface Call {
  readonly method: keyof typeof client;
  readonly parameters: readonly unknown[];
}

process.on("message", async ({ method, parameters }: Call) => {
  const call = client[method] as (...parameters: readonly unknown[]) => unknown;
  process.send?.(await call(...parameters));
});
process.on("disconnect", () => process.exit());
process.send?.("ready");
