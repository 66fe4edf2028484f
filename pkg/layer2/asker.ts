import { type Clock, type Random, sleep } from "#pkg/clock";
import { EtherType, etherTypeFilter, icmpv6Filter, PacketSocket, ReceiveBatch, SendBatch, tcpPortFilter } from "#pkg/linux";
import { type Address, broadcastMac, formatMac, isLinkLocal, type Mac, parseAddress, parseMac, parsePrefix } from "#pkg/net";
import { wireAddress } from "./announced-addresses.ts";
import type { InterfaceState } from "./engine/interface-state.ts";
import { solicitationFrom } from "./frames/announcements.ts";
import { ArpOperation, arpFrameLength, decodeArp, encodeArp, type WireAddress } from "./frames/arp.ts";
import { decodeNeighbor, multicastMac, NeighborType, neighborFrameLength, solicitedNodeGroup } from "./frames/ndp.ts";
import { decodeTcpReply, encodeSyn, tcpFrameLength } from "./frames/tcp.ts";

/** A question on the wire. */
export interface WireQuestion {
  readonly address: Address;
  /** A TCP port to connect to; undefined for none. */
  readonly port: number | undefined;
}

/** The answer. */
export interface WireAnswer {
  /** MAC addresses that answered for the address, in no order, as hexadecimal bytes with colons between. */
  readonly macs: readonly string[];
  /** Result of the connection to the first of them; undefined if there was no attempt. */
  readonly connection: "accepts" | "refuses" | "silent" | undefined;
}

/** Questions at once, each with an answer or two. */
export const maxQuestions = 100;
const attempts = 3;
const attemptMs = 250;
const frameSize = 128;
// Beyond the ports that Linux gives to connections (net.ipv4.ip_local_port_range), so that no connection of the node has it.
const firstPort = 61_000;
const ports = 4_000;

interface PendingQuestion {
  readonly question: WireQuestion;
  readonly wire: WireAddress;
  readonly macs: Set<Mac>;
  connection: WireAnswer["connection"];
}

/**
 * Asks hosts of a link, as a client beside this node would, who has an address (ARP, or neighbor discovery), and whether a connection is
 * accepted there: a SYN to the MAC address that answered, past the node's own kernel, which kube-proxy would have answer by itself. Nothing is
 * sent on such a connection; the kernel, which knows nothing of it, resets it. At most 100 addresses at a time; takes 2 s at most.
 */
export class Asker {
  readonly #clock: Clock;
  readonly #random: Random;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * @param link an interface with an address in the subnet of each question's address
   * @returns address -> answer; none for an address that this interface cannot ask about
   * @throws {SystemCallError} when packet sockets are refused, or the interface is gone
   */
  async ask(link: InterfaceState, questions: readonly WireQuestion[]): Promise<ReadonlyMap<string, WireAnswer>> {
    const mac = parseMac(link.mac);
    const asked = new Map<WireAddress, PendingQuestion>();
    if (mac !== undefined)
      for (const question of questions.slice(0, maxQuestions)) {
        const wire = wireAddress(question.address);
        if (sourceFor(link, question.address) !== undefined)
          asked.set(wire, { question, wire, macs: new Set(), connection: undefined });
      }
    if (mac !== undefined && asked.size > 0) {
      await this.#askWho(link, mac, asked);
      await this.#connect(link, mac, asked);
    }
    return new Map(
      [...asked.values()].map(({ question, macs, connection }) => [
        question.address.toString(),
        { macs: [...macs].map(formatMac), connection },
      ]),
    );
  }

  async #askWho(link: InterfaceState, mac: Mac, asked: ReadonlyMap<WireAddress, PendingQuestion>): Promise<void> {
    using arp = PacketSocket.open(link.index, EtherType.arp, etherTypeFilter(EtherType.arp, frameSize));
    using ndp = PacketSocket.open(link.index, EtherType.ipv6, icmpv6Filter([NeighborType.advertisement], frameSize));
    const toSend = new SendBatch(maxQuestions, neighborFrameLength);
    const batch = new ReceiveBatch(64, frameSize);
    const receive = () => {
      for (const { operation, senderAddress, senderMac, destination } of frames(arp, batch, decodeArp))
        if (operation === ArpOperation.reply && destination === mac) asked.get(senderAddress)?.macs.add(senderMac);
      for (const { target, linkLayerAddress, sourceMac, destinationMac } of frames(ndp, batch, decodeNeighbor))
        if (destinationMac === mac) asked.get(target)?.macs.add(linkLayerAddress ?? sourceMac);
    };
    for (let attempt = 0; attempt < attempts; attempt++) {
      const open = [...asked.values()].filter(({ macs }) => macs.size === 0);
      if (open.length === 0) break;
      for (const [socket, isIpv6] of [[arp, false] as const, [ndp, true] as const]) {
        for (const { question, wire } of open)
          if ((typeof wire === "bigint") === isIpv6) toSend.push(questionFrame(link, mac, question.address));
        socket.send(toSend);
        toSend.clear();
      }
      await sleep(this.#clock, "wire question", attemptMs);
      receive();
    }
  }

  async #connect(link: InterfaceState, mac: Mac, asked: ReadonlyMap<WireAddress, PendingQuestion>): Promise<void> {
    const sourcePort = firstPort + Math.floor(this.#random() * ports);
    const sequence = Math.floor(this.#random() * 0x1_0000_0000);
    const open = () =>
      [...asked.values()].filter(
        ({ question, macs, connection }) => question.port !== undefined && macs.size > 0 && connection === undefined,
      );
    if (open().length === 0) return;
    using ipv4 = PacketSocket.open(link.index, EtherType.ipv4, tcpPortFilter("IPv4", sourcePort, frameSize));
    using ipv6 = PacketSocket.open(link.index, EtherType.ipv6, tcpPortFilter("IPv6", sourcePort, frameSize));
    const toSend = new SendBatch(maxQuestions, tcpFrameLength);
    const batch = new ReceiveBatch(64, frameSize);
    for (let attempt = 0; attempt < attempts && open().length > 0; attempt++) {
      for (const [socket, family] of [[ipv4, "IPv4"] as const, [ipv6, "IPv6"] as const]) {
        for (const { question, wire, macs } of open()) {
          const source = sourceFor(link, question.address);
          const [to] = macs;
          if (question.address.family !== family || source === undefined || to === undefined) continue;
          const ends = { source: wireAddress(source), destination: wire, sourcePort, destinationPort: question.port ?? 0 };
          toSend.push(encodeSyn({ ...ends, destinationMac: to, sourceMac: mac, sequence }));
        }
        socket.send(toSend);
        toSend.clear();
      }
      await sleep(this.#clock, "wire question", attemptMs);
      for (const socket of [ipv4, ipv6])
        for (const reply of frames(socket, batch, decodeTcpReply)) {
          const one = asked.get(reply.source);
          if (one?.question.port === reply.sourcePort && reply.acknowledgment === (sequence + 1) % 0x1_0000_0000)
            one.connection = reply.answer;
        }
    }
    for (const one of open()) one.connection = "silent";
  }
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

/** The address of the interface in the subnet of `address`; undefined where it has none there. */
export function sourceFor(link: Pick<InterfaceState, "addresses">, address: Address): Address | undefined {
  return ownAddresses(link).find(({ subnet }) => subnet.contains(address))?.address;
}

function ownAddresses({ addresses }: Pick<InterfaceState, "addresses">) {
  return addresses.flatMap((text) => {
    const subnet = parsePrefix(text);
    const address = parseAddress(text.replace(/\/.*$/, ""));
    return subnet === undefined || address === undefined ? [] : [{ address, subnet }];
  });
}
