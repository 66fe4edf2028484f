import assert from "node:assert/strict";
import type { ModelSettings } from "#pkg/bgp/testing";
import { type Peer, parseConfig } from "#pkg/config";
import { parseAddress } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { type NodePeer, nodePeers } from "#pkg/placement";
import type { FoundRouter } from "#pkg/router-discovery";
import type { PeerFields } from "./story.ts";

export const own = "192.0.2.1";
export const routerAddresses = ["192.0.2.2", "192.0.2.3"] as const;
export const ownCidrs = [`${own}/24`, "2001:db8::1/64"] as const;
const annotation = "example.com/tor";

const asns = "my-asn: 65001, peer-asn: 65002";
const texts = [
  "peer-address: 192.0.2.2",
  "interface: eth0",
  "peer-address: gateway, interface: eth0",
  `from-node: {peer-address: {annotation: ${annotation}}}`,
];
const base = parseConfig(`peers: [${texts.map((text) => `{${asns}, ${text}}`)}]\nbfd-profiles: [{name: fast}]`).config;
assert.ok(base);
export const { bfdProfiles } = base;
const [named, found, byGateway, fromNode] = base.peers as [Peer, Peer, Peer, Peer];

/** A router that an operator has just set up. */
export const routerDefaults: Omit<ModelSettings, "routerId"> = {
  asn: 65002,
  peerAsn: 65001,
  families: ["IPv4", "IPv6"],
  dials: true,
  holdTimeSeconds: 90,
  gracefulRestart: true,
  notification: false,
  longLived: false,
  addPath: false,
  routeRefresh: true,
  enhancedRouteRefresh: true,
  extendedMessage: true,
  fourOctetAsn: true,
  role: undefined,
  roleStrict: false,
  password: undefined,
  prefixLimit: 10_000,
  is: "up",
  waitAfterError: 10_000,
  bfd: false,
  isRestartOfConnection: false,
  delaysOpen: false,
  closesAfter: 0,
  another: "taken",
};

/** The interface towards a router. */
export const deviceOf = (router: number): string => `eth${router}`;

/** The peers of a story, by the configuration, the node's annotations and its links. */
export class StoryPeers {
  readonly #entries = new Map<number, PeerFields>(); // router -> its entry
  secret: string | undefined = "one";
  /** Router -> the value of the node's annotation; undefined while the node has none. */
  readonly annotations = routerAddresses.map((text): string | undefined => text);
  readonly hasRoute = routerAddresses.map(() => true);
  readonly isFound = routerAddresses.map(() => true);
  /** The node has its address. */
  hasAddress = true;

  get(router: number): PeerFields | undefined {
    return this.#entries.get(router);
  }

  set(router: number, fields: PeerFields): void {
    this.#entries.set(router, { ...this.#entries.get(router), ...fields });
  }

  delete(router: number): void {
    this.#entries.delete(router);
  }

  /** The settings of a session with the router; undefined while the configuration wants no session. */
  of(router: number): (Peer & PeerFields) | undefined {
    const fields = this.#entries.get(router);
    return fields !== undefined && this.#isReached(router, fields) ? { ...named, ...fields } : undefined;
  }

  passwordOf(router: number): string | undefined {
    const fields = this.#entries.get(router);
    return fields?.hasSecret ? this.secret : fields?.password;
  }

  /** The answer of router discovery. */
  on(device: string): FoundRouter {
    const router = routerAddresses.findIndex((_, index) => deviceOf(index) === device);
    const text = this.isFound[router] ? routerAddresses[router] : undefined;
    return { router: text === undefined ? { missing: "nobody was heard" } : address(text), others: [] };
  }

  nodePeers(): readonly NodePeer[] {
    return [...this.#entries].flatMap(([router, fields]) => {
      const around = {
        node: "node",
        annotations: { [annotation]: this.annotations[router] } as Record<string, string>,
        interfaces: routerAddresses.map((_, index) => deviceOf(index)),
        gateways: { IPv4: this.#gateways(), IPv6: [] },
      };
      if (this.annotations[router] === undefined) around.annotations = {};
      const meant = nodePeers(entriesOf(router, fields), {}, around);
      return meant.map(({ key, peer }) => ({ key, peer: { ...peer, ...settingsOf(fields, peer) } }));
    });
  }

  #gateways() {
    return routerAddresses.flatMap((text, index) => {
      return this.hasRoute[index] ? [{ address: address(text), interface: deviceOf(index), metric: 0 }] : [];
    });
  }

  #isReached(router: number, { reached, isTwice, source }: PeerFields): boolean {
    if (!this.hasAddress) return source !== "interface";
    if (isTwice || reached === undefined || reached === "named") return true;
    if (reached === "found") return this.isFound[router] === true;
    if (reached === "gateway") return this.hasRoute[router] === true;
    return this.annotations[router] === routerAddresses[router];
  }
}

/** As the configuration has them: one, or two that mean the same router. */
function entriesOf(router: number, { reached = "named", isTwice, source }: PeerFields): readonly Peer[] {
  const device = deviceOf(router);
  const from = {
    sourceAddress: source === "address" ? address(own) : undefined,
    sourceInterface: source === "interface" ? "eth0" : undefined,
  };
  const routerAddress = address(routerAddresses[router] ?? "");
  const byName: Peer = { ...named, address: routerAddress, ...(isTwice && { interface: device, name: otherName }) };
  const entries: Readonly<Record<typeof reached, Peer>> = {
    named: byName,
    found: { ...found, discovery: { by: "advertisements", interfaces: [device] } },
    gateway: { ...byGateway, discovery: { by: "gateway", families: ["IPv4"], hasBoth: false, interfaces: [device] } },
    node: { ...fromNode, fromNode: { values: new Map(), ...fromNode.fromNode, fields: rawFields(source) } },
  };
  const isFirst = isTwice === "first" || isTwice === "otherSourceFirst";
  const both = isFirst ? [byName, entries[reached]] : isTwice ? [entries[reached], byName] : [entries[reached]];
  return both.map((one) => ({ ...one, ...(!isTwice?.startsWith("otherSource") || one !== byName ? from : {}) }));
}

function rawFields(source: PeerFields["source"]): NonNullable<Peer["fromNode"]>["fields"] {
  const fields = fromNode.fromNode?.fields ?? {};
  if (source === undefined) return fields;
  return { ...fields, ...(source === "address" ? { "source-address": own } : { "source-interface": "eth0" }) };
}

/** The entry by its address, where another one means the router, too. */
const otherName = "other";

/** Everything but how the router is reached. */
function settingsOf(fields: PeerFields, { name, refusal }: Peer): Partial<Peer> {
  const { routerIdText, hasSecret, other, reached: _, isTwice: __, source: ___, ...settings } = fields;
  return {
    ...settings,
    ...(name === otherName && other),
    routerId: routerIdText === undefined ? undefined : parseAddress(routerIdText),
    passwordSecret: hasSecret && refusal === undefined ? { name: "s", key: "password" } : undefined,
    ...(hasSecret && { password: undefined }),
  } as Partial<Peer>;
}
