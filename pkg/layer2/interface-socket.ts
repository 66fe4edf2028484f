import {
  type Arrival,
  EtherType,
  etherTypeFilter,
  icmpv6Filter,
  PacketSocket,
  ReceiveBatch,
  SendBatch,
  SystemCallError,
  type TrackedInterface,
} from "#pkg/linux";
import { isLinkLocal, type Mac, matchesInterface, parseMac } from "#pkg/net";
import { canReachHosts, reachedSubnets } from "./engine/interface-state.ts";
import { gratuitousFrames, probeFrame, solicitationFrom } from "./frames/announcements.ts";
import { type Answer, answerArp, answerNeighbor } from "./frames/answers.ts";
import { type ArpFrame, decodeArp, type WireAddress } from "./frames/arp.ts";
import { decodeNeighbor, type NeighborFrame, NeighborType, neighborFrameLength } from "./frames/ndp.ts";
import { proofFrameLength } from "./frames/proof.ts";
import { type IgnoredSighting, type Sighting, sightingInArp, sightingInNeighbor } from "./frames/sightings.ts";
import type { Announcement } from "./messages.ts";
import { MulticastGroups } from "./multicast-groups.ts";
import type { Row, SharedMemory } from "./shared-memory.ts";

const maxFrameSize = 1514; // All of a frame: a solicitation can be long (RFC 3971), and its checksum covers all of it.
const arpFilter = etherTypeFilter(EtherType.arp, 128);
const proofFilter = etherTypeFilter(EtherType.experimental, proofFrameLength);
const ndpFilter = icmpv6Filter([NeighborType.solicitation, NeighborType.advertisement], maxFrameSize);
// Frames read at once, so that a flood on one interface does not silence the others.
const batch = 64;

/** Memory for the frames on their way. No frame stays in it between two calls, so that all interfaces can share it. */
export class FrameMemory {
  readonly received = new ReceiveBatch(batch, maxFrameSize);
  readonly toSend = new SendBatch(batch, neighborFrameLength);
  readonly room = new Uint8Array(neighborFrameLength);
}

/** The announcements, and the receivers of sightings, while frames are served. */
export interface AddressBook {
  /** The announcement of an address. */
  find(address: WireAddress): Announcement | undefined;
  /** A host, which may be this one, uses an address, which may be anybody's. */
  sight(sighting: Sighting | IgnoredSighting, socket: InterfaceSocket): void;
  /** Takes a challenge or a proof. @returns the proof to send back */
  prove(frame: Uint8Array, socket: InterfaceSocket): Uint8Array | undefined;
}

/** How a protocol reads frames. */
interface Protocol<Packet, Address extends WireAddress> {
  decode(frame: Uint8Array): Packet | undefined;
  sighting(packet: Packet): Sighting | IgnoredSighting | undefined;
  answer(
    packet: Packet,
    arrival: Arrival,
    mac: Mac,
    find: (address: Address) => Announcement | undefined,
    room: Uint8Array,
  ): Answer<Announcement>;
}

const arp: Protocol<ArpFrame, number> = { decode: decodeArp, sighting: sightingInArp, answer: answerArp };
const ndp: Protocol<NeighborFrame, bigint> = { decode: decodeNeighbor, sighting: sightingInNeighbor, answer: answerNeighbor };

/** The sockets on one interface: one for ARP, one for neighbor discovery, one for challenges and proofs. */
export class InterfaceSocket implements Disposable {
  readonly #shared: SharedMemory;
  readonly #memory: FrameMemory;
  readonly #arp: PacketSocket;
  readonly #ndp: PacketSocket;
  readonly #proofs: PacketSocket;
  readonly #groups: MulticastGroups;
  readonly #rows: Row[] = []; // The row of each frame to send.
  #interface: TrackedInterface;
  #mac: Mac;
  #burst = 0;
  #sendError: SystemCallError | undefined;

  /** @throws {SystemCallError} */
  constructor(one: TrackedInterface, shared: SharedMemory, memory: FrameMemory) {
    this.#interface = one;
    this.#mac = macOf(one);
    this.#shared = shared;
    this.#memory = memory;
    using stack = new DisposableStack();
    this.#arp = stack.use(PacketSocket.open(one.index, EtherType.arp, arpFilter));
    this.#ndp = stack.use(PacketSocket.open(one.index, EtherType.ipv6, ndpFilter));
    this.#proofs = stack.use(PacketSocket.open(one.index, EtherType.experimental, proofFilter));
    this.#groups = new MulticastGroups(one.index);
    stack.move();
  }

  /** The descriptors that become readable when there is something to serve. */
  get fds(): readonly number[] {
    return [this.#arp.fd, this.#ndp.fd, this.#proofs.fd];
  }

  get interface(): TrackedInterface {
    return this.#interface;
  }

  get mac(): Mac {
    return this.#mac;
  }

  /** Changes when scheduled announcements no longer hold: all start again, or the socket is closed. */
  get burst(): number {
    return this.#burst;
  }

  /** Every address is announced from the first frame again. */
  startBurst(): void {
    this.#burst++;
    this.#groups.forget();
  }

  /** Whether the address is answered for here. */
  isFor({ interfaces }: Announcement): boolean {
    return matchesInterface(interfaces, this.#interface.name);
  }

  /**
   * Whether other hosts that have the address can be here, and those that are to hear of it: where only a Pod can be, neither can, unless
   * the address is for interfaces by name.
   */
  reachesHosts({ interfaces }: Announcement): boolean {
    return interfaces.length > 0 || canReachHosts(this.#interface);
  }

  /**
   * Takes in what changed. @returns whether hosts on the link may now reach this machine at another MAC or behind another port of a
   * switch, or hosts or a subnet come behind it, or IPv6 begins here, maybe again, before which the kernel has no groups, or other
   * addresses are for an interface of this name
   */
  update(one: TrackedInterface): boolean {
    const before = this.#interface;
    this.#interface = one;
    this.#mac = macOf(one);
    const moved = before.hardwareAddress !== one.hardwareAddress || (!before.running && one.running);
    const grown = !reachedSubnets(one).isSubsetOf(reachedSubnets(before));
    return (
      moved ||
      grown ||
      (!canReachHosts(before) && canReachHosts(one)) ||
      (hasIpv6(one) && (!hasIpv6(before) || before.ipv6Generation !== one.ipv6Generation)) ||
      before.name !== one.name
    );
  }

  /**
   * Answers what has arrived at one of `fds`, a batch at most.
   * @returns how many frames that were
   * @throws {SystemCallError} when the socket is of no more use
   */
  serve(fd: number, book: AddressBook): number {
    if (fd === this.#proofs.fd) return this.#serveProofs(book);
    return fd === this.#arp.fd ? this.#serve(this.#arp, arp, book) : this.#serve(this.#ndp, ndp, book);
  }

  /**
   * Announces the address to every host on the link. Without a carrier no host is on the link: the thread announces all when the carrier
   * comes back.
   */
  announce(announcement: Announcement): void {
    if (!this.reachesHosts(announcement)) return;
    const { address, row } = announcement;
    if (typeof address === "bigint") this.#groups.add(address);
    if (!this.#interface.running) return;
    for (const frame of gratuitousFrames(this.#mac, address)) this.#push(frame, row);
    this.#send(typeof address === "bigint" ? this.#ndp : this.#arp, "gratuitous");
  }

  /** Receives solicitations for the address from now on. */
  listen({ address }: Announcement): void {
    if (typeof address === "bigint") this.#groups.add(address);
  }

  /**
   * Probes the address: at everyone, or at `to` alone. With `fromOwnAddress` a solicitation has this interface's own address as its source,
   * where it has one.
   */
  probe(announcement: Announcement, to: Mac | undefined, fromOwnAddress: boolean): void {
    if (!this.#interface.running || !this.reachesHosts(announcement)) return;
    const { address, row } = announcement;
    const own = fromOwnAddress && to !== undefined && typeof address === "bigint" ? linkLocalAddress(this.#interface) : undefined;
    const frame =
      own === undefined || to === undefined || typeof address === "number"
        ? probeFrame(this.#mac, address, to)
        : solicitationFrom(own, this.#mac, address, to);
    this.#push(frame, row);
    this.#send(typeof address === "bigint" ? this.#ndp : this.#arp);
  }

  /** Sends a challenge. One that is lost is followed by the next. */
  sendProof(frame: Uint8Array): void {
    if (!this.#interface.running) return;
    this.#memory.toSend.push(frame);
    this.#proofs.send(this.#memory.toSend);
    this.#memory.toSend.clear();
  }

  withdraw({ address }: Announcement): void {
    if (typeof address === "bigint") this.#groups.remove(address);
  }

  /** Frames that the kernel dropped since the last call, because they came faster than they were read. @throws {SystemCallError} */
  takeDropped(): number {
    return this.#arp.takeDropped() + this.#ndp.takeDropped() + this.#proofs.takeDropped();
  }

  /** Why the last frames could not be sent, if they could not; once. */
  takeSendError(): SystemCallError | undefined {
    const error = this.#sendError;
    this.#sendError = undefined;
    return error;
  }

  /** Tries again to join groups. @returns why they cannot be joined, once for as long as the reason stays the same */
  retryGroups(): SystemCallError | undefined {
    return this.#groups.retry();
  }

  [Symbol.dispose](): void {
    this.#burst++;
    this.#arp[Symbol.dispose]();
    this.#ndp[Symbol.dispose]();
    this.#proofs[Symbol.dispose]();
    this.#groups[Symbol.dispose]();
  }

  #serve<Packet, Address extends WireAddress>(
    socket: PacketSocket,
    protocol: Protocol<Packet, Address>,
    book: AddressBook,
  ): number {
    const find = (address: WireAddress) => {
      const found = book.find(address);
      return found?.answers && this.isFor(found) ? found : undefined;
    };
    const { received, room } = this.#memory;
    const count = this.#receive(socket);
    for (let i = 0; i < count; i++) {
      const { frame, arrival } = received.frame(i);
      const packet = protocol.decode(frame);
      // A frame to another host may be of a VLAN that this node is not in.
      const sighting =
        packet === undefined || arrival === "outgoing" || arrival === "otherHost" ? undefined : protocol.sighting(packet);
      if (sighting !== undefined) book.sight(sighting, this);
      const answered = packet === undefined ? "malformed" : protocol.answer(packet, arrival, this.#mac, find, room);
      if (typeof answered === "string") {
        this.#shared.totals.add(answered);
        continue;
      }
      this.#shared.addToRow(answered.announcement.row, "requests");
      this.#push(answered.frame, answered.announcement.row);
    }
    this.#send(socket, "responses");
    return count;
  }

  #serveProofs(book: AddressBook): number {
    const { received } = this.#memory;
    const count = this.#receive(this.#proofs);
    for (let i = 0; i < count; i++) {
      const { frame, arrival } = received.frame(i);
      const proof = arrival === "host" ? book.prove(frame, this) : undefined;
      if (proof !== undefined) this.sendProof(proof);
    }
    return count;
  }

  #receive(socket: PacketSocket): number {
    try {
      return socket.receive(this.#memory.received);
    } catch (error) {
      // Netlink says whether an interface that is down comes up again or is gone.
      if (error instanceof SystemCallError && error.code === "ENETDOWN") return 0;
      throw error;
    }
  }

  #push(frame: Uint8Array, row: Row): void {
    this.#memory.toSend.push(frame);
    this.#rows.push(row);
  }

  /** A frame that cannot be sent is lost, as on any wire: the client requests again, and announcements are repeated. */
  #send(socket: PacketSocket, counter?: "responses" | "gratuitous"): void {
    if (this.#rows.length === 0) return;
    const failures = socket.send(this.#memory.toSend);
    this.#memory.toSend.clear();
    const failed = new Map(failures.map(({ index, error }) => [index, error]));
    for (const [index, row] of this.#rows.entries()) {
      const error = failed.get(index);
      if (error !== undefined) this.#sendError = error;
      else if (counter !== undefined) this.#shared.addToRow(row, counter);
    }
    this.#shared.totals.add("sendFailures", failures.length);
    this.#rows.length = 0;
  }
}

function macOf(one: TrackedInterface): Mac {
  return parseMac(one.hardwareAddress) ?? 0; // Eligible interfaces have one.
}

function hasIpv6(one: TrackedInterface): boolean {
  return one.addresses.some(({ address }) => address.family === "IPv6");
}

function linkLocalAddress(one: TrackedInterface): bigint | undefined {
  return one.addresses.find(({ address }) => isLinkLocal(address))?.address.value;
}
