import assert from "node:assert/strict";
import { test } from "node:test";
import type { SessionSettings } from "#pkg/config";
import { address } from "#pkg/net/testing";
import type { Capability, Open } from "../codec/messages.ts";
import {
  keepalive,
  LoneSession,
  notification,
  ourId,
  summary,
  theirCapabilities,
  theirId,
  theirOpen,
  update,
} from "../testing/lone-session.ts";
import type { Effect } from "./events.ts";
import { describeReason } from "./reason.ts";
import { isAgreed, nextDeadline, type State } from "./state.ts";

// In the order of RFC 4271, sections 6.2, 6.5, 6.8, 8.1.1 and 8.2.2, and of the RFCs that amend them.

const accept = (one: LoneSession) => one.dispatch({ type: "accepted", routerId: ourId });
const sentOpen = (effects: readonly Effect[]): Open => {
  const sent = effects.find((effect) => effect.type === "send" && effect.message.type === "open");
  return sent?.type === "send" && sent.message.type === "open" ? sent.message : assert.fail("no OPEN was sent");
};

test("6.5: a peer that says nothing within the hold time is closed with Hold Timer Expired", () => {
  const waits: [State, number, string][] = [
    ["openConfirm", 90_000, "hold timer expired: nothing received for 90 s, not even its answer to the OPEN"],
    ["established", 90_000, "hold timer expired: nothing received for 90 s"],
  ];
  for (const [state, wait, words] of waits) {
    const one = new LoneSession();
    one.reach(state);
    one.pass(wait - 1);
    assert.equal(one.state, state);
    assert.match(summary(one.pass(1)), /^send 4\/0, close 1, /);
    const ending = state === "established" ? one.session.lastDown : one.session.lastFailure;
    assert.equal(ending && describeReason(ending.reason), words);
  }
});

test("6.5: a peer that connected and sends no OPEN has 4 minutes", () => {
  const one = new LoneSession({ passive: true });
  one.dispatch({ type: "start" });
  accept(one);
  one.pass(239_999);
  assert.equal(one.state, "openSent");
  assert.equal(summary(one.pass(1)), "send 4/0, close 1, failed holdTimerExpired");
});

test("a peer that takes a connection and sends no OPEN has 10 s, is sent no error, and is tried again", () => {
  const one = new LoneSession();
  one.reach("openSent");
  one.pass(9_999);
  assert.equal(one.state, "openSent");
  assert.equal(summary(one.pass(1)), "close 1, failed holdTimerExpired");
  const words = "hold timer expired: nothing received for 10 s, not even its OPEN";
  assert.equal(one.session.lastFailure && describeReason(one.session.lastFailure.reason), words);
  assert.equal(summary(one.next()), "dial 2");
});

test("6.5: KEEPALIVE, UPDATE and ROUTE-REFRESH each begin the hold time anew", () => {
  for (const message of [keepalive, update, { type: "routeRefresh", afi: 99, safi: 1, subtype: "request" } as const]) {
    const one = new LoneSession();
    one.reach("established");
    one.pass(89_999);
    one.message(1, message);
    one.pass(89_999);
    assert.equal(one.state, "established", message.type);
    one.pass(1);
    assert.equal(one.state, "idle", message.type);
  }
});

test("4.2, 4.4: with a hold time of 0 no KEEPALIVE is sent and nothing expires, but the OPEN has to be answered", () => {
  const one = new LoneSession();
  one.reach("openSent");
  one.message(1, theirOpen({ holdTimeSeconds: 0 }));
  one.message(1, keepalive);
  assert.equal(summary(one.pass(100 * 86_400_000)), "");
  assert.equal(one.state, "established");
  const unanswered = new LoneSession();
  unanswered.reach("openSent");
  unanswered.message(1, theirOpen({ holdTimeSeconds: 0 }));
  assert.equal(summary(unanswered.pass(240_000)), "send 4/0, close 1, failed holdTimerExpired");
});

test("4.2: both sides take the smaller hold time, and a third of it between KEEPALIVEs", () => {
  const one = new LoneSession({ holdTimeSeconds: 90, keepaliveSeconds: 30 });
  one.reach("openSent");
  one.message(1, theirOpen({ holdTimeSeconds: 9 }));
  one.message(1, keepalive);
  const [connection] = one.session.connections;
  assert.ok(connection !== undefined && isAgreed(connection));
  assert.deepEqual([connection.negotiated.holdTimeSeconds, connection.negotiated.keepaliveSeconds], [9, 3]);
});

test("10: KEEPALIVEs are 75 to 100 % of their time apart, and differ", () => {
  const one = new LoneSession();
  one.reach("established");
  const gaps = new Set<number>();
  for (let i = 0; i < 100; i++) {
    const before = one.now;
    assert.equal(summary(one.next()), "send keepalive");
    if (i > 0) gaps.add(one.now - before);
    one.dispatch({ type: "written", connection: 1 });
    one.message(1, keepalive);
  }
  assert.ok(Math.min(...gaps) >= 22_500 && Math.max(...gaps) <= 30_000 && gaps.size > 50);
});

for (const weAreHigher of [true, false])
  for (const incomingFirst of [true, false])
    test(`6.8: of two connections in OpenConfirm that of the higher identifier stays: ${weAreHigher ? "ours" : "the peer's"}, its OPEN ${incomingFirst === weAreHigher ? "second" : "first"}`, () => {
      const one = new LoneSession();
      one.reach("openSent");
      accept(one);
      const open = theirOpen({ routerId: address(weAreHigher ? "192.0.2.0" : "192.0.2.99") });
      const [first, second] = incomingFirst ? [2, 1] : [1, 2];
      const [stays, goes] = weAreHigher ? [1, 2] : [2, 1];
      assert.equal(summary(one.message(first, open)), "send keepalive");
      const done = summary(one.message(second, open));
      assert.equal(done, stays === first ? `send 6/7, close ${goes}` : `send 6/7, close ${goes}, send keepalive`);
      assert.deepEqual([one.state, one.session.connections.map(({ id }) => id)], ["openConfirm", [stays]]);
      one.message(stays, keepalive);
      assert.equal(one.state, "established");
      assert.equal(one.session.failures, 0);
    });

test("RFC 6286, section 2.3: where the identifiers are equal the higher AS number decides", () => {
  for (const [peerAsn, stays] of [
    [65002, 2],
    [64999, 1],
  ] as const) {
    const one = new LoneSession({ peerAsn });
    one.reach("openSent");
    accept(one);
    for (const id of [1, 2]) one.message(id, theirOpen({ asn: peerAsn, routerId: ourId, capabilities: [] }));
    assert.deepEqual(
      one.session.connections.map(({ id }) => id),
      [stays],
    );
  }
});

test("6.8: what is still being connected is given up when the peer's connection has an OPEN", () => {
  const one = new LoneSession();
  one.reach("connect");
  accept(one);
  assert.equal(summary(one.message(2, theirOpen())), "close 1, send keepalive");
  one.message(2, keepalive);
  assert.equal(one.state, "established");
  assert.equal(summary(one.dispatch({ type: "connected", connection: 1, routerId: ourId })), "", "it is not there any more");
});

test("6.8: a connection that is established stays", () => {
  const one = new LoneSession({ gracefulRestartSeconds: 0 });
  one.reach("established");
  one.now += 5001;
  accept(one);
  assert.equal(summary(one.message(2, theirOpen())), "send 6/7, close 2");
  assert.equal(one.state, "established");
});

const restarts = theirOpen({
  capabilities: [
    ...theirOpen().capabilities,
    { type: "gracefulRestart", restarting: false, notification: false, timeSeconds: 120, families: [] },
  ],
});

/** A session with a peer that restarts gracefully. The peer connects again `after` milliseconds later, and is accepted. */
function connectedAgain(after: number): LoneSession {
  const one = new LoneSession();
  one.reach("openSent");
  one.message(1, restarts);
  one.message(1, keepalive);
  one.now += after;
  accept(one);
  return one;
}

test("RFC 4724, section 4.2: a peer that restarts gracefully has forgotten what was established", () => {
  const one = connectedAgain(5001);
  assert.equal(one.state, "established", "a connection alone ends nothing: whoever makes it may know no BGP");
  assert.equal(summary(one.message(2, restarts)), "close 1, down peerRestarted, send keepalive");
  assert.equal(summary(one.message(2, keepalive)), "established");
});

test("6.8: a connection that began before the other was established is no restart", () => {
  const one = new LoneSession();
  one.reach("openSent");
  accept(one);
  one.message(1, restarts);
  one.message(1, keepalive);
  assert.equal(summary(one.message(2, restarts)), "send 6/7, close 2");
});

test("6.8: a connection that was made before the other was established, and is accepted after it, is no restart", () => {
  const one = connectedAgain(1000);
  assert.equal(summary(one.message(2, restarts)), "send 6/7, close 2");
  assert.equal(one.state, "established");
});

test("6.8: when the peer closes one of two connections because of the collision, it is no failure", () => {
  const one = new LoneSession();
  one.reach("openSent");
  accept(one);
  one.message(2, theirOpen());
  assert.equal(summary(one.message(1, notification(6, 7))), "close 1");
  assert.deepEqual([one.state, one.session.lastFailure, one.session.failures], ["openConfirm", undefined, 0]);
});

test("6.8: an established session that the peer closes because of its other connection is down", () => {
  const one = new LoneSession();
  one.reach("established");
  accept(one);
  assert.equal(summary(one.message(1, notification(6, 7))), "close 1, down received");
  assert.deepEqual([one.state, one.session.lastDown?.reason.type], ["openSent", "received"]);
  assert.equal(summary(one.message(2, theirOpen())), "send keepalive");
  assert.equal(summary(one.message(2, keepalive)), "established");
});

test("8.2.1: what goes wrong on another connection is nothing to one that is established", () => {
  const one = new LoneSession();
  one.reach("established");
  accept(one);
  one.dispatch({ type: "malformed", connection: 2, notification: notification(1, 1), because: "it is no BGP" });
  assert.deepEqual(
    [one.state, one.session.lastFailure, one.session.failures, one.session.retryAt],
    ["established", undefined, 0, Infinity],
  );
});

test("8.2.1: the peer's newer connection takes the place of one without an OPEN, and not of one with", () => {
  const one = new LoneSession({ passive: true });
  one.dispatch({ type: "start" });
  assert.equal(summary(accept(one)), "adopt 1, send open");
  assert.equal(summary(accept(one)), "send 6/7, close 1, adopt 2, send open");
  one.message(2, theirOpen());
  assert.equal(summary(accept(one)), "refuse 6/7");
  assert.equal(one.state, "openConfirm");
});

test("8.1.1: after ten seconds in Idle a router that was mended may connect, however long the back-off is", () => {
  const one = new LoneSession();
  one.dispatch({ type: "start" });
  for (let refused = 0; refused < 12; refused++) {
    while (one.state !== "connect") one.next();
    const connection = one.session.lastConnection;
    one.dispatch({ type: "connected", connection, routerId: ourId });
    one.message(connection, notification(2, 2));
  }
  assert.ok(one.session.retryAt - one.now > 60_000);
  assert.equal(summary(accept(one)), "refuse 6/5");
  one.pass(10_000);
  assert.equal(one.state, "active");
  assert.match(summary(accept(one)), /^adopt/);
});

test("8.2.1: this side goes on connecting beside a connection of the peer that says nothing", () => {
  const one = new LoneSession();
  one.reach("active");
  accept(one);
  assert.equal(one.state, "openSent");
  assert.equal(summary(one.pass(1_000)), "dial 3");
  one.dispatch({ type: "connected", connection: 3, routerId: ourId });
  one.message(3, theirOpen());
  one.message(3, keepalive);
  assert.equal(one.state, "established");
});

test("8.1.1: a passive session never connects, and takes the peer's connection", () => {
  const one = new LoneSession({ passive: true });
  assert.equal(summary(one.dispatch({ type: "start" })), "");
  assert.equal(one.state, "active");
  assert.equal(summary(one.pass(86_400_000)), "");
  assert.equal(summary(accept(one)), "adopt 1, send open");
  one.dispatch({ type: "lost", connection: 1, because: "reset" });
  assert.equal(one.state, "active");
  accept(one);
  one.message(2, notification(6, 4));
  assert.equal(summary(accept(one)), "refuse 6/5", "it rests after an error");
  assert.equal(summary(one.pass(120_000)), "");
  assert.equal(one.state, "active");
});

test("8.1.1: attempts that fail come ever later, from a second to two minutes, half of it by chance", () => {
  const one = new LoneSession();
  one.reach("connect");
  const waits: number[] = [];
  for (let id = 1; id <= 12; id++) {
    one.dispatch({ type: "lost", connection: id, because: "connection refused" });
    const before = one.now;
    one.next();
    waits.push(one.now - before);
  }
  for (const [i, wait] of waits.entries()) {
    const full = Math.min(120_000, 1000 * 2 ** i);
    assert.ok(wait >= full / 2 && wait <= full, `attempt ${i} after ${wait} ms`);
  }
});

test("8.1.1: the back-off grows from the peer's connect time", () => {
  const one = new LoneSession({ connectTimeSeconds: 20 });
  one.reach("active");
  const before = one.now;
  one.next();
  assert.ok(one.now - before >= 10_000 && one.now - before <= 20_000);
});

/** Brings the next session up, after `attempts` that fail. @returns its connection */
function establish(one: LoneSession, attempts = 0): number {
  if (one.state === "idle" && !one.session.running) one.reach("connect");
  else while (one.state !== "connect") one.next();
  for (; attempts > 0; attempts--) {
    one.dispatch({ type: "lost", connection: one.session.lastConnection, because: "connection refused" });
    one.next();
  }
  const id = one.session.lastConnection;
  one.dispatch({ type: "connected", connection: id, routerId: ourId });
  one.message(id, theirOpen());
  one.message(id, keepalive);
  assert.equal(one.state, "established");
  return id;
}

/** How long it waits from now on. */
function wait({ session, now }: LoneSession): number {
  return Math.min(session.retryAt, nextDeadline({ ...session, activeAt: Infinity })) - now;
}

function assertWaits(one: LoneSession, [from, to]: readonly [number, number]): void {
  const waits = wait(one);
  assert.ok(waits >= from && waits <= to, `waits ${waits} ms, wanted ${from} to ${to}`);
}

const quick = [
  [0, 0],
  [500, 1_000],
  [1_000, 2_000],
  [1_000, 2_000],
] as const;

test("after a Cease the session is tried again at once, then after 1, 2 and 2 s, however long it took to come up before", () => {
  const one = new LoneSession();
  one.message(establish(one, 9), notification(6, 4));
  for (const [i, expected] of quick.entries()) {
    if (i > 0) one.dispatch({ type: "lost", connection: one.session.lastConnection, because: "connection refused" });
    assertWaits(one, expected);
    one.next();
  }
});

test("a router whose configuration changes has a moment before it is tried again", () => {
  const one = new LoneSession();
  one.message(establish(one), notification(6, 6));
  assertWaits(one, [500, 1_000]);
});

test("sessions that are closed again and again come back ever later, up to 2 s, until one outlives the hold time by a minute", () => {
  const one = new LoneSession();
  for (const expected of quick) {
    one.message(establish(one), notification(6, 4));
    assertWaits(one, expected);
  }
  const id = establish(one);
  for (let passed = 0; passed < 150_000; passed += 30_000) {
    one.pass(30_000);
    one.message(id, keepalive);
  }
  one.message(id, notification(6, 4));
  assertWaits(one, [0, 0]);
});

test("a session that this side ends because of the peer's messages is tried less and less often", () => {
  const one = new LoneSession();
  for (let full = 1_000; full <= 256_000; full *= 2) {
    one.message(establish(one), theirOpen());
    assertWaits(one, [Math.min(full, 120_000) / 2, Math.min(full, 120_000)]);
  }
});

test("other settings forget that a session was up", () => {
  const one = new LoneSession();
  establish(one);
  one.dispatch({ type: "settings", settings: { ...one.session.settings, holdTimeSeconds: 30 } });
  one.dispatch({ type: "lost", connection: one.session.lastConnection, because: "connection refused" });
  assertWaits(one, [500, 1_000]);
});

/** Attempts that fail, one after another, for so long. @returns the longest wait between two */
function refused(one: LoneSession, duration: number): number {
  let longest = 0;
  for (const until = one.now + duration; one.now < until; one.next()) {
    one.dispatch({ type: "lost", connection: one.session.lastConnection, because: "connection refused" });
    longest = Math.max(longest, wait(one));
  }
  return longest;
}

test("a session that was up is tried as often after a stop and another start, as when BFD fails and comes up again", () => {
  const one = new LoneSession();
  establish(one);
  one.dispatch({ type: "stop", notification: notification(6, 10), because: "BFD: control detection time expired" });
  one.pass(60_000);
  one.dispatch({ type: "start" });
  const longest = refused(one, 120_000);
  assert.ok(longest <= 4_000, `${longest} ms`);
});

test("RFC 4724: a speaker that starts again tries as often for as long as the peer may keep its routes", () => {
  const one = new LoneSession({ gracefulRestartSeconds: 100 }, { restarting: true });
  one.reach("connect");
  const [kept, dropped] = [refused(one, 96_000), refused(one, 300_000)];
  assert.ok(kept <= 4_000 && dropped >= 60_000, `${kept} ms, then ${dropped} ms`);
  for (const [gracefulRestartSeconds, restarting] of [[0, true] as const, [100, false] as const]) {
    const alone = new LoneSession({ gracefulRestartSeconds }, { restarting });
    alone.reach("connect");
    const longest = refused(alone, 100_000);
    assert.ok(longest >= 16_000, `${longest} ms for ${gracefulRestartSeconds} s, ${restarting}`);
  }
});

test("a retry ends the back-off, and the next begins from its start", () => {
  const one = new LoneSession();
  one.reach("connect");
  for (let id = 1; id <= 6; id++) {
    one.dispatch({ type: "lost", connection: id, because: "connection refused" });
    if (id < 6) one.next();
  }
  assertWaits(one, [16_000, 32_000]);
  assert.equal(summary(one.dispatch({ type: "retry" })), "dial 7");
  one.dispatch({ type: "lost", connection: 7, because: "connection refused" });
  assertWaits(one, [500, 1_000]);
});

test("RFC 5492, section 3: a peer that refuses the parameter gets an OPEN without capabilities, and for one attempt", () => {
  const one = new LoneSession();
  one.reach("openSent");
  one.message(1, notification(2, 4));
  one.next();
  const plain = sentOpen(one.dispatch({ type: "connected", connection: 2, routerId: ourId }));
  assert.deepEqual(plain.capabilities, []);
  one.message(2, notification(6, 5));
  one.next();
  const full = sentOpen(one.dispatch({ type: "connected", connection: 3, routerId: ourId }));
  assert.notEqual(full.capabilities.length, 0);
});

test("RFC 5492, section 5: a peer that misses a capability is not offered fewer", () => {
  const one = new LoneSession();
  one.reach("openSent");
  one.message(1, notification(2, 7));
  one.next();
  const next = sentOpen(one.dispatch({ type: "connected", connection: 2, routerId: ourId }));
  assert.notEqual(next.capabilities.length, 0);
});

test("RFC 5492, section 3: a session without capabilities is kept as it is, and tried with them after it was stable", () => {
  const one = new LoneSession({ holdTimeSeconds: 0, keepaliveSeconds: 0 });
  one.reach("openSent");
  one.message(1, notification(2, 4));
  one.next();
  one.dispatch({ type: "connected", connection: 2, routerId: ourId });
  one.message(2, theirOpen({ capabilities: [] }));
  one.message(2, keepalive);
  one.dispatch({ type: "lost", connection: 2, because: "reset" });
  one.next();
  assert.deepEqual(sentOpen(one.dispatch({ type: "connected", connection: 3, routerId: ourId })).capabilities, []);
  one.message(3, theirOpen({ capabilities: [] }));
  one.message(3, keepalive);
  one.pass(60_000);
  one.dispatch({ type: "lost", connection: 3, because: "reset" });
  one.next();
  assert.notEqual(sentOpen(one.dispatch({ type: "connected", connection: 4, routerId: ourId })).capabilities.length, 0);
});

test("RFC 9687: a peer that takes nothing off the connection is closed, though it still talks", () => {
  const one = new LoneSession();
  one.reach("established");
  one.pass(20_000);
  one.dispatch({ type: "written", connection: 1 });
  const until = one.now + 480_000;
  while (one.now + 10_000 < until) {
    one.pass(10_000);
    one.message(1, keepalive);
  }
  assert.equal(one.state, "established");
  assert.match(summary(one.pass(10_000)), /send 8\/0, close 1, down sendHoldTimerExpired$/);
  assert.match(describeReason(one.session.lastDown?.reason ?? assert.fail()), /read nothing from the connection for 480 s/);
});

test("RFC 4724, section 3: the restarting bit is set until a session has been established", () => {
  const one = new LoneSession({}, { restarting: true });
  const restarting = (open: Open) => open.capabilities.find((each) => each.type === "gracefulRestart")?.restarting;
  one.reach("connect");
  assert.equal(restarting(sentOpen(one.dispatch({ type: "connected", connection: 1, routerId: ourId }))), true);
  one.dispatch({ type: "lost", connection: 1, because: "reset" });
  one.next();
  assert.equal(restarting(sentOpen(one.dispatch({ type: "connected", connection: 2, routerId: ourId }))), true);
  one.message(2, theirOpen());
  one.message(2, keepalive);
  one.dispatch({ type: "lost", connection: 2, because: "reset" });
  one.next();
  assert.equal(restarting(sentOpen(one.dispatch({ type: "connected", connection: 3, routerId: ourId }))), false);
});

test("RFC 4724, section 3: a process that began after a boot has kept forwarding once it has had a session", () => {
  const one = new LoneSession({ longLivedStaleSeconds: 3_600 }, { forwardingPreserved: false });
  const preserved = (open: Open) =>
    open.capabilities.flatMap((each) =>
      each.type === "gracefulRestart" || each.type === "longLivedGracefulRestart"
        ? each.families.map(({ forwardingPreserved }) => forwardingPreserved)
        : [],
    );
  one.reach("connect");
  const first = preserved(sentOpen(one.dispatch({ type: "connected", connection: 1, routerId: ourId })));
  assert.deepEqual(first, [false, false, false, false]);
  one.message(1, theirOpen());
  one.message(1, keepalive);
  one.dispatch({ type: "lost", connection: 1, because: "reset" });
  one.next();
  const second = preserved(sentOpen(one.dispatch({ type: "connected", connection: 2, routerId: ourId })));
  assert.deepEqual(second, [true, true, true, true]);
  const other = new LoneSession({ longLivedStaleSeconds: 3_600 }, { forwardingPreserved: false, restarting: true });
  other.dispatch({ type: "start", isKnown: true });
  const open = sentOpen(other.dispatch({ type: "connected", connection: 1, routerId: ourId }));
  assert.deepEqual(preserved(open), [true, true, true, true], "another session of the process had these ends");
  assert.equal(open.capabilities.find((each) => each.type === "gracefulRestart")?.restarting, false);
});

test("RFC 4724, section 4: End-of-RIB is repeated where several paths to a prefix may be stale, each second for a minute", () => {
  const ends = (fields: Partial<SessionSettings>, hasAddPath = true) => {
    const one = new LoneSession(fields);
    one.reach("openSent");
    const receives: Capability = { type: "addPath", families: [{ afi: 1, safi: 1, direction: "receive" }] };
    const restarts: Capability = {
      type: "gracefulRestart",
      restarting: false,
      notification: false,
      timeSeconds: 0,
      families: [],
    };
    one.message(1, theirOpen({ capabilities: [...theirCapabilities, restarts, ...(hasAddPath ? [receives] : [])] }));
    one.message(1, keepalive);
    const began = one.now;
    const at: number[] = [];
    while (one.now < began + 80_000) {
      if (one.next().some(({ type }) => type === "endOfRib")) at.push(one.now - began);
      one.message(1, keepalive);
    }
    return at;
  };
  assert.deepEqual(
    ends({ addPath: true }),
    Array.from({ length: 64 }, (_, index) => 1_000 * (index + 1)),
  );
  assert.deepEqual(ends({ addPath: true }, false), []);
  assert.deepEqual(ends({ addPath: true, gracefulRestartSeconds: 0 }), []);
});

test("RFC 4724, section 4: so it is in a session without paths that follows one with paths, and not with another router", () => {
  for (const [isSameRouter, want] of [
    [true, 64],
    [false, 0],
  ] as const) {
    const one = new LoneSession({ addPath: true });
    one.reach("openSent");
    const receives: Capability = { type: "addPath", families: [{ afi: 1, safi: 1, direction: "receive" }] };
    const common = { restarting: false, notification: false, timeSeconds: 0, families: [] };
    const restarts: Capability = { type: "gracefulRestart", ...common };
    const capabilities = [...theirCapabilities, restarts, receives];
    one.message(1, theirOpen({ capabilities }));
    one.message(1, keepalive);
    const { settings } = one.session;
    const other = isSameRouter ? settings.address : address("192.0.2.77");
    one.dispatch({ type: "settings", settings: { ...settings, address: other, addPath: false } });
    one.dispatch({ type: "connected", connection: 2, routerId: ourId });
    one.message(2, theirOpen({ capabilities }));
    one.message(2, keepalive);
    assert.equal(one.state, "established");
    let count = 0;
    for (const began = one.now; one.now < began + 80_000; one.message(2, keepalive))
      if (one.next().some(({ type }) => type === "endOfRib")) count++;
    assert.equal(count, want);
  }
});

test("what cannot go on under other settings begins anew at once, and the rest goes on", () => {
  const one = new LoneSession();
  one.reach("established");
  const { settings } = one.session;
  assert.equal(summary(one.dispatch({ type: "settings", settings: { ...settings, connectTimeSeconds: 5 } })), "");
  one.dispatch({ type: "settings", settings: { ...settings, keepaliveSeconds: 2 } });
  assert.equal(summary(one.dispatch({ type: "timer" })), "send keepalive");
  const before = one.now;
  one.next();
  assert.ok(one.now - before <= 2_000);
  const changed = { ...settings, holdTimeSeconds: 30 };
  assert.equal(summary(one.dispatch({ type: "settings", settings: changed })), "send 6/6, close 1, down sent, dial 2");
  assert.equal(one.state, "connect");
});

test("a session that is passive no longer connects at once", () => {
  const one = new LoneSession({ passive: true });
  one.dispatch({ type: "start" });
  assert.equal(summary(one.dispatch({ type: "settings", settings: { ...one.session.settings, passive: false } })), "dial 1");
});

test("settings change nothing about a session that is stopped", () => {
  const one = new LoneSession();
  assert.equal(summary(one.dispatch({ type: "settings", settings: { ...one.session.settings, port: 1179 } })), "");
  assert.deepEqual([one.state, one.session.settings.port], ["idle", 1179]);
});

test("a refresh of what was not agreed on is passed over", () => {
  const one = new LoneSession();
  one.reach("openSent");
  one.message(1, theirOpen({ capabilities: [{ type: "multiprotocol", afi: 1, safi: 1 }, { type: "routeRefresh" }] }));
  one.message(1, keepalive);
  const request = (afi: number, subtype: "request" | "beginning" | "end" | "unknown") =>
    summary(one.message(1, { type: "routeRefresh", afi, safi: 1, subtype }));
  assert.equal(request(1, "request"), "refresh IPv4");
  for (const [afi, subtype] of [
    [2, "request"],
    [99, "request"],
    [1, "beginning"],
    [1, "end"],
    [1, "unknown"],
  ] as const)
    assert.equal(request(afi, subtype), "");
  const without = new LoneSession();
  without.reach("openSent");
  without.message(1, theirOpen({ routerId: theirId, capabilities: [] }));
  without.message(1, keepalive);
  assert.equal(summary(without.message(1, { type: "routeRefresh", afi: 1, safi: 1, subtype: "request" })), "");
});
