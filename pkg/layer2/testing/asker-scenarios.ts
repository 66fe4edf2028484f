import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SystemClock } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { formatMac } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { Asker, type WireAnswer, type WireQuestion } from "../asker.ts";
import { ip, Lan } from "./lan.ts";
import { clientMac, descriptors, macText, started, until } from "./support.ts";

/** Questions on a LAN of network namespaces, with the Linux kernel as the host that answers. Run by `layer2.test.ts`. */

let lan: Lan;
let other = ""; // The client's MAC address.

before(async () => {
  lan = await Lan.start();
  await lan.join("lan0", "host0", "203.0.113.7/24", "203.0.113.8/24", "2001:db8::7/64");
  ip("address add 2001:db8::1/64 dev lan0 nodad");
  await until(
    () => ip("-6 address show dev lan0 scope link").includes("fe80") && !ip("-6 address show dev lan0").includes("tentative"),
  );
  other = formatMac(await clientMac(lan, "host0"));
  await lan.call("accept", 80);
});

after(() => lan[Symbol.dispose]());

type More = Pick<WireQuestion, "via" | "isSized">;

async function ask(...questions: [text: string, port?: number, more?: More][]): Promise<Record<string, WireAnswer>> {
  await using layer2 = await started();
  const link = layer2.interfaces().find(({ name }) => name === "lan0");
  assert.ok(link);
  const asked = questions.map(([text, port, more]): WireQuestion => ({ address: address(text), port, ...more }));
  const answers = await new Asker(new SystemClock(), seededRandom(1)).ask(link, asked);
  return Object.fromEntries([...answers].map(([{ address }, answer]) => [address.toString(), answer]));
}

test("a host answers for its addresses of both families, and accepts or refuses connections", async () => {
  const found = await ask(["203.0.113.7", 80], ["203.0.113.8", 81], ["2001:db8::7", 80], ["203.0.113.9", 80], ["192.0.2.1", 80]);
  assert.deepEqual(found, {
    "203.0.113.7": { macs: [other], connection: "accepts" },
    "203.0.113.8": { macs: [other], connection: "refuses" },
    "2001:db8::7": { macs: [other], connection: "accepts" },
    "203.0.113.9": { macs: [], connection: undefined }, // Nobody has it; the last one is in no subnet of this node.
  });
});

test("without a port no connection is tried, and one that is dropped is silence", async () => {
  await lan.call("run", "ip", "route", "add", "blackhole", "203.0.113.1/32"); // Its answers go nowhere.
  assert.deepEqual(await ask(["203.0.113.7", 80], ["203.0.113.8"]), {
    "203.0.113.7": { macs: [other], connection: "silent" },
    "203.0.113.8": { macs: [other], connection: undefined },
  });
  await lan.call("run", "ip", "route", "del", "blackhole", "203.0.113.1/32");
});

test("a connection goes to an address behind another one, as a router has it", async () => {
  await lan.call("run", "ip", "address", "add", "198.51.100.7/32", "dev", "host0");
  await lan.call("run", "ip", "address", "add", "2001:db8:9::7/128", "dev", "host0", "nodad");
  const via = address("203.0.113.7");
  assert.deepEqual(await ask(["198.51.100.7", 80, { via }], ["2001:db8:9::7", 80, { via }], ["198.51.100.8", 80, { via }]), {
    "198.51.100.7": { macs: [other], connection: "accepts" },
    "2001:db8:9::7": { macs: [other], connection: "accepts" },
    "198.51.100.8": { macs: [other], connection: "silent" },
  });
});

test("a connection does not come from an address that another host has, as the kernel has found", async () => {
  for (const one of ["2001:db8:5::2", "2001:db8:5::7"])
    await lan.call("run", "ip", "address", "add", `${one}/64`, "dev", "host0", "nodad");
  ip("address add 2001:db8:5::2/64 dev lan0");
  await until(() => ip("-6 address show dev lan0").includes("dadfailed"));
  ip("address add 2001:db8:5::5/64 dev lan0 nodad");
  assert.deepEqual(await ask(["2001:db8:5::7", 80]), { "2001:db8:5::7": { macs: [other], connection: "accepts" } });
  ip("address del 2001:db8:5::5/64 dev lan0");
  assert.deepEqual(await ask(["2001:db8:5::7", 80]), {}, "this node has no other address in the subnet");
});

test("packets as large as the other end takes arrive, or are lost on the way", async () => {
  const both = () => ask(["203.0.113.7", 80, { isSized: true }], ["2001:db8::7", 80, { isSized: true }]);
  const largest = { octets: 1_500, arrives: true };
  const well = { macs: [other], connection: "accepts", largest };
  assert.deepEqual(await both(), { "203.0.113.7": well, "2001:db8::7": well });
  await lan.call(
    "run",
    "nft",
    "add table netdev small { chain in { type filter hook ingress device host0 priority 0; meta length > 1400 drop; }; }",
  );
  const lost = { ...well, largest: { octets: 1_500, arrives: false } };
  assert.deepEqual(await both(), { "203.0.113.7": lost, "2001:db8::7": lost });
  await lan.call("run", "nft", "delete table netdev small");
  ip("link set lan0 mtu 1450");
  const less = { ...well, largest: { octets: 1_450, arrives: true } };
  assert.deepEqual(await both(), { "203.0.113.7": less, "2001:db8::7": less });
  ip("link set lan0 mtu 1500");
});

test("two that answer are both told", async () => {
  await lan.call("run", "ip", "link", "add", "second", "link", "host0", "type", "macvlan", "mode", "bridge");
  await lan.call("run", "ip", "link", "set", "second", "up");
  const [second] = JSON.parse(await lan.call("run", "ip", "-json", "link", "show", "dev", "second"));
  const { "203.0.113.7": found } = await ask(["203.0.113.7"]);
  assert.deepEqual(found?.macs.toSorted(), [other, second.address].toSorted());
  assert.notEqual(macText("lan0"), other);
});

test("no socket stays open after questions", async () => {
  const before = descriptors().length;
  await ask(["203.0.113.7", 80, { isSized: true }], ["2001:db8::7", 80]);
  await until(() => descriptors().length === before);
});
