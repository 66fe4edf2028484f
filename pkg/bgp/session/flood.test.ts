import assert from "node:assert/strict";
import { test } from "node:test";
import { slow } from "#pkg/clock/testing";
import type { Message } from "../codec/messages.ts";
import { keepalive, LoneSession, notification, ourId, refresh, summary, theirOpen, update } from "../testing/lone-session.ts";
import { describeReason } from "./reason.ts";

function established(): LoneSession {
  const one = new LoneSession();
  one.reach("established");
  return one;
}

test("ROUTE-REFRESH in masses is answered once, and once more every 5 s", () => {
  const one = established();
  const refreshes = () => Array.from({ length: 2_849 }, () => summary(one.message(1, refresh))).join("");
  assert.equal(refreshes(), "refresh IPv4");
  assert.equal(refreshes(), "");
  const late = one.pass(4_999);
  assert.ok(!summary(late).includes("refresh"), summary(late));
  assert.match(summary(one.pass(1)), /^refresh IPv4$/);
  assert.equal(summary(one.pass(5_000)), "", "what was not asked for again is not sent again");
  assert.equal(refreshes(), "refresh IPv4");
});

test("each family has its refresh", () => {
  const one = established();
  const ask = (afi: number) => summary(one.message(1, { type: "routeRefresh", afi, safi: 1, subtype: "request" }));
  assert.deepEqual([ask(1), ask(2), ask(1), ask(2)], ["refresh IPv4", "refresh IPv6", "", ""]);
  assert.equal(summary(one.pass(5_000)), "refresh IPv4, refresh IPv6");
});

/** How many messages the session takes in one instant. */
function capacity(message: Message, octets: number): number {
  const one = established();
  for (let count = 1; count <= 200_000; count++) {
    const effects = summary(one.message(1, message, octets));
    if (one.state === "established") continue;
    assert.equal(effects, `send 6/8, close 1, down sent`);
    assert.match(describeReason(one.session.lastDown?.reason ?? assert.fail()), /Out of Resources.*more messages than/);
    return count - 1;
  }
  assert.fail("200,000 messages did not end the session");
}

test("a flood ends the session with Cease/Out of Resources", () => {
  assert.equal(capacity(keepalive, 0), 40_000);
  assert.equal(capacity(refresh, 4), 40_000);
  assert.equal(Math.round((capacity(update, 65_516) * 65_516) / 1e6), 160, "megabytes, whatever is in them");
  assert.equal(Math.round((capacity(update, 4_077) * 4_077) / 1e6), 160);
  const forgiven = ["an attribute is malformed", "another one is"];
  assert.ok(capacity({ ...update, forgiven }, 40) < 100_000);
});

test("a full table of the Internet, even without packing, and KEEPALIVEs as often as may be, are no flood", slow, () => {
  const one = established();
  for (let count = 0; count < 1_200_000; count++) one.message(1, update, 70);
  assert.equal(one.state, "established");
  for (let second = 0; second < 100_000; second += 0.75) {
    one.now += 750;
    one.message(1, keepalive);
  }
  assert.equal(one.state, "established");
  assert.ok(one.session.connections.every((each) => "workUntil" in each && each.workUntil <= one.now + 500));
});

test("a peer that begins sessions to end them has to wait between them, whatever it says at the end", () => {
  for (const subcode of [4, 5, 7]) {
    const one = new LoneSession({ passive: true });
    one.dispatch({ type: "start" });
    let sessions = 0;
    for (let tenths = 0; tenths < 600; tenths++) {
      one.pass(100);
      if (!summary(one.dispatch({ type: "accepted", routerId: ourId })).startsWith("adopt")) continue;
      const id = one.session.lastConnection;
      one.message(id, theirOpen());
      one.message(id, keepalive);
      assert.equal(one.state, "established");
      one.message(id, notification(6, subcode));
      sessions++;
    }
    assert.ok(sessions >= 10 && sessions <= 40, `${sessions} sessions in a minute that end with Cease (6/${subcode})`);
  }
});
