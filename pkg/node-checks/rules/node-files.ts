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
export function readKubeProxyConfiguration(text: string): KubeProxyConfiguration | undefined {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return undefined;
  }
  const configuration = field(found, "kubeproxy.config.k8s.io");
  if (typeof configuration !== "object" || configuration === null) return undefined;
  const [mode, addresses] = [field(configuration, "mode"), field(configuration, "nodePortAddresses")];
  const list = Array.isArray(addresses) ? addresses.filter((one) => typeof one === "string") : [];
  return { mode: typeof mode === "string" ? mode : "", nodePortAddresses: list.slice(0, maxAddresses) };
}

/** Whether systemd-networkd manages a link, from its file in /run/systemd/netif/links; before it has decided it does not. */
export function isManagedByNetworkd(text: string): boolean {
  return /^NETWORK_FILE=./m.test(text) && !/^ADMIN_STATE=unmanaged$/m.test(text);
}

/** Whether NetworkManager manages a device, from its file in /run/NetworkManager/devices. */
export function isManagedByNetworkManager(text: string): boolean {
  return /^managed=true$/m.test(text);
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}
