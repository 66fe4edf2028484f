import { type PeerField, peerValues } from "./api/node-objects.ts";
import { routerAddress } from "./api/objects.ts";
import type { Draw } from "./draw.ts";
import type { Act } from "./history.ts";

/** Field of a peer -> how it stands in configurations at the beginning. */
const ownLines = {
  "peer-address": `- peer-address: ${routerAddress}\n`,
  "peer-asn": "  peer-asn: 65002\n",
  "my-asn": "  my-asn: 65001\n",
  "router-id": "",
} as const satisfies Record<PeerField, string>;
const fields = Object.keys(ownLines) as PeerField[];
const lastLine = "  graceful-restart-time: 20s\n";

/** By which a configuration names the router: by its address, by what each node says of it, or as the nodes' gateway. */
export const routers: readonly ((config: string) => string)[] = [
  (config) => config,
  (config) => fromNode(config, ["peer-address"]),
  (config) => config.replace(ownLines["peer-address"], "- peer-address: gateway\n"),
  (config) => fromNode(config, ["my-asn", "router-id"]),
  (config) => fromNode(config, ["peer-address", "peer-asn"]),
  (config) => fromNode(config, fields),
];

/** Edits of a peer: without a session, or in a new one. */
export const peerEdits: readonly ((config: string) => string)[] = [
  "disabled: true",
  'node-selectors: [{match-labels: {edge: "true"}}]',
  "families: [ipv4]",
  "families: [ipv6]",
  "router-id: 10.255.9.9",
  "connect-time: 3s",
  "keepalive-time: 1s",
  "graceful-shutdown-time: 0s",
  "drain-when-cordoned: true",
  "graceful-restart-notification: true",
  "long-lived-stale-time: 10s",
  "role: customer",
  "role: customer\n  role-strict: true",
  "maximum-prefix: 1",
  "add-path: true",
].map((line) => (config: string) => config.replace(lastLine, `$&  ${line}\n`));

/** The router is to connect. */
export function asPassive(config: string): string {
  return config.replace(lastLine, "$&  passive: true\n");
}

/** A node says something else than usual of itself or its router: something right, something that makes no peer, or nothing. */
export function peerValue(draw: Draw, node: number, length: number): Act {
  const values: Record<PeerField, readonly (string | null)[]> = {
    "peer-address": [null, "", "router"],
    "my-asn": [null, "65201", "4200000001", "none", "0"],
    "peer-asn": [null, "external", "65003", "internal"],
    "router-id": [null, "10.255.8.8", "2001:db8::1"],
  };
  const field = fields[draw.pick(fields.length)] ?? "peer-address";
  return { type: "peerValue", node, field, value: values[field][draw.pick(values[field].length)] ?? null, length };
}

function fromNode(config: string, those: readonly PeerField[]): string {
  const values = those.map((field) => `${field}: {${peerValues[field].kind}: ${peerValues[field].name}}`);
  const others = those.includes("peer-address") ? those.filter((field) => field !== "peer-address") : those;
  const without = others.reduce((text, field) => text.replace(ownLines[field], ""), config);
  if (!those.includes("peer-address")) return without.replace(lastLine, `$&  from-node: {${values.join(", ")}}\n`);
  return without.replace(ownLines["peer-address"], `- from-node: {${values.join(", ")}}\n`);
}
