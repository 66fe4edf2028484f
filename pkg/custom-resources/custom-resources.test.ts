import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock/testing";
import { parseConfiguration } from "#pkg/convert";
import type { ObjectMeta } from "#pkg/k8s";
import { FakeCluster } from "#pkg/k8s/testing";
import { silentLog } from "#pkg/log/testing";
import { CustomResources, type Offer } from "./custom-resources.ts";
import { Settling } from "./settling.ts";

const namespace = "metallb-system";
const installed = {
  ipaddresspools: ["v1beta1"],
  l2advertisements: ["v1beta1"],
  bgpadvertisements: ["v1beta1"],
  bgppeers: ["v1beta2", "v1beta1"],
  bfdprofiles: ["v1beta1"],
  communities: ["v1beta1"],
};

class Bench {
  readonly cluster = new FakeCluster();
  readonly clock = new SimulatedClock();
  readonly offers: Offer[] = [];
  readonly logged: string[] = [];
  readonly source = new CustomResources({
    cluster: this.cluster,
    namespace,
    offered: (offer) => {
      assert.deepEqual(this.source.missing, [], "an offer comes once everything has been seen");
      this.offers.push(offer);
      if (offer.text !== undefined) this.source.lastGoodChanged(offer.text);
    },
    reached: () => {},
    clock: this.clock,
    random: () => 0.5,
    log: { ...silentLog, warn: (message) => this.logged.push(message) },
  });

  /** All definitions are there, and no object. */
  static async start(served: Readonly<Record<string, readonly string[]>> = installed): Promise<Bench> {
    const bench = new Bench();
    bench.install(served);
    bench.source.start();
    await bench.wait(0);
    return bench;
  }

  install(served: Readonly<Record<string, readonly string[]>>): void {
    this.cluster.served.clear();
    for (const [plural, versions] of Object.entries(served)) this.cluster.served.set(plural, versions);
  }

  get followed() {
    return this.cluster.informers.filter(({ started, disposed }) => started && !disposed);
  }

  of(plural: string) {
    const found = this.followed.find(({ resource }) => resource.plural === plural);
    assert.ok(found, `nobody follows ${plural}`);
    return found;
  }

  sync(): void {
    for (const informer of this.followed) if (!informer.synced) informer.sync();
  }

  see(plural: string, name: string, spec: object, more: object = {}): void {
    const informer = this.of(plural);
    const meta: ObjectMeta = { key: `${namespace}/${name}`, namespace, name, uid: `uid-${name}`, resourceVersion: "1" };
    informer.see(informer.resource.project({ metadata: { ...meta, ...more }, spec }, meta));
  }

  pool(index: number): void {
    this.see("ipaddresspools", `pool-${index}`, { addresses: [`10.${index >> 8}.${index & 255}.0/24`] });
  }

  async wait(ms: number): Promise<void> {
    for (let left = ms; ; left -= 50) {
      await setImmediate();
      this.clock.advanceBy(Math.min(50, Math.max(0, left)));
      await setImmediate();
      if (left <= 0) return;
    }
  }

  get pools(): readonly string[] | undefined {
    const text = this.offers.at(-1)?.text;
    return text === undefined ? undefined : parseConfiguration(text).config?.pools.map(({ name }) => name);
  }
}

test("nothing is offered before each kind has been seen, and then all at once", async () => {
  const bench = await Bench.start();
  bench.pool(1);
  bench.see("l2advertisements", "all", {});
  for (const informer of bench.followed.slice(1)) informer.sync();
  assert.deepEqual(bench.source.missing, ["objects of kind IPAddressPool (metallb.io/v1beta1)"]);
  assert.deepEqual(bench.offers, []);
  bench.sync();
  assert.deepEqual(bench.pools, ["pool-1"]);
  assert.equal(bench.offers.length, 1);
});

for (const apart of [5, 90])
  test(`1,000 objects, ${apart} ms apart, are in force within 2 s of the last one, and are read rarely before`, async () => {
    const bench = await Bench.start();
    bench.sync();
    const begin = bench.clock.now();
    for (let index = 0; index < 1_000; index++) {
      bench.pool(index);
      await bench.wait(apart);
    }
    const seconds = (bench.clock.now() - begin) / 1_000;
    const before = bench.offers.length - 1;
    assert.ok(before <= 4 + seconds / 4, `${before} offers in ${seconds} s`);
    await bench.wait(2_000);
    assert.equal(bench.pools?.length, 1_000);
  });

test("1,000 objects of one apply are one change", async () => {
  const bench = await Bench.start();
  bench.sync();
  assert.equal(bench.offers.length, 1); // It says that there is no object.
  bench.see("l2advertisements", "all", {});
  for (let index = 0; index < 1_000; index++) bench.pool(index);
  await bench.wait(1_000);
  assert.equal(bench.pools?.length, 1_000);
  assert.equal(bench.offers.length, 2);
});

test("1,000 objects that go one after the other are read again and again, but a seventh of the time at most goes into that", async () => {
  const bench = await Bench.start();
  for (let index = 0; index < 1_000; index++) bench.pool(index);
  bench.sync();
  const begin = bench.clock.now();
  for (let index = 1; index < 200; index++) {
    bench.of("ipaddresspools").forget(`${namespace}/pool-${index}`);
    await bench.wait(250); // Each would be a change of its own.
  }
  const seconds = (bench.clock.now() - begin) / 1_000;
  assert.ok(seconds > 45 && bench.offers.length - 1 < seconds / 2.5, `${bench.offers.length - 1} offers in ${seconds} s`);
  await bench.wait(4_000);
  assert.equal(bench.pools?.length, 801);
});

test("changes that never end count after two seconds at the latest", async () => {
  const bench = await Bench.start();
  bench.sync();
  for (let index = 0; index < 100; index++) {
    bench.pool(index);
    await bench.wait(50);
  }
  const times = bench.offers.length - 1;
  assert.ok(times >= 2 && times <= 4, `${times} offers in 5 s`);
});

test("few objects with pauses among them are read at once twice, and every two seconds from then on", async () => {
  const bench = await Bench.start();
  bench.sync();
  await bench.wait(10_000);
  for (let index = 0; index < 40; index++) {
    bench.pool(index);
    await bench.wait(250); // As a slow machine applies them: each would be a change of its own.
    if (index < 2) assert.equal(bench.pools?.length, index + 1);
  }
  const times = bench.offers.length - 1;
  assert.ok(times >= 6 && times <= 7, `${times} offers in 10 s`);
  await bench.wait(2_000);
  assert.equal(bench.pools?.length, 40);
});

test("Settling: quiet for 200 ms, 2 s at most, and each change of its own afterwards", () => {
  const settling = new Settling();
  assert.equal(settling.deadline, Infinity);
  settling.changed(1_000);
  settling.changed(1_150);
  assert.equal(settling.deadline, 1_350);
  for (let at = 1_150; at < 3_000; at += 100) settling.changed(at);
  assert.equal(settling.deadline, 3_000);
  settling.done();
  assert.equal(settling.deadline, Infinity);
  settling.changed(9_000);
  assert.equal(settling.deadline, 9_200);
  settling.done();
  settling.offered(9_200, 170_000); // Some 1,000 objects, which 3.4 s pay for.
  settling.changed(9_300);
  assert.equal(settling.deadline, 10_150, "a pause is longer among many, and what changes end with is read at once");
  settling.done();
  settling.offered(10_150, 170_000);
  settling.changed(10_200);
  assert.equal(settling.deadline, 12_600, "once: the next one is paid for first");
  for (let at = 10_200; at < 25_000; at += 500) settling.changed(at);
  assert.equal(settling.deadline, 22_800, "without a pause, three times as rarely");
  settling.done();
  settling.changed(40_000);
  assert.equal(settling.deadline, 40_850);
});

test("a status, labels of anything but pools, and managers change nothing", async () => {
  const bench = await Bench.start();
  bench.pool(1);
  bench.see("l2advertisements", "all", {});
  bench.sync();
  bench.see("l2advertisements", "all", {}, { labels: { a: "b" }, managedFields: [{}], resourceVersion: "7" });
  await bench.wait(500);
  assert.equal(bench.offers.length, 1);
  bench.see("ipaddresspools", "pool-1", { addresses: ["10.0.1.0/24"] }, { labels: { a: "b" } });
  await bench.wait(500);
  assert.equal(bench.offers.length, 2);
});

test("an object that is being deleted counts until it is gone", async () => {
  const bench = await Bench.start();
  bench.pool(1);
  bench.pool(2);
  bench.sync();
  bench.see(
    "ipaddresspools",
    "pool-1",
    { addresses: ["10.0.1.0/24"] },
    { deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: ["x"] },
  );
  await bench.wait(500);
  assert.deepEqual(bench.pools, ["pool-1", "pool-2"]);
  bench.of("ipaddresspools").forget(`${namespace}/pool-1`);
  await bench.wait(500);
  assert.deepEqual(bench.pools, ["pool-2"]);
});

test("without definitions that is said, nothing is followed, and they are picked up when they come", async () => {
  const bench = await Bench.start({});
  assert.deepEqual(bench.followed, []);
  assert.deepEqual(bench.source.missing, []);
  assert.deepEqual(
    bench.offers.map(({ missing }) => missing),
    ["definitions"],
  );
  assert.deepEqual(bench.logged, ["definitions of custom resources are not installed"]);
  bench.install({ ipaddresspools: ["v1beta1"] });
  await bench.wait(40_000);
  assert.deepEqual(bench.followed, []); // A pool without its advertisements is not meant.
  bench.install(installed);
  await bench.wait(40_000);
  bench.pool(1);
  bench.sync();
  assert.deepEqual(bench.pools, ["pool-1"]);
});

test("a definition that goes takes nothing away: its objects are gone first", async () => {
  const bench = await Bench.start();
  bench.pool(1);
  bench.see("l2advertisements", "all", {});
  bench.sync();
  const { l2advertisements: _, ...others } = installed;
  bench.install(others);
  bench.of("l2advertisements").forget(`${namespace}/all`);
  await bench.wait(500);
  assert.deepEqual(
    bench.offers.map(({ missing }) => missing),
    [undefined, "definitions"],
  );
  assert.deepEqual(bench.followed, []);
  bench.install(installed);
  await bench.wait(40_000);
  bench.pool(1);
  bench.see("l2advertisements", "all", {});
  bench.sync();
  assert.deepEqual(bench.pools, ["pool-1"]);
});

test("a definition that comes back is awaited with its objects: others alone would turn announcements off", async () => {
  const bench = await Bench.start();
  bench.pool(1);
  bench.see("l2advertisements", "all", {});
  bench.sync();
  const { l2advertisements: _, ...others } = installed;
  bench.install(others);
  bench.of("l2advertisements").forget(`${namespace}/all`);
  await bench.wait(500);
  bench.install(installed);
  await bench.wait(40_000);
  bench.pool(1);
  bench.sync();
  await bench.wait(60_000);
  assert.deepEqual(
    bench.offers.map(({ missing }) => missing),
    [undefined, "definitions", "objects"],
  );
  bench.see("l2advertisements", "all", {});
  await bench.wait(500);
  assert.deepEqual(bench.pools, ["pool-1"]);
  bench.of("l2advertisements").forget(`${namespace}/all`); // With the definition there, that is meant.
  await bench.wait(500);
  assert.deepEqual(parseConfiguration(bench.offers.at(-1)?.text ?? "").config?.pools[0]?.protocols, []);
});

test("a definition that is deleted and made anew before the change counts takes nothing away", async () => {
  const bench = await Bench.start();
  bench.pool(1);
  bench.see("l2advertisements", "all", {});
  bench.sync();
  const { l2advertisements: _, ...others } = installed;
  bench.install(others); // As the API says it from before it deletes the objects.
  bench.of("l2advertisements").forget(`${namespace}/all`);
  await bench.wait(50);
  bench.install(installed);
  await bench.wait(40_000);
  bench.pool(1);
  bench.sync();
  await bench.wait(40_000);
  assert.deepEqual(
    bench.offers.map(({ missing }) => missing),
    [undefined, "definitions", "objects"],
  );
});

test("at a start kinds of the last good configuration are awaited, until that one has them no more", async () => {
  const before = await Bench.start();
  before.pool(1);
  before.see("l2advertisements", "all", {});
  before.see("communities", "names", { communities: [] }); // Nothing needs it.
  before.sync();
  const bench = await Bench.start();
  bench.source.lastGoodChanged(before.offers.at(-1)?.text);
  bench.pool(1);
  bench.sync();
  assert.deepEqual(bench.offers.at(-1)?.missingKinds, ["L2Advertisement"]);
  await bench.wait(250);
  bench.source.lastGoodChanged(undefined); // Such as after another process accepted their absence.
  assert.deepEqual(bench.pools, ["pool-1"]);
});

test("what is changing counts no sooner because an earlier configuration is the last good one by then", async () => {
  const bench = await Bench.start();
  bench.pool(1);
  bench.see("l2advertisements", "all", {});
  bench.sync();
  await bench.wait(10_000);
  const good = bench.offers.at(-1)?.text;
  bench.pool(2);
  bench.source.lastGoodChanged(good);
  assert.deepEqual(bench.pools, ["pool-1"]);
  await bench.wait(250);
  assert.deepEqual(bench.pools, ["pool-1", "pool-2"]);
});

test("the last object of a kind that stays installed may be deleted, also where the API cannot be asked at once", async () => {
  const bench = await Bench.start();
  bench.pool(1);
  bench.see("l2advertisements", "all", {});
  bench.sync();
  bench.cluster.away = true;
  bench.of("l2advertisements").forget(`${namespace}/all`);
  await bench.wait(5_000);
  assert.equal(bench.offers.length, 1);
  bench.cluster.away = false;
  await bench.wait(5_000);
  assert.equal(bench.offers.length, 2);
  assert.deepEqual(parseConfiguration(bench.offers[1]?.text ?? "").config?.pools[0]?.protocols, []);
});

test("all objects gone is no configuration, so that nothing is turned off", async () => {
  const bench = await Bench.start();
  bench.pool(1);
  bench.sync();
  bench.of("ipaddresspools").forget(`${namespace}/pool-1`);
  await bench.wait(500);
  assert.deepEqual(bench.offers.at(-1)?.missing, "objects");
});

test("peers are read as v1beta1 where that is all there is, and anew when another version is served", async () => {
  const bench = await Bench.start({ ...installed, bgppeers: ["v1beta1"] });
  assert.equal(bench.of("bgppeers").resource.api, "/apis/metallb.io/v1beta1");
  bench.pool(1);
  bench.sync();
  bench.install(installed);
  await bench.wait(40_000);
  assert.equal(bench.of("bgppeers").resource.api, "/apis/metallb.io/v1beta2");
  assert.deepEqual(bench.source.missing, ["objects of kind BGPPeer (metallb.io/v1beta2)"]);
  bench.pool(2);
  await bench.wait(500);
  assert.deepEqual(bench.pools, ["pool-1"]); // Not without the peers.
  bench.sync();
  assert.deepEqual(bench.pools, ["pool-1", "pool-2"]);
});

test("a kind that cannot be read, as without MetalLB's webhook for its conversion, is named, and nothing counts without it", async () => {
  const bench = await Bench.start();
  bench.pool(1);
  for (const informer of bench.followed) if (informer.resource.plural !== "bgppeers") informer.sync();
  await bench.wait(60_000);
  assert.deepEqual(bench.source.missing, ["objects of kind BGPPeer (metallb.io/v1beta2)"]);
  assert.deepEqual(bench.offers, []);
  bench.sync();
  assert.deepEqual(bench.pools, ["pool-1"]);
});

test("a kind that cannot be read any more counts as it was, and others go on changing", async () => {
  const bench = await Bench.start();
  bench.pool(1);
  bench.see("bgppeers", "tor", { myASN: 64512, peerASN: 64513, peerAddress: "192.0.2.1" });
  bench.sync();
  bench.of("bgppeers").lose(bench.clock.now());
  assert.equal(bench.source.lostSince, bench.clock.now());
  bench.pool(2);
  await bench.wait(500);
  assert.deepEqual(bench.pools, ["pool-1", "pool-2"]);
  assert.equal(parseConfiguration(bench.offers.at(-1)?.text ?? "").config?.peers.length, 1);
});

test("objects that contradict one another for a moment are judged when they have settled", async () => {
  const bench = await Bench.start();
  bench.pool(1);
  bench.sync();
  bench.see("ipaddresspools", "renamed", { addresses: ["10.0.1.0/24"] }); // The same addresses, before the other object is gone.
  await bench.wait(150);
  bench.of("ipaddresspools").forget(`${namespace}/pool-1`);
  await bench.wait(500);
  assert.deepEqual(bench.pools, ["renamed"]);
  assert.equal(bench.offers.length, 2);
});

test("where the API does not answer, it is asked again, and that is said once", async () => {
  const bench = new Bench();
  bench.install(installed);
  bench.cluster.away = true;
  bench.source.start();
  await bench.wait(10_000);
  assert.deepEqual(bench.source.missing, ["the kinds of metallb.io"]);
  assert.deepEqual(bench.logged, ["cannot ask which custom resources there are"]);
  bench.cluster.away = false;
  await bench.wait(3_000);
  bench.pool(1);
  bench.sync();
  assert.deepEqual(bench.pools, ["pool-1"]);
});

test("any object may allow to renumber, and an object at fault is found by its name", async () => {
  const bench = await Bench.start();
  bench.pool(1);
  bench.sync();
  assert.equal(bench.offers.at(-1)?.mayRenumber, false);
  bench.see("communities", "names", { communities: [] }, { annotations: { "ingot.dev/allow-renumber": "true" } });
  await bench.wait(500);
  assert.equal(bench.offers.at(-1)?.mayRenumber, true);
  assert.equal(bench.offers.at(-1)?.about?.name, "names");
  const { apiVersion, kind, uid } = bench.source.referenceOf(`IPAddressPool ${namespace}/pool-1`) ?? assert.fail();
  assert.deepEqual([apiVersion, kind, uid], ["metallb.io/v1beta1", "IPAddressPool", "uid-pool-1"]);
  assert.equal(bench.source.referenceOf("IPAddressPool elsewhere/pool-1"), undefined);
});

test("nothing happens after disposal", async () => {
  const bench = await Bench.start();
  bench.sync();
  bench.pool(1);
  bench.source[Symbol.dispose]();
  await bench.wait(60_000);
  assert.equal(bench.offers.length, 1);
  assert.deepEqual(bench.followed, []);
});
