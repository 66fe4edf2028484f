import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

// Stands in for MetalLB's chart 0.12.1. Fields that cannot be changed later, or that later values are merged with, are as there:
// names, labels, selectors, roles and their bindings, container ports and arguments. Programs of ours run in it.
const release = "{{ .Release.Name }}"; // It contains "metallb", so that objects begin with it.
const namespace = "{{ .Release.Namespace }}";
const selector = (component: string) => ({
  "app.kubernetes.io/name": "metallb",
  "app.kubernetes.io/instance": release,
  "app.kubernetes.io/component": component,
});
const labels = {
  "helm.sh/chart": "metallb-0.12.1",
  "app.kubernetes.io/name": "metallb",
  "app.kubernetes.io/instance": release,
  "app.kubernetes.io/version": "v0.12.1",
  "app.kubernetes.io/managed-by": "{{ .Release.Service }}",
};
const account = (component: string) => `${release}-${component}`;
const subjects = (components: readonly string[]) =>
  components.map((component) => ({ kind: "ServiceAccount", name: account(component), namespace }));

const look = ["get", "list", "watch"];
const events = { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] };
const bound = {
  ClusterRole: {
    [`${release}:controller`]: {
      to: ["controller"],
      rules: [
        { apiGroups: [""], resources: ["services"], verbs: look },
        { apiGroups: [""], resources: ["services/status"], verbs: ["update", "patch"] },
        events,
      ],
    },
    [`${release}:speaker`]: {
      to: ["speaker"],
      rules: [
        { apiGroups: [""], resources: ["services", "endpoints", "nodes"], verbs: look },
        { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: look },
        events,
      ],
    },
  },
  Role: {
    [`${release}-config-watcher`]: {
      to: ["controller", "speaker"],
      rules: [{ apiGroups: [""], resources: ["configmaps"], verbs: look }],
    },
    [`${release}-pod-lister`]: {
      to: ["speaker"],
      rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["list"] }],
    },
    [`${release}-controller`]: {
      to: ["controller"],
      rules: [
        { apiGroups: [""], resources: ["secrets"], verbs: ["create"] },
        { apiGroups: [""], resources: ["secrets"], resourceNames: [`${release}-memberlist`], verbs: ["list"] },
        { apiGroups: ["apps"], resources: ["deployments"], resourceNames: [account("controller")], verbs: ["get"] },
      ],
    },
  },
};

function access(): object[] {
  const group = "rbac.authorization.k8s.io";
  const apiVersion = `${group}/v1`;
  return Object.entries(bound).flatMap(([kind, roles]) =>
    Object.entries(roles).flatMap(([name, { to, rules }]) => [
      { apiVersion, kind, metadata: { name, labels }, rules },
      {
        apiVersion,
        kind: `${kind}Binding`,
        metadata: { name, labels },
        subjects: subjects(to),
        roleRef: { apiGroup: group, kind, name },
      },
    ]),
  );
}

const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
const monitoring = { name: "monitoring", containerPort: 7472 };
const ring = [
  { name: "memberlist-tcp", containerPort: 7946, protocol: "TCP" },
  { name: "memberlist-udp", containerPort: 7946, protocol: "UDP" },
];
const secretKeyRef = { name: `${release}-memberlist`, key: "secretkey" };
const speakerEnvironment = [
  field("METALLB_NODE_NAME", "spec.nodeName"),
  field("METALLB_HOST", "status.hostIP"),
  field("METALLB_ML_BIND_ADDR", "status.podIP"),
  { name: "METALLB_ML_LABELS", value: "app.kubernetes.io/name=metallb,app.kubernetes.io/component=speaker" },
  { name: "METALLB_ML_BIND_PORT", value: "7946" },
  { name: "METALLB_ML_SECRET_KEY", valueFrom: { secretKeyRef } },
  field("METALLB_NAMESPACE", "metadata.namespace"), // Ours needs it; MetalLB reads a file.
];
const controllerEnvironment = [
  { name: "METALLB_ML_SECRET_NAME", value: secretKeyRef.name },
  { name: "METALLB_DEPLOYMENT", value: account("controller") },
  field("METALLB_NAMESPACE", "metadata.namespace"),
];

function workload(kind: "Deployment" | "DaemonSet", component: string, image: string, pod: object, container: object): object {
  const probe = { httpGet: { path: "/metrics", port: "monitoring" }, initialDelaySeconds: 10, periodSeconds: 10 };
  const args = ["--port=7472", `--config=${release}`, "--log-level=info"];
  const command = ["node", `/ingot/${component}.js`];
  const containers = [
    {
      name: component,
      image,
      command,
      args,
      livenessProbe: probe,
      readinessProbe: { ...probe, initialDelaySeconds: 1 },
      ...container,
    },
  ];
  return {
    apiVersion: "apps/v1",
    kind,
    metadata: { name: account(component), labels: { ...labels, "app.kubernetes.io/component": component } },
    spec: {
      selector: { matchLabels: selector(component) },
      template: {
        metadata: { labels: selector(component) },
        spec: {
          serviceAccountName: account(component),
          terminationGracePeriodSeconds: 0,
          nodeSelector: { "kubernetes.io/os": "linux" },
          containers,
          ...pod,
        },
      },
    },
  };
}

function objects(image: string): object[] {
  const confined = { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true };
  return [
    ...["controller", "speaker"].map((component) => ({
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: account(component), labels: { ...labels, "app.kubernetes.io/component": component } },
    })),
    ...access(),
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: release, labels },
      data: { config: "{{ toJson .Values.configInline | js }}" }, // JSON is YAML.
    },
    workload(
      "DaemonSet",
      "speaker",
      image,
      {
        hostNetwork: true,
        tolerations: [{ key: "node-role.kubernetes.io/master", effect: "NoSchedule", operator: "Exists" }],
      },
      {
        env: speakerEnvironment,
        ports: [monitoring, ...ring],
        securityContext: { ...confined, runAsUser: 0, capabilities: { drop: ["ALL"], add: ["NET_RAW"] } },
      },
    ),
    workload(
      "Deployment",
      "controller",
      image,
      { securityContext: { runAsNonRoot: true, runAsUser: 65534, fsGroup: 65534 } },
      { env: controllerEnvironment, ports: [monitoring], securityContext: { ...confined, capabilities: { drop: ["ALL"] } } },
    ),
  ];
}

/** Writes a chart that makes what MetalLB's chart 0.12.1 makes. @param image of ours, with its tag */
export async function writeMetallbChart(folder: string, image: string): Promise<void> {
  await mkdir(join(folder, "templates"), { recursive: true });
  const chart = { apiVersion: "v2", name: "metallb", version: "0.12.1", appVersion: "v0.12.1" };
  await writeFile(join(folder, "Chart.yaml"), JSON.stringify(chart));
  const templates = objects(image).map((object) => JSON.stringify(object));
  await writeFile(join(folder, "templates", "all.yaml"), templates.join("\n---\n"));
}
