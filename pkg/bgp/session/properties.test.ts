import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { address } from "#pkg/net/testing";
import type { Capability, Message } from "../codec/messages.ts";
import { keepalive, LoneSession, notification, ourId, refresh, summary, theirOpen, update } from "../testing/lone-session.ts";
import type { Event } from "./events.ts";
import { nextDeadline } from "./state.ts";

const connection = fc.integer({ min: 0, max: 8 });
const routerId = fc.constantFrom(ourId, address("192.0.2.2"), address("0.0.0.1"), address("255.255.255.255"));
const cease = fc.integer({ min: 0, max: 255 }).map((subcode) => notification(6, subcode));
const capability: fc.Arbitrary<Capability> = fc.oneof(
  fc.constantFrom<Capability>({ type: "routeRefresh" }, { type: "extendedMessage" }, { type: "multiprotocol", afi: 1, safi: 1 }),
  fc.integer({ min: 0, max: 2 ** 32 - 1 }).map((asn): Capability => ({ type: "fourOctetAsn", asn })),
);
const open = fc.record({
  asn: fc.constantFrom(65002, 65001, 23456),
  holdTimeSeconds: fc.constantFrom(0, 3, 90, 65535),
  routerId,
  capabilities: fc.oneof(fc.constant([]), fc.constant(theirOpen().capabilities), fc.array(capability)),
});
const message: fc.Arbitrary<Message> = fc.oneof(
  open.map((fields) => theirOpen(fields)),
  fc.constantFrom<Message>(theirOpen(), keepalive, keepalive, update, refresh),
  fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 12 })).map(([code, subcode]) => notification(code, subcode)),
);
const settingsChange = fc.record(
  {
    holdTimeSeconds: fc.constantFrom(0, 3, 90),
    keepaliveSeconds: fc.constantFrom(1, 30),
    passive: fc.boolean(),
    port: fc.constantFrom(179, 1179),
  },
  { requiredKeys: [] },
);
type Stimulus =
  | Exclude<Event, { type: "settings" }>
  | { readonly type: "configure"; readonly fields: Partial<LoneSession["session"]["settings"]> };
const event: fc.Arbitrary<Stimulus> = fc.oneof(
  fc.constantFrom<Stimulus>({ type: "start" }, { type: "timer" }, { type: "accepted", routerId: ourId }),
  cease.map((notification): Stimulus => ({ type: "stop", notification, because: "chance" })),
  cease.map((notification): Stimulus => ({ type: "reset", notification, because: "chance" })),
  settingsChange.map((fields): Stimulus => ({ type: "configure", fields })),
  fc.record({ type: fc.constant("connected" as const), connection, routerId }),
  fc.record({ type: fc.constant("lost" as const), connection, because: fc.constant("chance") }),
  fc.record({ type: fc.constant("written" as const), connection }),
  fc.record({ type: fc.constant("malformed" as const), connection, notification: cease, because: fc.constant("chance") }),
  fc.record({ type: fc.constant("message" as const), connection, octets: fc.nat({ max: 65_516 }), message }),
);
/** Half of the time the peer does what it should, or chance would hardly ever establish a session. */
const happening = fc.oneof(event, fc.constant("well"));
const course = fc.array(fc.tuple(happening, fc.integer({ min: 0, max: 100_000 })), { maxLength: 60 });

/** Tells an event and checks what holds after each. */
function apply(one: LoneSession, stimulus: Stimulus): void {
  const before = one.session.connections.map(({ id }) => id);
  const wasUp = one.state === "established";
  const effects =
    stimulus.type === "configure"
      ? one.dispatch({ type: "settings", settings: { ...one.session.settings, ...stimulus.fields } })
      : one.dispatch(stimulus);
  const { connections, running, activeAt, retryAt } = one.session;
  const closed = effects
    .filter(({ type }) => type === "close")
    .map((effect) => (effect.type === "close" ? effect.connection : 0));
  const begun = effects.flatMap((effect) => (effect.type === "dial" || effect.type === "adopt" ? [effect.connection] : []));
  const alive = connections.map(({ id }) => id);
  assert.deepEqual(
    [...before, ...begun].filter((id) => !closed.includes(id)).sort(),
    [...alive].sort(),
    "every connection that is gone was closed, and no other",
  );
  assert.ok(connections.filter(({ state }) => state === "openConfirm" || state === "established").length <= 1);
  const downs = effects.filter(({ type }) => type === "down").length;
  const ups = effects.filter(({ type }) => type === "established").length;
  assert.equal(Number(wasUp) + ups - downs, Number(one.state === "established"), "established and down take turns");
  if (stimulus.type === "accepted") assert.match(summary(effects), /adopt|refuse/);
  const waits = connections.length > 0 || retryAt !== Infinity || one.session.settings.passive;
  assert.ok(
    running ? waits && (activeAt === Infinity || retryAt !== Infinity) : connections.length === 0,
    "a session that runs waits for something",
  );
}

/** What happens next with a peer that is well: it answers each connection and each OPEN. */
function well({ session }: LoneSession): Stimulus {
  const waiting = session.connections.find(({ state }) => state !== "established");
  if (waiting === undefined) return session.settings.passive ? { type: "accepted", routerId: ourId } : { type: "timer" };
  const { id: connection, state } = waiting;
  if (state === "connect") return { type: "connected", connection, routerId: ourId };
  return { type: "message", connection, octets: 0, message: state === "openSent" ? theirOpen() : keepalive };
}

function happen(one: LoneSession, what: Stimulus | "well"): void {
  apply(one, what === "well" ? well(one) : what);
}

function recover(one: LoneSession): void {
  one.dispatch({ type: "start" });
  for (let turn = 0; turn < 100 && one.state !== "established"; turn++) {
    if (one.session.connections.length === 0 && nextDeadline(one.session) !== Infinity) one.next();
    else happen(one, "well");
  }
}

test("whatever happens in whatever order, it never throws, keeps what it promises, and finds back to a peer that is well", () => {
  fc.assert(
    fc.property(course, (stimuli) => {
      const one = new LoneSession();
      for (const [what, wait] of stimuli) {
        happen(one, what);
        one.pass(wait);
      }
      recover(one);
      assert.equal(one.state, "established");
    }),
    { numRuns: 2000 },
  );
});

test("a timer is harmless at any time, and after any stall", () => {
  fc.assert(
    fc.property(course, fc.integer({ min: 1, max: 1_000_000 }), (stimuli, stall) => {
      const one = new LoneSession();
      one.dispatch({ type: "start" });
      for (const [what, wait] of stimuli) {
        happen(one, what);
        one.now += wait;
        apply(one, { type: "timer" });
        const { session } = one;
        if (nextDeadline(session) > one.now) assert.equal(summary(one.dispatch({ type: "timer" })), "", "what was due is done");
      }
      one.now += stall;
      apply(one, { type: "timer" });
      assert.ok(nextDeadline(one.session) > one.now);
    }),
  );
});
