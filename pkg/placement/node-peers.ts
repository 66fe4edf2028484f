import type { Peer } from "#pkg/config";
import { isSelected, type Labels } from "./eligibility.ts";

/** A peer of this node, and what tells it from the others. */
export interface NodePeer {
  /** `address:port` as MetalLB labels its metrics; with the interface and the source address where they are configured. */
  readonly key: string;
  readonly peer: Peer;
}

/**
 * The peers that a node has sessions with, in the order of the file. Of several with the same key, which one router cannot tell apart,
 * it is the first. @param labels see `eligibility`
 */
export function nodePeers(peers: readonly Peer[], labels: Labels | undefined): readonly NodePeer[] {
  const found = new Map<string, NodePeer>(); // key -> peer
  for (const peer of peers) {
    const key = peerKey(peer);
    if (!peer.disabled && isSelected(peer.nodeSelectors, labels) && !found.has(key)) found.set(key, { key, peer });
  }
  return [...found.values()];
}

function peerKey({ address, interface: device, port, sourceAddress }: Peer): string {
  const host = address.family === "IPv6" ? `[${address}${device === undefined ? "" : `%${device}`}]` : `${address}`;
  return `${host}:${port}${sourceAddress === undefined ? "" : ` from ${sourceAddress}`}`;
}
