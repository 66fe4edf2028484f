import assert from "node:assert/strict";
import { test } from "node:test";
import { view } from "../testing/view.ts";
import { checkComponents } from "./components.ts";
import { checkConfiguration } from "./configuration.ts";

const namespace = "metallb-system";
const version = "metallb.io/v1beta1";
const byLabels = { namespaceSelectors: [{ matchLabels: { team: "a" } }] };
const secret = (labels?: object) => ({ metadata: { name: "tor-password", labels }, data: { password: "c2VjcmV0" } });
const marked = secret({ "ingot-use": "bgp-password" });
const runsIngot = (component: string) => [
  {
    metadata: { namespace, name: component, labels: { app: "metallb", component } },
    spec: {
      template: { spec: { containers: [{ command: ["node", `/ingot/${component}.js`], args: ["--config-source=crds"] }] } },
    },
  },
];
const takenOver = { "/apis/apps/v1/deployments": runsIngot("controller"), "/apis/apps/v1/daemonsets": runsIngot("speaker") };

const keyVolume = { name: "memberlist", secret: { secretName: "metallb-memberlist" } };
const keyVariable = {
  name: "METALLB_ML_SECRET_KEY",
  valueFrom: { secretKeyRef: { name: "ring-key", key: "secretkey" } },
};
const operators = {
  "/apis/apps/v1/daemonsets": [
    {
      metadata: { namespace, name: "speaker", labels: { app: "metallb", component: "speaker" } },
      spec: { template: { spec: { containers: [{ args: ["--port=7472"] }], volumes: [keyVolume] } } },
    },
  ],
};

const ofChart = {
  "/apis/apps/v1/deployments": [
    {
      metadata: {
        namespace,
        name: "metallb-controller",
        labels: {
          "app.kubernetes.io/name": "metallb",
          "app.kubernetes.io/component": "controller",
          "app.kubernetes.io/managed-by": "Helm",
          "app.kubernetes.io/instance": "metallb",
        },
      },
      spec: { template: { spec: { containers: [{ args: ["--port=7472"] }] } } },
    },
  ],
};

const cases: { name: string; peer?: object; allocation?: object; answers?: object; want: RegExp[]; advice?: RegExp }[] = [
  { name: "nothing is needed", want: [] },
  { name: "a password in the object", peer: { password: "x" }, want: [] },
  { name: "a Secret that is not there", want: [/^error Secret metallb-system\/tor-password: it is not there/], peer: {} },
  {
    name: "a Secret without the label",
    peer: {},
    answers: { [`/api/v1/namespaces/${namespace}/secrets/tor-password`]: secret() },
    want: [/^error Secret metallb-system\/tor-password: .*label ingot-use=bgp-password: sessions .* wait$/],
  },
  {
    name: "a Secret that is meant for another use",
    peer: {},
    answers: { ...takenOver, [`/api/v1/namespaces/${namespace}/secrets/tor-password`]: secret({ "ingot-use": "netbox-token" }) },
    want: [/^error Secret metallb-system\/tor-password: /],
  },
  {
    name: "a Secret with the label, before the takeover",
    peer: {},
    answers: { [`/api/v1/namespaces/${namespace}/secrets/tor-password`]: marked },
    want: [/^warning Secret metallb-system\/tor-password: /],
    advice: /^name tor-password in the Role of the component bgp-passwords/,
  },
  {
    name: "a Secret with the label, afterwards",
    peer: {},
    answers: { ...takenOver, [`/api/v1/namespaces/${namespace}/secrets/tor-password`]: marked },
    want: [],
  },
  {
    name: "a pool for namespaces by their labels",
    allocation: byLabels,
    want: [
      /^warning IPAddressPool metallb-system\/lan: spec\.serviceAllocation\.namespaceSelectors asks for labels of Namespaces/,
    ],
  },
  {
    name: "a pool for namespaces by their labels, for a release of Helm",
    allocation: byLabels,
    answers: ofChart,
    want: [/asks for labels of Namespaces/],
    advice: /^upgrade to Ingot's chart with rbac\.namespaces: true$/,
  },
  {
    name: "a Secret with the label, for a release of Helm",
    peer: {},
    answers: { ...ofChart, [`/api/v1/namespaces/${namespace}/secrets/tor-password`]: marked },
    want: [/^warning Secret metallb-system\/tor-password: /],
    advice: /^upgrade to Ingot's chart with tor-password in the list rbac\.bgpPasswords$/,
  },
  { name: "the same afterwards", allocation: byLabels, answers: takenOver, want: [] },
  {
    name: "the ring's key, as MetalLB's operator has it",
    answers: operators,
    want: [
      /^error DaemonSet metallb-system\/speaker: has the key of the ring from the Secret "metallb-memberlist", .* memberlist/,
    ],
  },
  {
    name: "the ring's key, from a Secret of any name",
    answers: {
      "/apis/apps/v1/daemonsets": [
        {
          metadata: { namespace, name: "speaker", labels: { app: "metallb", component: "speaker" } },
          spec: { template: { spec: { containers: [{ env: [keyVariable] }] } } },
        },
      ],
    },
    want: [/^error DaemonSet metallb-system\/speaker: has the key of the ring from the Secret "ring-key", /],
  },
  {
    name: "the ring's key, copied",
    answers: { ...operators, [`/api/v1/namespaces/${namespace}/secrets/memberlist`]: { metadata: { name: "memberlist" } } },
    want: [],
  },
];
for (const { name, peer, allocation, answers, want, advice = /./ } of cases)
  test(`components that a configuration needs: ${name}`, async () => {
    const passwordSecret = peer && !("password" in peer) && { passwordSecret: { name: "tor-password" } };
    const tor = { myASN: 64512, peerASN: 64513, peerAddress: "192.0.2.1", ...peer, ...passwordSecret };
    const pool = { addresses: ["192.0.2.0/28"], ...(allocation && { serviceAllocation: allocation }) };
    const list = (plural: string) => `/apis/${version}/namespaces/${namespace}/${plural}`;
    const of = (name: string, spec: object) => [{ metadata: { namespace, name }, spec }];
    const seen = await view({
      "/apis": { groups: [{ name: "metallb.io", versions: [{ groupVersion: version }] }] },
      [`/apis/${version}`]: { resources: [{ name: "ipaddresspools" }, { name: "bgppeers" }] },
      [list("ipaddresspools")]: of("lan", pool),
      [list("bgppeers")]: peer ? of("tor", tor) : [],
      ...answers,
    });
    const found = checkComponents(seen, checkConfiguration(seen).namespaceLabels);
    for (const each of found) assert.match(each.advice, advice);
    const findings = found.map((each) => `${each.severity} ${each.where}: ${each.found}`);
    assert.equal(findings.length, want.length, findings.join("\n"));
    for (const [index, pattern] of want.entries()) assert.match(findings[index] ?? "", pattern);
    assert.doesNotMatch(JSON.stringify(seen.secrets), /c2VjcmV0/);
  });
