import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { DemoCluster } from "#e2e/demo-cluster";
import { Lab, programFile, waitFor } from "#e2e/lab";
import { answer, answered, learnedNode, metric, owner, startCluster } from "./observe.ts";

/** How long the API server is away: connections are given up, and tried again. `make nightly` has a minute, in which that happens again and again. */
const outageSeconds = Number(process.env.API_OUTAGE ?? 20);

suite("when parts of the cluster fail the rest works", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  let address: string;
  before(async () => {
    cluster = await startCluster({ nodes: 2, speakerArguments: ["--log-level=debug"] });
    address = await (await cluster.expose("web", ["node1", "node2"])).address();
    await owner(cluster, address);
  });
  after(() => cluster[Symbol.asyncDispose]());

  test(`while the API server is away for ${outageSeconds} s announcements go on, and nothing flaps when it is back`, async () => {
    const before = await owner(cluster, address);
    const link = cluster.controlPlane.link("eth0");
    const logged = cluster.nodes.map(({ speaker }) => speaker.process.lines.length);
    await link.down();
    await sleep(outageSeconds * 1000);
    assert.equal((await owner(cluster, address)).name, before.name);
    await answered(cluster, address, /^web-[12] on node[12]$/);
    await link.up();
    const [node] = cluster.nodes;
    const later = await cluster.expose("later", ["node1"]);
    const second = await later.address();
    await waitFor("the new Service to be announced", async () => /later-1/.test(await answer(cluster, second)));
    assert.ok(node);
    const since = cluster.nodes.flatMap(({ speaker }, index) => speaker.process.lines.slice(logged[index]));
    const changes = since.filter((line) => /serviceWithdrawn|membersChanged/.test(line));
    // The node that sees the API first announces the new Service, and leaves it to its owner once that sees the API too.
    const [ofNew = [], others = []] = [true, false].map((isNew) =>
      changes.filter((line) => line.includes("default/later") === isNew),
    );
    assert.deepEqual(others, [], "nothing that was announced is withdrawn");
    assert.ok(ofNew.length <= 1, ofNew.join("\n"));
    assert.equal((await learnedNode(cluster, address))?.name, before.name);
    await later.delete();
  });

  test("new Services are at other nodes some seconds after packets between one node and the API are dropped without a word", async (t) => {
    const [cut, other] = cluster.nodes;
    assert.ok(cut && other);
    const first = await owner(cluster, address);
    const drop = "chain output { type filter hook output priority 0; tcp dport 6443 drop; }";
    await cut.host.output(["nft", "-f", "-"], {
      input: `table inet api {\n${drop}\n}\n`,
    });
    await sleep(10_000); // Until the kernel gives the connections up, and the speaker has tried again.
    const names = Array.from({ length: 8 }, (_, i) => `new${i}`);
    const added = await Promise.all(names.map((name) => cluster.expose(name, [other.name])));
    const addresses = await Promise.all(added.map((service) => service.address()));
    const began = performance.now();
    for (const one of addresses) assert.equal((await owner(cluster, one)).name, other.name);
    t.diagnostic(`all eight were answered ${Math.round(performance.now() - began)} ms later`);
    assert.equal((await owner(cluster, address)).name, first.name, "what was announced stays");
    await cut.host.output(["nft", "delete", "table", "inet", "api"]);
    await waitFor("some of them to be where the election has them", async () =>
      (await Promise.all(addresses.map((one) => owner(cluster, one)))).includes(cut),
    );
    for (const service of added) await service.delete();
  });

  test("a speaker without NET_RAW says so, stays unready, and owns nothing", async () => {
    const [node] = cluster.nodes;
    assert.ok(node);
    const flags = [
      "--kubeconfig=/run/speaker.conf",
      "--namespace=metallb-system",
      "--node-name=bare",
      "--host=127.0.0.1",
      "--port=7999",
    ];
    const argv = ["setpriv", "--bounding-set=-net_raw", process.execPath, programFile("speaker"), ...flags];
    await using bare = await node.host.spawn("bare-speaker", argv);
    await bare.waitForLine(/layer 2 is not available on this node.*NET_RAW/);
    const { status, body } = await waitFor("it to have seen everything", async () => {
      const ready = await node.host.get("http://127.0.0.1:7999/readyz");
      return !ready.body.includes("waiting") && ready;
    });
    assert.equal(status, 503);
    assert.match(body, /NET_RAW/);
    assert.equal((await node.host.get("http://127.0.0.1:7999/healthz")).status, 200);
  });

  test("an interface that comes without an address and vanishes again disturbs nothing", async () => {
    const [node] = cluster.nodes;
    assert.ok(node);
    await node.host.ip("link add vanishing type bridge", "link set vanishing up");
    await node.speaker.process.waitForLine(/"interface":"vanishing"/);
    await node.host.ip("link del vanishing");
    await answered(cluster, address, /^web-[12] on node[12]$/);
    await owner(cluster, address);
    await waitFor("it to be ready", async () => (await node.speaker.get("/readyz")).status === 200);
    assert.equal(node.speaker.process.exit, undefined);
  });

  test("ARP that is not for an announced address is ignored, and counted", async () => {
    const node = await owner(cluster, address);
    const ignored = async () =>
      (await metric(node.speaker, "ingot_layer2_frames_ignored_total", { reason: "notAnnounced" })) ?? 0;
    const before = await ignored();
    await waitFor("it to be counted", async () => {
      await answer(cluster, "172.30.0.99");
      return (await ignored()) > before;
    });
  });

  test("hosts that know a node by its second interface on the LAN hear of the first when the second goes down", async () => {
    const { host, speaker } = await owner(cluster, address);
    const second = await host.attach(cluster.lan, { interface: "second0", addresses: ["172.30.0.91/24"] });
    const [first, other] = [await host.link("eth0").mac(), await second.mac()];
    const known = async (): Promise<string | undefined> => {
      const [entry] = JSON.parse(await cluster.client.output(["ip", "-json", "neigh", "show", "to", address]));
      return entry?.lladdr;
    };
    const sent = async () => (await metric(speaker, "metallb_layer2_gratuitous_sent", { ip: address })) ?? 0;
    const isDone = async () => {
      const before = await sent();
      await sleep(2000); // Longer than the time between two announcements of an address that is new.
      return before === (await sent());
    };
    await waitFor("the speaker to have announced there", isDone);
    await cluster.client.ip(`neigh replace ${address} lladdr ${other} dev eth0 nud reachable`);
    await second.down();
    // Each address is announced again every minute.
    await waitFor("the client to know the first", async () => (await known()) === first, { timeout: 30_000 });
    await answered(cluster, address, /^web-[12] on node[12]$/);
  });

  test("a node that loses its own address, and goes on answering for others on the LAN, leaves them to one that can deliver", async () => {
    const first = await owner(cluster, address);
    const [own] = first.addresses;
    await first.host.ip(`addr del ${own}/24 dev eth0`);
    try {
      // It proves that it announces the address, and keeps it, until it has noticed that it does not reach the API either.
      await waitFor("the other node to answer, and alone, for two seconds", async () => {
        for (let look = 0; look < 10; look++, await sleep(200))
          if ((await owner(cluster, address)).name === first.name) return false;
        return true;
      });
      await answered(cluster, address, /^web-[12] on/); // Some connections go to the Pod that is out of reach.
    } finally {
      await first.host.ip(`addr add ${own}/24 dev eth0`);
      await cluster.routePods(first);
    }
    await waitFor("the node to be ready", () => first.speaker.ready());
  });

  test("a node that loses its cable loses its addresses to another", async () => {
    const first = await owner(cluster, address);
    const rest = cluster.nodes.find(({ name }) => name !== first.name);
    await cluster.lan.unplug(first.host);
    await waitFor("the other node to answer", async () => (await learnedNode(cluster, address))?.name === rest?.name);
    await cluster.lan.plug(first.host);
  });
});
