import { isDeepStrictEqual } from "node:util";
import { Alarm, type Clock, type Millis } from "#pkg/clock";
import { Netfilter, NetlinkError, SystemCallError } from "#pkg/linux";
import type { Log } from "#pkg/log";
import { Address, type Family, families } from "#pkg/net";
import { findObstacle, type ReadFile, readNow, tryTable } from "./obstacles.ts";
import { chainName, type Handover, isOurs, ruleMarks, type SetName, setNames, tableMark, tableName } from "./state/shape.ts";
import {
  apply,
  createTable,
  type Elements,
  forgetEnded,
  forgetInherited,
  hex,
  inherit,
  isWanted,
  type Keys,
  noElements,
  noKeys,
  plan,
  type TableState,
  want,
  wantSpeakers,
} from "./state/state.ts";

// A turn of the main thread; the kernel takes some microseconds for each.
const maxElementsAtOnce = 500;
const betweenLooks: Millis = 2_000;
// Thousands of elements take the main thread some milliseconds to read: seldom, and not for more.
const betweenComparisons: Millis = 60_000;
const maxCompared = 2_000;
const afterInterruption: Millis = 100;
// A program that removes the table again and again finds it back at least this often, and a kernel that refuses is asked again.
const maxPause: Millis = 60_000;
const looksUntilCalm = 30;
// People mend a setting or load a module, and expect to see it.
const betweenChecks: Millis = 60_000;
// The most that a handover takes.
const inheritedMs: Millis = 600_000;
const errnoNotFound = 2; // ENOENT

/** Why this node cannot hand over packets of a family. */
export type HandoverFailures = ReadonlyMap<Family, string>;

export interface Inherited {
  /** Addresses whose packets the kernel passes on: that life had lost them to another node. */
  readonly addresses: readonly Address[];
  /** Addresses that it owned, and whose packets it handed over to the node with the address `to`, until it ended with no time to say so. */
  readonly unfinished: readonly { readonly address: Address; readonly to: Address }[];
}

/** The calls of the kernel that the keeper makes. */
export type PacketFilter = Pick<Netfilter, "change" | "query">;

export interface HandoverKeeperOptions {
  /** Simulations have another kernel than this machine's. */
  readonly kernel?: PacketFilter;
  /** This machine's files when unset. */
  readonly read?: ReadFile;
  /** Called with all failures whenever they change. */
  readonly onFailures: (failures: HandoverFailures) => void;
  /** Called where the kernel goes on with what an earlier life of the speaker began. */
  readonly onInherited: (inherited: Inherited) => void;
  readonly log: Log;
  readonly clock: Clock;
}

interface Kept {
  readonly table: TableState;
  /** The rules and elements were read, so that `found` holds. */
  isRead: boolean;
  /** The kernel has all that was wanted but for what is pending. */
  isWhole: boolean;
  /** Elements that are wanted otherwise since then. */
  pending: Keys;
  lookAt: Millis;
  compareAt: Millis;
  /** When the kernel has ended what an earlier life left; -Infinity until the table is read first. */
  inheritedUntil: Millis;
  /** Nothing is changed before, but what announcements wait for where the kernel refused nothing. */
  pausedUntil: Millis;
  isRefused: boolean;
  /** The time between a loss and putting back, and how many looks in a row found everything in place. */
  pause: Millis;
  calmLooks: number;
  /** Packets counted by the present rules when they were read last, and by former rules. */
  packets: bigint;
  formerPackets: bigint;
}

/**
 * Keeps handovers in this node's packet filter (see the index). Nothing is opened before a pool asks for it, or an earlier life left
 * something. All work is done in short turns of the main thread.
 */
export class HandoverKeeper implements Disposable {
  readonly #options: HandoverKeeperOptions;
  readonly #kept: Record<Family, Kept>;
  readonly #alarm: Alarm;
  readonly #nextCheck: Alarm;
  #netfilter: Netfilter | undefined;
  #failures: HandoverFailures = new Map();
  #isChecked = false;
  #hasTried = false;
  #restored = 0;

  constructor(options: HandoverKeeperOptions) {
    this.#options = options;
    this.#kept = { IPv4: nothingKept("IPv4"), IPv6: nothingKept("IPv6") };
    this.#alarm = new Alarm(options.clock, "handovers", () => this.#turn());
    this.#nextCheck = new Alarm(options.clock, "handover check", () => this.#findFailures());
  }

  /** How often the table was put back that somebody had taken away. */
  get restored(): number {
    return this.#restored;
  }

  /** Packets that were handed over so far. */
  get packets(): number {
    return families.reduce((sum, family) => sum + Number(this.#kept[family].packets + this.#kept[family].formerPackets), 0);
  }

  /** Finds out whether this node could hand over packets, now and each minute. Leaves nothing behind. */
  check(): void {
    if (this.#isChecked) return;
    this.#isChecked = true;
    this.#findFailures();
    this.#turn(); // The core hears what an earlier life left before it places anything.
  }

  /** From now on this is the handover of the address; undefined for none. The kernel gets it soon, or with `flush`. */
  want(address: Address, handover: Handover | undefined): void {
    const kept = this.#kept[address.family];
    const { table, pending } = kept;
    if (table.inherited.size > 0)
      kept.isWhole = false; // It may take the place of one of those.
    else if (handover === undefined && !table.handovers.has(address.toString())) return;
    for (const [set, keys] of want(table, address, handover)) for (const { element } of keys) pending[set].add(hex(element.key));
    this.#soon();
  }

  /**
   * The kernel has all handovers when this returns, unless it refuses them: to be called before this node announces an address. Hosts send to it
   * at once, and a packet that comes before is answered by a reset. The kernel takes some milliseconds for all changes since the last call.
   */
  flush(): void {
    for (const family of families) {
      if (!hasPending(this.#kept[family])) continue;
      this.#alarm.setNoLater(this.#keep(family, this.#options.clock.now(), true));
    }
  }

  /** From now on these are the MAC addresses of all other speakers. */
  wantSpeakers(macs: readonly string[]): void {
    for (const family of families) {
      const { table, pending } = this.#kept[family];
      const before = [...table.wanted.speakers.keys()];
      wantSpeakers(table, macs);
      for (const key of [...before, ...table.wanted.speakers.keys()]) pending.speakers.add(key);
    }
    if (families.some((family) => isWanted(this.#kept[family].table))) this.#soon();
  }

  /** The caller has named all handovers: others, which an earlier life left, go. */
  complete(): void {
    if (this.#kept.IPv4.table.isComplete) return;
    for (const family of families) {
      this.#kept[family].table.isComplete = true;
      this.#kept[family].isWhole = false;
    }
    this.#soon();
  }

  /** Leaves what is there: the kernel ends it in its time. */
  [Symbol.dispose](): void {
    this.#alarm[Symbol.dispose]();
    this.#nextCheck[Symbol.dispose]();
    this.#netfilter?.[Symbol.dispose]();
  }

  #soon(): void {
    this.#alarm.setNoLater(this.#options.clock.now());
  }

  #turn(): void {
    const now = this.#options.clock.now();
    const due = families.map((family) => this.#keep(family, now));
    this.#alarm.set(Math.min(...due));
  }

  /** @returns when there is something to do again */
  #keep(family: Family, now: Millis, isFlush = false): Millis {
    const kept = this.#kept[family];
    const isInVain = this.#failures.has(family);
    if (isInVain && kept.table.found === undefined) return Infinity;
    if (isPaused(kept, now, isFlush)) return kept.pausedUntil;
    try {
      if (isInVain) {
        this.#open().change(nameOf(family), [{ type: "deleteTable" }]);
        kept.table.found = undefined;
        kept.isRead = kept.isWhole = false;
        return Infinity;
      }
      if (now >= kept.inheritedUntil && kept.table.inherited.size > 0) {
        forgetInherited(kept.table, kept.table.inherited.keys());
        kept.isWhole = false;
      }
      if (!kept.isRead || (now >= kept.lookAt && !isFlush)) this.#look(family, kept, now);
      if (isPaused(kept, now, isFlush)) return kept.pausedUntil;
      while (this.#change(family, kept, now, isFlush)) if (!isFlush) return now + 1;
      if (isFlush && !kept.isRead) {
        // Somebody took the table away since the last look. Announcements do not wait for the next.
        this.#look(family, kept, now);
        while (!isPaused(kept, now, isFlush) && this.#change(family, kept, now, isFlush));
      }
      if (!kept.isWhole) return now + 1;
      return isWanted(kept.table) ? kept.lookAt : Infinity;
    } catch (error) {
      if (!(error instanceof SystemCallError) && !(error instanceof NetlinkError)) throw error;
      // Others changed the packet filter whenever it was read. That says nothing of what can be written.
      if (error instanceof SystemCallError && error.code === "EINTR") return now + afterInterruption;
      kept.isRead = kept.isWhole = false;
      const fields = { op: "handover", family, error: error.message };
      if (!isWanted(kept.table)) {
        // Most speakers may not read the packet filter, and have no use for it.
        this.#options.log.debug("the packet filter could not be read", fields);
        return Infinity;
      }
      this.#options.log.error("the packet filter could not be read or changed", fields);
      return pauseFrom(kept, now, true);
    }
  }

  /** Makes some of the changes; those that are pending come first where announcements wait for them. @returns whether there may be more */
  #change(family: Family, kept: Kept, now: Millis, isFlush: boolean): boolean {
    const { table, pending } = kept;
    if (table.found === undefined) for (const key of table.wanted.speakers.keys()) pending.speakers.add(key);
    const only = isFlush || kept.isWhole ? pending : undefined;
    const changes = plan(table, now, maxElementsAtOnce, only);
    if (changes.length === 0) {
      kept.pending = noKeys();
      if (only === undefined) kept.isWhole = true;
      return false;
    }
    const errno = this.#open().change(nameOf(family), changes);
    if (errno === 0) apply(table, changes);
    else kept.isRead = kept.isWhole = false;
    if (errno !== 0 && errno !== errnoNotFound) throw new SystemCallError("netlink", errno, "change the packet filter");
    return errno === 0;
  }

  /** Reads what the kernel has, and finds out whether somebody took something away. */
  #look(family: Family, kept: Kept, now: Millis): void {
    const { table } = kept;
    const had = kept.isRead && table.found !== undefined;
    // Nobody has taken an element away that is yet to be added.
    const isToCompare = now >= kept.compareAt && table.handovers.size <= maxCompared && kept.isWhole && !hasPending(kept);
    const isThorough = !kept.isRead || isToCompare;
    const marks = this.#open().query(nameOf(family), { type: "table" });
    const mark = marks?.find((one) => one.type === "table")?.mark;
    kept.lookAt = now + betweenLooks;
    if (isThorough) kept.compareAt = now + betweenComparisons;
    // Before Linux 5.10 the kernel keeps the marks of rules alone.
    const isWhole = marks !== undefined && (mark ?? tableMark) === tableMark && this.#readRules(family, kept);
    if (marks !== undefined && !isOurs(mark) && !isWhole) {
      this.#options.log.error("the packet filter has a table of our name that is not ours", { op: "handover", family });
      pauseFrom(kept, now, true);
      kept.isRead = false;
      return;
    }
    const found = isWhole ? (isThorough ? this.#readElements(family) : table.found) : undefined;
    if (marks !== undefined && found === undefined) this.#open().change(nameOf(family), [{ type: "deleteTable" }]);
    table.found = found;
    kept.isRead = true;
    if (isThorough || found === undefined) {
      forgetEnded(table);
      kept.isWhole = false;
    }
    if (kept.inheritedUntil === -Infinity) {
      kept.inheritedUntil = now + inheritedMs;
      inherit(table, kept.inheritedUntil);
      const addresses: Address[] = [];
      const unfinished: Inherited["unfinished"][number][] = [];
      for (const [key, elements] of table.inherited) {
        const address = Address.fromBytes(Buffer.from(key, "hex"));
        const to = elements.some(({ set }) => set === "passed") ? undefined : table.wanted.owned.get(key)?.value;
        if (to === undefined) addresses.push(address);
        else unfinished.push({ address, to: Address.fromBytes(to) });
      }
      if (table.inherited.size > 0) this.#options.onInherited({ addresses, unfinished });
    }
    const isLost = had && (found === undefined || isThorough) && plan(table, now, 1).length > 0;
    if (!isLost) {
      if (++kept.calmLooks >= looksUntilCalm) kept.pause = betweenLooks;
      return;
    }
    this.#restored++;
    this.#options.log.warn("somebody changed the packet filter's table ingot, putting back", { op: "handover", family });
    const isCalm = kept.pause === betweenLooks;
    const end = pauseFrom(kept, now, false);
    kept.pausedUntil = isCalm ? now : end;
  }

  /** @returns whether the rules are those that belong there */
  #readRules(family: Family, kept: Kept): boolean {
    const rules = (this.#open().query(nameOf(family), { type: "rules", chain: chainName }) ?? []).filter(
      (one) => one.type === "rule",
    );
    const packets = rules.reduce((sum, one) => sum + one.packets, 0n);
    if (packets < kept.packets) kept.formerPackets += kept.packets;
    kept.packets = packets;
    return rules.length === ruleMarks.length && rules.every(({ mark }, index) => mark === ruleMarks[index]);
  }

  #readElements(family: Family): Elements | undefined {
    const found = noElements();
    for (const set of setNames) {
      const messages = this.#open().query(nameOf(family), { type: "elements", set });
      if (messages === undefined) return undefined;
      for (const message of messages)
        for (const one of message.type === "elements" ? message.elements : [])
          found[set satisfies SetName].set(hex(one.key), { ...one, until: Infinity });
    }
    return found;
  }

  #findFailures(): void {
    const obstacle = findObstacle(this.#options.read ?? readNow);
    const isToTry = (family: Family) => !this.#hasTried || this.#failures.has(family);
    const failures = new Map(
      families.flatMap((family) => {
        const failure = obstacle ?? (isToTry(family) ? tryTable(family, () => this.#open()) : undefined);
        return failure === undefined ? [] : [[family, failure] as const];
      }),
    );
    this.#hasTried = true;
    this.#nextCheck.set(this.#options.clock.now() + betweenChecks);
    if (isDeepStrictEqual(failures, this.#failures)) return;
    const { log, onFailures } = this.#options;
    for (const [family, error] of failures) log.warn("connections break when addresses move", { op: "handover", family, error });
    this.#failures = failures;
    onFailures(failures);
    this.#soon();
  }

  #open(): PacketFilter {
    if (this.#options.kernel !== undefined) return this.#options.kernel;
    this.#netfilter ??= new Netfilter();
    return this.#netfilter;
  }
}

/** Each further failure or loss doubles the time until the next attempt. @returns until when nothing is tried */
function pauseFrom(kept: Kept, now: Millis, isRefused: boolean): Millis {
  kept.calmLooks = 0;
  kept.isRefused = isRefused;
  kept.pausedUntil = now + kept.pause;
  kept.pause = Math.min(maxPause, 2 * kept.pause);
  return kept.pausedUntil;
}

function isPaused({ pausedUntil, isRefused }: Kept, now: Millis, isFlush: boolean): boolean {
  return now < pausedUntil && (isRefused || !isFlush);
}

function hasPending({ pending }: Kept): boolean {
  return setNames.some((set) => pending[set].size > 0);
}

function nameOf(family: Family) {
  return { family, table: tableName };
}

function nothingKept(family: Family): Kept {
  return {
    table: createTable(family),
    isRead: false,
    isWhole: false,
    pending: noKeys(),
    lookAt: -Infinity,
    compareAt: -Infinity,
    inheritedUntil: -Infinity,
    pausedUntil: -Infinity,
    isRefused: false,
    pause: betweenLooks,
    calmLooks: 0,
    packets: 0n,
    formerPackets: 0n,
  };
}
