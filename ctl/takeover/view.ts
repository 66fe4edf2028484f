import type { Answer } from "../cluster/api.ts";

/** What the checks read of a cluster. */
export interface Reader {
  read(path: string): Promise<Answer>;
  list(path: string): Promise<Answer>;
}

/** Any object of the API: nothing of its shape is known before it is looked at. */
export type Raw = Readonly<Record<string, unknown>>;

/** A part of the cluster that could not be looked at, and what is not known because of that. */
export interface Unread {
  readonly what: string;
  readonly why: string;
}

/** Of an object undefined, and of a list empty, where there is none or it could not be read; the second case is in `unread`. */
export interface ClusterView {
  readonly namespace: string;
  /** Of the ConfigMap with the configuration, as MetalLB's flags say. */
  readonly configMapName: string;
  readonly configMap: Raw | undefined;
  readonly controllers: readonly Raw[];
  readonly speakers: readonly Raw[];
  readonly services: readonly Raw[];
  readonly pods: readonly Raw[];
  readonly workloads: readonly Raw[];
  readonly kubeProxy: Raw | undefined;
  /** Names of API groups. */
  readonly groups: ReadonlySet<string>;
  readonly webhooks: readonly Raw[];
  readonly podSecurityPolicies: readonly Raw[];
  readonly clusterRoles: readonly Raw[];
  readonly prometheusRules: readonly Raw[];
  readonly ciliumPools: readonly Raw[];
  readonly unread: readonly Unread[];
}

/** Reads all that the checks look at, each part by itself, so that a right that is missing hides no more than one. */
export async function readView(reader: Reader, namespace: string): Promise<ClusterView> {
  const unread: Unread[] = [];
  const value = async (what: string, asked: Promise<Answer>): Promise<unknown> => {
    const answer = await asked;
    if (answer.type === "unread") unread.push({ what, why: answer.why });
    return answer.type === "found" ? answer.value : undefined;
  };
  const list = async (what: string, path: string) => listOf(await value(what, reader.list(path)));
  const one = async (what: string, path: string) => {
    const found = await value(what, reader.read(path));
    return found === undefined ? undefined : fields(found);
  };

  const groups = new Set(listOf(fields(await one("API groups", "/apis")).groups).map(({ name }) => text(name)));
  const inNamespace = (kind: string) => `/api/v1/namespaces/${encodeURIComponent(namespace)}/${kind}`;
  const rbac = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
  const deployments = await list("Deployments", "/apis/apps/v1/deployments");
  const daemonSets = await list("DaemonSets", "/apis/apps/v1/daemonsets");
  const isOurs = (part: string) => (object: Raw) => isMetallb(object, namespace) && partOf(object) === part;
  const roles = [
    await one("ClusterRole metallb-system:controller", `${rbac}/metallb-system:controller`),
    await one("ClusterRole metallb-system:speaker", `${rbac}/metallb-system:speaker`),
  ];
  const controllers = deployments.filter(isOurs("controller"));
  const speakers = daemonSets.filter(isOurs("speaker"));
  const configMapName = [...controllers, ...speakers].map(configMapNameOf).find((name) => name !== undefined) ?? "config";
  return {
    namespace,
    configMapName,
    configMap: await one(
      `ConfigMap ${namespace}/${configMapName}`,
      inNamespace(`configmaps/${encodeURIComponent(configMapName)}`),
    ),
    controllers,
    speakers,
    services: await list("Services", "/api/v1/services"),
    pods: await list("Pods", "/api/v1/pods"),
    workloads: [
      ...deployments.map((object) => ({ ...object, kind: "Deployment" })), // Items of a list say no kind.
      ...daemonSets.map((object) => ({ ...object, kind: "DaemonSet" })),
    ],
    kubeProxy: await one("ConfigMap kube-system/kube-proxy", "/api/v1/namespaces/kube-system/configmaps/kube-proxy"),
    groups,
    webhooks: await list(
      "ValidatingWebhookConfigurations",
      "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    ),
    podSecurityPolicies: await list("PodSecurityPolicies", "/apis/policy/v1beta1/podsecuritypolicies"),
    clusterRoles: roles.filter((role) => role !== undefined),
    prometheusRules: groups.has("monitoring.coreos.com")
      ? await list("PrometheusRules", "/apis/monitoring.coreos.com/v1/prometheusrules")
      : [],
    ciliumPools: groups.has("cilium.io")
      ? await list("CiliumLoadBalancerIPPools", "/apis/cilium.io/v2alpha1/ciliumloadbalancerippools")
      : [],
    unread,
  };
}

function isMetallb(object: Raw, namespace: string): boolean {
  const { namespace: own, labels } = metadata(object);
  const app = labels.app ?? labels["app.kubernetes.io/name"];
  return own === namespace && app === "metallb";
}

function configMapNameOf(workload: Raw): string | undefined {
  return argumentsOf(templateOf(workload)).flatMap((arg) => /^--?config=(.+)$/.exec(arg)?.[1] ?? [])[0];
}

function partOf(object: Raw): string {
  const { labels, name } = metadata(object);
  return labels.component ?? labels["app.kubernetes.io/component"] ?? name;
}

export interface Metadata {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export function metadata(object: Raw): Metadata {
  const { namespace, name, labels } = fields(object.metadata);
  const texts = Object.entries(fields(labels)).filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return { namespace: text(namespace), name: text(name), labels: Object.fromEntries(texts) };
}

/** `namespace/name`, or the name alone. */
export function keyOf(object: Raw): string {
  const { namespace, name } = metadata(object);
  return namespace === "" ? name : `${namespace}/${name}`;
}

const none: Raw = Object.freeze({});

export function fields(value: unknown): Raw {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Raw) : none;
}

export function listOf(value: unknown): readonly Raw[] {
  return Array.isArray(value) ? value.map(fields) : [];
}

export function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** Every container of a Pod, or of a workload's template, those that begin first included. */
export function containersOf(spec: unknown): readonly Raw[] {
  const { containers, initContainers } = fields(spec);
  return [...listOf(containers), ...listOf(initContainers)];
}

export function templateOf(workload: Raw): Raw {
  return fields(fields(fields(workload.spec).template).spec);
}

/** Of all containers of a Pod. */
export function argumentsOf({ containers }: Raw): string[] {
  return listOf(containers).flatMap(({ args }) =>
    Array.isArray(args) ? args.filter((arg): arg is string => typeof arg === "string") : [],
  );
}
