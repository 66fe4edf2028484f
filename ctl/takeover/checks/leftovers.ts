import { list, quote } from "#pkg/text";
import { fields, parsed, text } from "#pkg/untrusted";
import { flagOf } from "../../cluster/installation.ts";
import {
  argumentsOf,
  type ClusterView,
  containersOf,
  helmReleaseOf,
  keyOf,
  listOf,
  metadata,
  type Raw,
  runsIngot,
  templateOf,
} from "../view.ts";
import { isFrrK8s } from "./definitions.ts";
import type { TakeoverFinding } from "./finding.ts";
import { variableOf } from "./load-balancers.ts";

/** Metrics with MetalLB's prefix that there are here too. A test holds the list to docs/operations.md. */
export const metrics: ReadonlySet<string> = new Set([
  "metallb_allocator_addresses_in_use_total",
  "metallb_allocator_addresses_total",
  "metallb_allocator_ipv4_addresses_in_use_total",
  "metallb_allocator_ipv4_addresses_total",
  "metallb_allocator_ipv6_addresses_in_use_total",
  "metallb_allocator_ipv6_addresses_total",
  "metallb_bfd_control_packet_input",
  "metallb_bfd_control_packet_output",
  "metallb_bfd_echo_packet_input",
  "metallb_bfd_echo_packet_output",
  "metallb_bfd_session_down_events",
  "metallb_bfd_session_up",
  "metallb_bfd_session_up_events",
  "metallb_bfd_zebra_notifications",
  "metallb_bgp_announced_prefixes_total",
  "metallb_bgp_keepalives_received",
  "metallb_bgp_keepalives_sent",
  "metallb_bgp_notifications_sent",
  "metallb_bgp_opens_received",
  "metallb_bgp_opens_sent",
  "metallb_bgp_pending_prefixes_total",
  "metallb_bgp_route_refresh_sent",
  "metallb_bgp_session_up",
  "metallb_bgp_total_received",
  "metallb_bgp_total_sent",
  "metallb_bgp_updates_total",
  "metallb_bgp_updates_total_received",
  "metallb_k8s_client_config_loaded_bool",
  "metallb_k8s_client_config_stale_bool",
  "metallb_k8s_client_update_errors_total",
  "metallb_k8s_client_updates_total",
  "metallb_layer2_gratuitous_sent",
  "metallb_layer2_requests_received",
  "metallb_layer2_responses_sent",
  "metallb_speaker_announced",
]);

/** Names of MetalLB's that Prometheus rules ask for, and that nothing answers afterwards. */
export function checkAlerts({ prometheusRules }: ClusterView): TakeoverFinding[] {
  const rulesOf = ({ spec }: Raw) => listOf(fields(spec).groups).flatMap((group) => listOf(group.rules));
  const recorded = prometheusRules.flatMap(rulesOf).map(({ record }) => text(record));
  const known = new Set([...metrics, ...recorded]);
  return prometheusRules.flatMap((rule) => {
    const names = rulesOf(rule).flatMap(({ expr }) => text(expr).match(/\bmetallb_[a-z0-9_]+/g) ?? []);
    const unknown = new Set(names.filter((name) => !known.has(name)));
    if (unknown.size === 0) return [];
    const found = `asks for metrics that there are not: ${list([...unknown])}`;
    return [
      {
        severity: "warning",
        check: "alerts",
        found,
        where: `PrometheusRule ${keyOf(rule)}`,
        advice: "see docs/operations.md for the metrics, or use the component prometheus",
      } satisfies TakeoverFinding,
    ];
  });
}

/** What MetalLB 0.13 and later leave in the API, and what current Kubernetes does not know any more. */
export function checkLeftovers(view: ClusterView): TakeoverFinding[] {
  const findings: TakeoverFinding[] = [];
  if (view.hasCustomResources)
    findings.push({
      severity: view.isTakenOver ? "note" : "error",
      check: "custom-resources",
      found: "MetalLB's custom resources are installed, which its releases from 0.13 on are configured by",
      where: "API group metallb.io",
      advice: view.isTakenOver
        ? "nothing, where Ingot runs with --config-source=crds, and reads them; else delete the definitions when you stay"
        : "convert them with ingotctl convert, or have Ingot read them (component crds), and go by docs/migrate-from-metallb.md, from MetalLB 0.13 and later; or delete the definitions if they are left over",
    });
  for (const webhook of view.webhooks) {
    const of = webhookOwners.find(({ group }) => asksAbout(webhook, group));
    if (of === undefined) continue;
    const { owner, isGone } = of;
    findings.push({
      severity: "error",
      check: "webhook",
      found: `a webhook of ${owner}'s refuses changes of its objects once ${owner} is gone`,
      where: `ValidatingWebhookConfiguration ${metadata(webhook).name}`,
      advice: isGone(view) ? `delete it: ${owner} is stopped` : `delete it when ${owner} is stopped`,
    });
  }
  for (const policy of view.networkPolicies.filter(isForControllers(view)))
    findings.push({
      severity: "warning",
      check: "network-policy",
      found:
        "it selects the controller's Pods and stays: it may close the port of metrics, and the ways to the API, a webhook or NetBox",
      where: `NetworkPolicy ${keyOf(policy)}`,
      advice:
        "see what it admits; delete those of MetalLB's operator, default-deny first, before you install the component network-policy",
    });
  return findings;
}

/** Whether a policy selects Pods of controllers, and is not one of Ingot's. Helm deletes the policies of a release. */
function isForControllers({ controllers }: ClusterView): (policy: Raw) => boolean {
  const labels = controllers
    .filter((workload) => helmReleaseOf(workload) === undefined)
    .map(({ spec }) => metadata(fields(fields(spec).template)).labels);
  return (policy) => {
    const { matchLabels, matchExpressions } = fields(fields(policy.spec).podSelector);
    if (metadata(policy).labels.app === "metallb" || listOf(matchExpressions).length > 0) return false;
    return labels.some((own) => Object.entries(fields(matchLabels)).every(([name, value]) => own[name] === value));
  };
}

const webhookOwners = [
  { group: "metallb.io", owner: "MetalLB", isGone: ({ isTakenOver }: ClusterView) => isTakenOver },
  { group: "frrk8s.metallb.io", owner: "FRR-K8s", isGone: ({ workloads }: ClusterView) => !workloads.some(isFrrK8s) },
] as const;

/** Whether it judges objects that Ingot reads, too. `MetalLB`, the object of MetalLB's operator, is for that alone. */
function asksAbout(webhook: Raw, group: string): boolean {
  return listOf(webhook.webhooks).some(({ rules }) =>
    listOf(rules).some(
      ({ apiGroups, resources }) =>
        Array.isArray(apiGroups) && apiGroups.includes(group) && !(Array.isArray(resources) && resources.join() === "metallbs"),
    ),
  );
}

/** MetalLB's own Deployment and DaemonSet, where they differ from what takes their place. */
export function checkWorkloads(view: ClusterView): TakeoverFinding[] {
  const findings: TakeoverFinding[] = [];
  const all = [...view.controllers, ...view.speakers];
  const read = !view.unread.some(({ what }) => what === "Deployments" || what === "DaemonSets");
  if (all.length === 0 && read)
    findings.push({
      severity: "note",
      check: "workloads",
      found: "no Deployment or DaemonSet of MetalLB's",
      where: `namespace ${view.namespace}`,
      advice: "nothing: Ingot is installed, and takes nothing over",
    });
  const running = view.controllers.filter(({ spec }) => fields(spec).replicas !== 0);
  const served = new Set(running.map((workload) => flagOf(argumentsOf(templateOf(workload)), "lb-class") ?? ""));
  if (running.length > served.size)
    findings.push({
      severity: "error",
      check: "workloads",
      found: "several controllers give addresses to the same Services",
      where: `Deployments ${list(running.map(keyOf))}`,
      advice: "scale all but one to 0: whoever is to stay, and MetalLB elects no leader",
    });
  for (const workload of all) {
    const { name } = metadata(workload);
    const release = helmReleaseOf(workload);
    const isHelms = release !== undefined; // Its values stay, so that it differs from nothing.
    const where = `${view.controllers.includes(workload) ? "Deployment" : "DaemonSet"} ${keyOf(workload)}`;
    const differs = (found: string, advice: string, severity: TakeoverFinding["severity"] = "warning") =>
      findings.push({ severity, check: "workloads", found, where, advice });
    const template = templateOf(workload);
    const frr = isHelms ? [] : frrContainersThatStay(workload); // Helm removes what it stored of a release.
    if (frr.length > 0)
      differs(
        `the containers ${list(frr)} of FRR mode would stay in the Pod: the annotation ${lastApplied} does not have them`,
        `put them there before you apply ingot.yaml: kubectl -n ${view.namespace} get daemonset ${name} -o yaml | kubectl apply set-last-applied --create-annotation -f -`,
        "error",
      );
    const { all, ready, updated } = podsOf(workload);
    const isIncomplete = all > ready;
    const images = list(containersOf(template).map(({ image }) => text(image)));
    if (runsIngot(workload)) {
      if (isIncomplete || all > updated)
        differs(
          `${updated} of ${all} Pods are replaced, and ${ready} ${ready === 1 ? "is" : "are"} ready: the others run what was there before, or nothing`,
          "wait for the end of the roll-out, or see why it does not go on; with updateStrategy OnDelete, delete them",
        );
      else differs(`runs Ingot: ${images}`, "nothing: it has been taken over", "note");
      continue;
    }
    if (isHelms)
      differs(
        `of the Helm release ${release.name}: ingot.yaml would put another one beside it`,
        "upgrade the release to Ingot's chart: docs/upgrade.md",
        "note",
      );
    else if (!["controller", "speaker"].includes(name))
      differs(
        `its name is not that of MetalLB's manifests: ingot.yaml would put another one beside it`,
        "stop it first, or give Ingot's the same name in your kustomization",
        "error",
      );
    const owner = deliveries.find(({ mark }) => marksOf(workload).includes(mark))?.owner;
    if (owner !== undefined)
      differs(
        `${owner} applies it from a source of its own, and may put MetalLB back`,
        `have its source name Ingot in MetalLB's place, or suspend ${owner} for this before the move`,
      );
    const words = isHelms ? [] : argumentsOf(template);
    const ringPort = isHelms ? [] : containersOf(template).flatMap((one) => variableOf(one, "METALLB_ML_BIND_PORT") ?? []);
    for (const [flag, usual] of Object.entries(expected)) {
      const isRings = flag === "ml-bindport";
      const value = flagOf(words, flag) ?? (isRings ? ringPort[0] : undefined) ?? "";
      if (value !== "" && value !== usual)
        differs(
          `runs with --${flag}=${value}, and the manifests have ${usual === "" ? "none" : usual}`,
          `give Ingot the same in your kustomization${flag === "port" ? ", or change what reads its metrics: by HTTP, also where MetalLB 0.16 had HTTPS" : ""}${isRings ? ": speakers with another port would be a ring of their own" : ""}`,
          isRings ? "error" : "warning",
        );
    }
    if (!isHelms && flagOf(words, "ml-bindaddr") === undefined && containersOf(template).some(isWithoutRing))
      differs(
        "has no METALLB_ML_BIND_ADDR: its speakers have no ring, and the first one of ingot.yaml would wait for them, without becoming ready",
        "give them a ring first, with METALLB_ML_BIND_ADDR and METALLB_ML_SECRET_KEY as in MetalLB's manifests, or take both from Ingot's in your kustomization",
        "error",
      );
    if (JSON.stringify(template).includes('"METALLB_BGP_TYPE","value":"frr"'))
      differs(
        "BGP is spoken by FRR in the speaker's Pod: its sessions end, and Ingot's begin",
        "nothing; routers need multipath, so that other nodes keep the traffic",
      );
    const labels = Object.keys(fields(template.nodeSelector)).filter(
      (label) => label !== "kubernetes.io/os" && label !== "beta.kubernetes.io/os",
    );
    if (labels.length > 0 && !isHelms)
      differs(
        `runs on some nodes only, by nodeSelector ${list(labels.map(quote))}`,
        "give Ingot the same nodeSelector in your kustomization",
      );
    const known = new Set(["node-role.kubernetes.io/master", "node-role.kubernetes.io/control-plane"]);
    const tolerated = listOf(template.tolerations)
      .map(({ key }) => text(key) || "everything")
      .filter((key) => !known.has(key));
    if (tolerated.length > 0 && !isHelms)
      differs(
        `tolerates taints that the manifests do not: ${list(tolerated.map(quote))}`,
        "give Ingot the same tolerations in your kustomization",
      );
    if (isIncomplete)
      differs(
        `${ready} of ${all} Pods are ready: the roll-out replaces those that are not first, and stops where a new one does not become ready`,
        "see what is wrong with them before the move",
      );
    // From 0.13 on its programs need rights and webhooks that ingot.yaml takes away.
    const ofManifest = view.hasCustomResources
      ? "keep its manifest: to apply it brings MetalLB back, with its rights"
      : "keep the name: rollout undo brings it back";
    differs(`runs ${images}`, isHelms ? "keep the release's values: with them its chart brings it back" : ofManifest, "note");
  }
  return findings;
}

/** Each speaker is told its node by a variable; where it is told otherwise, so may be the address for the ring. */
function isWithoutRing({ env, envFrom }: Raw): boolean {
  const names = new Set(listOf(env).map(({ name }) => name));
  return names.has("METALLB_NODE_NAME") && !names.has("METALLB_ML_BIND_ADDR") && listOf(envFrom).length === 0;
}

/** Counts a workload's Pods, those that are ready, and those of its present template; each is 0 where nobody counts them. */
function podsOf({ status }: Raw) {
  const { replicas, readyReplicas, updatedReplicas, ...ofDaemonSet } = fields(status);
  const { desiredNumberScheduled, numberReady, updatedNumberScheduled } = ofDaemonSet;
  const [all, ready, updated] = [
    desiredNumberScheduled ?? replicas,
    numberReady ?? readyReplicas,
    updatedNumberScheduled ?? updatedReplicas,
  ].map((count) => (typeof count === "number" ? count : 0)) as [number, number, number];
  return { all, ready, updated };
}

/** Labels and annotations of programs that apply what is in a repository, over and over. */
const deliveries = [
  { mark: "kustomize.toolkit.fluxcd.io/name", owner: "Flux" },
  { mark: "helm.toolkit.fluxcd.io/name", owner: "Flux" },
  { mark: "argocd.argoproj.io/instance", owner: "Argo CD" },
  { mark: "argocd.argoproj.io/tracking-id", owner: "Argo CD" },
];

function marksOf(workload: Raw): readonly string[] {
  const { labels, annotations } = fields(workload.metadata);
  return [labels, annotations].flatMap((marks) => Object.keys(fields(marks)));
}

// Names in MetalLB's manifests for FRR mode.
const frrNames: ReadonlySet<string> = new Set(["frr", "reloader", "frr-metrics", "cp-frr-files", "cp-reloader", "cp-metrics"]);
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration";

/** `kubectl apply` removes what it applied before, by its annotation, and no container besides. */
function frrContainersThatStay(workload: Raw): string[] {
  const names = (object: Raw) => containersOf(templateOf(object)).map(({ name }) => text(name));
  const applied = new Set(names(fields(parsed(text(fields(fields(workload.metadata).annotations)[lastApplied])))));
  return names(workload).filter((name) => frrNames.has(name) && !applied.has(name));
}

/** Arguments that the manifests give controller and speaker. */
const expected: Readonly<Record<string, string>> = {
  config: "config",
  port: "7472",
  "ml-bindport": "7946",
  namespace: "metallb-system",
  "lb-class": "",
};
