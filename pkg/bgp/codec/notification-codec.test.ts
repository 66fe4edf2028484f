import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Notification } from "./messages.ts";
import {
  decodeNotification,
  decodeShutdownCommunication,
  describeNotification,
  encodeNotification,
  encodeShutdownCommunication,
  hardReset,
} from "./notification-codec.ts";
import {
  Cease,
  FiniteStateMachineError,
  MessageHeaderError,
  NotificationCode,
  notificationName,
  OpenMessageError,
  RouteRefreshMessageError,
  UpdateMessageError,
} from "./notification-error.ts";
import { hex, notification, octets } from "./testing/octets.ts";

const of = (code: number, subcode: number, data = ""): Notification => ({
  type: "notification",
  code,
  subcode,
  data: octets(data),
});
const text = "6d61696e74656e616e6365"; // maintenance

test("property: decoding undoes encoding", () => {
  const octet = fc.nat({ max: 255 });
  fc.assert(
    fc.property(octet, octet, fc.uint8Array({ maxLength: 4075, size: "max" }), (code, subcode, data) => {
      const one: Notification = { type: "notification", code, subcode, data };
      assert.deepEqual(decodeNotification(encodeNotification(one).subarray(19)), one);
    }),
  );
});

test("data is cut where the message would be longer than any peer takes", () => {
  assert.equal(encodeNotification({ ...of(3, 9), data: new Uint8Array(5000) }).length, 4096);
});

test("a NOTIFICATION cut short is refused", () => {
  assert.throws(() => decodeNotification(octets("06")), notification("1/2"));
});

test("what is kept of a NOTIFICATION is a copy", () => {
  const body = octets("0602ff");
  const { data } = decodeNotification(body);
  body.fill(0);
  assert.deepEqual(data, octets("ff"));
});

const described: { notification: Notification; want: string }[] = [
  { notification: of(4, 0), want: "Hold Timer Expired (4/0)" },
  { notification: of(2, 1, "0004"), want: "OPEN Message Error/Unsupported Version Number (2/1): data 0004" },
  { notification: of(6, 10), want: "Cease/BFD Down (6/10)" },
  { notification: of(6, 200), want: "Cease (6/200)" },
  { notification: of(99, 3), want: "Unknown Error (99/3)" },
  { notification: of(6, 2, `0b${text}`), want: 'Cease/Administrative Shutdown (6/2): "maintenance"' },
  { notification: of(6, 4, `0b${text}`), want: 'Cease/Administrative Reset (6/4): "maintenance"' },
  { notification: of(6, 2, "00"), want: "Cease/Administrative Shutdown (6/2): data 00" },
  { notification: of(6, 2, "06 613c0a1b5b6d"), want: 'Cease/Administrative Shutdown (6/2): "a<\\n\\u001b[m"' },
  { notification: of(6, 2, "04 c29b326a"), want: 'Cease/Administrative Shutdown (6/2): "\\u009b2j"' },
  { notification: of(6, 1, "0001 01 00000064"), want: "Cease/Maximum Number of Prefixes Reached (6/1): 100 of IPv4" },
  { notification: of(6, 1, "0002 01 ffffffff"), want: "Cease/Maximum Number of Prefixes Reached (6/1): 4294967295 of IPv6" },
  { notification: of(6, 1, "0001 02 00000064"), want: "Cease/Maximum Number of Prefixes Reached (6/1): data 00010200000064" },
  { notification: of(6, 1, "0001 01 000064"), want: "Cease/Maximum Number of Prefixes Reached (6/1): data 000101000064" },
  {
    notification: of(6, 9, "0601 0001 01 00000001"),
    want: "Cease/Hard Reset (6/9): Cease/Maximum Number of Prefixes Reached (6/1): 1 of IPv4",
  },
  { notification: of(6, 3, `0b${text}`), want: `Cease/Peer De-configured (6/3): data 0b${text}` },
  { notification: of(6, 9, `06020b${text}`), want: 'Cease/Hard Reset (6/9): Cease/Administrative Shutdown (6/2): "maintenance"' },
  { notification: of(6, 9, "0603"), want: "Cease/Hard Reset (6/9): Cease/Peer De-configured (6/3)" },
  { notification: of(6, 9, "06090603"), want: "Cease/Hard Reset (6/9): Cease/Hard Reset (6/9): data 0603" },
  { notification: of(6, 9, "06"), want: "Cease/Hard Reset (6/9): data 06" },
  {
    notification: of(3, 9, "ab".repeat(33)),
    want: `UPDATE Message Error/Optional Attribute Error (3/9): data ${"ab".repeat(32)}… of 33 octets`,
  },
];
for (const { notification, want } of described)
  test(`in words: ${want}`, () => assert.equal(describeNotification(notification), want));

test("every code and subcode that this side sends has a name", () => {
  const subcodes: Readonly<Record<string, number>>[] = [
    ...[{}, MessageHeaderError, OpenMessageError, UpdateMessageError, {}, FiniteStateMachineError, Cease],
    ...[RouteRefreshMessageError, {}],
  ];
  for (const code of Object.values(NotificationCode)) {
    assert.doesNotMatch(notificationName(code, 0), /Unknown/);
    for (const subcode of Object.values(subcodes[code] ?? {})) assert.match(notificationName(code, subcode), /\/.* \(/);
  }
});

const communications: { name: string; data: string; want: string | undefined }[] = [
  { name: "a text", data: `0b${text}`, want: "maintenance" },
  { name: "what follows it is not of it", data: `0b${text}ff`, want: "maintenance" },
  { name: "beyond ASCII", data: "02 c3bc", want: "ü" },
  { name: "a byte order mark is text", data: "04 efbbbf61", want: "\ufeffa" },
  { name: "none", data: "", want: undefined },
  { name: "an empty one", data: "00", want: undefined },
  { name: "one cut short", data: "0c 6d61", want: undefined },
  { name: "no UTF-8", data: "02 c361", want: undefined },
];
for (const { name, data, want } of communications)
  test(`a shutdown communication (RFC 9003): ${name}`, () => assert.equal(decodeShutdownCommunication(octets(data)), want));

test("property: a shutdown communication is cut after a whole character, and read back", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 400 }), (all) => {
      const data = encodeShutdownCommunication(all);
      const read = decodeShutdownCommunication(data) ?? "";
      assert.ok(data.length <= 256 && all.startsWith(read));
      assert.ok(read === all || data.length > 256 - 4, `cut to ${data.length} octets`);
    }),
  );
});

test("a hard reset has the reason inside (RFC 8538, section 3.1)", () => {
  const inner: Notification = { ...of(6, 2), data: encodeShutdownCommunication("bye") };
  assert.equal(hex(encodeNotification(hardReset(inner)).subarray(19)), "0609060203627965");
});
