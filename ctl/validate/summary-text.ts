import { type Config, countUsable, formatProtocols, hasOwners, type LabelSelector } from "#pkg/config";
import { maskControls } from "#pkg/text";

/** Pools and peers as tables, which are left out if empty. */
export function summaryText(config: Config): string {
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
  return (
    table(["POOL", "PROTOCOL", "ADDRESSES", "AUTO-ASSIGN", "NODES", "INTERFACES", "RANGES"], pools) +
    table(["NAME", "PEER", "PORT", "ASN", "HOLD-TIME", "NODES", "BFD"], peers)
  );
}

function nodes(selectors: readonly LabelSelector[]): string {
  return selectors.length === 0 ? "all" : "selected";
}

function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "";
  const cells = [heading, ...rows].map((row) => row.map(maskControls));
  const widths = heading.map((_, column) =>
    Math.min(
      40,
      cells.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0),
    ),
  );
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return `\n${lines.join("\n")}\n`;
}
