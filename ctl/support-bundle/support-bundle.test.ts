import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { extract } from "tar-stream";
import { type LiveObject, liveObjectText, liveText } from "#pkg/convert";
import { describedPaths } from "../../e2e/demo-cluster/openapi.ts";
import type { Api, ApiAnswer } from "../cluster/api.ts";
import { Exit } from "../command.ts";
import { fakeApi } from "../testing/api.ts";
import { ingotctl } from "../testing/ingotctl.ts";
import { fakeProcesses } from "../testing/processes.ts";
import { Redaction } from "./redaction.ts";

const planted = [
  "planted-bgp",
  "planted-wrong-field",
  "planted-comment",
  "planted-env",
  "planted-annotation",
  "planted-secret",
  "planted-former",
  "planted-ring",
  "planted-other",
];
const config = `# planted-comment
peers:
- {my-asn: 64512, peer-asn: 64513, peer-address: 10.0.0.1, password: planted-bgp, pasword: planted-wrong-field}
- {my-asn: 64512, peer-asn: 64513, peer-address: 10.0.0.2, password: planted-bgp-and-more}
- {my-asn: 64512, peer-asn: 64513, peer-address: 10.0.0.3, password: "it's: planted"}
address-pools:
- {name: lan, protocol: layer2, addresses: [192.0.2.0/24]}
`;
const meta = (name: string, more: object = {}) =>
  Object.assign({ name, namespace: "metallb-system", uid: "u", resourceVersion: "1" }, more);
const applied = { annotations: { "kubectl.kubernetes.io/last-applied-configuration": '{"data": "planted-annotation"}' } };
const objects: Record<string, readonly object[]> = {
  "/api/v1/namespaces/metallb-system/configmaps": [
    { metadata: meta("config", applied), data: { config, "config.old": config.replaceAll("-bgp", "-former") } },
    { metadata: meta("ingot-status"), data: { "last-good-config": config, pools: "- pool: lan" } },
    { metadata: meta("kube-root-ca.crt"), data: { "ca.crt": "of no interest" } },
  ],
  "/api/v1/services": [
    { metadata: meta("web", applied), spec: { type: "LoadBalancer", ports: [{ port: 80 }] }, status: { loadBalancer: {} } },
    { metadata: meta("inside"), spec: { type: "ClusterIP" } },
  ],
  "/api/v1/nodes": [{ metadata: meta("n1"), status: { addresses: [{ address: "10.0.0.9" }] } }],
  "/api/v1/namespaces/metallb-system/pods": [
    {
      metadata: meta("speaker-n1", { labels: { app: "metallb", component: "speaker" } }),
      spec: {
        containers: [
          {
            name: "speaker",
            image: "ingot",
            command: ["sh", "-c", "exec speaker --ml-secret-key=planted-ring-1 --log-level=info"],
            args: ["--port=7472", "--ml-secret-key", "planted-ring-2"],
            env: [{ name: "KEY", value: "planted-env" }],
          },
        ],
      },
    },
    { metadata: meta("another"), spec: { containers: [{ name: "another", args: ["--token=planted-other"] }] } },
  ],
  "/api/v1/events": [
    {
      metadata: meta("e"),
      reason: "ConfigStale",
      message: "who wrote planted-bgp-and-more here?",
      involvedObject: { name: "config" },
    },
    { metadata: { name: "x", namespace: "shop" }, reason: "nodeAssigned", source: { component: "metallb-speaker" } },
    { metadata: meta("quoted"), reason: "Told", message: "- it's: planted" },
    { metadata: { name: "y", namespace: "shop" }, reason: "Pulled", source: { component: "kubelet" } },
  ],
};

test("a password in a URL is taken out, wherever the URL stands", () => {
  const redaction = new Redaction();
  const cases = {
    "see https://admin:hunter2@netbox.example.com/x?a=b:c@d": "see https://admin:REDACTED@netbox.example.com/x?a=b:c@d",
    '{"url":"http://a:p@ss@b","other":"http://b:80/c@d"}': '{"url":"http://a:REDACTED@b","other":"http://b:80/c@d"}',
    "proxy=socks5://:secret@10.0.0.1:1080": "proxy=socks5://:REDACTED@10.0.0.1:1080",
    "http://[fd00::1]:80/ and a:b@c": "http://[fd00::1]:80/ and a:b@c",
  };
  for (const [text, want] of Object.entries(cases)) assert.deepEqual(redaction.value({ deep: [text] }), { deep: [want] });
});

function apiWith(refused: readonly string[] = []): Api & { readonly asked: string[] } {
  const asked: string[] = [];
  const answer = (path: string, value: unknown): ApiAnswer => {
    asked.push(path);
    if (refused.includes(path)) return { type: "unread", why: "403 forbidden" };
    return value === undefined ? { type: "absent" } : { type: "found", value };
  };
  return {
    asked,
    server: "https://192.0.2.1:6443",
    read: async (path) => answer(path, path === "/version" ? { gitVersion: "v1.35.0" } : undefined),
    list: async (path) => answer(path, objects[path]),
    write: async (_method, path) => answer(path, undefined),
  };
}

const recording = {
  program: "speaker",
  entries: gzipSync('{"at":1,"input":{"password":"hidden-0123"},"decisions":[]}\n').toString("base64"),
};
const processes = () =>
  fakeProcesses(
    {
      "controller-1": { "/v1/verdicts": { verdicts: [] } },
      "speaker-n1": { "/v1/recorder": recording, "/v1/bgp/peers": { peers: [] }, "/v1/verdicts": { note: "planted-bgp" } },
      "speaker-n2": {},
    },
    { "speaker-n2": "the Pod is terminating" },
  );

async function unpacked(archive: string | Uint8Array | undefined): Promise<Map<string, string>> {
  assert.ok(archive instanceof Uint8Array);
  const files = new Map<string, string>();
  const entries = extract();
  Readable.from([gunzipSync(archive)]).pipe(entries);
  for await (const entry of entries) files.set(entry.header.name, await text(entry));
  return files;
}

test("a long annotation takes no time, whatever is in it", () => {
  const long = "a-".repeat(128 * 1024); // As long as Kubernetes lets annotations be.
  const started = performance.now();
  assert.equal(new Redaction().text(long), long);
  assert.ok(performance.now() - started < 5_000);
});

test("a bundle has what tells of the cluster, and nothing that nobody may see", async () => {
  const api = apiWith();
  const { status, out, err, written } = await ingotctl("support-bundle /tmp/a.tar.gz", { api, processes: processes() });
  const files = await unpacked(written["/tmp/a.tar.gz"]);
  const names = [...files.keys()].map((name) => name.replace(/^a\//, "")).filter((name) => !name.startsWith("processes/"));
  const ofCluster = ["configmaps", "services", "nodes", "pods", "events", "version"].map((name) => `cluster/${name}.yaml`);
  assert.deepEqual(names, ["about.json", ...ofCluster]);
  assert.match(files.get("a/cluster/configmaps.yaml") ?? "", /password: REDACTED, xxxxxxx: xxxxxxx-xxxxx-xxxxx/);
  assert.match(files.get("a/cluster/events.yaml") ?? "", /who wrote REDACTED here\?/);
  assert.match(files.get("a/processes/speaker-n1/v1-verdicts.json") ?? "", /"note": "REDACTED"/);
  assert.deepEqual(JSON.parse(files.get("a/processes/speaker-n1/v1-recorder.json") ?? ""), recording);
  const all = [...files.values()].join("\n") + gunzipSync(Buffer.from(recording.entries, "base64"));
  assert.match(
    files.get("a/cluster/pods.yaml") ?? "",
    /--ml-secret-key=REDACTED --log-level=info[\s\S]*- --port=7472[\s\S]*- REDACTED/,
  );
  assert.doesNotMatch(all, /and-more|it'*s: planted/);
  for (const secret of planted) assert.ok(!all.includes(secret), secret);
  for (const gone of ["of no interest", "inside", "kubelet"]) assert.ok(!all.includes(gone), gone);
  assert.ok(!api.asked.some((path) => path.includes("secret")), `${api.asked}`);
  assert.equal(status, Exit.losses); // Not all processes answer all.
  assert.match(err, /speaker-n2 on n2 is not among these: the Pod is terminating/);
  assert.match(out, /^\/tmp\/a\.tar\.gz: \d+ files\n$/);
});

test("where custom resources are the configuration, a bundle has those of now and of the last good one, but for passwords", async () => {
  const object = (kind: string, name: string, spec: object) => ({
    apiVersion: "metallb.io/v1beta1",
    kind,
    metadata: meta(name, { labels: { rack: "a" }, ...applied }),
    spec,
  });
  const pool = object("IPAddressPool", "lan", { addresses: ["192.0.2.0/24"], adresses: ["planted-other"] });
  const peer = (password: string) =>
    object("BGPPeer", "tor", {
      myASN: 64512,
      peerAddress: "10.0.0.1",
      password,
      nodeSelectors: [{ matchLabels: { rack: "a" } }],
    });
  const lastGood = liveText([pool, peer("planted-former")].map((each) => liveObjectText(each as LiveObject)));
  const args = ["--port=7472", "--config-source=crds"];
  const pod = {
    metadata: meta("speaker-n1", { labels: { app: "metallb", component: "speaker" } }),
    spec: { containers: [{ args }] },
  };
  const { written, status } = await ingotctl("support-bundle /tmp/a.tar.gz", {
    api: fakeApi({
      "/version": {},
      "/api/v1/namespaces/metallb-system/pods": [pod],
      "/api/v1/namespaces/metallb-system/configmaps": [
        { metadata: meta("ingot-status"), data: { "last-good-config": lastGood } },
      ],
      "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools": [pool],
      "/apis/metallb.io/v1beta2/namespaces/metallb-system/bgppeers": [peer("planted-bgp")],
      "/apis/metallb.io/v1beta1/namespaces/metallb-system/communities": new Error("403 forbidden"),
    }),
    processes: processes(),
  });
  const files = await unpacked(written["/tmp/a.tar.gz"]);
  for (const name of ["custom-resources", "configmaps"]) {
    const text = files.get(`a/cluster/${name}.yaml`) ?? "";
    for (const part of [
      /kind: IPAddressPool/,
      /name: lan/,
      /- 192\.0\.2\.0\/24/,
      /xxxxxxxx:\n +- xxxxxxx-xxxxx/,
      /peerAddress: 10\.0\.0\.1/,
      /matchLabels:\n +\S+: a/,
      /password: REDACTED/,
    ])
      assert.match(text, part, name);
  }
  for (const secret of planted)
    for (const [name, text] of files) assert.ok(!text.includes(secret), `${secret} in ${name}: ${text}`);
  assert.equal(files.get("a/unread.txt"), "cannot read communities.metallb.io: 403 forbidden\n");
  assert.equal(status, Exit.losses);
});

test("a short password, which is in a recording by chance, leaves it as it is", async () => {
  const entries = Buffer.from("test".repeat(3_000), "base64").toString("base64");
  const short = { metadata: meta("config"), data: { config: config.replace("planted-bgp,", "test,") } };
  const api = { ...apiWith(), list: async (): Promise<ApiAnswer> => ({ type: "found", value: [short] }) };
  const recorded = fakeProcesses({ "speaker-n1": { "/v1/recorder": { program: "speaker", node: "test", entries } } });
  const { written } = await ingotctl("support-bundle /tmp/a.tar.gz", { api, processes: recorded });
  const file = (await unpacked(written["/tmp/a.tar.gz"])).get("a/processes/speaker-n1/v1-recorder.json");
  assert.deepEqual(JSON.parse(file ?? ""), { program: "speaker", node: "REDACTED", entries });
});

test("a bundle has each answer under /v1 but that of /v1/probe, which would send packets", async () => {
  const asked = new Set<string>();
  const all = fakeProcesses({ "controller-1": {}, "speaker-n1": {} });
  const get = async (_target: unknown, path: string) => asked.add(path);
  await ingotctl("support-bundle /tmp/a.tar.gz", { api: apiWith(), processes: Object.assign({}, all, { get }) });
  const wanted = describedPaths.filter((path) => path.startsWith("/v1/") && path !== "/v1/probe");
  assert.ok(wanted.length > 10);
  assert.deepEqual(
    wanted.filter((path) => !asked.has(path)),
    [],
  );
});

test("nothing in a bundle can steer the terminal that shows it", async () => {
  const evil = "\u001b]0;owned\u0007\u001b[2J\u202e\r\u009b31m";
  const event = { metadata: meta("evil"), reason: "Told", message: evil, involvedObject: { name: evil } };
  const api = apiWith();
  const list: Api["list"] = async (path) => (path === "/api/v1/events" ? { type: "found", value: [event] } : api.list(path));
  const answers = { "/v1/verdicts": { verdicts: [{ message: evil }] }, "/metrics": `up 1\n# ${evil}`, "/readyz": evil };
  const asked = fakeProcesses({ "speaker-n1": answers as never });
  const { written } = await ingotctl("support-bundle /tmp/a.tar.gz", { api: { ...api, list }, processes: asked });
  const files = await unpacked(written["/tmp/a.tar.gz"]);
  assert.deepEqual(JSON.parse(files.get("a/processes/speaker-n1/v1-verdicts.json") ?? ""), answers["/v1/verdicts"]);
  assert.match(files.get("a/processes/speaker-n1/metrics.txt") ?? "", /^up 1\n# ·\]0;owned/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
  for (const [name, text] of files) assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/, name);
});

test("what may not be read is told in the bundle and by the command, and the rest is there", async () => {
  const api = apiWith(["/api/v1/nodes"]);
  const { status, out, written } = await ingotctl("support-bundle a.tgz", { api, processes: processes() });
  const files = await unpacked(written["a.tgz"]);
  assert.equal(files.get("a/unread.txt"), "/api/v1/nodes: 403 forbidden\n");
  assert.match(out, /not read: \/api\/v1\/nodes: 403 forbidden\n/);
  assert.ok(files.has("a/cluster/services.yaml"));
  assert.equal(status, Exit.losses);
});

test("where there is no Pod of ours a bundle has what the API knows, and the command says so", async () => {
  const { status, err, written } = await ingotctl("support-bundle a.tgz", { api: apiWith(), processes: fakeProcesses({}) });
  assert.ok((await unpacked(written["a.tgz"])).has("a/cluster/events.yaml"));
  assert.match(
    err,
    /^ingotctl: there is no Pod of a controller or speaker in namespace metallb-system; see --system-namespace\n$/,
  );
  assert.equal(status, Exit.losses);
});

const unusable: { file: string; says: RegExp }[] = [
  { file: "a.zip", says: /the file is a \.tar\.gz, not "a\.zip"/ },
  { file: "/tmp/.tar.gz", says: /the file needs a name before its ending: "\/tmp\/\.tar\.gz"/ },
  { file: "...tgz", says: /the file needs a name before its ending/ },
];
for (const { file, says } of unusable)
  test(`a bundle is not written to ${file}, and nothing is asked for it`, async () => {
    const api = apiWith();
    const { status, err } = await ingotctl(`support-bundle ${file}`, { api, processes: processes() });
    assert.deepEqual([status, api.asked], [Exit.usage, []]);
    assert.match(err, says);
  });
