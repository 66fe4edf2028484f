import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeOpen } from "./open-codec.ts";
import { external, internal, mandatory, notification, octets, updateBody } from "./testing/octets.ts";
import { decodeUpdate } from "./update-decoder.ts";

// The rules of RFC 4271, section 6, in its order and words, as far as they are the codec's. Section 6.1 is in message-reader.test.ts. What
// RFC 7606 has made of section 6.3 is in rfc7606.test.ts; what is here still ends the session.

const opens: { section: string; hex: string; refused?: [codes: string, data?: string] }[] = [
  { section: "an OPEN without optional parameters", hex: "04 fde9 00b4 c0000201 00" },
  {
    section:
      "6.2 'If the version number in the Version field is not supported, then Unsupported Version Number. The Data field is a 2-octet unsigned integer, which indicates the largest, locally-supported version number'",
    hex: "05 fde9 00b4 c0000201 00",
    refused: ["2/1", "0004"],
  },
  { section: "6.2 the same for a version that is too small", hex: "03 fde9 00b4 c0000201 00", refused: ["2/1", "0004"] },
  {
    section: "6.2 'An implementation MUST reject Hold Time values of one or two seconds': one",
    hex: "04 fde9 0001 c0000201 00",
    refused: ["2/6"],
  },
  { section: "6.2 two", hex: "04 fde9 0002 c0000201 00", refused: ["2/6"] },
  { section: "6.2 a Hold Time of zero is taken", hex: "04 fde9 0000 c0000201 00" },
  { section: "6.2 a Hold Time of three is taken", hex: "04 fde9 0003 c0000201 00" },
  {
    section: "6.2 'If the BGP Identifier field is syntactically incorrect, then Bad BGP Identifier': zero (RFC 6286)",
    hex: "04 fde9 00b4 00000000 00",
    refused: ["2/3"],
  },
  { section: "6.2 an identifier that is no host's address is taken (RFC 6286)", hex: "04 fde9 00b4 ffffffff 00" },
  {
    section: "6.2 'If one of the Optional Parameters is not recognized, then Unsupported Optional Parameters'",
    hex: "04 fde9 00b4 c0000201 02 0100",
    refused: ["2/4"],
  },
  {
    section: "6.2 'If one of the Optional Parameters is recognized, but is malformed, then Unspecific': a parameter cut short",
    hex: "04 fde9 00b4 c0000201 04 0204 0200",
    refused: ["2/0"],
  },
  { section: "6.2 a capability cut short", hex: "04 fde9 00b4 c0000201 04 0202 0104", refused: ["2/0"] },
  { section: "6.2 parameters beyond the message", hex: "04 fde9 00b4 c0000201 05 0202 0200", refused: ["2/0"] },
  { section: "6.2 octets behind the parameters", hex: "04 fde9 00b4 c0000201 02 0200 00", refused: ["2/0"] },
  { section: "6.2 a message cut short", hex: "04 fde9 00b4 c00002", refused: ["2/0"] },
];
for (const { section, hex, refused } of opens)
  test(section, () => {
    const decode = () => decodeOpen(octets(hex)).routerId.family;
    if (refused) assert.throws(decode, notification(...refused));
    else assert.equal(decode(), "IPv4");
  });

const { origin, asPath, nextHop } = mandatory;
const all = origin + asPath + nextHop;
const updates: { section: string; body: Uint8Array; refused: [codes: string, data?: string] }[] = [
  {
    section:
      "6.3 'If the Withdrawn Routes Length or Total Attribute Length is too large, then Malformed Attribute List': the first",
    body: octets("0001 0000"),
    refused: ["3/1"],
  },
  { section: "6.3 the second", body: octets("0000 0001"), refused: ["3/1"] },
  { section: "6.3 a Withdrawn Routes Length that leaves no room for the other", body: octets("0001 08 00"), refused: ["3/1"] },
  {
    section:
      "6.3 'If any of the well-known mandatory attributes are not recognized, then Unrecognized Well-known Attribute. The Data field MUST contain the unrecognized attribute (type, length, and value)'",
    body: updateBody({ attributes: `${all} 40 63 02 abcd`, nlri: "08 0a" }),
    refused: ["3/2", "40 63 02 abcd"],
  },
  {
    section: "6.3 the same of an attribute with a long length",
    body: updateBody({ attributes: "50 63 0002 abcd" }),
    refused: ["3/2", "50 63 0002 abcd"],
  },
  {
    section:
      "6.3 'The NLRI field is checked for syntactic validity. If the field is syntactically incorrect, then Invalid Network Field': above 32 bits",
    body: updateBody({ attributes: all, nlri: "21 0a00000000" }),
    refused: ["3/10"],
  },
  { section: "6.3 cut short", body: updateBody({ attributes: all, nlri: "20 0a0000" }), refused: ["3/10"] },
  { section: "6.3 the same in Withdrawn Routes", body: updateBody({ withdrawn: "20 0a0000" }), refused: ["3/10"] },
];
for (const { section, body, refused } of updates)
  test(section, () => {
    for (const session of [external, internal]) assert.throws(() => decodeUpdate(body, session), notification(...refused));
  });

test("4.3 'the value of trailing bits is irrelevant'", () => {
  const { announced } = decodeUpdate(updateBody({ attributes: all, nlri: "14 0a00ff 00 13 ffffff" }), external);
  assert.equal(announced, 3);
});

test("4.3 an unrecognized optional attribute is passed over, whatever it holds", () => {
  const update = decodeUpdate(updateBody({ attributes: `${all} c0 63 00 80 64 02 abcd`, nlri: "08 0a" }), external);
  assert.deepEqual([update.announced, update.forgiven], [1, []]);
});

test("4.3 an UPDATE withdraws and announces at once", () => {
  const update = decodeUpdate(updateBody({ withdrawn: "08 0b 00", attributes: all, nlri: "08 0a" }), external);
  assert.deepEqual(update, { type: "update", announced: 1, endOfRib: undefined, forgiven: [] });
});

test("4.3 a message full of short prefixes is counted", () => {
  const { announced } = decodeUpdate(updateBody({ attributes: all, nlri: "00".repeat(60_000) }), external);
  assert.equal(announced, 60_000);
});
