import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { load, loadAll } from "js-yaml";
import { announcedConfigMaps } from "#pkg/announced";
import { causes } from "#pkg/verdict";
import { pages } from "../docs/generate/markdown.ts";
import { readLastStage } from "../release/dockerfile.ts";

interface Rule {
  readonly apiGroups: string[];
  readonly resources: string[];
  readonly resourceNames?: string[];
  readonly verbs: string[];
}
interface Container {
  readonly name: string;
  readonly image: string;
  readonly command: string[];
  readonly args: string[];
  readonly env: { name: string; value?: string; valueFrom?: { secretKeyRef?: object; fieldRef?: object } }[];
  readonly ports: { name: string; containerPort: number; protocol?: string }[];
  readonly terminationMessagePolicy: string;
  readonly startupProbe: { httpGet: object };
  readonly livenessProbe: { httpGet: object };
  readonly readinessProbe: { httpGet: object };
  readonly resources: { requests: Record<string, string>; limits?: Record<string, string> };
  readonly securityContext: { capabilities: object; readOnlyRootFilesystem: boolean; allowPrivilegeEscalation: boolean };
}
interface Pod {
  readonly containers: [Container];
  readonly serviceAccountName: string;
  readonly hostNetwork?: boolean;
  readonly securityContext: { runAsUser?: number; runAsNonRoot?: boolean; seccompProfile: object };
  readonly tolerations?: { key: string }[];
}
interface Manifest {
  readonly kind: string;
  readonly metadata: { name: string; namespace?: string; labels: Record<string, string> };
  readonly rules?: Rule[];
  readonly roleRef?: { kind: string; name: string };
  readonly subjects?: { kind: string; name: string; namespace?: string }[];
  readonly spec?: { selector: object; strategy?: object; template: { metadata: { labels: object }; spec: Pod } };
}

const base = join(import.meta.dirname, "base");
const { resources: files } = load(readFileSync(join(base, "kustomization.yaml"), "utf8")) as { resources: string[] };
const manifests = files.flatMap((file) => loadAll(readFileSync(join(base, file), "utf8")) as Manifest[]);

/** The objects of a component, which has each of its files in its kustomization. */
function component(name: string): Manifest[] {
  const folder = join(import.meta.dirname, "components", name);
  const {
    kind,
    resources,
    configurations = [],
  } = load(readFileSync(join(folder, "kustomization.yaml"), "utf8")) as {
    kind: string;
    resources: string[];
    configurations?: string[];
  };
  assert.equal(kind, "Component");
  const others = readdirSync(folder).filter((file) => file !== "kustomization.yaml");
  assert.deepEqual(others.sort(), [...resources, ...configurations].sort());
  return resources.flatMap((file) => loadAll(readFileSync(join(folder, file), "utf8")) as Manifest[]);
}

function find(kind: string, name: string, among: readonly Manifest[] = manifests): Manifest {
  const found = among.filter((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  assert.equal(found.length, 1, `${kind} ${name} is there once`);
  return found[0] as Manifest;
}

function workload(name: "controller" | "speaker" | "central-speaker") {
  const all = [...manifests, ...component("central-speakers")];
  const { spec } = find(name === "speaker" ? "DaemonSet" : "Deployment", name, all);
  assert.ok(spec);
  const pod = spec.template.spec;
  return { spec, pod, container: pod.containers[0] };
}

test("every file of the base is installed", () => {
  assert.deepEqual(
    readdirSync(base).filter((file) => file !== "kustomization.yaml"),
    [...files].sort(),
  );
});

test("objects have the names by which MetalLB 0.12 is patched and replaced", () => {
  const names = manifests.map(({ kind, metadata: { name, namespace } }) => `${kind} ${namespace ?? "-"} ${name}`);
  assert.deepEqual(names.sort(), [
    "ClusterRole - metallb-system:controller",
    "ClusterRole - metallb-system:speaker",
    "ClusterRoleBinding - metallb-system:controller",
    "ClusterRoleBinding - metallb-system:speaker",
    ...announcedConfigMaps.map((name) => `ConfigMap metallb-system ${name}`),
    "ConfigMap metallb-system ingot-conflicts",
    "DaemonSet metallb-system speaker",
    "Deployment metallb-system controller",
    "Namespace - metallb-system",
    "Role metallb-system config-watcher",
    "Role metallb-system controller",
    "Role metallb-system pod-lister",
    "Role metallb-system speaker",
    "RoleBinding metallb-system config-watcher",
    "RoleBinding metallb-system controller",
    "RoleBinding metallb-system pod-lister",
    "RoleBinding metallb-system speaker",
    "Secret metallb-system memberlist",
    "ServiceAccount metallb-system controller",
    "ServiceAccount metallb-system speaker",
  ]);
  for (const { kind, metadata } of manifests) assert.equal(metadata.labels.app, "metallb", `${kind} ${metadata.name}`);
});

test("the namespace admits the speaker at every Pod Security level check", () => {
  const { labels } = find("Namespace", "metallb-system").metadata;
  for (const mode of ["enforce", "audit", "warn"]) assert.equal(labels[`pod-security.kubernetes.io/${mode}`], "privileged", mode);
});

for (const name of ["controller", "speaker"] as const) {
  test(`${name}: container, labels, flags and metrics port are MetalLB's`, () => {
    const { spec, pod, container } = workload(name);
    // A selector cannot be changed: with another one the manifests could not be applied over MetalLB's.
    assert.deepEqual(spec.selector, { matchLabels: { app: "metallb", component: name } });
    assert.deepEqual(spec.template.metadata.labels, { app: "metallb", component: name });
    assert.equal(pod.serviceAccountName, name);
    assert.equal(container.name, name);
    assert.equal(container.image, "ingot");
    const heap =
      name === "controller"
        ? ["--max-semi-space-size=4", "--heap-growing-percent=20", "--no-separate-gc-phases"]
        : [
            "--no-node-snapshot",
            "--max-semi-space-size=2",
            "--no-separate-gc-phases",
            "--no-parallel-scavenge",
            "--no-concurrent-array-buffer-sweeping",
            "--no-sparkplug",
            "--no-short-builtin-calls",
          ];
    const { Entrypoint = [], WorkingDir } = readLastStage(readFileSync("Dockerfile", "utf8"), {}).config;
    assert.deepEqual(container.command, [...Entrypoint, ...heap, `${WorkingDir}/${name}.js`]);
    const common = ["--port=7472", "--config=config", "--log-level=info"];
    assert.deepEqual(container.args, name === "speaker" ? [...common, "--ignore-exclude-lb"] : common);
    assert.deepEqual(container.ports[0], { name: "monitoring", containerPort: 7472 });
    assert.equal(container.terminationMessagePolicy, "FallbackToLogsOnError");
    assert.deepEqual(container.startupProbe.httpGet, { path: "/healthz", port: "monitoring" });
    assert.deepEqual(container.livenessProbe.httpGet, { path: "/healthz", port: "monitoring" });
    assert.deepEqual(container.readinessProbe.httpGet, { path: "/readyz", port: "monitoring" });
  });

  test(`${name}: is locked down, and asks for CPU without a limit on it`, () => {
    const { pod, container } = workload(name);
    assert.deepEqual(pod.securityContext.seccompProfile, { type: "RuntimeDefault" });
    assert.equal(container.securityContext.readOnlyRootFilesystem, true);
    assert.equal(container.securityContext.allowPrivilegeEscalation, false);
    assert.deepEqual(Object.keys(container.resources.requests), ["cpu", "memory"]);
    assert.deepEqual(container.resources.limits, { memory: "1Gi" });
    // The API refuses a request above the limit. A patch may set limits alone, and so may values for MetalLB's chart: MetalLB's are 100m and 100Mi.
    for (const amount of Object.values(container.resources.requests)) assert.ok(Number.parseInt(amount, 10) <= 100, amount);
  });
}

test("controller: is an ordinary user without capabilities, and makes way before the next one starts", () => {
  const { spec, pod, container } = workload("controller");
  assert.equal(pod.securityContext.runAsNonRoot, true);
  assert.equal(pod.securityContext.runAsUser, 65534);
  assert.deepEqual(container.securityContext.capabilities, { drop: ["ALL"] });
  assert.deepEqual(spec.strategy, { type: "RollingUpdate", rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } });
  assert.deepEqual(
    container.env.slice(0, 2),
    [
      { name: "METALLB_ML_SECRET_NAME", value: "memberlist" },
      { name: "METALLB_DEPLOYMENT", value: "controller" },
    ],
    "in MetalLB's order, for patches by index",
  );
});

test("speaker: is on the host's network, may send raw packets and be on time and nothing else, also on control-plane nodes", () => {
  const { pod, container } = workload("speaker");
  assert.equal(pod.hostNetwork, true);
  assert.deepEqual(container.securityContext.capabilities, { drop: ["ALL"], add: ["NET_RAW", "SYS_NICE"] });
  assert.deepEqual(
    pod.tolerations?.map(({ key }) => key),
    ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"],
  );
  assert.deepEqual(container.ports.slice(1), [
    { name: "memberlist-tcp", containerPort: 7946 },
    { name: "memberlist-udp", containerPort: 7946, protocol: "UDP" },
  ]);
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { apiVersion: "v1", fieldPath } } });
  assert.deepEqual(
    container.env.slice(0, 5),
    [
      field("METALLB_NODE_NAME", "spec.nodeName"),
      field("METALLB_HOST", "status.hostIP"),
      field("METALLB_ML_BIND_ADDR", "status.podIP"),
      { name: "METALLB_ML_LABELS", value: "app=metallb,component=speaker" },
      { name: "METALLB_ML_SECRET_KEY", valueFrom: { secretKeyRef: { name: "memberlist", key: "secretkey" } } },
    ],
    "in MetalLB's order, for patches by index",
  );
});

test("as many former revisions are kept as the way back to MetalLB says: Kubernetes' ten, also of the controller", () => {
  for (const name of ["controller", "speaker"] as const) assert.equal("revisionHistoryLimit" in workload(name).spec, false, name);
  assert.match(readFileSync("docs/migrate-from-metallb.md", "utf8"), /^Kubernetes keeps ten revisions\.$/m);
});

// Request: verb, [API group/]resource[/subresource], where ("*" is any namespace) and the object's name where it matters.
const requests: { who: "controller" | "speaker"; may: string[]; mayNot: string[] }[] = [
  {
    who: "controller",
    may: [
      "list services *",
      "watch services *",
      "patch services/status *",
      "update services/status *",
      "create events *",
      "patch events *",
      "list configmaps metallb-system",
      "watch configmaps metallb-system",
      "create configmaps metallb-system",
      ...["ingot-status", "ingot-summary"].map((name) => `patch configmaps metallb-system ${name}`),
      "patch secrets metallb-system memberlist",
      "create coordination.k8s.io/leases metallb-system",
      ...["get", "list", "watch", "patch"].map((verb) => `${verb} coordination.k8s.io/leases metallb-system ingot-controller`),
    ],
    mayNot: [
      "update services *",
      "patch services *",
      "patch configmaps metallb-system config",
      ...["ingot-conflicts", ...announcedConfigMaps].map((name) => `patch configmaps metallb-system ${name}`),
      "delete configmaps metallb-system ingot-status",
      "list configmaps *",
      "create secrets *",
      "create secrets metallb-system", // Its creator gets another account's token in a Secret of type kubernetes.io/service-account-token.
      ...["get", "list", "watch", "update"].map((verb) => `${verb} secrets metallb-system memberlist`),
      "patch secrets metallb-system other",
      "list nodes *",
      "list pods metallb-system",
    ],
  },
  {
    who: "speaker",
    may: [
      ...["services", "endpoints", "nodes", "discovery.k8s.io/endpointslices"].flatMap((what) => [
        `list ${what} *`,
        `watch ${what} *`,
      ]),
      "get discovery.k8s.io/endpointslices *",
      "create events *",
      "patch events *",
      "list configmaps metallb-system",
      "watch configmaps metallb-system",
      "list pods metallb-system",
      "watch pods metallb-system",
      ...["ingot-conflicts", ...announcedConfigMaps].map((name) => `patch configmaps metallb-system ${name}`),
      "list secrets metallb-system memberlist",
      "watch secrets metallb-system memberlist",
      "get coordination.k8s.io/leases metallb-system ingot-controller",
    ],
    mayNot: [
      "patch coordination.k8s.io/leases metallb-system ingot-controller",
      "list secrets metallb-system routers",
      "watch secrets metallb-system routers",
      "patch services/status *", // kube-proxy believes the addresses there: a node could have those of all Services.
      "create configmaps metallb-system",
      "patch configmaps metallb-system ingot-status",
      "get secrets metallb-system routers",
      "list secrets *",
      "list pods *",
      "patch nodes *",
    ],
  },
];
for (const { who, may, mayNot } of requests) {
  for (const request of may) test(`${who} may ${request}`, () => assert.equal(allowed(who, request), true));
  for (const request of mayNot) test(`${who} may not ${request}`, () => assert.equal(allowed(who, request), false));
}

for (const { who, may } of requests)
  test(`${who} is granted nothing but what it or MetalLB's asks for`, () => assert.deepEqual(granted(who), may.toSorted()));

const ofComponents: Readonly<Record<string, readonly string[]>> = {
  "bgp-passwords": ["list secrets metallb-system router-passwords", "watch secrets metallb-system router-passwords"],
  namespaces: ["list namespaces *", "watch namespaces *"],
  netbox: ["list secrets metallb-system netbox", "watch secrets metallb-system netbox"],
  "validating-webhook": [
    ...["get", "patch"].map((verb) => `${verb} admissionregistration.k8s.io/validatingwebhookconfigurations * ingot-webhook`),
    ...["list", "patch", "watch"].map((verb) => `${verb} secrets metallb-system ingot-webhook`),
  ],
};
for (const [name, may] of Object.entries(ofComponents))
  test(`the component ${name} grants what its part of the program asks for, and no more`, () => {
    const who = name === "bgp-passwords" ? "speaker" : "controller";
    const other = who === "speaker" ? "controller" : "speaker";
    assert.deepEqual(granted(who, component(name)), may.toSorted());
    assert.deepEqual(granted(other, component(name)), name === "namespaces" ? may.toSorted() : []);
  });

test("nobody may create Secrets, and each one that is written has to be there already, without data", () => {
  const all = [...manifests, ...Object.keys(ofComponents).flatMap((name) => component(name))];
  for (const who of ["controller", "speaker"] as const)
    assert.equal(allowed(who, "create secrets metallb-system", all), false, who);
  for (const name of ["memberlist", "ingot-webhook"]) {
    const { type, data, stringData } = find("Secret", name, all) as Manifest & Record<"type" | "data" | "stringData", unknown>;
    assert.deepEqual([type, data, stringData], ["Opaque", undefined, undefined]);
    assert.equal(allowed("controller", `patch secrets metallb-system ${name}`, all), true);
  }
  for (const { file, text } of pages()) assert.doesNotMatch(text, /controller (?:makes|creates) the Secret/, file);
});

test("where a report is refused, the remedy has a ConfigMap that is deleted made by somebody who may", () => {
  const remedies = { controller: causes.configuration.notReported.next, speaker: causes.node.notReported.next };
  for (const [who, next] of Object.entries(remedies)) {
    const isMadeAnew = allowed(who, "create configmaps metallb-system");
    assert.match(next, isMadeAnew ? /delete configmap ingot-summary has that one made anew/ : /apply the manifests again/, who);
  }
});

test("where speakers may not read the Secret of a password, the remedy names what gives them the right", () => {
  const request = "list secrets metallb-system router-passwords";
  assert.equal(allowed("speaker", request), false);
  assert.equal(allowed("speaker", request, [...manifests, ...component("bgp-passwords")]), true);
  assert.match(
    causes.peer.waitsForPassword.next,
    /may not be read: kustomize component bgp-passwords, or Helm's rbac\.bgpPasswords/,
  );
  assert.match(
    causes.peer.waitsForPassword.next,
    /create secret generic NAME --from-literal=KEY=…, with the key of password-secret/,
  );
  assert.match(
    causes.peer.waitsForPassword.next,
    /that key is missing .*: kubectl .* patch secret NAME -p '\{"stringData":\{"KEY":"…"\}\}'/,
  );
});

test("central speakers take no connections of routers, and their page says what that means for passive peers", () => {
  assert.doesNotMatch(workload("central-speaker").container.args.join(" "), /--bgp-port/);
  const { text = "" } = pages().find(({ file }) => file === "docs/central-speakers.md") ?? {};
  assert.match(text, /## Limits\n[^#]*`passive`/);
});

test("the network policies name every port of the Pods, and let only routers and the API server in from anywhere", () => {
  interface Policy {
    readonly podSelector: { matchLabels: object };
    readonly ingress: { from?: object[]; ports: { port: number; protocol?: string }[] }[];
  }
  for (const name of ["controller", "speaker", "central-speaker"] as const) {
    const { podSelector, ingress } = find("NetworkPolicy", name, component("network-policy")).spec as unknown as Policy;
    assert.deepEqual(podSelector.matchLabels, { app: "metallb", component: name });
    const text = ({ port, protocol = "TCP" }: { port: number; protocol?: string }) => `${protocol} ${port}`;
    const limited = ingress.filter(({ from }) => from !== undefined).flatMap(({ ports }) => ports.map(text));
    const { ports } = workload(name).container;
    assert.deepEqual(
      limited,
      ports.map(({ containerPort: port, protocol = "TCP" }) => text({ port, protocol })),
    );
    const open = ingress.filter(({ from }) => from === undefined).flatMap(({ ports }) => ports.map(text));
    assert.deepEqual(open, name === "controller" ? ["TCP 9443"] : ["TCP 179", "TCP 1179", "UDP 3784", "UDP 3785", "UDP 4784"]);
  }
});

/** All rights of an account, as requests. */
function granted(account: string, installed: readonly Manifest[] = manifests): string[] {
  const bindings = installed.filter(({ subjects = [] }) =>
    subjects.some(({ kind, name }) => kind === "ServiceAccount" && name === account),
  );
  return bindings
    .flatMap(({ kind, metadata, roleRef }) => {
      const where = kind === "ClusterRoleBinding" ? "*" : metadata.namespace;
      const { rules = [] } = find(roleRef?.kind ?? "", roleRef?.name ?? "", installed);
      return rules.flatMap(({ apiGroups, resources, resourceNames = [""], verbs }) =>
        product(verbs, apiGroups, resources, resourceNames).map(([verb, group, resource, name]) =>
          `${verb} ${group === "" ? "" : `${group}/`}${resource} ${where} ${name}`.trimEnd(),
        ),
      );
    })
    .sort();
}

function product(...lists: readonly (readonly string[])[]): string[][] {
  return lists.reduce<string[][]>((all, list) => all.flatMap((one) => list.map((item) => [...one, item])), [[]]);
}

/** Decides like the API server's RBAC. */
function allowed(account: string, request: string, installed: readonly Manifest[] = manifests): boolean {
  const [verb, target, namespace, objectName] = request.split(" ");
  assert.ok(verb && target && namespace);
  const [, group = "", resource] = /^(?:([a-z0-9.]*)\/(?!status$))?(.+)$/.exec(target) ?? [];
  assert.ok(resource);
  return installed.some(({ kind, metadata, roleRef, subjects = [] }) => {
    const here = kind === "ClusterRoleBinding" || (kind === "RoleBinding" && metadata.namespace === namespace);
    if (!here || !roleRef) return false;
    const bound = subjects.some((subject) => subject.kind === "ServiceAccount" && subject.name === account);
    return bound && (find(roleRef.kind, roleRef.name, installed).rules ?? []).some(grants);
  });
  function grants({ apiGroups, resources, resourceNames, verbs }: Rule): boolean {
    const named = resourceNames === undefined || (objectName !== undefined && resourceNames.includes(objectName));
    return named && verbs.includes(String(verb)) && apiGroups.includes(group) && resources.includes(String(resource));
  }
}
