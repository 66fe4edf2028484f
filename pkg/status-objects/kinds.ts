import { createHash } from "node:crypto";

/** The API of MetalLB's kinds. */
export const statusApi = "/apis/metallb.io/v1beta1";
const frr = "/apis/frrk8s.metallb.io/v1beta1";

/** MetalLB's status objects, and the label by which each names its node. That of the configuration is the last: each node has one of these. */
export const statusKinds = [
  { api: statusApi, plural: "servicel2statuses", kind: "ServiceL2Status", nodeLabel: "metallb.io/node" },
  { api: statusApi, plural: "servicebgpstatuses", kind: "ServiceBGPStatus", nodeLabel: "metallb.io/node" },
  { api: frr, plural: "bgpsessionstates", kind: "BGPSessionState", nodeLabel: "frrk8s.metallb.io/node" },
  { api: statusApi, plural: "configurationstates", kind: "ConfigurationState", nodeLabel: "metallb.io/node-name" },
] as const;

/** An object as its writer wants it. */
export interface StatusObject {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The annotation `ingot.dev/address`; empty for none. */
  readonly address?: string;
  /** MetalLB's field manager of the status, where both write an object of one name: a field of the other's that is not written goes. */
  readonly manager?: string;
  readonly status: Readonly<Record<string, unknown>>;
}

const maxLabel = 63;

/** The name of a node may have 253 characters, a value of a label has 63. Names of objects have it, too, where no dash follows a dot. */
export function labelValue(name: string): string {
  return name.length <= maxLabel ? name : `${name.slice(0, maxLabel - 17).replace(/\.$/, "")}-${digest(name)}`;
}

/** A short text that is another for other parts. */
export function digest(...parts: readonly string[]): string {
  return createHash("sha256").update(parts.join(" ")).digest("hex").slice(0, 16);
}
