import { type Clock, type Random, sleep } from "#pkg/clock";
import { EtherType, etherTypeFilter, icmpv6Filter, PacketSocket, ReceiveBatch, SendBatch, tcpPortFilter } from "#pkg/linux";
import {
  type Address,
  broadcastMac,
  formatMac,
  isLinkLocal,
  type Mac,
  multicastMac,
  parseAddress,
  parseMac,
  parsePrefix,
} from "#pkg/net";
import { wireAddress } from "./announced-addresses.ts";
import type { InterfaceState } from "./engine/interface-state.ts";
import { solicitationFrom } from "./frames/announcements.ts";
import { ArpOperation, arpFrameLength, decodeArp, encodeArp, type WireAddress } from "./frames/arp.ts";
import { decodeNeighbor, NeighborType, neighborFrameLength, solicitedNodeGroup } from "./frames/ndp.ts";
import { decodeTcpReply, encodeSyn, type TcpReply, tcpFrameLength } from "./frames/tcp.ts";

/** A question on the wire. */
export interface WireQuestion {
  readonly address: Address;
  /** A TCP port to connect to; undefined for none. */
  readonly port: number | undefined;
  /** The next hop on the way to the address, which is asked for in its place, as a router would; none where the address is on the link. */
  readonly via?: Address;
  /** Whether packets as large as the other end says to take are tried, too. */
  readonly isSized?: boolean;
}

/** The answer. */
export interface WireAnswer {
  /** MAC addresses that answered for the address, in no order, as hexadecimal bytes with colons between. */
  readonly macs: readonly string[];
  /** Result of the connection to the first of them; undefined if there was no attempt. */
  readonly connection: "accepts" | "refuses" | "silent" | undefined;
  /** Octets of the largest packet that the other end says to take, or that the link takes, and whether it arrives; undefined if not tried. */
  readonly largest?: { readonly octets: number; readonly arrives: boolean };
}

/** Questions at once, each with an answer or two. */
export const maxQuestions = 100;
const attempts = 3;
const attemptMs = 250;
const frameSize = 128;
// Beyond the ports that Linux gives to connections (net.ipv4.ip_local_port_range), so that no connection of the node has it.
const firstPort = 61_000;
const ports = 4_000;
// The MTU of Ethernet with jumbo frames, and those of usual tunnels and links.
const usualSizes = [9_000, 8_950, 1_500, 1_450, 1_400, 1_280];
const smallData = 64;

interface PendingQuestion {
  readonly question: WireQuestion;
  readonly asked: WireAddress;
  readonly macs: Set<Mac>;
  connection: WireAnswer["connection"];
  maxSegment: number | undefined;
  largest: WireAnswer["largest"];
}

/**
 * Asks hosts of a link, as a client or a router beside this node would, who has an address (ARP, or neighbor discovery), and whether a
 * connection is accepted there: a SYN to the MAC address that answered, past the node's own kernel, which kube-proxy would have answer by
 * itself. Nothing is sent on such a connection; the kernel, which knows nothing of it, resets it. Large packets are tried as SYNs with data, which
 * receivers may leave unread: those of a size are lost where a small one is answered. At most 100 questions at a time; takes 2.5 s at most.
 */
export class Asker {
  readonly #clock: Clock;
  readonly #random: Random;
  #ports: number; // Each round has another one, because hosts on the way remember connections.

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
    this.#ports = Math.floor(random() * ports);
  }

  /**
   * @param link an interface with an address in the subnet of each question's address, or of its next hop
   * @returns none for a question that this interface cannot ask
   * @throws {SystemCallError} when packet sockets are refused, or the interface is gone
   */
  async ask(link: InterfaceState, questions: readonly WireQuestion[]): Promise<ReadonlyMap<WireQuestion, WireAnswer>> {
    const mac = parseMac(link.mac);
    if (mac === undefined) return new Map();
    const pending = questions.slice(0, maxQuestions).flatMap((question): PendingQuestion[] => {
      const { address, via = address } = question;
      if (sourceFor(link, via) === undefined || sourceTo(link, question) === undefined) return [];
      const unanswered = { connection: undefined, maxSegment: undefined, largest: undefined };
      return [{ question, asked: wireAddress(via), macs: new Set(), ...unanswered }];
    });
    if (pending.length > 0) {
      await this.#askWho(link, mac, pending);
      await this.#connect(link, mac, pending);
      await this.#trySizes(link, mac, pending);
    }
    return new Map(
      pending.map(({ question, macs, connection, largest }) => {
        const answer = { macs: [...macs].map(formatMac), connection };
        return [question, largest === undefined ? answer : { ...answer, largest }];
      }),
    );
  }

  async #askWho(link: InterfaceState, mac: Mac, pending: readonly PendingQuestion[]): Promise<void> {
    using opened = new DisposableStack();
    const arp = openIn(opened, link, EtherType.arp, etherTypeFilter(EtherType.arp, frameSize));
    const ndp = openIn(opened, link, EtherType.ipv6, icmpv6Filter([NeighborType.advertisement], frameSize));
    const toSend = new SendBatch(maxQuestions, neighborFrameLength);
    const batch = new ReceiveBatch(64, frameSize);
    const asking = Map.groupBy(pending, ({ asked }) => asked);
    const answered = (address: WireAddress, from: Mac) => {
      for (const { macs } of asking.get(address) ?? []) macs.add(from);
    };
    const receive = () => {
      for (const { operation, senderAddress, senderMac, destination } of frames(arp, batch, decodeArp))
        if (operation === ArpOperation.reply && destination === mac) answered(senderAddress, senderMac);
      for (const { target, linkLayerAddress, sourceMac, destinationMac } of frames(ndp, batch, decodeNeighbor))
        if (destinationMac === mac) answered(target, linkLayerAddress ?? sourceMac);
    };
    for (let attempt = 0; attempt < attempts; attempt++) {
      const open = [...asking.values()].flatMap(([one]) => (one === undefined || one.macs.size > 0 ? [] : [one]));
      if (open.length === 0) break;
      for (const [socket, isIpv6] of [[arp, false] as const, [ndp, true] as const]) {
        for (const { question, asked } of open)
          if ((typeof asked === "bigint") === isIpv6) toSend.push(questionFrame(link, mac, question.via ?? question.address));
        socket.send(toSend);
        toSend.clear();
      }
      await sleep(this.#clock, "wire question", attemptMs);
      receive();
    }
  }

  async #connect(link: InterfaceState, mac: Mac, pending: readonly PendingQuestion[]): Promise<void> {
    const asked = pending.filter(({ question, macs }) => question.port !== undefined && macs.size > 0);
    for (const [one, { reply }] of await this.#sendSyns(link, mac, asked, () => 0)) {
      one.connection = reply?.answer ?? "silent";
      one.maxSegment = reply?.answer === "accepts" ? reply.maxSegment : undefined;
    }
  }

  /** A large packet that is lost says nothing where a small one with data is not answered either. */
  async #trySizes(link: InterfaceState, mac: Mac, pending: readonly PendingQuestion[]): Promise<void> {
    const sizable = pending.filter(({ question, maxSegment = 0 }) => question.isSized === true && maxSegment > smallData);
    const [small, large] = await Promise.all([
      this.#sendSyns(link, mac, sizable, () => smallData),
      this.#sendSyns(link, mac, sizable, ({ maxSegment = 0 }) => maxSegment),
    ]);
    for (const one of sizable) {
      const { sent = 0, reply } = large.get(one) ?? {};
      if (small.get(one)?.reply?.answer !== "accepts" || sent <= smallData) continue;
      one.largest = { octets: sent + headersOf(one.question), arrives: reply?.answer === "accepts" };
    }
  }

  /** Begins a connection for each question. @returns the replies, and how much data was sent: less than it should where the link takes no more */
  async #sendSyns(
    link: InterfaceState,
    sourceMac: Mac,
    pending: readonly PendingQuestion[],
    dataOf: (one: PendingQuestion) => number,
  ): Promise<ReadonlyMap<PendingQuestion, SynResult>> {
    const results = new Map(pending.map((one, index): [PendingQuestion, SynResult] => [one, { index, sent: dataOf(one) }]));
    if (results.size === 0) return results;
    const sourcePort = firstPort + (this.#ports++ % ports);
    const first = Math.floor(this.#random() * 0x1_0000_0000);
    // Each question has its own, by which its reply is known.
    const sequenceOf = ({ index }: SynResult) => (first + index * 0x1_0000) % 0x1_0000_0000;
    using opened = new DisposableStack();
    const ipv4 = openIn(opened, link, EtherType.ipv4, tcpPortFilter("IPv4", sourcePort, frameSize));
    const ipv6 = openIn(opened, link, EtherType.ipv6, tcpPortFilter("IPv6", sourcePort, frameSize));
    const sockets = [[ipv4, "IPv4"] as const, [ipv6, "IPv6"] as const];
    const longest = results.values().reduce((most, { sent }) => Math.max(most, sent), 0);
    const toSend = new SendBatch(pending.length, tcpFrameLength + longest);
    const batch = new ReceiveBatch(64, frameSize);
    const isOpen = () => results.values().some(({ reply }) => reply === undefined);
    for (let attempt = 0; attempt < attempts && isOpen(); attempt++) {
      for (const [socket, family] of sockets) {
        const open = [...results].filter(
          ([{ question }, { reply }]) => question.address.family === family && reply === undefined,
        );
        for (let unsent = open; unsent.length > 0; ) {
          for (const [{ question, macs }, result] of unsent) {
            const ends = {
              source: wireAddress(sourceTo(link, question) ?? question.address),
              destination: wireAddress(question.address),
              sourcePort,
              destinationPort: question.port ?? 0,
            };
            const [destinationMac = 0] = macs;
            toSend.push(encodeSyn({ ...ends, destinationMac, sourceMac, sequence: sequenceOf(result), data: result.sent }));
          }
          const failures = socket.send(toSend).filter(({ error }) => error.code === "EMSGSIZE");
          toSend.clear();
          const tooLong = new Set(failures.map(({ index }) => index));
          unsent = unsent.filter((_, index) => tooLong.has(index));
          for (const [{ question }, result] of unsent) result.sent = lessThan(result.sent, headersOf(question));
          unsent = unsent.filter(([, { sent }]) => sent > 0);
        }
      }
      await sleep(this.#clock, "wire question", attemptMs);
      for (const [socket] of sockets)
        for (const reply of frames(socket, batch, decodeTcpReply))
          for (const [{ question }, result] of results) {
            const acknowledged = (reply.acknowledgment - sequenceOf(result) + 0x1_0000_0000) % 0x1_0000_0000;
            const isIts = reply.source === wireAddress(question.address) && reply.sourcePort === question.port;
            if (isIts && (acknowledged === 1 || acknowledged === 1 + result.sent)) result.reply = reply;
          }
    }
    return results;
  }
}

interface SynResult {
  readonly index: number;
  /** Octets of data. */
  sent: number;
  reply?: TcpReply;
}

const headersOf = ({ address }: WireQuestion): number => (address.family === "IPv6" ? 60 : 40);

/** How much data the next smaller one of the usual packets has; 0 if all are larger. */
function lessThan(data: number, headers: number): number {
  return Math.max(0, (usualSizes.find((size) => size < data + headers) ?? 0) - headers);
}

/** A socket that is closed with `opened`, without holding up this thread. */
function openIn(opened: DisposableStack, { index }: InterfaceState, etherType: number, filter: Uint8Array): PacketSocket {
  return opened.adopt(PacketSocket.open(index, etherType, filter), (socket) => socket.closeAside());
}

/** Received frames of others, decoded. */
function* frames<Packet>(
  socket: PacketSocket,
  batch: ReceiveBatch,
  decode: (frame: Uint8Array) => Packet | undefined,
): Generator<Packet, void> {
  for (let count = batch.capacity; count === batch.capacity; ) {
    count = socket.receive(batch);
    for (let i = 0; i < count; i++) {
      const { frame, arrival } = batch.frame(i);
      const packet = arrival === "outgoing" || arrival === "otherHost" ? undefined : decode(frame);
      if (packet !== undefined) yield packet;
    }
  }
}

function questionFrame(link: InterfaceState, mac: Mac, address: Address): Uint8Array {
  const target = wireAddress(address);
  if (typeof target === "bigint") {
    const own = ownAddresses(link).find(({ address }) => isLinkLocal(address))?.address ?? sourceFor(link, address);
    return solicitationFrom(own?.value ?? 0n, mac, target, multicastMac(solicitedNodeGroup(target)));
  }
  const frame = {
    destination: broadcastMac,
    source: mac,
    operation: ArpOperation.request,
    senderMac: mac,
    senderAddress: Number(sourceFor(link, address)?.value ?? 0n),
    targetMac: 0,
    targetAddress: target,
  };
  return encodeArp(frame, new Uint8Array(arpFrameLength));
}

/** The address of the interface from which packets to the address of the question leave. */
function sourceTo(link: Sources, { address, via }: WireQuestion): Address | undefined {
  if (via === undefined) return sourceFor(link, address);
  return ownAddresses(link).find(({ address: own }) => own.family === address.family && !isLinkLocal(own))?.address;
}

/** The address of the interface in the subnet of `address`; undefined where it has none there, or none to send from. */
export function sourceFor(link: Sources, address: Address): Address | undefined {
  return ownAddresses(link).find(({ subnet }) => subnet.contains(address))?.address;
}

type Sources = Pick<InterfaceState, "addresses" | "unfit">;

/** Without those that another host may have, or that are about to go: answers would not come. */
function ownAddresses({ addresses, unfit = [] }: Sources) {
  const fit = addresses.filter((text) => !unfit.includes(text));
  return fit.flatMap((text) => {
    const subnet = parsePrefix(text);
    const address = parseAddress(text.replace(/\/.*$/, ""));
    return subnet === undefined || address === undefined ? [] : [{ address, subnet }];
  });
}
