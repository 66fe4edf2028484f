import type { Clock, Millis, Random } from "#pkg/clock";
import { PollSet, type ReceivedDatagram, SystemCallError, socketAddress, type UdpSocket } from "#pkg/linux";
import { equalBytes } from "#pkg/net";
import { type MainThread, SharedCounters } from "#pkg/threads";
import { type ControlPacket, decodeControl, encodeControl } from "./codec/control-codec.ts";
import { EchoPorts, whyNotForwarding } from "./echo-ports.ts";
import { Entries, isDue, isEchoing, parametersOf, type SessionEntry } from "./entries.ts";
import {
  type Command,
  type IgnoredReason,
  ignoredReasons,
  type SessionConfig,
  type StatusMessage,
  type WorkerStart,
} from "./messages.ts";
import { controlTtl, explain, familyOf, openSessionSocket, Ports, renewed } from "./ports.ts";
import { type Effect, type Event, step } from "./session/fsm.ts";
import { haveSamePeer, isFromPeer, isOfSession } from "./session/matching.ts";
import { heardAt, nextDeadline, transmitInterval } from "./session/session.ts";
import { Stalls } from "./session/stalls.ts";
import { describeSession, same } from "./session/status.ts";

const retryAfter: Millis = 1000;
// Whether the node forwards may be set at any time, the port for echoes may become free, and an interface be made again; nothing tells.
const reviewEvery: Millis = 5000;
// Packets that arrive so shortly before something is due wait for it: one turn for many, and what counts is when they arrived.
const batchMs: Millis = 10;
// Where so many come meanwhile they are read as they come: the kernel has room for twice as many, where nobody has raised net.core.rmem_max.
const floodPackets = 256;
// AdminDown is sent this often at the end, some milliseconds apart: nothing repeats it later.
const finalPackets = 3;
const finalPacketGap: Millis = 5;

/**
 * Keeps all sessions, in turns: wait until something arrives or is due, take all that has arrived, and only then look at deadlines. A
 * packet is in time if it waited while the thread stood still. Sessions whose packets may leave now send them together, by the same jitter, so
 * that those of one interval stay together. The thread is its own while it runs.
 */
export class Engine implements Disposable {
  readonly #main: MainThread<WorkerStart, Command, StatusMessage>;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Makes the jitter of all packets that leave in this turn. */
  #chance: number;
  readonly #ignored: SharedCounters<IgnoredReason>;
  readonly #ports = new Ports();
  readonly #echoes: EchoPorts;
  readonly #entries = new Entries();
  readonly #stalls = new Stalls();
  /** All sockets; and those whose packets are answered at once, even if something else is due soon. */
  readonly #arrivals = new PollSet();
  readonly #urgent = new PollSet();
  /** Packets since something was due last, and whether before that there were too many to wait. */
  #arrived = 0;
  #isFlooded = false;
  /** When it is seen again which sessions can have the peer's echoes returned, and whose interface is another; never without either. */
  #reviewAt: Millis = Infinity;

  constructor(main: MainThread<WorkerStart, Command, StatusMessage>, clock: Clock, random: Random) {
    this.#main = main;
    this.#clock = clock;
    this.#random = random;
    this.#chance = random();
    this.#ignored = new SharedCounters(ignoredReasons, main.start.ignored);
    this.#echoes = new EchoPorts(Math.floor(random() * 2 ** 32));
    this.#watch();
    for (const config of main.start.configs) this.#set(config, clock.now());
  }

  /** Runs until the main thread sets the stop flag; then takes all sessions administratively down. */
  run(): void {
    while (!this.#main.hasStopped()) this.#runOnce();
    this.#disableAll();
  }

  #runOnce(): void {
    let planned = this.#reviewAt;
    for (const entry of this.#entries) planned = Math.min(planned, entry.nextAt);
    const patience = planned - this.#clock.now();
    const ready = (patience > batchMs || this.#isFlooded ? this.#arrivals : this.#urgent).wait(patience);
    const now = this.#clock.now();
    this.#stalls.note(now - planned, now);
    if (ready.includes(this.#main.wakeFd)) this.#receiveCommands(now);
    const arrived = now >= planned ? "all" : ready;
    this.#arrived += this.#ports.drain(arrived, now, (datagram, arrivedAt, purpose, socket) => {
      if (purpose === "echo") this.#reflect(datagram, socket);
      else this.#receive(datagram, purpose === "multihop", arrivedAt, now);
    });
    if (this.#echoes.drain(arrived, (discriminator) => this.#receiveEcho(discriminator, now))) this.#watch();
    if (now >= this.#reviewAt) this.#review(now);
    if (now < planned) return;
    this.#isFlooded = this.#arrived >= floodPackets;
    this.#arrived = 0;
    this.#chance = this.#random();
    for (const entry of this.#entries)
      if (isDue(entry, now)) this.#work(entry, { type: "timer", late: this.#stalls.since(heardAt(entry.session)) }, now);
  }

  #receiveCommands(now: Millis): void {
    this.#main.clearWake();
    for (let command = this.#main.receive(); command !== undefined; command = this.#main.receive())
      switch (command.type) {
        case "set":
          this.#set(command.config, now);
          break;
        case "remove":
          this.#remove(command.id, now);
          break;
        default:
          command satisfies never;
      }
  }

  #set(config: SessionConfig, now: Millis): void {
    const known = this.#entries.get(config.id);
    if (known !== undefined) {
      known.config = config;
      if (known.socket !== undefined) this.#openReflection(known, whyNotForwarding(familyOf(config.peer)), now);
      this.#advance(known, { type: "configure", parameters: parametersOf(known) }, now);
      return;
    }
    // A session to the same peer that still sends AdminDown would contradict the new one.
    for (const entry of this.#entries) if (entry.endAt !== Infinity && haveSamePeer(entry.config, config)) this.#forget(entry);
    this.#entries.add(config, this.#random, now);
  }

  #remove(id: number, now: Millis): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    if (entry.socket === undefined || entry.session.remote.discriminator === 0) {
      this.#forget(entry);
      return;
    }
    this.#advance(entry, { type: "disable" }, now);
    const { session } = entry;
    entry.endAt = now + session.parameters.multiplier * transmitInterval(session); // The peer's detection time.
  }

  #forget(entry: SessionEntry): void {
    this.#entries.delete(entry);
    entry.socket?.[Symbol.dispose]();
    entry.reflection?.[Symbol.dispose]();
    this.#watch();
  }

  /** Does the due work of an entry: its end, another try, or a deadline of its session. */
  #work(entry: SessionEntry, event: Event, now: Millis): void {
    if (now >= entry.endAt) this.#forget(entry);
    else if (entry.socket !== undefined) this.#advance(entry, event, now);
    else if (this.#open(entry, now)) this.#advance(entry, { type: "configure", parameters: parametersOf(entry) }, now);
  }

  #open(entry: SessionEntry, now: Millis): boolean {
    const socket = openSessionSocket(entry.config, this.#ports, this.#random);
    if (typeof socket === "string") {
      entry.problems.open = socket;
      entry.nextAt = now + retryAfter;
      this.#report(entry);
      return false;
    }
    entry.socket = socket;
    entry.problems.open = undefined;
    this.#openReflection(entry, whyNotForwarding(familyOf(entry.config.peer)), now);
    return true;
  }

  /** Tells each session whose peer's echoes would come back now, or no longer. */
  #review(now: Millis): void {
    this.#reviewAt = Infinity;
    const reasons = { IPv4: whyNotForwarding("IPv4"), IPv6: whyNotForwarding("IPv6") };
    for (const entry of this.#entries) {
      const { config, socket, reflection, endAt } = entry;
      if (socket === undefined || endAt !== Infinity) continue;
      if (entry.session.state !== "up") entry.socket = renewed(socket, config); // A passive session sends nothing that would show it.
      this.#openReflection(entry, reasons[familyOf(config.peer)], now);
      if ((entry.reflection === undefined) !== (reflection === undefined))
        this.#advance(entry, { type: "configure", parameters: parametersOf(entry) }, now);
    }
  }

  /**
   * Opens or closes the port for the peer's echoes, as the parameters want it.
   * @param notForwarding what `whyNotForwarding` says of the peer's family
   */
  #openReflection(entry: SessionEntry, notForwarding: string | undefined, now: Millis): void {
    const { peer, parameters, multihop, interfaceName } = entry.config;
    const before = entry.reflection;
    entry.reflection = undefined;
    entry.problems.echo = undefined;
    const returnsEchoes = parameters.echoReceiveMs > 0 && !multihop;
    if (returnsEchoes || interfaceName !== undefined) this.#reviewAt = Math.min(this.#reviewAt, now + reviewEvery);
    if (returnsEchoes) {
      let problem = notForwarding;
      try {
        if (problem === undefined) entry.reflection = this.#ports.use(familyOf(peer), "echo");
      } catch (error) {
        problem = explain(error, "echo");
      }
      if (parameters.echoMs !== undefined) entry.problems.echo = problem; // Otherwise nobody asked for echoes.
    }
    before?.[Symbol.dispose](); // Last, so that a port stays open that is still in use.
    this.#watch();
  }

  #watch(): void {
    this.#arrivals.watch([this.#main.wakeFd, ...this.#echoes.fds, ...this.#ports.fds()]);
    this.#urgent.watch([this.#main.wakeFd, ...this.#echoes.fds, ...this.#ports.fds("echo")]);
  }

  #receive(datagram: ReceivedDatagram, multihop: boolean, arrivedAt: Millis, now: Millis): void {
    const found = this.#find(datagram, multihop);
    if (typeof found === "string") {
      this.#ignored.add(found);
      return;
    }
    found.entry.counters.add("controlIn");
    found.entry.problems.receive = undefined;
    const { interfaceIndex, source, destination } = datagram;
    const { config } = found.entry;
    if (!multihop) found.entry.arrivedOn = interfaceIndex;
    if (config.parameters.echoMs !== undefined)
      found.entry.path = { interfaceIndex, own: destination.slice(), peer: source.slice() };
    this.#advance(found.entry, { type: "packet", packet: found.packet, arrivedAt }, now);
  }

  #receiveEcho(discriminator: number, now: Millis): void {
    const entry = this.#entries.withDiscriminator(discriminator);
    if (entry === undefined) return;
    entry.counters.add("echoIn");
    if (entry.echoSentAt !== undefined) {
      entry.counters.add("echoTimed");
      entry.counters.add("echoMicros", Math.max(0, Math.round(1000 * (now - entry.echoSentAt))));
      entry.echoSentAt = undefined;
    }
    this.#advance(entry, { type: "echo" }, now);
  }

  /**
   * Returns an echo packet that a peer sent to our address instead of its own, as FRR does for IPv6: what the kernel does not forward.
   * Only to peers, so that nobody is sent what another has forged.
   */
  #reflect({ ttl, bytes, source, sourcePort }: ReceivedDatagram, socket: UdpSocket): void {
    if (ttl !== controlTtl) return;
    for (const { reflection, config } of this.#entries)
      if (reflection !== undefined && equalBytes(config.peer, source)) {
        try {
          socket.send(bytes, socketAddress(source, sourcePort));
        } catch (error) {
          if (!(error instanceof SystemCallError)) throw error; // Lost, as on any wire; who sent it counts.
        }
        return;
      }
  }

  /** The session of a control packet (RFC 5880, section 6.3; RFC 5881, section 5; RFC 5883, sections 4 and 5). */
  #find(datagram: ReceivedDatagram, multihop: boolean): { entry: SessionEntry; packet: ControlPacket } | IgnoredReason {
    if (!multihop && datagram.ttl !== controlTtl) return "ttl";
    const packet = decodeControl(datagram.bytes);
    if (typeof packet === "string") return packet;
    const { yourDiscriminator } = packet;
    const entry =
      yourDiscriminator === 0 ? this.#entries.findByWay(datagram, multihop) : this.#entries.withDiscriminator(yourDiscriminator);
    if (entry?.socket === undefined || entry.config.multihop !== multihop) return "noSession";
    if (!isFromPeer(entry.config, entry.socket.interfaceIndex, datagram)) return "otherSource";
    const { minimumTtl } = entry.config;
    if (multihop && datagram.ttl < minimumTtl) {
      // While the session is up it has packets that are in order, and these are somebody else's.
      if (entry.session.state !== "up")
        entry.problems.receive = `the peer's packets come with TTL ${datagram.ttl}, below the profile's minimum-ttl of ${minimumTtl}`;
      this.#report(entry);
      return "ttl";
    }
    if (!isOfSession(entry.session, packet, datagram, entry.arrivedOn)) return "otherDiscriminator";
    return { entry, packet };
  }

  #advance(entry: SessionEntry, event: Event, now: Millis): void {
    const wasEchoing = isEchoing(entry);
    const [session, effects] = step(entry.session, event, now, this.#chance);
    entry.session = session;
    if (wasEchoing && ![...this.#entries].some(isEchoing)) {
      this.#echoes.close();
      this.#watch();
    }
    for (const effect of effects) this.#carryOut(entry, effect, now);
    if (entry.socket !== undefined) entry.nextAt = Math.min(nextDeadline(session), entry.endAt);
    this.#report(entry);
  }

  #carryOut(entry: SessionEntry, effect: Effect, now: Millis): void {
    switch (effect.type) {
      case "send":
        this.#send(entry, encodeControl(effect.packet), now);
        break;
      case "sendEcho":
        this.#sendEcho(entry, now);
        break;
      case "changed":
        break; // The report that follows has the changes.
      default:
        effect satisfies never;
    }
  }

  /** A packet that cannot be sent is lost, as on any wire; the next is soon. */
  #send(entry: SessionEntry, bytes: Uint8Array, now: Millis): void {
    const { config } = entry;
    if (entry.socket === undefined) return;
    // Where another interface has the name by now, packets to a global address leave all the same, and the peer's count for nothing.
    const socket = entry.session.state === "up" ? entry.socket : renewed(entry.socket, config);
    entry.socket = socket;
    try {
      if (socket.udp.send(bytes, socket.destination)) entry.counters.add("controlOut");
      if (now >= entry.failedAt + retryAfter) entry.problems.send = undefined;
    } catch (error) {
      this.#failed(entry, error, now);
      entry.socket = renewed(socket, config);
    }
  }

  /** The problem stays for a second after the last failure, so that it is reported once. */
  #failed(entry: SessionEntry, error: unknown, now: Millis): void {
    if (!(error instanceof SystemCallError)) throw error;
    entry.problems.send = error.message;
    entry.failedAt = now;
  }

  #sendEcho(entry: SessionEntry, now: Millis): void {
    if (entry.path === undefined) return;
    const before = this.#echoes.fds.length;
    try {
      if (this.#echoes.send(entry.path, entry.session.discriminator, now)) {
        entry.counters.add("echoOut");
        entry.echoSentAt = now;
      }
    } catch (error) {
      this.#failed(entry, error, now);
    }
    if (this.#echoes.fds.length !== before) this.#watch();
  }

  #report(entry: SessionEntry): void {
    const { problems } = entry;
    const view = describeSession(entry.session, problems.open ?? problems.send ?? problems.receive ?? problems.echo);
    if (entry.reported !== undefined && same(view, entry.reported)) return;
    const hasFailed = entry.reported?.state === "up" && view.state === "down";
    entry.reported = view;
    this.#main[hasFailed ? "postUrgently" : "post"]({ id: entry.config.id, view });
  }

  #disableAll(): void {
    const known = [...this.#entries].filter(({ session }) => session.remote.discriminator !== 0);
    for (let i = 0; i < finalPackets; i++) {
      if (i > 0) new PollSet().wait(finalPacketGap);
      for (const entry of known) {
        const now = this.#clock.now();
        entry.session = { ...entry.session, sendAt: now };
        this.#advance(entry, { type: "disable" }, now);
      }
    }
  }

  [Symbol.dispose](): void {
    for (const { socket } of this.#entries) socket?.[Symbol.dispose]();
    this.#ports[Symbol.dispose]();
    this.#echoes[Symbol.dispose]();
  }
}
