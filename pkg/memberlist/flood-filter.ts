import type { Millis } from "#pkg/clock";
import { RecentMap } from "#pkg/collections";
import { nonceAt } from "./codec/keyring.ts";
import { maxShares } from "./packet-guard.ts";
import type { PacketSample } from "./transport.ts";

/** Packets a second that were dropped or could not be decrypted: from this number on they are a flood. */
const floodPerSecond = 1000;
/** Below that it is over. */
const calmPerSecond = 500;
/** This many a second pass all the same: to count them, to log them, and to notice new members. */
const samplesPerSecond = 200;
/** How often it is looked again. */
export const reviewEvery: Millis = 1000;
/** First words of the nonces of one member's packets: a member of ours has one for each of its processes, others a new one in each packet. */
const maxWords = 4;
/** From more words and addresses on fewer words are told, because a filter in the kernel has little room. */
const maxSampled = 4000;

/**
 * Decides which packets wake this member while a flood of forged packets arrives, for a filter in the kernel. The nonces of a member's
 * packets all begin with the same random bits, which a host that does not see these packets cannot know. The filter passes packets that
 * begin so, and packets from the address of a member whose nonces have no common beginning, or no known one. The same holds for other
 * sources that sent something authentic. But the filter passes packets by their addresses only while they keep within their share, because
 * anybody may have replayed that packet. Some of all other packets pass as a sample.
 */
export class FloodFilter {
  readonly #members = new Map<string, Set<number>>(); // address -> first words of the nonces of its packets
  readonly #strangers = new RecentMap<string, Set<number>>(maxShares); // the same of sources that are no members
  #passing: ReadonlySet<string> = new Set(); // Addresses of strangers from where all is let through.
  #rejected = 0; // Since `since`.
  #since: Millis = -Infinity;
  #oneIn = 1;

  /** Whether there is a flood. */
  get isOn(): boolean {
    return this.#oneIn > 1;
  }

  setMembers(addresses: Iterable<string>): void {
    const before = new Map(this.#members);
    this.#members.clear();
    for (const address of addresses) {
      this.#members.set(address, before.get(address) ?? this.#strangers.get(address) ?? new Set());
      this.#strangers.delete(address);
    }
  }

  /** Something became of a member, or somebody became one: its process may be another one now, and its packets may not be what passes. */
  changed(address: string): void {
    this.#members.set(address, new Set());
    this.#strangers.delete(address);
    for (const words of this.#strangers.values()) words.clear(); // One of them may be that member.
  }

  /** The packet was authentic. */
  accept(packet: Uint8Array, address: string): void {
    const words = this.#members.get(address) ?? this.#wordsOfStranger(address);
    if (words.size > maxWords) return;
    words.add(new DataView(packet.buffer, packet.byteOffset).getUint32(nonceAt));
  }

  /** A packet was dropped or could not be decrypted. @returns whether that makes it a flood, and there is a sample from now on */
  reject(now: Millis): boolean {
    if (!this.isOn && now >= this.#since + reviewEvery) this.#begin(now);
    this.#rejected++;
    if (this.isOn || this.#rejected < floodPerSecond) return false;
    this.#setRate(this.#rejected / Math.max(1, now - this.#since));
    this.#begin(now);
    return true;
  }

  /** Finds out whether the flood is over. @param dropped by the kernel since it began, or since this was called last */
  review(now: Millis, dropped: number): void {
    this.#setRate((this.#rejected + dropped) / Math.max(1, now - this.#since));
    this.#begin(now);
  }

  /**
   * The packets that pass now; all if undefined. In a ring of some thousand members the filter knows members with several words by their
   * addresses, which take less room.
   * @param others addresses of other known sources
   * @param spares whether a source that is not known keeps within its share
   */
  sample(others: readonly string[], spares: (address: string) => boolean): PacketSample | undefined {
    this.#passing = new Set();
    if (!this.isOn) return undefined;
    const all = [...this.#members.values(), ...this.#strangers.values()];
    const entries = all.reduce((sum, words) => sum + Math.max(1, words.size), others.length);
    const maxTold = entries <= maxSampled ? maxWords : 1;
    const isTold = (words: ReadonlySet<number>) => words.size > 0 && words.size <= maxTold;
    const byAddress = (of: ReadonlyMap<string, ReadonlySet<number>>) =>
      [...of].filter(([, words]) => !isTold(words)).map(([address]) => address);
    this.#passing = new Set(byAddress(this.#strangers).filter(spares));
    const words = all.filter(isTold).flatMap((words) => [...words]);
    const sources = [...byAddress(this.#members), ...this.#passing, ...others];
    return { nonceAt, words, sources, oneIn: this.#oneIn };
  }

  /** Whether all of a source is let through that is no member and not otherwise known. */
  passes(address: string): boolean {
    return this.#passing.has(address);
  }

  #wordsOfStranger(address: string): Set<number> {
    const words = this.#strangers.get(address) ?? new Set();
    this.#strangers.set(address, words);
    return words;
  }

  #begin(now: Millis): void {
    this.#since = now;
    this.#rejected = 0;
  }

  #setRate(perMillisecond: number): void {
    const perSecond = perMillisecond * 1000;
    this.#oneIn = perSecond < calmPerSecond ? 1 : Math.ceil(perSecond / samplesPerSecond);
  }
}
