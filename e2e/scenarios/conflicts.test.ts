// Long: what another host announces has to last before somebody yields.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type DemoCluster, type DemoNode, demoConfiguration } from "#e2e/demo-cluster";
import { type Host, Lab, type Switch, waitFor } from "#e2e/lab";
import { urlHost } from "#pkg/net";
import { answered, assigned, eventOf, learnedNode, metric, owner, startCluster } from "./observe.ts";

interface Conflicts {
  readonly conflicts: readonly {
    readonly address: string;
    readonly other: { readonly mac: string; readonly node?: string };
    readonly ownMac: string;
    readonly interface: string;
    readonly owner: "self" | "other";
  }[];
  readonly occupied: readonly { readonly address: string; readonly mac: string; readonly node: string }[];
}

async function conflictsOf({ speaker }: DemoNode): Promise<Conflicts> {
  return JSON.parse((await speaker.get("/v1/conflicts")).body);
}

/** Why these tests cannot run here and what to do, false when they can. */
async function refusal(): Promise<string | false> {
  for (const [tool, ...args] of [
    ["arping", "--help"],
    ["ndisc6", "-V"],
    ["nft", "-v"],
  ] as [string, ...string[]][]) {
    const { error, stdout } = spawnSync(tool, args, { encoding: "utf8" });
    if (error !== undefined) return `needs ${tool}: install the Debian packages arping, ndisc6 and nftables`;
    if (tool === "arping" && !stdout.includes("Habets"))
      return "needs the arping of the Debian package arping, not that of iputils-arping";
  }
  return Lab.refusal();
}

const skip = await refusal();

/** The addresses that this node knows to be another speaker's, too. */
async function shared(node: DemoNode): Promise<string[]> {
  return (await conflictsOf(node)).conflicts.flatMap(({ address, other }) => (other.node === undefined ? [] : [address])).sort();
}

/** The MAC addresses that answer a host that asks for the address, all of them. Asks until there is one. */
async function answering(host: Host, address: string): Promise<string[]> {
  const asked = address.includes(":")
    ? ["ndisc6", "-m", "-r", "1", "-w", "1000", address, "eth0"]
    : ["arping", "-r", "-c", "1", "-w", "1", "-i", "eth0", address];
  const macs = await waitFor(`somebody to answer for ${address}`, async () => {
    const { stdout } = await host.run(asked);
    return stdout.match(/\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b/gi);
  });
  return [...new Set(macs.map((mac) => mac.toLowerCase()))].sort();
}

/** The nodes that answer for the address. */
async function answeringNodes(cluster: DemoCluster, address: string): Promise<string> {
  const macs = await answering(cluster.client, address);
  const names = await Promise.all(
    cluster.nodes.map(async ({ name, host }) => (macs.includes(await host.link("eth0").mac()) ? [name] : [])),
  );
  return names.flat().join();
}

/** A host that has the address as its own, and announces it only when it is made to. */
async function foreignHost(cluster: DemoCluster, name: string, lan: Switch, ...addresses: string[]): Promise<Host> {
  const host = await cluster.lab.host(name);
  await host.attach(lan, { addresses });
  return host;
}

/** Has a host look for the client from its own address. */
async function speak(host: Host, to: string): Promise<void> {
  await host.run(["ip", "neigh", "flush", "all"]);
  await host.get(`http://${urlHost(to)}:9/`, { timeout: 500 }).catch(() => {}); // It asks for the client's MAC address, which is enough.
}

suite("a host that has an address of ours is seen, defended against and reported", { skip }, () => {
  let cluster: DemoCluster;
  let address = "";
  let address6 = "";
  let first: DemoNode;
  before(async () => {
    cluster = await startCluster({ nodes: 2 });
    const service = await cluster.expose("web", ["node1", "node2"], { families: ["IPv4", "IPv6"] });
    [address = "", address6 = ""] = await waitFor("two addresses", async () => {
      const addresses = await service.addresses();
      return addresses.length === 2 && addresses;
    });
    first = await owner(cluster, address);
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("whoever speaks from it: the event names both MAC addresses, clients come back, and in the end it is seen gone", async () => {
    const printer = await foreignHost(cluster, "printer", cluster.lan, `${address}/24`, `${address6}/64`);
    const theirs = await printer.link("eth0").mac();
    const ours = await first.host.link("eth0").mac();
    await speak(printer, "172.30.0.100");
    await speak(printer, "fd00:30::100");
    for (const ip of [address, address6]) {
      const { type, message } = await eventOf(cluster, "web", "addressConflict", new RegExp(` ${ip} too`));
      assert.equal(type, "Warning");
      assert.ok(message.includes(theirs) && message.includes(`${ours} on eth0`), message);
      const counted = async () => {
        assert.equal(await metric(first.speaker, "ingot_layer2_conflict", { ip, mac: theirs, node: "" }), 1);
        return ((await metric(first.speaker, "ingot_layer2_conflicts_total", { ip })) ?? 0) > 0;
      };
      await waitFor(`the conflict about ${ip} to be counted`, counted);
    }
    assert.deepEqual(
      (await conflictsOf(first)).conflicts.map(({ address, other, ownMac, owner }) => [address, other.mac, ownMac, owner]),
      [address, address6].map((ip) => [ip, theirs, ours, "self"]),
    );
    await waitFor("the client to be back", async () => (await learnedNode(cluster, address))?.name === first.name);
    const both = `${[ours, theirs].sort()}`;
    await waitFor("both to answer, as nobody gives it up", async () => `${await answering(cluster.client, address)}` === both);
    await cluster.lan.unplug(printer);
    await waitFor("the host to be seen gone", async () => (await conflictsOf(first)).conflicts.length === 0);
    const series = () => metric(first.speaker, "ingot_layer2_conflict", { ip: address });
    await waitFor("its series to be gone", async () => (await series()) === undefined);
    await eventOf(cluster, "web", "addressConflictEnded", new RegExp(theirs));
  });

  test("behind a bridge, with a macvlan interface, or on another network of the node, by the interface that sees it", async () => {
    const storage = await cluster.lab.switch("storage");
    await first.host.attach(storage, { addresses: ["172.29.0.11/24"] });
    const host = await cluster.lab.host("hypervisor");
    await host.attach(cluster.lan);
    await host.ip(
      ...["link add br0 type bridge", "link set eth0 master br0", "link set br0 up", `addr add ${address}/24 dev br0`],
      ...["link add link br0 name mv0 address 02:00:00:00:0a:01 type macvlan mode bridge", "link set mv0 up"],
    );
    const bridge = await host.link("br0").mac();
    await speak(host, "172.30.0.100");
    await host.ip(`addr del ${address}/24 dev br0`, `addr add ${address}/24 dev mv0`);
    await speak(host, "172.30.0.100");
    const other = await foreignHost(cluster, "nas", storage, `${address}/32`);
    await other.ip("route add 172.29.0.0/24 dev eth0");
    await speak(other, "172.29.0.11");
    const seen = await waitFor("all three to be seen", async () => {
      const { conflicts } = await conflictsOf(first);
      return conflicts.length === 3 && conflicts;
    });
    assert.deepEqual(
      seen.map(({ other, interface: name }) => `${other.mac} ${name}`),
      [`${bridge} eth0`, "02:00:00:00:0a:01 eth0", `${await other.link("eth0").mac()} eth1`],
    );
    const own = await first.host.link("eth1").mac();
    assert.equal(seen.at(-1)?.ownMac, own);
    for (const lan of [cluster.lan, storage]) await lan.unplug(lan === storage ? other : host);
  });
});

suite("a ring that is cut while both sides are on one LAN leaves one owner of each address", {
  skip: await Lab.refusal(),
}, () => {
  let cluster: DemoCluster;
  const addresses: string[] = [];
  before(async () => {
    cluster = await startCluster();
    for (let i = 1; i <= 4; i++) {
      const service = await cluster.expose(`web${i}`, ["node1", "node2", "node3"], { families: ["IPv4", "IPv6"] });
      await service.address();
      addresses.push(...(await service.addresses()));
    }
    for (const address of addresses) await owner(cluster, address);
  });
  after(() => cluster[Symbol.asyncDispose]());

  const answers = () => Promise.all(addresses.map((address) => answeringNodes(cluster, address)));

  test("while it is cut, which both sides report, and within a second of being whole", async (t) => {
    const whole = await answers();
    assert.ok(
      whole.every((nodes) => /^node[123]$/.test(nodes)),
      whole.join(" "),
    );
    const cut = cluster.node("node1");
    const chain = (hook: string) =>
      `chain ${hook} { type filter hook ${hook} priority 0; udp dport 7946 drop; tcp dport 7946 drop; }`;
    await cut.host.output(["nft", "-f", "-"], {
      input: `table inet cut {\n${chain("input")}\n${chain("output")}\n}\n`,
    });
    const started = performance.now();
    const others = cluster.nodes.filter((node) => node !== cut);
    const sees = async (nodes: DemoNode[]) => [...new Set((await Promise.all(nodes.map(shared))).flat())].sort();
    const all = [...addresses].sort();
    await waitFor("both sides to report", async () => `${[await sees([cut]), await sees(others)]}` === `${[all, all]}`);
    t.diagnostic(`both sides had reported all after ${Math.round(performance.now() - started)} ms`);
    await waitFor("one owner of each, that of before", async () => `${await answers()}` === `${whole}`);
    t.diagnostic(`one owner of each was left after ${Math.round(performance.now() - started)} ms`);
    await sleep(6_000); // As long as announcements are repeated, and some questions of silent hosts.
    assert.deepEqual(await answers(), whole, "it stays so");
    for (const [i, address] of addresses.entries())
      assert.equal((await owner(cluster, address)).name, whole[i], `clients use the owner of ${address}`);
    await eventOf(
      cluster,
      "web1",
      "addressConflict",
      /two nodes answer for .* let UDP and TCP of the speakers' ring \(port 7946 by default\)/,
    );

    await cut.host.output(["nft", "delete", "table", "inet", "cut"]);
    const back = performance.now();
    const ring = async (node: DemoNode) => JSON.parse((await node.speaker.get("/v1/members")).body).members.length;
    for (const node of cluster.nodes) await waitFor("the ring to be whole", async () => (await ring(node)) === 3, { every: 50 });
    t.diagnostic(`the ring was whole ${Math.round(performance.now() - back)} ms after packets flowed again`);
    assert.deepEqual(await answers(), whole, "one owner of each is left at once");
    for (const node of cluster.nodes)
      await waitFor(`${node.name} to report nothing`, async () => (await shared(node)).length === 0);
    assert.deepEqual(await answers(), whole);
    for (const address of addresses) await answered(cluster, address, /^web\d-\d on node[123]$/);
  });
});

suite("an address that must be free is asked for before its first announcement", { skip }, () => {
  let cluster: DemoCluster;
  let printer: Host;
  before(async () => {
    cluster = await startCluster({ configuration: `${demoConfiguration}  conflict-probe: strict\n` });
    printer = await foreignHost(cluster, "printer", cluster.lan, "172.30.0.200/24", "fd00:30::200/64");
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("a Service whose address a host has gets another one with an event that says why, and nobody announces the first", async () => {
    const service = await cluster.expose("web", ["node1", "node2", "node3"], { families: ["IPv4", "IPv6"] });
    await waitFor("other addresses", async () => `${await service.addresses()}` === "172.30.0.201,fd00:30::201");
    const theirs = await printer.link("eth0").mac();
    const { message } = await eventOf(cluster, "web", "addressOccupied", /172\.30\.0\.200 is not announced/);
    assert.ok(message.includes(theirs), message);
    await eventOf(cluster, "web", "ClearAssignment", /another host uses address 172\.30\.0\.200/);
    await owner(cluster, "172.30.0.201");
    await answered(cluster, "fd00:30::201", /^web-\d on node\d$/);
    for (const address of ["172.30.0.200", "fd00:30::200"]) assert.deepEqual(await answering(cluster.client, address), [theirs]);
    const all = ["172.30.0.200", "fd00:30::200"].map((one) => `${one} ${theirs}`);
    for (const node of cluster.nodes)
      await waitFor(`${node.name} to know of both`, async () => {
        assert.deepEqual((await conflictsOf(node)).occupied.map(({ address, mac }) => `${address} ${mac}`).sort(), all);
        return true;
      });
  });

  test("a succession does not wait for any question", async (t) => {
    const first = await owner(cluster, "172.30.0.201");
    first.speaker.process.kill("SIGKILL");
    const killed = performance.now();
    await waitFor("another node", async () => (await learnedNode(cluster, "172.30.0.201"))?.name !== first.name, { every: 10 });
    t.diagnostic(`succeeded after ${Math.round(performance.now() - killed)} ms`);
    const successor = await learnedNode(cluster, "172.30.0.201");
    assert.ok(
      !successor?.speaker.process.lines.some((line) => line.includes("addressOccupied") && line.includes("172.30.0.201")),
    );
    await first.speaker.start();
    await waitFor("the speaker to be ready again", () => first.speaker.ready());
  });

  test("a Service that asks for it has none, across a restart of the controller, until nobody has it", async () => {
    cluster.controller.process.kill("SIGKILL");
    await cluster.controller.process.exited;
    await cluster.controller.start();
    const service = await cluster.expose("wanted", ["node1"], { spec: { loadBalancerIP: "172.30.0.200" } });
    await eventOf(cluster, "wanted", "AllocationFailed", /another host uses address 172\.30\.0\.200/);
    assert.deepEqual(await service.addresses(), []);
    await cluster.lan.unplug(printer);
    await waitFor("the address to be free", async () => `${await service.addresses()}` === "172.30.0.200");
    await waitFor("it to be announced", async () => (await answeringNodes(cluster, "172.30.0.200")) !== "");
    await answered(cluster, "172.30.0.200", /^wanted-1 on node1$/);
    assert.deepEqual(await assigned(cluster, "web"), ["172.30.0.201", "fd00:30::201"], "addresses in use stay");
  });
});
