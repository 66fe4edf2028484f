// Smoke: a session with a router.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { type DemoCluster, demoConfiguration } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { routerRefusal } from "#e2e/routers";
import { BgpNetwork, nodeAsn } from "./bgp-network.ts";
import { assigned } from "./observe.ts";

// docs/install.md says that nothing is gained by a speaker without BGP: what is not configured is not there.
const routerAsn = 64513;
const withPeer = (router: string) => `peers:
- {my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, peer-address: ${router}, bfd-profile: quick}
bfd-profiles:
- {name: quick}
${demoConfiguration}`;
const always = ["tcp 7472", "tcp 7946", "udp 7946"];

/** The ports that the speaker has open to others, and the threads that it made. */
async function inUse(cluster: DemoCluster): Promise<{ ports: string[]; threads: string[] }> {
  const [node] = cluster.nodes;
  assert.ok(node);
  const { pid } = node.speaker.process;
  const { stdout } = await node.host.run(["ss", "-Hlntu"]);
  const sockets = stdout
    .trim()
    .split("\n")
    .map((line) => line.split(/\s+/));
  const own = new Set([...node.addresses, "0.0.0.0", "*", "[::]"]); // Pods and their Service have addresses of their own.
  const open = sockets.flatMap(([protocol, , , , local = ""]) => {
    const [, address = "", port] = /^(.*):(\d+)$/.exec(local) ?? [];
    return own.has(address) ? [`${protocol} ${port}`] : [];
  });
  const names = readdirSync(`/proc/${pid}/task`).map((thread) => readFileSync(`/proc/${pid}/task/${thread}/comm`, "utf8").trim());
  return {
    ports: [...new Set(open)].sort(),
    threads: names.filter((name) => ["layer2", "memberlist", "bfd"].includes(name)).sort(),
  };
}

suite("a speaker without peers", { skip: await routerRefusal("bird") }, () => {
  test("has no port and no thread for BGP or BFD before there is a peer, and no port after the last one", async () => {
    await using network = await BgpNetwork.start({ nodes: 1 });
    const { cluster } = network;
    const bfd = { intervalMs: 300, multiplier: 3 };
    const address = cluster.nodes[0]?.addresses[0] ?? "";
    const router = await network.router("bird", 1, { asn: routerAsn, neighbors: [{ address, asn: nodeAsn, bfd }] });
    await cluster.configure(demoConfiguration);
    await cluster.expose("web", ["node1"]);
    await assigned(cluster, "web");
    assert.deepEqual(await inUse(cluster), { ports: always, threads: ["layer2", "memberlist"] });
    await cluster.configure(withPeer(router.v4));
    await waitFor("BFD", async () => (await inUse(cluster)).ports.includes("udp 3784"));
    assert.deepEqual((await inUse(cluster)).threads, ["bfd", "layer2", "memberlist"]);
    await cluster.configure(demoConfiguration);
    await waitFor("its ports to be gone", async () => (await inUse(cluster)).ports.length === always.length);
    assert.deepEqual((await inUse(cluster)).ports, always);
  });
});
