import { isLinkLocal, parseAddress } from "#pkg/net";
import { quote } from "#pkg/text";
import { array, type Fitting, flag, integer, object, oneOf, text, textMap } from "./fields.ts";
import { type ManifestObject, readSpec, refuse, title } from "./objects.ts";
import type { Report } from "./report.ts";
import { labelSelector, nodesOf, toConfigSelectors } from "./selectors.ts";

const number = integer(0, 4294967295);
const port = integer(0, 65535);

/** Eip of `network.kubesphere.io/v1alpha2`. */
const eip = object(
  {
    address: text,
    protocol: oneOf("bgp", "layer2", "vip"),
    interface: text,
    disable: flag,
    priority: integer(),
    namespaces: array(text),
    namespaceSelector: textMap,
    usingKnownIPs: flag,
  },
  "address",
);

/** BgpPeer: GoBGP's own form. Fields that are not here are reported as lost. */
const bgpPeer = object({
  conf: object({
    peerAs: number,
    localAs: number,
    neighborAddress: text,
    neighborInterface: text,
    authPassword: text,
    adminDown: flag,
    vrf: text,
    description: text,
  }),
  timers: object({ config: object({ holdTime: text, keepaliveInterval: text, connectRetry: text }) }),
  transport: object({ passiveMode: flag, remotePort: port, localAddress: text }),
  ebgpMultihop: object({ enabled: flag, multihopTtl: integer(0, 255) }),
  gracefulRestart: object({ enabled: flag, restartTime: number }),
  afiSafis: array(object({ config: object({ family: object({ afi: text, safi: text }), enabled: flag }) })),
  nodeSelector: labelSelector,
});
type PeerSpec = Fitting<typeof bgpPeer>;

const bgpConf = object({ as: number, routerId: text, listenPort: integer(-1, 65535) }); // GoBGP does not listen at -1.

const effectiveConf = "default";
const defaultEip = "eip.openelb.kubesphere.io/is-default-eip";

/** The configuration that OpenELB's Eips, BgpPeers and BgpConf make, in the ConfigMap's grammar. */
export function fromOpenelb(objects: readonly ManifestObject[], report: Report): object {
  const of = (kind: string) => objects.filter((object) => object.kind === kind);
  for (const object of objects)
    if (!["Eip", "BgpPeer", "BgpConf"].includes(object.kind)) report.lose(title(object), "this kind is not known here");
  const confs = of("BgpConf").map((object) => ({ object, spec: readSpec(object, bgpConf, report) }));
  for (const { object } of confs)
    if (object.name !== effectiveConf)
      report.note(`${title(object)}: OpenELB reads the one that is named "${effectiveConf}" alone.`);
  const conf = confs.find(({ object }) => object.name === effectiveConf)?.spec;
  if (conf?.listenPort !== undefined && conf.listenPort > 0)
    report.note(
      `OpenELB takes routers' sessions at port ${conf.listenPort}: give the speakers --bgp-port=${conf.listenPort} for that.`,
    );
  const peers = of("BgpPeer").flatMap((object) => peer(object, conf ?? {}, report));
  const pools = of("Eip")
    .map((object) => ({ object, spec: readSpec(object, eip, report) }))
    .sort((a, b) => (a.spec.priority ?? 0) - (b.spec.priority ?? 0) || (a.object.name < b.object.name ? -1 : 1))
    .map(({ object, spec }) => pool(object, spec, report));
  if (pools.length > 0)
    report.note(
      "Services need no annotation here. Those with eip.openelb.kubesphere.io/v1alpha2 ask for that pool with metallb.universe.tf/address-pool; OpenELB's own annotations are not read.",
    );
  return { ...(peers.length > 0 && { peers }), ...(pools.length > 0 && { "address-pools": pools }) };
}

function pool(object: ManifestObject, spec: Partial<Fitting<typeof eip>>, report: Report): object {
  const what = title(object);
  const { namespaces = [], namespaceSelector = {}, protocol = "bgp", disable = false } = spec;
  const isBound = namespaces.length > 0 || Object.keys(namespaceSelector).length > 0;
  if (isBound)
    report.lose(
      what,
      "spec.namespaces, spec.namespaceSelector: pools do not prefer namespaces here; Services ask for it with the annotation metallb.universe.tf/address-pool",
    );
  if (protocol === "vip") report.lose(what, "spec.protocol vip: a speaker answers ARP and NDP here, without keepalived");
  const single = parseAddress(spec.address ?? "");
  const isDefault = object.annotations[defaultEip] === "true" && !isBound && !disable;
  return {
    name: object.name,
    protocol: protocol === "bgp" ? "bgp" : "layer2",
    addresses: [single === undefined ? (spec.address ?? "") : `${single}/${single.bits}`],
    ...(!isDefault && { "auto-assign": false }),
    ...(disable && { closed: true }),
    ...(protocol !== "bgp" && spec.interface && { interfaces: [spec.interface] }),
  };
}

function peer(object: ManifestObject, conf: { readonly as?: number; readonly routerId?: string }, report: Report): object[] {
  const spec = readSpec(object, bgpPeer, report);
  const what = title(object);
  const { peerAs, localAs = conf.as, neighborAddress = "", neighborInterface, authPassword, adminDown, vrf } = spec.conf ?? {};
  const address = parseAddress(neighborAddress);
  const isUnnumbered = neighborAddress === "" && neighborInterface !== undefined;
  if (!isUnnumbered && (address === undefined || isLinkLocal(address))) {
    refuse(
      object,
      ["spec", "conf", "neighborAddress"],
      `must be an IP address that is not link-local, but is ${quote(neighborAddress)}`,
    );
    return [];
  }
  if (!localAs) refuse(object, ["spec", "conf"], "needs localAs, or a BgpConf with as");
  if (!peerAs) refuse(object, ["spec", "conf"], "needs peerAs");
  if (vrf) report.lose(what, `spec.conf.vrf ${quote(vrf)} is not supported: the peer is disabled`);
  const { holdTime, keepaliveInterval, connectRetry } = spec.timers?.config ?? {};
  const selectors = toConfigSelectors(nodesOf(spec.nodeSelector && [spec.nodeSelector]));
  const families = familiesOf(spec.afiSafis);
  const { passiveMode, remotePort, localAddress } = spec.transport ?? {};
  if (connectRetry)
    report.lose(what, `spec.timers.config.connectRetry ${quote(connectRetry)}: the wait begins with 1 s and grows here`);
  if (passiveMode) report.note(`${what} is passive: give the speakers --bgp-port.`);
  return [
    {
      name: object.name,
      "my-asn": localAs,
      "peer-asn": peerAs,
      ...(isUnnumbered ? { interface: neighborInterface } : { "peer-address": neighborAddress }),
      ...(families.length === 1 && { families }),
      ...(remotePort && remotePort !== 179 && { "peer-port": remotePort }),
      ...(localAddress && { "source-address": localAddress }),
      ...(holdTime && { "hold-time": seconds(holdTime) }),
      ...(keepaliveInterval && { "keepalive-time": seconds(keepaliveInterval) }),
      ...(conf.routerId && { "router-id": conf.routerId }),
      ...(authPassword && { password: authPassword }),
      ...(selectors && { "node-selectors": selectors }),
      ...(spec.ebgpMultihop?.enabled && { "ebgp-multihop": true }),
      ...(spec.ebgpMultihop?.enabled && spec.ebgpMultihop.multihopTtl && { "ebgp-multihop-ttl": spec.ebgpMultihop.multihopTtl }),
      ...(passiveMode && { passive: true }),
      ...((adminDown || vrf) && { disabled: true }),
      ...restart(spec.gracefulRestart),
    },
  ];
}

/** GoBGP offers IPv4 alone where nothing is said. */
function familiesOf(afiSafis: PeerSpec["afiSafis"] = []): string[] {
  const named = afiSafis.map(({ config }) => config?.family?.afi ?? "AFI_IP");
  if (named.length === 0) return ["ipv4"];
  return [...(named.includes("AFI_IP") ? ["ipv4"] : []), ...(named.includes("AFI_IP6") ? ["ipv6"] : [])];
}

function restart({ enabled, restartTime }: PeerSpec["gracefulRestart"] = {}): object {
  if (!enabled) return { "graceful-restart-time": "0s" };
  return restartTime ? { "graceful-restart-time": `${restartTime}s` } : {};
}

/** GoBGP's times are numbers of seconds, as text. */
function seconds(time: string): string {
  return /^\d+$/.test(time) ? `${time}s` : time;
}
