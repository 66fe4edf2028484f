/** Interfaces that come, go and change under the announcements. Run by `layer2.test.ts`. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { TrackedInterface } from "#pkg/linux";
import { Address, type Mac } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { decodeArp, encodeArp } from "../frames/arp.ts";
import { Interfaces } from "../interfaces.ts";
import type { AddressSighting } from "../layer2.ts";
import { SharedMemory } from "../shared-memory.ts";
import { ip, Lan } from "./lan.ts";
import { gratuitous, mac, macText, quiet, requestFor, started, statusOf, threadMilliseconds, until, virtual } from "./support.ts";

let lan: Lan;

before(async () => {
  lan = await Lan.start();
  await lan.join("lan0", "host0", "192.0.2.2/24");
});

after(() => lan[Symbol.dispose]());

test("an interface that is removed and made again at once is answered on, and the address announced anew", async () => {
  await using layer2 = await started();
  layer2.announce(virtual);
  const before = macText("lan0");
  for (let i = 0; i < 5; i++) {
    ip("link delete lan0");
    await lan.join("lan0", "host0", "192.0.2.2/24");
  }
  assert.notEqual(macText("lan0"), before);
  assert.equal(await lan.call("resolve", "192.0.2.100"), macText("lan0"));
  await until(() => layer2.interfaces().find(({ name }) => name === "lan0")?.mac === macText("lan0"));
});

test("an interface that takes the index of another is answered on, even if nothing was seen in between", async () => {
  const shared = SharedMemory.create();
  using interfaces = new Interfaces(shared, () => {});
  const index = Number.parseInt(ip("-o link show dev lan0"), 10);
  assert.equal(interfaces.update([ethernet(index)], 0).length, 1);
  ip("link delete lan0");
  ip(`link add lan0 index ${index} type veth peer name host0 netns ${lan.pid}`);
  ip("address add 203.0.113.1/24 dev lan0");
  ip("link set lan0 up");
  await lan.adopt("host0", "192.0.2.2/24");
  const [socket] = interfaces.update([ethernet(index, { generation: 2 })], 0);
  await lan.call("send", "host0", [encodeArp(await requestFor(lan, quiet))]);
  for (const fd of socket?.fds ?? []) socket?.serve(fd, { find: () => undefined, sight: () => {}, prove: () => undefined });
  assert.ok(shared.totals.get("notAnnounced") >= 1);
});

test("an interface to Pods has a socket while an announcement names it, and a later one of its name has none", () => {
  using interfaces = new Interfaces(SharedMemory.create(), () => {});
  const index = Number.parseInt(ip("-o link show dev lan0"), 10);
  const opened = (generation: number) =>
    interfaces.update([ethernet(index, { kind: "veth", name: "cali1", generation })], 0).length;
  assert.equal(opened(1), 0);
  assert.equal(interfaces.name(["cali*"], 0)?.length, 1);
  assert.equal(interfaces.name(["cali*"], 0), undefined);
  interfaces.unname(["cali*"]);
  assert.equal(opened(2), 1);
  interfaces.unname(["cali*"]);
  assert.equal(opened(3), 0);
});

test("a change of one interface leaves what is known of the others untouched", async () => {
  await using layer2 = await started();
  const named = (wanted: string) => layer2.interfaces().find(({ name }) => name === wanted);
  ip("link add pod0 type veth peer name in0");
  await until(() => named("pod0")?.status === "down");
  await until(() => named("lan0")?.unfit === undefined); // Until nobody else is known to have its IPv6 address.
  const other = named("lan0");
  assert.ok(other);
  ip("link set pod0 up");
  await until(() => named("pod0")?.status === "answering");
  assert.equal(named("lan0"), other);
  ip("link delete pod0");
  await until(() => named("pod0") === undefined);
  assert.equal(named("lan0"), other);
});

test("an interface that cannot be opened is tried again every second, logged once, and leaves the others alone", async () => {
  const lines: string[] = [];
  using interfaces = new Interfaces(SharedMemory.create(), (level, message) => lines.push(`${level}: ${message}`));
  const lan0 = Number.parseInt(ip("-o link show dev lan0"), 10);
  const missing = 4242;
  const opened = interfaces.update([ethernet(missing), ethernet(lan0)], 0);
  assert.deepEqual(
    opened.map(({ interface: { index } }) => index),
    [lan0],
  );
  const statuses = () => interfaces.states().map(({ status, error }) => [status, error]);
  const why = `Cannot open a packet socket on interface ${missing}: bind: ENODEV, no such device`;
  assert.deepEqual(statuses(), [
    ["answering", undefined],
    ["failing", why],
  ]);
  assert.equal(interfaces.nextAt, 1000);
  assert.deepEqual(interfaces.retry(999), []);
  assert.deepEqual(interfaces.retry(1000), []);
  assert.deepEqual(lines, [
    "error: requests on interface cannot be answered, trying again",
    "info: created ARP responder for interface",
    "info: created NDP responder for interface",
  ]);
  ip(`link add late0 index ${missing} type veth peer name late1`);
  using _ = { [Symbol.dispose]: () => ip("link delete late0") };
  assert.deepEqual(
    interfaces.retry(2000).map(({ interface: { index } }) => index),
    [missing],
  );
  assert.deepEqual(statuses(), [
    ["answering", undefined],
    ["answering", undefined],
  ]);
  assert.equal(interfaces.nextAt, Infinity);
});

test("an interface that goes down and up is answered on, and one whose MAC address changes answers with the new one and says so", async () => {
  await using layer2 = await started();
  layer2.announce(virtual);
  ip("link set lan0 down");
  await until(() => statusOf(layer2, "lan0") === "down");
  ip("link set lan0 up");
  assert.equal(await lan.call("resolve", "192.0.2.100"), macText("lan0"));
  await lan.call("listen", "host0");
  ip("link set lan0 address 02:00:00:00:00:77");
  const seen = await gratuitous(lan, 500);
  assert.ok(seen.some(({ frame }) => frame.senderMac === 0x020000000077));
  assert.equal(await lan.call("resolve", "192.0.2.100"), "02:00:00:00:00:77");
});

test("an interface that gets its carrier back announces anew, and has not tried without", async () => {
  await using layer2 = await started();
  await lan.call("run", "ip", "link", "set", "host0", "down");
  await until(() => layer2.interfaces().find(({ name }) => name === "lan0")?.running === false);
  layer2.announce(quiet);
  await sleep(100);
  await lan.call("run", "ip", "link", "set", "host0", "up");
  await until(() => [...layer2.addressCounters()][0]?.gratuitousSent === 2);
  assert.equal(layer2.counters().sendFailures, 0);
  await lan.call("listen", "host0"); // The client's socket would tell once that its interface was down, also when it sends.
});

test("a port of a bridge is not answered on, and its bridge is", async () => {
  await using layer2 = await started();
  layer2.announce(virtual);
  ip("link add bridge0 type bridge");
  ip("link set bridge0 address 02:00:00:00:00:88 up");
  ip("link set lan0 master bridge0");
  await until(() => statusOf(layer2, "lan0") === "enslaved" && statusOf(layer2, "bridge0") === "answering");
  await until(() => layer2.interfaces().find(({ name }) => name === "bridge0")?.running === true);
  assert.equal(await lan.call("resolve", "192.0.2.100"), "02:00:00:00:00:88");
  ip("link set lan0 nomaster");
  ip("link delete bridge0");
  await until(() => statusOf(layer2, "lan0") === "answering");
  assert.equal(await lan.call("resolve", "192.0.2.100"), macText("lan0"));
});

test("an interface with the MAC address of a virtual router, which other nodes have too, sends nothing", async (t) => {
  const shared = "00:00:5e:00:01:33";
  try {
    ip(`link add link lan0 name vrrp51 address ${shared} type macvlan mode private`);
  } catch {
    t.skip("this kernel has no macvlan (CONFIG_MACVLAN)");
    return;
  }
  using _ = { [Symbol.dispose]: () => ip("link delete vrrp51") };
  ip("address add 192.0.2.51/32 dev vrrp51");
  ip("link set vrrp51 up");
  await using layer2 = await started();
  await lan.call("listen", "host0");
  layer2.announce(virtual);
  await until(() => statusOf(layer2, "vrrp51") === "virtualRouter");
  await lan.call("send", "host0", [encodeArp(await requestFor(lan, virtual))]);
  const seen = await lan.call("collect", "host0", 1_500);
  const of = Number(virtual.value);
  const senders = seen.flatMap(({ frame }) => decodeArp(frame) ?? []).filter(({ senderAddress }) => senderAddress === of);
  assert.deepEqual([...new Set(senders.map(({ source }) => source))], [mac("lan0")]);
});

test("what another node sends as a virtual router, whose MAC address an interface here has too, is of another host", async () => {
  const shared = "00:00:5e:00:01:34";
  ip(`link add vrrp52 address ${shared} type veth peer name in52`); // As keepalived makes on each node of a virtual router.
  using _ = { [Symbol.dispose]: () => ip("link delete vrrp52") };
  ip("link set vrrp52 up");
  const sightings: AddressSighting[] = [];
  await using layer2 = await started({ onSighting: (sighting) => sightings.push(sighting) });
  layer2.announce(quiet);
  await until(() => statusOf(layer2, "vrrp52") === "virtualRouter");
  const sender = { source: mac("vrrp52"), senderMac: mac("vrrp52"), senderAddress: Number(quiet.value) };
  await lan.call("send", "host0", [encodeArp(await requestFor(lan, quiet, sender))]);
  await until(() => sightings.length > 0, 5_000);
  assert.deepEqual(sightings[0], { address: quiet, mac: shared, kind: "announces", interface: "lan0", ownMac: macText("lan0") });
});

test("what comes by a VLAN with an interface of its own is answered by that one alone, and shows nothing on the one below", async (t) => {
  try {
    ip("link add link lan0 name vlan5 type vlan id 5");
  } catch {
    t.skip("this kernel has no VLANs (CONFIG_VLAN_8021Q)");
    return;
  }
  using _ = { [Symbol.dispose]: () => ip("link delete vlan5") };
  ip("address add 198.51.100.1/24 dev vlan5");
  ip("link set vlan5 up");
  const sightings: string[] = [];
  await using layer2 = await started({ onSighting: ({ address, interface: name }) => sightings.push(`${address} ${name}`) });
  await until(() => statusOf(layer2, "vlan5") === "answering");
  layer2.announce(quiet);
  const inVlan = (frame: Uint8Array) => new Uint8Array([...frame.subarray(0, 12), 0x81, 0, 0, 5, ...frame.subarray(12)]);
  await lan.call("send", "host0", [inVlan(encodeArp(await requestFor(lan, quiet)))]);
  await until(() => [...layer2.addressCounters()][0]?.requestsReceived !== 0);
  assert.ok(await lan.call("request", "host0", await requestFor(lan, quiet), 30_000));
  assert.equal([...layer2.addressCounters()][0]?.requestsReceived, 2);
  layer2.announce(virtual, { interfaces: ["lan0"] });
  const uses = async (last: number) =>
    encodeArp(await requestFor(lan, quiet, { senderMac: last, source: last, senderAddress: Number(virtual.value) }));
  await lan.call("send", "host0", [inVlan(await uses(0x0200000000aa)), await uses(0x0200000000bb)]);
  await until(() => sightings.length > 0);
  assert.deepEqual(sightings, ["192.0.2.100 lan0"]);
  assert.equal([...layer2.addressCounters()][1]?.sightings, 1);
});

test("when another interface to the LAN is gone or has no carrier, hosts hear where this one is", async () => {
  await lan.join("lan1", "host1", "198.51.100.2/24");
  using _ = { [Symbol.dispose]: () => ip("link delete lan1") };
  using interfaces = new Interfaces(SharedMemory.create(), () => {});
  const [lan0, lan1] = ["lan0", "lan1"].map((name) => Number.parseInt(ip(`-o link show dev ${name}`), 10));
  assert.ok(lan0 !== undefined && lan1 !== undefined);
  const on = (index: number, subnet: string, changes: Partial<TrackedInterface> = {}) => {
    const [text = "", length] = subnet.split("/");
    const own = { interfaceIndex: index, address: address(text), prefixLength: Number(length), flags: 0x80 };
    return ethernet(index, { addresses: [{ ...own, protocol: undefined, validSeconds: Infinity }], ...changes });
  };
  const anew = (...links: TrackedInterface[]) => interfaces.update(links, 0).map((socket) => socket.interface.index);
  const first = on(lan0, "192.0.2.1/24");
  const second = on(lan1, "192.0.2.2/24");
  assert.deepEqual(anew(first, second), [lan0, lan1]);
  assert.deepEqual(anew(first, second), []);
  assert.deepEqual(anew(first, { ...second, running: false }), [lan0]);
  assert.deepEqual(anew(first, second), [lan1], "the carrier is back");
  assert.deepEqual(anew(first), [lan0], "it is gone");
  assert.deepEqual(anew(first, on(lan1, "203.0.113.2/24")), [lan1]);
  assert.deepEqual(anew(first), [], "it led elsewhere");
  assert.deepEqual(anew(on(lan0, "203.0.113.1/24")), [lan0], "a subnet comes behind it");
  assert.deepEqual(anew(ethernet(lan0)), []);
});

test("every interface answers with its own MAC address", async () => {
  await lan.join("lan1", "host1", "198.51.100.2/24");
  using _ = { [Symbol.dispose]: () => ip("link delete lan1") };
  await using layer2 = await started();
  layer2.announce(quiet);
  const macs: (Mac | undefined)[] = [];
  for (const name of ["host0", "host1"]) {
    const answer = await lan.call("request", name, await requestFor(lan, quiet), 30_000);
    macs.push(answer?.reply.senderMac);
  }
  assert.deepEqual(macs, [mac("lan0"), mac("lan1")]);
});

test("an address for some interfaces is answered for and announced on these alone, and on others once it is for those", async () => {
  await lan.join("lan1", "host1", "198.51.100.2/24");
  using _ = { [Symbol.dispose]: () => ip("link delete lan1") };
  await using layer2 = await started();
  await until(() => statusOf(layer2, "lan1") === "answering");
  const request = await requestFor(lan, quiet);
  const answered = async () => {
    const answers = [await lan.call("request", "host0", request, 200), await lan.call("request", "host1", request, 200)];
    return answers.map((answer) => answer !== undefined);
  };
  const sent = () => [...layer2.addressCounters()][0]?.gratuitousSent;
  layer2.announce(quiet, { interfaces: ["nope", "?an1"] });
  await until(() => sent() === 2);
  assert.deepEqual(await answered(), [false, true]);
  assert.equal(layer2.counters().ignored.notAnnounced, 1);
  layer2.announce(quiet, { interfaces: ["lan*"] });
  await until(() => (sent() ?? 0) >= 6);
  assert.deepEqual(await answered(), [true, true]);
  layer2.announce(quiet, { interfaces: ["lan0"] });
  await lan.call("listen", "host1");
  assert.deepEqual(await answered(), [true, false]);
  assert.deepEqual(await gratuitous(lan, 1500, "host1"), [], "what was begun there has ended");
  layer2.announce(quiet);
  assert.deepEqual(await answered(), [true, true]);
});

test("an address is neither answered for, nor probed, nor seen on an interface to Pods alone, unless its pool names the interface", async () => {
  await lan.join("cali0", "host1");
  ip("address flush dev cali0 scope global");
  using _ = { [Symbol.dispose]: () => ip("link delete cali0") };
  const sightings: AddressSighting[] = [];
  await using layer2 = await started({ onSighting: (sighting) => sightings.push(sighting) });
  await until(() => statusOf(layer2, "cali0") === "answering");
  const request = await requestFor(lan, quiet);
  const isAnswered = async (within: number) => (await lan.call("request", "host1", request, within)) !== undefined;
  const thief = 0x020000000042;
  const target = Number(quiet.value);
  const theft = await requestFor(lan, quiet, { source: thief, senderMac: thief, senderAddress: target });
  /** Probes on the interface of the Pod, which then says that it has the address. @returns how many probes came */
  const probe = async (isNamed: boolean) => {
    await lan.call("listen", "host1");
    layer2.probe(quiet);
    await lan.call("send", "host1", [encodeArp(theft)]);
    const frames = (await lan.call("collect", "host1", 300)).map(({ frame }) => decodeArp(frame));
    assert.equal(await isAnswered(isNamed ? 30_000 : 500), isNamed); // By now what came before has been read.
    return frames.filter((frame) => frame?.senderAddress === 0 && frame.targetAddress === target).length;
  };
  layer2.announce(quiet);
  assert.deepEqual([await probe(false), sightings], [0, []]);
  ip("address add 203.0.113.9/32 dev cali0"); // The node may be a container, which has no other address.
  await until(() => layer2.interfaces().some(({ name, addresses }) => name === "cali0" && addresses.includes("203.0.113.9/32")));
  assert.deepEqual([await probe(true), sightings], [0, []]);
  await lan.call("send", "host0", [encodeArp(theft)]);
  await until(() => sightings.length === 1);
  layer2.announce(quiet, { interfaces: ["cali0"] });
  assert.equal(await probe(true), 1);
  await until(() => sightings.length === 2);
  assert.deepEqual(
    sightings.map((sighting) => sighting.interface),
    ["lan0", "cali0"],
  );
});

test("an interface to a Pod is said to fail where a pool names it and its socket cannot be opened", async () => {
  await lan.join("cali0", "host1");
  ip("address flush dev cali0 scope global");
  using _ = { [Symbol.dispose]: () => ip("link delete cali0") };
  await using layer2 = await started();
  layer2.announce(virtual);
  await layer2.begin();
  await until(() => statusOf(layer2, "cali0") === "answering");
  await sleep(3_000); // Its IPv6 address is checked by now: nothing else tells of it.
  const limit = (soft: string | number) => `prlimit --pid ${process.pid} --nofile=${soft}:4096`;
  const shell = spawn("sh", ["-c", `read free; ${limit("$free")}; echo few; read enough; ${limit(4_096)}`]);
  const free = openSync("/dev/null", "r");
  closeSync(free);
  shell.stdin.write(`${free}\n`);
  await once(shell.stdout, "data");
  layer2.announce(quiet, { interfaces: ["cali0"] });
  await until(() => statusOf(layer2, "cali0") === "failing");
  shell.stdin.end("\n");
  await until(() => statusOf(layer2, "cali0") === "answering");
});

test("a node with many Pods closes no sockets of theirs when its speaker ends, each of which takes the kernel a while", async () => {
  for (let i = 0; i < 60; i++) ip(`link add cali${i} type veth peer name pod${i}`);
  for (let i = 0; i < 60; i++) for (const end of ["cali", "pod"]) ip(`link set ${end}${i} up`);
  const sockets = () => readFileSync("/proc/self/net/packet", "utf8").split("\n").length;
  const before = sockets();
  {
    await using layer2 = await started();
    await until(() => statusOf(layer2, "cali59") === "answering");
    assert.ok(sockets() - before < 20, `${sockets() - before}`);
  }
  for (let i = 0; i < 60; i++) ip(`link delete cali${i}`);
});

test("a thousand addresses of each family cost a node with many Pods little more than one with none", async () => {
  const firsts = [address("198.51.100.0"), address("2001:db8:1::1")];
  const addresses = firsts.flatMap(({ family, value }) =>
    Array.from({ length: 1000 }, (_, i) => new Address(family, value + BigInt(i))),
  );
  const costs: number[] = [];
  for (const pairs of [0, 60]) {
    for (let i = 0; i < pairs; i++) {
      ip(`link add cali${i} type veth peer name pod${i}`);
      for (const end of ["cali", "pod"]) ip(`link set ${end}${i} up`);
    }
    await using layer2 = await started();
    await sleep(1000); // Its code is read, and the kernel has done with the interfaces.
    const before = threadMilliseconds("layer2");
    for (const each of addresses) layer2.announce(each);
    await sleep(3000);
    costs.push(threadMilliseconds("layer2") - before);
    for (let i = 0; i < pairs; i++) ip(`link delete cali${i}`);
  }
  const [alone = 0, withPods = Infinity] = costs;
  assert.ok(withPods < 3 * alone + 150, `${withPods} ms instead of ${alone} ms`);
});

test("an interface that gets another name while it is up has all addresses announced anew, those of its new name", () => {
  using interfaces = new Interfaces(SharedMemory.create(), () => {});
  const index = Number.parseInt(ip("-o link show dev lan0"), 10);
  const announcement = { address: Number(quiet.value), row: 0, interfaces: ["wan*"], answers: true, silent: false };
  const named = (name: string) => interfaces.update([ethernet(index, { name })], 0).map((port) => port.isFor(announcement));
  assert.deepEqual(named("lan0"), [false]);
  assert.deepEqual(named("lan0"), []);
  assert.deepEqual(named("wan0"), [true]);
});

test("an interface that gets another name answers for the addresses of that name, as one does that comes later", async () => {
  await lan.join("lan1", "host1", "198.51.100.2/24");
  await using layer2 = await started();
  layer2.announce(quiet, { interfaces: ["late*"] });
  layer2.announce(virtual, { interfaces: ["lan1"] });
  const asks = async (target: Address) => lan.call("request", "host1", await requestFor(lan, target), 200);
  const sent = () => [...layer2.addressCounters()][0]?.gratuitousSent ?? 0;
  await until(() => statusOf(layer2, "lan1") === "answering");
  assert.deepEqual([await asks(quiet), (await asks(virtual)) !== undefined], [undefined, true]);
  ip("link set lan1 down"); // Linux before 6.2 renames no link that is up.
  ip("link set lan1 name late1");
  ip("link set late1 up");
  await until(() => sent() > 0);
  assert.deepEqual([(await asks(quiet)) !== undefined, await asks(virtual)], [true, undefined]);
  ip("link delete late1");
  await until(() => statusOf(layer2, "late1") === undefined);
  const before = sent();
  await lan.join("late2", "host1", "198.51.100.2/24");
  using _ = { [Symbol.dispose]: () => ip("link delete late2") };
  await until(() => sent() > before);
  assert.ok(await asks(quiet));
});

/** An interface as the kernel describes it. */
function ethernet(index: number, changes: Partial<TrackedInterface> = {}): TrackedInterface {
  return {
    index,
    name: `index${index}`,
    hardwareType: 1,
    hardwareAddress: "02:00:00:00:00:01",
    up: true,
    broadcast: true,
    loopback: false,
    noArp: false,
    running: true,
    master: undefined,
    kind: undefined,
    masterKind: undefined,
    generation: 1,
    ipv6Generation: 0,
    addresses: [],
    ...changes,
  };
}
