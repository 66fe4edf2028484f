import { type Config, countUsable, formatProtocols, hasOwners, type LabelSelector } from "#pkg/config";
import { table } from "../cluster/output.ts";
import type { Screen } from "../io.ts";

/** Pools and peers as tables, which are left out if empty. */
export function summaryText(config: Config, screen: Screen): string {
  const pools = config.pools.map((pool) => [
    pool.name,
    formatProtocols(pool.protocols),
    String(countUsable(pool)),
    pool.autoAssign ? "yes" : "no",
    ...(hasOwners(pool) ? [nodes(pool.nodeSelectors), pool.interfaces.join(", ") || "all"] : ["-", "-"]),
    pool.ranges.map(String).join(", "),
  ]);
  const peers = config.peers.map((peer) => [
    peer.name ?? "-",
    peer.address.toString(),
    String(peer.port),
    `${peer.myAsn} -> ${peer.peerAsn}`,
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

function nodes(selectors: readonly LabelSelector[]): string {
  return selectors.length === 0 ? "all" : "selected";
}
