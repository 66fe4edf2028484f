import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Host, Lab, waitFor } from "#e2e/lab";
import { seededRandom } from "#pkg/clock/testing";
import { offloadHeaderLength } from "#pkg/linux/testing";
import { corrupted, fateOf, maxLateMs } from "./impairment.ts";

test("what becomes of frames follows from the seed, and is what was asked for", () => {
  const draw = (seed: number) => {
    const random = seededRandom(seed);
    const impairment = { seed, delayMs: 100, latePercent: 5, lossPercent: 20, duplicatePercent: 10, corruptPercent: 10 };
    return Array.from({ length: 2_000 }, () => fateOf(impairment, random));
  };
  const drawn = draw(1);
  assert.deepEqual(draw(1), drawn);
  assert.notDeepEqual(draw(2), drawn);
  const copies = drawn.flat();
  const share = (count: number) => Math.round((count / drawn.length) * 10) * 10;
  assert.equal(share(drawn.filter(({ length }) => length === 0).length), 20);
  assert.equal(share(drawn.filter(({ length }) => length === 2).length), 10);
  assert.equal(share(copies.filter(({ isCorrupt }) => isCorrupt).length), 10);
  assert.ok(copies.some(({ delay }) => delay > maxLateMs / 2));
  assert.ok(copies.every(({ delay }) => delay >= 0 && delay <= 2 * maxLateMs));
});

test("without any impairment each frame comes once, at once, as it is", () => {
  const random = seededRandom(1);
  for (let count = 0; count < 100; count++) assert.deepEqual(fateOf({ seed: 1 }, random), [{ delay: 0, isCorrupt: false }]);
});

test("a corrupted frame has another bit, and the checksum that it would have had", () => {
  const header = Buffer.alloc(offloadHeaderLength);
  header.writeUInt8(1, 0); // The checksum is to be computed from octet 34 on, and to be put 6 octets behind that.
  header.writeUInt16LE(34, 6);
  header.writeUInt16LE(6, 8);
  // A UDP datagram of three octets, whose checksum field holds the sum of the addresses, protocol and length, as the kernel leaves it.
  const datagram = Buffer.from("30393039000b001c616263", "hex");
  const frame = Buffer.concat([header, Buffer.alloc(34), datagram]);
  const right = Buffer.from(frame);
  right.writeUInt8(0, 0);
  right.writeUInt16BE(0xdb03, offloadHeaderLength + 40);
  const random = seededRandom(3);
  for (let count = 0; count < 100; count++) {
    const changed = corrupted(frame, random);
    assert.ok(changed !== undefined);
    let bits = 0;
    for (const [at, octet] of changed.entries())
      for (let differs = octet ^ (right[at] ?? 0); differs !== 0; differs &= differs - 1) bits++;
    assert.equal(bits, 1);
  }
  header.writeUInt8(1, 1); // TCP over IPv4 that is yet to be cut.
  assert.equal(corrupted(Buffer.concat([header, Buffer.alloc(3_000)]), random), undefined);
});

suite("a host behind a bad cable", async () => {
  const lab = await Lab.start();
  const lan = await lab.switch("lan");
  const [node, client] = [await lab.host("node"), await lab.host("client")];
  await node.attach(lan, { addresses: ["172.30.0.11/24", "fd00:30::11/64"] });
  await client.attach(lan, { addresses: ["172.30.0.100/24", "fd00:30::100/64"] });
  const size = 300_000; // More than one segment, which the kernel leaves uncut.
  const script = `require("node:http").createServer((_, answer) => answer.end("x".repeat(${size}))).listen(80, "::", () => console.log("listening"))`;
  await (await node.spawn("web", ["node", "-e", script])).waitForLine(/^listening$/);
  const isAnswered = async (timeout = 30_000) => (await client.get("http://172.30.0.11/", { timeout })).body.length === size;

  test("carries whole segments of both families as long as nothing is wrong", async () => {
    await lan.impair(node, { seed: 1 });
    assert.equal(await isAnswered(), true);
    assert.equal((await client.get("http://[fd00:30::11]/", { timeout: 30_000 })).body.length, size);
    assert.equal(await node.link("eth0").carrier(), true);
    await assert.rejects(lan.impair(node, { seed: 1 }), { message: "Cannot impair node: its cable is bad already" });
    await lan.repair(node);
    assert.equal(await isAnswered(), true);
  });

  test("has each frame twice where all are duplicated", async () => {
    await lan.impair(node, { seed: 1, duplicatePercent: 100 });
    const receiver = `require("node:dgram").createSocket("udp4", (data) => console.log("got " + data)).bind(9, () => console.log("bound"))`;
    await using received = await node.spawn("receiver", ["node", "-e", receiver]);
    await received.waitForLine(/^bound$/);
    const sender = `const socket = require("node:dgram").createSocket("udp4"); socket.send("one", 9, "172.30.0.11", () => socket.close())`;
    await client.output(["node", "-e", sender]);
    await waitFor("the second one", () => received.lines.filter((line) => line === "got one").length === 2);
    await lan.repair(node);
  });

  test("sends what the receiver's kernel drops for its checksum where frames are corrupted", async () => {
    await lan.impair(node, { seed: 1, corruptPercent: 10 });
    assert.equal(await isAnswered(60_000), true, "what is read is never wrong");
    const refused = async () => (await refusedBy(client)) + (await refusedBy(node));
    await waitFor(
      "a segment to be refused",
      async () => {
        await client.get("http://172.30.0.11/", { timeout: 5_000 }).catch(() => {});
        return (await refused()) > 0;
      },
      { timeout: 60_000 },
    );
    await lan.repair(node);
  });

  test("loses all where all is lost, also when it is unplugged or isolated meanwhile, and is whole after its repair", async () => {
    await lan.impair(node, { seed: 1, lossPercent: 100 });
    await assert.rejects(isAnswered(300));
    await lan.unplug(node);
    assert.equal(await node.link("eth0").carrier(), false);
    await lan.plug(node);
    await lan.isolate(node);
    await lan.repair(node);
    await assert.rejects(isAnswered(300), "it is isolated still");
    await lan.rejoin(node);
    await waitFor("an answer", () => isAnswered(1_000));
    const links = await client.output(["ip", "-json", "link"]);
    assert.ok(!links.includes("end"));
  });

  test("the lab ends", async () => {
    await lab[Symbol.asyncDispose]();
  });
});

/** How many segments of TCP with a wrong checksum have reached it. */
async function refusedBy(host: Host): Promise<number> {
  const [names = "", values = ""] = (await host.output(["cat", "/proc/net/snmp"]))
    .split("\n")
    .filter((line) => line.startsWith("Tcp:"));
  return Number(values.split(" ")[names.split(" ").indexOf("InCsumErrors")]);
}
