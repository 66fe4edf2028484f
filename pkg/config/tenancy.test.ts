import assert from "node:assert/strict";
import { test } from "node:test";
import { formatProblem, parseConfig } from "./index.ts";

const pool = (fields: string) => `address-pools:
- name: a
  protocol: layer2
  addresses: [192.0.2.0/25, 192.0.2.128/25, '2001:db8::/112']
${fields}`;
const quota = (fields: string) => `${pool("")}quotas:\n- ${fields}\n`;

test("parseConfig: who may have addresses of a pool reaches the configuration", () => {
  const { config, problems } = parseConfig(`${pool(`  namespaces: [team-a, team-a-ci]
  namespace-selectors: [{match-labels: {tenant: a}}]
  service-selectors: [{match-labels: {exposure: public}}]
  priority: 10
  closed: true
  sharing: namespace
  reserved:
  - 192.0.2.1
  - 192.0.2.120-192.0.2.135
  - {addresses: [192.0.2.10, '2001:db8::10'], service: team-a/web}
  - {addresses: [192.0.2.16/29], namespace: team-b}
`)}quotas:
- {namespace-selectors: [{match-labels: {tier: free}}], pools: [a], ipv4: 2, ipv6: 8, services: 4}
- {namespaces: [team-a], together: true, ipv4: 0}
`);
  assert.deepEqual(problems, []);
  const [read] = config?.pools ?? [];
  const selector = (key: string, value: string) => ({ matchLabels: new Map([[key, value]]), matchExpressions: [] });
  assert.deepEqual(
    [read?.fence, read?.priority, read?.closed, read?.sharing],
    [
      {
        namespaces: ["team-a", "team-a-ci"],
        namespaceSelectors: [selector("tenant", "a")],
        serviceSelectors: [selector("exposure", "public")],
      },
      10,
      true,
      "namespace",
    ],
  );
  assert.deepEqual(
    read?.reservations.map(({ ranges, holder }) => [ranges.join(" "), holder]),
    [
      ["192.0.2.1-192.0.2.1", { type: "nobody" }],
      ["192.0.2.120-192.0.2.135", { type: "nobody" }],
      ["192.0.2.10-192.0.2.10 2001:db8::10-2001:db8::10", { type: "service", service: "team-a/web" }],
      ["192.0.2.16-192.0.2.23", { type: "namespace", namespace: "team-b" }],
    ],
  );
  assert.deepEqual(config?.quotas, [
    {
      namespaces: [],
      namespaceSelectors: [selector("tier", "free")],
      pools: ["a"],
      together: false,
      ipv4: 2,
      ipv6: 8,
      services: 4,
    },
    {
      namespaces: ["team-a"],
      namespaceSelectors: [],
      pools: [],
      together: true,
      ipv4: 0,
      ipv6: undefined,
      services: undefined,
    },
  ]);
});

const cases: { name: string; text: string; want: string[] }[] = [
  {
    name: "a fence that names nobody",
    text: pool("  namespaces: []\n"),
    want: ["5:15: error: address-pools[0].namespaces: must not be an empty list"],
  },
  {
    name: "a fence whose value is missing",
    text: pool("  namespaces:\n  priority: 1\n"),
    want: ["5:3: error: address-pools[0].namespaces: must not be an empty list"],
  },
  {
    name: "no selectors at all",
    text: pool("  service-selectors: []\n"),
    want: ["5:22: error: address-pools[0].service-selectors: must not be an empty list"],
  },
  {
    name: "a namespace that none can be",
    text: pool("  namespaces: [Team_A]\n"),
    want: [
      '5:16: error: address-pools[0].namespaces[0]: no namespace is named "Team_A": at most 63 lower case letters, digits and "-", beginning and ending with one of the first two',
    ],
  },
  {
    name: "a namespace twice",
    text: pool("  namespaces: [x, x]\n"),
    want: ['5:19: error: address-pools[0].namespaces[1]: "x" is already listed as namespaces[0]'],
  },
  {
    name: "a malformed selector",
    text: pool("  sharing: none\n  namespace-selectors:\n  - match-expressions: [{key: a, operator: In}]\n"),
    want: ["7:25: error: address-pools[0].namespace-selectors[0].match-expressions[0].values: In needs at least one value"],
  },
  {
    name: "a priority of 0",
    text: pool("  priority: 0\n"),
    want: ["5:13: error: address-pools[0].priority: must be a whole number from 1 to 2147483647, but is 0"],
  },
  {
    name: "another word for sharing",
    text: pool("  sharing: tenant\n"),
    want: ['5:12: error: address-pools[0].sharing: must be "cluster" or "namespace" or "none", but is the text "tenant"'],
  },
  {
    name: "a reservation outside the pool",
    text: pool("  reserved: [192.0.2.7, 192.0.3.1]\n"),
    want: ['5:25: error: address-pools[0].reserved[1]: "192.0.3.1" is not inside the pool\'s addresses'],
  },
  {
    name: "reservations that overlap",
    text: pool("  reserved: [192.0.2.0/29, {addresses: [192.0.2.7], namespace: x}]\n"),
    want: [
      '5:41: error: address-pools[0].reserved[1].addresses[0]: "192.0.2.7" shares addresses with "192.0.2.0/29" in pool "a" (address-pools[0].reserved[0])',
    ],
  },
  {
    name: "a reservation for two",
    text: pool("  reserved: [{addresses: [192.0.2.7], service: x/web, namespace: x}]\n"),
    want: ['5:55: error: address-pools[0].reserved[0].namespace: not together with "service", which says the namespace, too'],
  },
  {
    name: "a Service without a namespace",
    text: pool("  reserved: [{addresses: [192.0.2.7], service: web}]\n"),
    want: ['5:48: error: address-pools[0].reserved[0].service: must be a Service as "namespace/name", but is "web"'],
  },
  {
    name: "a reservation for whom the fence keeps out",
    text: pool("  namespaces: [x]\n  reserved: [{addresses: [192.0.2.7], service: team-b/web}]\n"),
    want: [
      '6:48: error: address-pools[0].reserved[0].service: the pool is not for namespace "team-b": "namespaces" does not list it',
    ],
  },
  {
    name: "a reservation of nothing",
    text: pool("  reserved: [{service: x/web}]\n"),
    want: ["5:14: error: address-pools[0].reserved[0].addresses: required, but missing"],
  },
  {
    name: "a reservation that is a list",
    text: pool("  reserved: [[192.0.2.7]]\n"),
    want: ["5:14: error: address-pools[0].reserved[0]: must be text, or a mapping, but is a list"],
  },
  {
    name: "an unknown field of a reservation",
    text: pool("  reserved: [{address: [192.0.2.7]}]\n"),
    want: [
      "5:14: error: address-pools[0].reserved[0].addresses: required, but missing",
      '5:15: error: address-pools[0].reserved[0].address: unknown field "address"; did you mean "addresses"?',
    ],
  },
  {
    name: "namespaces that may share an address, and nobody said so",
    text: pool("  namespaces: [x, y]\n"),
    want: [
      '2:9: warning: address-pools[0].name: Services of different namespaces may share addresses of this pool; with "sharing: namespace" only those of one may, "sharing: cluster" says that it is meant so',
    ],
  },
  {
    name: "labels of Services alone, which whoever makes a Service chooses",
    text: pool("  service-selectors: [{match-labels: {a: b}}]\n"),
    want: [
      "5:22: warning: address-pools[0].service-selectors: whoever makes a Service chooses its labels: this sorts Services, and keeps nobody out; namespaces or namespace-selectors do",
    ],
  },
  {
    name: "labels of Services of one namespace",
    text: pool("  namespaces: [x]\n  service-selectors: [{match-labels: {a: b}}]\n"),
    want: [],
  },
  { name: "one namespace, which shares with itself", text: pool("  namespaces: [x]\n"), want: [] },
  { name: "namespaces that are to share", text: pool("  namespaces: [x, y]\n  sharing: cluster\n"), want: [] },
  {
    name: "a quota for an unknown pool",
    text: quota("{pools: [b], ipv4: 1}"),
    want: ['6:12: error: quotas[0].pools[0]: no entry of address-pools is named "b"; did you mean "a"?'],
  },
  {
    name: "a quota for one pool twice",
    text: quota("{pools: [a, a], ipv4: 1}"),
    want: ['6:15: error: quotas[0].pools[1]: "a" is already listed as pools[0]'],
  },
  {
    name: "a quota that limits nothing",
    text: quota("{pools: [a]}"),
    want: ['6:3: error: quotas[0]: limits nothing: at least one of "ipv4", "ipv6" and "services" is needed'],
  },
  {
    name: "a quota for no namespace",
    text: quota("{namespaces: [], ipv4: 1}"),
    want: ["6:16: error: quotas[0].namespaces: must not be an empty list"],
  },
];
for (const { name, text, want } of cases)
  test(`parseConfig: ${name}`, () => assert.deepEqual(parseConfig(text).problems.map(formatProblem), want));
