import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { gzipSync } from "node:zlib";
import { ApiServer, type ObjectInput } from "#e2e/apiserver";
import { Exit } from "../command.ts";
import { ingotctl } from "../testing/ingotctl.ts";
import type { TakeoverFinding } from "./checks/finding.ts";
import type { Unread } from "./view.ts";

const namespace = "metallb-system";
const labels = (component: string) => ({ app: "metallb", component });
const workload = (kind: string, name: string, spec: object, more: object = {}): ObjectInput => ({
  apiVersion: "apps/v1",
  kind,
  metadata: { namespace, name, labels: labels(name) },
  spec: { selector: { matchLabels: labels(name) }, template: { metadata: { labels: labels(name) }, spec }, ...more },
});
const container = (image: string, more: object = {}) => ({ name: "c", image, ...more });
const config = (text: string): ObjectInput => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { namespace, name: "config" },
  data: { config: text },
});
const service = (name: string, spec: object, ip?: string): ObjectInput => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { namespace: "default", name },
  spec: { type: "LoadBalancer", ports: [{ port: 80 }], ...spec },
  ...(ip !== undefined && { status: { loadBalancer: { ingress: [{ ip }] } } }),
});
const pod = (name: string, spec: object, metadata: object = {}): ObjectInput => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { namespace: "kube-system", name, ...metadata },
  spec: { nodeName: "node1", ...spec },
});
const kubeProxy = (text: string): ObjectInput => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { namespace: "kube-system", name: "kube-proxy" },
  data: { "config.conf": text },
});

const lan = "address-pools: [{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}]\n";
const plain = [
  config(lan),
  kubeProxy("mode: iptables\n"),
  workload("Deployment", "controller", {
    containers: [container("quay.io/metallb/controller:v0.12.1", { args: ["--port=7472", "--config=config"] })],
  }),
  workload("DaemonSet", "speaker", { hostNetwork: true, containers: [container("quay.io/metallb/speaker:v0.12.1")] }),
  service("web", {}, "192.0.2.1"),
  pod(
    "speaker-x",
    { hostNetwork: true, containers: [container("quay.io/metallb/speaker:v0.12.1", { ports: [{ containerPort: 7472 }] })] },
    { namespace, ownerReferences: [{ apiVersion: "apps/v1", kind: "DaemonSet", name: "speaker", uid: "u" }] },
  ),
];

const classyWeb = service("web", { loadBalancerClass: "example.com/ingot" }, "192.0.2.1");
const others = plain.filter(({ kind }) => kind !== "Service");
const metallb = (image: string, ...args: string[]) => container(`quay.io/metallb/${image}`, { args });
const kubeVip = (env: Readonly<Record<string, string>>) =>
  container("ghcr.io/kube-vip/kube-vip:v1.0", {
    args: ["manager"],
    env: Object.entries(env).map(([name, value]) => ({ name, value })),
  });
/** A workload of somebody else's, with nothing that says whose it is but its image. */
const elsewhere = (kind: string, name: string, namespace: string, ...containers: object[]): ObjectInput => ({
  apiVersion: "apps/v1",
  kind,
  metadata: { namespace, name },
  spec: { selector: { matchLabels: { name } }, template: { metadata: { labels: { name } }, spec: { containers } } },
});
const withoutSpeaker = plain.filter(({ kind }) => kind !== "DaemonSet");
/** The speakers of MetalLB's manifests for FRR mode. */
function frrMode(annotations?: Readonly<Record<string, string>>): ObjectInput {
  const speaker = workload("DaemonSet", "speaker", {
    initContainers: [{ name: "cp-frr-files", image: "frrouting/frr:v7.5.1" }],
    containers: [
      { name: "speaker", image: "quay.io/metallb/speaker:v0.12.1", env: [{ name: "METALLB_BGP_TYPE", value: "frr" }] },
      { name: "frr", image: "frrouting/frr:v7.5.1" },
      { name: "reloader", image: "frrouting/frr:v7.5.1" },
    ],
  });
  return { ...speaker, metadata: { ...speaker.metadata, annotations } };
}
/** A workload of MetalLB's with marks of whatever applied it. */
function marked(kind: string, name: string, marks: { readonly labels?: object; readonly annotations?: object }): ObjectInput {
  const object = workload(kind, name, { containers: [container(`quay.io/metallb/${name}:v0.12.1`)] });
  const metadata = { ...object.metadata, ...marks, labels: { ...labels(name), ...marks.labels } };
  return { ...object, metadata } as ObjectInput;
}
/** The takeover's result for them. */
const ingot = (kind: string, name: string, ...args: string[]) =>
  workload(kind, name, { containers: [container("localhost/ingot:0.1.0", { command: ["node", `/ingot/${name}.js`], args })] });
/** An object of MetalLB's chart, of the release `metallb`. */
const ofRelease = (kind: string, component: string, args: readonly string[], more: object = {}): ObjectInput => {
  const { spec } = workload(kind, component, {
    containers: [container(`quay.io/metallb/${component}:v0.12.1`, { args })],
    ...more,
  }) as ObjectInput & { spec: object };
  const labels = { "app.kubernetes.io/name": "metallb", "app.kubernetes.io/component": component };
  const release = { "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "metallb" };
  return {
    apiVersion: "apps/v1",
    kind,
    metadata: { namespace, name: `metallb-${component}`, labels: { ...labels, ...release } },
    spec,
  };
};
const second = ofRelease("Deployment", "controller", []) as ObjectInput & { readonly spec: object };
/** What Helm stores of that release. */
const stored = (manifest: string, version: number): ObjectInput => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: {
    namespace,
    name: `sh.helm.release.v1.metallb.v${version}`,
    labels: { owner: "helm", name: "metallb", status: "deployed", version: `${version}` },
  },
  data: { release: Buffer.from(gzipSync(JSON.stringify({ manifest })).toString("base64")).toString("base64") },
});
const psp = (name: string, policy: string): ObjectInput => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "ClusterRole",
  metadata: { name },
  rules: [{ apiGroups: ["policy"], resources: ["podsecuritypolicies"], resourceNames: [policy], verbs: ["use"] }],
});

interface Output {
  readonly findings: readonly TakeoverFinding[];
  readonly unread: readonly Unread[];
}

suite("takeover --check", () => {
  const directory = mkdtempSync(join(tmpdir(), "ingot-takeover-"));
  const kubeconfig = join(directory, "kubeconfig");
  let server: ApiServer;
  after(() => rmSync(directory, { recursive: true }));

  /** Findings in a cluster with these objects. */
  async function check(objects: readonly ObjectInput[], args = "", as?: Parameters<ApiServer["kubeconfig"]>[0]) {
    server = new ApiServer();
    await using _ = server;
    await server.start();
    for (const name of [namespace, "default", "kube-system"])
      if (server.get({ apiVersion: "v1", kind: "Namespace", metadata: { name } }) === undefined)
        server.create({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
    for (const object of objects) server.create(object);
    writeFileSync(kubeconfig, server.kubeconfig(as));
    const { status, out, err } = await ingotctl(`takeover --check -o json --kubeconfig ${kubeconfig} ${args}`);
    assert.equal(err, "");
    return { status, ...(JSON.parse(out) as Output) };
  }

  const told = (findings: readonly TakeoverFinding[]) =>
    findings
      .filter(({ severity }) => severity !== "note")
      .map(({ severity, check, where, found }) => `${severity} ${check}: ${where}: ${found}`);

  test("a plain MetalLB 0.12 needs nothing", async () => {
    const { status, findings, unread } = await check(plain);
    assert.deepEqual([status, told(findings), unread], [Exit.ok, [], []]);
    assert.deepEqual(
      findings.map(({ check, where }) => `${check} ${where}`),
      ["workloads Deployment metallb-system/controller", "workloads DaemonSet metallb-system/speaker"],
    );
  });

  test("a release of MetalLB's chart is looked at under its own names, and told from objects of manifests", async () => {
    const args = ["--port=9472", "--config=metallb"];
    const places = { nodeSelector: { edge: "true" } };
    const map = { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name: "metallb" }, data: { config: lan } };
    const objects = [
      map as ObjectInput,
      ofRelease("Deployment", "controller", args, places),
      ofRelease("DaemonSet", "speaker", args, places),
    ];
    const { status, findings, unread } = await check(objects);
    assert.deepEqual([status, told(findings), unread], [Exit.ok, [], []]);
    assert.match(findings[0]?.found ?? "", /^of the Helm release metallb: ingot\.yaml would put another one beside it$/);
  });

  test("says that the takeover is done, and compares nothing with MetalLB any more", async () => {
    const pools = config(
      `${lan}\npeers: [{my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1}]\n`
        .replace("layer2", "bgp")
        .replace("192.0.2.0/28", "192.0.2.0/28, '2001:db8::/120'"),
    );
    const classes = ["--lb-class=example.com/ingot"];
    const objects = [pools, kubeProxy("mode: iptables\n"), ingot("Deployment", "controller", ...classes), classyWeb];
    const speaker = ingot("DaemonSet", "speaker", "--config=config", ...classes);
    const { status, findings } = await check([...objects, speaker]);
    assert.deepEqual([status, told(findings)], [Exit.ok, []]);
    assert.deepEqual(
      findings.map(({ where, found, advice }) => `${where}: ${found}: ${advice}`),
      ["Deployment metallb-system/controller", "DaemonSet metallb-system/speaker"].map(
        (where) => `${where}: runs Ingot: localhost/ingot:0.1.0: nothing: it has been taken over`,
      ),
    );
    const half = await check([...objects, workload("DaemonSet", "speaker", { containers: [metallb("speaker:v0.12.1")] })]);
    assert.match(told(half.findings).join(), /BGP announces IPv6 addresses too/, "speakers are MetalLB's still");
  });

  const found: { name: string; objects: readonly ObjectInput[]; args?: string; want: readonly RegExp[]; status?: number }[] = [
    {
      name: "no configuration",
      objects: plain.slice(1),
      want: [/^error configuration: ConfigMap metallb-system\/config: there is no ConfigMap with a configuration$/],
    },
    {
      name: "a configuration with an error",
      objects: [config("address-pools: [{name: a, protocol: layer3, addresses: [192.0.2.0/28]}]\n"), ...plain.slice(1)],
      want: [
        /^error configuration: ConfigMap metallb-system\/config, key config: 1:37: error: address-pools\[0\]\.protocol: must be/,
      ],
    },
    {
      name: "IPv6 that would be announced by BGP from now on",
      objects: [
        config(
          `${lan}\npeers: [{my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1}]\n`
            .replace("layer2", "bgp")
            .replace("192.0.2.0/28", "192.0.2.0/28, '2001:db8::/120'"),
        ),
        ...plain.slice(1),
      ],
      want: [/^warning meaning: .*BGP announces IPv6 addresses too.*"lan"$/],
      status: Exit.losses,
    },
    {
      name: "a Service that would lose its address",
      objects: [...plain, service("elsewhere", {}, "203.0.113.1")],
      want: [/^error address: Service default\/elsewhere: it would not keep 203\.0\.113\.1: /],
    },
    {
      name: "a Service with a class that is not served",
      objects: [...plain, service("classy", { loadBalancerClass: "example.com/lb" }, "192.0.2.2")],
      want: [/^warning class: Service default\/classy: it has the load balancer class "example\.com\/lb"/],
      status: Exit.losses,
    },
    {
      name: "a Service without a class, where only one class is to be served",
      objects: plain,
      args: "--lb-class example.com/lb",
      want: [/^warning class: Service default\/web: it has no load balancer class/],
      status: Exit.losses,
    },
    {
      name: "another user of a port, on the host's network and by hostPort",
      objects: [
        ...plain,
        pod(
          "exporter-1",
          { hostNetwork: true, containers: [container("exporter", { ports: [{ containerPort: 7472 }, { containerPort: 80 }] })] },
          { ownerReferences: [{ apiVersion: "apps/v1", kind: "DaemonSet", name: "exporter", uid: "u" }] },
        ),
        pod(
          "exporter-2",
          { nodeName: "node2", hostNetwork: true, containers: [container("exporter", { ports: [{ containerPort: 7472 }] })] },
          { ownerReferences: [{ apiVersion: "apps/v1", kind: "DaemonSet", name: "exporter", uid: "u" }] },
        ),
        pod("gossip", {
          containers: [container("serf", { ports: [{ containerPort: 1, hostPort: 7946 }, { containerPort: 179 }] })],
        }),
      ],
      want: [
        /^error ports: DaemonSet kube-system\/exporter, on nodes node1, node2: uses port 7472/,
        /^error ports: Pod kube-system\/gossip, on node node1: uses port 7946/,
      ],
    },
    {
      name: "IPVS without strictARP",
      objects: [
        ...plain.filter(({ metadata }) => metadata.name !== "kube-proxy"),
        kubeProxy("mode: ipvs\nipvs:\n  strictARP: false\n"),
      ],
      want: [/^error kube-proxy: .*without strictARP/],
    },
    {
      name: "ServiceLB of k3s",
      objects: [
        ...plain,
        pod(
          "svclb-web-1a2b",
          { containers: [container("rancher/klipper-lb:v0.4")] },
          { labels: { "svccontroller.k3s.cattle.io/svcname": "web" } },
        ),
      ],
      want: [/^error load-balancer: Pod kube-system\/svclb-web-1a2b: ServiceLB of k3s/],
    },
    {
      name: "another load balancer",
      objects: [...plain, elsewhere("DaemonSet", "kube-vip", "kube-system", kubeVip({ svc_enable: "true" }))],
      want: [
        /^error load-balancer: DaemonSet kube-system\/kube-vip: kube-vip is another load balancer for Services without a class$/,
      ],
    },
    {
      name: "nothing in a kube-vip that serves the control plane alone",
      objects: [...plain, elsewhere("DaemonSet", "kube-vip", "kube-system", kubeVip({ svc_enable: "false", cp_enable: "true" }))],
      want: [],
      status: Exit.ok,
    },
    {
      name: "another load balancer in a static Pod",
      objects: [
        ...plain,
        pod(
          "kube-vip-cp1",
          { hostNetwork: true, containers: [kubeVip({ svc_enable: "true" })] },
          { ownerReferences: [{ apiVersion: "v1", kind: "Node", name: "cp1", uid: "u" }] },
        ),
      ],
      want: [/^error load-balancer: Pod kube-system\/kube-vip-cp1: kube-vip is another load balancer/],
    },
    {
      name: "no other load balancer for the one class that is to be served",
      objects: [classyWeb, ...others, elsewhere("DaemonSet", "kube-vip", "kube-system", kubeVip({ svc_enable: "true" }))],
      args: "--lb-class example.com/ingot",
      want: [],
      status: Exit.ok,
    },
    {
      name: "another MetalLB with the class that is to be served",
      objects: [
        classyWeb,
        ...others,
        elsewhere("Deployment", "controller", "default", metallb("controller:v0.14.9", "--lb-class=example.com/ingot")),
        elsewhere("DaemonSet", "speaker", "default", metallb("speaker:v0.14.9", "--lb-class=example.com/ingot")),
      ],
      args: "--lb-class example.com/ingot",
      want: [
        /^error load-balancer: Deployment default\/controller: MetalLB is another load balancer for Services with the class "example\.com\/ingot"$/,
      ],
    },
    {
      name: "another MetalLB without a class",
      objects: [
        ...plain,
        elsewhere("Deployment", "controller", "default", metallb("controller:v0.12.1")),
        elsewhere("DaemonSet", "speaker", "default", metallb("speaker:v0.12.1")),
      ],
      want: [
        /^error load-balancer: Deployment default\/controller: MetalLB is another load balancer for Services without a class$/,
      ],
    },
    {
      name: "a Helm release that has PodSecurityPolicies, which this cluster does not know",
      objects: [
        config(lan),
        kubeProxy("mode: iptables\n"),
        ofRelease("Deployment", "controller", ["--config=config"]),
        psp("metallb:controller", "metallb-controller"),
        psp("metallb:speaker", "metallb-speaker"),
        stored("kind: Deployment\n---\nkind: PodSecurityPolicy\n", 2),
        stored("kind: Deployment\n", 1),
      ],
      want: [
        /^error pod-security-policy: Helm release metallb: its stored manifest has PodSecurityPolicies: helm upgrade stops at them/,
      ],
    },
    {
      name: "no PodSecurityPolicy in a Helm release from which they were taken, though there are rights to use them",
      objects: [
        config(lan),
        kubeProxy("mode: iptables\n"),
        ofRelease("Deployment", "controller", ["--config=config"]),
        psp("metallb:controller", "metallb-controller"),
        stored("kind: Deployment\n---\nkind: PodSecurityPolicy\n", 1),
        stored("kind: Deployment\n", 2),
      ],
      want: [],
      status: Exit.ok,
    },
    {
      name: "no user of a port in a Pod that has ended",
      objects: [
        ...plain,
        {
          ...pod("job", { containers: [container("x", { ports: [{ containerPort: 80, hostPort: 7472 }] })] }),
          status: { phase: "Succeeded" },
        },
        {
          ...pod("evicted", { containers: [container("x", { ports: [{ containerPort: 80, hostPort: 7946 }] })] }),
          status: { phase: "Failed" },
        },
      ],
      want: [],
      status: Exit.ok,
    },
    {
      name: "nothing to solve in a Pod on BGP's port, where speakers do not listen",
      objects: [
        ...plain,
        pod("bird", { hostNetwork: true, containers: [container("bird", { ports: [{ containerPort: 179 }] })] }),
      ],
      want: [],
      status: Exit.ok,
    },
    {
      name: "a user of BGP's port, where peers are passive",
      objects: [
        config(`peers: [{peer-address: 192.0.2.254, peer-asn: 64500, my-asn: 64501, passive: true}]\n${lan}`),
        ...plain.slice(1),
        pod("bird", { hostNetwork: true, containers: [container("bird", { ports: [{ containerPort: 179 }] })] }),
      ],
      want: [
        /^warning configuration: .*passive/,
        /^warning ports: Pod kube-system\/bird, on node node1: uses port 179 \(BGP, with --bgp-port=179\)/,
      ],
      status: Exit.losses,
    },
    {
      name: "a user of BGP's port, where speakers listen",
      objects: [
        ...plain.filter(({ kind }) => kind !== "DaemonSet"),
        workload("DaemonSet", "speaker", { containers: [container("ingot:0.1.0", { args: ["--bgp-port=179"] })] }),
        pod("bird", { hostNetwork: true, containers: [container("bird", { ports: [{ containerPort: 179 }] })] }),
      ],
      want: [/^error ports: Pod kube-system\/bird, on node node1: uses port 179/],
    },
    {
      name: "MetalLB's DaemonSet with other arguments and places than ours",
      objects: [
        ...plain.filter(({ kind }) => kind !== "DaemonSet"),
        workload("DaemonSet", "speaker", {
          nodeSelector: { "kubernetes.io/os": "linux", edge: "true" },
          tolerations: [{ key: "gpu", operator: "Exists" }],
          containers: [
            container("quay.io/metallb/speaker:v0.12.1", {
              args: ["--config=other"],
              env: [{ name: "METALLB_BGP_TYPE", value: "frr" }],
            }),
          ],
        }),
      ],
      want: [/--config=other, and the manifests have config$/, /spoken by FRR/, /nodeSelector "edge"$/, /taints .*"gpu"$/],
      status: Exit.losses,
    },
    {
      name: "containers of FRR mode that kubectl apply would leave where they are",
      objects: [...withoutSpeaker, frrMode()],
      want: [
        /^error workloads: DaemonSet metallb-system\/speaker: the containers frr, reloader, cp-frr-files of FRR mode would stay in the Pod/,
        /^warning workloads: .*spoken by FRR/,
      ],
    },
    {
      name: "no container of FRR mode in the way, where kubectl apply has put it there",
      objects: [...withoutSpeaker, frrMode({ "kubectl.kubernetes.io/last-applied-configuration": JSON.stringify(frrMode()) })],
      want: [/^warning workloads: .*spoken by FRR/],
      status: Exit.losses,
    },
    {
      name: "the containers that are left where kubectl apply has put others",
      objects: [
        ...withoutSpeaker,
        frrMode({ "kubectl.kubernetes.io/last-applied-configuration": JSON.stringify(ingot("DaemonSet", "speaker")) }),
      ],
      want: [/the containers .* of FRR mode would stay/, /spoken by FRR/],
    },
    {
      name: "speakers that are not ready",
      objects: [
        ...plain.filter(({ kind }) => kind !== "DaemonSet"),
        {
          ...workload("DaemonSet", "speaker", { containers: [container("quay.io/metallb/speaker:v0.12.1")] }),
          status: { desiredNumberScheduled: 3, numberReady: 2 },
        } as ObjectInput,
      ],
      want: [/^warning workloads: DaemonSet metallb-system\/speaker: 2 of 3 Pods are ready/],
      status: Exit.losses,
    },
    {
      name: "Pods of MetalLB's that wait to be deleted, or whose successor does not start",
      objects: [
        config(lan),
        kubeProxy("mode: iptables\n"),
        { ...ingot("Deployment", "controller"), status: { replicas: 2, updatedReplicas: 1, readyReplicas: 1 } } as ObjectInput,
        {
          ...ingot("DaemonSet", "speaker"),
          status: { desiredNumberScheduled: 3, numberReady: 3, updatedNumberScheduled: 1 },
        } as ObjectInput,
      ],
      want: [
        /^warning workloads: Deployment metallb-system\/controller: 1 of 2 Pods are replaced, and 1 is ready/,
        /^warning workloads: DaemonSet metallb-system\/speaker: 1 of 3 Pods are replaced, and 3 are ready/,
      ],
      status: Exit.losses,
    },
    {
      name: "two controllers of one namespace, as where Ingot's chart was installed beside MetalLB's manifests",
      objects: [...plain, ofRelease("Deployment", "controller", ["--config=config"])],
      want: [
        /^error workloads: Deployments metallb-system\/controller, metallb-system\/metallb-controller: several controllers give/,
      ],
    },
    {
      name: "no fault in a second controller with a class of its own",
      objects: [...plain, ofRelease("Deployment", "controller", ["--lb-class=example.com/lb"])],
      want: [],
      status: Exit.ok,
    },
    {
      name: "no fault in a second controller that is stopped",
      objects: [...plain, { ...second, spec: { ...second.spec, replicas: 0 } } as ObjectInput],
      want: [],
      status: Exit.ok,
    },
    {
      name: "a ring on another port, as an operator may choose it",
      objects: [
        ...withoutSpeaker,
        workload("DaemonSet", "speaker", {
          containers: [container("quay.io/metallb/speaker:v0.14.9", { env: [{ name: "METALLB_ML_BIND_PORT", value: "9122" }] })],
        }),
      ],
      want: [/^error workloads: DaemonSet metallb-system\/speaker: runs with --ml-bindport=9122, and the manifests have 7946/],
    },
    {
      name: "speakers without a ring, beside which Ingot's would wait",
      objects: [
        ...withoutSpeaker,
        workload("DaemonSet", "speaker", {
          containers: [container("quay.io/metallb/speaker:v0.12.1", { env: [{ name: "METALLB_NODE_NAME", valueFrom: {} }] })],
        }),
      ],
      want: [/^error workloads: DaemonSet metallb-system\/speaker: has no METALLB_ML_BIND_ADDR: its speakers have no ring/],
    },
    {
      name: "no fault in speakers that have an address for the ring",
      objects: [
        ...withoutSpeaker,
        workload("DaemonSet", "speaker", {
          containers: [
            container("quay.io/metallb/speaker:v0.12.1", {
              env: ["METALLB_NODE_NAME", "METALLB_ML_BIND_ADDR"].map((name) => ({ name, valueFrom: {} })),
            }),
          ],
        }),
      ],
      want: [],
      status: Exit.ok,
    },
    {
      name: "who would put MetalLB back: Flux and Argo CD",
      objects: [
        config(lan),
        kubeProxy("mode: iptables\n"),
        marked("Deployment", "controller", { labels: { "kustomize.toolkit.fluxcd.io/name": "infra" } }),
        marked("DaemonSet", "speaker", {
          annotations: { "argocd.argoproj.io/tracking-id": "lb:apps/DaemonSet:metallb-system/speaker" },
        }),
      ],
      want: [
        /^warning workloads: Deployment metallb-system\/controller: Flux applies it .* MetalLB back$/,
        /^warning workloads: DaemonSet metallb-system\/speaker: Argo CD applies it .* MetalLB back$/,
      ],
      status: Exit.losses,
    },
    {
      name: "a right to use PodSecurityPolicies is a note alone",
      objects: [...plain, psp("metallb-system:speaker", "speaker")],
      want: [],
      status: Exit.ok,
    },
  ];
  for (const { name, objects, args, want, status = Exit.invalid } of found) {
    test(`finds ${name}`, async () => {
      const { findings, ...rest } = await check(objects, args);
      assert.equal(rest.status, status);
      const lines = told(findings);
      assert.equal(lines.length, want.length, lines.join("\n"));
      for (const pattern of want)
        assert.ok(
          lines.some((line) => pattern.test(line)),
          `${pattern}: ${lines.join("\n")}`,
        );
      for (const { advice } of findings) assert.ok(advice.length > 5);
    });
  }

  test("says what may not be read, and looks at the rest", async () => {
    const role = (rules: object[]): ObjectInput[] => [
      { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: { name: "viewer" }, rules } as ObjectInput,
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "ClusterRoleBinding",
        metadata: { name: "viewer" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "viewer" },
        subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "jane" }],
      } as ObjectInput,
    ];
    const rules = [
      { apiGroups: [""], resources: ["services"], verbs: ["list"] },
      { nonResourceURLs: ["/version", "/apis"], verbs: ["get"] },
    ];
    const { status, unread, findings } = await check([...plain, ...role(rules)], "", { name: "jane", groups: [] });
    assert.equal(status, Exit.losses);
    const what = unread.map(({ what }) => what);
    for (const part of [
      "ConfigMap metallb-system/config",
      "Pods",
      "Deployments",
      "DaemonSets",
      "ConfigMap kube-system/kube-proxy",
    ])
      assert.ok(what.includes(part), part);
    assert.match(unread[0]?.why ?? "", /^403 .*cannot/);
    assert.deepEqual(told(findings), [], "what was not read is not called missing");
  });

  test("text has a line for each finding, what to do about it, and a sum", async () => {
    server = new ApiServer();
    await using _ = server;
    await server.start();
    writeFileSync(kubeconfig, server.kubeconfig());
    const { status, out } = await ingotctl(`takeover --check --kubeconfig ${kubeconfig}`);
    assert.equal(status, Exit.invalid);
    assert.match(
      out,
      /^error: ConfigMap metallb-system\/config: there is no ConfigMap with a configuration\n {2}-> .*\n[\s\S]*1 errors, 0 warnings, \d notes\n$/,
    );
  });

  const misused: { args: string; says: RegExp }[] = [
    { args: "takeover", says: /takeover only looks: give --check/ },
    { args: "takeover --check now", says: /takeover takes no argument, not 1/ },
    { args: "takeover --check -o yaml", says: /--output is one of text, json/ },
    { args: "takeover --check --kubeconfig /nonexistent", says: /cannot read the kubeconfig: ENOENT/ },
    { args: `takeover --check --context nowhere --kubeconfig ${kubeconfig}`, says: /no context "nowhere"/ },
  ];
  for (const { args, says } of misused)
    test(`ingotctl ${args.replace(kubeconfig, "FILE")}: is a usage error`, async () => {
      const { status, out, err } = await ingotctl(args);
      assert.deepEqual([status, out], [Exit.usage, ""]);
      assert.match(err, says);
    });

  test("a cluster that does not answer is a usage error that names it", async () => {
    const text = new ApiServer();
    await text.start();
    writeFileSync(kubeconfig, text.kubeconfig());
    await text[Symbol.asyncDispose]();
    const { status, err } = await ingotctl(`takeover --check --kubeconfig ${kubeconfig}`);
    assert.equal(status, Exit.usage);
    assert.match(err, /cannot reach https:\/\/[^ ]+: .*ECONNREFUSED/);
  });
});
