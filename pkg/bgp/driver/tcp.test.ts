import assert from "node:assert/strict";
import { test } from "node:test";
import type { SessionSettings } from "#pkg/config";
import { address } from "#pkg/net/testing";
import { settings } from "../testing/settings.ts";
import { describeConnectionError } from "./tcp.ts";

const cases: readonly [code: string, fields: Partial<SessionSettings>, words: string][] = [
  ["ECONNREFUSED", {}, "connection refused: nothing accepts connections from this node on 192.0.2.2 port 179"],
  [
    "EHOSTUNREACH",
    {},
    "192.0.2.2 is unreachable: it does not answer on its link, or a router or firewall on the way reports it (EHOSTUNREACH)",
  ],
  ["ENETUNREACH", {}, "there is no route to 192.0.2.2 (ENETUNREACH)"],
  ["ETIMEDOUT", {}, "192.0.2.2 does not answer any more (ETIMEDOUT)"],
  ["ECONNRESET", {}, "the peer reset the connection (ECONNRESET)"],
  ["EPIPE", {}, "the peer closed the connection (EPIPE)"],
  ["EADDRNOTAVAIL", {}, "this node has no address from which to reach 192.0.2.2 (EADDRNOTAVAIL)"],
  [
    "EADDRNOTAVAIL",
    { sourceAddress: address("192.0.2.77") },
    "source-address 192.0.2.77 is on no interface of this node (EADDRNOTAVAIL)",
  ],
  ["EPERM", {}, "this node's firewall forbids connections to 192.0.2.2 port 179 (EPERM)"],
  ["EAFNOSUPPORT", {}, "this node has no IPv4 (EAFNOSUPPORT)"],
  ["ENOPROTOOPT", {}, "this node's kernel cannot do what is configured, a password or ttl-security: as it was"],
  ["EMFILE", {}, "as it was"],
];

for (const [code, fields, words] of cases)
  test(`${code}${Object.keys(fields).map((name) => ` with ${name}`)}: ${words}`, () => {
    assert.equal(describeConnectionError(Object.assign(new Error("as it was"), { code }), settings(fields)), words);
  });
