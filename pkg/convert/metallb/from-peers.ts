import { parseDuration } from "#pkg/clock";
import { type Family, isLinkLocal, parseAddress } from "#pkg/net";
import { quote } from "#pkg/text";
import { type ManifestObject, readSpec, refuse, title } from "../objects.ts";
import type { Report } from "../report.ts";
import { nodesOf, toConfigSelectors } from "../selectors.ts";
import { type Spec, schemas } from "./schemas.ts";

/** A BGPPeer as an entry of `peers`. */
export interface ConvertedPeer {
  readonly name: string;
  readonly object: ManifestObject;
  /** Undefined if no entry is possible: `peers` of advertisements then leave it out. */
  readonly entry: object | undefined;
  readonly bfdProfile: string | undefined;
  /** It is not known whether MetalLB sends routes of this family too: that depends on its release. */
  readonly uncertain: Family | undefined;
}

export function convertPeer(object: ManifestObject, report: Report): ConvertedPeer {
  const spec = readSpec(object, schemas.BGPPeer, report);
  const what = title(object);
  const none = { name: object.name, object, entry: undefined, bfdProfile: undefined, uncertain: undefined };
  const address = spec.peerAddress ? parseAddress(spec.peerAddress) : undefined;
  if (!spec.peerAddress && !spec.interface) {
    refuse(object, ["spec", "peerAddress"], "needs a peerAddress, or an interface");
    return none;
  }
  if (spec.peerAddress && address === undefined) {
    refuse(object, ["spec", "peerAddress"], `must be an IP address, but is ${quote(spec.peerAddress)}`);
    return none;
  }
  if (spec.peerAddress && spec.interface)
    refuse(object, ["spec", "interface"], "has an interface and a peerAddress; which one is meant?");
  if (address !== undefined && isLinkLocal(address)) {
    report.lose(
      object,
      `spec.peerAddress ${address}: a link-local address needs the router's interface, which MetalLB does not know; the peer is left out`,
      ["spec", "peerAddress"],
    );
    return none;
  }
  if (spec.peerASN && spec.dynamicASN !== undefined)
    refuse(object, ["spec", "dynamicASN"], "has peerASN and dynamicASN; which one is meant?");
  if (!spec.peerASN && spec.dynamicASN === undefined) refuse(object, ["spec"], "needs a peerASN or a dynamicASN");
  if (address === undefined && (spec.sourceAddress || spec.ebgpMultiHop))
    report.lose(
      object,
      "spec.sourceAddress and spec.ebgpMultiHop: the router on an interface is one hop away; they are left out",
      ["spec", "interface"],
    );
  const { families, uncertain } = familiesOf(spec, address?.family);
  const entry = {
    name: object.name,
    "my-asn": spec.localASN ?? spec.myASN,
    "peer-asn": spec.dynamicASN ?? spec.peerASN,
    ...(address === undefined ? { interface: spec.interface } : { "peer-address": spec.peerAddress }),
    ...(families.length < 2 && { families: families.map((family) => family.toLowerCase()) }),
    ...(spec.sourceAddress && address !== undefined && { "source-address": spec.sourceAddress }),
    ...(spec.peerPort && spec.peerPort !== 179 && { "peer-port": spec.peerPort }),
    ...times(object, spec, report),
    ...(spec.routerID && { "router-id": spec.routerID }),
    ...selected(spec),
    ...(spec.password && { password: spec.password }),
    ...secret(object, spec, report),
    ...(spec.bfdProfile && { "bfd-profile": spec.bfdProfile }),
    ...(spec.ebgpMultiHop && address !== undefined && { "ebgp-multihop": true }),
    ...(spec.enableGracefulRestart !== true && { "graceful-restart-time": "0s" }),
    ...disabled(object, spec, report),
  };
  if (spec.localASN !== undefined)
    report.note(`${what}: localASN ${spec.localASN} is my-asn here; myASN ${spec.myASN} is not needed.`);
  if (spec.enableGracefulRestart !== true)
    report.note(
      "Peers without enableGracefulRestart have graceful-restart-time: 0s. Without that line routers keep routes while a speaker restarts.",
    );
  report.origin(entry, [object]);
  return { name: object.name, object, entry, bfdProfile: spec.bfdProfile || undefined, uncertain };
}

/**
 * The families that MetalLB activates in the session. The API server fills in `dualStackAddressFamily` from 0.15 on, where only the
 * session's own family is active without it, and `disableMP` from 0.14.4 on, where both are; in a file that a person wrote neither may be.
 * @param own undefined for a session without addresses (unnumbered), where both always are
 */
function familiesOf({ dualStackAddressFamily, disableMP }: Spec<"BGPPeer">, own: Family | undefined) {
  const both: Family[] = ["IPv4", "IPv6"];
  if (dualStackAddressFamily === true || own === undefined) return { families: both, uncertain: undefined };
  if (dualStackAddressFamily === false || disableMP === true) return { families: [own], uncertain: undefined };
  if (disableMP === false) return { families: both, uncertain: undefined };
  return { families: [own], uncertain: both.find((family) => family !== own) };
}

function times(object: ManifestObject, { holdTime, keepaliveTime, connectTime }: Spec<"BGPPeer">, report: Report): object {
  const fields: Record<string, string> = {};
  const keepalive = keepaliveTime ? parseDuration(keepaliveTime) : undefined;
  if (holdTime) fields["hold-time"] = holdTime;
  else if (keepalive !== undefined && keepalive > 0) fields["hold-time"] = `${Math.floor((keepalive / 1e9) * 3)}s`;
  else report.note("Peers without holdTime have 90s. MetalLB offered 180s with FRR, 90s without.");
  if (keepaliveTime) fields["keepalive-time"] = keepaliveTime;
  const seconds = connectTime ? (parseDuration(connectTime) ?? Number.NaN) / 1e9 : undefined;
  if (seconds !== undefined && !(seconds >= 1))
    refuse(object, ["spec", "connectTime"], `must be a duration from 1s, but is ${quote(connectTime ?? "")}`);
  else if (seconds !== undefined) {
    fields["connect-time"] = `${Math.min(120, Math.ceil(seconds))}s`;
    if (seconds > 120)
      report.approximate(object, `spec.connectTime ${quote(connectTime ?? "")} is cut to 120s`, ["spec", "connectTime"]);
  }
  return fields;
}

function selected({ nodeSelectors }: Spec<"BGPPeer">): object {
  const selectors = toConfigSelectors(nodesOf(nodeSelectors));
  return selectors === undefined ? {} : { "node-selectors": selectors };
}

function secret(object: ManifestObject, { passwordSecret }: Spec<"BGPPeer">, report: Report): object {
  if (!passwordSecret?.name) return {};
  const { name, namespace = "" } = passwordSecret;
  if (namespace !== "" && namespace !== object.namespace && object.namespace !== "")
    report.lose(
      object,
      `spec.passwordSecret.namespace ${quote(namespace)}: only Secrets in the namespace of the peer itself are read`,
      ["spec", "passwordSecret", "namespace"],
    );
  report.note(
    `${title(object)}: Secret ${name} needs the label ingot-use=bgp-password, and the component bgp-passwords its name.`,
  );
  return { "password-secret": { name } };
}

function disabled(object: ManifestObject, { vrf }: Spec<"BGPPeer">, report: Report): object {
  if (!vrf) return {};
  report.lose(
    object,
    `spec.vrf ${quote(vrf)} is not supported: the peer is disabled, so that no session begins outside the VRF`,
    ["spec", "vrf"],
  );
  return { disabled: true };
}

export function convertBfdProfile(object: ManifestObject, report: Report): object {
  const spec = readSpec(object, schemas.BFDProfile, report);
  const names: Record<keyof Spec<"BFDProfile">, string> = {
    receiveInterval: "receive-interval",
    transmitInterval: "transmit-interval",
    detectMultiplier: "detect-multiplier",
    echoInterval: "echo-interval",
    echoMode: "echo-mode",
    passiveMode: "passive-mode",
    minimumTtl: "minimum-ttl",
  };
  const fields = Object.entries(names).flatMap(([field, name]) => {
    const value = spec[field as keyof Spec<"BFDProfile">];
    return value === undefined ? [] : [[name, value] as const];
  });
  const entry = { name: object.name, ...Object.fromEntries(fields) };
  report.origin(entry, [object]);
  return entry;
}
