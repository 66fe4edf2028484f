import type { Pool } from "#pkg/config";
import { type Fault, isCentral } from "#pkg/gossip";
import { type Address, type Family, parsePrefix } from "#pkg/net";
import { type AddressPlacement, centralSessions, nodePeers, peerKey, poolAdvertisements } from "#pkg/placement";
import { counted } from "#pkg/text";
import { eligibilityOf } from "../members/nodes.ts";
import type { SpeakerState } from "../state.ts";
import { endpointsOf, policyOf } from "./services.ts";

/** A fault that a node reports; `more`: how many others of it are about the same. */
export interface FaultOf extends Fault {
  readonly node: string;
  readonly more: number;
}

export function textOf({ node, text, more }: FaultOf): string {
  return `on ${node}: ${text}${more === 0 ? "" : ` (${counted(more, "other fault")} there: ingotctl explain)`}`;
}

/** Words of a fault may change while it is the same. */
export function gistOf(fault: FaultOf | undefined): string | undefined {
  return fault && `${fault.node} ${fault.cause}`;
}

/** The first of a node's faults that is about this. */
export function faultOf(state: SpeakerState, node: string, isAbout: (about: string) => boolean): FaultOf | undefined {
  const all = node === state.node ? state.faults : (state.members.gossip?.faults(node) ?? []);
  const [first, ...others] = all.filter(({ about }) => isAbout(about));
  return first && { ...first, node, more: others.length };
}

/** Whether the owner's fault is one of this address and the Service's packets. */
export function suffers(state: SpeakerState, key: string, address: Address, owner: string, about: string): boolean {
  if (about !== `forwarded ${address.family}`) return about.split(" ").some((one) => parsePrefix(one)?.contains(address));
  const isElsewhere = endpointsOf(state.services, key, address.family).some(
    ({ ready, nodeName }) => ready > 0 && nodeName !== owner,
  );
  return policyOf(state, key) === "Cluster" && isElsewhere;
}

/** The fault of a BGP session with a router that is to have the route, at the first of these nodes that reports one. @param of `peer` for sessions that are down, `path` for those that are up */
export function sessionFault(state: SpeakerState, nodes: readonly string[], { address }: AddressPlacement, of: "peer" | "path") {
  const pool = state.config?.pools.find(address);
  for (const node of pool === undefined ? [] : nodes) {
    let peers: readonly string[] | undefined;
    const found = faultOf(state, node, (about) => {
      if (!about.startsWith(`${of} `)) return false;
      peers ??= pool && peersOf(state, node, pool, address.family);
      return peers?.some((peer) => isMeant(state, peer, about.slice(of.length + 1))) ?? false;
    });
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether a fault is of one of these peers: the keys of peers that another node finds by itself are not known here. */
function isMeant({ config }: SpeakerState, peer: string, key: string): boolean {
  if (peer === key) return true;
  const typed = (config?.config.peers ?? [])
    .filter(({ discovery, fromNode }) => discovery === undefined && fromNode === undefined)
    .map(peerKey);
  return !typed.includes(peer) && !typed.includes(key);
}

function peersOf(state: SpeakerState, node: string, pool: Pool, family: Family): readonly string[] {
  const labels = state.nodes.labels.get(node);
  const configured = state.config?.config.peers ?? [];
  const peers = isCentral(node) ? centralSessions(configured) : nodePeers(configured, labels);
  const eligibility = eligibilityOf(state, [], node);
  const { advertised } = poolAdvertisements({ pool, order: 0, node, labels, eligibility, peers });
  return advertised.flatMap((one) => one.peers[family]);
}
