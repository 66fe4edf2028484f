import type { Address } from "#pkg/net";
import type { GossipEntry } from "./codec/entry-codec.ts";
import { decodeLinks, type Link, linksKey } from "./codec/link-codec.ts";
import { decodeTraits, traitsKey } from "./codec/traits-codec.ts";
import {
  type AddressSetName,
  decodeDeliveries,
  decodeFault,
  decodePage,
  decodeSubnets,
  decodeSummary,
  deliveriesKey,
  faultKeys,
  interfaceOf,
  type NodeSummary,
  pageOfCandidates,
  setOf,
  summaryKey,
} from "./codec/value-codec.ts";
import { type GossipData, isParticipating, newReport, type ReportedNode, reportOf } from "./gossip-data.ts";
import { mergeCandidates, toldBy } from "./told-candidates.ts";

/** Changes since gossip was last merged. */
export interface GossipChanges {
  /** Whether the participating nodes have changed, or the interfaces on which they can answer. */
  readonly nodes: boolean;
  /** Addresses with other owners or candidates than before, that other nodes deliver, or whose owners have to be compared again. */
  readonly addresses: readonly Address[];
  /** Addresses that others ask about, or no longer, and addresses that a node reports to announce by any protocol, or no longer. */
  readonly asked: readonly Address[];
  /** Whether a node delivers routes otherwise than before, or reports other faults. */
  readonly deliveries: boolean;
  /** Whether a node has other links than before. */
  readonly links: boolean;
  /** Addresses that a node serves and does not own, or no longer. */
  readonly served: readonly Address[];
  /** Nodes that tell other traits than before, or none. */
  readonly traits: readonly string[];
  /** Whether a node was seen without other signs than before. */
  readonly signs: boolean;
}

export const noChanges: GossipChanges = {
  nodes: false,
  addresses: [],
  asked: [],
  deliveries: false,
  links: false,
  served: [],
  traits: [],
  signs: false,
};

/** Collects changes while entries are merged. */
export class ChangesBuilder {
  nodes = false;
  deliveries = false;
  links = false;
  signs = false;
  readonly traits = new Set<string>();
  readonly #addresses = new Map<string, Address>(); // text -> address
  readonly #asked = new Map<string, Address>(); // text -> address
  readonly #served = new Map<string, Address>(); // text -> address

  touch(set: AddressSetName, addresses: Iterable<Address>): void {
    const placed = set === "owned" || set === "undelivered" ? this.#addresses : this.#asked;
    const touched = set === "serving" ? this.#served : placed;
    for (const address of addresses) touched.set(address.toString(), address);
  }

  build(): GossipChanges {
    return {
      nodes: this.nodes,
      addresses: [...this.#addresses.values()],
      asked: [...this.#asked.values()],
      deliveries: this.deliveries,
      links: this.links,
      served: [...this.#served.values()],
      traits: [...this.traits],
      signs: this.signs,
    };
  }
}

/** Takes in an entry of another node that changed. */
export function mergeEntry(data: GossipData, { node, life, key, value }: GossipEntry, changes: ChangesBuilder): void {
  if (life !== reportOf(data, node).life) startLife(data, node, life, changes);
  const reported = reportOf(data, node);
  const name = interfaceOf(key);
  const set = setOf(key);
  if (set !== undefined) changes.touch(set, data.sets[set].set(node, key, decodePage(key, value)));
  else if (pageOfCandidates(key) !== undefined) changes.touch("owned", mergeCandidates(data, node, key, value));
  else if (key === summaryKey) setSummary(data, node, reported, decodeSummary(value), changes);
  else if (key === deliveriesKey) {
    reported.deliveries = decodeDeliveries(value);
    changes.deliveries = true;
  } else if (key === linksKey) {
    setLinks(data, node, decodeLinks(value));
    changes.links = true;
  } else if (key === traitsKey) {
    reported.traits = decodeTraits(value);
    changes.traits.add(node);
  } else if (faultKeys.includes(key)) {
    const fault = decodeFault(value);
    if (fault === undefined) reported.faults.delete(key);
    else reported.faults.set(key, fault);
    changes.deliveries = true;
  } else if (name !== undefined) {
    const subnets = decodeSubnets(value);
    if (subnets === undefined) reported.interfaces.delete(name);
    else reported.interfaces.set(name, subnets);
    reported.reachability = undefined;
    changes.nodes = true;
  }
  checkAnnounced(data, node, changes);
}

// Nodes come and go with autoscaling. Links of a node that left count for a minute.
const maxNodesOfLinks = 5_000;

/** The latest is the last. */
function setLinks({ links }: GossipData, node: string, its: readonly Link[] | undefined): void {
  links.delete(node);
  if (its !== undefined) links.set(node, its);
  const [oldest] = links.keys();
  if (links.size > maxNodesOfLinks && oldest !== undefined) links.delete(oldest);
}

function setSummary(
  data: GossipData,
  node: string,
  reported: ReportedNode,
  summary: NodeSummary | undefined,
  changes: ChangesBuilder,
): void {
  const before = isParticipating(data, node) ? reported.summary : undefined;
  reported.summary = summary;
  reported.reachability = undefined;
  const now = isParticipating(data, node) ? summary : undefined;
  if (before?.view !== now?.view) touchAnnounced(data, node, changes);
  const fields = ["answers", "hasKernelAccess", "view", "knowsDrain", "dataPath"] as const;
  if ((before?.seenWithout ?? 0) !== (now?.seenWithout ?? 0)) changes.signs = true;
  const isSame = fields.every((field) => before?.[field] === now?.[field]);
  if (!isSame) changes.nodes = true;
  else if (before?.viewUncertainty !== now?.viewUncertainty) changes.touch("owned", contestedBy(data, node));
}

/** Entries overtake one another: a view that is not current counts from when it is known what else the node announces. */
function checkAnnounced(data: GossipData, node: string, changes: ChangesBuilder): void {
  const reported = reportOf(data, node);
  const { summary } = reported;
  if (summary === undefined || summary.view === "current") reported.isAnnouncedKnown = false;
  else if (!reported.isAnnouncedKnown && (data.sets.announced.size(node) & 0xffff) === summary.announced) {
    reported.isAnnouncedKnown = true;
    changes.nodes = true;
    touchAnnounced(data, node, changes);
  }
}

function touchAnnounced(data: GossipData, node: string, changes: ChangesBuilder): void {
  for (const name of ["announced", "advertised"] as const) changes.touch(name, data.sets[name].by(node));
}

/** Reports of an earlier life of the node no longer hold. */
export function startLife(data: GossipData, node: string, life: number, changes: ChangesBuilder): void {
  const reported = reportOf(data, node);
  if (reported.summary !== undefined) changes.nodes = true;
  if (reported.deliveries !== undefined || reported.faults.size > 0) changes.deliveries = true;
  if (reported.traits !== undefined) changes.traits.add(node);
  for (const name of Object.keys(data.sets) as AddressSetName[]) {
    changes.touch(name, data.sets[name].by(node));
    data.sets[name].clear(node);
  }
  changes.touch("owned", toldBy(data, node));
  data.candidates.delete(node);
  data.nodes.set(node, newReport(life));
}

/** Addresses of a node that others own as well. */
export function contestedBy(data: GossipData, node: string): Address[] {
  const { owned } = data.sets;
  return [...owned.by(node)].filter((address) => owned.of(address.toString()).length > 1);
}
