import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Host, Lab, type LabProcess, waitFor } from "#e2e/lab";

/** A web server on every address of the host that answers with the host's name and the client's address. */
async function serve(host: Host): Promise<LabProcess> {
  const script = `require("node:http")
    .createServer((request, response) => response.end("${host.name} to " + request.socket.remoteAddress))
    .listen(80, "::", () => console.log("listening"))`;
  const server = await host.spawn(`${host.name}-web`, ["node", "-e", script]);
  await server.waitForLine(/^listening$/);
  return server;
}

suite("two hosts on a switch", async () => {
  const lab = await Lab.start();
  const lan = await lab.switch("lan");
  const node = await lab.host("node");
  await node.attach(lan, { mac: "02:aa:00:00:00:01", addresses: ["172.30.0.11/24", "fd00:30::11/64"] });
  const client = await lab.host("client");
  await client.attach(lan, { addresses: ["172.30.0.100/24", "fd00:30::100/64"] });
  await serve(node);

  test("reach each other over IPv4 and IPv6, under the MAC address that was asked for", async () => {
    assert.deepEqual(await client.get("http://172.30.0.11/"), { status: 200, body: "node to ::ffff:172.30.0.100" });
    assert.deepEqual(await client.get("http://[fd00:30::11]/"), { status: 200, body: "node to fd00:30::100" });
    const neighbors = await client.output(["ip", "neigh", "show", "dev", "eth0"]);
    assert.match(neighbors, /^172\.30\.0\.11 lladdr 02:aa:00:00:00:01/m);
    assert.match(neighbors, /^fd00:30::11 lladdr 02:aa:00:00:00:01/m);
    assert.equal(await node.link("eth0").mac(), "02:aa:00:00:00:01");
  });

  test("lose the carrier when unplugged, and are back when plugged in", async () => {
    const link = node.link("eth0");
    await lan.unplug(node);
    assert.equal(await link.carrier(), false);
    await assert.rejects(client.get("http://172.30.0.11/", { timeout: 200 }));
    await lan.plug(node);
    assert.equal(await link.carrier(), true);
    await waitFor("an answer", () => client.get("http://172.30.0.11/", { timeout: 200 }));
    await waitFor("an answer over IPv6", () => client.get("http://[fd00:30::11]/", { timeout: 200 }));
  });

  test("keep the carrier and lose every frame when the switch isolates one", async () => {
    await lan.isolate(node);
    assert.equal(await node.link("eth0").carrier(), true);
    await assert.rejects(client.get("http://172.30.0.11/", { timeout: 200 }));
    await lan.rejoin(node);
    await waitFor("an answer", () => client.get("http://172.30.0.11/", { timeout: 200 }));
  });

  test("keep their addresses when an interface is turned off and on", async () => {
    const link = node.link("eth0");
    await link.down();
    assert.equal(await link.carrier(), false);
    await link.up();
    await waitFor("an answer", () => client.get("http://172.30.0.11/", { timeout: 200 }));
    await waitFor("an answer over IPv6", () => client.get("http://[fd00:30::11]/", { timeout: 200 }));
  });

  test("a port published here leads to what the host reaches", async () => {
    await using published = await client.publish("fd00:30::11", 80);
    const response = await fetch(`http://127.0.0.1:${published.port}/`);
    assert.equal(await response.text(), "node to fd00:30::100");
  });

  test("a refused connection is refused with the kernel's code", async () => {
    await assert.rejects(client.connect("172.30.0.11", 81), { code: "ECONNREFUSED" });
  });

  test("a switch does not change a port that it does not have", async () => {
    const loner = await lab.host("loner");
    await assert.rejects(lan.unplug(loner), { message: "Cannot change the port of loner: it is not attached to lan" });
  });

  test("the lab ends", async () => {
    await lab[Symbol.asyncDispose]();
    await assert.rejects(client.run(["true"]), /^Error: Cannot run true in client: /);
  });
});

test("a router carries both families between switches, and only with forwarding", async () => {
  await using lab = await Lab.start();
  const [left, right] = [await lab.switch("left"), await lab.switch("right")];
  const router = await lab.host("router", { forwarding: true });
  await router.attach(left, { addresses: ["10.1.0.1/24", "fd00:1::1/64"] });
  await router.attach(right, { addresses: ["10.2.0.1/24", "fd00:2::1/64"] });
  const client = await lab.host("client");
  await client.attach(left, { addresses: ["10.1.0.2/24", "fd00:1::2/64"] });
  await client.route("default", "10.1.0.1");
  await client.route("default", "fd00:1::1");
  const node = await lab.host("node");
  await node.attach(right, { addresses: ["10.2.0.2/24", "fd00:2::2/64"] });
  await node.route("10.1.0.0/24", "10.2.0.1");
  await node.route("fd00:1::/64", "fd00:2::1");
  await serve(node);

  assert.equal((await client.get("http://10.2.0.2/")).body, "node to ::ffff:10.1.0.2");
  assert.equal((await client.get("http://[fd00:2::2]/")).body, "node to fd00:1::2");
  await router.sysctl({ "net.ipv4.ip_forward": 0 });
  await assert.rejects(client.get("http://10.2.0.2/", { timeout: 200 }));
});

test("a route over several gateways has a next hop for each", async () => {
  await using lab = await Lab.start();
  const router = await lab.host("router");
  await router.attach(await lab.switch("lan"), { addresses: ["10.0.0.1/24"] });
  await router.route("192.0.2.0/24", "10.0.0.11", "10.0.0.12");
  assert.match(
    await router.output(["ip", "route"]),
    /192\.0\.2\.0\/24 \n\s+nexthop via 10\.0\.0\.11 .*\n\s+nexthop via 10\.0\.0\.12 /,
  );
});

test("a host answers ARP as a plain one, also on a machine that is set up for strict ARP", async () => {
  await using lab = await Lab.start();
  const host = await lab.host("host");
  const names = ["all", "default"].flatMap((of) => ["arp_ignore", "arp_announce"].map((name) => `${of}/${name}`));
  const values = await host.output(["cat", ...names.map((name) => `/proc/sys/net/ipv4/conf/${name}`)]);
  assert.equal(values, "0\n0\n0\n0\n"); // A new network namespace takes those of the machine.
});

test("two labs at once have the same names and addresses and never meet", async () => {
  const build = async () => {
    const lab = await Lab.start();
    const lan = await lab.switch("lan");
    const [server, client] = [await lab.host("server"), await lab.host("client")];
    await server.attach(lan, { addresses: ["10.0.0.1/24"] });
    await client.attach(lan, { addresses: ["10.0.0.2/24"] });
    return { lab, server, client };
  };
  const [one, two] = await Promise.all([build(), build()]);
  await using _one = one.lab;
  await using _two = two.lab;
  await serve(one.server);
  assert.equal((await one.client.get("http://10.0.0.1/")).body, "server to ::ffff:10.0.0.2");
  await assert.rejects(two.client.get("http://10.0.0.1/"), { code: "ECONNREFUSED" });
  assert.equal(await two.client.output(["sh", "-c", "ls /run/netns | xargs"]), "client server\n");
});

test("what the kernel refuses is said with the lines that were tried", async () => {
  await using lab = await Lab.start();
  const host = await lab.host("host");
  await assert.rejects(
    host.ip("addr add 10.0.0.1/24 dev eth7"),
    /ip on host \(addr add .* dev eth7\).*Cannot find device "eth7"/s,
  );
  await assert.rejects(lab.host("host"), /Cannot create namespace file .*File exists/s);
  await assert.rejects(lab.host("Node 1"), /^RangeError: Cannot name a host or switch Node 1/);
});
