import { randomBytes } from "node:crypto";
import type { Clock, Millis, Random } from "#pkg/clock";
import { PollSet, SystemCallError } from "#pkg/linux";
import type { Fields } from "#pkg/log";
import type { Mac } from "#pkg/net";
import type { MainThread } from "#pkg/threads";
import type { InterfaceState } from "./engine/interface-state.ts";
import { FloodWatch, SightingLimiter } from "./engine/limits.ts";
import { Proofs } from "./engine/proofs.ts";
import { GratuitousSchedule, RefreshSchedule } from "./engine/schedules.ts";
import type { WireAddress } from "./frames/arp.ts";
import { nonceLength } from "./frames/proof.ts";
import type { IgnoredSighting, Sighting } from "./frames/sightings.ts";
import type { AddressBook, InterfaceSocket } from "./interface-socket.ts";
import { InterfaceWatcher } from "./interface-watcher.ts";
import { Interfaces } from "./interfaces.ts";
import type { Announcement, Command, StatusMessage, WorkerStart, WriteLog } from "./messages.ts";
import { SharedMemory } from "./shared-memory.ts";

// The most of each kind of work between two polls. The rest waits behind the requests that came meanwhile.
const commandsPerPoll = 64;
const announcementsPerPoll = 32;
const surveyEvery: Millis = 10_000;

/** One announcement on one interface, for as long as the socket's burst is the same. */
interface ScheduledAnnouncement {
  readonly announcement: Announcement;
  readonly socket: InterfaceSocket;
  readonly burst: number;
}

/**
 * Answers for the announced addresses on every eligible interface: waits until something arrives or is due, does a bounded part of each
 * kind of work, and waits again. It has its thread to itself.
 */
export class AnswerLoop implements AddressBook, Disposable {
  readonly #main: MainThread<WorkerStart, Command, StatusMessage>;
  readonly #clock: Clock;
  readonly #log: WriteLog;
  readonly #shared: SharedMemory;
  readonly #watcher: InterfaceWatcher;
  readonly #interfaces: Interfaces;
  readonly #announced: Map<WireAddress, Announcement>; // address -> announcement
  readonly #schedule = new GratuitousSchedule<ScheduledAnnouncement>();
  readonly #refresh: RefreshSchedule<Announcement>;
  readonly #sightings = new SightingLimiter();
  readonly #proofs: Proofs;
  readonly #flood = new FloodWatch();
  readonly #onFlood: (isFlooded: boolean) => void;
  readonly #poll = new PollSet();
  #sockets = new Map<number, InterfaceSocket>(); // descriptor -> socket
  #told: ReadonlySet<InterfaceState> = new Set();
  #surveyAt: Millis;
  #onlyAnswers: boolean;

  /**
   * @param onFlood called when a flood begins or ends: in one, the thread has to leave the machine its time
   * @throws {SystemCallError} when changes of interfaces cannot be watched
   */
  constructor(
    main: MainThread<WorkerStart, Command, StatusMessage>,
    clock: Clock,
    random: Random,
    onFlood: (isFlooded: boolean) => void,
  ) {
    const { memory, announced, onlyAnswers, refreshMs, keys, isAlone } = main.start;
    this.#main = main;
    this.#clock = clock;
    this.#onFlood = onFlood;
    this.#log = (level, message, fields) => main.post({ type: "log", level, message, fields });
    this.#shared = new SharedMemory(memory);
    this.#watcher = new InterfaceWatcher(this.#log);
    this.#interfaces = new Interfaces(this.#shared, this.#log);
    this.#announced = new Map(announced.map((announcement) => [announcement.address, announcement]));
    this.#onlyAnswers = onlyAnswers;
    this.#proofs = new Proofs(() => randomBytes(nonceLength), clock.now());
    this.#proofs.setKeys(keys);
    this.#proofs.isAlone = isAlone;
    this.#refresh = new RefreshSchedule(refreshMs, random);
    for (const announcement of announced) {
      this.#interfaces.name(announcement.interfaces, clock.now());
      this.#addRefresh(announcement);
    }
    this.#surveyAt = clock.now() + surveyEvery;
    this.#poll.watch([main.wakeFd, this.#watcher.fd]);
  }

  /** Works until the main thread ends it. */
  run(): void {
    while (!this.#main.hasStopped()) this.#runOnce();
  }

  #runOnce(): void {
    const ready = this.#poll.wait(this.#nextAt() - this.#clock.now());
    const now = this.#clock.now();
    if (ready.includes(this.#main.wakeFd)) this.#receiveCommands();
    if (ready.includes(this.#watcher.fd) || now >= Math.min(this.#watcher.nextAt, this.#interfaces.nextAt))
      this.#updateInterfaces(now);
    let frames = 0;
    for (const fd of ready) {
      const socket = this.#sockets.get(fd);
      if (socket !== undefined)
        this.#attempt(socket, now, () => {
          frames += socket.serve(fd, this);
        });
    }
    if (this.#flood.add(Math.max(frames, 1), now)) this.#onFlood(this.#flood.flooded); // A poll is work too.
    const due = this.#schedule.take(now, announcementsPerPoll, (scheduled) => this.#isCurrent(scheduled));
    for (const { announcement, socket } of due) socket.announce(announcement);
    const refreshed = this.#refresh.take(now, (announcement) => this.#mayAnnounce(announcement));
    if (refreshed !== undefined)
      for (const socket of this.#interfaces.sockets()) if (socket.isFor(refreshed)) socket.announce(refreshed);
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

  #receiveCommands(): void {
    this.#main.clearWake();
    for (let i = 0; i < commandsPerPoll; i++) {
      const command = this.#main.receive();
      if (command === undefined) return;
      this.#carryOut(command);
    }
    this.#main.wakeAgain(); // There may be more.
  }

  #carryOut(command: Command): void {
    switch (command.type) {
      case "announce":
        this.#announce(command.announcement);
        break;
      case "withdraw":
        this.#interfaces.unname(this.#announced.get(command.announcement.address)?.interfaces ?? []);
        this.#announced.delete(command.announcement.address);
        for (const socket of this.#interfaces.sockets()) socket.withdraw(command.announcement);
        break;
      case "defend":
        for (const [socket, announcement] of this.#socketsFor(command.address))
          if (this.#mayAnnounce(announcement)) socket.announce(announcement);
        break;
      case "probe":
        for (const [socket, announcement] of this.#socketsFor(command.address))
          socket.probe(announcement, command.to, command.fromOwnAddress);
        break;
      case "challenge":
        this.#challenge(command.address, command.to);
        break;
      case "keys":
        this.#proofs.setKeys(command.keys);
        break;
      case "alone":
        this.#proofs.isAlone = command.isAlone;
        break;
      case "stopAnnouncing":
        this.#onlyAnswers = true;
        break;
      default:
        command satisfies never;
    }
  }

  #announce(announcement: Announcement): void {
    const named = this.#interfaces.name(announcement.interfaces, this.#clock.now());
    if (named !== undefined) this.#beginAll(named);
    this.#interfaces.unname(this.#announced.get(announcement.address)?.interfaces ?? []);
    this.#announced.set(announcement.address, announcement);
    this.#addRefresh(announcement);
    for (const socket of this.#interfaces.sockets()) this.#begin(announcement, socket);
  }

  #addRefresh(announcement: Announcement): void {
    if (!announcement.silent) this.#refresh.add(announcement, this.#clock.now());
  }

  /**
   * Schedules the announcements on an interface, or only watches a silent one; no longer where it is not for that interface. Nor is there anything
   * to do where no host hears of it, as on the hundreds of interfaces to Pods that a node may have: a veth passes all solicitations, and no switch
   * has to know their group.
   */
  #begin(announcement: Announcement, socket: InterfaceSocket): void {
    if (!socket.isFor(announcement) || !socket.reachesHosts(announcement)) socket.withdraw(announcement);
    else if (announcement.silent) socket.listen(announcement);
    else this.#schedule.add({ announcement, socket, burst: socket.burst });
  }

  #challenge(address: WireAddress, to: Mac): void {
    const sockets = [...this.#socketsFor(address)].map(([socket]) => socket);
    const from = sockets.map(({ mac }) => mac);
    for (const [index, frame] of this.#proofs.challenge(address, to, from, this.#clock.now()).entries())
      sockets[index]?.sendProof(frame);
  }

  *#socketsFor(address: WireAddress): Iterable<[InterfaceSocket, Announcement]> {
    const announcement = this.#announced.get(address);
    if (announcement === undefined) return;
    for (const socket of this.#interfaces.sockets()) if (socket.isFor(announcement)) yield [socket, announcement];
  }

  /** The flag in shared memory is ahead of the commands, so that an address is silent as soon as it is withdrawn. */
  find(address: WireAddress): Announcement | undefined {
    const announcement = this.#announced.get(address);
    return announcement !== undefined && this.#shared.isAnnounced(announcement.row) ? announcement : undefined;
  }

  /** A frame of this node, by another interface of it or sent back by a switch, is no sighting. Nor is what a Pod sends to its node alone. */
  sight(sighting: Sighting | IgnoredSighting, socket: InterfaceSocket): void {
    const announcement = this.#announced.get(sighting.address);
    if (announcement === undefined || !socket.isFor(announcement) || !socket.reachesHosts(announcement)) return;
    if ("ignored" in sighting) {
      this.#shared.totals.add(sighting.ignored);
      return;
    }
    if (this.#interfaces.macs.has(sighting.mac)) return;
    if (sighting.kind !== "probes") this.#shared.addToRow(announcement.row, "sightings");
    if (this.#sightings.allows(sighting.address, sighting.mac, this.#clock.now()))
      this.#main.post({ type: "sighting", sighting, interface: socket.interface.name, own: socket.mac });
  }

  prove(frame: Uint8Array, socket: InterfaceSocket): Uint8Array | undefined {
    const announcementOf = (address: WireAddress) => {
      const announcement = this.find(address);
      return announcement !== undefined && socket.isFor(announcement) ? announcement : undefined;
    };
    const taken = this.#proofs.receive(frame, socket.mac, this.#clock.now(), (address) => announcementOf(address) !== undefined);
    if (taken === undefined) return undefined;
    if ("answer" in taken) return taken.answer;
    this.#main.post({ type: "sighting", sighting: taken.proven, interface: socket.interface.name, own: socket.mac });
    return undefined;
  }

  #mayAnnounce(announcement: Announcement): boolean {
    return !this.#onlyAnswers && this.find(announcement.address) === announcement;
  }

  #isCurrent({ announcement, socket, burst }: ScheduledAnnouncement): boolean {
    return burst === socket.burst && this.#mayAnnounce(announcement);
  }

  #updateInterfaces(now: Millis): void {
    const interfaces = this.#watcher.work(now);
    const anew = [...(interfaces === undefined ? [] : this.#interfaces.update(interfaces, now)), ...this.#interfaces.retry(now)];
    if (interfaces !== undefined || anew.length > 0) this.#beginAll(anew);
  }

  #beginAll(anew: readonly InterfaceSocket[]): void {
    this.#interfacesChanged();
    for (const socket of anew) {
      socket.startBurst();
      for (const announcement of this.#announced.values()) this.#begin(announcement, socket);
    }
  }

  #survey(now: Millis): void {
    this.#surveyAt = now + surveyEvery;
    for (const socket of this.#interfaces.sockets()) this.#attempt(socket, now, () => this.#surveySocket(socket));
  }

  #surveySocket(socket: InterfaceSocket): void {
    const log = (message: string, fields: Fields): void =>
      this.#log("warn", message, { ...fields, interface: socket.interface.name });
    const dropped = socket.takeDropped();
    const sending = socket.takeSendError();
    const joining = socket.retryGroups();
    this.#shared.totals.add("dropped", dropped);
    if (dropped > 0) log("requests came faster than they could be read, and some were lost", { op: "receive", dropped });
    if (sending !== undefined) log("answers or announcements could not be sent", { op: "send", error: sending.message });
    if (joining !== undefined)
      log("IPv6 multicast groups could not be joined, trying again", { op: "join", error: joining.message });
  }

  /** Work on one interface. If it fails, the others go on. */
  #attempt(socket: InterfaceSocket, now: Millis, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#interfaces.fail(socket, error, now);
      this.#interfacesChanged();
    }
  }

  #interfacesChanged(): void {
    this.#sockets = new Map(this.#interfaces.sockets().flatMap((socket) => socket.fds.map((fd) => [fd, socket])));
    this.#poll.watch([this.#main.wakeFd, this.#watcher.fd, ...this.#sockets.keys()]);
    const states = this.#interfaces.states();
    const changed = states.filter((state) => !this.#told.has(state));
    this.#told = new Set(states);
    this.#main.post({ type: "interfaces", indexes: states.map(({ index }) => index), changed });
  }

  [Symbol.dispose](): void {
    this.#interfaces[Symbol.dispose]();
    this.#watcher[Symbol.dispose]();
  }
}
