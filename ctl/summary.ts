import { type Config, countUsable, type LabelSelector } from "#pkg/config";

/** The configuration in the form that `validate -o json` prints; without passwords. */
export function summarize(config: Config) {
  return {
    pools: config.pools.map((pool) => ({
      name: pool.name,
      protocol: pool.protocol,
      cidrs: pool.cidrs.map(String),
      autoAssign: pool.autoAssign,
      avoidBuggyIPs: pool.avoidBuggyIPs,
      addresses: jsonNumber(countUsable(pool)),
      nodeSelectors: pool.nodeSelectors.map(jsonSelector),
      interfaces: pool.interfaces,
    })),
    peers: config.peers.map((peer) => ({
      address: peer.address,
      port: peer.port,
      myAsn: peer.myAsn,
      peerAsn: peer.peerAsn,
      sourceAddress: peer.sourceAddress ?? null,
      routerId: peer.routerId ?? null,
      holdTimeSeconds: peer.holdTimeSeconds,
      keepaliveSeconds: peer.keepaliveSeconds,
      bfdProfile: peer.bfdProfile ?? null,
      ebgpMultihop: peer.ebgpMultihop,
      nodeSelectors: peer.nodeSelectors.map(jsonSelector),
    })),
  };
}

/** JSON readers keep whole numbers exact up to 2^53 - 1 only. */
function jsonNumber(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value);
}

function jsonSelector({ matchLabels, matchExpressions }: LabelSelector) {
  return { matchLabels: Object.fromEntries(matchLabels), matchExpressions };
}
