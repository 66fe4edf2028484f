// Smoke: nothing that is printed or stored has a password.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { type DemoCluster, demoConfiguration } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { assigned, startCluster } from "./observe.ts";
import { Tool } from "./tool.ts";

const planted = { text: "planted-in-the-text", secret: "planted-in-a-secret", misspelt: "planted-under-a-misspelt-name" };
const peer = (last: number, more: string) => `- {my-asn: 64512, peer-asn: 64513, peer-address: 172.30.0.${last}, ${more}}\n`;
const configuration = `peers:
${peer(98, `password: ${planted.text}`)}${peer(99, "password-secret: {name: router-passwords, key: tor}")}${demoConfiguration}`;
const namespace = "metallb-system";
const paths = ["verdicts", "services", "pools", "configuration", "recorder"];
const ofSpeakers = ["node", "members", "bgp/peers", "bfd/sessions", "kernel", "conflicts"];

suite("no password and no key is in anything that a run leaves behind", { skip: await Lab.refusal() }, () => {
  const logs = mkdtempSync(join(tmpdir(), "ingot-logs-"));
  let cluster: DemoCluster;
  let tool: Tool;
  let secrets: readonly string[] = [];
  before(async () => {
    cluster = await startCluster({ nodes: 2, logs });
    tool = new Tool(cluster);
    const data = { tor: Buffer.from(planted.secret).toString("base64") };
    const metadata = { namespace, name: "router-passwords", labels: { "ingot-use": "bgp-password" } };
    await cluster.api.apply({ apiVersion: "v1", kind: "Secret", metadata, data });
    const reference = { apiVersion: "v1", kind: "Secret", metadata: { namespace, name: "memberlist" } };
    const { secretkey = "" } = ((await cluster.api.get(reference))?.data ?? {}) as Record<string, string>;
    assert.ok(secretkey.length > 20);
    secrets = [...Object.values(planted), secretkey, Buffer.from(secretkey, "base64").toString()];
    await cluster.configure(configuration);
    await cluster.expose("web", ["node1", "node2"]);
    await assigned(cluster, "web");
    for (const last of [98, 99]) await tool.explains(`peer/172.30.0.${last}`, /connect(ionLost|Timeout|ing)/);
    await cluster.configure(configuration.replace("password:", "pasword:").replace(planted.text, planted.misspelt));
    await tool.explains("config", /Degraded \(invalid\)/);
    await cluster.node("node2").speaker.stop();
  });
  after(async () => {
    tool?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
    rmSync(logs, { recursive: true });
  });

  function assertNone(where: string, text: string): void {
    assert.ok(text.length > 0, `${where} is empty`);
    for (const secret of secrets) {
      const at = text.indexOf(secret);
      assert.equal(at, -1, `${where}: …${text.slice(Math.max(0, at - 100), at)}`);
    }
  }

  test("what processes answer and print", async () => {
    const alive = [cluster.controller, cluster.node("node1").speaker];
    for (const workload of alive)
      for (const path of [
        "/metrics",
        "/readyz",
        ...[...paths, ...(workload === cluster.controller ? [] : ofSpeakers)].map((one) => `/v1/${one}`),
      ]) {
        const { body } = await workload.get(path);
        assertNone(`${path} of ${workload.name}`, body);
        const entries = path === "/v1/recorder" ? (JSON.parse(body) as { entries: string }).entries : undefined;
        if (entries !== undefined) assertNone("the recording", gunzipSync(Buffer.from(entries, "base64")).toString());
      }
    const files = readdirSync(logs);
    assert.ok(files.length >= 3, `${files}`);
    for (const file of files) {
      const text = readFileSync(join(logs, file), "utf8");
      if (text !== "") assertNone(file, text);
    }
  });

  test("what is in the API beside the configuration and the Secrets themselves", async () => {
    for (const kind of ["Event", "Service", "Node", "Pod", "ConfigMap"]) {
      const objects = await cluster.api.list("v1", kind);
      for (const object of objects) {
        const { data = {}, metadata } = object as { data?: Record<string, string>; metadata: { name?: string } };
        if (kind === "ConfigMap" && metadata.name === "config") continue;
        const { "last-good-config": _, ...rest } = data; // Their text, as it was written.
        assertNone(`${kind} ${metadata.name}`, JSON.stringify({ ...object, data: rest }));
      }
    }
  });

  test("what ingotctl prints and writes", async () => {
    const file = tool.file("other.yaml", configuration.replace("64513", "64514"));
    const commands = [
      ["status"],
      ["doctor"],
      ["peers"],
      ["explain", "config"],
      ["services", "-A", "-o", "json"],
      ["diff", file],
      ["validate", file],
    ];
    for (const command of commands) {
      const { out, err } = await tool.run(...command);
      assertNone(command.join(" "), `${out}${err}`);
    }
    const bundle = join(tool.folder, "bundle.tar.gz");
    await waitFor("the bundle", async () => (await tool.run("support-bundle", bundle)).out.includes("files"));
    const text = gunzipSync(readFileSync(bundle)).toString("latin1");
    assertNone("the support bundle", text);
    assert.match(text, /REDACTED/);
  });
});
