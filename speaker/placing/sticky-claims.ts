import type { Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import type { GossipState } from "#pkg/gossip";
import type { Address } from "#pkg/net";
import { type AddressPlacement, type Choose, StickyOwners } from "#pkg/placement";
import type { Gossip } from "../members/members.ts";

export interface StickyClaimsOptions {
  /** This node's name. */
  readonly node: string;
  /** All addresses of `sticky` pools are to be placed again. */
  readonly placeAll: () => void;
  /** Others may have announced an address of this node too: everyone is to be told once more. */
  readonly reannounce: (address: Address) => void;
  /** Runs `fn` after so many milliseconds. */
  readonly later: (delay: Millis, fn: () => void) => void;
}

// For speakers that start together, or hear of a new configuration one after another.
const patienceMs: Millis = 1_000;
// Longer than one node is away while all are restarted in turn: what it had is not to go back and forth.
const restMs: Millis = 5 * 60_000;

/** Keeps addresses of `sticky` pools at the node that has them: what this node claims of them, and who is chosen for the others. */
export class StickyClaims {
  readonly #options: StickyClaimsOptions;
  readonly #contested = new Set<string>(); // addresses that this node has and another claims
  #owners: StickyOwners | undefined; // Undefined while addresses cannot stay where they are.
  #patient = false; // Others are given time to claim what they have, and to take part.
  #changes = 0; // Of the nodes, so far.
  #watched = false; // It is being seen whether the nodes stay the same.
  #atRest = false; // They have.

  constructor(options: StickyClaimsOptions) {
    this.#options = options;
  }

  /** Others are active or take part than before, or the configuration asks for something else. */
  nodesChanged(gossip: Gossip | undefined): void {
    if (gossip === undefined || gossip.nodesWithoutGossip().length > 0) this.#owners = undefined;
    else this.#owners ??= new StickyOwners(this.#options.node, gossip.state);
    this.#owners?.nodesChanged();
    this.#changes++;
    this.#atRest = false;
    this.#watch();
  }

  /** Leaves what nobody claims alone for a while. */
  bePatient(): void {
    if (this.#patient) return;
    this.#patient = true;
    this.#options.later(patienceMs, () => {
      this.#patient = false;
      this.#options.placeAll();
    });
  }

  /** Whether addresses of the pool stay where they are now. */
  inForceFor(pool: Pool | undefined): boolean {
    return this.#owners !== undefined && isSticky(pool);
  }

  /**
   * How the owner of an address is chosen; undefined for the election.
   * @param before who had it until now
   */
  rule(address: Address, pool: Pool | undefined, before: string | undefined): Choose | undefined {
    const owners = this.#owners;
    if (owners === undefined || !isSticky(pool)) return undefined;
    return (candidates, first) =>
      first.equals(address) ? owners.place(address, candidates, before) : owners.follow(first, candidates);
  }

  /** The address was placed. Claims what this node has of what stays where it is, also while other speakers have it chosen by hash. */
  placed({ address, electionAddress, owner }: AddressPlacement, pool: Pool | undefined, state: GossipState | undefined): void {
    if (state === undefined) return;
    const { node, reannounce } = this.#options;
    const key = address.toString();
    const stays = isSticky(pool) && electionAddress.equals(address);
    if (!stays) this.#owners?.remove(address);
    if (!stays || owner !== node) {
      state.release(address);
      this.#contested.delete(key);
      return;
    }
    if (!this.#owners?.isGivenAway(address)) state.own(address);
    if (state.owners(key).length > 1) this.#contested.add(key);
    // Until now another announced it as well, and hosts may have believed that one last.
    else if (this.#contested.delete(key)) reannounce(address);
  }

  /**
   * To be called when all is placed: which nodes have room for more depends on that.
   * @returns the addresses that have another owner now, to be placed again
   */
  settle(): readonly Address[] {
    return this.#owners?.settle(this.#patient ? "hold" : this.#atRest ? "even" : "limit") ?? [];
  }

  #watch(): void {
    if (this.#watched) return;
    this.#watched = true;
    const changes = this.#changes;
    this.#options.later(restMs, () => {
      this.#watched = false;
      this.#atRest = changes === this.#changes;
      if (this.#atRest) this.#options.placeAll();
      else this.#watch();
    });
  }
}

/** Whether the pool asks for its addresses to stay where they are. */
export function isSticky(pool: Pool | undefined): boolean {
  return pool?.l2Placement.sticky === true;
}
