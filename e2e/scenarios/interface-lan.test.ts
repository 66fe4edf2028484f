import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { type DemoCluster, type DemoNode, type DemoService, eventsOf, learned } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { answer, answered, eventOf, loads, metric, startCluster } from "./observe.ts";

const configuration = `address-pools:
- name: nics
  protocol: interface
  placement: lan
  addresses: [172.30.0.150-172.30.0.179, "fd00:30::150-fd00:30::179"]
- name: anywhere
  protocol: interface
  placement: auto
  auto-assign: false
  addresses: [172.30.0.180-172.30.0.189, 198.51.100.0/24]
`;

const apiAddress = "172.30.0.1";

interface Found {
  readonly local: string;
  readonly prefixlen: number;
  readonly noprefixroute?: boolean;
  readonly nodad?: boolean;
  readonly deprecated?: boolean;
  readonly protocol?: string;
  readonly valid_life_time: number;
}

interface Shown {
  readonly restored: number;
  readonly items: readonly { readonly prefix: string; readonly interface: string; readonly place: string }[];
}

suite("an address is on the NIC of one node of its LAN", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  let nodes: readonly DemoNode[];
  let service: DemoService;
  let v4: string;
  let v6: string;

  before(async () => {
    cluster = await startCluster({ nodes: 3, configuration });
    nodes = cluster.nodes;
    service = await cluster.expose("web", ["node1", "node2", "node3"], { families: ["IPv4", "IPv6"] });
    [v4 = "", v6 = ""] = await waitFor("two addresses", async () => {
      const found = await service.addresses();
      return found.length === 2 && found;
    });
    await ownerOf(v4);
  });
  after(() => cluster[Symbol.asyncDispose]());

  async function found({ host }: DemoNode, address: string, dev = "eth0"): Promise<Found | undefined> {
    const text = await host.output(["ip", "-json", "-details", "address", "show", "dev", dev]).catch(() => "[]");
    const links = JSON.parse(text) as { readonly addr_info?: readonly Found[] }[];
    return links.flatMap(({ addr_info = [] }) => addr_info).find(({ local }) => local === address);
  }

  async function having(address: string, dev?: string): Promise<readonly DemoNode[]> {
    const all = await Promise.all(nodes.map((node) => found(node, address, dev)));
    return nodes.filter((_, index) => all[index] !== undefined);
  }

  /** The one node that has it, when that is so, as the client finds too. */
  async function ownerOf(address: string, wanted: (node: DemoNode) => boolean = () => true): Promise<DemoNode> {
    return waitFor(`one node to have ${address}`, async () => {
      const [one, ...more] = await having(address);
      if (one === undefined || more.length > 0 || !wanted(one)) return undefined;
      await cluster.client.run(["ip", "neigh", "flush", "to", address]);
      await answer(cluster, address);
      return (await learned(cluster, address))?.node.name === one.name ? one : undefined;
    });
  }

  const shown = async ({ speaker }: DemoNode): Promise<Shown> => JSON.parse((await speaker.get("/v1/kernel")).body);

  test("with its own length, no use as a source and our mark; the client is answered by both families", async () => {
    for (const address of [v4, v6]) {
      const owner = await ownerOf(address);
      await answered(cluster, address, /^web-/);
      const { prefixlen, noprefixroute, deprecated, protocol, valid_life_time: life } = (await found(owner, address)) ?? {};
      assert.deepEqual([prefixlen, noprefixroute], [address === v4 ? 32 : 128, true]);
      if (address === v6) assert.equal(deprecated, true);
      if (protocol !== undefined) assert.equal(protocol, "248");
      assert.ok(life !== undefined && life <= 10, `${life}`);
      assert.deepEqual(
        (await shown(owner)).items
          .map(({ prefix, interface: name, place }) => `${prefix} ${name} ${place}`)
          .filter((one) => one.startsWith(address)),
        [`${address}/${prefixlen} eth0 placed`],
      );
      const announced = () => metric(owner.speaker, "metallb_speaker_announced", { protocol: "interface", ip: address });
      await waitFor("its series", async () => (await announced()) === 1);
    }
  });

  test("deleted by hand or flushed it is back, the node's own addresses being left alone, and an event says so", async () => {
    const owner = await ownerOf(v4);
    const [own] = owner.addresses;
    await owner.host.run(["ip", "addr", "del", `${v4}/32`, "dev", "eth0"]);
    await waitFor("the address", () => found(owner, v4));
    // A program that takes over the NIC does so: everything goes, and its own address comes back, behind ours.
    await owner.host.run(["ip", "addr", "del", `${own}/24`, "dev", "eth0"]);
    await owner.host.run(["ip", "addr", "add", `${own}/24`, "dev", "eth0"]);
    await ownerOf(v4);
    assert.ok(await found(owner, own));
    const seen = async () => (await eventsOf(cluster, "Node", owner.name)).find(({ reason }) => reason === "kernelRestored");
    assert.match((await waitFor("an event", seen)).message, /put back/);
  });

  /** It has the connected route by its own address, and reaches the API by both. */
  async function isWhole({ host }: DemoNode, own: string): Promise<boolean> {
    const routes = await host.output(["ip", "route", "show", "proto", "kernel", "dev", "eth0"]);
    const api = await host.output(["ip", "route", "get", apiAddress]).catch(() => "");
    return routes.includes(`172.30.0.0/24 scope link src ${own}`) && api.includes(`dev eth0 src ${own} `);
  }

  for (const speaker of ["runs", "stands still", "was killed"] as const)
    test(`a node that gets another address keeps its network where its speaker ${speaker}, and one node answers`, async () => {
      const owner = await ownerOf(v4);
      const { host, addresses } = owner;
      const [own] = addresses;
      const changes = [
        (from: string, to: string) => [`addr add ${to}/24 dev eth0`, `addr del ${from}/24 dev eth0`],
        (from: string, to: string) => [`addr del ${from}/24 dev eth0`, `addr add ${to}/24 dev eth0`],
      ];
      await host.sysctl({ "net.ipv4.conf.eth0.promote_secondaries": 1 }); // Else the kernel drops the second with the first.
      if (speaker === "stands still") owner.speaker.process.kill("SIGSTOP");
      if (speaker === "was killed") owner.speaker.process.kill("SIGKILL");
      let from: string = own;
      try {
        for (const to of ["172.30.0.99", own, "172.30.0.99", own]) {
          const lines = changes[to === own ? 0 : 1]?.(from, to) ?? [];
          await host.run(["ip", "-batch", "-"], { input: `${lines.join("\n")}\n` });
          from = to;
          assert.ok(await isWhole(owner, to), lines.join("; "));
          if (speaker === "runs") await ownerOf(v4);
        }
      } finally {
        if (speaker === "stands still") owner.speaker.process.kill("SIGCONT");
        if (speaker === "was killed") await owner.speaker.start();
      }
      assert.equal((await ownerOf(v4, ({ name }) => name === owner.name)).name, owner.name);
      await waitFor("the node's own to be the first, for which programs take it", async () => {
        const listed = await host.output(["ip", "-oneline", "-4", "addr", "show", "dev", "eth0"]);
        return listed.split("\n")[0]?.includes(`inet ${own}/24 `);
      });
    });

  test("a node whose cable is pulled hands it over, and has it back alone when it is plugged in", async () => {
    const owner = await ownerOf(v4);
    cluster.lan.unplug(owner.host);
    const other = await waitFor("another node", async () => (await having(v4)).find(({ name }) => name !== owner.name));
    assert.match(await waitFor("an answer", async () => /^web-/.exec(await answer(cluster, v4))?.[0]), /^web-/);
    assert.notEqual(other.name, owner.name);
    cluster.lan.plug(owner.host);
    assert.equal((await ownerOf(v4, ({ name }) => name === owner.name)).name, owner.name);
  });

  test("a speaker that is killed leaves it, and the next adopts it without taking it off; only one node has it then", async () => {
    await cluster.configure(configuration.replace("placement: lan\n", "placement: lan\n  address-lifetime: 10m\n"));
    const owner = await ownerOf(v4);
    try {
      await waitFor("the lifetime", async () => ((await found(owner, v4))?.valid_life_time ?? 0) > 300);
      const watch = await owner.host.spawn(`monitor-${owner.name}`, ["ip", "-o", "monitor", "address"]);
      owner.speaker.process.kill("SIGKILL");
      await owner.speaker.process.exited;
      await waitFor("another node", async () => (await having(v4)).some(({ name }) => name !== owner.name));
      assert.ok(await found(owner, v4));
      await owner.speaker.start();
      await ownerOf(v4, ({ name }) => name === owner.name);
      await watch.stop();
      assert.deepEqual(
        watch.lines.filter((line) => line.includes("Deleted") && line.includes(v4)),
        [],
      );
    } finally {
      await cluster.configure(configuration);
    }
    await waitFor("the lifetime", async () => ((await found(owner, v4))?.valid_life_time ?? Infinity) <= 10);
  });

  test("a speaker that is killed, or hangs, and stays so has it no longer soon after, without anybody's doing", async () => {
    const isAlone = async (owner: DemoNode, address: string) => {
      const names = (await having(address)).map(({ name }) => name);
      return names.length === 1 && !names.includes(owner.name);
    };
    for (const signal of ["SIGKILL", "SIGSTOP"] as const) {
      const owner = await ownerOf(v4);
      const { restored } = await shown(owner);
      const { speaker } = owner;
      speaker.process.kill(signal);
      try {
        for (const address of [v4, v6]) await waitFor("another node alone", () => isAlone(owner, address));
      } finally {
        if (signal === "SIGSTOP") speaker.process.kill("SIGCONT");
        else await speaker.start();
      }
      await ownerOf(v4, ({ name }) => name === owner.name);
      if (signal === "SIGSTOP") assert.equal((await shown(owner)).restored, restored, "nobody took it away");
    }
  });

  test("a speaker that hangs while another took over leaves one owner when it goes on", async () => {
    const owner = await ownerOf(v4);
    owner.speaker.process.kill("SIGSTOP");
    try {
      await waitFor("another node", async () => (await having(v4)).some(({ name }) => name !== owner.name));
    } finally {
      owner.speaker.process.kill("SIGCONT");
    }
    await ownerOf(v4);
    await ownerOf(v6);
  });

  test("a speaker that is stopped takes it off when others have it", async () => {
    const owner = await ownerOf(v4);
    await owner.speaker.stop();
    assert.deepEqual([await found(owner, v4), await found(owner, v6)], [undefined, undefined]);
    await ownerOf(v4, ({ name }) => name !== owner.name);
    await owner.speaker.start();
    await ownerOf(v4, ({ name }) => name === owner.name);
  });

  test("a node whose speaker lacks NET_ADMIN leaves it to the others; where all lack it, the verdict says so", async () => {
    const first = await ownerOf(v4);
    const restart = async ({ speaker }: DemoNode, without: readonly string[]) => {
      await speaker.stop();
      speaker.without = without;
      await speaker.start();
    };
    const verdict = async () => {
      const { body } = await first.speaker.get("/v1/services?service=default/web");
      const { services } = JSON.parse(body) as Record<"services", { readonly verdict: Record<"cause" | "message", string> }[]>;
      return services[0]?.verdict;
    };
    try {
      await restart(first, ["net_admin"]);
      await waitFor("it to see another owner", async () => (await verdict())?.cause === "notOwner");
      const second = await ownerOf(v4, ({ name }) => name !== first.name);
      assert.match((await first.speaker.get("/readyz")).body, /NET_ADMIN/);
      await Promise.all(nodes.filter((node) => node !== first).map((node) => restart(node, ["net_admin"])));
      await waitFor("a verdict", async () => /NIC \(node1, node2, node3\)$/.test((await verdict())?.message ?? ""));
      assert.equal((await verdict())?.cause, "noKernelAccess");
      await eventOf(cluster, "web", "noKernelAccess", /may put it on a NIC/);
      await waitFor("no NIC to have it", async () => (await having(v4)).length === 0);
      await restart(second, []);
      await ownerOf(v4, ({ name }) => name === second.name);
    } finally {
      await Promise.all(nodes.map((node) => restart(node, [])));
    }
    await ownerOf(v4, ({ name }) => name === first.name);
  });

  test("what somebody else has put there is left, and said of", async () => {
    const taken = "172.30.0.170";
    for (const { host } of nodes) await host.run(["ip", "addr", "add", `${taken}/32`, "dev", "eth0"]);
    const annotations = { "metallb.io/loadBalancerIPs": taken };
    const other = await cluster.expose("taken", ["node1"], { annotations });
    await other.address();
    const place = async () => {
      const all = await Promise.all(nodes.map(shown));
      return all.flatMap(({ items }) => items).find(({ prefix }) => prefix.startsWith(`${taken}/`))?.place;
    };
    assert.equal(await waitFor("the address to be found", place), "held");
    for (const { host } of nodes) {
      assert.match(await host.output(["ip", "-o", "addr", "show", "dev", "eth0"]), new RegExp(`${taken}/32`));
      await host.run(["ip", "addr", "del", `${taken}/32`, "dev", "eth0"]);
    }
  });

  test("under Local a node with an endpoint has it, and the Service is as it was", async () => {
    const local = await cluster.expose("local", ["node3"], { policy: "Local" });
    const address = await local.address();
    const owner = await ownerOf(address, ({ name }) => name === "node3");
    assert.equal(owner.name, "node3");
    await local.serveFrom(await cluster.startBackends("moved", ["node2"]));
    await ownerOf(address, ({ name }) => name === "node2");
    const services = (await cluster.api.list("v1", "Service", "default")) as unknown as {
      readonly metadata: { readonly name: string };
      readonly spec: { readonly externalTrafficPolicy?: string };
    }[];
    assert.equal(services.find(({ metadata }) => metadata.name === "local")?.spec.externalTrafficPolicy, "Local");
  });

  test("an interface that is named by what it leads to counts while it does", async () => {
    const target = "198.18.0.1";
    for (const { host } of nodes) await host.ip(`route add ${target}/32 dev eth0`);
    await cluster.configure(named(target));
    const owner = await ownerOf(v4);
    await owner.host.ip(`route del ${target}/32 dev eth0`, `route add unreachable ${target}/32`);
    await ownerOf(v4, ({ name }) => name !== owner.name);
    await owner.host.ip(`route del unreachable ${target}/32`, `route add ${target}/32 dev eth0`);
    await ownerOf(v4, ({ name }) => name === owner.name);
  });

  const named = (target: string, fields = "") =>
    configuration.replace("placement: lan\n", `placement: lan\n  interfaces: ["can_reach:${target}"]\n${fields}`);

  test("a node asks its kernel what an interface leads to before it judges by that", async () => {
    const owner = await ownerOf(v4);
    // Others, which hear of an edit later or sooner, have no part in this.
    const alone = `  node-selectors: [{match-labels: {kubernetes.io/hostname: ${owner.name}}}]\n`;
    const load = async (text: string) => {
      const before = loads(owner);
      await cluster.configure(text);
      await waitFor("the configuration", () => loads(owner) > before);
      await ownerOf(v4);
    };
    await load(configuration.replace("placement: lan\n", `placement: lan\n${alone}`));
    const watch = await owner.host.spawn(`monitor-routes-${owner.name}`, ["ip", "-o", "monitor", "address"]);
    await load(named("172.30.0.1", alone));
    await watch.stop();
    assert.deepEqual(
      watch.lines.filter((line) => line.includes("Deleted")),
      [],
    );
  });

  test("with placement auto it is so for an address of the LAN, and all nodes have another one", async () => {
    for (const address of ["172.30.0.181", "198.51.100.9"]) {
      const annotations = { "metallb.io/loadBalancerIPs": address };
      await cluster.expose(`auto-${address.split(".").at(-1)}`, ["node1"], { annotations });
    }
    await ownerOf("172.30.0.181");
    await waitFor("all nodes", async () => (await having("198.51.100.9", "kube-lb0")).length === 3);
    assert.deepEqual(await having("172.30.0.181", "kube-lb0"), []);
    assert.deepEqual(await having("198.51.100.9"), []);
  });
});
