import assert from "node:assert/strict";
import { test } from "node:test";
import type { Bfd, BfdSessionCounters } from "#pkg/bfd";
import { Registry } from "#pkg/metrics";
import { registerBfd } from "./metrics.ts";

test("BFD has the names of MetalLB's FRR mode, one series a peer, and none for sessions that are gone", async () => {
  let sessions: BfdSessionCounters[] = [
    {
      peer: "192.0.2.1",
      up: true,
      controlIn: 1,
      controlOut: 2,
      echoIn: 3,
      echoOut: 4,
      upEvents: 5,
      downEvents: 6,
      notifications: 7,
    },
  ];
  const bfd = { counters: () => sessions, ignored: () => ({ ttl: 8 }) as ReturnType<Bfd["ignored"]> };
  const registry = new Registry();
  registerBfd(registry, bfd);
  const samples = async () => (await registry.metrics()).split("\n").filter((line) => /^(metallb|ingot.*ttl)/.test(line));
  assert.deepEqual(await samples(), [
    'metallb_bfd_session_up{peer="192.0.2.1"} 1',
    'metallb_bfd_control_packet_input{peer="192.0.2.1"} 1',
    'metallb_bfd_control_packet_output{peer="192.0.2.1"} 2',
    'metallb_bfd_echo_packet_input{peer="192.0.2.1"} 3',
    'metallb_bfd_echo_packet_output{peer="192.0.2.1"} 4',
    'metallb_bfd_session_up_events{peer="192.0.2.1"} 5',
    'metallb_bfd_session_down_events{peer="192.0.2.1"} 6',
    'metallb_bfd_zebra_notifications{peer="192.0.2.1"} 7',
    'ingot_bfd_packets_ignored_total{reason="ttl"} 8',
  ]);
  const [one] = sessions;
  assert.ok(one);
  for (const ups of [
    [true, false],
    [false, true],
  ]) {
    sessions = ups.map((up) => ({ ...one, up }));
    const [up, counted] = await samples();
    assert.deepEqual(
      [up, counted],
      ['metallb_bfd_session_up{peer="192.0.2.1"} 0', 'metallb_bfd_control_packet_input{peer="192.0.2.1"} 2'],
    );
  }
  sessions = [];
  assert.deepEqual(await samples(), ['ingot_bfd_packets_ignored_total{reason="ttl"} 8']);
});
