import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { classlessOnly, readClasses } from "#pkg/service";
import { view } from "../testing/view.ts";
import type { Raw } from "../view.ts";
import { checkOtherLoadBalancers } from "./load-balancers.ts";

const object = (namespace: string, name: string, more: object = {}) => ({ metadata: { namespace, name, ...more } });
const workload = (namespace: string, name: string, spec: object, more: object = {}): Raw => ({
  ...object(namespace, name, more),
  spec: { template: { spec } },
});
const running = (image: string, more: object = {}) => ({ containers: [{ image, ...more }] });
const deployments = (...found: Raw[]) => ({ "/apis/apps/v1/deployments": found });
const pods = (...found: object[]) => ({ "/api/v1/pods": found });

async function found(answers: Readonly<Record<string, unknown>>, ours = classlessOnly) {
  return checkOtherLoadBalancers(await view(answers), ours).map(({ severity, found, where }) => `${severity} ${where}: ${found}`);
}

const withoutClass = "Services without a class";
const both = readClasses("example.com/lb", true);
const named = (name: string) => readClasses(name, false);
const having = (name: string) => `Services with the class "${name}"`;

const controllerCommand = ["node", "--max-semi-space-size=4", "/ingot/controller.js"];
/** The Services that a container serves, and those among them that an Ingot with these classes serves too. */
const containers: { name: string; image: string; more?: object; ours?: ReturnType<typeof readClasses>; shared?: string }[] = [
  { name: "MetalLB 0.13 serves no class", image: "quay.io/metallb/controller:v0.13.12", ours: named("example.com/lb") },
  {
    name: "MetalLB 0.12 serves every class",
    image: "quay.io/metallb/speaker:v0.12.1",
    ours: both,
    shared: `${withoutClass} and ${having("example.com/lb")}`,
  },
  {
    name: "MetalLB with a class serves no Service without one",
    image: "docker.io/bitnami/metallb-controller:0.14.9",
    more: { args: ["--lb-class", "example.com/lb"] },
  },
  {
    name: "MetalLB with a class, as two words",
    image: "docker.io/bitnami/metallb-controller:0.14.9",
    more: { args: ["--lb-class", "example.com/lb"] },
    ours: both,
    shared: having("example.com/lb"),
  },
  { name: "Ingot", image: "registry.example.com/ingot:0.1.0", more: { command: controllerCommand }, shared: withoutClass },
  { name: "Ingot by an image of another name", image: "mirror/lb:1", more: { args: controllerCommand }, shared: withoutClass },
  { name: "another program by an image named ingot", image: "registry.example.com/ingot:0.1.0", more: { command: ["/metal"] } },
  {
    name: "Ingot with a class, and by default",
    image: "ingot@sha256:00",
    more: { command: controllerCommand, args: ["--lb-class=example.com/lb", "--lb-class-default"] },
    ours: both,
    shared: `${withoutClass} and ${having("example.com/lb")}`,
  },
  { name: "Ingot with a class", image: "ingot", more: { command: controllerCommand, args: ["--lb-class=example.com/lb"] } },
  { name: "kube-vip with neither feature", image: "ghcr.io/kube-vip/kube-vip:v1.0" },
  {
    name: "kube-vip by a flag",
    image: "ghcr.io/kube-vip/kube-vip-iptables:v1.0",
    more: { args: ["manager", "--services"] },
    shared: withoutClass,
  },
  {
    name: "kube-vip's variable overrules its flag",
    image: "kube-vip",
    more: { args: ["manager", "--services"], env: [{ name: "svc_enable", value: "false" }] },
  },
  { name: "kube-vip up to 0.2", image: "plndr/kube-vip:0.2.1", more: { args: ["service"] }, shared: withoutClass },
  {
    name: "kube-vip set up by a ConfigMap, which may say anything",
    image: "kube-vip",
    more: { envFrom: [{ configMapRef: { name: "kube-vip" } }] },
    shared: withoutClass,
  },
  {
    name: "kube-vip has a class of its own",
    image: "kube-vip",
    more: { env: [{ name: "svc_enable", value: "true" }] },
    ours: named("kube-vip.io/kube-vip-class"),
    shared: having("kube-vip.io/kube-vip-class"),
  },
  {
    name: "kube-vip for a class alone",
    image: "kube-vip",
    more: {
      env: [
        { name: "svc_enable", value: "true" },
        { name: "lb_class_only", value: "true" },
        { name: "lb_class_name", value: "example.com/lb" },
      ],
    },
    ours: both,
    shared: having("example.com/lb"),
  },
  {
    name: "kube-vip for a class alone, by the way of later releases",
    image: "kube-vip",
    more: {
      env: [
        { name: "svc_enable", value: "true" },
        { name: "lb_class_name", value: "example.com/lb" },
        { name: "lb_class_legacy_handling", value: "false" },
      ],
    },
    ours: both,
    shared: having("example.com/lb"),
  },
  {
    name: "kube-vip for no class, by the way of later releases",
    image: "kube-vip",
    more: { args: ["manager", "--services", "--lbClassName=", "--lbClassNameLegacyHandling=false"] },
    ours: both,
    shared: withoutClass,
  },
  { name: "kube-vip's cloud provider", image: "ghcr.io/kube-vip/kube-vip-cloud-provider:v0.0.12", shared: withoutClass },
  {
    name: "kube-vip's cloud provider for a class",
    image: "ghcr.io/kube-vip/kube-vip-cloud-provider:v0.0.12",
    more: {
      env: [
        { name: "KUBEVIP_ENABLE_LOADBALANCERCLASS", value: "true" },
        { name: "KUBEVIP_CUSTOM_LOADBALANCERCLASS_NAME", value: "example.com/lb" },
      ],
    },
    ours: both,
    shared: having("example.com/lb"),
  },
  {
    name: "PureLB by default",
    image: "ghcr.io/purelb/purelb/allocator:v0.13.0",
    more: { env: [{ name: "DEFAULT_ANNOUNCER", value: "PureLB" }] },
    shared: withoutClass,
  },
  { name: "PureLB where another one is the default", image: "ghcr.io/purelb/purelb/allocator:v0.13.0" },
  {
    name: "PureLB for its class",
    image: "ghcr.io/purelb/purelb/lbnodeagent:v0.13.0",
    ours: named("purelb.io/purelb"),
    shared: having("purelb.io/purelb"),
  },
  { name: "ServiceLB of k3s", image: "docker.io/rancher/mirrored-klipper-lb:v0.4.9", shared: withoutClass },
  { name: "ServiceLB of k3s for a class", image: "rancher/klipper-lb:v0.4.9", ours: named("example.com/lb") },
  { name: "LoxiLB leaves Services without a class alone", image: "ghcr.io/loxilb-io/kube-loxilb:latest" },
  {
    name: "LoxiLB for its class",
    image: "ghcr.io/loxilb-io/kube-loxilb:latest",
    ours: named("loxilb.io/loxilb"),
    shared: having("loxilb.io/loxilb"),
  },
  { name: "a program that is none", image: "example.com/web:v1" },
];
suite("what both would serve", () => {
  for (const { name, image, more, ours, shared } of containers)
    test(name, async () => {
      const lines = await found(deployments(workload("lb", "other", running(image, more))), ours);
      assert.deepEqual(
        lines.map((line) => line.replace(/^.* is another load balancer for /, "")),
        shared === undefined ? [] : [shared],
      );
    });
});

const metallb = "quay.io/metallb/controller:v0.12.1";

test("the MetalLB that is to be replaced is no other one, in a workload as in a Pod", async () => {
  const labels = { app: "metallb", component: "controller" };
  const own = workload("metallb-system", "controller", running(metallb), { labels });
  const pod = { ...object("metallb-system", "controller-1", { labels }), spec: running(metallb) };
  assert.deepEqual(await found(deployments(own)), []);
  assert.deepEqual(await found(pods(pod)), [], "its Deployment cannot be read");
});

test("a Pod is looked at under what made it, and once", async () => {
  const pod = (name: string, kind: string, owner: string, labels: object = {}) => ({
    ...object("lb", name, { labels, ownerReferences: [{ kind, name: owner }] }),
    spec: running(metallb),
  });
  const text = `MetalLB is another load balancer for ${withoutClass}`;
  const replicated = pod("controller-5d8f-x", "ReplicaSet", "controller-5d8f", { "pod-template-hash": "5d8f" });
  assert.deepEqual(await found(pods(replicated)), [`error Deployment lb/controller: ${text}`]);
  assert.deepEqual(await found(pods(pod("a", "StatefulSet", "s"), pod("b", "StatefulSet", "s"))), [
    `error StatefulSet lb/s: ${text}`,
  ]);
  assert.deepEqual(await found(pods(pod("static-cp1", "Node", "cp1"))), [`error Pod lb/static-cp1: ${text}`]);
  const changed = workload("lb", "controller", running(metallb, { args: ["--lb-class=example.com/lb"] }));
  assert.deepEqual(await found({ ...deployments(changed), ...pods(replicated) }), [], "the Deployment replaces it");
});

test("ServiceLB of k3s is known by its label too", async () => {
  const labels = { "svccontroller.k3s.cattle.io/svcname": "web" };
  const lines = await found(pods({ ...object("kube-system", "svclb-web-1", { labels }), spec: running("example.com/lb:v1") }));
  assert.deepEqual(lines, [`error Pod kube-system/svclb-web-1: ServiceLB of k3s is another load balancer for ${withoutClass}`]);
});

suite("Cilium", () => {
  const group = { "/apis": { groups: [{ name: "cilium.io" }] } };
  const pool = [{ metadata: { name: "blue" } }];
  const v2 = { ...group, "/apis/cilium.io/v2/ciliumloadbalancerippools": pool };
  const v2alpha1 = { ...group, "/apis/cilium.io/v2alpha1/ciliumloadbalancerippools": pool };
  const config = (data: object) => ({ "/api/v1/namespaces/kube-system/configmaps/cilium-config": { data } });
  const lbIpam = (shared: string) =>
    `error CiliumLoadBalancerIPPool "blue": LB IPAM of Cilium is another load balancer for ${shared}`;
  const nodeIpam = `error ConfigMap kube-system/cilium-config: Node IPAM of Cilium is another load balancer for ${withoutClass}`;

  const cases: { name: string; answers: object; ours?: ReturnType<typeof readClasses>; want: string[] }[] = [
    { name: "with pools of today", answers: v2, want: [lbIpam(withoutClass)] },
    { name: "with pools of releases before 1.18", answers: v2alpha1, want: [lbIpam(withoutClass)] },
    { name: "without pools", answers: group, want: [] },
    { name: "for another class", answers: v2, ours: named("example.com/lb"), want: [] },
    {
      name: "for a class of Cilium's",
      answers: v2,
      ours: named("io.cilium/l2-announcer"),
      want: [lbIpam(having("io.cilium/l2-announcer"))],
    },
    {
      name: "that leaves Services without a class alone",
      answers: { ...v2, ...config({ "default-lb-service-ipam": "none" }) },
      want: [],
    },
    { name: "that wants a class", answers: { ...v2, ...config({ "lbipam-require-lb-class": "true" }) }, want: [] },
    { name: "with LB IPAM off", answers: { ...v2, ...config({ "enable-lb-ipam": "false" }) }, want: [] },
    {
      name: "that gives Services the nodes' addresses",
      answers: { ...v2, ...config({ "enable-node-ipam": "true", "default-lb-service-ipam": "nodeipam" }) },
      want: [nodeIpam],
    },
  ];
  for (const { name, answers, ours, want } of cases)
    test(name, async () => assert.deepEqual(await found(answers as Record<string, unknown>, ours), want));
});

test("OpenELB is in the way of Services with its annotation alone", async () => {
  const service = (name: string, annotations: object, spec: object = {}) => ({
    ...object("default", name, { annotations }),
    spec: { type: "LoadBalancer", ...spec },
  });
  const annotations = { "lb.kubesphere.io/v1alpha1": "openelb" };
  const openElb = deployments(workload("openelb-system", "openelb-controller", running("kubesphere/openelb-controller:master")));
  const text = "OpenELB is another load balancer for Services with its annotation lb.kubesphere.io/v1alpha1";
  const where = "Deployment openelb-system/openelb-controller";
  const services = (...found: object[]) => ({ ...openElb, "/api/v1/services": found });
  const other = service("classy", annotations, { loadBalancerClass: "example.com/lb" });
  assert.deepEqual(await found(services(service("web", {}), other)), [`note ${where}: ${text}`]);
  assert.deepEqual(await found(services(service("web", annotations), other)), [
    `error ${where}: ${text}: 1 Service, such as default/web`,
  ]);
  const [finding] = checkOtherLoadBalancers(await view(services(service("web", annotations))), classlessOnly);
  assert.match(finding?.advice ?? "", /^stop it before .* loses the annotation loses its address/);
});

test("objects of any shape do no harm", async () => {
  const junk = [
    null,
    1,
    "x",
    [],
    {},
    { metadata: null, spec: 7 },
    { spec: { template: { spec: { containers: [{ image: 1 }, null] } } } },
  ];
  const odd = running("kube-vip", { args: [1, null], command: "x", env: [null, { name: 1 }], envFrom: 7 });
  const answers = {
    ...deployments(...(junk as Raw[]), workload("a", "b", odd)),
    ...pods(...(junk as object[]), { metadata: { ownerReferences: [null] }, spec: odd }),
    "/apis": { groups: [{ name: "cilium.io" }] },
    "/apis/cilium.io/v2/ciliumloadbalancerippools": [],
    "/api/v1/namespaces/kube-system/configmaps/cilium-config": { data: 1 },
    "/api/v1/services": junk,
  };
  assert.deepEqual(await found(answers), []);
});
