import type { Source } from "#pkg/convert";
import type { Answer } from "../cluster/api.ts";
import { UsageError } from "../command.ts";

/** Whose configuration is read. */
export const origins = ["metallb", "openelb", "purelb", "configmap"] as const;
export type Origin = (typeof origins)[number];

export interface Reader {
  read(path: string): Promise<Answer>;
  list(path: string): Promise<Answer>;
}

/** Where the API serves what one of these is configured by; `versions` from the newest. */
interface Kind {
  readonly kind: string;
  readonly group: string;
  readonly versions: readonly string[];
  readonly plural: string;
  readonly namespaced: boolean;
}

const metallb = (kind: string, plural: string, versions = ["v1beta1"]): Kind => ({
  kind,
  plural,
  versions,
  group: "metallb.io",
  namespaced: true,
});
const openelb = (kind: string, plural: string): Kind => ({
  kind,
  plural,
  versions: ["v1alpha2"],
  group: "network.kubesphere.io",
  namespaced: false,
});

const kinds: Readonly<Record<Exclude<Origin, "configmap">, readonly Kind[]>> = {
  metallb: [
    metallb("IPAddressPool", "ipaddresspools"),
    metallb("L2Advertisement", "l2advertisements"),
    metallb("BGPAdvertisement", "bgpadvertisements"),
    metallb("BGPPeer", "bgppeers", ["v1beta2", "v1beta1"]),
    metallb("BFDProfile", "bfdprofiles"),
    metallb("Community", "communities"),
    metallb("AddressPool", "addresspools"),
  ],
  openelb: [openelb("Eip", "eips"), openelb("BgpPeer", "bgppeers"), openelb("BgpConf", "bgpconfs")],
  purelb: [{ kind: "ServiceGroup", plural: "servicegroups", versions: ["v2", "v1"], group: "purelb.io", namespaced: true }],
};

/**
 * What a cluster has of one load balancer's configuration, each kind as a List.
 * @param namespace undefined: metallb-system, or for PureLB every one
 * @throws {UsageError} for what may not be read: the rest of it would be another configuration
 */
export async function readFromCluster(reader: Reader, origin: Origin, namespace: string | undefined): Promise<Source[]> {
  if (origin === "configmap") return [await readConfigMap(reader, namespace ?? "metallb-system")];
  const scope = namespace ?? (origin === "purelb" ? undefined : "metallb-system");
  const sources: Source[] = [];
  for (const kind of kinds[origin]) {
    const source = await readKind(reader, kind, scope);
    if (source !== undefined) sources.push(source);
  }
  if (sources.length === 0)
    throw new UsageError(`the cluster has none of these kinds: ${kinds[origin].map(({ kind }) => kind).join(", ")}`);
  return sources;
}

async function readKind(
  reader: Reader,
  { kind, group, versions, plural, namespaced }: Kind,
  namespace: string | undefined,
): Promise<Source | undefined> {
  for (const version of versions) {
    const scope = namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : "";
    const found = await reader.list(`/apis/${group}/${version}${scope}/${plural}`);
    if (found.type === "unread") throw new UsageError(`cannot read ${plural}.${group}: ${found.why}`);
    if (found.type === "found")
      return sourceOf(`${plural}.${group}`, { apiVersion: `${group}/${version}`, kind: `${kind}List`, items: found.value });
  }
  return undefined;
}

async function readConfigMap(reader: Reader, namespace: string): Promise<Source> {
  const found = await reader.read(`/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps/config`);
  if (found.type === "found")
    return sourceOf(`configmap ${namespace}/config`, { kind: "ConfigMap", apiVersion: "v1", ...(found.value as object) });
  throw new UsageError(`cannot read ConfigMap ${namespace}/config: ${found.type === "absent" ? "there is none" : found.why}`);
}

function sourceOf(name: string, value: object): Source {
  return { name, text: JSON.stringify(value, null, 2) };
}
