import { equalBytes } from "#pkg/net";
import type { SessionConfig } from "../messages.ts";

/** How a packet came. */
export interface Way {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly interfaceIndex: number;
}

/** Whether a packet came from the peer, over the session's interface where it has one. */
export function isFromPeer({ peer, interfaceName }: SessionConfig, interfaceIndex: number | undefined, way: Way): boolean {
  return equalBytes(peer, way.source) && (interfaceName === undefined || interfaceIndex === way.interfaceIndex);
}

/** Whether a packet came to the session's own address, where it has one. */
export function isForUs({ local }: SessionConfig, { destination }: Way): boolean {
  return local === undefined || equalBytes(local, destination);
}

/** Whether the peer could mistake packets of one for packets of the other. */
export function haveSamePeer(a: SessionConfig, b: SessionConfig): boolean {
  return a.multihop === b.multihop && a.interfaceName === b.interfaceName && equalBytes(a.peer, b.peer);
}
