import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLog } from "#pkg/log/testing";
import { ringAddress } from "./create-members.ts";

const own = ["127.0.0.1", "192.0.2.7", "2001:db8::7"];

const cases = [
  { name: "the address that was given, which the node has", given: "192.0.2.7", host: "", want: "192.0.2.7" },
  { name: "the node's where the Pod's is of before", given: "192.0.2.1", host: "192.0.2.7", want: "192.0.2.7" },
  { name: "the node's of IPv6 likewise", given: "2001:db8::1", host: "2001:db8::7", want: "2001:db8::7" },
  { name: "no address of another family", given: "2001:db8::1", host: "192.0.2.7", want: "2001:db8::1" },
  { name: "the one that was given where the node has neither", given: "192.0.2.1", host: "192.0.2.2", want: "192.0.2.1" },
  { name: "the one that was given where HTTP is served everywhere", given: "192.0.2.1", host: "", want: "192.0.2.1" },
];

for (const { name, given, host, want } of cases)
  test(`the ring's port is opened at ${name}`, () => {
    assert.equal(ringAddress({ "ml-bindaddr": given, host }, own, silentLog), want);
  });
