import assert from "node:assert/strict";
import { SimulatedClock } from "#pkg/clock";
import { PoolIndex, parseConfig } from "#pkg/config";
import { GossipNode } from "#pkg/gossip/testing";
import type { EndpointSlice, Service } from "#pkg/k8s";
import { endpointSlice, service } from "#pkg/k8s/testing";
import type { InterfaceState } from "#pkg/layer2";
import { silentLog } from "#pkg/log";
import { address } from "#pkg/net/testing";
import { type BgpRoute, elect, excludeLabel, type Labels } from "#pkg/placement";
import type { Gossip } from "../members/members.ts";
import { Speaker } from "../speaker.ts";

export const nodes = ["node1", "node2", "node3"];
export const x = "192.0.2.1";
export const owner = elect(nodes, address(x)) ?? "";
export const loser = nodes.find((node) => node !== owner) ?? "";
export const ssd = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28], node-selectors: [{match-labels: {disk: ssd}}]}";
export const excluded: Labels = { [excludeLabel]: "" };

export function pools(text = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}", peers = "") {
  const { config, problems } = parseConfig(`{peers: [${peers}], address-pools: [${text}]}`);
  assert.ok(config, JSON.stringify(problems));
  return { config, pools: new PoolIndex(config.pools) };
}

/** A speaker, what it has on the wire, and what it told. */
export class Bench {
  readonly wire = new Map<string, string>(); // address -> the interfaces it is announced on
  readonly routes = new Map<string, string>(); // address -> its routes and the peers that hear of them
  readonly flushed: boolean[] = []; // Whether all had been placed, each time.
  readonly told: string[] = [];
  readonly firsts: string[] = []; // Addresses of which it was said that no node had announced them.
  active = nodes;
  gossip: Gossip | undefined;
  interfaces: readonly InterfaceState[] = [];
  readonly clock = new SimulatedClock();
  wakes = 0;
  readonly speaker: Speaker;
  readonly #slices = new Map<string, EndpointSlice>();

  constructor(node: string, ignoreExcludeLabel = false) {
    const say = (message: string, fields: object) => this.told.push(`${message} ${JSON.stringify(fields)}`);
    this.speaker = new Speaker({
      node,
      layer2: {
        announce: (address, { interfaces, isFirst }) => {
          this.wire.set(address.toString(), interfaces.join());
          if (isFirst) this.firsts.push(address.toString());
        },
        withdraw: (address) => this.wire.delete(address.toString()),
        reannounce: (address) => this.told.push(`announced again ${address}`),
      },
      bgp: {
        setRoutes: (address, routes) => this.#routes(address.toString(), routes),
        flush: (complete) => this.flushed.push(complete),
      },
      active: () => this.active,
      gossip: () => this.gossip,
      later: (delay, fn) => this.clock.schedule("later", this.clock.now() + delay, fn),
      interfaces: () => this.interfaces,
      ignoreExcludeLabel,
      log: {
        ...silentLog,
        info: (message, fields) => say(message, fields ?? {}),
        warn: (message, fields) => say(message, fields ?? {}),
      },
      wake: () => this.wakes++,
      announced: (service) => this.told.push(`nodeAssigned ${service.key}`),
      unannounced: (service, reason, message) => this.told.push(`${reason} ${service.key} ${message}`),
    });
  }

  /** In force, with one ready Service. */
  static announcing(node = owner, ignoreExcludeLabel = false): Bench {
    const bench = new Bench(node, ignoreExcludeLabel);
    bench.speaker.setConfig(pools());
    bench.serve("default/web", [x]);
    bench.speaker.start();
    bench.speaker.reconcile();
    bench.told.length = 0;
    return bench;
  }

  serve(key: string, ingress: string[], more: Partial<Service> = {}, ready: Record<string, boolean> = { node1: true }): void {
    this.speaker.setService(key, service(key, { ingress, ...more }));
    this.endpoints(key, ready);
  }

  endpoints(key: string, ready: Record<string, boolean>): void {
    const now = endpointSlice(key, ready);
    this.speaker.setEndpoints(now.key, now, this.#slices.get(now.key));
    this.#slices.set(now.key, now);
  }

  #routes(address: string, routes: readonly BgpRoute[]): void {
    if (routes.length === 0) this.routes.delete(address);
    else this.routes.set(address, routes.map(({ prefix, via }) => `${prefix} ${via.peers}`).join(", "));
  }

  get onWire(): string[] {
    return [...this.wire.keys()].sort();
  }
}

/** The speakers of all nodes but this one take part, and can answer on eth0. */
export function gossipOf(own: string, nodesWithoutGossip: readonly string[] = []) {
  const others = nodes.filter((node) => node !== own && !nodesWithoutGossip.includes(node)).map((node) => new GossipNode(node));
  const node = new GossipNode(own);
  const { state } = node;
  node.join(...others);
  const gossip: Gossip = { state, nodesWithoutGossip: () => nodesWithoutGossip, flush: () => {}, forget: () => {} };
  const hear = () => others.map((other) => node.merge(other.payload()));
  for (const other of others) {
    other.state.participate();
    other.state.setReachability({ answers: true, interfaces: new Map([["eth0", []]]) });
  }
  hear();
  return { gossip, others, hear };
}

export const eth0: InterfaceState = {
  index: 2,
  name: "eth0",
  mac: "02:00:00:00:00:01",
  status: "answering",
  running: true,
  addresses: [],
};

/** A speaker that takes part, with one Service. */
export function amongOthers(node: string, text: string) {
  const bench = new Bench(node);
  const ring = gossipOf(node);
  bench.gossip = ring.gossip;
  bench.interfaces = [eth0];
  bench.speaker.setConfig(pools(text));
  bench.serve("default/web", [x]);
  bench.speaker.start();
  bench.clock.advanceBy(1000);
  bench.speaker.reconcile();
  bench.speaker.reconcile();
  bench.told.length = 0;
  return { bench, ...ring };
}
