import assert from "node:assert/strict";
import { test } from "node:test";
import { Diagnostic, type State } from "../codec/control-codec.ts";
import { type BfdVerdict, statusAfter, unknownStatus } from "./status.ts";

const up = { verdict: "up", reason: "both sides receive each other's packets" } as const;
const cases: {
  name: string;
  from: State;
  to: State;
  diagnostic?: number;
  peer?: State;
  peerDiagnostic?: number;
  verdict: BfdVerdict;
  reason: string;
}[] = [
  { name: "a session that comes up", from: "init", to: "up", peer: "up", verdict: "up", reason: up.reason },
  {
    name: "silence",
    from: "up",
    to: "down",
    diagnostic: Diagnostic.detectionTimeExpired,
    verdict: "failed",
    reason: "control detection time expired",
  },
  {
    name: "echoes that no longer come back",
    from: "up",
    to: "down",
    diagnostic: Diagnostic.echoFailed,
    verdict: "failed",
    reason: "echo function failed",
  },
  {
    name: "a peer that hears nothing",
    from: "up",
    to: "down",
    diagnostic: Diagnostic.neighborSignaledDown,
    peer: "down",
    peerDiagnostic: Diagnostic.detectionTimeExpired,
    verdict: "failed",
    reason: "the peer signals control detection time expired",
  },
  {
    name: "a peer that began anew",
    from: "up",
    to: "down",
    diagnostic: Diagnostic.neighborSignaledDown,
    peer: "down",
    verdict: "failed",
    reason: "the peer signals no diagnostic",
  },
  {
    name: "a peer that gives the session up",
    from: "up",
    to: "down",
    diagnostic: Diagnostic.neighborSignaledDown,
    peer: "adminDown",
    verdict: "adminDown",
    reason: "the peer signals administratively down",
  },
  { name: "this side gives it up", from: "up", to: "adminDown", verdict: "adminDown", reason: "this side gave the session up" },
  { name: "the way up says nothing", from: "down", to: "init", verdict: "unknown", reason: unknownStatus.reason },
  {
    name: "a session that never came up has not failed",
    from: "init",
    to: "down",
    diagnostic: Diagnostic.detectionTimeExpired,
    verdict: "unknown",
    reason: unknownStatus.reason,
  },
];
for (const { name, from, to, diagnostic = 0, peer = "down", peerDiagnostic = 0, verdict, reason } of cases)
  test(`statusAfter: ${name}`, () => {
    const view = { state: to, diagnostic, remoteState: peer, remoteDiagnostic: peerDiagnostic };
    assert.deepEqual(statusAfter(from === "up" ? up : unknownStatus, from, view), { verdict, reason });
  });
