import { readFileSync } from "node:fs";
import { getSystemErrorName, isDeepStrictEqual } from "node:util";
import { Alarm, type Clock, type Millis } from "#pkg/clock";
import { Netfilter, NetlinkError, SystemCallError } from "#pkg/linux";
import type { Log } from "#pkg/log";
import { type Family, families } from "#pkg/net";
import {
  chainName,
  type Handover,
  isOurs,
  ruleMarks,
  type SetName,
  setNames,
  shapeOf,
  tableMark,
  tableName,
} from "./state/shape.ts";
import {
  apply,
  createTable,
  type Elements,
  hex,
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
// A program that removes the table again and again finds it back at least this often.
const maxPause: Millis = 60_000;
const looksUntilCalm = 30;
const pauseAfterFailure: Millis = 60_000;
// People mend a setting or load a module, and expect to see it.
const betweenChecks: Millis = 60_000;
const errnoNotFound = 2; // ENOENT
const looseFile = "/proc/sys/net/netfilter/nf_conntrack_tcp_loose";

/** Why this node cannot hand over packets of a family. */
export type HandoverFailures = ReadonlyMap<Family, string>;

export interface HandoverKeeperOptions {
  /** Called with all failures whenever they change. */
  readonly onFailures: (failures: HandoverFailures) => void;
  readonly log: Log;
  readonly clock: Clock;
}

interface Kept {
  readonly table: TableState;
  /** The rules and elements were read, so that `found` holds. */
  isRead: boolean;
  /** The kernel has all that was wanted, so that only what is wanted otherwise since then is left to do. */
  isWhole: boolean;
  /** Elements that may be others since then. */
  pending: Keys;
  lookAt: Millis;
  compareAt: Millis;
  /** Nothing is changed before. */
  pausedUntil: Millis;
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

  /** Finds out whether this node could hand over packets, again and again while it could not. Leaves nothing behind. */
  check(): void {
    if (this.#isChecked) return;
    this.#isChecked = true;
    this.#findFailures();
  }

  /** From now on this is the handover of the address; undefined for none. The kernel gets it soon, or with `flush`. */
  want(address: { readonly family: Family; toString(): string }, handover: Handover | undefined): void {
    const { table, pending } = this.#kept[address.family];
    if (handover === undefined && !table.handovers.has(address.toString())) return;
    for (const [set, keys] of want(table, address.toString(), handover))
      for (const { element } of keys) pending[set].add(hex(element.key));
    this.#soon();
  }

  /**
   * The kernel has all handovers when this returns, unless it refuses them: to be called before this node announces an address. Hosts send to it
   * at once, and a packet that comes before is answered by a reset. All that was wanted since the last call is one change, which takes the
   * kernel some milliseconds.
   */
  flush(): void {
    for (const family of families) {
      const { pending } = this.#kept[family];
      if (setNames.every((set) => pending[set].size === 0)) continue;
      this.#alarm.setNoLater(this.#keep(family, this.#options.clock.now(), true));
    }
  }

  /** From now on these are the MAC addresses of all other speakers. */
  wantSpeakers(macs: readonly string[]): void {
    for (const family of families) wantSpeakers(this.#kept[family].table, macs);
    if (families.some((family) => isWanted(this.#kept[family].table))) this.#soon();
  }

  /** The caller has named all handovers: remains of an earlier life that are none of these go. */
  complete(): void {
    if (this.#kept.IPv4.table.isComplete) return;
    for (const family of families) this.#kept[family].table.isComplete = true;
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
    if (this.#failures.has(family)) return Infinity;
    if (now < kept.pausedUntil) return kept.pausedUntil;
    try {
      const only = isFlush && kept.isRead && kept.isWhole ? kept.pending : undefined;
      if (!kept.isRead || (now >= kept.lookAt && !isFlush)) this.#look(family, kept, now);
      if (now < kept.pausedUntil) return kept.pausedUntil;
      const changes = plan(kept.table, now, maxElementsAtOnce, only);
      if (only === undefined) kept.isWhole = changes.length === 0;
      if (changes.length === 0) return isWanted(kept.table) ? kept.lookAt : Infinity;
      const errno = this.#open().change(nameOf(family), changes);
      kept.pending = noKeys();
      if (errno === 0) apply(kept.table, changes);
      else {
        kept.isRead = kept.isWhole = false;
        if (errno !== errnoNotFound) throw new SystemCallError("netlink", errno, "change the packet filter");
      }
      return only === undefined ? now + 1 : kept.lookAt; // There may be more.
    } catch (error) {
      if (!(error instanceof SystemCallError) && !(error instanceof NetlinkError)) throw error;
      kept.isRead = kept.isWhole = false;
      const fields = { op: "handover", family, error: error.message };
      if (!isWanted(kept.table)) {
        // Most speakers may not read the packet filter, and have no use for it.
        this.#options.log.debug("the packet filter could not be read", fields);
        return Infinity;
      }
      this.#options.log.error("the packet filter could not be read or changed", fields);
      kept.pausedUntil = now + pauseAfterFailure;
      return kept.pausedUntil;
    }
  }

  /** Reads what the kernel has, and finds out whether somebody took something away. */
  #look(family: Family, kept: Kept, now: Millis): void {
    const { table } = kept;
    const had = kept.isRead && table.found !== undefined;
    const isThorough = !kept.isRead || (now >= kept.compareAt && table.handovers.size <= maxCompared);
    const marks = this.#open().query(nameOf(family), { type: "table" });
    const mark = marks?.find((one) => one.type === "table")?.mark;
    kept.lookAt = now + betweenLooks;
    if (isThorough) kept.compareAt = now + betweenComparisons;
    if (marks !== undefined && !isOurs(mark)) {
      this.#options.log.error("the packet filter has a table of our name that is not ours", { op: "handover", family });
      kept.pausedUntil = now + pauseAfterFailure;
      kept.isRead = false;
      return;
    }
    const isWhole = mark === tableMark && this.#readRules(family, kept);
    const found = isWhole ? (isThorough ? this.#readElements(family) : table.found) : undefined;
    if (marks !== undefined && found === undefined) this.#open().change(nameOf(family), [{ type: "deleteTable" }]);
    table.found = found;
    kept.isRead = true;
    const isLost = had && (found === undefined || isThorough) && plan(table, now, 1).length > 0;
    if (!isLost) {
      if (++kept.calmLooks >= looksUntilCalm) kept.pause = betweenLooks;
      return;
    }
    this.#restored++;
    this.#options.log.warn("somebody changed the packet filter's table ingot, putting back", { op: "handover", family });
    kept.calmLooks = 0;
    kept.pausedUntil = this.#restored === 1 ? now : now + kept.pause;
    kept.pause = Math.min(maxPause, 2 * kept.pause);
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
    const failures = new Map(
      families.flatMap((family) => {
        const failure = this.#whyNot(family);
        return failure === undefined ? [] : [[family, failure] as const];
      }),
    );
    if (failures.size > 0) this.#nextCheck.set(this.#options.clock.now() + betweenChecks);
    if (isDeepStrictEqual(failures, this.#failures)) return;
    const { log, onFailures } = this.#options;
    for (const [family, error] of failures) log.warn("connections break when addresses move", { op: "handover", family, error });
    this.#failures = failures;
    onFailures(failures);
    this.#soon();
  }

  /** Makes a table, and takes it away in the same change. */
  #whyNot(family: Family): string | undefined {
    try {
      if (readFileSync(looseFile, "utf8").trim() === "0")
        return "net.netfilter.nf_conntrack_tcp_loose is 0, by which the kernel drops what is to be handed over";
    } catch {
      // The kernel has not loaded the tracking of connections yet.
    }
    const table = { family, table: `${tableName}-try` };
    try {
      const errno = this.#open().change(table, [...shapeOf(family), { type: "deleteTable" }]);
      if (errno === 0) return undefined;
      const name = getSystemErrorName(-errno);
      if (name === "EPERM") return "the process needs the capability NET_ADMIN";
      return `this kernel lacks a part of nf_tables that it takes, such as nft_ct or nft_dup_${family.toLowerCase()} (${name})`;
    } catch (error) {
      if (error instanceof SystemCallError || error instanceof NetlinkError) return error.message;
      throw error;
    }
  }

  #open(): Netfilter {
    this.#netfilter ??= new Netfilter();
    return this.#netfilter;
  }
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
    pausedUntil: -Infinity,
    pause: betweenLooks,
    calmLooks: 0,
    packets: 0n,
    formerPackets: 0n,
  };
}
