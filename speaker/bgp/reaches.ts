import type { Config, Pool } from "#pkg/config";
import { type BgpReach, bgpReach, type Labels, type NodePeer, nodePeers, type Standing } from "#pkg/placement";

/** What this node can do for each pool of protocol `bgp`; kept until its peers, its labels or the pools are others. */
export class BgpReaches {
  readonly #node: string;
  readonly #standing: (pool: Pool) => Standing;
  readonly #reaches = new Map<Pool, BgpReach>(); // Those that were asked for.
  #config: Pick<Config, "peers" | "pools"> = { peers: [], pools: [] };
  #orders = new Map<Pool, number>(); // pool -> how many advertisements the pools before it have
  #labels: Labels | undefined;
  #peers: readonly NodePeer[] = [];

  /** @param standing this node's */
  constructor(node: string, standing: (pool: Pool) => Standing) {
    this.#node = node;
    this.#standing = standing;
  }

  setConfig(config: Pick<Config, "peers" | "pools">): void {
    this.#config = config;
    this.#peers = nodePeers(config.peers, this.#labels);
    this.#reaches.clear();
    this.#orders = new Map();
    let order = 0;
    for (const pool of config.pools) {
      this.#orders.set(pool, order);
      order += pool.advertisements.length;
    }
  }

  /** This node's labels; undefined when there is no Node object. @returns the pools for which they make a difference */
  setLabels(labels: Labels | undefined): Pool[] {
    this.#labels = labels;
    this.#peers = nodePeers(this.#config.peers, labels);
    const before = new Map(this.#reaches);
    this.#reaches.clear();
    const same = [...before].filter(([pool, reach]) => isSame(reach, this.of(pool)));
    for (const [pool, reach] of same) this.#reaches.set(pool, reach);
    return [...before.keys()].filter((pool) => this.#reaches.get(pool) !== before.get(pool));
  }

  of(pool: Pool): BgpReach {
    const known = this.#reaches.get(pool);
    if (known !== undefined) return known;
    const order = this.#orders.get(pool) ?? 0;
    const standing = this.#standing(pool);
    const reach = bgpReach({ pool, order, node: this.#node, labels: this.#labels, standing, peers: this.#peers });
    this.#reaches.set(pool, reach);
    return reach;
  }
}

function isSame(a: BgpReach, b: BgpReach): boolean {
  return (
    a.standing === b.standing &&
    a.advertised.length === b.advertised.length &&
    a.advertised.every((one, index) => {
      const other = b.advertised[index];
      return one.order === other?.order && one.peers.join() === other.peers.join();
    })
  );
}
