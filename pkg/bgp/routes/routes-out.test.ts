import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Address, Family, Prefix } from "#pkg/net";
import { address, prefix } from "#pkg/net/testing";
import type { RouteAttributes } from "./route.ts";
import { RoutesOut } from "./routes-out.ts";
import { localEnd, negotiated, route } from "./testing/fixtures.ts";
import { Listener } from "./testing/listener.ts";

const plain = route();
const one = prefix("198.51.100.1/32");
const two = prefix("198.51.100.2/32");
const six = prefix("2001:db8:1::/64");

/** A session that knows all of `prefixes`, and the messages from then on. */
function settled(
  prefixes: readonly Prefix[],
  agreed = negotiated(),
  end = localEnd(),
): { routes: RoutesOut; listener: Listener } {
  const routes = new RoutesOut();
  for (const each of prefixes) routes.advertise(each, plain);
  routes.start(agreed, end);
  const listener = new Listener(agreed);
  listener.pull(routes);
  listener.received.length = 0;
  return { routes, listener };
}

function received(routes: RoutesOut, listener: Listener): readonly string[] {
  listener.received.length = 0;
  listener.pull(routes);
  return listener.received;
}

test("a new session is told everything, then that each family is complete", () => {
  const routes = new RoutesOut();
  for (const each of [one, six, two]) routes.advertise(each, plain);
  assert.deepEqual({ pending: routes.pending, announced: routes.advertised }, { pending: 3, announced: 0 });
  routes.start(negotiated(), localEnd());
  assert.deepEqual(received(routes, new Listener(negotiated())), [
    `announce ${one} ${two}`,
    "end of IPv4",
    `announce ${six}`,
    "end of IPv6",
  ]);
  assert.deepEqual({ pending: routes.pending, announced: routes.advertised }, { pending: 0, announced: 3 });
});

test("a family is complete only once all routes have been looked at, however many of the other come first", () => {
  const routes = new RoutesOut({ entriesAtOnce: 2 });
  const sixes = Array.from({ length: 5 }, (_, i) => prefix(`2001:db8:${i + 1}::/64`));
  for (const each of [...sixes, one, two]) routes.advertise(each, plain);
  routes.start(negotiated(), localEnd());
  const listener = new Listener(negotiated());
  const seen = [...received(routes, listener)];
  for (let times = 0; times < 20; times++) seen.push(...received(routes, listener));
  assert.deepEqual(
    seen.filter((message) => !message.includes(":")),
    [`announce ${one}`, `announce ${two}`, "end of IPv4", "end of IPv6"],
  );
  assert.equal(listener.table.size, 7);
});

test("without routes, a session is told that each family is complete", () => {
  const { routes } = settled([]);
  routes.start(negotiated(), localEnd());
  assert.deepEqual(received(routes, new Listener(negotiated())), ["end of IPv4", "end of IPv6"]);
});

test("one change is one message with one prefix", () => {
  const { routes, listener } = settled([one, six]);
  routes.advertise(two, plain);
  assert.deepEqual(received(routes, listener), [`announce ${two}`]);
  routes.withdraw(one);
  assert.deepEqual(received(routes, listener), [`withdraw ${one}`]);
  routes.withdraw(six);
  assert.deepEqual(received(routes, listener), [`withdraw ${six}`]);
  assert.deepEqual(received(routes, listener), []);
});

test("withdrawals of all families go before any announcement", () => {
  const { routes, listener } = settled([one, six]);
  routes.advertise(two, plain);
  routes.withdraw(six);
  routes.withdraw(one);
  assert.deepEqual(received(routes, listener), [`withdraw ${one}`, `withdraw ${six}`, `announce ${two}`]);
});

test("prefixes with the same attributes travel together, others apart", () => {
  const { routes, listener } = settled([]);
  const other = route({ med: 5 });
  routes.advertise(one, plain);
  routes.advertise(prefix("198.51.100.3/32"), other);
  routes.advertise(two, plain);
  assert.deepEqual(received(routes, listener), [`announce ${one} ${two}`, "announce 198.51.100.3/32"]);
});

test("what is superseded before it is sent is never sent", () => {
  const { routes, listener } = settled([one]);
  routes.advertise(two, plain);
  routes.withdraw(two);
  routes.withdraw(one);
  routes.advertise(one, plain);
  assert.equal(routes.pending, 0);
  assert.deepEqual(received(routes, listener), []);
  routes.advertise(one, route({ med: 1 }));
  routes.advertise(one, route({ med: 2 }));
  assert.deepEqual(received(routes, listener), [`announce ${one}`]);
  assert.equal(listener.table.get(one.toString())?.med, 2);
});

test("a refresh repeats what the peer knows, between marks where both sides use them", () => {
  const { routes, listener } = settled([one, six]);
  routes.refresh("IPv4");
  assert.deepEqual(received(routes, listener), [`announce ${one}`]);
  const marked = settled([one, six], negotiated({ enhancedRouteRefresh: true }));
  marked.routes.refresh("IPv6");
  assert.deepEqual(received(marked.routes, marked.listener), ["refresh beginning IPv6", `announce ${six}`, "refresh end IPv6"]);
});

test("a refresh waits until the queue is empty, and counts once however often it is asked for", () => {
  const { routes, listener } = settled([one], negotiated({ enhancedRouteRefresh: true }));
  routes.advertise(two, plain);
  for (let i = 0; i < 3_000; i++) routes.refresh("IPv4");
  assert.deepEqual(received(routes, listener), [
    `announce ${two}`,
    "refresh beginning IPv4",
    `announce ${one} ${two}`,
    "refresh end IPv4",
  ]);
});

test("what changes during a refresh, and back, is still repeated, because the peer takes the rest for gone", () => {
  const { routes, listener } = settled([one, two], negotiated({ enhancedRouteRefresh: true }));
  routes.refresh("IPv4");
  listener.pull(routes, 1);
  routes.withdraw(one);
  routes.advertise(one, plain);
  routes.advertise(two, route({ med: 1 }));
  routes.advertise(two, plain);
  listener.pull(routes);
  assert.deepEqual([...listener.table.keys()].sort(), [one, two].map(String));
});

test("a refresh of a family that the session does not carry is nothing", () => {
  const { routes, listener } = settled([one, six], negotiated({ families: new Set<Family>(["IPv4"]) }));
  routes.refresh("IPv6");
  assert.deepEqual(received(routes, listener), []);
});

test("routes of a family that was not agreed on stay here, and are counted", () => {
  const { routes, listener } = settled([one, six], negotiated({ families: new Set<Family>(["IPv4"]) }));
  assert.deepEqual([...listener.table.keys()], [one.toString()]);
  assert.equal(routes.pending, 0);
  assert.deepEqual(routes.unsendable(), [{ family: "IPv6", reason: "familyNotNegotiated", prefixes: 1 }]);
});

test("routes without a next hop stay here, until the configuration names one", () => {
  const addresses = new Map([["IPv4" as const, address("192.0.2.10")]]);
  const { routes, listener } = settled([one, six], negotiated(), localEnd({ addresses }));
  assert.deepEqual(routes.unsendable(), [{ family: "IPv6", reason: "noNextHop", prefixes: 1 }]);
  const named = route({ nextHop: address("2001:db8::99") });
  routes.advertise(six, named);
  assert.deepEqual(received(routes, listener), [`announce ${six}`]);
  routes.advertise(six, plain);
  assert.deepEqual(received(routes, listener), [`withdraw ${six}`]);
  assert.deepEqual(routes.unsendable(), [{ family: "IPv6", reason: "noNextHop", prefixes: 1 }]);
  assert.equal(routes.advertised, 1);
  routes.stop();
  assert.deepEqual(routes.unsendable(), []);
});

test("routes follow the addresses of this side: with another next hop, out at last, or back where there is none any more", () => {
  const only = (...[text]: string[]) => new Map(text === undefined ? [] : [["IPv6" as const, address(text)]]);
  const four: [Family, Address] = ["IPv4", address("192.0.2.10")];
  const end = (more: Map<"IPv6", Address>) => ({ addresses: new Map([four, ...more]), linkLocal: undefined });
  const { routes, listener } = settled([one, six], negotiated(), localEnd({ addresses: new Map([four]) }));
  routes.setAddresses(end(only()));
  assert.deepEqual(received(routes, listener), []);
  routes.setAddresses(end(only("2001:db8::1")));
  assert.deepEqual(received(routes, listener), [`announce ${six}`]);
  assert.deepEqual(routes.unsendable(), []);
  routes.setAddresses(end(only("2001:db8::2")));
  assert.deepEqual(received(routes, listener), [`announce ${six}`]);
  assert.deepEqual(routes.standing(six), { state: "sent", nextHops: [address("2001:db8::2")] });
  routes.setAddresses(end(only()));
  assert.deepEqual(received(routes, listener), [`withdraw ${six}`]);
  assert.deepEqual(routes.unsendable(), [{ family: "IPv6", reason: "noNextHop", prefixes: 1 }]);
  routes.stop();
  routes.setAddresses(end(only("2001:db8::1")));
});

test("what still waits for a slow router stays here where this side loses its address meanwhile, however much it is", () => {
  const routes = new RoutesOut();
  for (let i = 0; i < 3_000; i++) routes.advertise(prefix(`2001:db8:0:${i.toString(16)}::/64`), plain);
  routes.start(negotiated(), localEnd());
  const listener = new Listener(negotiated());
  listener.pull(routes, 4);
  assert.ok(listener.table.size > 500 && routes.pending > 1_000, `${listener.table.size} of which ${routes.pending} wait`);
  routes.setAddresses({ addresses: new Map([["IPv4", address("192.0.2.10")]]), linkLocal: undefined });
  listener.pull(routes);
  assert.deepEqual([listener.table.size, routes.advertised, routes.pending], [0, 0, 0]);
  assert.deepEqual(routes.unsendable(), [{ family: "IPv6", reason: "noNextHop", prefixes: 3_000 }]);
  assert.deepEqual(listener.received.slice(-1), ["end of IPv6"]);
});

test("each route is said to be sent with its next hop, to wait, or why it stays here", () => {
  const { routes } = settled([one, six], negotiated({ families: new Set<Family>(["IPv4"]) }));
  assert.deepEqual(routes.standing(one), { state: "sent", nextHops: [address("192.0.2.10")] });
  assert.deepEqual(routes.standing(six), { state: "familyNotNegotiated" });
  routes.advertise(two, plain);
  assert.deepEqual(routes.standing(two), { state: "waits" });
  routes.withdraw(one);
  assert.equal(routes.standing(one), undefined);
  routes.stop();
  assert.equal(routes.standing(two), undefined);
  const onlyIpv4 = localEnd({ addresses: new Map([["IPv4" as const, address("192.0.2.10")]]) });
  assert.deepEqual(settled([six], negotiated(), onlyIpv4).routes.standing(six), { state: "noNextHop" });
});

test("when routes are about to go, all of them are sent again with GRACEFUL_SHUTDOWN", () => {
  const { routes, listener } = settled([one, two]);
  routes.advertise(two, route({ communities: [1, 0xffff_ff01] }));
  listener.pull(routes);
  routes.setLeaving(true);
  listener.pull(routes);
  assert.deepEqual(listener.table.get(one.toString())?.communities, [0xffff_0000]);
  assert.deepEqual(listener.table.get(two.toString())?.communities, [1, 0xffff_0000, 0xffff_ff01]);
  const late = prefix("198.51.100.9/32");
  routes.advertise(late, plain);
  listener.pull(routes);
  assert.deepEqual(listener.table.get(late.toString())?.communities, [0xffff_0000]);
  routes.setLeaving(false);
  listener.pull(routes);
  assert.equal(listener.table.get(one.toString())?.communities, undefined);
});

test("the next session begins from nothing, and withdrawn prefixes are forgotten", () => {
  const { routes } = settled([one, two]);
  routes.withdraw(one);
  routes.stop();
  assert.deepEqual(
    { pending: routes.pending, announced: routes.advertised, next: routes.next() },
    { pending: 1, announced: 0, next: undefined },
  );
  routes.start(negotiated(), localEnd());
  assert.deepEqual(received(routes, new Listener(negotiated())), [`announce ${two}`, "end of IPv4", "end of IPv6"]);
});

test("no message is longer than agreed", () => {
  for (const extendedMessage of [false, true]) {
    const routes = new RoutesOut({ entriesAtOnce: 20_000 });
    for (let i = 0; i < 20_000; i++) routes.advertise(prefix(`10.${i >> 8}.${i & 255}.0/24`), plain);
    const agreed = negotiated({ extendedMessage });
    routes.start(agreed, localEnd());
    const listener = new Listener(agreed);
    listener.pull(routes);
    assert.equal(listener.table.size, 20_000);
    assert.ok(listener.received.length < (extendedMessage ? 5 : 25), `${listener.received.length} messages`);
  }
});

test("what concerns all routes is found out a thousand at a time, while messages are pulled", () => {
  let looks = 0;
  const counted: RouteAttributes = {
    ...plain,
    get nextHop() {
      looks++;
      return undefined;
    },
  };
  const took = (act: () => unknown): number => {
    looks = 0;
    act();
    return looks;
  };
  const routes = new RoutesOut();
  for (let i = 0; i < 10_000; i++) routes.advertise(prefix(`10.${i >> 8}.${i & 255}.0/24`), counted);
  const pullAll = (): number => {
    let most = 0;
    do
      most = Math.max(
        most,
        took(() => routes.next()),
      );
    while (routes.pending > 0 || routes.next() !== undefined);
    return most;
  };
  assert.equal(
    took(() => routes.start(negotiated(), localEnd())),
    0,
  );
  assert.equal(routes.pending, 10_000);
  // For each message also the next hop and the attributes that it has.
  const most = 1_000 + 10;
  assert.ok(pullAll() <= most);
  assert.deepEqual([routes.pending, routes.advertised], [0, 10_000]);
  assert.equal(
    took(() => routes.setLeaving(true)),
    0,
  );
  assert.equal(routes.pending, 10_000);
  assert.ok(pullAll() <= most);
  assert.equal(
    took(() => routes.refresh("IPv4")),
    0,
  );
  assert.ok(took(() => routes.next()) <= most);
  assert.ok(routes.pending > 8_000);
  assert.ok(pullAll() <= most);
});

test("whatever happens, the peer ends with what is wanted, and gets no prefix that it does not need", () => {
  const attributes = [
    plain,
    route({ med: 1 }),
    route({ localPref: 2, communities: [7] }),
    route({ nextHop: address("2001:db8::99") }),
  ];
  const prefixes = [one, two, six, prefix("203.0.113.0/24"), prefix("2001:db8:2::1/128")];
  const change = fc.oneof(
    fc.record({
      type: fc.constant("announce" as const),
      prefix: fc.constantFrom(...prefixes),
      route: fc.constantFrom(...attributes),
    }),
    fc.record({ type: fc.constant("withdraw" as const), prefix: fc.constantFrom(...prefixes) }),
    fc.record({ type: fc.constant("pull" as const), most: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ type: fc.constant("refresh" as const), family: fc.constantFrom<Family>("IPv4", "IPv6") }),
    fc.record({ type: fc.constant("leaving" as const), leaving: fc.boolean() }),
    fc.record({ type: fc.constant("stop" as const) }),
    fc.record({ type: fc.constant("start" as const), onlyIpv4: fc.boolean() }),
    fc.record({ type: fc.constant("addresses" as const), onlyIpv4: fc.boolean() }),
  );
  const entriesAtOnce = fc.constantFrom(1, 2, 1_000);
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 60 }),
      fc.boolean(),
      fc.boolean(),
      entriesAtOnce,
      (changes, enhancedRouteRefresh, isIpv4Only, entriesAtOnce) => {
        const agreed = negotiated({ enhancedRouteRefresh });
        const ipv4 = new Map([["IPv4" as const, address("192.0.2.10")]]);
        const endOf = (onlyIpv4: boolean) => (onlyIpv4 ? localEnd({ addresses: ipv4 }) : localEnd());
        const routes = new RoutesOut({ entriesAtOnce });
        const wanted = new Map<string, RouteAttributes>(); // prefix -> what the peer should know
        let listener: Listener | undefined;
        let leaving = false;
        let onlyIpv4 = isIpv4Only;
        const start = (): void => {
          routes.start(agreed, endOf(onlyIpv4));
          listener = new Listener(agreed);
        };
        start();
        for (const step of changes) {
          if (step.type === "announce") routes.advertise(step.prefix, step.route);
          if (step.type === "announce") wanted.set(step.prefix.toString(), step.route);
          if (step.type === "withdraw") routes.withdraw(step.prefix);
          if (step.type === "withdraw") wanted.delete(step.prefix.toString());
          if (step.type === "pull") listener?.pull(routes, step.most);
          if (step.type === "refresh") routes.refresh(step.family);
          if (step.type === "leaving") routes.setLeaving(step.leaving);
          if (step.type === "leaving") leaving = step.leaving;
          if (step.type === "addresses" || step.type === "start") onlyIpv4 = step.onlyIpv4;
          if (step.type === "addresses") routes.setAddresses(endOf(onlyIpv4));
          if (step.type === "start") start();
          if (step.type === "stop") routes.stop();
          if (step.type === "stop") listener = undefined;
          assert.deepEqual([routes.advertised, routes.wanted], [listener?.table.size ?? 0, wanted.size], step.type);
          if (listener === undefined) assert.deepEqual([routes.pending, routes.unsendable()], [wanted.size, []]);
          for (const each of prefixes) {
            const standing = routes.standing(each);
            assert.equal(standing !== undefined, listener !== undefined && wanted.has(each.toString()));
            if (standing?.state === "sent") assert.ok(listener?.table.has(each.toString()));
          }
        }
        if (listener === undefined) start();
        assert.ok(listener !== undefined);
        listener.pull(routes);
        const carried = [...wanted].filter(([key, { nextHop }]) => !onlyIpv4 || !key.includes(":") || nextHop !== undefined);
        const expected = carried.map(([key, { med, communities }]) => {
          const sent = leaving ? [...communities, 0xffff_0000] : communities;
          return [key, med, sent.length > 0 ? sent : undefined];
        });
        const known = [...listener.table].map(([key, { med, communities }]) => [key, med, communities]);
        assert.deepEqual(known.sort(), expected.sort());
        assert.deepEqual([routes.pending, routes.advertised, routes.wanted], [0, carried.length, wanted.size]);
        const left = wanted.size - carried.length;
        assert.deepEqual(routes.unsendable(), left === 0 ? [] : [{ family: "IPv6", reason: "noNextHop", prefixes: left }]);
        assert.deepEqual(
          listener.received.filter((line) => line.startsWith("unknown")),
          [],
        );
        assert.deepEqual(listener.received.filter((line) => line.startsWith("end of")).sort(), ["end of IPv4", "end of IPv6"]);
        assert.equal(routes.next(), undefined);
        start();
        assert.equal(routes.pending, wanted.size, "nothing is kept that is wanted no more");
      },
    ),
  );
});
