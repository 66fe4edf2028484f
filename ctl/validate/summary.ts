import {
  type Config,
  countUsable,
  describeRouter,
  formatCommunity,
  formatProtocols,
  hasOwners,
  type LabelSelector,
  type Pool,
} from "#pkg/config";
import { Address, AddressRange, Prefix } from "#pkg/net";
import { table } from "../cluster/output.ts";
import type { Screen } from "../io.ts";

/** The configuration in the form that `validate -o json` prints; without passwords. */
export function summarize({ pools, quotas, peers }: Config) {
  return plain({
    pools: pools.map((pool) => {
      const { protocols, ranges, fence, reservations, advertisements, layer2Advertisements, ...rest } = pool;
      return {
        selfTestMs: undefined,
        ...rest,
        ...fence,
        protocol: formatProtocols(protocols),
        cidrs: ranges.flatMap((range) => range.toPrefixes()),
        addresses: countUsable(pool),
        reserved: reservations.map(({ ranges, holder: { type: _, ...holder } }) => {
          return { addresses: ranges, service: undefined, namespace: undefined, ...holder };
        }),
        layer2Advertisements: layer2Advertisements.map(({ services, pool: { nodeSelectors, preferredNodes, interfaces } }) => {
          return { ...services, nodeSelectors, preferredNodes, interfaces };
        }),
        advertisements: advertisements.map(({ services, communitiesFrom: asked, ...one }) => ({
          ...one,
          ...services,
          communities: one.communities.map(formatCommunity),
          communitiesFrom: asked && { ...asked, allowed: [...asked.allowed.values()].map(formatCommunity) },
        })),
      };
    }),
    quotas,
    // The fields of an entry with values of nodes may have a password.
    peers: peers.map(({ password: _, fromNode, ...peer }) => ({
      ...peer,
      fromNode: fromNode && Object.fromEntries([...fromNode.values].map(([field, { kind, name }]) => [field, { [kind]: name }])),
    })),
  });
}

/** In JSON's terms. A setting that is not there is null; a number that JSON readers do not keep exact (above 2^53 - 1) is text. */
function plain(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === "bigint") return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : `${value}`;
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Address || value instanceof AddressRange || value instanceof Prefix) return `${value}`;
  if (Array.isArray(value)) return value.map(plain);
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(entries.map(([name, each]) => [name, plain(each)]));
}

/** Pools and peers as tables, which are left out if empty. */
export function summaryText(config: Config, screen: Screen): string {
  const pools = config.pools.map((pool) => [
    pool.name,
    formatProtocols(pool.protocols),
    String(countUsable(pool)),
    pool.autoAssign && !pool.closed ? "yes" : "no",
    ...whereText(pool),
    pool.ranges.map(String).join(", "),
  ]);
  const peers = config.peers.map((peer) => [
    peer.name ?? "-",
    describeRouter(peer),
    String(peer.port),
    `${peer.myAsn || "by node"} -> ${peer.peerAsn || "by node"}`,
    `${peer.holdTimeSeconds}s`,
    nodes(peer.nodeSelectors),
    peer.bfdProfile ?? "-",
  ]);
  const tables = [
    { heading: ["POOL", "PROTOCOL", "ADDRESSES", "AUTO-ASSIGN", "NODES", "INTERFACES", "RANGES"], rows: pools },
    { heading: ["NAME", "PEER", "PORT", "ASN", "HOLD-TIME", "NODES", "BFD"], rows: peers },
  ];
  return tables.map(({ heading, rows }) => (rows.length === 0 ? "" : `\n${table(heading, rows, screen)}`)).join("");
}

/** On which nodes and interfaces its addresses, or slots, have owners. */
function whereText(pool: Pool): readonly [string, string] {
  if (!hasOwners(pool) && pool.nextHopSlots.length === 0) return ["-", "-"];
  if (pool.layer2Advertisements.length > 0) return ["by Service", "by Service"];
  return [nodes(pool.nodeSelectors), pool.interfaces.join(", ") || "all"];
}

function nodes(selectors: readonly LabelSelector[]): string {
  return selectors.length === 0 ? "all" : "selected";
}
