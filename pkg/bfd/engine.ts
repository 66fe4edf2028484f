import type { Clock, Millis, Random } from "#pkg/clock";
import {
  EventFd,
  interfaceIndexOf,
  PollSet,
  type ReceivedDatagram,
  SystemCallError,
  socketAddress,
  type UdpSocket,
} from "#pkg/linux";
import { type ControlPacket, decodeControl, encodeControl } from "./control-codec.ts";
import { type Effect, type Event, step } from "./fsm.ts";
import {
  type Command,
  type IgnoredReason,
  type Order,
  packetNames,
  type Report,
  type SessionView,
  totalNames,
  type WorkerStart,
} from "./messages.ts";
import { ControlPorts, destinationPort, openSender } from "./ports.ts";
import { newSession, nextAt, type Session, transmitInterval } from "./session.ts";
import { SharedCounters } from "./shared-counters.ts";
import { describeSession, same } from "./view.ts";

const retryAfter: Millis = 1000;
const singleHopTtl = 255;
// What says goodbye is sent so often, some milliseconds apart: nobody is there to repeat it later.
const farewells = 3;
const betweenFarewells: Millis = 5;

/** How the engine talks with the main thread. */
export interface Channel {
  /** The next command, if one waits. */
  receive(): Command | undefined;
  post(report: Report): void;
}

/** A session with its sockets, for as long as both are there. */
interface Link extends Disposable {
  readonly socket: UdpSocket;
  readonly destination: Uint8Array;
  /** 0 where the session is for no interface in particular. */
  readonly interfaceIndex: number;
}

interface Entry {
  order: Order;
  readonly counters: SharedCounters<(typeof packetNames)[number]>;
  session: Session;
  /** Undefined while a socket cannot be had; the session stands still then. */
  link: Link | undefined;
  /** When its next work is due: a deadline of the session, or the next try to open its sockets. */
  nextAt: Millis;
  /** When it is forgotten, once it has been removed. */
  endAt: Millis;
  /** What keeps packets from leaving, and from being taken. */
  sendProblem: string | undefined;
  takeProblem: string | undefined;
  reported: SessionView | undefined;
}

/**
 * Keeps all sessions, in turns: wait until something arrives or is due, take all that has arrived, and only then look at deadlines, so
 * that a packet that waited while the thread stood still has been in time. The thread is its own while it runs.
 */
export class Engine implements Disposable {
  readonly #channel: Channel;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #totals: SharedCounters<(typeof totalNames)[number]>;
  readonly #wake: EventFd; // The main thread's.
  readonly #ports = new ControlPorts();
  readonly #entries = new Map<number, Entry>(); // id -> entry
  readonly #byDiscriminator = new Map<number, Entry>(); // this side's -> entry
  readonly #poll = new PollSet();

  constructor({ totals, wake, orders }: WorkerStart, channel: Channel, clock: Clock, random: Random) {
    this.#channel = channel;
    this.#clock = clock;
    this.#random = random;
    this.#totals = new SharedCounters(totalNames, totals);
    this.#wake = new EventFd(wake);
    this.#poll.watch([wake]);
    for (const order of orders) this.#set(order, clock.now());
  }

  /** Works until the main thread says stop; then tells the peers that it was meant so. */
  run(): void {
    while (this.#totals.get("stop") === 0) this.#turn();
    this.#sayFarewell();
  }

  #turn(): void {
    let planned = Infinity;
    for (const entry of this.#entries.values()) planned = Math.min(planned, entry.nextAt);
    const ready = this.#poll.wait(planned - this.#clock.now());
    const now = this.#clock.now();
    const late = Math.max(0, now - planned);
    if (ready.includes(this.#wake.fd)) this.#obey(now);
    this.#ports.drain(now >= planned ? "all" : ready, (datagram, multihop) => this.#take(datagram, multihop, now));
    if (now >= planned)
      for (const entry of this.#entries.values()) if (now >= entry.nextAt) this.#work(entry, { type: "timer", late }, now);
  }

  #obey(now: Millis): void {
    this.#wake.clear();
    for (let command = this.#channel.receive(); command !== undefined; command = this.#channel.receive())
      switch (command.type) {
        case "set":
          this.#set(command.order, now);
          break;
        case "remove":
          this.#remove(command.id, now);
          break;
        default:
          command satisfies never;
      }
  }

  #set(order: Order, now: Millis): void {
    const known = this.#entries.get(order.id);
    if (known !== undefined) {
      known.order = order;
      this.#advance(known, { type: "configure", parameters: order.parameters }, now);
      return;
    }
    // One that says goodbye to the same peer would speak against the new one.
    for (const entry of this.#entries.values()) if (entry.endAt !== Infinity && sameEnds(entry.order, order)) this.#forget(entry);
    const session = newSession(order.parameters, this.#newDiscriminator(), now);
    const counters = new SharedCounters(packetNames, order.counters);
    const entry: Entry = {
      order,
      counters,
      session,
      link: undefined,
      nextAt: now,
      endAt: Infinity,
      sendProblem: undefined,
      takeProblem: undefined,
      reported: undefined,
    };
    this.#entries.set(order.id, entry);
    this.#byDiscriminator.set(session.discriminator, entry);
  }

  #remove(id: number, now: Millis): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    if (entry.link === undefined || entry.session.remote.discriminator === 0) {
      this.#forget(entry);
      return;
    }
    this.#advance(entry, { type: "disable" }, now);
    const { session } = entry;
    entry.endAt = now + session.parameters.multiplier * transmitInterval(session); // The peer's detection time.
  }

  #forget(entry: Entry): void {
    this.#entries.delete(entry.order.id);
    this.#byDiscriminator.delete(entry.session.discriminator);
    entry.link?.[Symbol.dispose]();
    this.#watch();
  }

  /** What is due for an entry: the end, another try, or a deadline of its session. */
  #work(entry: Entry, event: Event, now: Millis): void {
    if (now >= entry.endAt) this.#forget(entry);
    else if (entry.link !== undefined || this.#open(entry, now)) this.#advance(entry, event, now);
  }

  #open(entry: Entry, now: Millis): boolean {
    const { peer, local, interfaceName, multihop } = entry.order;
    const family = peer.length === 4 ? "IPv4" : "IPv6";
    try {
      using stack = new DisposableStack();
      const index = interfaceName === undefined ? 0 : interfaceIndexOf(interfaceName);
      if (index === undefined) throw new NoInterface(`there is no interface ${interfaceName}`);
      stack.use(this.#ports.use(family, multihop));
      const socket = stack.use(openSender(family, local, index, this.#random));
      const destination = socketAddress(peer, destinationPort(multihop), index);
      const owned = stack.move();
      entry.link = { socket, destination, interfaceIndex: index, [Symbol.dispose]: () => owned.dispose() };
      entry.sendProblem = undefined;
      this.#watch();
      return true;
    } catch (error) {
      if (!(error instanceof SystemCallError) && !(error instanceof NoInterface)) throw error;
      entry.sendProblem = explain(error, multihop);
      entry.nextAt = now + retryAfter;
      this.#report(entry);
      return false;
    }
  }

  #watch(): void {
    this.#poll.watch([this.#wake.fd, ...this.#ports.fds]);
  }

  #take(datagram: ReceivedDatagram, multihop: boolean, now: Millis): void {
    const found = this.#find(datagram, multihop);
    if (typeof found === "string") {
      this.#totals.add(found);
      return;
    }
    found.entry.counters.add("controlIn");
    found.entry.takeProblem = undefined;
    this.#advance(found.entry, { type: "packet", packet: found.packet }, now);
  }

  /** The session of a control packet (RFC 5880, section 6.3; RFC 5881, section 5; RFC 5883, sections 4 and 5). */
  #find(datagram: ReceivedDatagram, multihop: boolean): { entry: Entry; packet: ControlPacket } | IgnoredReason {
    if (!multihop && datagram.ttl !== singleHopTtl) return "ttl";
    const packet = decodeControl(datagram.bytes);
    if (typeof packet === "string") return packet;
    const { yourDiscriminator } = packet;
    const entry = yourDiscriminator === 0 ? this.#findByWay(datagram, multihop) : this.#byDiscriminator.get(yourDiscriminator);
    if (entry?.link === undefined || entry.order.multihop !== multihop) return "noSession";
    if (!cameFromPeer(entry, datagram)) return "otherSource";
    const { minimumTtl } = entry.order;
    if (multihop && datagram.ttl < minimumTtl) {
      entry.takeProblem = `the peer's packets come with TTL ${datagram.ttl}, below the profile's minimum-ttl of ${minimumTtl}`;
      this.#report(entry);
      return "ttl";
    }
    return { entry, packet };
  }

  #findByWay(datagram: ReceivedDatagram, multihop: boolean): Entry | undefined {
    for (const entry of this.#entries.values()) {
      const { order } = entry;
      const isHere = order.local === undefined || equal(order.local, datagram.destination);
      if (entry.endAt === Infinity && order.multihop === multihop && isHere && cameFromPeer(entry, datagram)) return entry;
    }
    return undefined;
  }

  #advance(entry: Entry, event: Event, now: Millis): void {
    const [session, effects] = step(entry.session, event, now, this.#random());
    entry.session = session;
    for (const effect of effects) this.#carryOut(entry, effect);
    if (entry.link !== undefined) entry.nextAt = Math.min(nextAt(session), entry.endAt);
    this.#report(entry);
  }

  #carryOut(entry: Entry, effect: Effect): void {
    switch (effect.type) {
      case "send":
        this.#send(entry, encodeControl(effect.packet));
        break;
      case "sendEcho":
        break;
      case "changed":
        break; // What changed is in the report that follows.
      default:
        effect satisfies never;
    }
  }

  /** A packet that cannot be sent is lost, as on any wire; the next is soon. */
  #send(entry: Entry, bytes: Uint8Array): void {
    const { link, order } = entry;
    if (link === undefined) return;
    try {
      if (link.socket.send(bytes, link.destination)) entry.counters.add("controlOut");
      entry.sendProblem = undefined;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      entry.sendProblem = error.message;
      const index = order.interfaceName === undefined ? 0 : interfaceIndexOf(order.interfaceName);
      if (index === undefined || index === link.interfaceIndex) return;
      // Another interface has the name by now.
      entry.link = {
        ...link,
        interfaceIndex: index,
        destination: socketAddress(order.peer, destinationPort(order.multihop), index),
      };
    }
  }

  #report(entry: Entry): void {
    const view = describeSession(entry.session, entry.sendProblem ?? entry.takeProblem);
    if (entry.reported !== undefined && same(view, entry.reported)) return;
    entry.reported = view;
    this.#channel.post({ id: entry.order.id, view });
  }

  #newDiscriminator(): number {
    for (;;) {
      const discriminator = Math.floor(this.#random() * 2 ** 32);
      if (discriminator !== 0 && !this.#byDiscriminator.has(discriminator)) return discriminator;
    }
  }

  #sayFarewell(): void {
    const told = [...this.#entries.values()].filter(({ session }) => session.remote.discriminator !== 0);
    for (let i = 0; i < farewells; i++) {
      if (i > 0) new PollSet().wait(betweenFarewells);
      // Of a copy each time: what was said once is no news, and only news are sent at once.
      for (const entry of told) this.#advance({ ...entry }, { type: "disable" }, this.#clock.now());
    }
  }

  [Symbol.dispose](): void {
    for (const { link } of this.#entries.values()) link?.[Symbol.dispose]();
    this.#ports[Symbol.dispose]();
  }
}

class NoInterface extends Error {}

function explain(error: Error, multihop: boolean): string {
  if (!(error instanceof SystemCallError) || error.code !== "EADDRINUSE") return error.message;
  return `${error.message}: another program on this node runs BFD on port ${destinationPort(multihop)}; stop it there, or take bfd-profile off the peers`;
}

function cameFromPeer({ order, link }: Entry, { source, interfaceIndex }: ReceivedDatagram): boolean {
  return equal(order.peer, source) && (order.interfaceName === undefined || link?.interfaceIndex === interfaceIndex);
}

function sameEnds(a: Order, b: Order): boolean {
  return a.multihop === b.multihop && a.interfaceName === b.interfaceName && equal(a.peer, b.peer);
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, i) => octet === b[i]);
}
