import { isIn } from "#pkg/collections";
import type { Address } from "#pkg/net";
import { type PoolNodes, parted, without } from "./eligibility.ts";

/** Nodes' own reports about an address. `announcers` matter where the view of the API of some nodes is not current. */
export interface ReportedAnnouncers {
  /** This node; undefined where nobody's view counts for more. */
  readonly node: string | undefined;
  /** Nodes that report that they announce the address. */
  readonly announcers: readonly string[];
  /** Those among them of a version that does not heed what others tell it of endpoints. */
  readonly unheeding?: readonly string[];
  /** Nodes that report that they cannot deliver packets for the address to Pods, where the pool minds. */
  readonly undelivering: readonly string[];
  /** The nodes that may announce it as others tell this one, which sees no changes in the API; none where nobody tells it. */
  readonly told?: readonly string[];
}

const none: readonly never[] = [];

/** The suitable nodes that deliver, and see what changes in the API, or announce the address already. */
export function ableAmong(
  address: Address,
  suitable: readonly string[],
  nodes: PoolNodes,
  isLocal: boolean,
  reported: ReportedAnnouncers | undefined,
): readonly string[] {
  const unable = unableFor(address, nodes, reported);
  // One that delivers and does not know of the address helps nobody.
  const aware = withoutUnaware(suitable, nodes, unable, isLocal, reported);
  // Nodes that cannot deliver to Pods leave the address to others, where there are any.
  return without(aware, unable);
}

/** The nodes that cannot deliver packets for an address to Pods. */
export function unableFor({ family }: Address, nodes: PoolNodes, reported: ReportedAnnouncers | undefined): readonly string[] {
  const [ofFamily, ofAddress] = [nodes.undelivering[family], reported?.undelivering ?? none];
  return ofAddress.length === 0 ? ofFamily : [...ofFamily, ...ofAddress];
}

/**
 * A node whose view of the API is not current does not know of new Services, nor which nodes have ready endpoints. The others leave it what
 * it announces, but for `Local` Services when its view is old. It leaves to them what they announce, and takes nothing new. Where no suitable
 * node has a current view, all leave the address to those that announce it: each may see other endpoints than the next one. One of those that cannot
 * deliver goes on until a node that can announces it. A node that sees no endpoints where the address is announced tells the nodes with endpoints, and the others follow that.
 */
function withoutUnaware(
  suitable: readonly string[],
  { behind, outdated }: Pick<PoolNodes, "behind" | "outdated">,
  unable: readonly string[],
  isLocal: boolean,
  reported: ReportedAnnouncers | undefined,
): readonly string[] {
  if (behind.length === 0) return suitable;
  const { node, announcers = none, unheeding = none, told = none } = reported ?? {};
  const isCurrent = (other: string) => !isIn(behind, other);
  const isBlind = node !== undefined && !isCurrent(node);
  const others = announcers.filter(isCurrent);
  if (isBlind && others.length > 0) return others;
  if (!suitable.some(isCurrent)) {
    const isSure = !isBlind || told.length > 0;
    const mayStay = (other: string) => !isSure || isIn(suitable, other) || unheeding.includes(other);
    const [failing, staying] = parted(
      announcers.filter((other) => !isCurrent(other) && mayStay(other)),
      (other) => unable.includes(other),
    );
    if (staying.length > 0) return staying;
    // Others that it could leave the address to may see no endpoints of their own: it goes on until one of them announces it.
    const goesOn = !isSure && (failing.includes(node) || suitable.every((other) => unable.includes(other)));
    return goesOn && failing.length > 0 ? failing : suitable;
  }
  const keeps = (other: string) => announcers.includes(other) && (!isLocal || other === node || !outdated.includes(other));
  if (others.some((other) => isIn(suitable, other))) return without(suitable, behind); // Those behind leave it to these.
  const keeping = new Set(announcers.filter((other) => !isCurrent(other) && keeps(other)));
  return without(suitable, keeping.size === 0 ? behind : behind.filter((other) => !keeping.has(other)));
}
