import type { Peer } from "../config.ts";
import type { ReachedPeer } from "../session-settings.ts";

/** A peer that has an address in the configuration. */
export function reached(peer: Peer | undefined): ReachedPeer {
  if (peer?.address === undefined) throw new Error("Cannot take a peer without an address");
  return { ...peer, address: peer.address };
}
