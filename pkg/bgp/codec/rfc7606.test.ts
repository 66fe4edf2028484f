import assert from "node:assert/strict";
import { test } from "node:test";
import type { UpdateSession } from "./attribute-rules.ts";
import { NotificationError } from "./notification-error.ts";
import { external, internal, mandatory, notification, updateBody } from "./testing/octets.ts";
import { decodeUpdate } from "./update-decoder.ts";

// The rules of RFC 7606 in its order. `reset` is the NOTIFICATION, as code/subcode and data.
const { origin, asPath, nextHop } = mandatory;
const all = origin + asPath + nextHop;
const twoOctet = { ...external, fourOctetAsn: false };
const ipv6Nlri = "30 20010db80001";
const mpReach = `80 0e 1c 0002 01 10 20010db8000000000000000000000001 00 ${ipv6Nlri}`;
const mpUnreach = "80 0f 0a 0002 01 30 20010db80002";

interface Case {
  readonly rule: string;
  readonly attributes: string;
  /** 10.0.0.0/8 where undefined. */
  readonly nlri?: string;
  readonly session?: UpdateSession;
  readonly want: "accept" | "discard" | "withdraw" | { readonly reset: [codes: string, data?: string] };
}

const section3: Case[] = [
  {
    rule: "3 (c) 'If the value of either the Optional or Transitive bits is in conflict with their specified values, then the attribute MUST be treated as malformed and the treat-as-withdraw approach used': ORIGIN as optional",
    attributes: `c0010100 ${asPath} ${nextHop}`,
    want: "withdraw",
  },
  { rule: "3 (c) MULTI_EXIT_DISC as transitive", attributes: `${all} c0 04 04 00000001`, want: "withdraw" },
  { rule: "3 (c) ATOMIC_AGGREGATE as optional", attributes: `${all} c0 06 00`, want: "withdraw" },
  { rule: "3 (c) MP_REACH_NLRI as transitive", attributes: `c0${mpReach.slice(2)} ${all}`, want: "withdraw" },
  { rule: "3 (c) the Partial bit is not among them", attributes: `60010100 ${asPath} ${nextHop}`, want: "accept" },
  {
    rule: "3 (d) 'If any of the well-known mandatory attributes are not present, then treat-as-withdraw MUST be used': ORIGIN",
    attributes: asPath + nextHop,
    want: "withdraw",
  },
  { rule: "3 (d) AS_PATH", attributes: origin + nextHop, want: "withdraw" },
  { rule: "3 (d) NEXT_HOP, for the NLRI field", attributes: origin + asPath, want: "withdraw" },
  { rule: "3 (d) all", attributes: "", want: "withdraw" },
  { rule: "3 (d) NEXT_HOP is not missed by MP_REACH_NLRI", attributes: mpReach + origin + asPath, nlri: "", want: "accept" },
  { rule: "3 (d) ORIGIN is", attributes: mpReach + asPath, nlri: "", want: "withdraw" },
  {
    rule: "3 (g) 'If the MP_REACH_NLRI attribute or the MP_UNREACH_NLRI attribute appears more than once, then a NOTIFICATION MUST be sent with Malformed Attribute List': the first",
    attributes: mpReach + mpReach + all,
    want: { reset: ["3/1"] },
  },
  { rule: "3 (g) the second", attributes: mpUnreach + mpUnreach, nlri: "", want: { reset: ["3/1"] } },
  {
    rule: "3 (g) 'If any other attribute appears more than once, then all the occurrences other than the first one SHALL be discarded', were they malformed",
    attributes: `${all} 400101ff`,
    want: "discard",
  },
  {
    rule: "3 (h) 'When multiple attribute errors exist, the approach with the strongest action MUST be used': discard and withdraw",
    attributes: `${all} 40 06 01 00 80 04 01 00`,
    want: "withdraw",
  },
  {
    rule: "3 (h) withdraw and reset",
    attributes: `400101ff ${asPath} ${nextHop} 80 0e 02 0002`,
    want: { reset: ["3/9", "80 0e 02 0002"] },
  },
];

const section4: Case[] = [
  {
    rule: "4 'the length of the last encountered path attribute would cause the Total Attribute Length to be exceeded': treat-as-withdraw",
    attributes: `${all} 80 04 05 00000001`,
    want: "withdraw",
  },
  { rule: "4 the same with a long length", attributes: `${all} 90 04 ffff 00000001`, want: "withdraw" },
  {
    rule: "4 'fewer than three octets remain when beginning to parse the attribute'",
    attributes: `${all} 80 04`,
    want: "withdraw",
  },
  { rule: "4 one octet", attributes: `${all} 80`, want: "withdraw" },
  { rule: "4 'or fewer than four octets, if the Extended Length bit is set'", attributes: `${all} 90 04 00`, want: "withdraw" },
  {
    rule: "4 the routes of an MP_REACH_NLRI cut short are unknown (3 (j)): session reset",
    attributes: `${all} ${mpReach.slice(0, -2)}`,
    want: { reset: ["3/1"] },
  },
  {
    rule: "4 nor those of an MP_UNREACH_NLRI",
    attributes: `${all} ${mpUnreach.slice(0, -2)}`,
    want: { reset: ["3/1"] },
  },
];

const section5: Case[] = [
  {
    rule: "5.1 'an implementation MUST still be prepared to receive these fields in any position or combination'",
    attributes: `${all} ${mpUnreach} ${mpReach}`,
    want: "accept",
  },
  {
    rule: "5.2 path attributes other than MP_UNREACH_NLRI, no reachable NLRI, and an error other than attribute discard: session reset",
    attributes: "400101ff",
    nlri: "",
    want: { reset: ["3/6", "400101ff"] },
  },
  {
    rule: "5.2 the same beside MP_UNREACH_NLRI",
    attributes: `${mpUnreach} 400101ff`,
    nlri: "",
    want: { reset: ["3/6", "400101ff"] },
  },
  { rule: "5.2 an attribute cut short", attributes: "40 01", nlri: "", want: { reset: ["3/1"] } },
  {
    rule: "5.2 an MP_REACH_NLRI without NLRI reaches nothing",
    attributes: "80 0e 15 0002 01 10 20010db8000000000000000000000001 00 400101ff",
    nlri: "",
    want: { reset: ["3/6", "400101ff"] },
  },
  { rule: "5.2 attribute discard alone", attributes: "40 06 01 00", nlri: "", want: "discard" },
  { rule: "5.2 MP_UNREACH_NLRI alone, with wrong flags", attributes: `c0${mpUnreach.slice(2)}`, nlri: "", want: "withdraw" },
  {
    rule: "5.3 'The length of any included NLRI is greater than 128' in MP_REACH_NLRI",
    attributes: `80 0e 17 0002 01 10 20010db8000000000000000000000001 00 81 00 ${all}`,
    want: { reset: ["3/9", "800e170002011020010db80000000000000000000000010081 00"] },
  },
  {
    rule: "5.3 'When parsing NLRI contained in the field, the length of the remaining unconsumed data is less' in MP_UNREACH_NLRI",
    attributes: "80 0f 05 0002 01 30 20",
    nlri: "",
    want: { reset: ["3/9", "80 0f 05 0002 01 30 20"] },
  },
];

const section7: Case[] = [
  { rule: "7.1 ORIGIN: 'malformed if its length is not 1'", attributes: `4001020000 ${asPath} ${nextHop}`, want: "withdraw" },
  { rule: "7.1 none", attributes: `400100 ${asPath} ${nextHop}`, want: "withdraw" },
  { rule: "7.1 'or if it has an undefined value'", attributes: `40010103 ${asPath} ${nextHop}`, want: "withdraw" },
  {
    rule: "7.2 AS_PATH: 'An unrecognized segment type is encountered'",
    attributes: `${origin} 400206 0501 0000fde9 ${nextHop}`,
    want: "withdraw",
  },
  { rule: "7.2 'There is a Segment Overrun'", attributes: `${origin} 400206 0202 0000fde9 ${nextHop}`, want: "withdraw" },
  { rule: "7.2 'There is a Segment Underrun'", attributes: `${origin} 400207 0201 0000fde9 02 ${nextHop}`, want: "withdraw" },
  { rule: "7.2 'It has a Path Segment Length field of zero'", attributes: `${origin} 400202 0200 ${nextHop}`, want: "withdraw" },
  { rule: "7.2 an empty one is right", attributes: `${origin} 400200 ${nextHop}`, want: "accept" },
  { rule: "7.2 four octets where two were agreed on", attributes: all, session: twoOctet, want: "withdraw" },
  { rule: "7.2 AS 0 (RFC 7607)", attributes: `${origin} 400206 0201 00000000 ${nextHop}`, want: "withdraw" },
  {
    rule: "7.2 a confederation, from outside (RFC 5065)",
    attributes: `${origin} 400206 0301 0000fde9 ${nextHop}`,
    want: "withdraw",
  },
  { rule: "7.2 from within", attributes: `${origin} 400206 0301 0000fde9 ${nextHop}`, session: internal, want: "accept" },
  {
    rule: "7.3 NEXT_HOP: 'malformed if its length is not 4'",
    attributes: `${origin} ${asPath} 400305c000020100`,
    want: "withdraw",
  },
  { rule: "7.3 an address that is no host's", attributes: `${origin} ${asPath} 400304e0000001`, want: "withdraw" },
  { rule: "7.3 0.0.0.0", attributes: `${origin} ${asPath} 40030400000000`, want: "withdraw" },
  { rule: "7.3 127.0.0.1", attributes: `${origin} ${asPath} 4003047f000001`, want: "withdraw" },
  { rule: "7.4 MULTI_EXIT_DISC: 'malformed if its length is not 4'", attributes: `${all} 80 04 03 000001`, want: "withdraw" },
  {
    rule: "7.5 LOCAL_PREF: 'from an external neighbor, it SHALL be discarded'",
    attributes: `${all} 40 05 01 00`,
    want: "discard",
  },
  {
    rule: "7.5 from an internal one, 'malformed if its length is not 4'",
    attributes: `${all} 40 05 01 00`,
    session: internal,
    want: "withdraw",
  },
  { rule: "7.5 a right one", attributes: `${all} 40 05 04 00000064`, session: internal, want: "accept" },
  {
    rule: "7.6 ATOMIC_AGGREGATE: 'malformed if its length is not 0': attribute discard",
    attributes: `${all} 40 06 01 00`,
    want: "discard",
  },
  { rule: "7.6 a right one", attributes: `${all} 40 06 00`, want: "accept" },
  {
    rule: "7.7 AGGREGATOR: 'Its length is not 8 (when the 4-octet AS number capability is advertised and received)': attribute discard",
    attributes: `${all} c0 07 06 fde9 c0000201`,
    want: "discard",
  },
  { rule: "7.7 8 is right", attributes: `${all} c0 07 08 0000fde9 c0000201`, want: "accept" },
  { rule: "7.7 AS 0 (RFC 7607)", attributes: `${all} c0 07 08 00000000 c0000201`, want: "discard" },
  { rule: "7.8 Community: 'not a non-zero multiple of 4'", attributes: `${all} c0 08 05 fc00006400`, want: "withdraw" },
  { rule: "7.8 zero", attributes: `${all} c0 08 00`, want: "withdraw" },
  {
    rule: "7.9 ORIGINATOR_ID: 'from an external neighbor, it SHALL be discarded'",
    attributes: `${all} 80 09 01 00`,
    want: "discard",
  },
  {
    rule: "7.9 from an internal one, 'malformed if its length is not 4'",
    attributes: `${all} 80 09 01 00`,
    session: internal,
    want: "withdraw",
  },
  { rule: "7.9 a right one", attributes: `${all} 80 09 04 c0000201`, session: internal, want: "accept" },
  {
    rule: "7.10 CLUSTER_LIST: 'from an external neighbor, it SHALL be discarded'",
    attributes: `${all} 80 0a 01 00`,
    want: "discard",
  },
  {
    rule: "7.10 from an internal one, 'not a non-zero multiple of 4'",
    attributes: `${all} 80 0a 06 c00002010000`,
    session: internal,
    want: "withdraw",
  },
  { rule: "7.10 a right one", attributes: `${all} 80 0a 08 c0000201c0000202`, session: internal, want: "accept" },
  {
    rule: "7.11 MP_REACH_NLRI: 'If the Length of Next Hop Network Address field is inconsistent with that which was expected': session reset",
    attributes: `80 0e 10 0002 01 04 c0000201 00 ${ipv6Nlri} ${all}`,
    want: { reset: ["3/9", "800e100002 0104c00002010030 20010db80001"] },
  },
  {
    rule: "7.11 IPv6 next hops of IPv4 prefixes that were not agreed on (RFC 8950)",
    attributes: "80 0e 17 0001 01 10 20010db8000000000000000000000001 00 08 0a",
    session: { ...external, extendedNextHop: false },
    want: { reset: ["3/9", "800e17000101 1020010db800000000000000000000000100080a"] },
  },
  { rule: "7.11 below 5 octets", attributes: "80 0e 04 0002 01 00", want: { reset: ["3/9", "80 0e 04 0002 01 00"] } },
  {
    rule: "7.11 a next hop that is cut short",
    attributes: "80 0e 05 0002 01 10 00",
    want: { reset: ["3/9", "80 0e 05 0002 01 10 00"] },
  },
  {
    rule: "7.12 MP_UNREACH_NLRI: 'malformed if its length is less than 3': session reset",
    attributes: "80 0f 02 0002",
    want: { reset: ["3/9", "80 0f 02 0002"] },
  },
  { rule: "7.14 Extended Community: 'not a non-zero multiple of 8'", attributes: `${all} c0 10 04 00020000`, want: "withdraw" },
  { rule: "7.14 an unrecognized type is not malformed", attributes: `${all} c0 10 08 fffe000000000000`, want: "accept" },
  {
    rule: "7.15 IPv6 Address Specific Extended Community: 'not a non-zero multiple of 20'",
    attributes: `${all} c0 19 08 0002000000000000`,
    want: "withdraw",
  },
  {
    rule: "RFC 8092, section 6: LARGE_COMMUNITY 'not a non-zero multiple of 12'",
    attributes: `${all} c0 20 08 0002000000000000`,
    want: "withdraw",
  },
  {
    rule: "RFC 9234, section 5: 'The OTC Attribute is considered malformed if the length value is not 4': shorter",
    attributes: `${all} c0 23 02 fde9`,
    want: "withdraw",
  },
  { rule: "RFC 9234, section 5: longer", attributes: `${all} c0 23 08 0000fde90000fde9`, want: "withdraw" },
  {
    rule: "RFC 9234, section 5: any AS number, also with the Partial bit",
    attributes: `${all} e0 23 04 0000fde9`,
    want: "accept",
  },
  { rule: "RFC 9234, section 5: OTC as not transitive", attributes: `${all} 80 23 04 0000fde9`, want: "withdraw" },
  {
    rule: "RFC 6793, section 4.1: AS4_PATH from a peer with four octets is discarded",
    attributes: `${all} c0 11 06 0201 0000fde9`,
    want: "discard",
  },
  { rule: "RFC 6793, section 4.1: so is AS4_AGGREGATOR", attributes: `${all} c0 12 08 0000fde9 c0000201`, want: "discard" },
  {
    rule: "RFC 6793, section 6: AS4_PATH that is malformed is discarded",
    attributes: `${origin} 400200 ${nextHop} c0 11 02 0200`,
    session: twoOctet,
    want: "discard",
  },
  {
    rule: "RFC 6793, section 6: AS4_AGGREGATOR 'if the attribute length is not 8'",
    attributes: `${origin} 400200 ${nextHop} c0 12 06 fde9 c0000201`,
    session: twoOctet,
    want: "discard",
  },
];

for (const { rule, attributes, nlri = "08 0a", session = external, want } of [...section3, ...section4, ...section5, ...section7])
  test(`${rule}: ${typeof want === "string" ? want : `reset, ${want.reset[0]}`}`, () => {
    const decode = () => decodeUpdate(updateBody({ attributes, nlri }), session);
    if (typeof want !== "string") {
      assert.throws(decode, notification(...want.reset));
      return;
    }
    const { announced, forgiven } = decode();
    assert.equal(forgiven.length === 0, want === "accept", forgiven.join("; "));
    assert.equal(/routes are treated as withdrawn/.test(forgiven.join()), want === "withdraw", forgiven.join("; "));
    if (want === "withdraw") assert.equal(announced, 0);
    else if (nlri !== "") assert.ok(announced > 0);
  });

test("2 'treat-as-withdraw': 'all routes carried in the UPDATE message' go, of both families", () => {
  const body = updateBody({ withdrawn: "08 0b", attributes: `${mpReach} ${mpUnreach} ${asPath} ${nextHop}`, nlri: "08 0a" });
  const { announced, forgiven } = decodeUpdate(body, external);
  assert.equal(announced, 0);
  assert.deepEqual(forgiven, ["Cannot decode UPDATE: ORIGIN (1) is missing; its routes are treated as withdrawn"]);
});

test("8 what was forgiven is listed for the log, each error once", () => {
  const attributes = `${all} 40 05 04 00000064 40 06 01 00 ${origin.repeat(100)}`;
  assert.deepEqual(decodeUpdate(updateBody({ attributes, nlri: "08 0a" }), external).forgiven, [
    "LOCAL_PREF (5) from an external peer is discarded",
    "Cannot decode UPDATE: ATOMIC_AGGREGATE (6) has a length of 1, wanted 0; it is discarded",
    "ORIGIN (1) is there more than once; all but the first are discarded",
  ]);
});

test("an error of the peer costs no stack trace: the peer decides how often there is one", () => {
  const error = new NotificationError(3, 1, "Cannot decode UPDATE: it is malformed");
  assert.equal(error.stack, "NotificationError: Cannot decode UPDATE: it is malformed");
  assert.ok(new Error("any other").stack?.includes("    at "));
});
