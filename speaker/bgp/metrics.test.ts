import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "#pkg/metrics";
import { registerBgp } from "./metrics.ts";
import type { BgpPeer } from "./peer.ts";
import { peerView } from "./testing/peer-view.ts";

const messages = { open: 1, update: 2, notification: 0, keepalive: 3, routeRefresh: 0 };

test("BGP has MetalLB's names and ours, one series a peer, and none for peers that are gone", async () => {
  const view = peerView({ state: "openSent", messagesSent: messages, prefixesReceived: 9, flaps: 4, holdTimerExpirations: 5 });
  const routes = { advertised: 6, wanted: 7, pending: 8, unsendable: () => [{ prefixes: 10 }, { prefixes: 1 }] };
  const peer = { key: "K", session: { established: false, describe: () => view }, routes } as unknown as BgpPeer;
  const waiting = { key: "W", session: undefined, routes: { ...routes, unsendable: () => [] } } as unknown as BgpPeer;
  let peers = [peer, waiting];
  const registry = new Registry();
  registerBgp(registry, {
    get peers() {
      return peers;
    },
  });
  const samples = async () => (await registry.metrics()).split("\n").filter((line) => /^[a-z].*"K"/.test(line));
  assert.deepEqual((await samples()).sort(), [
    'ingot_bgp_hold_timer_expirations_total{peer="K"} 5',
    'ingot_bgp_messages_received_total{peer="K",type="keepalive"} 0',
    'ingot_bgp_messages_received_total{peer="K",type="notification"} 0',
    'ingot_bgp_messages_received_total{peer="K",type="open"} 0',
    'ingot_bgp_messages_received_total{peer="K",type="routeRefresh"} 0',
    'ingot_bgp_messages_received_total{peer="K",type="update"} 0',
    'ingot_bgp_messages_sent_total{peer="K",type="keepalive"} 3',
    'ingot_bgp_messages_sent_total{peer="K",type="notification"} 0',
    'ingot_bgp_messages_sent_total{peer="K",type="open"} 1',
    'ingot_bgp_messages_sent_total{peer="K",type="routeRefresh"} 0',
    'ingot_bgp_messages_sent_total{peer="K",type="update"} 2',
    'ingot_bgp_received_prefixes{peer="K"} 9',
    'ingot_bgp_session_flaps_total{peer="K"} 4',
    'ingot_bgp_session_state{peer="K",state="active"} 0',
    'ingot_bgp_session_state{peer="K",state="connect"} 0',
    'ingot_bgp_session_state{peer="K",state="established"} 0',
    'ingot_bgp_session_state{peer="K",state="idle"} 0',
    'ingot_bgp_session_state{peer="K",state="openConfirm"} 0',
    'ingot_bgp_session_state{peer="K",state="openSent"} 1',
    'ingot_bgp_unsendable_prefixes{peer="K"} 11',
    'ingot_bgp_unsent_prefixes{peer="K"} 8',
    'metallb_bgp_announced_prefixes_total{peer="K"} 6',
    'metallb_bgp_keepalives_received{peer="K"} 0',
    'metallb_bgp_keepalives_sent{peer="K"} 3',
    'metallb_bgp_notifications_sent{peer="K"} 0',
    'metallb_bgp_opens_received{peer="K"} 0',
    'metallb_bgp_opens_sent{peer="K"} 1',
    'metallb_bgp_pending_prefixes_total{peer="K"} 7',
    'metallb_bgp_route_refresh_sent{peer="K"} 0',
    'metallb_bgp_session_up{peer="K"} 0',
    'metallb_bgp_total_received{peer="K"} 0',
    'metallb_bgp_total_sent{peer="K"} 6',
    'metallb_bgp_updates_total_received{peer="K"} 0',
    'metallb_bgp_updates_total{peer="K"} 2',
  ]);
  peers = [];
  assert.deepEqual(await samples(), []);
});

const labels: { name: string; keys: string[]; want: string[] }[] = [
  {
    name: "of an IPv6 peer has no brackets, as MetalLB with FRR writes it",
    keys: ["[fc00::151]:179", "[fe80::1%eth0]:179", "192.0.2.1:179"],
    want: ["fc00::151:179", "fe80::1%eth0:179", "192.0.2.1:179"],
  },
  {
    name: "is address and port, as MetalLB's, also of a peer with a source-address",
    keys: ["192.0.2.1:179 from 192.0.2.9", "[fc00::151]:179 from eth0"],
    want: ["192.0.2.1:179", "fc00::151:179"],
  },
  {
    name: "of each of two sessions with one router has its source",
    keys: ["192.0.2.1:179", "192.0.2.1:179 from 192.0.2.9"],
    want: ["192.0.2.1:179", "192.0.2.1:179 from 192.0.2.9"],
  },
];
for (const { name, keys, want } of labels)
  test(`the label ${name}`, async () => {
    const registry = new Registry();
    const session = { established: true, describe: () => peerView({}) };
    const routes = { advertised: 0, wanted: 0, pending: 0, unsendable: () => [] };
    registerBgp(registry, { peers: keys.map((key) => ({ key, session, routes }) as unknown as BgpPeer) });
    const found = [...(await registry.metrics()).matchAll(/peer="([^"]*)"/g)].map(([, label]) => label);
    assert.deepEqual(new Set(found), new Set(want));
  });
