/** For tests of what speakers gossip. */
import type { Millis } from "#pkg/clock";
import { type GossipChanges, GossipState, GossipStore } from "#pkg/gossip";
import type { GossipUpdate } from "../gossip-store.ts";

/** Both halves of one node's gossip, connected as a speaker connects them. */
export class GossipNode {
  readonly name: string;
  readonly store: GossipStore;
  readonly state: GossipState;

  constructor(name: string, life = 1) {
    this.name = name;
    this.store = new GossipStore(name, life);
    this.state = new GossipState(name);
  }

  /** Messages that the node broadcasts since the last call. */
  takeUpdates(): GossipUpdate[] {
    this.#flush();
    return [...this.store.takeUpdates()];
  }

  /** All entries that the node knows, as it sends them to a node that joins. */
  payload(): Uint8Array {
    this.#flush();
    return this.store.state();
  }

  /** Others are members from now on. */
  join(...others: readonly { readonly name: string; readonly incarnation?: number; readonly life?: number }[]): GossipChanges[] {
    return others.map(({ name, incarnation = 0, life = 1 }) => {
      this.state.merge(this.store.joined(name, life));
      return this.state.joined(name, incarnation, life);
    });
  }

  merge(payload: Uint8Array, now: Millis = 0): GossipChanges {
    return this.state.merge(this.store.merge(payload, now));
  }

  #flush(): void {
    for (const { key, value, repeated } of this.state.takeEntries()) this.store.set(key, value, { repeated });
  }
}
