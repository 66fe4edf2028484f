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
import { type Mac, matchesInterface, parseMac } from "#pkg/net";
import type { Answer } from "./answer.ts";
import { type ArpFrame, decodeArp } from "./arp.ts";
import { answerArp } from "./arp-responder.ts";
import { gratuitousFrames } from "./gratuitous.ts";
import { Groups } from "./groups.ts";
import type { Announcement, WireAddress } from "./messages.ts";
import { decodeNeighbor, type NeighborFrame, NeighborType, neighborFrameLength } from "./ndp-codec.ts";
import { answerNeighbor } from "./ndp-responder.ts";
import { probeFrame, solicitationFrom } from "./probe.ts";
import type { Row, Shared } from "./shared.ts";
import { type Sighting, sightingInArp, sightingInNeighbor } from "./sighting.ts";

const keptOctets = 1514; // All of a frame: a solicitation can be long (RFC 3971), and its checksum covers all of it.
const arpFilter = etherTypeFilter(EtherType.arp, 128);
const ndpFilter = icmpv6Filter([NeighborType.solicitation, NeighborType.advertisement], keptOctets);
// Frames read in one turn, so that a flood on one interface does not silence the others.
const batch = 64;

/** Memory for the frames on their way. No frame stays in it between two calls of a port, so that all ports can share it. */
export class FrameMemory {
  readonly received = new ReceiveBatch(batch, keptOctets);
  readonly toSend = new SendBatch(batch, neighborFrameLength);
  readonly room = new Uint8Array(neighborFrameLength);
}

/** What a port looks up, and whom it tells, while it serves. */
export interface Desk {
  /** What is announced under an address. */
  find(address: WireAddress): Announcement | undefined;
  /** The frame sightings an address, which may be anybody's, for a machine, which may be this one. */
  sighted(sighting: Sighting, port: Port): void;
}

/** How a protocol reads frames. */
interface Protocol<Packet, Address extends WireAddress> {
  decode(frame: Uint8Array): Packet | undefined;
  sighting(packet: Packet): Sighting | undefined;
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

/** An interface on which requests are answered: ARP on one socket, neighbour solicitations on another. */
export class Port implements Disposable {
  readonly #shared: Shared;
  readonly #memory: FrameMemory;
  readonly #arp: PacketSocket;
  readonly #ndp: PacketSocket;
  readonly #groups: Groups;
  readonly #rows: Row[] = []; // Whose the frames to send are.
  #link: TrackedInterface;
  #mac: Mac;
  #burst = 0;
  #sendError: SystemCallError | undefined;

  /** @throws {SystemCallError} */
  constructor(link: TrackedInterface, shared: Shared, memory: FrameMemory) {
    this.#link = link;
    this.#mac = macOf(link);
    this.#shared = shared;
    this.#memory = memory;
    using stack = new DisposableStack();
    this.#arp = stack.use(PacketSocket.open(link.index, EtherType.arp, arpFilter));
    this.#ndp = stack.use(PacketSocket.open(link.index, EtherType.ipv6, ndpFilter));
    this.#groups = new Groups(link.index);
    stack.move();
  }

  /** What becomes readable when there is something to serve. */
  get fds(): readonly number[] {
    return [this.#arp.fd, this.#ndp.fd];
  }

  get link(): TrackedInterface {
    return this.#link;
  }

  get mac(): Mac {
    return this.#mac;
  }

  /** Changes when the announcements under way no longer hold: all start again, or the port is closed. */
  get burst(): number {
    return this.#burst;
  }

  /** Every address is to be announced from the beginning. */
  startBurst(): void {
    this.#burst++;
    this.#groups.doubt();
  }

  /** Whether the address is answered for and announced here. */
  isFor({ interfaces }: Announcement): boolean {
    return matchesInterface(interfaces, this.#link.name);
  }

  /**
   * Takes in what changed. @returns whether hosts on the link may now reach this machine at another MAC or behind another port of a
   * switch, or IPv6 begins here, before which the kernel has no groups, or other addresses are for a port of this name
   */
  update(link: TrackedInterface): boolean {
    const before = this.#link;
    this.#link = link;
    this.#mac = macOf(link);
    const moved = before.hardwareAddress !== link.hardwareAddress || (!before.running && link.running);
    return moved || (!hasIpv6(before) && hasIpv6(link)) || before.name !== link.name;
  }

  /**
   * Answers what has arrived at one of `fds`, a batch at most.
   * @returns how many frames that were
   * @throws {SystemCallError} when the socket is of no more use
   */
  serve(fd: number, desk: Desk): number {
    return fd === this.#arp.fd ? this.#serve(this.#arp, arp, desk) : this.#serve(this.#ndp, ndp, desk);
  }

  /** Tells every host on the link that the address is here. Without a carrier there is nobody to tell: all is announced when it comes. */
  announce({ address, row }: Announcement): void {
    if (typeof address === "bigint") this.#groups.add(address);
    if (!this.#link.running) return;
    for (const frame of gratuitousFrames(this.#mac, address)) this.#push(frame, row);
    this.#send(typeof address === "bigint" ? this.#ndp : this.#arp, "gratuitous");
  }

  /** Hears from now on what is asked about the address. */
  listen({ address }: Announcement): void {
    if (typeof address === "bigint") this.#groups.add(address);
  }

  /**
   * Asks who has the address: everyone, or `to` alone. Asked `fromOwnAddress`, one for IPv6 has this interface's own address as its source,
   * where it has one.
   */
  probe({ address, row }: Announcement, to: Mac | undefined, fromOwnAddress: boolean): void {
    if (!this.#link.running) return;
    const own = fromOwnAddress && to !== undefined && typeof address === "bigint" ? linkLocalAddress(this.#link) : undefined;
    const frame =
      own === undefined || to === undefined || typeof address === "number"
        ? probeFrame(this.#mac, address, to)
        : solicitationFrom(own, this.#mac, address, to);
    this.#push(frame, row);
    this.#send(typeof address === "bigint" ? this.#ndp : this.#arp);
  }

  withdraw({ address }: Announcement): void {
    if (typeof address === "bigint") this.#groups.remove(address);
  }

  /** Frames that the kernel dropped since the last call, because they came faster than they were read. @throws {SystemCallError} */
  takeDropped(): number {
    return this.#arp.takeDropped() + this.#ndp.takeDropped();
  }

  /** Why the last frames could not be sent, if they could not; once. */
  takeSendError(): SystemCallError | undefined {
    const error = this.#sendError;
    this.#sendError = undefined;
    return error;
  }

  /** Tries again to join the groups that could not be joined. @returns why they cannot be, told once for as long as it stays the same */
  retryGroups(): SystemCallError | undefined {
    return this.#groups.retry();
  }

  [Symbol.dispose](): void {
    this.#burst++;
    this.#arp[Symbol.dispose]();
    this.#ndp[Symbol.dispose]();
    this.#groups[Symbol.dispose]();
  }

  #serve<Packet, Address extends WireAddress>(socket: PacketSocket, protocol: Protocol<Packet, Address>, desk: Desk): number {
    const find = (address: WireAddress) => {
      const found = desk.find(address);
      return found !== undefined && this.isFor(found) ? found : undefined;
    };
    const { received, room } = this.#memory;
    const count = this.#receive(socket);
    for (let i = 0; i < count; i++) {
      const { frame, arrival } = received.frame(i);
      const packet = protocol.decode(frame);
      // One sent to another machine may be of a VLAN that this one is not in.
      const sighting =
        packet === undefined || arrival === "outgoing" || arrival === "otherHost" ? undefined : protocol.sighting(packet);
      if (sighting !== undefined) desk.sighted(sighting, this);
      const answered = packet === undefined ? "malformed" : protocol.answer(packet, arrival, this.#mac, find, room);
      if (typeof answered === "string") {
        this.#shared.addTotal(answered);
        continue;
      }
      this.#shared.addToRow(answered.announcement.row, "requests");
      this.#push(answered.frame, answered.announcement.row);
    }
    this.#send(socket, "responses");
    return count;
  }

  #receive(socket: PacketSocket): number {
    try {
      return socket.receive(this.#memory.received);
    } catch (error) {
      // Whether a link that is down comes up again or is gone, netlink says.
      if (error instanceof SystemCallError && error.code === "ENETDOWN") return 0;
      throw error;
    }
  }

  #push(frame: Uint8Array, row: Row): void {
    this.#memory.toSend.push(frame);
    this.#rows.push(row);
  }

  /** A frame that cannot be sent is lost, as on any wire: the client asks again, and an announcement is repeated. */
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
    this.#shared.addTotal("sendFailures", failures.length);
    this.#rows.length = 0;
  }
}

function macOf(link: TrackedInterface): Mac {
  return parseMac(link.hardwareAddress) ?? 0; // Only Ethernet links are given a port, and they have one.
}

function hasIpv6(link: TrackedInterface): boolean {
  return link.addresses.some(({ address }) => address.family === "IPv6");
}

const linkLocalPrefix = 0x3fan; // fe80::/10

function linkLocalAddress(link: TrackedInterface): bigint | undefined {
  return link.addresses.find(({ address }) => address.family === "IPv6" && address.value >> 118n === linkLocalPrefix)?.address
    .value;
}
