import assert from "node:assert/strict";
import { test } from "node:test";
import { classlessOnly } from "#pkg/service";
import { fakeApi } from "../testing/api.ts";
import { flagOf, isSet, programOf, readInstallation, withoutReplaced } from "./installation.ts";

const chart = (component: string) => ({ "app.kubernetes.io/name": "metallb", "app.kubernetes.io/component": component });
const programs: { name: string; labels?: Readonly<Record<string, string>>; want: string | undefined }[] = [
  { name: "a controller of the manifests", labels: { app: "metallb", component: "controller" }, want: "controller" },
  { name: "a speaker of the manifests", labels: { app: "metallb", component: "speaker" }, want: "speaker" },
  { name: "a speaker of the chart", labels: chart("speaker"), want: "speaker" },
  { name: "a controller of the chart", labels: chart("controller"), want: "controller" },
  {
    name: "a speaker of the manifests, which an overlay gave the recommended labels",
    labels: { app: "metallb", component: "speaker", "app.kubernetes.io/component": "load-balancer" },
    want: "speaker",
  },
  { name: "another component of another app", labels: { app: "other", component: "speaker" }, want: undefined },
  { name: "another Pod of the chart", labels: chart("frr"), want: undefined },
  { name: "a Pod without labels", want: undefined },
];
for (const { name, labels, want } of programs)
  test(`programOf: ${name}`, () => {
    assert.equal(programOf({ metadata: labels === undefined ? {} : { labels } }), want);
  });

test("programOf: a component of a chart with another name is ours where its environment is", () => {
  const labels = { "app.kubernetes.io/name": "ingress-nginx", "app.kubernetes.io/component": "controller" };
  const pod = { containers: [{ env: [{ name: "POD_NAME" }] }, { env: [{ name: "METALLB_NAMESPACE" }] }] };
  assert.equal(programOf({ metadata: { labels }, spec: { containers: [{}, pod.containers[0]] } }), undefined);
  assert.equal(programOf({ metadata: { labels } }), undefined);
  assert.equal(programOf({ metadata: { labels }, spec: pod }), "controller");
  assert.equal(programOf({ metadata: { labels }, spec: { template: { spec: pod } } }), "controller");
});

const flags: { args: string[]; want: string | undefined }[] = [
  { args: ["--port=7473"], want: "7473" },
  { args: ["-port", "7473"], want: "7473" },
  { args: ["--port=1", "--port=2"], want: "2" },
  { args: ["--ports=1", "--report=2"], want: undefined },
  { args: ["--port="], want: "" },
];
for (const { args, want } of flags)
  test(`flagOf: ${args.join(" ")}`, () => {
    assert.equal(flagOf(args, "port"), want);
  });

const switches: { args: string[]; want: boolean }[] = [
  { args: [], want: false },
  { args: ["--port"], want: true },
  { args: ["--port=true", "--port=false"], want: false },
  { args: ["--port=0", "-port"], want: true },
];
for (const { args, want } of switches)
  test(`isSet: ${args.join(" ") || "no arguments"}`, () => {
    assert.equal(isSet(args, "port"), want);
  });

const namespace = "/api/v1/namespaces/lb";
const pod = (component: string, ...args: string[]) => ({
  metadata: { labels: { app: "metallb", component } },
  spec: { containers: [{ args }] },
});

test("readInstallation: the ConfigMap, the load balancer class and the excluded nodes are those of the Pods' arguments", async () => {
  const api = fakeApi({
    [`${namespace}/pods`]: [
      pod("controller", "--config=mine", "--lb-class=example.com/lb", "--lb-class-default"),
      pod("speaker", "--ignore-exclude-lb=true"),
    ],
    [`${namespace}/configmaps/mine`]: { metadata: {}, data: { config: "peers: []" } },
    [`${namespace}/configmaps/ingot-status`]: { metadata: {}, data: { "last-good-config": "address-pools: []" } },
  });
  const { configMapPath, text, lastGood, classes, ignoreExcludeLabel } = await readInstallation(api, "lb");
  assert.deepEqual([configMapPath, text, lastGood], [`${namespace}/configmaps/mine`, "peers: []", "address-pools: []"]);
  assert.deepEqual([classes, ignoreExcludeLabel], [{ name: "example.com/lb", isDefault: true }, true]);
});

test("readInstallation: the component crds takes back what the manifests set, as the last argument", async () => {
  const speaker = pod("speaker", "--ignore-exclude-lb", "--config-source=crds", "--ignore-exclude-lb=false");
  const { ignoreExcludeLabel } = await readInstallation(fakeApi({ [`${namespace}/pods`]: [speaker] }), "lb");
  assert.equal(ignoreExcludeLabel, false);
});

test("withoutReplaced: Pods that ended count where no other took their place", () => {
  const of = (name: string, component: string, phase: string, nodeName = "n1") => ({
    metadata: { name, labels: { app: "metallb", component } },
    spec: { nodeName },
    status: { phase },
  });
  const namesOf = (...pods: ReturnType<typeof of>[]) => withoutReplaced(pods).map(({ metadata }) => metadata?.name);
  const evicted = of("evicted", "controller", "Failed");
  assert.deepEqual(namesOf(evicted), ["evicted"]);
  assert.deepEqual(namesOf(evicted, of("other", "controller", "Failed", "n2")), ["evicted", "other"]);
  assert.deepEqual(namesOf(evicted, of("waits", "controller", "Pending", "")), ["waits"]);
  assert.deepEqual(namesOf(of("shut-down", "controller", "Succeeded"), of("works", "controller", "Running", "n2")), ["works"]);
  const ended = of("ended", "speaker", "Failed");
  assert.deepEqual(namesOf(ended, of("elsewhere", "speaker", "Running", "n2")), ["ended", "elsewhere"]);
  assert.deepEqual(namesOf(ended, of("again", "speaker", "Running")), ["again"]);
  const central = of("central", "central-speaker", "Failed");
  assert.deepEqual(namesOf(central, of("other", "central-speaker", "Running", "n2"), ended), ["other", "ended"]);
});

test("readInstallation: a Pod that was evicted says nothing of how the one in its place is set up", async () => {
  const running = { ...pod("controller", "--config=mine"), status: { phase: "Running" } };
  const evicted = { ...pod("controller", "--config=former", "--config-source=crds"), status: { phase: "Failed" } };
  const { configMapPath, source } = await readInstallation(fakeApi({ [`${namespace}/pods`]: [running, evicted] }), "lb");
  assert.deepEqual([configMapPath, source], [`${namespace}/configmaps/mine`, "configmap"]);
});

test("readInstallation: arguments may be in the command, and containers of others before it", async () => {
  const containers = [
    { name: "proxy", args: ["--config=/etc/proxy"] },
    { name: "controller", command: ["node", "/ingot/controller.js", "--config", "mine"], args: ["--lb-class=example.com/lb"] },
  ];
  const api = fakeApi({ [`${namespace}/pods`]: [{ ...pod("controller"), spec: { containers } }] });
  const { configMapPath, classes } = await readInstallation(api, "lb");
  assert.equal(configMapPath, `${namespace}/configmaps/mine`);
  assert.deepEqual(classes, { name: "example.com/lb", isDefault: false });
});

test("readInstallation: without Pods and ConfigMaps everything is as by default", async () => {
  const { configMap, text, lastGood, classes, ignoreExcludeLabel } = await readInstallation(fakeApi({}), "lb");
  assert.deepEqual([configMap, text, lastGood, ignoreExcludeLabel], [undefined, undefined, undefined, false]);
  assert.deepEqual(classes, classlessOnly);
});

test("readInstallation: what may not be read is named", async () => {
  const api = fakeApi({ [`${namespace}/configmaps/config`]: new Error("403 configmaps is forbidden") });
  await assert.rejects(readInstallation(api, "lb"), {
    name: "UsageError",
    message: "cannot read ConfigMap lb/config: 403 configmaps is forbidden",
  });
});
