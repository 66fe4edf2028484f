import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { allNodesGroup, formatMac, type Mac, multicastMac, unspecifiedAddress } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { unsolicited } from "../frames/answers.ts";
import { decodeNeighbor, encodeNeighbor, type NeighborFrame, NeighborType, solicitedNodeGroup } from "../frames/ndp.ts";
import type { AddressSighting } from "../index.ts";
import { ip, Lan } from "./lan.ts";
import { assertTurns, clientMac, mac, macText, started, statusOf, until } from "./support.ts";

/** NDP on a LAN of network namespaces, with the Linux kernel as the client. Run by `layer2.test.ts`. */

const virtual = address("2001:db8::100");
// Not known to the client's kernel, so that no solicitation of its own comes between.
const quiet = address("2001:db8::101");
const foreign = address("2001:db8:9::9");
let lan: Lan;
let own: readonly string[] = []; // Groups of the interface itself; a router has one more for its anycast address.

before(async () => {
  // The setting of a Kubernetes node: the kernel would also forward packets for an address that it does not have.
  writeFileSync("/proc/sys/net/ipv6/conf/all/forwarding", "1");
  lan = await Lan.start();
  await lan.join("lan0", "host0", "2001:db8::2/64", "2001:db8:9::9/64");
  // Five seconds after it has used an entry a kernel would ask its neighbor whether it is still there, and that comes between what is counted here.
  await lan.call("setting", "net/ipv6/neigh/host0/delay_first_probe_time", 3600);
  writeFileSync("/proc/sys/net/ipv6/neigh/lan0/delay_first_probe_time", "3600");
  ip("address add 2001:db8::1/64 dev lan0 nodad");
  await until(() => joined().includes("ff02::1:ff00:1")); // The address has its group.
  own = [...joined(), "ff02::1:ff00:0"];
});

after(() => lan[Symbol.dispose]());

test("the kernel of a client finds an announced address at the MAC address of the interface, and no longer once it is withdrawn", async () => {
  await using layer2 = await started();
  assert.equal(await lan.call("resolve", "2001:db8::100", 1000), undefined);
  layer2.announce(virtual);
  assert.equal(await lan.call("resolve", "2001:db8::100"), macText("lan0"));
  layer2.withdraw(virtual);
  assert.equal(await lan.call("resolve", "2001:db8::100", 1000), undefined);
  layer2.announce(virtual);
  assert.equal(await lan.call("resolve", "2001:db8::100"), macText("lan0"));
});

test("the kernel of a client that checks whether the neighbor is still there, by unicast, learns that it is", async () => {
  await using layer2 = await started();
  layer2.announce(virtual);
  const state = async () => (await neighbor("2001:db8::100"))?.state.join();
  await lan.call("run", "ip", "neigh", "replace", "2001:db8::100", "lladdr", macText("lan0"), "nud", "probe", "dev", "host0");
  for (const end = performance.now() + 60_000; (await state()) !== "REACHABLE" && performance.now() < end; await sleep(20));
  assert.equal(await state(), "REACHABLE");
  assert.equal([...layer2.addressCounters()][0]?.responsesSent, 1);
});

const toSelf = (ours: Mac) => ({ destinationMac: ours, destination: quiet.value });
const probe = { source: unspecifiedAddress, linkLayerAddress: undefined };
const requests: { name: string; changes: (ours: Mac) => Partial<NeighborFrame>; answered: boolean }[] = [
  { name: "a solicitation to the group", changes: () => ({}), answered: true },
  { name: "one to the address itself", changes: toSelf, answered: true },
  { name: "one without a link-layer address", changes: () => ({ linkLayerAddress: undefined }), answered: true },
  { name: "one from another subnet", changes: () => ({ source: foreign.value }), answered: true },
  { name: "a duplicate address detection", changes: () => probe, answered: true },
  { name: "one for an address not announced", changes: () => ({ target: foreign.value }), answered: false },
  { name: "one to another machine", changes: () => ({ destinationMac: 0x020000000009 }), answered: false },
  { name: "one who has the address himself", changes: () => ({ source: quiet.value }), answered: false },
];
test("solicitations are answered by the rules, to the sender, from the interface", async () => {
  await lan.call("run", "ip", "neigh", "flush", "dev", "host0"); // Of neighbors that it knows the client's kernel asks again.
  await using layer2 = await started();
  layer2.announce(quiet);
  for (const { name, changes, answered } of requests) {
    const solicitation = await solicitationFor(changes(mac("lan0")));
    const answer = await lan.call("solicit", "host0", solicitation, answered ? 30_000 : 100);
    const asksAll = solicitation.source === unspecifiedAddress;
    const want = {
      ...unsolicited(mac("lan0"), quiet.value),
      ...(!asksAll && { destinationMac: solicitation.sourceMac, destination: solicitation.source, solicited: true }),
    };
    assert.deepEqual(answer?.reply, answered ? want : undefined, name);
  }
  await until(() => layer2.counters().ignored.gratuitous > 0); // The last one.
  const addresses = [...layer2.addressCounters()];
  const { ignored, sendFailures } = layer2.counters();
  assert.deepEqual([addresses[0]?.requestsReceived, addresses[0]?.responsesSent, sendFailures], [5, 5, 0]);
  assert.deepEqual([ignored.notAnnounced, ignored.notForUs, ignored.gratuitous], [1, 1, 1]);
});

test("what is malformed is counted and changes nothing, and what has an extension header does not reach us", async () => {
  await using layer2 = await started();
  layer2.announce(quiet);
  const solicitation = await solicitationFor();
  const good = encodeNeighbor(solicitation);
  const malformed = [good.with(21, 64), good.with(57, (good[57] ?? 0) ^ 1), good.with(79, 0), good.subarray(0, 60)];
  const extension = new Uint8Array([...good.subarray(0, 54), 58, 0, 1, 4, 0, 0, 0, 0, ...good.subarray(54)]);
  extension.set([0, good.length - 46, 0], 18); // The length, and what follows the header: hop-by-hop options.
  const advertised = encodeNeighbor(unsolicited(solicitation.sourceMac, foreign.value));
  await lan.call("send", "host0", [...malformed, extension, advertised]);
  assert.ok(await lan.call("solicit", "host0", solicitation, 30_000));
  const { ignored } = layer2.counters();
  const addresses = [...layer2.addressCounters()];
  assert.deepEqual([ignored.malformed, ignored.notRequest, addresses[0]?.requestsReceived], [4, 1, 1]);
});

test("another host that checks whether an announced address is free learns that it is not, and gives it up", async () => {
  await using layer2 = await started();
  layer2.announce(virtual);
  await lan.call("setting", "net/ipv6/conf/host0/accept_dad", 1);
  await lan.call("run", "ip", "address", "add", "2001:db8::100/64", "dev", "host0");
  await lan.call("run", "ip", "address", "add", "2001:db8::200/64", "dev", "host0");
  const flags = async (local: string) => {
    const [link] = JSON.parse(await lan.call("run", "ip", "-json", "-6", "address", "show", "dev", "host0"));
    return link.addr_info.find((info: { local: string }) => info.local === local);
  };
  for (
    const end = performance.now() + 60_000;
    (await flags("2001:db8::200")).tentative && performance.now() < end;
    await sleep(50)
  );
  assert.equal((await flags("2001:db8::100")).dadfailed, true);
  assert.equal((await flags("2001:db8::200")).tentative, undefined, "an address that nobody has is free");
  for (const taken of ["2001:db8::100", "2001:db8::200"])
    await lan.call("run", "ip", "address", "delete", `${taken}/64`, "dev", "host0");
  await lan.call("setting", "net/ipv6/conf/host0/accept_dad", 0);
});

test("frames of other hosts about an address are reported, and a probe from an own address is answered to this node alone", async () => {
  const sightings: AddressSighting[] = [];
  await using layer2 = await started({ onSighting: (sighting) => sightings.push(sighting) });
  layer2.announce(quiet);
  layer2.listen(foreign); // An address that the client has.
  const foreignHost = 0x020000000042;
  const advertised = unsolicited(foreignHost, quiet.value);
  const forged = { ...advertised, sourceMac: await clientMac(lan, "host0") }; // By the client, in the name of another.
  const frames = [unsolicited(mac("lan0"), quiet.value), forged, advertised];
  await lan.call(
    "send",
    "host0",
    frames.map((frame) => encodeNeighbor(frame)),
  );
  await until(() => sightings.length === 1);
  const common = { interface: "lan0", ownMac: macText("lan0") };
  assert.deepEqual(sightings.shift(), { ...common, address: quiet, mac: formatMac(foreignHost), kind: "announces" });
  const mine = { ...common, address: foreign, mac: formatMac(await clientMac(lan, "host0")) };
  layer2.probe(foreign);
  await until(() => sightings.length === 1);
  layer2.probe(foreign, { to: mine.mac });
  await until(() => sightings.length === 2);
  layer2.probe(foreign, { to: mine.mac, fromOwnAddress: true });
  await until(() => sightings.length === 3);
  assert.deepEqual(sightings, [
    { ...mine, kind: "announces" },
    { ...mine, kind: "announces" },
    { ...mine, kind: "uses" },
  ]);
  assert.deepEqual(
    [...layer2.addressCounters()].map(({ sightings }) => sightings),
    [1, 3],
  );
  assert.equal(layer2.counters().ignored.senderMismatch, 1);
});

test("an address that comes is announced at once, then every 1.1 s for 5 s, and a client that had it elsewhere follows", async () => {
  await using layer2 = await started();
  const elsewhere = ["lladdr", "02:00:00:00:00:09", "nud", "reachable", "dev", "host0"];
  await lan.call("run", "ip", "neigh", "replace", "2001:db8::100", ...elsewhere);
  await lan.call("listen", "host0");
  const begin = performance.timeOrigin + performance.now();
  layer2.announce(virtual);
  const seen = await announced(8_000); // 5 s, and time for a machine that is late.
  assert.deepEqual(
    seen.map(({ frame }) => frame),
    Array(5).fill(unsolicited(mac("lan0"), virtual.value)),
  );
  assertTurns(seen.map(({ at }) => at - begin));
  assert.equal((await neighbor("2001:db8::100"))?.lladdr, macText("lan0"));
  assert.equal([...layer2.addressCounters()][0]?.gratuitousSent, 5);
});

test("an announced address is announced again from time to time, a withdrawn one and one without a refresh are not", async () => {
  await using layer2 = await started({ refreshMs: 200 });
  layer2.announce(virtual);
  layer2.announce(quiet);
  layer2.withdraw(quiet);
  await lan.call("listen", "host0");
  const refreshed = await announced(1000);
  assert.ok(refreshed.length >= 3, `${refreshed.length} were seen`);
  assert.ok(refreshed.every(({ frame }) => frame.target === virtual.value));
  layer2.withdraw(virtual);
  await lan.call("listen", "host0");
  assert.deepEqual(await announced(400), []);
});

test("the group of an address is joined once for all that share it, reported to the switches, and left with the last", async () => {
  const sharing = address("2001:db8:1::100");
  const group = solicitedNodeGroup(virtual.value);
  await using layer2 = await started();
  await lan.call("listen", "host0");
  assert.deepEqual(joined(), []);
  layer2.announce(virtual);
  layer2.announce(sharing);
  await until(() => [...layer2.addressCounters()].every(({ gratuitousSent }) => gratuitousSent > 0));
  assert.deepEqual(joined(), ["ff02::1:ff00:100"]);
  assert.ok(
    (await reports(1500)).some((report) => names(report, group)),
    "no MLD report names the group",
  );
  layer2.withdraw(virtual);
  await sleep(50);
  assert.deepEqual(joined(), ["ff02::1:ff00:100"]);
  layer2.withdraw(sharing);
  await until(() => joined().length === 0);
});

test("an address that is not for an interface is not answered for there, nor its group joined", async () => {
  await using layer2 = await started();
  const answered = async () => (await lan.call("solicit", "host0", await solicitationFor(), 200)) !== undefined;
  layer2.announce(quiet, { interfaces: ["elsewhere"] });
  assert.equal(await answered(), false);
  assert.deepEqual(joined(), []);
  layer2.announce(quiet, { interfaces: ["lan?"] });
  await until(() => joined().length === 1);
  assert.equal(await answered(), true);
  layer2.announce(quiet, { interfaces: ["elsewhere"] });
  await until(() => joined().length === 0);
  assert.equal(await answered(), false);
});

test("where only a Pod can be an address is neither answered for nor in its group, unless it is for that interface by name", async () => {
  await lan.join("cali0", "host1");
  ip("address flush dev cali0");
  using _ = { [Symbol.dispose]: () => ip("link delete cali0") };
  await until(() => joined("cali0").length === 0); // It had an address.
  await using layer2 = await started();
  await until(() => statusOf(layer2, "cali0") === "answering");
  const isAnswered = async (milliseconds: number) => {
    const sourceMac = await clientMac(lan, "host1");
    const solicitation = await solicitationFor({ sourceMac, linkLayerAddress: sourceMac });
    return (await lan.call("solicit", "host1", solicitation, milliseconds)) !== undefined;
  };
  layer2.announce(quiet);
  await until(() => joined().length === 1);
  assert.equal(await isAnswered(500), false);
  assert.deepEqual(joined("cali0"), []);
  layer2.announce(quiet, { interfaces: ["cali0"] });
  await until(() => joined("cali0").length === 1);
  assert.ok(await isAnswered(30_000));
});

test("more groups than one socket may join are joined, and all are left in the end", async () => {
  {
    await using layer2 = await started();
    for (let i = 0; i < 1000; i++) layer2.announce(address(`2001:db8::2:${i.toString(16)}`));
    await until(() => joined().length === 1000);
    for (let i = 0; i < 500; i++) layer2.withdraw(address(`2001:db8::2:${i.toString(16)}`));
    await until(() => joined().length === 500);
    for (let i = 0; i < 500; i++) layer2.announce(address(`2001:db8::2:${i.toString(16)}`));
    await until(() => joined().length === 1000);
  }
  assert.deepEqual(joined(), []);
});

test("a carrier that comes back has the groups reported and the addresses announced again", async () => {
  const sent = () => [...layer2.addressCounters()][0]?.gratuitousSent ?? 0;
  await using layer2 = await started();
  layer2.announce(quiet);
  await until(() => sent() > 0);
  await lan.call("run", "ip", "link", "set", "host0", "down");
  await until(() => layer2.interfaces().find(({ name }) => name === "lan0")?.running === false);
  const before = sent();
  const { sendFailures } = layer2.counters(); // One may have been under way.
  await sleep(1200);
  assert.equal(sent(), before, "without a carrier nothing is sent");
  await lan.call("listen", "host0");
  await lan.call("run", "ip", "link", "set", "host0", "up");
  assert.ok(
    (await reports(6_000)).some((report) => names(report, solicitedNodeGroup(quiet.value))),
    "no MLD report",
  );
  await until(() => sent() > before);
  assert.equal(layer2.counters().sendFailures, sendFailures);
});

test("an interface that goes down and up, or loses IPv6 for a while, is in the groups again, and the address is found", async () => {
  await using layer2 = await started();
  layer2.announce(virtual);
  const changes = [
    ["link set lan0 down", "link set lan0 up"],
    ["link set lan0 mtu 1000", "link set lan0 mtu 1500"], // Below 1280 the kernel forgets all that is IPv6.
  ] as const;
  for (const [away, back] of changes) {
    ip(away);
    const addresses = () => layer2.interfaces().find(({ name }) => name === "lan0")?.addresses ?? [];
    await until(() => !addresses().some((address) => address.includes(":")));
    ip(back);
    await until(() => joined().length === 1);
    assert.equal(await lan.call("resolve", "2001:db8::100"), macText("lan0"));
  }
});

test("an interface that loses IPv6 for so short a time that both are seen at once is in the groups again", async () => {
  await using layer2 = await started();
  layer2.announce(virtual);
  await until(() => joined().length === 1);
  const input = ["link set lan0 mtu 1000", "link set lan0 mtu 1500", "address add 2001:db8::1/64 dev lan0 nodad", ""].join("\n");
  for (let turn = 0; turn < 20; turn++) {
    execFileSync("ip", ["-batch", "-"], { input });
    await until(() => joined().length === 1, 10_000);
  }
});

test("an interface whose MAC address changes answers with the new one and says so", async () => {
  await using layer2 = await started();
  layer2.announce(virtual);
  await until(() => [...layer2.addressCounters()][0]?.gratuitousSent === 1);
  await lan.call("listen", "host0");
  ip("link set lan0 address 02:00:00:00:00:77");
  assert.ok((await announced(500)).some(({ frame }) => frame.linkLayerAddress === 0x020000000077));
  assert.equal(await lan.call("resolve", "2001:db8::100"), "02:00:00:00:00:77");
});

test("a flood of solicitations is answered or counted, frame by frame, and an ordinary one after it is answered", async () => {
  await using layer2 = await started();
  layer2.announce(quiet);
  const solicitation = await solicitationFor();
  const flood = 20_000;
  await lan.call("send", "host0", Array(flood).fill(encodeNeighbor(solicitation)));
  assert.ok(await lan.call("solicit", "host0", solicitation, 30_000));
  const counts = () => {
    const addresses = [...layer2.addressCounters()];
    const { sendFailures } = layer2.counters();
    return { received: addresses[0]?.requestsReceived ?? 0, done: (addresses[0]?.responsesSent ?? 0) + sendFailures };
  };
  await until(() => counts().received === counts().done);
  assert.ok(counts().received > 1 && counts().received <= flood + 1, `${counts().received} were received`);
});

async function neighbor(of: string): Promise<{ lladdr: string; state: string[] } | undefined> {
  return JSON.parse(await lan.call("run", "ip", "-json", "neigh", "show", "to", of))[0];
}

/** The solicited-node groups joined on an interface, but for those that the addresses of lan0 need. */
function joined(name = "lan0"): string[] {
  const [link] = JSON.parse(ip(`-json -6 maddr show dev ${name}`)) as { maddr: { address?: string }[] }[];
  const groups = link?.maddr.flatMap(({ address }) => address ?? []) ?? [];
  return groups.filter((group) => group.startsWith("ff02::1:ff") && !own.includes(group));
}

/** The client's solicitation for the quiet address, with `changes`. */
async function solicitationFor(changes: Partial<NeighborFrame> = {}): Promise<NeighborFrame> {
  const client = await clientMac(lan, "host0");
  const group = solicitedNodeGroup(quiet.value);
  return {
    destinationMac: multicastMac(group),
    sourceMac: client,
    source: address("2001:db8::2").value,
    destination: group,
    type: NeighborType.solicitation,
    router: false,
    solicited: false,
    override: false,
    target: quiet.value,
    linkLayerAddress: client,
    ...changes,
  };
}

/** The advertisements to all nodes that the client sees in the next `milliseconds`. */
async function announced(milliseconds: number): Promise<{ at: number; frame: NeighborFrame }[]> {
  const seen = await lan.call("collect", "host0", milliseconds, "ipv6");
  return seen.flatMap(({ at, frame: bytes }) => {
    const frame = decodeNeighbor(bytes);
    return frame?.type === NeighborType.advertisement && frame.destination === allNodesGroup ? [{ at, frame }] : [];
  });
}

/** The MLDv2 reports (RFC 3810, section 5.2) that the client sees in the next `milliseconds`. */
async function reports(milliseconds: number): Promise<Uint8Array[]> {
  const seen = await lan.call("collect", "host0", milliseconds, "ipv6");
  // Ethernet and IPv6 headers, then 8 octets of hop-by-hop options, which hold the router alert.
  return seen.map(({ frame }) => frame).filter((frame) => frame[20] === 0 && frame[54] === 58 && frame[62] === 143);
}

function names(report: Uint8Array, group: bigint): boolean {
  return Buffer.from(report).toString("hex").includes(group.toString(16));
}
