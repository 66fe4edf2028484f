/** ARP, and all that both protocols share, on a LAN of network namespaces, with the Linux kernel as the client. Run by `layer2.test.ts`. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync } from "node:fs";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { EtherType, etherTypeFilter, PacketSocket, ReceiveBatch, SendBatch } from "#pkg/linux";
import { silentLog } from "#pkg/log/testing";
import { broadcastMac, formatMac, type Mac } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { type ArpFrame, ArpOperation, decodeArp, encodeArp } from "../frames/arp.ts";
import type { AddressSighting } from "../index.ts";
import { ip, Lan } from "./lan.ts";
import {
  assertTurns,
  clientMac,
  descriptors,
  gratuitous,
  mac,
  macText,
  netlinkDescriptors,
  quiet,
  requestFor,
  started,
  statusOf,
  until,
  virtual,
} from "./support.ts";

let lan: Lan;

before(async () => {
  lan = await Lan.start();
  await lan.join("lan0", "host0", "192.0.2.2/24");
});

after(() => lan[Symbol.dispose]());

test("the kernel of a client finds an announced address at the MAC address of the interface, and no longer once it is withdrawn", async () => {
  await using layer2 = await started();
  assert.equal(await lan.call("resolve", "192.0.2.100", 1000), undefined);
  layer2.announce(virtual);
  assert.equal(await lan.call("resolve", "192.0.2.100"), macText("lan0"));
  layer2.withdraw(virtual);
  assert.equal(await lan.call("resolve", "192.0.2.100", 1000), undefined);
  layer2.announce(virtual);
  assert.equal(await lan.call("resolve", "192.0.2.100"), macText("lan0"));
});

const requests: { name: string; changes: (ours: Mac) => Partial<ArpFrame>; answered: boolean }[] = [
  { name: "a broadcast request", changes: () => ({}), answered: true },
  { name: "a unicast request", changes: (ours) => ({ destination: ours }), answered: true },
  { name: "a sender of another subnet", changes: () => ({ senderAddress: 0x0a090909 }), answered: true },
  { name: "a probe", changes: () => ({ senderAddress: 0 }), answered: true },
  { name: "a request for an address not announced", changes: () => ({ targetAddress: 0xc00002c8 }), answered: false },
  { name: "a request to another machine", changes: () => ({ destination: 0x020000000009 }), answered: false },
  { name: "an announcement by another machine", changes: () => ({ senderAddress: Number(quiet.value) }), answered: false },
];
test("requests are answered by the rules, to the sender, from the interface", async () => {
  await lan.call("run", "ip", "neigh", "flush", "dev", "host0"); // Of neighbors that it knows the client's kernel asks again.
  await using layer2 = await started();
  layer2.announce(quiet);
  for (const { name, changes, answered } of requests) {
    const request = await requestFor(lan, quiet, changes(mac("lan0")));
    const answer = await lan.call("request", "host0", request, answered ? 30_000 : 100);
    const want = {
      destination: request.senderMac,
      source: mac("lan0"),
      operation: ArpOperation.reply,
      senderMac: mac("lan0"),
      senderAddress: request.targetAddress,
      targetMac: request.senderMac,
      targetAddress: request.senderAddress,
    };
    assert.deepEqual(answer?.reply, answered ? want : undefined, name);
  }
  await until(() => layer2.counters().ignored.gratuitous > 0); // The last one.
  const addresses = [...layer2.addressCounters()];
  const { ignored, sendFailures } = layer2.counters();
  const [counted] = addresses;
  assert.deepEqual([counted?.requestsReceived, counted?.responsesSent, sendFailures], [4, 4, 0]);
  assert.deepEqual([ignored.notAnnounced, ignored.notForUs, ignored.gratuitous], [1, 1, 1]);
});

test("frames that are cut short, nonsense or of a foreign VLAN are counted and change nothing", async () => {
  await using layer2 = await started();
  layer2.announce(quiet);
  const request = await requestFor(lan, quiet);
  const good = encodeArp(request);
  const short = [14, 20, 41].map((length) => good.subarray(0, length));
  const nonsense = good.with(14, 0xff);
  const tagged = new Uint8Array([...good.subarray(0, 12), 0x81, 0x00, 0x00, 0x05, ...good.subarray(12)]);
  await lan.call("send", "host0", [...short, nonsense, tagged]);
  await until(() => layer2.counters().ignored.malformed === 4 && layer2.counters().ignored.notForUs === 1);
  assert.equal([...layer2.addressCounters()][0]?.requestsReceived, 0);
  assert.ok(await lan.call("request", "host0", request, 30_000));
});

test("an address is announced at once, then every 1.1 s for 5 s, as a request and a reply", async () => {
  await using layer2 = await started();
  await lan.call("listen", "host0");
  const begin = performance.timeOrigin + performance.now();
  layer2.announce(virtual);
  layer2.announce(virtual); // It is already.
  const seen = await gratuitous(lan, 10_000); // 5 s, and time for a machine that is late.
  const starts = seen.filter(({ frame }) => frame.operation === 1).map(({ at }) => at - begin);
  assertTurns(starts);
  assert.deepEqual(
    seen.map(({ frame }) => frame.operation),
    starts.flatMap(() => [1, 2]),
  );
  for (const { frame } of seen)
    assert.deepEqual(frame, {
      destination: broadcastMac,
      source: mac("lan0"),
      operation: frame.operation,
      senderMac: mac("lan0"),
      senderAddress: Number(virtual.value),
      targetMac: broadcastMac,
      targetAddress: Number(virtual.value),
    });
  assert.equal([...layer2.addressCounters()][0]?.gratuitousSent, seen.length);
});

test("what is announced is announced again from the beginning on request, and what is withdrawn is not", async () => {
  await using layer2 = await started();
  const sent = () => [...layer2.addressCounters()].map(({ gratuitousSent }) => gratuitousSent);
  layer2.announce(quiet);
  layer2.announce(virtual);
  await until(() => sent().every((frames) => frames === 2));
  layer2.withdraw(virtual);
  layer2.reannounce();
  await until(() => sent()[0] === 2 + 10);
  await sleep(1500);
  assert.deepEqual(sent(), [2 + 10, 2]);
});

test("one that stopped announcing answers on", async () => {
  await using layer2 = await started({ refreshMs: 100 });
  const announced = () => [...layer2.addressCounters()].reduce((sum, { gratuitousSent }) => sum + gratuitousSent, 0);
  layer2.announce(virtual);
  await until(() => announced() >= 4); // The first announcements, and a refresh.
  layer2.stopAnnouncing();
  layer2.announce(quiet);
  const answer = await lan.call("request", "host0", await requestFor(lan, quiet), 30_000);
  assert.equal(answer?.reply.senderMac, mac("lan0"));
  const before = announced();
  await sleep(1500);
  assert.equal(announced(), before);
  assert.equal(await lan.call("resolve", "192.0.2.100"), macText("lan0"));
});

test("a withdrawn address is announced no more", async () => {
  await using layer2 = await started();
  layer2.announce(virtual);
  layer2.announce(quiet);
  await until(() => [...layer2.addressCounters()].every(({ gratuitousSent }) => gratuitousSent === 2));
  layer2.withdraw(virtual);
  const another = address("192.0.2.102");
  layer2.announce(another);
  await until(() => ([...layer2.addressCounters()].at(-1)?.gratuitousSent ?? 0) > 0);
  await lan.call("listen", "host0"); // By now the thread has done what it was told before.
  const senders = (await gratuitous(lan, 3_000)).map(({ frame }) => frame.senderAddress);
  assert.ok(senders.includes(Number(another.value)) && !senders.includes(Number(virtual.value)), `${senders}`);
});

test("frames of other hosts about an address are reported and counted, this node's own are not, and a storm of them is reported in part", async () => {
  const sightings: AddressSighting[] = [];
  await using layer2 = await started({ onSighting: (sighting) => sightings.push(sighting) });
  layer2.announce(quiet);
  const target = Number(quiet.value);
  const announcement = (senderMac: Mac) => requestFor(lan, quiet, { source: senderMac, senderMac, senderAddress: target });
  const foreignHost = 0x020000000042;
  await lan.call("send", "host0", [encodeArp(await announcement(mac("lan0")))]); // As if a switch had sent it back.
  const from = { source: foreignHost, senderMac: foreignHost };
  await lan.call("send", "host0", [encodeArp(await requestFor(lan, virtual, { senderAddress: target, senderMac: foreignHost }))]);
  await lan.call("send", "host0", [encodeArp(await announcement(broadcastMac))]);
  await lan.call("send", "host0", [encodeArp(await requestFor(lan, virtual, { ...from, senderAddress: target }))]);
  await lan.call("send", "host0", [encodeArp(await requestFor(lan, quiet, { ...from, senderAddress: 0 }))]);
  await until(() => sightings.length === 2);
  const { senderMismatch, senderNotUnicast } = layer2.counters().ignored;
  assert.deepEqual([senderMismatch, senderNotUnicast], [1, 1]);
  const common = { address: quiet, mac: "02:00:00:00:00:42", interface: "lan0", ownMac: macText("lan0") };
  assert.deepEqual(sightings, [
    { ...common, kind: "uses" },
    { ...common, kind: "probes" },
  ]);
  const storm = await announcement(foreignHost);
  await lan.call("send", "host0", Array(500).fill(encodeArp(storm)));
  await until(() => [...layer2.addressCounters()][0]?.sightings === 501);
  assert.ok(sightings.length < 40, `${sightings.length} reported`);
  assert.ok(await lan.call("request", "host0", await requestFor(lan, quiet), 30_000));
});

test("an address that is listened for is neither answered for nor announced, and a probe finds the host that has it", async () => {
  const sightings: AddressSighting[] = [];
  await using layer2 = await started({ refreshMs: 100, onSighting: (sighting) => sightings.push(sighting) });
  layer2.listen(quiet);
  await lan.call("listen", "host0");
  assert.equal(await lan.call("request", "host0", await requestFor(lan, quiet), 200), undefined);
  layer2.defend(quiet);
  assert.deepEqual(await gratuitous(lan, 500), []);
  layer2.probe(quiet);
  const [probe] = (await lan.call("collect", "host0", 300)).map(({ frame }) => decodeArp(frame));
  assert.deepEqual([probe?.senderAddress, probe?.targetAddress, probe?.destination], [0, Number(quiet.value), broadcastMac]);
  assert.equal(sightings.length, 0);
  const theirs = address("192.0.2.2"); // The client's own, which its kernel answers for.
  layer2.listen(theirs);
  layer2.probe(theirs);
  await until(() => sightings.length === 1);
  layer2.probe(theirs, { to: sightings[0]?.mac ?? "" });
  await until(() => sightings.length === 2);
  for (const sighting of sightings)
    assert.deepEqual([sighting.kind, sighting.mac], ["uses", formatMac(await clientMac(lan, "host0"))]);
  layer2.announce(quiet);
  assert.ok(await lan.call("request", "host0", await requestFor(lan, quiet), 30_000));
  layer2.listen(quiet);
  assert.equal(await lan.call("request", "host0", await requestFor(lan, quiet), 200), undefined);
});

test("one defence is one announcement, and what is announced again alone leaves the others", async () => {
  await using layer2 = await started();
  const sent = () => [...layer2.addressCounters()].map(({ gratuitousSent }) => gratuitousSent);
  layer2.announce(quiet);
  layer2.announce(virtual);
  await until(() => sent().every((frames) => frames === 10));
  await sleep(1500);
  assert.deepEqual(sent(), [10, 10]);
  layer2.defend(quiet);
  await until(() => sent()[0] === 12);
  layer2.reannounce(virtual);
  await until(() => sent()[1] === 20);
  await sleep(1500);
  assert.deepEqual(sent(), [12, 20]);
});

test("a main thread that is busy delays no answer", async () => {
  await using layer2 = await started();
  layer2.announce(quiet);
  const request = await requestFor(lan, quiet);
  const answer = lan.call("request", "host0", request, 30_000);
  for (const end = performance.now() + 5_000; performance.now() < end; );
  const { microseconds = Infinity } = (await answer) ?? {};
  assert.ok(microseconds < 4_000_000, `answered after ${microseconds} µs`);
});

test("a flood of requests is answered or counted, frame by frame, and an ordinary request after it is answered", async () => {
  await using layer2 = await started();
  layer2.announce(quiet);
  await until(() => [...layer2.addressCounters()][0]?.gratuitousSent === 2);
  const request = await requestFor(lan, quiet);
  const flood = 20_000;
  await lan.call("send", "host0", Array(flood).fill(encodeArp(request)));
  assert.ok(await lan.call("request", "host0", request, 30_000));
  const counts = () => {
    const addresses = [...layer2.addressCounters()];
    const { sendFailures } = layer2.counters();
    return { received: addresses[0]?.requestsReceived ?? 0, done: (addresses[0]?.responsesSent ?? 0) + sendFailures };
  };
  await until(() => counts().received === counts().done);
  assert.ok(counts().received > 1 && counts().received <= flood + 1, `${counts().received} were received`);
});

test("a packet socket that is not read knows how many frames it lost", async () => {
  const index = Number.parseInt(ip("-o link show dev lan0"), 10);
  using socket = PacketSocket.open(index, EtherType.arp, etherTypeFilter(EtherType.arp, 128));
  const sent = 20_000;
  await lan.call("send", "host0", Array(sent).fill(encodeArp(await requestFor(lan, quiet))));
  let read = 0;
  for (const batch = new ReceiveBatch(64, 128); ; ) {
    const count = socket.receive(batch);
    if (count === 0) break;
    read += count;
  }
  const dropped = socket.takeDropped();
  assert.ok(dropped > 0 && read + dropped >= sent, `${read} were read and ${dropped} dropped`);
  assert.equal(socket.takeDropped(), 0);
});

test("a packet socket receives what its filter keeps, and nothing else", async () => {
  const index = Number.parseInt(ip("-o link show dev lan0"), 10);
  using short = PacketSocket.open(index, EtherType.arp, etherTypeFilter(EtherType.arp, 50));
  using none = PacketSocket.open(index, EtherType.arp, etherTypeFilter(0x88cc, 50));
  const frame = new Uint8Array([...encodeArp(await requestFor(lan, quiet)), ...new Uint8Array(58).fill(7)]);
  await lan.call("send", "host0", [frame]);
  const batch = new ReceiveBatch(2, 128);
  assert.equal(short.receive(batch), 1);
  assert.deepEqual(batch.frame(0), { frame: frame.subarray(0, 50), arrival: "broadcast" });
  assert.equal(short.receive(batch), 0);
  assert.equal(none.receive(batch), 0);
});

test("a packet socket says of each frame whether it could be sent, and goes on with the next", async () => {
  const index = Number.parseInt(ip("-o link show dev lan0"), 10);
  using socket = PacketSocket.open(index, EtherType.arp, etherTypeFilter(EtherType.arp, 128));
  const batch = new SendBatch(2, 128);
  for (let i = 0; i < batch.capacity; i++) batch.push(encodeArp(await requestFor(lan, quiet)));
  assert.throws(() => batch.push(new Uint8Array(42)), RangeError);
  assert.deepEqual(socket.send(batch), []);
  ip("link set lan0 down");
  const failures = socket.send(batch).map(({ index, error }) => [index, error.code]);
  assert.deepEqual(failures, [
    [0, "ENETDOWN"],
    [1, "ENETDOWN"],
  ]);
  ip("link set lan0 up");
  assert.throws(() => socket.receive(new ReceiveBatch(1, 128)), { code: "ENETDOWN" }); // Told once.
  assert.deepEqual(socket.send(batch), []);
});

test("ten thousand addresses are announced while requests are answered", async () => {
  await using layer2 = await started();
  layer2.announce(quiet);
  const request = await requestFor(lan, quiet);
  for (let i = 0; i < 10_000; i++) layer2.announce(address(`203.0.${i >> 8}.${i & 255}`));
  const { microseconds = Infinity } = (await lan.call("request", "host0", request, 30_000)) ?? {};
  assert.ok(microseconds < 500_000, `answered after ${microseconds} µs`);
  await until(() => [...layer2.addressCounters()].every(({ gratuitousSent }) => gratuitousSent >= 2));
});

test("a thread that dies is replaced, keeps the addresses and the counters, and leaves no descriptor behind", async () => {
  const errors: string[] = [];
  const log = { ...silentLog, error: (message: string) => errors.push(message) };
  await using layer2 = await started({ log });
  layer2.announce(virtual);
  await until(() => [...layer2.addressCounters()][0]?.gratuitousSent === 2);
  const open = descriptors().length;
  const netlink = netlinkDescriptors();
  assert.equal(netlink.length, 1);
  closeSync(netlink[0] ?? -1); // A broken invariant, as good as any.
  await until(() => errors.includes("the thread that answers on layer 2 died and is restarted"));
  await until(() => statusOf(layer2, "lan0") === "answering");
  assert.equal(await lan.call("resolve", "192.0.2.100"), macText("lan0"));
  assert.ok(([...layer2.addressCounters()][0]?.gratuitousSent ?? 0) >= 4);
  assert.equal(descriptors().length, open);
});

test("a thread that is ended twenty times answers again each time, and leaves no descriptor behind", async () => {
  const workers: Worker[] = [];
  const note = (worker: Worker): void => void workers.push(worker);
  process.on("worker", note);
  await using layer2 = await started();
  layer2.announce(virtual);
  layer2.announce(address("2001:db8::100")); // It joins a group, by a socket of its own.
  await until(() => [...layer2.addressCounters()].every(({ gratuitousSent }) => gratuitousSent > 0));
  const held = () => [descriptors().length, process.listenerCount("exit")];
  const before = held();
  for (let deaths = 1; deaths <= 20; deaths++) {
    await workers.at(-1)?.terminate();
    await until(() => workers.length > deaths && statusOf(layer2, "lan0") === "answering");
    assert.equal(await lan.call("resolve", "192.0.2.100"), macText("lan0"));
  }
  process.off("worker", note);
  await until(() => descriptors().length >= (before[0] ?? 0)); // With the announcements the thread joins the groups again.
  assert.deepEqual(held(), before);
});

test("disposing ends the thread and closes every socket", async () => {
  const before = descriptors().length;
  const layer2 = await started();
  layer2.announce(virtual);
  assert.ok(descriptors().length > before);
  await layer2[Symbol.asyncDispose]();
  assert.equal(descriptors().length, before);
  assert.equal(await lan.call("resolve", "192.0.2.100", 1000), undefined);
});

test("without the right to open packet sockets, start says which capability is missing, and the interfaces are followed all the same", async () => {
  const script = `
    const { Layer2 } = await import(${JSON.stringify(new URL("../index.ts", import.meta.url).href)});
    const { silentLog } = await import("#pkg/log/testing");
    const onInterfaces = (all) => {
      const { status, error, addresses } = all.find(({ name }) => name === "lan0");
      console.log(status, error, addresses.filter((one) => one.includes(".")).join());
    };
    await using layer2 = new Layer2({ log: silentLog, onInterfaces });
    await layer2.start().catch((error) => console.log(error.name, error.cause.code));
    await new Promise((resolve) => process.stdin.on("end", resolve).resume());`;
  // A user namespace below this one has no rights over this network namespace.
  const child = spawn("unshare", ["--user", process.execPath, "--eval", script], { stdio: ["pipe", "pipe", "inherit"] });
  const lines: string[] = [];
  createInterface(child.stdout).on("line", (line) => lines.push(line));
  const why = "failing Cannot announce addresses on layer 2: the process needs the capability NET_RAW";
  await until(() => lines.length === 2);
  ip("address add 203.0.113.9/24 dev lan0");
  await until(() => lines.length > 2);
  ip("address del 203.0.113.9/24 dev lan0");
  child.stdin.end();
  assert.deepEqual(await once(child, "exit"), [0, null]);
  assert.deepEqual(lines.slice(0, 3), [`${why} 203.0.113.1/24`, "Layer2Error EPERM", `${why} 203.0.113.1/24,203.0.113.9/24`]);
});
