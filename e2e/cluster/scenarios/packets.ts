import assert from "node:assert/strict";
import type { Streamed } from "./stream.ts";

/** Shows what became of packets. */
export function print(what: string, streamed: Streamed): void {
  for (const [name, { sent, lost, gaps, arp }] of Object.entries(streamed))
    console.log(
      `${what}: ${name}: ${lost} of ${sent} packets lost, in gaps of ${gaps.join()} ms; ` +
        `${arp.unanswered} of ${arp.asked} ARP requests unanswered, in gaps of ${arp.gaps.join()} ms, ${arp.answeredByTwo} answered by two`,
    );
}

export function assertNothingLost(streamed: Streamed): void {
  for (const [name, { lost, sent, gaps }] of Object.entries(streamed))
    assert.equal(lost, 0, `${name}: ${lost} of ${sent} packets lost, in gaps of ${gaps.join()} ms`);
}

/** When a Pod leaves the Service, kube-proxy forgets its flows, and with them packets that are under way. */
export function assertNothingLostBesidePods(streamed: Streamed): void {
  for (const [name, { strayFromPods, sent, gaps }] of Object.entries(streamed))
    assert.equal(
      strayFromPods,
      0,
      `${name}: ${strayFromPods} of ${sent} packets lost while the Pod stayed; gaps of ${gaps.join()} ms in all`,
    );
}

/** On layer 2 a hand-over may cost some. */
export function assertNothingLostBesideHandOvers(streamed: Streamed): void {
  for (const [name, { stray, sent, gaps }] of Object.entries(streamed))
    assert.equal(stray, 0, `${name}: ${stray} of ${sent} packets lost while the owner stayed; gaps of ${gaps.join()} ms in all`);
}
