import { maskControls } from "#pkg/text";
import { bird, birdOnce } from "./bird.ts";
import { gobgp, gobgpOnce } from "./gobgp.ts";
import { industryCli } from "./industry-cli.ts";
import { junos } from "./junos.ts";
import { mikrotik } from "./mikrotik.ts";
import { openbgpd } from "./openbgpd.ts";
import { passwordHere, type RouterSide, type RouterSides } from "./router-side.ts";
import { edgeos, vyos } from "./vyatta.ts";

interface Dialect {
  /** The configuration's place on the router. */
  readonly where: string;
  /** The beginning of a comment. */
  readonly comment: "#" | "!";
  /** Whether a session with such a router is tried by the tests. */
  readonly isTried: boolean;
  /** Whether it is written how the router takes several paths in one session, or the router does so by itself. */
  readonly hasAddPath: boolean;
  /** For how many hops at most `ttl-security` is written. */
  readonly maxTtlSecurity: number;
  /** How many paths to an address it takes at most, where its command line has a limit. */
  readonly maxPaths?: number;
  readonly lines: (side: RouterSide) => readonly string[];
  /** Lines that stand once, before those of all sides. */
  readonly once?: (sides: readonly RouterSide[]) => readonly string[];
}

const any = { maxTtlSecurity: 254 } as const;
const frr = { ...any, comment: "!", isTried: false, hasAddPath: true, maxPaths: 256, lines: industryCli("frr") } as const;
const set = { ...any, comment: "#", isTried: false, hasAddPath: false } as const;

/** The routers that a configuration can be written for. */
export const dialects = {
  frr: { ...frr, where: "/etc/frr/frr.conf, or vtysh after `configure terminal`", isTried: true },
  bird: {
    ...any,
    where: "bird.conf of BIRD 2",
    maxPaths: 255,
    comment: "#",
    isTried: true,
    hasAddPath: true,
    lines: bird,
    once: birdOnce,
  },
  openbgpd: { where: "bgpd.conf of OpenBGPD", comment: "#", isTried: true, hasAddPath: true, lines: openbgpd, maxTtlSecurity: 1 },
  gobgp: { ...any, where: "gobgpd's file of TOML", comment: "#", isTried: true, hasAddPath: true, lines: gobgp, once: gobgpOnce },
  openwrt: { ...frr, where: "/etc/frr/frr.conf of OpenWrt, whose packages are frr-bgpd, frr-zebra and frr-bfdd" },
  quagga: { ...frr, where: "bgpd.conf of Quagga", hasAddPath: false, maxPaths: 255, lines: industryCli("quagga") },
  vyos: { ...set, where: "VyOS 1.4 and later, after `configure`", hasAddPath: true, maxPaths: 256, lines: vyos },
  edgeos: { ...set, where: "EdgeOS, after `configure`", maxPaths: 255, lines: edgeos },
  unifi: { ...frr, where: "a UniFi gateway: upload it as a file in Routing, BGP" },
  mikrotik: { ...set, where: "a terminal of RouterOS 7", lines: mikrotik, maxTtlSecurity: 0 },
  opnsense: { ...frr, where: "OPNsense: enter it in Routing of the plugin os-frr, which writes such a file" },
  pfsense: { ...frr, where: "pfSense: Services, FRR, Global, Raw Config" },
  eos: { ...frr, where: "Arista EOS, after `configure`", hasAddPath: false, maxPaths: Infinity, lines: industryCli("eos") },
  ios: { ...frr, where: "Cisco IOS, after `configure terminal`", hasAddPath: false, maxPaths: 32, lines: industryCli("ios") },
  junos: { ...set, where: "Junos, after `configure`", lines: junos, maxTtlSecurity: 0 },
} as const satisfies Record<string, Dialect>;

export type DialectName = keyof typeof dialects;

/** The same, with what the router's configuration leaves out of it among the losses. */
export function writable(name: DialectName, found: RouterSides): RouterSides {
  const { hasAddPath, maxTtlSecurity, maxPaths = Infinity }: Dialect = dialects[name];
  const losses = found.sides.flatMap((side) => [
    ...(side.hasAddPath && !hasAddPath
      ? [`${side.label}: how the router takes several paths to an address in one session (add-path)`]
      : []),
    ...((side.ttlSecurityHops ?? 0) > maxTtlSecurity
      ? [`${side.label}: ttl-security: without it the nodes drop the router's packets`]
      : []),
    ...(side.paths > maxPaths ? [`${side.label}: ${side.paths} paths to an address, of which the router takes ${maxPaths}`] : []),
  ]);
  const sides = found.sides.map((side) => ({ ...side, paths: Math.min(side.paths, maxPaths) }));
  return { ...found, sides, losses: [...found.losses, ...losses] };
}

/** The configuration of the router, with comments on top that say what is to be changed in it. */
export function routerText(name: DialectName, { sides, losses, isCentral }: RouterSides): string {
  const dialect: Dialect = dialects[name];
  const { comment, isTried, where, lines, once } = dialect;
  const remarks = [
    `For ${where}.`,
    ...(isTried ? [] : ["Written by the vendor's documentation, and not run by Ingot's tests: read it before you use it."]),
    ...(sides.length > 1 ? ["Each part is for the router that its title names; --peer=NAME writes one alone."] : []),
    ...(isCentral
      ? ["Its neighbors are the nodes on which central speakers run now: let others to which these may move be neighbors, too."]
      : []),
    ...(sides.some(({ hasPassword }) => hasPassword) ? [`Put the session's password in the place of ${passwordHere}.`] : []),
    ...losses.map((loss) => `Left out: ${loss}.`),
  ];
  const all = [
    ...remarks.map((remark) => `${comment} ${remark}`),
    ...(once?.(sides) ?? []),
    ...sides.flatMap((side) => [`${comment}`, ...titles(side).map((title) => `${comment} ${title}`), ...lines(side)]),
  ];
  return `${all.map(maskControls).join("\n")}\n`;
}

function titles({ label, address, asn, port, nodes }: RouterSide): string[] {
  const count = nodes.length === 1 ? "1 node" : `${nodes.length} nodes`;
  const other = port === 179 ? [] : [`The nodes connect to port ${port}: the router has to listen there.`];
  return [`${label}: the router with ${address} in AS ${asn}, and ${count}`, ...other];
}
