import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import { AddressRange, type Prefix, parsePrefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { NetboxClient } from "./client.ts";
import type { Claim, RecordRules, Wish } from "./plan.ts";
import { type NetboxView, PoolRecords } from "./pool-records.ts";
import { FakeNetbox } from "./testing/fake-netbox.ts";

const text = "198.51.100.0/29";
const prefix = parsePrefix(text) as Prefix;
const tags = [{ slug: "k8s" }, { slug: "cluster-a" }];

/** A process that keeps the records of one pool, and what Services it knows of. */
class Life implements Disposable {
  readonly claims = new Map<string, Claim>(); // address -> who holds it
  readonly wishes: Wish[] = [];
  readonly services = new Map<string, string>(); // Service -> its UID
  readonly clock: SimulatedClock;
  view: NetboxView | undefined;
  mayWrite = true;
  beforePortion: (() => void) | undefined;
  readonly #records: PoolRecords;

  constructor(netbox: FakeNetbox, rules: Partial<RecordRules> = {}, clock = new SimulatedClock()) {
    this.clock = clock;
    const { signal } = new AbortController();
    const client = new NetboxClient({ url: netbox.url, token: netbox.token, signal, mayWrite: () => this.mayWrite });
    this.#records = new PoolRecords({
      rules: { mode: "record", tags: ["k8s", "cluster-a"], tenant: undefined, role: undefined, onRelease: "delete", ...rules },
      ranges: [AddressRange.ofPrefix(prefix)],
      addresses: [AddressRange.ofPrefix(prefix)],
      client: () => client,
      claims: () => this.#held(),
      known: [],
      wishes: () => this.wishes,
      exists: (service, uid) => this.services.get(service) === uid,
      isHeld: (held) => this.claims.has(`${held}`),
      isKeptElsewhere: () => false,
      onEnd: () => {},
      onChange: (view) => {
        this.view = view;
      },
      portions: {
        do: (portion) => {
          this.beforePortion?.();
          portion();
        },
      },
      clock,
      random: seededRandom(1),
    });
  }

  *#held(): Generator<undefined, Claim[]> {
    yield;
    return [...this.claims.values()];
  }

  holds(service: string, host: number, uid = `uid-${service.replace("/", "-")}`): void {
    const ip = address(`198.51.100.${host}`);
    this.services.set(service, uid);
    this.claims.set(`${ip}`, { address: ip, service, uid });
    this.#records.changed();
  }

  wants(service: string, uid = `uid-${service.replace("/", "-")}`): void {
    this.services.set(service, uid);
    this.wishes.push({ service, uid, family: "IPv4", granted: 0, exhausted: false, keeps: ["IPv4"] });
    this.#records.changed();
  }

  /** What NetBox granted is given to those who wait for it. */
  accept(): void {
    for (const [ip, service] of this.view?.granted ?? []) {
      const waits = this.wishes.findIndex((wish) => wish.service === service);
      if (waits >= 0) this.holds(service, Number(ip.split(".").at(-1)));
      if (waits >= 0) this.wishes.splice(waits, 1);
    }
  }

  gone(service: string): void {
    this.services.delete(service);
    for (const [ip, claim] of this.claims) if (claim.service === service) this.claims.delete(ip);
    const waits = this.wishes.findIndex((wish) => wish.service === service);
    if (waits >= 0) this.wishes.splice(waits, 1);
    this.#records.changed();
  }

  /** Lets time pass, and requests be answered as they are sent. */
  async pass(ms: number): Promise<void> {
    for (const end = this.clock.now() + ms; this.clock.now() <= end; this.clock.advanceBy(100)) {
      const seen = this.view;
      this.clock.advanceBy(0);
      for (let i = 0; i < 60_000 && this.#records.isBusy; i++) await new Promise((resolve) => setTimeout(resolve, 1));
      assert.ok(!this.#records.isBusy, `still asking; it knew ${JSON.stringify(seen)}`);
    }
  }

  [Symbol.dispose](): void {
    this.#records[Symbol.dispose]();
  }
}

test("what Services hold is recorded, and removed some time after nobody holds it", async () => {
  await using netbox = await FakeNetbox.start(text);
  using life = new Life(netbox);
  life.holds("shop/web", 3);
  await life.pass(500);
  assert.deepEqual(netbox.lines, ["198.51.100.3/32: Kubernetes Service shop/web (uid-shop-web)"]);
  life.gone("shop/web");
  await life.pass(30_000);
  assert.equal(netbox.addresses.size, 1, "it may come back");
  await life.pass(40_000);
  assert.equal(netbox.addresses.size, 0);
});

test("what is held from the middle of a pass on is recorded by the next one", async () => {
  await using netbox = await FakeNetbox.start(text);
  using life = new Life(netbox);
  life.holds("shop/web", 3);
  let portions = 0;
  life.beforePortion = () => {
    if (++portions === 3) life.holds("shop/other", 4); // Behind the plan.
  };
  await life.pass(1_000);
  assert.equal(netbox.lines.length, 2);
});

for (const [onRelease, left] of [
  ["deprecate", "deprecated"],
  ["keep", "active"],
] as const)
  test(`on-release ${onRelease}: the record stays, ${left}, and is the next holder's`, async () => {
    await using netbox = await FakeNetbox.start(text);
    using life = new Life(netbox, { onRelease });
    life.holds("shop/web", 3);
    await life.pass(500);
    life.gone("shop/web");
    await life.pass(70_000);
    assert.deepEqual(
      Array.from(netbox.addresses.values(), ({ status }) => status.value),
      [left],
    );
    life.holds("shop/other", 3);
    await life.pass(500);
    assert.deepEqual(netbox.lines, ["198.51.100.3/32: Kubernetes Service shop/other (uid-shop-other)"]);
    assert.deepEqual(
      Array.from(netbox.addresses.values(), ({ status }) => status.value),
      ["active"],
    );
  });

test("one that may have been followed by another changes nothing, whatever it wants, and goes on when it still leads", async () => {
  await using netbox = await FakeNetbox.start(text);
  using former = new Life(netbox);
  former.holds("shop/a", 1);
  former.holds("shop/b", 2);
  await former.pass(500);
  const before = netbox.lines;
  former.mayWrite = false; // It stood still for longer than its Lease lasts.
  former.gone("shop/a");
  former.holds("shop/c", 3);
  await former.pass(70_000);
  assert.deepEqual(netbox.lines, before);
  assert.match(former.view?.problem ?? "", /another controller may lead by now/);
  former.mayWrite = true;
  await former.pass(300_000);
  assert.deepEqual(netbox.lines, [
    "198.51.100.2/32: Kubernetes Service shop/b (uid-shop-b)",
    "198.51.100.3/32: Kubernetes Service shop/c (uid-shop-c)",
  ]);
});

test("a process that starts goes on where another ended: nothing is recorded twice, what is left over goes", async () => {
  await using netbox = await FakeNetbox.start(text);
  const first = new Life(netbox);
  first.holds("shop/a", 1);
  first.holds("shop/b", 2);
  await first.pass(500);
  first[Symbol.dispose]();
  const posted = netbox.requests.filter((request) => request.startsWith("POST")).length;
  using second = new Life(netbox);
  second.holds("shop/a", 1);
  await second.pass(70_000);
  assert.deepEqual(netbox.lines, ["198.51.100.1/32: Kubernetes Service shop/a (uid-shop-a)"]);
  assert.equal(netbox.requests.filter((request) => request.startsWith("POST")).length, posted);
});

test("records of others are reported and never touched, whoever holds the address", async () => {
  await using netbox = await FakeNetbox.start(text);
  netbox.add("198.51.100.1/24", { description: "printer" });
  netbox.add("198.51.100.2/24", { description: "Kubernetes Service shop/web (uid-shop-web)", tags: [{ slug: "k8s" }] });
  netbox.add("198.51.100.4/24", { description: "by hand", tags });
  using life = new Life(netbox);
  life.holds("shop/web", 1);
  await life.pass(700_000);
  assert.deepEqual(
    [...(life.view?.foreign ?? [])],
    [
      ["198.51.100.1", "printer"],
      ["198.51.100.2", "Kubernetes Service shop/web (uid-shop-web)"],
      ["198.51.100.4", "by hand"],
    ],
  );
  assert.equal(netbox.requests.filter((request) => !request.startsWith("GET")).length, 0);
});

for (const [what, onRelease] of [
  ["removed", "delete"],
  ["deprecated", "deprecate"],
] as const)
  test(`a record that somebody else made theirs since it was read is not ${what}`, async () => {
    await using netbox = await FakeNetbox.start(text);
    using life = new Life(netbox, { onRelease });
    life.holds("shop/web", 3);
    await life.pass(500);
    life.gone("shop/web");
    await life.pass(30_000);
    const [record] = [...netbox.addresses.values()];
    assert.ok(record !== undefined);
    const theirs = { ...record, description: "printer", tags: [] };
    netbox.addresses.set(record.id, theirs);
    await life.pass(60_000);
    assert.deepEqual([...netbox.addresses.values()], [theirs]);
    assert.deepEqual([...(life.view?.foreign ?? [])], [["198.51.100.3", "printer"]]);
  });

test("a record that somebody else made theirs since it was read is not given to the next Service", async () => {
  await using netbox = await FakeNetbox.start(text);
  using life = new Life(netbox);
  life.holds("shop/web", 3);
  await life.pass(500);
  life.gone("shop/web");
  const [record] = [...netbox.addresses.values()];
  assert.ok(record !== undefined);
  const theirs = { ...record, description: "printer", tags: [] };
  netbox.addresses.set(record.id, theirs);
  life.holds("shop/other", 3);
  await life.pass(1_000);
  assert.deepEqual([...netbox.addresses.values()], [theirs]);
  assert.deepEqual([...(life.view?.foreign ?? [])], [["198.51.100.3", "printer"]]);
});

for (const onRelease of ["delete", "deprecate"] as const)
  test(`on-release ${onRelease}: the record of an address that is given again while NetBox is slow to release others stays`, async () => {
    await using netbox = await FakeNetbox.start(text);
    using life = new Life(netbox, { onRelease });
    for (const host of [1, 2, 3]) life.holds(`shop/${host}`, host);
    await life.pass(500);
    const kept = netbox.lines.filter((line) => !line.startsWith("198.51.100.2/"));
    for (const host of [1, 2, 3]) life.gone(`shop/${host}`);
    await life.pass(30_000);
    let released = 0;
    netbox.beforeAnswer = () => {
      if (released++ === 0) for (const host of [1, 2, 3]) if (host !== 2) life.holds(`shop/${host}`, host);
    };
    await life.pass(40_000);
    const active = [...netbox.addresses.values()].filter(({ status }) => status.value === "active");
    assert.deepEqual(
      active.map(({ address, description }) => `${address}: ${description}`),
      kept,
    );
    const written = netbox.requests.filter((request) => !request.startsWith("GET"));
    assert.equal(written.length, 4, "three are made, and one is released");
  });

test("a record that somebody removed since it was read holds nothing up, and is made anew where it is needed", async () => {
  await using netbox = await FakeNetbox.start(text);
  using life = new Life(netbox);
  life.holds("shop/web", 3);
  await life.pass(500);
  life.gone("shop/web");
  netbox.addresses.clear();
  life.holds("shop/other", 3);
  await life.pass(1_000);
  assert.deepEqual(netbox.lines, ["198.51.100.3/32: Kubernetes Service shop/other (uid-shop-other)"]);
  assert.equal(life.view?.problem, undefined);
});

test("NetBox chooses for those who wait, each once, and is asked again only after it was read", async () => {
  await using netbox = await FakeNetbox.start(text);
  netbox.add("198.51.100.0/24", { description: "router" });
  using life = new Life(netbox, { mode: "allocate" });
  netbox.faults.push(...(["noAnswer"] as const));
  life.wants("shop/web");
  await life.pass(3_000);
  assert.deepEqual([...(life.view?.granted ?? [])], [["198.51.100.1", "shop/web"]]);
  life.accept();
  life.wants("shop/other");
  await life.pass(300);
  netbox.faults.length = 0;
  life.accept();
  await life.pass(5_000);
  assert.deepEqual(netbox.lines.slice(1), [
    "198.51.100.1/24: Kubernetes Service shop/web (uid-shop-web)",
    "198.51.100.2/24: Kubernetes Service shop/other (uid-shop-other)",
  ]);
});

test("an address that NetBox chooses is no longer somebody else's, whose record went since it was read", async () => {
  await using netbox = await FakeNetbox.start(text);
  const { id } = netbox.add("198.51.100.0/24", { description: "router" });
  using life = new Life(netbox, { mode: "allocate" });
  await life.pass(500);
  assert.deepEqual([...(life.view?.foreign ?? [])], [["198.51.100.0", "router"]]);
  netbox.addresses.delete(id);
  life.wants("shop/web");
  await life.pass(1_000);
  assert.deepEqual([[...(life.view?.granted ?? [])], [...(life.view?.foreign ?? [])]], [[["198.51.100.0", "shop/web"]], []]);
});

for (const fault of ["lostAnswer", "halfAnAnswer", "error", "tooMany"] as const)
  for (const [before, what] of ["the search for the prefix", "the request for an address"].entries())
    test(`${fault}, to ${what}: there is one record in the end`, async () => {
      await using netbox = await FakeNetbox.start(text);
      using life = new Life(netbox, { mode: "allocate" });
      await life.pass(500);
      life.wants("shop/web");
      const seen = netbox.requests.length;
      netbox.faults.push(...Array.from({ length: before }, () => undefined), fault);
      await life.pass(20_000);
      assert.equal(netbox.requests[seen + before]?.startsWith("POST"), before === 1, `${netbox.requests}`);
      assert.equal(netbox.faults.length, 0);
      assert.deepEqual(netbox.lines, ["198.51.100.0/24: Kubernetes Service shop/web (uid-shop-web)"]);
      assert.equal(life.view?.problem, undefined);
    });

test("a Service that was deleted and made again is another one: the old record goes, it gets a new one", async () => {
  await using netbox = await FakeNetbox.start(text);
  using life = new Life(netbox, { mode: "allocate" });
  life.wants("shop/web", "old");
  await life.pass(1_000);
  life.gone("shop/web");
  life.wants("shop/web", "new");
  await life.pass(70_000);
  assert.deepEqual(netbox.lines, ["198.51.100.1/24: Kubernetes Service shop/web (new)"]);
});

test("nothing is chosen for a Service that went while NetBox was slow to choose for others", async () => {
  await using netbox = await FakeNetbox.start(text);
  using life = new Life(netbox, { mode: "allocate", onRelease: "keep" });
  await life.pass(500);
  for (const name of ["shop/a", "shop/b"]) life.wants(name);
  netbox.beforeAnswer = () => life.gone("shop/b");
  await life.pass(500);
  assert.deepEqual(netbox.lines, ["198.51.100.0/24: Kubernetes Service shop/a (uid-shop-a)"]);
});

test("an exhausted prefix is said, and whoever waits gets what becomes free", async () => {
  await using netbox = await FakeNetbox.start(text);
  for (let host = 0; host < 8; host++) netbox.add(`198.51.100.${host}/24`);
  using life = new Life(netbox, { mode: "allocate" });
  life.wants("shop/web");
  await life.pass(1_000);
  assert.deepEqual([...(life.view?.exhausted ?? [])], ["IPv4"]);
  const asked = netbox.requests.length;
  await life.pass(60_000);
  assert.equal(netbox.requests.length, asked, "nobody asks again and again");
  netbox.addresses.delete(5);
  await life.pass(300_000);
  assert.deepEqual([...(life.view?.granted ?? [])], [["198.51.100.4", "shop/web"]]);
});

test("what NetBox refuses holds nothing else up, and is tried again once a minute", async () => {
  await using netbox = await FakeNetbox.start(text);
  using life = new Life(netbox);
  await life.pass(500);
  netbox.add("198.51.100.1/24"); // Nobody has seen it yet.
  life.holds("shop/a", 1);
  life.holds("shop/b", 2);
  await life.pass(500);
  assert.match(life.view?.problem ?? "", /Cannot record 198\.51\.100\.1: NetBox answers 400: .*Duplicate/);
  assert.equal(netbox.addresses.size, 2);
  const asked = netbox.requests.length;
  await life.pass(59_000);
  assert.equal(netbox.requests.length, asked);
  netbox.addresses.clear();
  netbox.enforceUnique = false;
  await life.pass(5_000);
  assert.equal(netbox.addresses.size, 1);
  assert.equal(life.view?.problem, undefined);
});

test("without NetBox nothing is lost: what is held is recorded when it is back", async () => {
  await using netbox = await FakeNetbox.start(text);
  using life = new Life(netbox);
  netbox.faults.push(...Array.from({ length: 6 }, () => "noAnswer" as const));
  life.holds("shop/web", 3);
  await life.pass(10_000);
  assert.match(life.view?.problem ?? "", /NetBox does not answer/);
  assert.equal(life.view?.isKnown, false);
  await life.pass(60_000);
  assert.deepEqual(netbox.lines, ["198.51.100.3/32: Kubernetes Service shop/web (uid-shop-web)"]);
  assert.equal(life.view?.problem, undefined);
});
