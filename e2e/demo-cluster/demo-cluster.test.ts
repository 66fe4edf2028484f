import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, suite, test } from "node:test";
import { type Host, waitFor } from "#e2e/lab";
import { urlHost } from "#pkg/net";
import { startProxy } from "./demo-cluster.ts";
import { ApiClient, DemoCluster } from "./index.ts";

/** Sends a datagram and gives the answer, empty without an answer within five seconds. */
async function udp(client: Host, address: string, port: number, text: string): Promise<string> {
  const script = `
    const [address, port, text] = process.argv.slice(1);
    const socket = require("node:dgram").createSocket(address.includes(":") ? "udp6" : "udp4");
    socket.on("message", (data) => { console.log(String(data)); socket.close(); });
    socket.send(text, Number(port), address);
    setTimeout(() => socket.close(), 5_000).unref();`;
  return (await client.run(["node", "-e", script, address, String(port), text])).stdout.trim();
}

suite("the demo's cluster", async () => {
  let cluster: DemoCluster;
  before(async () => {
    cluster = await DemoCluster.start({ nodes: 2 });
    for (const { speaker } of cluster.nodes) await waitFor(`${speaker.name} to be ready`, () => speaker.ready());
  });
  after(() => cluster[Symbol.asyncDispose]());

  /** Sends the client's packets for an address to one node, also if another one announces it. */
  const through = async (node: string, address: string): Promise<void> => {
    const [v4, v6] = cluster.node(node).addresses;
    const gateway = address.includes(":") ? v6 : v4;
    await cluster.client.ip(`route replace ${address} via ${gateway}`);
  };
  const get = (address: string, timeout = 10_000): Promise<string> =>
    cluster.client.get(`http://${urlHost(address)}/`, { timeout }).then(({ body }) => body.trim());

  test("controller and speakers run with the capabilities of the manifests, as their user, and write nothing", () => {
    const seen = [cluster.controller, ...cluster.nodes.map(({ speaker }) => speaker)].map(({ name, process: { pid } }) => {
      const field = (key: string) => new RegExp(`^${key}:\\s+(\\w+)`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
      const [root] = readFileSync(`/proc/${pid}/mountinfo`, "utf8")
        .split("\n")
        .filter((line) => line.split(" ")[4] === "/")
        .slice(-1);
      const [, , , , , options = ""] = (root ?? "").split(" ");
      return [name, field("CapBnd"), field("CapEff"), field("NoNewPrivs"), options.split(",")[0]];
    });
    const [none, rawAndNice] = ["0000000000000000", "0000000000802000"];
    assert.deepEqual(seen, [
      ["controller", none, none, "1", "ro"],
      ["speaker-node1", rawAndNice, rawAndNice, "1", "ro"],
      ["speaker-node2", rawAndNice, rawAndNice, "1", "ro"],
    ]);
  });

  test("a Service gets an address that the client reaches, over TCP and UDP", async () => {
    const service = await cluster.expose("both", ["node1", "node2"], { protocols: ["TCP", "UDP"] });
    const address = await service.address();
    const first = await waitFor("an answer", () => get(address));
    const second = await get(address);
    assert.deepEqual([first, second].sort(), ["both-1 on node1", "both-2 on node2"]);
    assert.match(await udp(cluster.client, address, 80, "hello"), /^both-[12] on node[12] hello$/);
    await service.delete();
    await waitFor("nobody to take it in any more", () =>
      get(address).then(
        () => false,
        () => true,
      ),
    );
  });

  test("both families are passed on by every node, to Pods of every node", async () => {
    const service = await cluster.expose("dual", ["node2"], { families: ["IPv4", "IPv6"], protocols: ["TCP", "UDP"] });
    await service.address();
    for (const address of await service.addresses()) {
      await through("node1", address);
      assert.equal(await waitFor(`an answer of ${address}`, () => get(address)), "dual-1 on node2");
      assert.equal(await udp(cluster.client, address, 80, "hello"), "dual-1 on node2 hello");
    }
    await service.delete();
  });

  test("with policy Local only the node of a Pod takes packets in", async () => {
    const service = await cluster.expose("local", ["node2"], { policy: "Local", families: ["IPv4", "IPv6"] });
    await service.address();
    for (const address of await service.addresses()) {
      await through("node2", address);
      assert.equal(await waitFor(`an answer of ${address}`, () => get(address)), "local-1 on node2");
      await through("node1", address);
      await assert.rejects(get(address, 500), { message: /no answer within 500 ms/ });
    }
    await service.delete();
  });

  test("a Pod whose process ends is out of the Service, and without any the node refuses", async () => {
    const service = await cluster.expose("fragile", [], {});
    const [one, two] = await cluster.startBackends("fragile", ["node1", "node2"]);
    assert.ok(one !== undefined && two !== undefined);
    await service.serveFrom([one, two]);
    const address = await service.address();
    await through("node1", address);
    await waitFor("an answer", () => get(address));
    one.process.kill("SIGKILL");
    const answers = () => Promise.all([get(address), get(address)]);
    await waitFor("only the other to answer", async () => (await answers()).every((answer) => answer === "fragile-2 on node2"));
    two.process.kill("SIGKILL");
    await waitFor("a refusal", () =>
      get(address).then(
        () => false,
        ({ code }) => code === "ECONNREFUSED",
      ),
    );
    await service.delete();
  });

  test("the nodes' kernels keep quiet about addresses that they take in", async () => {
    const silent = ["172.30.0.77", "fd00:30::77"];
    const service = await cluster.expose("silent", ["node1", "node2"], { families: ["IPv4", "IPv6"] });
    await service.address();
    const reference = { apiVersion: "v1", kind: "Service", metadata: { name: "silent", namespace: "default" } };
    await cluster.controller.stop(); // It would take these back, which are in no pool, and so no speaker's either.
    await cluster.api.patch(reference, { status: { loadBalancer: { ingress: silent.map((ip) => ({ ip })) } } }, "status");
    const check = async (address: string): Promise<void> => {
      await through("node1", address);
      await waitFor(`an answer of ${address}`, () => get(address));
      await cluster.client.ip(`route del ${address}`);
      await assert.rejects(cluster.client.connect(address, 80), { code: "EHOSTUNREACH" });
      assert.match(await cluster.client.output(["ip", "neigh", "show", address]), /FAILED|INCOMPLETE/);
    };
    await Promise.all(silent.map(check));
    await cluster.controller.start();
    await service.delete();
  });

  test("a proxy that was killed leaves nothing that the next one does not clear up", async () => {
    const service = await cluster.expose("routes", ["node1"]);
    const address = await service.address();
    const { host, proxy } = cluster.node("node1");
    const routes = () => host.output(["ip", "route", "show", "table", "local", "proto", "99"]);
    await waitFor("its route", async () => (await routes()).includes(address));
    proxy.kill("SIGKILL");
    await proxy.exited;
    await service.delete();
    const next = await startProxy(host);
    await next.waitForLine(/"forwarding"/);
    assert.equal(await routes(), "");
  });

  test("a speaker's Pod is not ready as soon as its process ends, and ready again when it is back", async () => {
    const { speaker } = cluster.node("node1");
    assert.equal(await speaker.ready(), true);
    speaker.process.kill("SIGKILL");
    await waitFor("its Pod not to be ready", async () => !(await speaker.ready()));
    await speaker.process.exited;
    await speaker.start();
    await waitFor("its Pod to be ready", () => speaker.ready());
  });

  test("the kubeconfig works from outside, and refusals keep the server's words", async () => {
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(cluster.kubeconfig)?.[1]);
    using outside = new ApiClient(cluster.kubeconfig, port);
    const nodes = await outside.list("v1", "Node");
    assert.deepEqual(nodes.map(({ metadata }) => metadata.name).sort(), ["node1", "node2"]);
    const addresses = nodes.map(({ status }) => (status as { addresses: { address: string }[] }).addresses[1]?.address);
    assert.deepEqual(addresses.sort(), ["fd00:30::11", "fd00:30::12"], "both families are there");
    const nowhere = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: "nowhere" } };
    await assert.rejects(outside.apply(nowhere), { name: "ApiRefusal", status: 404, message: /namespaces "nowhere" not found/ });
  });
});
