import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeControl, encodeControl, states } from "../codec/control-codec.ts";
import { packet, parameters } from "../testing/bench.ts";
import { type Event, step } from "./fsm.ts";
import { newSession, nextDeadline, type Parameters } from "./session.ts";

const anyInterval = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 1, max: 2 ** 32 - 1 }).map((micros) => micros / 1000),
);
const anyParameters: fc.Arbitrary<Parameters> = fc.record(
  {
    transmitMs: fc.integer({ min: 10, max: 60_000 }),
    receiveMs: fc.integer({ min: 10, max: 60_000 }),
    echoingReceiveMs: fc.integer({ min: 10, max: 60_000 }),
    multiplier: fc.integer({ min: 1, max: 255 }),
    passive: fc.boolean(),
    echoMs: fc.option(fc.integer({ min: 10, max: 60_000 }), { nil: undefined }),
    echoReceiveMs: fc.constantFrom(0, 50),
  },
  { noNullPrototype: true },
);
const anyPacket = fc
  .record({
    state: fc.constantFrom(...states),
    poll: fc.boolean(),
    final: fc.boolean(),
    demand: fc.boolean(),
    multiplier: fc.integer({ min: 1, max: 255 }),
    desiredMinTx: anyInterval,
    requiredMinRx: anyInterval,
    requiredMinEchoRx: anyInterval,
  })
  .map((changes): Event => ({ type: "packet", packet: packet(changes), arrivedAt: 0 }));
const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  { weight: 12, arbitrary: anyPacket },
  { weight: 12, arbitrary: fc.constantFrom(0, 0, 5, 1e6).map((late): Event => ({ type: "timer", late })) },
  { weight: 4, arbitrary: fc.constant<Event>({ type: "echo" }) },
  { weight: 1, arbitrary: anyParameters.map((changed): Event => ({ type: "configure", parameters: changed })) },
  { weight: 1, arbitrary: fc.constant<Event>({ type: "disable" }) },
);
/** What happens, when after the event before (or exactly when something is due), by what chance, and for how long a packet has waited. */
const anyHistory = fc.array(
  fc.tuple(
    anyEvent,
    fc.oneof(fc.constant("due" as const), fc.double({ min: 0, max: 5_000, noNaN: true })),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.oneof(fc.constant(0), fc.double({ min: 0, max: 5_000, noNaN: true })),
  ),
  { maxLength: 60 },
);

test("property: whatever happens, what is due is done, packets can be sent, and nothing is due in the past for ever", () => {
  fc.assert(
    fc.property(anyParameters, anyHistory, (first, history) => {
      let session = newSession({ ...parameters, ...first }, 7, 0);
      let now = 0;
      for (const [drawn, when, chance, waited] of history) {
        const due = nextDeadline(session);
        now = when === "due" ? Math.max(now, due === Infinity ? now : due) : now + when;
        const event: Event = drawn.type === "packet" ? { ...drawn, arrivedAt: now - waited } : drawn;
        const [next, effects] = step(session, event, now, chance);
        const sent = effects.flatMap((effect) => (effect.type === "send" ? effect.packet : []));
        assert.ok(sent.length <= 2, "one packet, and one answer to a poll");
        for (const each of sent) {
          assert.ok(!(each.poll && each.final));
          assert.notEqual(typeof decodeControl(encodeControl(each)), "string");
        }
        // A thread that is woken by a deadline that stays would never rest.
        if (event.type === "timer") assert.ok(nextDeadline(next) > now, `${nextDeadline(next)} is not after ${now}`);
        assert.equal(effects.filter(({ type }) => type === "changed").length, next.state === session.state ? 0 : 1);
        session = next;
      }
    }),
    { numRuns: 500 },
  );
});
