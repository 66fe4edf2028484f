/** Challenges and proofs on a LAN of network namespaces, through the Linux kernel. Run by `layer2.test.ts`. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { broadcastMac, formatMac, setMac } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { wireAddress } from "../announced-addresses.ts";
import { Proofs } from "../engine/proofs.ts";
import { nonceLength } from "../frames/proof.ts";
import type { AddressSighting } from "../index.ts";
import { Lan } from "./lan.ts";
import { clientMac, mac, macText, quiet, started, until } from "./support.ts";

const key = new TextEncoder().encode("a ring's own key");
const addresses = [quiet, address("2001:db8::101")];
let lan: Lan;

before(async () => {
  lan = await Lan.start();
  await lan.join("lan0", "host0", "192.0.2.2/24");
});

after(() => lan[Symbol.dispose]());

/** The client, as a node with this key. */
function clientWith(ringKey = key): Proofs {
  const proofs = new Proofs(() => randomBytes(nonceLength), 0);
  proofs.setKeys([ringKey]);
  return proofs;
}

test("this node proves to who challenges it what it announces, nothing else, and not to all at once", async () => {
  await using layer2 = await started();
  layer2.setKeys([key]);
  const own = await clientMac(lan, "host0");
  const proves = async (text: (typeof addresses)[number], to = mac("lan0"), milliseconds = 500) => {
    const asks = clientWith();
    const [challenge] = asks.challenge(wireAddress(text), mac("lan0"), [own], 0);
    assert.ok(challenge !== undefined);
    setMac(new DataView(challenge.buffer), 0, to);
    await lan.call("send", "host0", [challenge]);
    const seen = await lan.call("collect", "host0", milliseconds, "experimental");
    const taken = seen.map(({ frame }) => asks.receive(frame, own, 0, () => false)).find((one) => one !== undefined);
    return taken !== undefined && "proven" in taken && taken.proven.kind;
  };
  for (const one of addresses) {
    assert.equal(await proves(one), false, "it does not announce it");
    layer2.announce(one);
    await until(() => [...layer2.addressCounters()].some((row) => row.address.equals(one) && row.gratuitousSent > 0));
    assert.equal(await proves(one, mac("lan0"), 2000), "proves");
    layer2.setAlone(true);
    assert.equal(await proves(one, mac("lan0"), 2000), "provesAlone");
    layer2.setAlone(false);
    assert.equal(await proves(one, broadcastMac), false);
    layer2.listen(one);
    assert.equal(await proves(one), false, "it leaves it to another one");
  }
});

test("who is challenged and proves that it has the address is seen, and who has another key is not", async () => {
  const sightings: AddressSighting[] = [];
  await using layer2 = await started({ onSighting: (sighting) => sightings.push(sighting) });
  const own = await clientMac(lan, "host0");
  const challenged = async (one: (typeof addresses)[number], by: Proofs) => {
    await lan.call("listen", "host0"); // Earlier frames are no answers.
    layer2.challenge(one, formatMac(own));
    const seen = await lan.call("collect", "host0", 400, "experimental");
    for (const { frame } of seen) {
      const taken = by.receive(frame, own, 0, () => true);
      if (taken !== undefined && "answer" in taken) await lan.call("send", "host0", [taken.answer]);
    }
    return seen.length;
  };
  for (const one of addresses) layer2.listen(one);
  assert.equal(await challenged(quiet, clientWith()), 0, "without a key nobody is asked");
  layer2.setKeys([key]);
  for (const one of addresses) {
    const before = sightings.length;
    assert.equal(await challenged(one, clientWith(new TextEncoder().encode("some other key!!"))), 1);
    assert.equal(await challenged(one, clientWith()), 1);
    await until(() => sightings.length > before);
    const [sighting, ...more] = sightings.slice(before);
    assert.deepEqual(more, [], "the one without the key among them");
    assert.deepEqual([sighting?.kind, `${sighting?.address}`, sighting?.ownMac], ["proves", `${one}`, macText("lan0")]);
  }
});
