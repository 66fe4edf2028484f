import { existsSync } from "node:fs";
import { copyFile, mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { architectures } from "../../../release/debian.ts";
import type { ImageConfig } from "../../../release/dockerfile.ts";
import { nodeArchitecture } from "../../../release/modules.ts";
import { writeArchive } from "../../../release/oci.ts";
import { type InstalledCluster, namespace } from "./installed.ts";

// What MetalLB 0.12.1's manifests make, but for PodSecurityPolicies, which no current Kubernetes has.
const version = "v0.12.1";
const rbac = { group: "rbac.authorization.k8s.io", version: "rbac.authorization.k8s.io/v1" };
const [look, write] = [
  ["get", "list", "watch"],
  ["create", "patch"],
];
const events = { apiGroups: [""], resources: ["events"], verbs: write };
const slices = { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: look };

const clusterRules: Readonly<Record<string, readonly object[]>> = {
  controller: [
    { apiGroups: [""], resources: ["services"], verbs: look },
    { apiGroups: [""], resources: ["services/status"], verbs: ["update"] },
    events,
  ],
  speaker: [{ apiGroups: [""], resources: ["services", "endpoints", "nodes"], verbs: look }, slices, events],
};
const rules: Readonly<Record<string, { readonly of: readonly string[]; readonly rules: readonly object[] }>> = {
  "config-watcher": { of: ["controller", "speaker"], rules: [{ apiGroups: [""], resources: ["configmaps"], verbs: look }] },
  "pod-lister": { of: ["speaker"], rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["list"] }] },
  controller: {
    of: ["controller"],
    rules: [
      { apiGroups: [""], resources: ["secrets"], verbs: ["create"] },
      { apiGroups: [""], resources: ["secrets"], resourceNames: ["memberlist"], verbs: ["list"] },
      { apiGroups: ["apps"], resources: ["deployments"], resourceNames: ["controller"], verbs: ["get"] },
    ],
  },
};

const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
const container = (name: string, more: object) => {
  const probe = { httpGet: { path: "/metrics", port: "monitoring" }, initialDelaySeconds: 10, periodSeconds: 10 };
  const image = `quay.io/metallb/${name}:${version}`;
  const args = ["--port=7472", "--config=config", "--log-level=info"];
  return { name, image, args, livenessProbe: probe, readinessProbe: probe, ...more };
};
const monitoring = { name: "monitoring", containerPort: 7472 };
const confined = { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true };

const speaker = container("speaker", {
  env: [
    field("METALLB_NODE_NAME", "spec.nodeName"),
    field("METALLB_HOST", "status.hostIP"),
    field("METALLB_ML_BIND_ADDR", "status.podIP"),
    { name: "METALLB_ML_LABELS", value: "app=metallb,component=speaker" },
    { name: "METALLB_ML_SECRET_KEY", valueFrom: { secretKeyRef: { name: "memberlist", key: "secretkey" } } },
  ],
  ports: [
    monitoring,
    { name: "memberlist-tcp", containerPort: 7946 },
    { name: "memberlist-udp", containerPort: 7946, protocol: "UDP" },
  ],
  securityContext: { ...confined, capabilities: { add: ["NET_RAW"], drop: ["ALL"] } },
});

const controller = container("controller", {
  env: [
    { name: "METALLB_ML_SECRET_NAME", value: "memberlist" },
    { name: "METALLB_DEPLOYMENT", value: "controller" },
  ],
  ports: [monitoring],
  securityContext: { ...confined, capabilities: { drop: ["all"] } },
});

function workload(kind: "DaemonSet" | "Deployment", component: string, pod: object): object {
  const labels = { app: "metallb", component };
  return {
    apiVersion: "apps/v1",
    kind,
    metadata: { name: component, namespace, labels },
    spec: {
      ...(kind === "Deployment" && { revisionHistoryLimit: 3 }),
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations: { "prometheus.io/port": "7472", "prometheus.io/scrape": "true" } },
        spec: { nodeSelector: { "kubernetes.io/os": "linux" }, serviceAccountName: component, ...pod },
      },
    },
  };
}

function objects(): object[] {
  const labels = { app: "metallb" };
  const subjects = (names: readonly string[]) => names.map((name) => ({ kind: "ServiceAccount", name, namespace }));
  const binding = (kind: "Role" | "ClusterRole", name: string, of: readonly string[]) => ({
    apiVersion: rbac.version,
    kind: `${kind}Binding`,
    metadata: { name, labels, ...(kind === "Role" && { namespace }) },
    roleRef: { apiGroup: rbac.group, kind, name },
    subjects: subjects(of),
  });
  return [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace, labels } },
    ...["controller", "speaker"].map((name) => ({
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name, namespace, labels },
    })),
    ...Object.entries(clusterRules).flatMap(([name, rules]) => [
      { apiVersion: rbac.version, kind: "ClusterRole", metadata: { name: `${namespace}:${name}`, labels }, rules },
      binding("ClusterRole", `${namespace}:${name}`, [name]),
    ]),
    ...Object.entries(rules).flatMap(([name, { of, rules }]) => [
      { apiVersion: rbac.version, kind: "Role", metadata: { name, namespace, labels }, rules },
      binding("Role", name, of),
    ]),
    workload("DaemonSet", "speaker", {
      hostNetwork: true,
      terminationGracePeriodSeconds: 2,
      tolerations: [{ effect: "NoSchedule", key: "node-role.kubernetes.io/master", operator: "Exists" }],
      containers: [speaker],
    }),
    workload("Deployment", "controller", {
      terminationGracePeriodSeconds: 0,
      securityContext: { runAsNonRoot: true, runAsUser: 65534, fsGroup: 65534 },
      containers: [controller],
    }),
  ];
}

/**
 * Installs MetalLB v0.12.1 in a cluster, from the ConfigMap on.
 * @param binaries a directory with its `controller` and `speaker`, linked statically
 */
export async function installMetallb(on: InstalledCluster, binaries: string, configuration: string): Promise<void> {
  await loadMetallb(on, binaries, (name) => `quay.io/metallb/${name}:${version}`);
  for (const object of objects()) await on.apply(object);
  await on.configure(configuration);
  await on.rolledOut("deployment/controller", "daemonset/speaker");
}

/** Makes images of MetalLB's programs, and loads them into every node. @param imageOf the name of each */
export async function loadMetallb(on: InstalledCluster, binaries: string, imageOf: (name: string) => string): Promise<void> {
  for (const name of ["controller", "speaker"]) {
    const root = join(on.cluster.directory, `metallb-${name}`);
    await mkdir(root);
    for (const file of [name, ...(name === "speaker" ? frrTools : [])])
      if (file === name || existsSync(join(binaries, file))) await copyFile(join(binaries, file), join(root, file));
    await loadRoot(on, root, imageOf(name), { Entrypoint: [`/${name}`] });
  }
}

/** What MetalLB's speaker brings for the containers of FRR mode. */
const frrTools = ["cp-tool", "frr-metrics", "frr-reloader.sh"];

/** Makes an image of a folder, and loads it into every node. */
export async function loadRoot(on: InstalledCluster, root: string, name: string, config: ImageConfig): Promise<void> {
  const architecture = architectures.find((each) => nodeArchitecture(each) === process.arch) ?? "amd64";
  const archive = join(on.cluster.directory, `${basename(root)}.tar`);
  const platforms = [{ architecture, layers: [root], config }];
  await writeArchive(archive, { name, platforms, createdSeconds: 0, compression: "none" });
  await on.cluster.loadImage(archive);
}
