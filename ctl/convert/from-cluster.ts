import type { Source } from "#pkg/convert";
import { list, quote } from "#pkg/text";
import type { ReadApi } from "../cluster/api.ts";
import { argumentsOf, flagOf, optional, programOf } from "../cluster/installation.ts";
import { UsageError } from "../command.ts";

/** Load balancers whose configuration can be read. */
export const origins = ["metallb", "openelb", "purelb", "configmap"] as const;
export type Origin = (typeof origins)[number];

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
const purelb = (kind: string, plural: string): Kind => ({
  kind,
  plural,
  versions: ["v2", "v1"],
  group: "purelb.io",
  namespaced: true,
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
  purelb: [purelb("ServiceGroup", "servicegroups"), purelb("LBNodeAgent", "lbnodeagents")],
};

/** Names of the resources that configure MetalLB from 0.13 on. */
export const metallbResources: ReadonlySet<string> = new Set(kinds.metallb.map(({ plural }) => plural));

/** Settings that people give MetalLB's FRR besides, in any namespace. */
const frrConfiguration: Kind = {
  kind: "FRRConfiguration",
  plural: "frrconfigurations",
  versions: ["v1beta1"],
  group: "frrk8s.metallb.io",
  namespaced: true,
};

const defaultNamespace = "metallb-system";

/**
 * A cluster's objects of one load balancer's configuration, each kind as a List. It reads only the ConfigMap that the controller
 * follows.
 * @param namespace undefined: metallb-system, or for PureLB every one
 * @throws {UsageError} for objects that may not be read: the rest would be another configuration
 */
export async function readFromCluster(api: ReadApi, origin: Origin, namespace: string | undefined): Promise<Source[]> {
  if (origin === "configmap") return await readConfiguration(api, namespace ?? defaultNamespace);
  const scope = namespace ?? (origin === "purelb" ? undefined : defaultNamespace);
  const sources: Source[] = [];
  for (const kind of kinds[origin]) sources.push(...(await readKind(api, kind, scope)));
  if (sources.length === 0)
    throw new UsageError(`the cluster has none of these kinds: ${kinds[origin].map(({ kind }) => kind).join(", ")}`);
  if (origin === "metallb") {
    sources.push(...(await readConfigMap(api, namespace ?? defaultNamespace, "bgpextras")));
    sources.push(...(await readKind(api, frrConfiguration, undefined)));
  }
  return sources;
}

/** @returns one List, or nothing where the kind is not installed */
async function readKind(
  api: ReadApi,
  { kind, group, versions, plural, namespaced }: Kind,
  namespace: string | undefined,
): Promise<Source[]> {
  for (const version of versions) {
    const scope = namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : "";
    const items = await optional(api.list(`/apis/${group}/${version}${scope}/${plural}`), `${plural}.${group}`);
    if (items !== undefined)
      return [sourceOf(`${plural}.${group}`, { apiVersion: `${group}/${version}`, kind: `${kind}List`, items })];
  }
  return [];
}

interface Workload {
  readonly spec?: { readonly template?: Parameters<typeof programOf>[0] };
}

interface ConfigMap {
  readonly metadata?: { readonly name?: string; readonly labels?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, unknown>>;
}

/**
 * The ConfigMap that the controller's Deployment names. Where none does, because it is gone or names none, `config`; where that is not
 * there, the one that Helm labelled as MetalLB's.
 */
async function readConfiguration(api: ReadApi, namespace: string): Promise<Source[]> {
  const where = encodeURIComponent(namespace);
  const deployments = api.list(`/apis/apps/v1/namespaces/${where}/deployments`);
  const named = namesOf(
    ((await optional(deployments, `the Deployments of namespace ${namespace}`)) ?? []) as readonly Workload[],
  );
  if (named.length > 1)
    throw new UsageError(
      `several controllers in namespace ${namespace} have a --config: ${list(named.map(quote))}; convert the ConfigMap that is meant as a file`,
    );
  const name = named[0] ?? "config";
  const found = await readConfigMap(api, namespace, name);
  if (found.length > 0) return found;
  const configMaps = api.list(`/api/v1/namespaces/${where}/configmaps`);
  const all = ((await optional(configMaps, `the ConfigMaps of namespace ${namespace}`)) ?? []) as readonly ConfigMap[];
  const labelled = all.filter(
    ({ metadata, data }) => metadata?.labels?.["app.kubernetes.io/name"] === "metallb" && data?.config !== undefined,
  );
  const [only, second] = labelled;
  if (named.length === 0 && only !== undefined && second === undefined)
    return [configMapSource(namespace, only.metadata?.name ?? "", only)];
  const others = all.flatMap(({ metadata }) => metadata?.name ?? []).map(quote);
  throw new UsageError(
    `cannot read ConfigMap ${namespace}/${name}: there is none; ${others.length === 0 ? "the namespace has no ConfigMaps" : `there are ${list(others)}`}`,
  );
}

/** The values of `--config` of all controllers, each once. */
function namesOf(deployments: readonly Workload[]): string[] {
  const templates = deployments.flatMap(({ spec }) => spec?.template ?? []);
  const controllers = templates.filter((template) => programOf(template) === "controller");
  return [...new Set(controllers.flatMap((template) => flagOf(argumentsOf(template), "config") || []))];
}

/** @returns nothing if it does not exist */
async function readConfigMap(api: ReadApi, namespace: string, name: string): Promise<Source[]> {
  const found = api.read(`/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps/${encodeURIComponent(name)}`);
  const value = await optional(found, `ConfigMap ${namespace}/${name}`);
  return value === undefined ? [] : [configMapSource(namespace, name, value as object)];
}

function configMapSource(namespace: string, name: string, value: object): Source {
  return sourceOf(`configmap ${namespace}/${name}`, { kind: "ConfigMap", apiVersion: "v1", ...value });
}

function sourceOf(name: string, value: object): Source {
  return { name, text: JSON.stringify(value, null, 2) };
}
