import { configurationKinds, type LiveObject } from "#pkg/convert";
import { type Fields, fields, list, text } from "#pkg/untrusted";
import type { ApiAnswer, ReadApi } from "../cluster/api.ts";
import { flagOf } from "../cluster/installation.ts";

/** Any object of the API: nothing of its shape is known before it is looked at. */
export type Raw = Fields;

/** A part of the cluster that could not be read, and the facts that are therefore unknown. */
export interface Unread {
  readonly what: string;
  readonly why: string;
}

/** Objects are undefined, and lists empty, if they do not exist or could not be read; the second case is in `unread`. */
export type ClusterView = Awaited<ReturnType<typeof readView>>;

/** Reads everything that the checks look at, each part by itself, so that a missing right hides only one part. */
export async function readView(api: ReadApi, namespace: string) {
  const unread: Unread[] = [];
  const value = async (what: string, asked: Promise<ApiAnswer>): Promise<unknown> => {
    const answer = await asked;
    if (answer.type === "unread") unread.push({ what, why: answer.why });
    return answer.type === "found" ? answer.value : undefined;
  };
  const all = async (what: string, path: string) => listOf(await value(what, api.list(path)));
  const one = async (what: string, path: string) => {
    const found = await value(what, api.read(path));
    return found === undefined ? undefined : fields(found);
  };

  const apis = listOf(fields(await one("API groups", "/apis")).groups);
  const groups = new Set(apis.map(({ name }) => text(name)));
  const versions = apis.flatMap((group) => listOf(group.versions).map(({ groupVersion }) => text(groupVersion)));
  const resources = new Map<string, string>(); // name of a resource, with its version -> that version
  for (const version of versions.filter((name) => name.startsWith("metallb.io/"))) {
    const found = await one(`resources of ${version}`, `/apis/${version}`);
    for (const { name } of listOf(found?.resources)) resources.set(`${version}/${text(name)}`, version);
  }
  const configuring = configurationKinds.flatMap(({ plural, kind, versions }) => {
    const apiVersion = versions
      .map((version) => resources.get(`metallb.io/${version}/${plural}`))
      .find((each) => each !== undefined);
    return apiVersion === undefined ? [] : [{ plural, kind, apiVersion }];
  });
  const definitions: Raw[] = [];
  for (const { plural } of configuring) {
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${plural}.metallb.io`;
    const definition = await one(`CustomResourceDefinition ${plural}.metallb.io`, path);
    if (definition !== undefined) definitions.push(definition);
  }
  const inNamespace = (kind: string) => `/api/v1/namespaces/${encodeURIComponent(namespace)}/${kind}`;
  const deployments = await all("Deployments", "/apis/apps/v1/deployments");
  const daemonSets = await all("DaemonSets", "/apis/apps/v1/daemonsets");
  const isOurs = (part: string) => (object: Raw) => isMetallb(object, namespace) && partOf(object) === part;
  const controllers = deployments.filter(isOurs("controller"));
  const speakers = daemonSets.filter(isOurs("speaker"));
  const releases = [...controllers, ...speakers].flatMap((workload) => helmReleaseOf(workload) ?? []);
  const roles: Raw[] = [];
  for (const prefix of new Set(["metallb-system", ...releases.map(({ fullName }) => fullName)]))
    for (const part of ["controller", "speaker"]) {
      const name = `${prefix}:${part}`;
      const path = `/apis/rbac.authorization.k8s.io/v1/clusterroles/${encodeURIComponent(name)}`;
      const role = await one(`ClusterRole ${name}`, path);
      if (role !== undefined) roles.push(role);
    }
  const hasPodSecurityPolicies = versions.includes("policy/v1beta1");
  const releaseSecrets: Raw[] = [];
  if (!hasPodSecurityPolicies)
    for (const release of new Set(releases.map(({ name }) => name))) {
      const selector = encodeURIComponent(`owner=helm,status=deployed,name=${release}`);
      releaseSecrets.push(
        ...(await all(`Secrets of the Helm release ${release}`, `${inNamespace("secrets")}?labelSelector=${selector}`)),
      );
    }
  const hasCilium = groups.has("cilium.io");
  const ciliumPools = async () => {
    const path = (version: string) => `/apis/cilium.io/${version}/ciliumloadbalancerippools`;
    const current = await api.list(path("v2")); // Of Cilium 1.18 and later; earlier ones have v2alpha1 alone.
    const asked = current.type === "absent" ? api.list(path("v2alpha1")) : Promise.resolve(current);
    return listOf(await value("CiliumLoadBalancerIPPools", asked));
  };
  const named = [...controllers, ...speakers].map(configMapNameOf).find((name) => name !== undefined);
  const configMapName = named ?? "config";
  const isOfObjects = controllers.some(runsIngot)
    ? controllers.some((workload) => flagOf(argumentsOf(templateOf(workload)), "config-source") === "crds")
    : named === undefined; // MetalLB up to 0.12 has the flag.
  const objects: LiveObject[] = [];
  for (const { plural, kind, apiVersion } of isOfObjects ? configuring : []) {
    const path = `/apis/${apiVersion}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
    for (const object of await all(`${plural}.metallb.io`, path))
      objects.push({ apiVersion, kind, metadata: metadata(object), spec: object.spec });
  }
  const peers = objects
    .filter(({ kind }) => kind === "BGPPeer")
    .map(({ spec }) => text(fields(fields(spec).passwordSecret).name));
  const passwordSecrets = [...new Set(peers.filter((name) => name !== ""))];
  const secrets: Raw[] = [];
  for (const name of [...passwordSecrets, ...(speakers.some(otherKeySecretOf) ? [ringSecret] : [])]) {
    const found = await one(`Secret ${namespace}/${name}`, inNamespace(`secrets/${encodeURIComponent(name)}`));
    if (found !== undefined) secrets.push({ metadata: found.metadata });
  }
  return {
    namespace,
    // Name of the ConfigMap with the configuration, according to MetalLB's flags.
    configMapName,
    configMap: await one(
      `ConfigMap ${namespace}/${configMapName}`,
      inNamespace(`configmaps/${encodeURIComponent(configMapName)}`),
    ),
    controllers,
    speakers,
    // Whether all of them run Ingot: then nothing of MetalLB is left to compare with.
    isTakenOver: controllers.length > 0 && speakers.length > 0 && [...controllers, ...speakers].every(runsIngot),
    services: await all("Services", "/api/v1/services"),
    // Pods that have not ended; ended Pods hold nothing of their node.
    pods: (await all("Pods", "/api/v1/pods")).filter(
      ({ status }) => !["Succeeded", "Failed"].includes(text(fields(status).phase)),
    ),
    workloads: [
      ...deployments.map((object) => ({ ...object, kind: "Deployment" })), // Items of a list say no kind.
      ...daemonSets.map((object) => ({ ...object, kind: "DaemonSet" })),
    ],
    kubeProxy: await one("ConfigMap kube-system/kube-proxy", "/api/v1/namespaces/kube-system/configmaps/kube-proxy"),
    // Whether the API has the custom resources that configure MetalLB from 0.13 on; those of its status say nothing, since Ingot can write them, too.
    hasCustomResources: configuring.length > 0,
    // The definitions of these resources.
    definitions,
    // Their objects, each as one version has it, where they are the configuration: MetalLB has no ConfigMap, or Ingot reads them.
    objects,
    // Names of the Secrets from which BGPPeers among them take passwords; and those that are there, with the one of the ring's key where another one has it.
    passwordSecrets,
    secrets,
    // Objects of FRR-K8s in all namespaces, each of which configures FRR.
    frrConfigurations: versions.includes("frrk8s.metallb.io/v1beta1")
      ? await all("FRRConfigurations", "/apis/frrk8s.metallb.io/v1beta1/frrconfigurations")
      : [],
    webhooks: await all(
      "ValidatingWebhookConfigurations",
      "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    ),
    // Those in the namespace.
    networkPolicies: await all(
      "NetworkPolicies",
      `/apis/networking.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/networkpolicies`,
    ),
    podSecurityPolicies: await all("PodSecurityPolicies", "/apis/policy/v1beta1/podsecuritypolicies"),
    // Whether the API has the kind: Kubernetes 1.25 has no policy/v1beta1, where it was.
    hasPodSecurityPolicies,
    // What Helm keeps of its releases among these in their namespace; empty where it is of no interest, since the API has PodSecurityPolicies.
    releaseSecrets,
    // Roles of controllers and speakers, by their names in MetalLB's manifests and its chart.
    clusterRoles: roles,
    prometheusRules: groups.has("monitoring.coreos.com")
      ? await all("PrometheusRules", "/apis/monitoring.coreos.com/v1/prometheusrules")
      : [],
    ciliumPools: hasCilium ? await ciliumPools() : [],
    // Cilium's ConfigMap.
    ciliumConfig: hasCilium
      ? await one("ConfigMap kube-system/cilium-config", "/api/v1/namespaces/kube-system/configmaps/cilium-config")
      : undefined,
    unread,
  };
}

/** Whether the labels of a workload or Pod say that it is of the MetalLB that is to be replaced. */
export function isMetallb(object: Raw, namespace: string): boolean {
  const { namespace: own, labels } = metadata(object);
  const app = labels.app ?? labels["app.kubernetes.io/name"];
  return own === namespace && app === "metallb";
}

function configMapNameOf(workload: Raw): string | undefined {
  return flagOf(argumentsOf(templateOf(workload)), "config") || undefined;
}

function partOf(object: Raw): string {
  const { labels, name } = metadata(object);
  return labels.component ?? labels["app.kubernetes.io/component"] ?? name;
}

/**
 * The Helm release of an object of MetalLB's, and the beginning of the chart's names; undefined without a release. MetalLB's operator renders
 * the chart without one: its objects have the labels.
 */
export function helmReleaseOf(object: Raw): { readonly name: string; readonly fullName: string } | undefined {
  const { name, labels } = metadata(object);
  const release = labels["app.kubernetes.io/instance"] ?? "";
  if (labels["app.kubernetes.io/managed-by"] !== "Helm" || release === "") return undefined;
  return { name: release, fullName: name.replace(/-(controller|speaker)$/, "") };
}

/** Where the manifests have the key of the ring. */
export const ringSecret = "memberlist";

/** The Secret from which a DaemonSet that the manifests would change has the key of the ring, where it is another one. */
export function otherKeySecretOf(workload: Raw): string | undefined {
  if (metadata(workload).name !== "speaker" || runsIngot(workload)) return undefined;
  const template = templateOf(workload);
  const mounted = listOf(template.volumes).map(({ secret }) => text(fields(secret).secretName));
  const variables = containersOf(template).flatMap(({ env }) =>
    listOf(env).filter(({ name }) => name === "METALLB_ML_SECRET_KEY"),
  );
  const given = variables.map(({ valueFrom }) => text(fields(fields(valueFrom).secretKeyRef).name));
  const all = [...mounted.filter((name) => name.endsWith(ringSecret)), ...given];
  return all.find((name) => name !== "" && name !== ringSecret);
}

/** `Kind namespace/name` of what made a Pod: a Deployment in place of its ReplicaSet; a static Pod itself, which its node made. */
export function ownerOf(pod: Raw): string {
  const { namespace, name, labels } = metadata(pod);
  const [owner] = listOf(fields(pod.metadata).ownerReferences);
  if (owner === undefined || owner.kind === "Node") return `Pod ${namespace}/${name}`;
  const hash = labels["pod-template-hash"];
  const ownerName = text(owner.name);
  if (owner.kind === "ReplicaSet" && hash !== undefined && ownerName.endsWith(`-${hash}`))
    return `Deployment ${namespace}/${ownerName.slice(0, -hash.length - 1)}`;
  return `${text(owner.kind)} ${namespace}/${ownerName}`;
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

export function listOf(value: unknown): readonly Raw[] {
  return list(value).map(fields);
}

/** Every container of a Pod, or of a workload's template, those that begin first included. */
export function containersOf(spec: unknown): readonly Raw[] {
  const { containers, initContainers } = fields(spec);
  return [...listOf(containers), ...listOf(initContainers)];
}

export function templateOf(workload: Raw): Raw {
  return fields(fields(fields(workload.spec).template).spec);
}

/** Whether the words that start a container name a program of Ingot's image, under any name of the image. */
export function isIngot(container: Raw): boolean {
  return wordsOf(container).some((word) => /^\/ingot\/(controller|speaker)\.js$/.test(word));
}

export function runsIngot(workload: Raw): boolean {
  return containersOf(templateOf(workload)).some(isIngot);
}

/** Arguments of all containers of a Pod. Everything in the command besides the program counts as an argument too. */
export function argumentsOf({ containers }: Raw): string[] {
  return listOf(containers).flatMap(wordsOf);
}

/** The command of a container and its arguments. */
export function wordsOf({ command, args }: Raw): string[] {
  return [command, args].flatMap((words) => list(words).filter((word) => typeof word === "string"));
}
