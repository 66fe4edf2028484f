import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Millis, Portions } from "#pkg/clock";
import { SimulatedClock, seededRandom, seeds } from "#pkg/clock/testing";
import type { SessionSettings } from "#pkg/config";
import { type Address, Prefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { encodeMessage } from "../codec/message-codec.ts";
import { RoutesOut } from "../routes/routes-out.ts";
import { announce, attributes, Pair, type PairOptions, RecordingLog } from "../testing/pair.ts";
import { settings } from "../testing/settings.ts";
import { SimulatedNetwork } from "../testing/simulated-network.ts";
import { PeerSession } from "./peer-session.ts";
import type { SocketEnd } from "./transport.ts";

const few = 3;

/** A pair that has settled, with routes from near to far. */
function settled(options: PairOptions = {}, count = few): Pair {
  const pair = new Pair(options);
  announce(pair.near.routes, count);
  pair.start().settle();
  return pair;
}

test("two sessions find each other, and one advertises its routes to the other", () => {
  const pair = settled();
  assert.equal(pair.far.session.describe().prefixesReceived, few);
  const { session, state, messagesSent, prefixesAnnounced, prefixesPending } = pair.near.session.describe();
  assert.deepEqual([state, prefixesAnnounced, prefixesPending], ["established", few, 0]);
  assert.deepEqual(session?.endOfRibReceived, ["IPv4", "IPv6"]);
  assert.equal(`${session?.routerId} ${session?.peerRouterId}`, "192.0.2.1 192.0.2.2");
  assert.deepEqual(messagesSent, { open: 1, update: 3, notification: 0, keepalive: 1, routeRefresh: 0 });
  assert.deepEqual(pair.near.log.loud, ["info BGP session established"]);
});

for (const from of ["192.0.2.1", "192.0.2.2"])
  test(`a connection that breaks after any octet from ${from} is followed by another, on which everything is advertised again`, () => {
    for (let octets = 0; ; octets++) {
      const pair = new Pair({ seed: octets + 1 });
      announce(pair.near.routes, few);
      pair.network.faults.set(from, { breakAfter: octets });
      pair.start();
      pair.until(() => pair.network.count > 0, 1000, "the first connection");
      pair.network.faults.clear();
      pair.settle(10_000);
      assert.equal(pair.far.session.describe().prefixesReceived, few, `after ${octets} octets`);
      assert.equal(pair.network.open, 1);
      if (pair.network.count === 1) {
        assert.ok(octets > 130, `only ${octets} octets were exchanged`);
        return; // It never broke: all that there is was exchanged before.
      }
    }
  });

test("messages arrive in pieces of any size", () => {
  for (const chunk of [1, 2, 7, 18, 19, 20, 100]) {
    const pair = new Pair();
    announce(pair.near.routes, few);
    for (const from of ["192.0.2.1", "192.0.2.2"]) pair.network.faults.set(from, { chunk });
    pair.start().settle();
    assert.equal(pair.far.session.describe().prefixesReceived, few);
    assert.equal(pair.network.count, 1);
  }
});

test("when both connect, at once or one after the other, one session remains", () => {
  for (const higher of ["192.0.2.0", "192.0.2.9"])
    for (let delay = 0; delay <= 12; delay++) {
      const far = { passive: false, routerId: address(higher) };
      const pair = new Pair({ both: true, far, seed: delay + 1 });
      announce(pair.near.routes, few);
      pair.far.session.start();
      pair.clock.advanceBy(delay);
      pair.near.session.start();
      pair.settle(10_000);
      pair.clock.advanceBy(30_000);
      const where = `router identifier ${higher}, ${delay} ms apart: ${pair.print()}`;
      assert.ok(pair.settled && pair.network.open === 1, where);
      assert.equal(pair.near.session.describe().flaps, 0, where);
      assert.equal(pair.far.session.describe().prefixesReceived, few, where);
    }
});

test("whatever the network does, they find back to each other when it is well, and leave nothing behind", () => {
  for (const seed of seeds(200)) {
    const random = seededRandom(seed);
    const chance = (most: number) => Math.floor(random() * most);
    const both = random() < 0.5;
    const far = both ? { passive: false, holdTimeSeconds: 9 } : { holdTimeSeconds: 9 };
    const pair = new Pair({ seed, both, far });
    announce(pair.near.routes, few);
    pair.start();
    for (let i = 0; i < 20; i++) {
      const { network } = pair;
      const faults = [
        () => network.breakAll(),
        () => network.freeze(true),
        () => network.freeze(false),
        () => Object.assign(network, { refused: !network.refused }),
        () => Object.assign(network, { silent: !network.silent }),
        () => network.faults.set(`192.0.2.${1 + chance(2)}`, { breakAfter: chance(300), chunk: 1 + chance(50) }),
        () => network.faults.clear(),
        () => pair.near.session.reset("administrativeReset", "chance"),
        () => pair.far.session.configure({ ...pair.far.settings, keepaliveSeconds: 1 + chance(3) }),
        () => pair.near.routes.withdraw(new Prefix(address("10.0.0.1"), 32)),
      ];
      faults[chance(faults.length)]?.();
      pair.near.session.routesChanged();
      pair.clock.advanceBy(chance(20_000));
    }
    Object.assign(pair.network, { refused: false, silent: false });
    pair.network.faults.clear();
    pair.network.freeze(false);
    announce(pair.near.routes, few);
    pair.near.session.routesChanged();
    pair.settle(400_000);
    pair.clock.advanceBy(300_000);
    assert.ok(pair.settled, pair.print());
    assert.equal(pair.network.open, 1, pair.print());
    assert.ok(pair.clock.pending().length <= 4, `${pair.clock.pending()}`);
  }
});

test("a peer that is frozen is given up when the hold time is over, and found again", () => {
  const pair = settled({ near: { holdTimeSeconds: 3, keepaliveSeconds: 1 } });
  pair.network.freeze(true);
  const waited = pair.until(() => !pair.near.session.established, 10_000, "the hold timer expires");
  assert.ok(waited >= 2_000 && waited <= 3_000, `${waited} ms`);
  const { lastDown, holdTimerExpirations, flaps, notificationSent } = pair.near.session.describe();
  assert.equal(lastDown?.what, "hold timer expired: nothing received for 3 s");
  assert.deepEqual([holdTimerExpirations, flaps, notificationSent?.what], [1, 1, "Hold Timer Expired (4/0)"]);
  pair.network.freeze(false);
  pair.settle(10_000);
  assert.deepEqual(pair.near.log.loud, [
    "info BGP session established",
    "warn BGP session down: hold timer expired: nothing received for 3 s",
    "info BGP session established",
  ]);
});

test("after standing still, it reads what the peer sent in time before it believes its hold timer", () => {
  const pair = settled({ near: { holdTimeSeconds: 9, keepaliveSeconds: 3 } });
  pair.clock.advanceBy(2_000);
  pair.stall.standStill(8_000);
  pair.clock.advanceBy(60_000);
  assert.equal(pair.near.session.describe().holdTimerExpirations, 0);
  assert.ok(pair.settled);
});

test("of many routes only so many are handed to a connection that does not take them, and those that changed meanwhile are sent as they are then", () => {
  const pair = settled();
  pair.network.freeze(true);
  announce(pair.near.routes, 50_000);
  pair.near.session.routesChanged();
  const ahead = pair.near.routes.advertised;
  assert.ok(ahead * 5 >= 50_000 && ahead * 5 <= 150_000, `${ahead} prefixes`);
  pair.clock.advanceBy(1_000);
  pair.near.session.routesChanged();
  assert.equal(pair.near.routes.advertised, ahead);
  for (let i = 0; i < 100; i++) {
    const one = new Prefix(address("10.0.195.79"), 32);
    pair.near.routes.withdraw(one);
    pair.near.routes.advertise(one, attributes);
    pair.near.session.routesChanged();
  }
  pair.network.freeze(false);
  pair.settle();
  assert.equal(pair.far.session.describe().prefixesReceived, few + (50_000 - few));
});

test("closing sends the peer the reason, and is over when the peer has closed too", async () => {
  const pair = settled();
  const closed = pair.near.session.close("administrativeShutdown", "maintenance");
  pair.clock.advanceBy(10);
  await closed;
  assert.equal(pair.network.open, 0);
  assert.equal(pair.far.session.describe().lastDown?.what, 'peer closed with Cease/Administrative Shutdown (6/2): "maintenance"');
  assert.equal(pair.near.session.describe().state, "idle");
  assert.deepEqual(pair.near.log.loud.slice(1), [
    "info BGP session down: this node closed with Cease/Administrative Shutdown (6/2): maintenance",
  ]);
  pair.clock.advanceBy(3_600_000);
  assert.equal(pair.near.session.describe().state, "idle");
  pair.near.session.start();
  pair.settle(200_000);
});

test("closing takes 3 s at most when the peer does not take it", async () => {
  const pair = settled();
  pair.network.freeze(true);
  const closed = pair.near.session.close("administrativeShutdown", "maintenance");
  pair.clock.advanceBy(3_010);
  await closed;
  assert.equal(pair.network.open, 0);
});

test("closing while it connects, or while it waits, leaves nothing", async () => {
  for (const passed of [0, 500, 10_500]) {
    const pair = new Pair();
    pair.network.silent = true;
    pair.near.session.start();
    pair.clock.advanceBy(passed);
    const closed = pair.near.session.close("administrativeShutdown", "maintenance");
    pair.clock.advanceBy(10);
    await closed;
    assert.deepEqual([pair.network.open, pair.clock.pending()], [0, []]);
  }
});

test("a failure is logged once, as long as it is the same", () => {
  const pair = new Pair({ near: { password: "secret" } });
  pair.network.refused = true;
  pair.start();
  pair.clock.advanceBy(600_000);
  assert.ok(pair.network.count > 5);
  assert.deepEqual(pair.near.log.loud, ["warn BGP session not established: connection refused"]);
  pair.network.refused = false;
  pair.network.silent = true;
  pair.clock.advanceBy(600_000);
  const silence = "no answer to the connection within 10 s: a password is configured, which may not be the peer's";
  assert.deepEqual(pair.near.log.loud.slice(1), [`warn BGP session not established: ${silence}`]);
  assert.equal(pair.near.session.describe().lastFailure?.what, silence);
  pair.network.silent = false;
  pair.settle(400_000);
  assert.equal(pair.near.session.describe().lastFailure, undefined);
});

test("a new session under other settings follows at once, and the peer is notified", () => {
  const pair = settled();
  const changed = { ...settings(), holdTimeSeconds: 30, keepaliveSeconds: 10 };
  pair.near.session.configure(changed);
  pair.clock.advanceBy(10);
  assert.equal(pair.far.session.describe().lastDown?.what, "peer closed with Cease/Other Configuration Change (6/6)");
  pair.settle(5_000);
  assert.equal(pair.near.session.describe().session?.holdTimeSeconds, 30);
});

test("the next session waits until the peer has closed the former connection, for 3 s at most", () => {
  for (const isFrozen of [false, true]) {
    const pair = settled();
    const { network, near } = pair;
    if (isFrozen) network.freeze(true);
    near.session.configure({ ...settings(), holdTimeSeconds: 30, keepaliveSeconds: 10 });
    const waited = pair.until(() => network.count > 1, 4_000, "the next connection");
    assert.equal(network.open, 1, "the former is closed");
    assert.ok(waited <= (isFrozen ? 3_010 : 10), `${waited} ms`);
  }
});

test("a peer that asks for all routes again gets them", () => {
  const pair = settled();
  const sent = pair.near.session.describe().messagesSent.update;
  pair.network.inject("192.0.2.2", Uint8Array.from([...new Array(16).fill(255), 0, 23, 5, 0, 1, 0, 1]));
  pair.clock.advanceBy(10);
  const { messagesSent, messagesReceived } = pair.near.session.describe();
  assert.equal(messagesReceived.routeRefresh, 1);
  assert.equal(messagesSent.update, sent + 1);
  assert.equal(messagesSent.routeRefresh, 2, "the marks of RFC 7313");
});

test("what is no BGP is answered with the error of RFC 4271, section 6.1", () => {
  const pair = settled();
  pair.network.inject("192.0.2.2", new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n"));
  pair.clock.advanceBy(10);
  const { lastDown, notificationSent } = pair.near.session.describe();
  assert.match(notificationSent?.what ?? "", /^Message Header Error\/Connection Not Synchronized \(1\/1\)/);
  assert.match(lastDown?.what ?? "", /^this node closed with Message Header Error\/Connection Not Synchronized \(1\/1\): /);
});

test("a session that ends over and over is down since the first end, and once it was stable since the last", () => {
  const pair = settled();
  const { session } = pair.near;
  const downFor = () => session.describe().sinceSeconds;
  const flap = (stableMs: number): void => {
    pair.clock.advanceBy(stableMs);
    pair.network.breakAll();
    pair.until(() => !session.established, 100, "the end of the session");
  };
  flap(0);
  const began = pair.clock.now() - 1000 * downFor();
  for (let i = 0; i < 3; i++) {
    pair.until(() => session.established, 600_000, "another session");
    assert.equal(downFor(), 0, "that is established since now");
    flap(1_000);
    assert.ok(Math.abs(pair.clock.now() - 1000 * downFor() - began) <= 100, "to a tenth of a second");
  }
  pair.until(() => session.established, 600_000, "another session");
  flap(600_000);
  assert.ok(downFor() < 1, `${downFor()}`);
});

test("of routes that a session cannot carry it is told for how long, and more of them change nothing about that", () => {
  const pair = settled();
  const { routes, session } = pair.near;
  const unsendable = () =>
    session.describe().unsendable.map(({ family, prefixes, seconds }) => `${prefixes} ${family} ${seconds}`);
  const advertise = (text: string, stays: number) => {
    routes.advertise(new Prefix(address(text), 128), attributes);
    session.routesChanged();
    pair.clock.advanceBy(stays);
  };
  pair.clock.advanceBy(10_000);
  advertise("2001:db8::1", 5_000);
  assert.deepEqual(unsendable(), ["1 IPv6 5"]);
  advertise("2001:db8::2", 1_000);
  assert.deepEqual(unsendable(), ["2 IPv6 6"]);
});

test("nothing is read from a connection behind what ended the session", () => {
  const pair = settled();
  pair.clock.advanceBy(10_000); // The next connection is not the other one of a collision.
  const bye = encodeMessage({ type: "notification", code: 6, subcode: 4, data: new Uint8Array() });
  pair.network.inject("192.0.2.2", Buffer.concat([bye, encodeMessage({ type: "keepalive" }), bye]));
  pair.clock.advanceBy(10);
  assert.equal(pair.near.session.describe().messagesReceived.notification, 1);
});

function withIpv6(end: SocketEnd, has: Address | undefined): SocketEnd {
  return has === undefined ? end : { ...end, addresses: new Map([...end.addresses, ["IPv6", has]]) };
}

test("an established session takes the addresses that its interface has by now as next hops, and sends its routes again", () => {
  let has: Address | undefined;
  const pair = new Pair({ endNow: (end) => withIpv6(end, has) });
  const prefix = new Prefix(address("2001:db8:1::1"), 128);
  pair.near.routes.advertise(prefix, attributes);
  pair.start().settle();
  assert.equal(pair.near.routes.standing(prefix)?.state, "noNextHop");
  for (const text of ["2001:db8::2", "2001:db8::3"]) {
    has = address(text);
    pair.near.session.addressesChanged();
    pair.settle();
    const standing = pair.near.routes.standing(prefix);
    assert.equal(standing?.state === "sent" && `${standing.nextHops}`, text);
  }
  const { update } = pair.near.session.describe().messagesSent;
  pair.near.session.addressesChanged();
  pair.settle();
  assert.equal(pair.near.session.describe().messagesSent.update, update, "the same addresses again");
});

test("a session has the next hops that its interface got while the router had yet to answer the OPEN", () => {
  let has: Address | undefined;
  const pair = new Pair({ endNow: (end) => withIpv6(end, has) });
  const prefix = new Prefix(address("2001:db8:1::1"), 128);
  pair.near.routes.advertise(prefix, attributes);
  pair.start();
  pair.until(() => pair.near.session.describe().state === "openSent", 5_000, "it has connected");
  has = address("2001:db8::1");
  pair.near.session.addressesChanged();
  pair.settle();
  const standing = pair.near.routes.standing(prefix);
  assert.equal(standing?.state === "sent" && `${standing.nextHops}`, `${has}`);
});

test("connections of a peer that could not be taken are taken under its next settings, and never while the session is stopped", () => {
  const clock = new SimulatedClock();
  const passwords: (string | undefined)[] = [];
  const session = new PeerSession({
    settings: settings({ passive: true, password: "secret" }),
    routes: new RoutesOut(),
    node: "near",
    restarting: false,
    forwardingPreserved: true,
    transport: new SimulatedNetwork(clock).transport("192.0.2.1"),
    listener: {
      listens: () => true,
      expect: ({ password }) => {
        if (password !== undefined) throw new Error("this kernel has no TCP MD5 signatures");
        passwords.push(password);
        return { [Symbol.dispose]: () => void passwords.pop() };
      },
    },
    portions: new Portions(clock, 4),
    clock,
    random: seededRandom(1),
    log: new RecordingLog(),
  });
  session.start();
  assert.deepEqual(passwords, []);
  session.configure(settings({ passive: true }));
  assert.deepEqual(passwords, [undefined]);
  void session.close("peerDeConfigured", "gone");
  session.configure(settings({ passive: true, holdTimeSeconds: 30 }));
  assert.deepEqual(passwords, []);
});

interface Absence {
  readonly set: (network: SimulatedNetwork, isAway: boolean) => void;
  readonly backWithin: Millis;
}

const absences: Readonly<Record<string, Absence>> = {
  "whose port was closed": { set: (network, isAway) => Object.assign(network, { refused: isAway }), backWithin: 3_000 },
  "that answered nothing": { set: (network, isAway) => Object.assign(network, { silent: isAway }), backWithin: 13_000 },
  "that took connections and said nothing": {
    set: (network, isAway) => network.faults.set("192.0.2.2", { frozen: isAway }),
    backWithin: 20_000, // After 10 s the other side hears that the connection has ended, and holds in Idle for up to 2 s.
  },
};
for (const [which, { set: away, backWithin }] of Object.entries(absences))
  test(`a router ${which} for any time has its session within ${backWithin / 1000} s of its return`, () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 900_000 }), (seed, duration) => {
        const pair = new Pair({ seed }).start();
        pair.settle();
        away(pair.network, true);
        pair.network.breakAll();
        pair.clock.advanceBy(duration);
        away(pair.network, false);
        pair.until(() => pair.settled, backWithin, "the session");
      }),
      { numRuns: 50 },
    );
  });

test("a router that has two addresses of this node as neighbors does not end its session with one by a connection to the other", () => {
  const clock = new SimulatedClock(1_000_000);
  const network = new SimulatedNetwork(clock);
  const log = new RecordingLog();
  const of = (own: string, settings: SessionSettings, listeners: readonly string[] = []) =>
    new PeerSession({
      settings,
      routes: new RoutesOut(),
      node: own,
      restarting: false,
      forwardingPreserved: true,
      transport: network.transport(own),
      listener: {
        listens: () => true,
        expect: (...what) => listeners.map((each) => network.listener(each).expect(...what))[0] ?? { [Symbol.dispose]() {} },
      },
      portions: new Portions(clock, 4),
      clock,
      random: seededRandom(1),
      log,
    });
  const router = address("192.0.2.1");
  const node = of("192.0.2.2", settings({ myAsn: 65002, peerAsn: 65001, address: router, passive: true }), [
    "192.0.2.2",
    "192.0.2.9",
  ]);
  const [first, second] = ["192.0.2.2", "192.0.2.9"].map((each) => of("192.0.2.1", settings({ address: address(each) })));
  node.start();
  first?.start();
  clock.advanceBy(10_000);
  assert.ok(node.established && first?.established);
  second?.start();
  clock.advanceBy(60_000);
  assert.deepEqual([node.describe().flaps, first?.established, second?.established], [0, true, false]);
  assert.match(second?.describe().lastFailure?.what ?? "", /Connection Rejected/);
  void first?.close("administrativeShutdown", "the neighbor goes");
  clock.advanceBy(130_000);
  assert.ok(node.established && second?.established, "the router has the other one left");
});
