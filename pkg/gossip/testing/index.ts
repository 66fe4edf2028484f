/** For tests of what speakers gossip. */
import { type GossipChanges, GossipState, GossipStore, type GossipUpdate } from "#pkg/gossip";

/** Both halves of one node's gossip, connected as a speaker connects them. */
export class GossipNode {
  readonly name: string;
  readonly store: GossipStore;
  readonly state: GossipState;

  constructor(name: string) {
    this.name = name;
    this.store = new GossipStore(name);
    this.state = new GossipState(name);
  }

  /** What the node broadcasts since the last call. */
  takeUpdates(): GossipUpdate[] {
    this.#flush();
    return this.store.takeUpdates();
  }

  /** All that it knows of itself and of these nodes, as it sends it to one that joins. */
  payload(...nodes: readonly string[]): Uint8Array {
    this.#flush();
    return this.store.state(nodes);
  }

  merge(payload: Uint8Array): GossipChanges {
    return this.state.merge(this.store.merge(payload));
  }

  #flush(): void {
    for (const { key, value } of this.state.takeEntries()) this.store.set(key, value);
  }
}
