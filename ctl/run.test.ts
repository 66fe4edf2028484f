import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { causes } from "#pkg/verdict";
import { Exit, forCluster } from "./command.ts";
import { commands } from "./commands.ts";
import { masked } from "./run.ts";
import { fakeIo, ingotctl } from "./testing/ingotctl.ts";

const valid = "address-pools:\n- {name: a, protocol: layer2, addresses: [192.0.2.0/24], avoid-buggy-ips: yes}\n";
const invalid = "address-pools:\n- {name: a, protocol: layer3, addresses: [192.0.2.0/24]}\n";

test("printed text steers no terminal, but for the colours of states", () => {
  const io = fakeIo();
  const { out, err } = masked(io);
  const evil = "a\u001b]0;owned\u0007b\u001b[2J\u009b31m\u001b[8mc\u202ed\r\te\n";
  out(`${evil}\u001b[33mDegraded\u001b[39m\n`);
  err(evil);
  const plain = "a·]0;owned·b·[2J·31m·[8mc·d·\te\n";
  assert.deepEqual(io.printed, { out: `${plain}\u001b[33mDegraded\u001b[39m\n`, err: plain });
});

test("a misspelt command is met with the one that is meant", async () => {
  const { status, err } = await ingotctl("servces");
  assert.equal(status, Exit.usage);
  assert.match(err, /there is no command "servces", did you mean "services"\? "ingotctl help" lists them/);
  assert.match((await ingotctl("frobnicate")).err, /there is no command "frobnicate"; "ingotctl help" lists them/);
});

test("each command has examples in its help, of commands and options that there are", () => {
  for (const [name, { help }] of commands) {
    const [, block = ""] = /\nExamples:\n((?: {2}.+\n)+)/.exec(help) ?? [];
    assert.ok(block.includes(`ingotctl ${name}`), name);
    for (const [, command = "", rest = ""] of block.matchAll(/\bingotctl ([a-z-]+)([^|>\n]*)/g)) {
      const options = commands.get(command)?.options ?? assert.fail(`${name}: ${command}`);
      for (const [, option = ""] of rest.matchAll(/ --([a-z-]+)/g))
        assert.ok(Object.hasOwn(options, option), `${name}: --${option}`);
    }
  }
});

test("help, and docs/ingotctl.md, name the rights that forwarded ports and custom resources take", () => {
  const page = readFileSync(join(import.meta.dirname, "../docs/ingotctl.md"), "utf8");
  assert.match(page, /pods\/portforward\], verbs: \[get, create\]/);
  const helps = [...commands.values()].map(({ help }) => help.replaceAll(/\s+/g, " "));
  const asking = helps.filter((help) => help.includes("asked by forwarded ports"));
  assert.ok(asking.length > 15);
  for (const help of asking) assert.match(help, /to get and create pods\/portforward in/);
  const row = (name: string) => page.split("\n").find((line) => line.startsWith(`| \`${name}\``)) ?? assert.fail(name);
  for (const name of ["diff", "apply", "router-config"]) assert.match(row(name), /custom resources/, name);
  assert.match(row("support-bundle"), /to read/);
});

test("the remedies of verdicts name commands that there are", () => {
  for (const [kind, table] of Object.entries(causes))
    for (const [cause, { next }] of Object.entries(table))
      for (const [, command = ""] of next.matchAll(/\bingotctl ([a-z-]+)/g))
        assert.ok(commands.has(command), `${kind} ${cause}: ${command}`);
});

test("validate: a valid file is summed up in a table", async () => {
  const { status, out, err } = await ingotctl("validate c.yaml", { files: { "c.yaml": valid } });
  assert.deepEqual([status, err], [Exit.ok, ""]);
  const rows = [
    "c.yaml: valid",
    "",
    "POOL  PROTOCOL  ADDRESSES  AUTO-ASSIGN  NODES  INTERFACES  RANGES",
    "a     layer2    254        yes          all    all         192.0.2.0-192.0.2.255",
  ];
  assert.equal(out, `${rows.join("\n")}\n`);
});

test("validate: AS numbers that are each node's own are not 0", async () => {
  const stdin = "peers: [{peer-asn: 65001, peer-address: 192.0.2.1, from-node: {my-asn: {label: asn}}}]";
  assert.match((await ingotctl("validate", { stdin })).out, / by node -> 65001 /);
});

test("validate: where a pool is limited to some nodes and interfaces the table says so", async () => {
  const limited = "  node-selectors: [{match-labels: {rack: a}}]\n  interfaces: [eth0, 'bond*']\n";
  const { out } = await ingotctl("validate", {
    stdin: `address-pools:\n- name: a\n  protocol: layer2\n  addresses: [192.0.2.0/24]\n${limited}`,
  });
  assert.match(out, /\na +layer2 +256 +yes +selected +eth0, bond\* +192/);
  const slots = "protocol: bgp, addresses: [198.51.100.0/24], next-hop-slots: 192.0.2.0/28, interfaces: [eth1]";
  const { out: slotted } = await ingotctl("validate", { stdin: `address-pools: [{name: s, ${slots}}]` });
  assert.match(slotted, /\ns +bgp +256 +yes +all +eth1 +198/, "where its slots have owners");
  const { out: bgp } = await ingotctl("validate", { stdin: "address-pools: [{name: b, protocol: bgp, addresses: ['::/64']}]" });
  assert.match(bgp, /\nb +bgp +\d+ +yes +- +- +::/);
});

test("validate: a closed pool assigns nothing by itself", async () => {
  const stdin = "address-pools: [{name: c, protocol: layer2, addresses: [192.0.2.0/24], closed: true}]";
  assert.match((await ingotctl("validate", { stdin })).out, /\nc +layer2 +256 +no /);
});

test("validate: a problem shows its line with a caret", async () => {
  const { status, out } = await ingotctl("validate c.yaml", { files: { "c.yaml": invalid } });
  assert.equal(status, Exit.invalid);
  const rows = [
    'c.yaml:2:23: error: address-pools[0].protocol: must be "layer2" or "bgp" or "interface" or "none", or a list, but is the text "layer3"; did you mean "layer2"?',
    "  | - {name: a, protocol: layer3, addresses: [192.0.2.0/24]}",
    "  |                       ^",
    "c.yaml: not valid",
  ];
  assert.equal(out, `${rows.join("\n")}\n`);
});

for (const args of ["validate", "validate -"]) {
  test(`${args}: reads what is piped in`, async () => {
    const { status, out } = await ingotctl(args, { stdin: valid });
    assert.equal(status, Exit.ok);
    assert.match(out, /^<stdin>: valid\n/);
  });
}

test("validate -o json: what is valid has a summary, without passwords", async () => {
  const peer =
    "peers:\n- {my-asn: 1, peer-asn: 2, peer-address: ::1, password: hunter2, node-selectors: [{match-labels: {a: b}}]}\n";
  const selective =
    "- {name: c, protocol: layer2, addresses: [192.0.3.0/24], node-selectors: [{match-labels: {a: b}}], interfaces: [eth?]}\n";
  const open = {
    namespaces: [],
    namespaceSelectors: [],
    serviceSelectors: [],
    priority: null,
    closed: false,
    sharing: "cluster",
    reserved: [],
  };
  const layer2 = {
    ...open,
    l2Placement: { subnet: false, sticky: false },
    conflictProbe: "report",
    keepConnections: false,
    announceWhen: "delivering",
    selfTestMs: null,
    kernel: null,
    netbox: null,
    nextHopSlots: [],
    layer2Advertisements: [],
  };
  const { status, out } = await ingotctl("validate -o json", {
    stdin: `${valid}- {name: b, protocol: bgp, addresses: ['::/0'], bgp-advertisements: [{communities: [no-export]}]}\n${selective}${peer}`,
  });
  assert.equal(status, Exit.ok);
  assert.deepEqual(JSON.parse(out), {
    valid: true,
    problems: [],
    summary: {
      pools: [
        {
          name: "a",
          protocol: "layer2",
          cidrs: ["192.0.2.0/24"],
          autoAssign: true,
          avoidBuggyIPs: true,
          addresses: 254,
          nodeSelectors: [],
          preferredNodes: [],
          interfaces: [],
          ...layer2,
          advertisements: [],
        },
        {
          name: "b",
          protocol: "bgp",
          cidrs: ["::/0"],
          autoAssign: true,
          avoidBuggyIPs: false,
          addresses: String(2n ** 128n),
          nodeSelectors: [],
          preferredNodes: [],
          interfaces: [],
          ...layer2,
          advertisements: [
            {
              aggregationLength: 32,
              aggregationLengthV6: 128,
              keepMoreSpecifics: false,
              localPref: null,
              communities: ["65535:65281"],
              med: null,
              asPathPrepend: 0,
              peers: [],
              nodeSelectors: [],
              nextHop: null,
              nextHopV6: null,
              weightByEndpoints: false,
              namespaces: [],
              namespaceSelectors: [],
              serviceSelectors: [],
              communitiesFrom: null,
              medFrom: null,
              localPrefFrom: null,
            },
          ],
        },
        {
          name: "c",
          protocol: "layer2",
          cidrs: ["192.0.3.0/24"],
          autoAssign: true,
          avoidBuggyIPs: false,
          addresses: 256,
          nodeSelectors: [{ matchLabels: { a: "b" }, matchExpressions: [] }],
          preferredNodes: [],
          interfaces: ["eth?"],
          ...layer2,
          advertisements: [],
        },
      ],
      quotas: [],
      peers: [
        {
          name: null,
          address: "::1",
          discovery: null,
          fromNode: null,
          interface: null,
          port: 179,
          myAsn: 1,
          peerAsn: 2,
          families: ["IPv4", "IPv6"],
          sourceAddress: null,
          sourceInterface: null,
          routerId: null,
          holdTimeSeconds: 90,
          keepaliveSeconds: 30,
          connectTimeSeconds: 1,
          passwordSecret: null,
          bfdProfile: null,
          bfdStrict: false,
          ebgpMultihop: false,
          ttl: null,
          ttlSecurityHops: null,
          passive: false,
          disabled: false,
          gracefulRestartSeconds: 120,
          gracefulShutdownSeconds: 2,
          drainWhenCordoned: false,
          addPath: false,
          gracefulRestartNotification: false,
          longLivedStaleSeconds: 0,
          maximumPrefix: null,
          role: null,
          roleStrict: false,
          nodeSelectors: [{ matchLabels: { a: "b" }, matchExpressions: [] }],
        },
      ],
    },
  });
});

test("validate -o json: holders of reservations, quotas and entries in kernels are in the summary", async () => {
  const { out } = await ingotctl("validate -o json", {
    stdin: `address-pools:
- {name: a, protocol: interface, addresses: [192.0.2.0/24], reserved: [192.0.2.1, {addresses: [192.0.2.2], service: x/web}]}
quotas: [{namespaces: [x], ipv4: 3}]
`,
  });
  const { pools, quotas } = JSON.parse(out).summary;
  const selectors = { namespaceSelectors: [] };
  assert.deepEqual(quotas, [
    { namespaces: ["x"], ...selectors, pools: [], together: false, ipv4: 3, ipv6: null, services: null },
  ]);
  assert.deepEqual(pools[0].reserved, [
    { addresses: ["192.0.2.1-192.0.2.1"], service: null, namespace: null },
    { addresses: ["192.0.2.2-192.0.2.2"], service: "x/web", namespace: null },
  ]);
  const { placement, carrier, addressLifetimeSeconds } = pools[0].kernel;
  assert.deepEqual([placement, carrier, addressLifetimeSeconds], ["routed", "address", null]);
});

test("validate -o json: what is not valid has its problems and no summary", async () => {
  const { status, out } = await ingotctl("validate --output=json c.yaml", { files: { "c.yaml": invalid } });
  assert.equal(status, Exit.invalid);
  const message =
    'must be "layer2" or "bgp" or "interface" or "none", or a list, but is the text "layer3"; did you mean "layer2"?';
  const problem = { severity: "error", path: "address-pools[0].protocol", line: 2, column: 23, message };
  assert.deepEqual(JSON.parse(out), { valid: false, problems: [problem], summary: null });
});

test("validate: warnings are shown and do not make it invalid", async () => {
  const { status, out } = await ingotctl("validate", { stdin: `${valid}---\npeers: []\n` });
  assert.equal(status, Exit.ok);
  assert.match(out, /^<stdin>:4:1: warning: .*\n {2}\| peers: \[\]\n {2}\| \^\n<stdin>: valid\n/);
});

test("validate: a ConfigMap is named", async () => {
  const indented = valid.replaceAll(/^/gm, "    ");
  const manifest = `apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: metallb-system, name: config}\ndata:\n  config: |\n${indented}`;
  assert.match(
    (await ingotctl("validate", { stdin: manifest })).out,
    /^<stdin>: valid \(ConfigMap metallb-system\/config, key config\)\n/,
  );
});

const secret = [
  { name: "on the line of the problem", text: "peers: [{password: hunter2, my-asn: x}]" },
  { name: "in a value that is not where it belongs", text: "peers:\n- password hunter2\n" },
  { name: "in text that is not YAML", text: 'peers:\n- password: "hunter2\n' },
  { name: "on a line of its own", text: `peers:\n- my-asn: 1\n  password: |\n    hunter2${"x".repeat(80)}\n` },
];
for (const { name, text } of secret) {
  test(`validate: a password is not shown, ${name}`, async () => {
    const { status, out } = await ingotctl("validate", { stdin: text });
    assert.equal(status, Exit.invalid);
    assert.doesNotMatch(out, /hunter2/);
  });
}

test("validate: nothing in the file can steer the terminal", async () => {
  const text = 'address-pools:\n- {name: "a\\e[2J", protocol: layer2, addresses: [192.0.2.0/24]}\n';
  assert.match((await ingotctl("validate", { stdin: text })).out, /\na·\[2J/);
});

test("validate: of a long line only the part around the problem is shown", async () => {
  const { out } = await ingotctl("validate", { stdin: `{${" ".repeat(500)}"nope": 1,${" ".repeat(500)}"peers": []}` });
  const [, shown = "", caret = ""] = out.split("\n");
  assert.ok(shown.length < 200);
  assert.ok(shown.slice(caret.indexOf("^")).startsWith('"nope"'));
});

const misused: { args: string; says: RegExp }[] = [
  { args: "", says: /a command is missing\n\nUsage: / },
  { args: "valdate", says: /there is no command "valdate"/ },
  { args: "help valdate", says: /there is no command "valdate"/ },
  { args: "validate", says: /name a file, or pipe it in/ },
  { args: "validate a b", says: /validate takes at most one argument, not 2/ },
  { args: "validate -o yaml c.yaml", says: /--output is one of text, json, not "yaml"/ },
  { args: "validate --nope", says: /validate has no option --nope/ },
  { args: "validate missing.yaml", says: /cannot read missing.yaml: not there/ },
];
for (const { args, says } of misused) {
  test(`ingotctl ${args || "(nothing)"}: is a usage error and prints nothing else`, async () => {
    const { status, out, err } = await ingotctl(args);
    assert.deepEqual([status, out], [Exit.usage, ""]);
    assert.match(err, new RegExp(`^ingotctl: ${says.source}`));
  });
}

test("remedies have commands for the context and the namespace that are asked, once", () => {
  const cluster = { systemNamespace: "lb", context: "prod", kubeconfig: undefined };
  const said =
    "kubectl -n metallb-system get pods, kubectl uncordon NODE, ingotctl explain svc/web -n shop, or ingotctl validate -; kubectl -n metallb-system-b get pods";
  const here =
    "kubectl --context prod -n lb get pods, kubectl --context prod uncordon NODE, ingotctl explain --context prod --system-namespace lb svc/web -n shop, or ingotctl validate -; kubectl --context prod -n metallb-system-b get pods";
  assert.equal(forCluster(said, cluster), here);
  assert.equal(forCluster(here, cluster), here);
  assert.equal(forCluster(said, { ...cluster, systemNamespace: "metallb-system", context: undefined }), said);
  const other = { systemNamespace: "metallb-system", context: "prod", kubeconfig: "/home/me/edge.yaml" };
  const there =
    "kubectl --kubeconfig /home/me/edge.yaml --context prod get nodes; ingotctl peers --kubeconfig /home/me/edge.yaml --context prod";
  assert.equal(forCluster("kubectl get nodes; ingotctl peers", other), there);
  assert.equal(forCluster(there, other), there);
});

test("in remedies a context whose name is no plain word stands in quotes, so that a shell reads it as one", () => {
  const cluster = { systemNamespace: "lb", context: "my $& cluster", kubeconfig: "/home/me/edge sites.yaml" };
  const said = "kubectl -n metallb-system get pods; ingotctl peers";
  const here =
    "kubectl --kubeconfig '/home/me/edge sites.yaml' --context 'my $& cluster' -n lb get pods; ingotctl peers --kubeconfig '/home/me/edge sites.yaml' --context 'my $& cluster' --system-namespace lb";
  assert.equal(forCluster(said, cluster), here);
  assert.equal(forCluster(here, cluster), here);
  for (const context of ["it's", 'a "b"', "a\\b", ""])
    assert.equal(forCluster("kubectl get nodes", { ...cluster, context, kubeconfig: undefined }), "kubectl get nodes");
});

test("commands of kubectl in remedies ask the cluster that was asked", async () => {
  const { out } = await ingotctl("check --context prod --kubeconfig ./edge.yaml");
  assert.match(out, /kubectl --kubeconfig .\/edge.yaml --context prod cluster-info/);
  assert.match((await ingotctl("check")).out, /kubectl cluster-info/);
  const { out: json } = await ingotctl("check -o json --context it's\"");
  assert.match(
    JSON.stringify(JSON.parse(json)),
    /kubectl cluster-info/,
    "a name that a shell or JSON reads as more than a word is left out",
  );
});

const helpful: { args: string; says: RegExp }[] = [
  { args: "help", says: /^Usage: ingotctl COMMAND [\s\S]* {2}validate +Check a configuration\n/ },
  { args: "--help", says: /^Usage: ingotctl COMMAND / },
  { args: "help validate", says: /^Usage: ingotctl validate [\s\S]*2\^53-1/ },
  { args: "validate --help", says: /^Usage: ingotctl validate / },
  { args: "--version", says: /^ingotctl \d+\.\d+\.\d+\n$/ },
];
for (const { args, says } of helpful) {
  test(`ingotctl ${args}: answers on standard output`, async () => {
    const { status, out, err } = await ingotctl(args);
    assert.deepEqual([status, err], [Exit.ok, ""]);
    assert.match(out, says);
  });
}
