import { type Millis, perSecond, Tokens } from "#pkg/clock";
import { RecentMap } from "#pkg/collections";
import type { KnownSources } from "#pkg/connections";
import { maxSealOverhead, nonceAt } from "./codec/keyring.ts";
import { RecentNonces } from "./recent-nonces.ts";

/** Packets a second to decrypt, to count and to log, from unknown sources or with implausible contents. */
const looks = perSecond(200);
/** Packets a second of each source that is not known and has sent something authentic: a member at the fast pace sends up to 30. */
const share = perSecond(50);
/** The number of sources with such a share: the last that sent something authentic. */
export const maxShares = 64;
const maxSources = 4096;
const maxOthers = 512; // The number of other addresses that the caller asks for, at most.

/**
 * Looks at packets before they are decrypted, which costs some 2 µs each. Known sources come first: members, and addresses that were to be
 * joined. The source of an authentic packet says nothing: anybody who captured the packet can send it from anywhere. But a member that is
 * behind NAT or has several addresses is to be heard, so such a source has a small share, which only packets from its address use up. For
 * all others there is a budget. And a packet that came before is not worth another look: the guard remembers the last 65,536 nonces, so
 * that captured packets that are sent again do nothing.
 */
export class PacketGuard implements KnownSources {
  readonly #members = new Set<string>(); // addresses
  readonly #others = new RecentMap<string, true>(maxSources); // addresses
  readonly #nonces = new RecentNonces();
  readonly #shares = new RecentMap<string, Tokens>(maxShares); // address of a source that is not known -> what is left of its share
  readonly #looks = new Tokens(looks, -Infinity);

  get members(): number {
    return this.#members.size;
  }

  addMember(address: string): void {
    this.#members.add(address);
  }

  /** All members now. */
  setMembers(addresses: Iterable<string>): void {
    this.#members.clear();
    for (const address of addresses) this.#members.add(address);
  }

  /** Somebody who may become a member. */
  know(address: string): void {
    this.#others.set(address, true);
  }

  /** The addresses that became known last and are no member's. */
  get others(): readonly string[] {
    return [...this.#others.keys()].slice(-maxOthers).filter((address) => !this.#members.has(address));
  }

  /** Members, and `others`. */
  get addresses(): readonly string[] {
    return [...this.#members, ...this.others];
  }

  has(address: string): boolean {
    return this.#members.has(address) || this.#others.has(address);
  }

  /** Whether to decode a packet. A packet that is not decoded is dropped and only counted. */
  admits(packet: Uint8Array, address: string, now: Millis): boolean {
    if (this.#isPlausible(packet) && (this.has(address) || this.#shares.get(address)?.take(now))) return true;
    return this.#looks.take(now);
  }

  /** Whether a source that is not known has a share, and left half of it. */
  spares(address: string, now: Millis): boolean {
    return (this.#shares.get(address)?.left(now) ?? 0) >= share.burst / 2;
  }

  /** Whether this very packet has come before. */
  isReplay(packet: Uint8Array): boolean {
    return this.#nonces.has(packet, nonceAt);
  }

  /** The packet was authentic. */
  accept(packet: Uint8Array, address: string, now: Millis): void {
    this.#nonces.add(packet, nonceAt);
    if (this.has(address)) return;
    // A new share begins with nothing: else captured packets from ever other addresses would have more decrypted than all shares are.
    this.#shares.set(address, this.#shares.get(address) ?? new Tokens(share, now, 0));
  }

  #isPlausible(packet: Uint8Array): boolean {
    const [version] = packet;
    return (version === 0 || version === 1) && packet.length >= maxSealOverhead[version];
  }
}
