import type { Pool, Protocol } from "#pkg/config";
import type { Address } from "#pkg/net";
import { type Election, elect } from "./election.ts";
import type { Endpoint } from "./service.ts";

/** A Service that has the address in its status. */
export interface Holder {
  /** `namespace/name`. */
  readonly service: string;
  /** All its addresses; a dual-stack Service's follow the first. */
  readonly addresses: readonly Address[];
  readonly externalTrafficPolicy: "Cluster" | "Local";
  readonly endpoints: readonly Endpoint[];
}

/** Why a Service's address is not announced by anyone, or not for this Service. */
export type NotAnnounced =
  /** The address is in no pool of the configuration in force. */
  | "ipNotAllowed"
  | "bgpNotAnnounced"
  | "noReadyEndpoint"
  /** `externalTrafficPolicy: Local`, and no node has both a ready endpoint and an active speaker. */
  | "noReadyEndpointOnActiveNode"
  | "noActiveSpeaker"
  /** It shares the address, and the node that announces it has none of this Service's endpoints (`Local`). */
  | "noReadyEndpointOnOwner";

export type Verdict = { readonly announced: true } | { readonly announced: false; readonly reason: NotAnnounced };

/** Where one address is announced, the same on every node. */
export interface AddressPlacement extends Election {
  readonly address: Address;
  readonly pool: string | undefined;
  readonly protocol: Protocol | undefined;
  readonly verdicts: ReadonlyMap<string, Verdict>; // service key -> what is true of it
}

/**
 * Places one address among the nodes with an active speaker. Services that share it share its owner: the nodes that suit all
 * of them are candidates or, where no node suits all, those that suit any. `before`, an earlier answer for the address, changes
 * nothing but the time it takes.
 */
export function place(
  address: Address,
  holders: readonly Holder[],
  pool: Pool | undefined,
  active: readonly string[],
  before?: AddressPlacement,
): AddressPlacement {
  const common = { address, electionAddress: electionAddress(address, holders), pool: pool?.name, protocol: pool?.protocol };
  const nowhere = { ...common, candidates: [], owner: undefined };
  if (pool === undefined) return { ...nowhere, verdicts: forAll(holders, "ipNotAllowed") };
  if (pool.protocol === "bgp") return { ...nowhere, verdicts: forAll(holders, "bgpNotAnnounced") };
  const suitable = new Map(holders.map((holder) => [holder.service, suitableNodes(holder, active)])); // service key -> nodes or reason
  const candidates = agreed([...suitable.values()].filter((nodes) => typeof nodes !== "string"));
  const owner = elect(candidates, common.electionAddress, before);
  const verdicts = new Map<string, Verdict>();
  for (const [service, nodes] of suitable) verdicts.set(service, verdict(nodes, owner));
  return { ...common, candidates, owner, verdicts };
}

function verdict(nodes: readonly string[] | NotAnnounced, owner: string | undefined): Verdict {
  if (typeof nodes === "string") return { announced: false, reason: nodes };
  if (owner === undefined || !nodes.includes(owner)) return { announced: false, reason: "noReadyEndpointOnOwner" };
  return { announced: true };
}

/** Never empty: without a suitable node, the reason. */
function suitableNodes(holder: Holder, active: readonly string[]): readonly string[] | NotAnnounced {
  const ready = holder.endpoints.filter((endpoint) => endpoint.ready);
  if (ready.length === 0) return "noReadyEndpoint";
  if (active.length === 0) return "noActiveSpeaker";
  if (holder.externalTrafficPolicy === "Cluster") return active;
  const nodes = new Set(ready.map((endpoint) => endpoint.nodeName));
  const suitable = active.filter((node) => nodes.has(node));
  return suitable.length === 0 ? "noReadyEndpointOnActiveNode" : suitable;
}

function agreed(choices: readonly (readonly string[])[]): readonly string[] {
  const [first, ...rest] = choices;
  if (first === undefined) return [];
  const common = rest.reduce((left, right) => left.filter((node) => right.includes(node)), first);
  return common.length > 0 ? common : [...new Set(choices.flat())];
}

/** The first address of the Services on it where they agree on that, as MetalLB has it for a dual-stack Service; else the address itself. */
function electionAddress(address: Address, holders: readonly Holder[]): Address {
  const first = holders[0]?.addresses[0];
  return first !== undefined && holders.every((holder) => holder.addresses[0]?.equals(first)) ? first : address;
}

function forAll(holders: readonly Holder[], reason: NotAnnounced): Map<string, Verdict> {
  return new Map(holders.map((holder) => [holder.service, { announced: false, reason }]));
}
