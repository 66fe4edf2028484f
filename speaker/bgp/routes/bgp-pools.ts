import type { Config, Pool } from "#pkg/config";
import {
  type Eligibility,
  type Labels,
  type NodePeer,
  nodePeers,
  type PoolAdvertisements,
  poolAdvertisements,
} from "#pkg/placement";

/** What this node can do for each pool of protocol `bgp`; kept until its peers, its labels or the pools are others. */
export class BgpPools {
  readonly #node: string;
  readonly #eligibility: (pool: Pool) => Eligibility;
  readonly #advertisements = new Map<Pool, PoolAdvertisements>(); // Those that were asked for.
  #config: Pick<Config, "peers" | "pools"> = { peers: [], pools: [] };
  #orders = new Map<Pool, number>(); // pool -> how many advertisements the pools before it have
  #labels: Labels | undefined;
  #peers: readonly NodePeer[] = [];

  /** @param eligibility this node's */
  constructor(node: string, eligibility: (pool: Pool) => Eligibility) {
    this.#node = node;
    this.#eligibility = eligibility;
  }

  setConfig(config: Pick<Config, "peers" | "pools">): void {
    this.#config = config;
    this.#peers = nodePeers(config.peers, this.#labels);
    this.#advertisements.clear();
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
    const before = new Map(this.#advertisements);
    this.#advertisements.clear();
    const same = [...before].filter(([pool, advertisements]) => isSame(advertisements, this.of(pool)));
    for (const [pool, advertisements] of same) this.#advertisements.set(pool, advertisements);
    return [...before.keys()].filter((pool) => this.#advertisements.get(pool) !== before.get(pool));
  }

  of(pool: Pool): PoolAdvertisements {
    const known = this.#advertisements.get(pool);
    if (known !== undefined) return known;
    const order = this.#orders.get(pool) ?? 0;
    const eligibility = this.#eligibility(pool);
    const advertisements = poolAdvertisements({
      pool,
      order,
      node: this.#node,
      labels: this.#labels,
      eligibility,
      peers: this.#peers,
    });
    this.#advertisements.set(pool, advertisements);
    return advertisements;
  }
}

function isSame(a: PoolAdvertisements, b: PoolAdvertisements): boolean {
  return (
    a.eligibility === b.eligibility &&
    a.advertised.length === b.advertised.length &&
    a.advertised.every((one, index) => {
      const other = b.advertised[index];
      return one.order === other?.order && one.peers.join() === other.peers.join();
    })
  );
}
