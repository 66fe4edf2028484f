import { configurationKinds, type Source } from "#pkg/convert";
import { list, quote } from "#pkg/text";
import { fields } from "#pkg/untrusted";
import type { RawObject, ReadApi } from "../cluster/api.ts";
import { type ApiKind, argumentsOf, flagOf, listFirstVersion, optional, programOf } from "../cluster/installation.ts";
import { UsageError } from "../command.ts";

/** Load balancers whose configuration can be read. */
export const origins = ["metallb", "openelb", "purelb", "configmap"] as const;
export type Origin = (typeof origins)[number];

/** The objects that the API serves of one of these kinds. */
interface Served {
  readonly group: string;
  readonly kinds: readonly ApiKind[];
}

/** The kinds that each of these is configured by. */
const configuredBy: Readonly<Record<Exclude<Origin, "configmap">, Served>> = {
  metallb: { group: "metallb.io", kinds: configurationKinds },
  openelb: {
    group: "network.kubesphere.io",
    kinds: [
      { kind: "Eip", plural: "eips", versions: ["v1alpha2"] },
      { kind: "BgpPeer", plural: "bgppeers", versions: ["v1alpha2"] },
      { kind: "BgpConf", plural: "bgpconfs", versions: ["v1alpha2"] },
    ],
  },
  purelb: {
    group: "purelb.io",
    kinds: [
      { kind: "ServiceGroup", plural: "servicegroups", versions: ["v2", "v1"] },
      { kind: "LBNodeAgent", plural: "lbnodeagents", versions: ["v2", "v1"] },
    ],
  },
};

/** Settings that people give MetalLB's FRR besides, in any namespace. */
const frrConfiguration: ApiKind = { kind: "FRRConfiguration", plural: "frrconfigurations", versions: ["v1beta1"] };

const defaultNamespace = "metallb-system";

/**
 * A cluster's objects of one load balancer's configuration, each kind as a List. It reads only the ConfigMap that the controller
 * follows.
 * @param namespace undefined: metallb-system, or for PureLB every one
 * @throws {UsageError} for objects that may not be read: the rest would be another configuration
 */
export async function readFromCluster(api: ReadApi, origin: Origin, namespace: string | undefined): Promise<Source[]> {
  if (origin === "configmap") return await readConfiguration(api, namespace ?? defaultNamespace);
  const { group, kinds } = configuredBy[origin];
  const own = namespace ?? (origin === "purelb" ? undefined : defaultNamespace);
  const scope = origin === "openelb" ? undefined : own; // Its objects are in no namespace.
  const sources: Source[] = [];
  for (const kind of kinds) sources.push(...(await readKind(api, group, kind, scope)));
  if (sources.length === 0)
    throw new UsageError(`the cluster has none of these kinds: ${kinds.map(({ kind }) => kind).join(", ")}`);
  if (origin === "metallb") {
    sources.push(...(await readConfigMap(api, namespace ?? defaultNamespace, "bgpextras")));
    sources.push(...(await readKind(api, "frrk8s.metallb.io", frrConfiguration, undefined)));
  }
  return sources;
}

/** @returns one List, or nothing where the kind is not installed */
async function readKind(api: ReadApi, group: string, one: ApiKind, namespace: string | undefined): Promise<Source[]> {
  const { apiVersion, items } = (await listFirstVersion(api, group, one, namespace)) ?? {};
  return items === undefined ? [] : [sourceOf(`${one.plural}.${group}`, { apiVersion, kind: `${one.kind}List`, items })];
}

/**
 * The ConfigMap that the controller's Deployment names. Where none does, because it is gone or names none, `config`; where that is not
 * there, the one that Helm labelled as MetalLB's.
 */
async function readConfiguration(api: ReadApi, namespace: string): Promise<Source[]> {
  const where = encodeURIComponent(namespace);
  const deployments = api.list(`/apis/apps/v1/namespaces/${where}/deployments`);
  const named = namesOf(
    ((await optional(deployments, `the Deployments of namespace ${namespace}`)) ?? []) as readonly RawObject[],
  );
  if (named.length > 1)
    throw new UsageError(
      `several controllers in namespace ${namespace} have a --config: ${list(named.map(quote))}; convert the ConfigMap that is meant as a file`,
    );
  const name = named[0] ?? "config";
  const found = await readConfigMap(api, namespace, name);
  if (found.length > 0) return found;
  const configMaps = api.list(`/api/v1/namespaces/${where}/configmaps`);
  const all = ((await optional(configMaps, `the ConfigMaps of namespace ${namespace}`)) ?? []) as readonly RawObject[];
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
function namesOf(deployments: readonly RawObject[]): string[] {
  const templates: RawObject[] = deployments.map(({ spec }) => fields(spec?.template));
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
