import assert from "node:assert/strict";
import { test } from "node:test";
import type { SessionSettings } from "#pkg/config";
import { address } from "#pkg/net/testing";
import type { Capability, Notification } from "../codec/messages.ts";
import { keepalive, LoneSession, notification, theirCapabilities, theirOpen } from "../testing/lone-session.ts";
import type { Effect, Event } from "./events.ts";

const restart: Capability = { type: "gracefulRestart", restarting: false, notification: true, timeSeconds: 120, families: [] };

/** An established session with a peer that offers the N bit. */
function established(fields: Partial<SessionSettings> = { gracefulRestartNotification: true }): LoneSession {
  const one = new LoneSession(fields);
  one.reach("openSent");
  one.message(1, theirOpen({ capabilities: [...theirCapabilities, restart] }));
  one.message(1, keepalive);
  assert.equal(one.state, "established");
  return one;
}

function told(effects: readonly Effect[]): string[] {
  const sent = effects.flatMap((effect) => (effect.type === "send" ? [effect.message] : []));
  const all = sent.filter((message): message is Notification => message.type === "notification");
  return all.map(({ code, subcode, data }) => `${code}/${subcode} ${Buffer.from(data).toString("hex")}`.trim());
}

const stop: Event = { type: "stop", notification: notification(6, 2), because: "the speaker stops" };

test("section 3: a session that is stopped ends with a hard reset, after which the peer keeps no routes", () => {
  assert.deepEqual(told(established().dispatch(stop)), ["6/9 0602"]);
});

test("section 3: so does one whose path has failed (RFC 9384, section 3)", () => {
  const reset: Event = { type: "reset", notification: notification(6, 10), because: "BFD: down" };
  assert.deepEqual(told(established().dispatch(reset)), ["6/9 060a"]);
});

test("section 4: a session that comes back keeps the peer's routes: its NOTIFICATION is as without the N bit", () => {
  const one = established();
  const settings = { ...one.session.settings, holdTimeSeconds: 30 };
  assert.deepEqual(told(one.dispatch({ type: "settings", settings })), ["6/6"]);
  const reset: Event = { type: "reset", notification: notification(6, 6), because: "BFD is configured otherwise" };
  assert.deepEqual(told(established().dispatch(reset)), ["6/6"]);
});

test("a session that comes back from another address leaves no routes of the former one", () => {
  const one = established();
  const settings = { ...one.session.settings, sourceAddress: address("192.0.2.7") };
  assert.deepEqual(told(one.dispatch({ type: "settings", settings })), ["6/9 0606"]);
});

test("section 3: without the N bit of both sides there is no hard reset", () => {
  assert.deepEqual(told(established({}).dispatch(stop)), ["6/2"]);
});
