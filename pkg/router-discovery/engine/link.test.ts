import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Link,
  type LinkEffect,
  type LinkEvent,
  maxOthers,
  minAdvertiseMs,
  newLink,
  nextDeadline,
  otherRouters,
  step,
} from "./link.ts";

const [first, second, third] = [1n, 2n, 3n] as const;

/** A link under simulated time, which is up. Routers that are there answer each solicitation at once. */
class Bench {
  link: Link = newLink();
  now = 0;
  readonly routers = new Set<bigint>();
  readonly sent: { at: number; what: LinkEffect["type"] }[] = [];

  constructor(...routers: bigint[]) {
    for (const router of routers) this.routers.add(router);
    this.dispatch({ type: "up" });
  }

  dispatch(event: LinkEvent): this {
    const [link, effects] = step(this.link, event, this.now, 0.5);
    this.link = link;
    for (const effect of effects) {
      this.sent.push({ at: this.now, what: effect.type });
      if (effect.type === "solicit") for (const router of this.routers) this.hear(router);
    }
    return this;
  }

  /** @param mac of its own, unless another address has it, too */
  hear(source: bigint, mac = Number(source)): this {
    return this.dispatch({ type: "advertisement", source, mac });
  }

  session(isEstablished: boolean): this {
    return this.dispatch({ type: "session", isEstablished });
  }

  wait(ms: number): this {
    const end = this.now + ms;
    for (let at = nextDeadline(this.link); at <= end; at = nextDeadline(this.link)) {
      this.now = Math.max(this.now, at);
      this.dispatch({ type: "timer" });
    }
    this.now = end;
    return this;
  }

  get router(): bigint | undefined {
    return this.link.router?.address;
  }

  times(what: LinkEffect["type"]): number[] {
    return this.sent.filter((one) => one.what === what).map(({ at }) => at);
  }
}

test("the first router that is heard is the one, and with a session it stays, whoever else is heard and however silent it is", () => {
  const bench = new Bench().hear(first).session(true);
  bench.routers.add(second);
  for (let i = 0; i < 100; i++) bench.hear(second).wait(60_000);
  assert.equal(bench.router, first);
  assert.deepEqual(otherRouters(bench.link, bench.now), [second]);
});

test("a router that another one replaced is given up within 3 s, as soon as the session is over", () => {
  const bench = new Bench(first).wait(10).session(true).wait(100_000);
  bench.routers.delete(first);
  bench.routers.add(second);
  bench.session(false).wait(2_000);
  assert.equal(bench.router, first);
  assert.equal(bench.wait(1_000).router, second);
});

test("a router that answers has 30 s for its session, then another one that answers has its turn, and so on", () => {
  const bench = new Bench(first, second, third).wait(29_000);
  assert.equal(bench.router, first);
  const seen = new Set<bigint | undefined>();
  for (let i = 0; i < 12; i++) seen.add(bench.wait(10_000).router);
  assert.deepEqual([...seen].toSorted(), [first, second, third]);
});

test("a router that is back in time is the one still, after the session and also after the carrier went", () => {
  const bench = new Bench(first, second).wait(10).session(true).wait(60_000);
  bench.session(false).wait(5_000);
  assert.equal(bench.router, first);
  bench.session(true).wait(60_000).dispatch({ type: "down" }).session(false).wait(60_000).dispatch({ type: "up" }).wait(5_000);
  assert.equal(bench.router, first);
});

test("an interface without a carrier sends nothing", () => {
  const bench = new Bench().dispatch({ type: "down" });
  const before = bench.sent.length;
  bench.wait(600_000);
  assert.equal(bench.sent.length, before);
});

test("while nobody answers, solicitations become fewer, to one a minute; a router ends them", () => {
  const bench = new Bench().wait(300_000);
  assert.deepEqual(bench.times("solicit").slice(0, 5), [0, 4_000, 12_000, 28_000, 60_000]);
  assert.ok(bench.times("solicit").length <= 10);
  const before = bench.hear(first).session(true).times("solicit").length;
  assert.equal(bench.wait(600_000).times("solicit").length, before);
});

test("three advertisements come first, then one in 7 to 10 s", () => {
  const times = new Bench().wait(40_000).times("advertise");
  assert.deepEqual(times.slice(0, 4), [0, 4_000, 8_000, 16_500]);
});

test("a flood of solicitations gets an advertisement in 3 s", () => {
  const bench = new Bench();
  for (let i = 0; i < 3_000; i++) bench.dispatch({ type: "solicitation" }).wait(10);
  const times = bench.times("advertise");
  assert.ok(times.length <= 11, `${times}`);
});

test("a flood of advertisements is remembered as 8 others, asks for no more than one roll call in 10 s, and displaces no session", () => {
  const bench = new Bench(first).wait(10).session(true);
  for (let i = 100n; i < 1_000n; i++) bench.hear(i).wait(10);
  assert.deepEqual([bench.router, bench.link.others.length], [first, maxOthers]);
  bench.session(false);
  const before = bench.times("solicit").length;
  for (let i = 100n; i < 3_100n; i++) bench.hear(i).wait(10);
  assert.ok(bench.times("solicit").length - before <= 16, `${bench.times("solicit").length - before}`);
  assert.equal(bench.router, first, "it answers");
});

/** Hosts flood the link with addresses that nobody had before, each of them under some hardware addresses. @returns when `until` holds */
function flooded(bench: Bench, macs: number, until: () => boolean): number {
  for (let i = 0n; i < 24_000n && !until(); i++) {
    // Those after the first few of a roll call come later than the answer of any router.
    bench.hear(1_000n + i, 1_000 + (Number(i) % macs)).wait(20);
  }
  return bench.now;
}

test("a host that makes up addresses without end keeps a router that answers from its turn for no longer than a minute or two", () => {
  const bench = new Bench().hear(50n, 1_000).wait(10);
  bench.routers.add(second);
  const at = flooded(bench, 1, () => bench.router === second);
  assert.deepEqual([bench.router, at <= 95_000], [second, true], `${at}`);
});

test("many hosts that do keep the router of the last session from each second turn neither", () => {
  const bench = new Bench(first).wait(10).session(true).wait(60_000);
  bench.routers.delete(first);
  bench.session(false);
  flooded(bench, 1_000, () => bench.router !== first);
  bench.routers.add(first);
  const gone = bench.now;
  const at = flooded(bench, 1_000, () => bench.router === first);
  assert.ok(bench.router === first && at - gone <= 35_000, `${at - gone}`);
  const turns: number[] = [];
  for (let i = 0; i < 3; i++) {
    flooded(bench, 1_000, () => bench.router !== first);
    const left = bench.now;
    flooded(bench, 1_000, () => bench.router === first);
    turns.push(bench.now - left);
  }
  assert.ok(
    turns.every((ms) => ms <= 35_000),
    `${turns}`,
  );
});

test("whatever happens, advertisements keep their distance, a session its router, and a link its bound", () => {
  const events = fc.oneof(
    fc.constantFrom<LinkEvent>({ type: "up" }, { type: "down" }, { type: "solicitation" }),
    fc
      .tuple(fc.bigInt(1n, 20n), fc.integer({ min: 1, max: 12 }))
      .map(([source, mac]): LinkEvent => ({ type: "advertisement", source, mac })),
    fc.boolean().map((isEstablished): LinkEvent => ({ type: "session", isEstablished })),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(events, fc.integer({ min: 0, max: 20_000 }))), (history) => {
      const bench = new Bench();
      let isUpAt = 0;
      for (const [event, ms] of history) {
        const { router } = bench;
        const isKept = bench.link.isEstablished && router !== undefined;
        bench.dispatch(event).wait(ms);
        if (event.type === "up") isUpAt = bench.now;
        if (isKept && bench.link.isEstablished) assert.equal(bench.router, router);
        assert.ok(bench.link.others.length <= maxOthers);
        assert.ok(!bench.link.others.some(({ address }) => address === bench.router));
      }
      assert.ok(isUpAt >= 0);
      const times = bench.times("advertise");
      const ups = history.filter(([{ type }]) => type === "up").length;
      const close = times.filter((at, index) => index > 0 && at - (times[index - 1] ?? 0) < minAdvertiseMs).length;
      assert.ok(close <= ups, `${times}`);
    }),
  );
});
