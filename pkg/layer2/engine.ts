import type { Clock, Millis, Random } from "#pkg/clock";
import { EventFd, PollSet, SystemCallError } from "#pkg/linux";
import type { Fields } from "#pkg/log";
import type { Channel } from "#pkg/threads";
import { FloodWatch } from "./flood-watch.ts";
import { GratuitousSchedule } from "./gratuitous.ts";
import { Interfaces } from "./interfaces.ts";
import { LinkWatcher } from "./link-watcher.ts";
import type { Announcement, Command, Report, WireAddress, WorkerStart, WriteLog } from "./messages.ts";
import type { Desk, Port } from "./port.ts";
import { RefreshSchedule } from "./refresh-schedule.ts";
import { Shared } from "./shared.ts";
import type { Sighting } from "./sighting.ts";
import { SightingLimiter } from "./sighting-limiter.ts";

// What a turn does at most of each kind of work. The rest waits for the next turn, behind the requests that came meanwhile.
const commandsPerTurn = 64;
const announcementsPerTurn = 32;
const surveyEvery: Millis = 10_000;

/** One announcement on one port, for as long as the port's burst is the same. */
interface Turn {
  readonly announcement: Announcement;
  readonly port: Port;
  readonly burst: number;
}

/**
 * Answers for the announced addresses on every eligible interface, in turns: wait until something arrives or is due, then do a bounded
 * part of each kind of work. The thread is its own while it runs.
 */
export class Engine implements Desk, Disposable {
  readonly #channel: Channel<Command, Report>;
  readonly #clock: Clock;
  readonly #log: WriteLog;
  readonly #shared: Shared;
  readonly #wake: EventFd; // The main thread's.
  readonly #watcher: LinkWatcher;
  readonly #interfaces: Interfaces;
  readonly #announced: Map<WireAddress, Announcement>; // address -> announcement
  readonly #schedule = new GratuitousSchedule<Turn>();
  readonly #refresh: RefreshSchedule<Announcement>;
  readonly #sightings = new SightingLimiter();
  readonly #flood = new FloodWatch();
  readonly #flooded: (flooded: boolean) => void;
  readonly #poll = new PollSet();
  #ports = new Map<number, Port>(); // descriptor -> port
  #surveyAt: Millis;
  #silent: boolean;

  /**
   * @param flooded so much arrives from now on, or no longer, that the thread has to leave the machine its time
   * @throws {SystemCallError} when changes of interfaces cannot be watched
   */
  constructor(
    { memory, wake, announced, silent, refreshMs }: WorkerStart,
    channel: Channel<Command, Report>,
    clock: Clock,
    random: Random,
    flooded: (flooded: boolean) => void,
  ) {
    this.#flooded = flooded;
    this.#log = (level, message, fields) => channel.post({ type: "log", level, message, fields });
    this.#channel = channel;
    this.#clock = clock;
    this.#shared = new Shared(memory);
    this.#wake = new EventFd(wake);
    this.#watcher = new LinkWatcher(this.#log);
    this.#interfaces = new Interfaces(this.#shared, this.#log);
    this.#announced = new Map(announced.map((announcement) => [announcement.address, announcement]));
    this.#silent = silent;
    this.#refresh = new RefreshSchedule(refreshMs, random);
    for (const announcement of announced) this.#refreshLater(announcement);
    this.#surveyAt = clock.now() + surveyEvery;
    this.#poll.watch([wake, this.#watcher.fd]);
  }

  /** Works until the main thread says stop. */
  run(): void {
    while (this.#shared.total("stop") === 0) this.#turn();
  }

  #turn(): void {
    const ready = this.#poll.wait(this.#nextAt() - this.#clock.now());
    const now = this.#clock.now();
    if (ready.includes(this.#wake.fd)) this.#obey();
    if (ready.includes(this.#watcher.fd) || now >= Math.min(this.#watcher.nextAt, this.#interfaces.nextAt)) this.#watch(now);
    let frames = 0;
    for (const fd of ready) {
      const port = this.#ports.get(fd);
      if (port !== undefined)
        this.#attempt(port, now, () => {
          frames += port.serve(fd, this);
        });
    }
    if (this.#flood.add(Math.max(frames, 1), now)) this.#flooded(this.#flood.flooded); // A turn is work too.
    const due = this.#schedule.take(now, announcementsPerTurn, (turn) => this.#isCurrent(turn));
    for (const { announcement, port } of due) port.announce(announcement);
    const refreshed = this.#refresh.take(now, (announcement) => this.#isTold(announcement));
    if (refreshed !== undefined) for (const port of this.#interfaces.ports()) if (port.isFor(refreshed)) port.announce(refreshed);
    if (now >= this.#surveyAt) this.#survey(now);
  }

  #nextAt(): Millis {
    return Math.min(
      this.#schedule.nextAt(this.#clock.now()),
      this.#refresh.nextAt,
      this.#watcher.nextAt,
      this.#interfaces.nextAt,
      this.#surveyAt,
    );
  }

  #obey(): void {
    this.#wake.clear();
    for (let i = 0; i < commandsPerTurn; i++) {
      const command = this.#channel.receive();
      if (command === undefined) return;
      this.#carryOut(command);
    }
    this.#wake.signal(); // There may be more.
  }

  #carryOut(command: Command): void {
    switch (command.type) {
      case "announce":
        this.#announce(command.announcement);
        break;
      case "withdraw":
        this.#announced.delete(command.announcement.address);
        for (const port of this.#interfaces.ports()) port.withdraw(command.announcement);
        break;
      case "defend":
        for (const [port, announcement] of this.#portsFor(command.address))
          if (this.#isTold(announcement)) port.announce(announcement);
        break;
      case "probe":
        for (const [port, announcement] of this.#portsFor(command.address))
          port.probe(announcement, command.to, command.fromOwnAddress);
        break;
      case "stopAnnouncing":
        this.#silent = true;
        break;
      default:
        command satisfies never;
    }
  }

  #announce(announcement: Announcement): void {
    this.#announced.set(announcement.address, announcement);
    this.#refreshLater(announcement);
    for (const port of this.#interfaces.ports()) this.#begin(announcement, port);
  }

  #refreshLater(announcement: Announcement): void {
    if (!announcement.silent) this.#refresh.add(announcement, this.#clock.now());
  }

  /** Announces it on the port from the beginning or, when it is silent, just listens; no longer where it is not for that port. */
  #begin(announcement: Announcement, port: Port): void {
    if (!port.isFor(announcement)) port.withdraw(announcement);
    else if (announcement.silent) port.listen(announcement);
    else this.#schedule.add({ announcement, port, burst: port.burst });
  }

  *#portsFor(address: WireAddress): Iterable<[Port, Announcement]> {
    const announcement = this.#announced.get(address);
    if (announcement === undefined) return;
    for (const port of this.#interfaces.ports()) if (port.isFor(announcement)) yield [port, announcement];
  }

  /** The flag in shared memory is ahead of the commands, so that an address is silent as soon as it is withdrawn. */
  find(address: WireAddress): Announcement | undefined {
    const announcement = this.#announced.get(address);
    return announcement !== undefined && this.#shared.isAnnounced(announcement.row) ? announcement : undefined;
  }

  /** What comes from this node, by another interface of it or sent back by a switch, is no sighting of another. */
  sighted(sighting: Sighting, port: Port): void {
    const announcement = this.#announced.get(sighting.address);
    if (announcement === undefined || !port.isFor(announcement) || this.#interfaces.macs.has(sighting.mac)) return;
    if (sighting.kind !== "probes") this.#shared.addToRow(announcement.row, "sightings");
    if (this.#sightings.allows(sighting.address, this.#clock.now()))
      this.#channel.post({ type: "sighting", sighting, interface: port.link.name, own: port.mac });
  }

  #isTold(announcement: Announcement): boolean {
    return !this.#silent && this.find(announcement.address) === announcement;
  }

  #isCurrent({ announcement, port, burst }: Turn): boolean {
    return burst === port.burst && this.#isTold(announcement);
  }

  #watch(now: Millis): void {
    const links = this.#watcher.work(now);
    const anew = [...(links === undefined ? [] : this.#interfaces.update(links, now)), ...this.#interfaces.retry(now)];
    if (links !== undefined || anew.length > 0) this.#interfacesChanged();
    for (const port of anew) {
      port.startBurst();
      for (const announcement of this.#announced.values()) this.#begin(announcement, port);
    }
  }

  #survey(now: Millis): void {
    this.#surveyAt = now + surveyEvery;
    for (const port of this.#interfaces.ports()) this.#attempt(port, now, () => this.#surveyPort(port));
  }

  #surveyPort(port: Port): void {
    const log = (message: string, fields: Fields): void => this.#log("warn", message, { ...fields, interface: port.link.name });
    const dropped = port.takeDropped();
    const sending = port.takeSendError();
    const joining = port.retryGroups();
    this.#shared.addTotal("dropped", dropped);
    if (dropped > 0) log("requests came faster than they could be read, and some were lost", { op: "receive", dropped });
    if (sending !== undefined) log("answers or announcements could not be sent", { op: "send", error: sending.message });
    if (joining !== undefined)
      log("IPv6 multicast groups could not be joined, trying again", { op: "join", error: joining.message });
  }

  /** Work on one port, whose failure is its own. */
  #attempt(port: Port, now: Millis, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#interfaces.fail(port, error, now);
      this.#interfacesChanged();
    }
  }

  #interfacesChanged(): void {
    this.#ports = new Map(this.#interfaces.ports().flatMap((port) => port.fds.map((fd) => [fd, port])));
    this.#poll.watch([this.#wake.fd, this.#watcher.fd, ...this.#ports.keys()]);
    this.#channel.post({ type: "interfaces", interfaces: this.#interfaces.report() });
  }

  [Symbol.dispose](): void {
    this.#interfaces[Symbol.dispose]();
    this.#watcher[Symbol.dispose]();
  }
}
