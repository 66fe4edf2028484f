import assert from "node:assert/strict";
import { test } from "node:test";
import { address } from "#pkg/net/testing";
import { parseConfig } from "./parse.ts";
import { needsRestart, type SessionSettings, sessionSettings } from "./session-settings.ts";
import { reached } from "./testing/index.ts";

const { config } = parseConfig("peers: [{my-asn: 65001, peer-asn: 65002, peer-address: 192.0.2.2}]");
const base = sessionSettings(reached(config?.peers[0]), undefined);
const settings = (fields: Partial<SessionSettings> = {}): SessionSettings => ({ ...base, ...fields });

const changes: readonly [Partial<SessionSettings>, boolean][] = [
  [{ myAsn: 65009 }, true],
  [{ peerAsn: 65009 }, true],
  [{ peerAsn: "external" }, true],
  [{ families: ["IPv4"] }, true],
  [{ address: address("192.0.2.9") }, true],
  [{ port: 1179 }, true],
  [{ interface: "eth0" }, true],
  [{ discovery: { by: "advertisements", interfaces: ["eth0"] } }, true],
  [{ discovery: { by: "gateway", families: ["IPv4"], interfaces: [], hasBoth: false } }, false],
  [{ sourceAddress: address("192.0.2.1") }, true],
  [{ password: "secret" }, true],
  [{ password: "null" }, true],
  [{ holdTimeSeconds: 30 }, true],
  [{ keepaliveSeconds: 10 }, false],
  [{ connectTimeSeconds: 10 }, false],
  [{ routerId: address("192.0.2.1") }, true],
  [{ passive: true }, false],
  [{ ttl: 5 }, true],
  [{ ttlSecurityHops: 1 }, true],
  [{ gracefulRestartSeconds: 0 }, true],
  [{ addPath: true }, true],
  [{ role: "customer" }, true],
  [{ roleStrict: true }, true],
  [{ gracefulRestartNotification: true }, true],
  [{ longLivedStaleSeconds: 3_600 }, true],
  [{ maximumPrefix: 9 }, false],
];

for (const [fields, want] of changes)
  test(`${Object.entries(fields).join(" ")} takes effect ${want ? "in a new session" : "at once"}`, () => {
    assert.equal(needsRestart(settings(), settings(fields)), want);
    assert.equal(needsRestart(settings(fields), settings()), want);
  });

test("every setting is decided about", () => {
  const decided = new Set(changes.flatMap(([fields]) => Object.keys(fields)));
  assert.deepEqual(decided, new Set(Object.keys(settings())));
});

test("equal settings in other objects, and what else such objects hold, change nothing", () => {
  const fields = { sourceAddress: address("2001:db8::1"), routerId: address("192.0.2.1"), password: "secret" };
  const more = { ...settings({ ...fields, sourceAddress: address("2001:db8::1") }), name: "router", nodeSelectors: [] };
  assert.equal(needsRestart(settings(fields), more), false);
});
