import assert from "node:assert/strict";
import { test } from "node:test";
import { address } from "#pkg/net/testing";
import { keepalive, LoneSession, notification, theirOpen } from "../testing/lone-session.ts";
import { isAgreed } from "./state.ts";

const overLimit = { ...notification(6, 1), data: Uint8Array.of(0, 1, 1, 0, 0, 0, 9) };

/** The present connection becomes a session, which the router ends. @returns how long this side then waits */
function ended(one: LoneSession, told = overLimit): number {
  const { id } = one.session.connections.at(-1) ?? assert.fail();
  one.dispatch({ type: "connected", connection: id, routerId: theirOpen().routerId });
  one.message(id, theirOpen());
  one.message(id, keepalive);
  assert.ok(one.session.connections.some(isAgreed));
  one.message(id, told);
  return one.session.retryAt - one.now;
}

test("RFC 4486: after a router has ended sessions because of its limit, attempts are farther and farther apart", () => {
  const one = new LoneSession({ connectTimeSeconds: 1 });
  one.dispatch({ type: "start" });
  const waits: number[] = [];
  for (let session = 0; session < 12; session++) {
    const wait = ended(one);
    waits.push(wait);
    one.pass(wait);
  }
  assert.ok((waits[0] ?? 0) > 0, "not at once");
  assert.ok(waits.every((wait) => wait <= 120_000));
  assert.ok(
    waits.slice(-3).every((wait) => wait >= 60_000),
    waits.join(),
  );
  assert.deepEqual(one.session.prefixLimits, { IPv4: 9 });
});

test("meanwhile a router that connects by itself, because its limit was raised, is let in", () => {
  const one = new LoneSession();
  one.dispatch({ type: "start" });
  ended(one);
  const effects = one.dispatch({ type: "accepted", routerId: theirOpen().routerId });
  assert.deepEqual(effects.map(({ type }) => type).slice(0, 2), ["adopt", "send"]);
});

test("other reasons of a router to end a session are tried again at once, as before", () => {
  const one = new LoneSession({ connectTimeSeconds: 1 });
  one.dispatch({ type: "start" });
  assert.equal(ended(one, { ...notification(6, 4), data: new Uint8Array() }), 0);
  assert.deepEqual(one.session.prefixLimits, {});
});

test("the limit of a router is not that of the next one", () => {
  const one = new LoneSession();
  one.dispatch({ type: "start" });
  ended(one);
  const { settings } = one.session;
  one.dispatch({ type: "settings", settings: { ...settings, holdTimeSeconds: 30 } });
  assert.deepEqual(one.session.prefixLimits, { IPv4: 9 });
  one.dispatch({ type: "settings", settings: { ...settings, address: address("192.0.2.9") } });
  assert.deepEqual(one.session.prefixLimits, {});
});

test("a limit without a number, or of another family, says nothing of how many prefixes the router takes", () => {
  for (const data of [[], [0, 1, 2, 0, 0, 0, 9], [0, 25, 1, 0, 0, 0, 9], [0, 1, 1, 0, 0, 9]]) {
    const one = new LoneSession();
    one.dispatch({ type: "start" });
    assert.ok(ended(one, { ...notification(6, 1), data: Uint8Array.from(data) }) > 0);
    assert.deepEqual(one.session.prefixLimits, {});
  }
});
