import { createHash } from "node:crypto";
import type { BfdVerdict } from "#pkg/bfd";
import type { ConfigStatus } from "#pkg/live-config";
import type { Address } from "#pkg/net";
import { type AddressPlacement, isByBgp } from "#pkg/placement";
import { escapeControls, upTo } from "#pkg/text";
import { sentence } from "#pkg/verdict";

const metallb = "/apis/metallb.io/v1beta1";
const frr = "/apis/frrk8s.metallb.io/v1beta1";

/** MetalLB's status objects, and the label by which each names its node. That of the configuration is the last: each node has one of these. */
export const statusKinds = [
  { api: metallb, plural: "servicel2statuses", kind: "ServiceL2Status", nodeLabel: "metallb.io/node" },
  { api: metallb, plural: "servicebgpstatuses", kind: "ServiceBGPStatus", nodeLabel: "metallb.io/node" },
  { api: frr, plural: "bgpsessionstates", kind: "BGPSessionState", nodeLabel: "frrk8s.metallb.io/node" },
  { api: metallb, plural: "configurationstates", kind: "ConfigurationState", nodeLabel: "metallb.io/node-name" },
] as const;
export type StatusKind = (typeof statusKinds)[number];

/** An object as this node's speaker wants it. */
export interface StatusObject {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The annotation `ingot.dev/address`; empty for none. */
  readonly address?: string;
  readonly status: Readonly<Record<string, unknown>>;
}

/**
 * The owner of an address has one object for it, whose name follows from Service and address: the next owner takes the object over.
 * @param interfacesOf those of a pool that is not for all
 */
export function layer2Objects(
  node: string,
  service: string,
  placements: readonly AddressPlacement[],
  interfacesOf: (address: Address) => readonly string[],
): readonly StatusObject[] {
  return placements.flatMap(({ address, isOwned }) => {
    if (!isOwned) return [];
    const interfaces = interfacesOf(address).map((name) => ({ name }));
    const more = interfaces.length > 0 ? { interfaces } : {};
    return [{ ...ofService(node, service, `l2-${digest(service, `${address}`)}`, more), address: `${address}` }];
  });
}

/** Each node that advertises a Service says to which peers. @param nameOf a peer, by its key */
export function bgpObject(
  node: string,
  service: string,
  placements: readonly AddressPlacement[],
  nameOf: (peer: string) => string,
): StatusObject | undefined {
  const routes = placements.filter(isByBgp).flatMap((placement) => placement.routes);
  const peers = [...new Set(routes.flatMap(({ prefix, via }) => via.peers[prefix.family]).map(nameOf))].sort();
  return peers.length === 0 ? undefined : ofService(node, service, `bgp-${digest(service, node)}`, { peers });
}

/** In words of FRR, as frr-k8s has them. @param path undefined where it is not watched */
export function sessionObject(
  node: string,
  key: string,
  { router, state, path }: { readonly router: Address | string; readonly state: string; readonly path: BfdVerdict | undefined },
): StatusObject {
  const peer = typeof router === "string" ? router : peerText(router);
  const labels = { "frrk8s.metallb.io/node": labelValue(node), "frrk8s.metallb.io/peer": peer, "frrk8s.metallb.io/vrf": "" };
  const bgpStatus = state.charAt(0).toUpperCase() + state.slice(1);
  const bfdStatus = path === undefined ? "N/A" : path === "up" ? "up" : "down";
  return { name: `session-${digest(node, key)}`, labels, status: { node, peer, vrf: "", bgpStatus, bfdStatus } };
}

function peerText(address: Address): string {
  const hex = Buffer.from(address.toBytes()).toString("hex");
  return address.family === "IPv4" ? `${address}` : hex.replace(/.{4}(?!$)/g, "$&-");
}

const maxSummary = 1_000;

/** In MetalLB's words, which its tools look for. */
const outcomes = {
  Valid: { status: "True", reason: "Reconciled" },
  Invalid: { status: "False", reason: "ConfigurationError" },
  Unknown: { status: "Unknown", reason: "UnknownError" },
} as const;

/** @param since when the verdict became this one, in the API's form */
export function configurationObject(node: string, { verdict }: Pick<ConfigStatus, "verdict">, since: string): StatusObject {
  const labels = { "metallb.io/component-type": "speaker", "metallb.io/node-name": labelValue(node) };
  const result = verdict.cause === "inForce" ? "Valid" : verdict.cause === "undecided" ? "Unknown" : "Invalid";
  const message = result === "Invalid" ? escapeControls(upTo(sentence(verdict), maxSummary)) : "";
  const condition = { type: "configReconcilerValid", ...outcomes[result], message, lastTransitionTime: since };
  const errorSummary = message === "" ? {} : { errorSummary: message };
  return { name: `speaker-${labelValue(node)}`, labels, status: { result, ...errorSummary, conditions: [condition] } };
}

const maxLabel = 63;

/** The name of a node may have 253 characters, a value of a label has 63. */
export function labelValue(name: string): string {
  return name.length <= maxLabel ? name : `${name.slice(0, maxLabel - 17)}-${digest(name)}`;
}

function ofService(node: string, service: string, name: string, more: object): StatusObject {
  const [serviceNamespace = "", serviceName = ""] = service.split("/");
  const own = { "metallb.io/service-name": serviceName, "metallb.io/service-namespace": serviceNamespace };
  return {
    name,
    labels: { "metallb.io/node": labelValue(node), ...own },
    status: { node, serviceName, serviceNamespace, ...more },
  };
}

function digest(...parts: readonly string[]): string {
  return createHash("sha256").update(parts.join(" ")).digest("hex").slice(0, 16);
}
