import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import type { UpdateSession } from "./attribute-rules.ts";
import { decodeMessage, encodeMessage } from "./message-codec.ts";
import { MessageReader } from "./message-reader.ts";
import { type Message, MessageType } from "./messages.ts";
import { NotificationError } from "./notification-error.ts";
import { anyOpen } from "./testing/arbitraries.ts";
import { external, hex, mandatory, message, octets, updateBody } from "./testing/octets.ts";

const anySession: fc.Arbitrary<UpdateSession> = fc
  .record({
    internal: fc.boolean(),
    families: fc.subarray(["IPv4", "IPv6"] as const),
    fourOctetAsn: fc.boolean(),
    extendedNextHop: fc.boolean(),
  })
  .map((session) => ({ ...session, families: new Set(session.families) }));
const anyType = fc.constantFrom(...Object.values(MessageType));

/** Decodes; refusals of the peer's octets are undefined, all else is a failure. */
function decode(type: MessageType, body: Uint8Array, session: UpdateSession): Message | undefined {
  try {
    return decodeMessage({ type, body }, session);
  } catch (error) {
    assert.ok(error instanceof NotificationError, `${error}`);
    // It can be answered: the codes and the data fit.
    assert.ok(encodeMessage(error.notification).length <= 4096);
    assert.match(error.message, /^Cannot decode \w/);
    return undefined;
  }
}

/** Nothing is made of octets that were not there. */
function checkBounds(decoded: Message | undefined, body: Uint8Array): void {
  if (decoded?.type === "open") assert.ok(decoded.capabilities.length <= body.length / 2);
  if (decoded?.type !== "update") return;
  assert.ok(decoded.announced <= body.length);
  assert.ok(decoded.forgiven.length <= body.length);
}

test("property: arbitrary octets raise nothing but a NotificationError, and make no more than they are", () => {
  fc.assert(
    fc.property(anyType, fc.uint8Array({ maxLength: 200, size: "max" }), anySession, (type, body, session) =>
      checkBounds(decode(type, body, session), body),
    ),
    { numRuns: 5000 },
  );
});

test("property: so do arbitrary attributes of a well-formed list", () => {
  const type = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(25, 32, 99));
  const flags = fc.constantFrom(0x40, 0x80, 0xc0, 0xe0, 0x90, 0x50);
  const attribute = fc.tuple(flags, type, fc.uint8Array({ maxLength: 24, size: "max" })).map(([flags, type, value]) => {
    const length = (flags & 0x10) === 0 ? [value.length] : [0, value.length];
    return hex(Uint8Array.of(flags, type, ...length, ...value));
  });
  const list = fc.array(fc.oneof(attribute, fc.constantFrom(...Object.values(mandatory))), { maxLength: 8 });
  fc.assert(
    fc.property(list, fc.constantFrom("", "08 0a"), anySession, (attributes, nlri, session) => {
      const body = updateBody({ attributes: attributes.join(""), nlri });
      checkBounds(decode(MessageType.update, body, session), body);
    }),
    { numRuns: 5000 },
  );
});

const captured = globSync("*.txt", { cwd: fileURLToPath(new URL("./testdata", import.meta.url)) })
  .flatMap((file) => readFileSync(new URL(`./testdata/${file}`, import.meta.url), "utf8").match(/^ff[0-9a-f]+$/gm) ?? [])
  .map(octets);

test("property: so do messages of real routers with some octets changed, or cut", () => {
  assert.ok(captured.length > 100);
  const change = fc.tuple(fc.nat({ max: 200 }), fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0, 1, 0xff)));
  const changes = fc.array(change, { maxLength: 4 });
  fc.assert(
    fc.property(fc.constantFrom(...captured), changes, fc.nat({ max: 10 }), anySession, (original, changed, cut, session) => {
      const body = original.slice(19, original.length - cut);
      for (const [at, octet] of changed) if (at < body.length) body[at] = octet;
      const type = original[18] as MessageType;
      checkBounds(decode(type, body, session), body);
    }),
    { numRuns: 5000 },
  );
});

test("property: a stream of arbitrary octets raises nothing but a NotificationError", () => {
  const stream = fc.array(fc.oneof(fc.constantFrom(...captured), fc.uint8Array({ maxLength: 30, size: "max" })), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(stream, fc.boolean(), (chunks, extended) => {
      const reader = new MessageReader();
      try {
        for (const chunk of chunks) {
          reader.push(chunk);
          for (let frame = reader.next(extended); frame !== undefined; frame = reader.next(extended))
            decodeMessage(frame, external);
        }
      } catch (error) {
        assert.ok(error instanceof NotificationError, `${error}`);
      }
    }),
  );
});

test("property: decoding undoes encoding", () => {
  const notification = fc.record(
    { type: fc.constant("notification" as const), code: fc.nat(255), subcode: fc.nat(255), data: fc.uint8Array() },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.oneof(anyOpen, notification, fc.constant({ type: "keepalive" } as const)), (one) => {
      const reader = new MessageReader();
      reader.push(encodeMessage(one));
      const frame = reader.next(false);
      assert.deepEqual(frame && decodeMessage(frame, external), one);
    }),
  );
});

const families: { name: string; session: Partial<UpdateSession>; body: Uint8Array }[] = [
  {
    name: "IPv6 that was not agreed on",
    session: { families: new Set(["IPv4"]) },
    body: updateBody({ attributes: `800f0a00020130 20010db80002` }),
  },
  {
    name: "IPv4 that was not agreed on",
    session: { families: new Set(["IPv6"]) },
    body: updateBody({ withdrawn: "08 0b", attributes: Object.values(mandatory).join(""), nlri: "08 0a" }),
  },
  {
    name: "labelled routes, whatever is in them",
    session: {},
    body: updateBody({ attributes: `800e0a 0001 04 04 c0000201 00 ff ${mandatory.origin} ${mandatory.asPath}` }),
  },
];
for (const { name, session, body } of families)
  test(`an UPDATE of a family that the session does not carry says nothing: ${name}`, () => {
    const update = decode(MessageType.update, body, { ...external, ...session });
    assert.deepEqual(update, { type: "update", announced: 0, endOfRib: undefined, forgiven: [] });
  });

const ends: { name: string; body: Uint8Array; want: unknown }[] = [
  { name: "IPv4, an UPDATE with nothing in it", body: octets("0000 0000"), want: { afi: 1, safi: 1 } },
  { name: "IPv6", body: updateBody({ attributes: "800f03000201" }), want: { afi: 2, safi: 1 } },
  { name: "IPv6 with a long length", body: updateBody({ attributes: "900f0003000201" }), want: { afi: 2, safi: 1 } },
  { name: "IPv4 as an attribute", body: updateBody({ attributes: "800f03000101" }), want: { afi: 1, safi: 1 } },
  { name: "a family that is not known", body: updateBody({ attributes: "800f03400447" }), want: { afi: 0x4004, safi: 0x47 } },
  { name: "none: something is withdrawn", body: updateBody({ withdrawn: "00", attributes: "800f03000201" }), want: undefined },
  { name: "none: there is an attribute beside it", body: updateBody({ attributes: "800f03000201 40010100" }), want: undefined },
  { name: "none: the attribute withdraws something", body: updateBody({ attributes: "800f0400020100" }), want: undefined },
];
for (const { name, body, want } of ends)
  test(`End-of-RIB (RFC 4724, section 2) of ${name}`, () => {
    const update = decode(MessageType.update, body, external);
    assert.ok(update?.type === "update");
    assert.deepEqual(update.endOfRib, want);
  });

test("a KEEPALIVE is its header", () => {
  assert.equal(hex(encodeMessage({ type: "keepalive" })), hex(message(4, "")));
});
