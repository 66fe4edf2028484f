import { fields, list, parsed, text } from "#pkg/untrusted";

// Statements of the node's other programs about themselves. Any text is accepted: unexpected text says nothing.

/** Configuration of a kube-proxy. */
export interface KubeProxyConfiguration {
  /** Such as `iptables`; empty for its default. */
  readonly mode: string;
  /** CIDRs, or `primary`; empty for its default. */
  readonly nodePortAddresses: readonly string[];
}

const maxAddresses = 100;

/** Reads /configz of kube-proxy (k8s.io/kube-proxy/config/v1alpha1). */
export function readKubeProxyConfiguration(said: string): KubeProxyConfiguration | undefined {
  const { "kubeproxy.config.k8s.io": configuration } = fields(parsed(said));
  if (typeof configuration !== "object" || configuration === null) return undefined;
  const { mode, nodePortAddresses } = fields(configuration);
  const addresses = list(nodePortAddresses).filter((one) => typeof one === "string");
  return { mode: text(mode), nodePortAddresses: addresses.slice(0, maxAddresses) };
}

/** Whether systemd-networkd manages a link, from its file in /run/systemd/netif/links; before it has decided it does not. */
export function isManagedByNetworkd(text: string): boolean {
  return /^NETWORK_FILE=./m.test(text) && !/^ADMIN_STATE=unmanaged$/m.test(text);
}

/** Whether NetworkManager manages a device, from its file in /run/NetworkManager/devices. */
export function isManagedByNetworkManager(text: string): boolean {
  return /^managed=true$/m.test(text);
}
