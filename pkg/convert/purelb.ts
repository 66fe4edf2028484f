import { AddressRange, parsePrefix, parseRange } from "#pkg/net";
import { quote } from "#pkg/text";
import { array, type Fitting, flag, object, text, textMap } from "./fields.ts";
import { type ManifestObject, ofOneNamespace, readSpec, refuse, title } from "./objects.ts";
import type { Report } from "./report.ts";

const rangeFields = { pool: text, subnet: text, aggregation: text } as const;
const range = object(rangeFields);
const ranges = object({
  ...rangeFields,
  v4pool: range,
  v6pool: range,
  v4pools: array(range),
  v6pools: array(range),
  multiPool: flag,
  balancePools: flag,
  skipIPv6DAD: flag,
});
type Range = Fitting<typeof range>;

/** ServiceGroup of `purelb.io`, v1 and v2. */
const serviceGroup = object({
  local: ranges,
  remote: ranges,
  external: textMap,
  netbox: object({ url: text, tenant: text, aggregation: text }),
});
type GroupSpec = Fitting<typeof serviceGroup>;

const nodeAgent = object({
  local: object({
    dummyInterface: text,
    extlbint: text,
    localInterface: text,
    localint: text,
    interfaces: array(text),
  }),
});

/** The pools that PureLB's ServiceGroups make, in the ConfigMap's grammar. */
export function fromPurelb(all: readonly ManifestObject[], namespace: string | undefined, report: Report): object {
  const { objects } = ofOneNamespace(all, namespace, report);
  for (const object of objects)
    if (object.kind === "LBNodeAgent")
      report.lose(title(object), "what nodes do with addresses is decided by pools here; only its interfaces are taken over");
    else if (object.kind !== "ServiceGroup") report.lose(title(object), "this kind is not known here");
  const agents = objects.filter(({ kind }) => kind === "LBNodeAgent");
  const interfaces = agentInterfaces(agents, report);
  const groups = objects.filter(({ kind }) => kind === "ServiceGroup");
  const pools = groups
    .flatMap((object) => pool(object, interfaces, report))
    .sort((a, b) => Number(b.name === "default") - Number(a.name === "default"));
  if (pools.length > 0)
    report.note(
      "Services with the annotation purelb.io/service-group ask for that pool with metallb.universe.tf/address-pool; purelb.io/addresses is metallb.universe.tf/loadBalancerIPs, purelb.io/allow-shared-ip is metallb.universe.tf/allow-shared-ip.",
    );
  const lbClass = groups.every(({ version }) => version === "v1") ? "purelb.io/purelb" : "purelb.io/purelbv2";
  if (pools.length > 0)
    report.note(`Services of the load balancer class ${lbClass} are served with --lb-class=${lbClass} (and --lb-class-default).`);
  return pools.length > 0 ? { "address-pools": pools } : {};
}

/** Settings of agents about interfaces, as fields of pools. */
interface AgentInterfaces {
  /** For addresses on NICs; empty where the subnet alone decides. */
  readonly nics: { readonly interfaces?: readonly string[] };
  /** For all other addresses; empty for the usual interface. */
  readonly dummy: { readonly "dummy-interface"?: string };
}

function agentInterfaces(agents: readonly ManifestObject[], report: Report): AgentInterfaces {
  const specs = agents.map((object) => ({ object, local: readSpec(object, nodeAgent, report).local ?? {} }));
  const first = (what: string, names: readonly string[]): string | undefined => {
    const [name, ...others] = new Set(names);
    if (others.length > 0) report.lose("LBNodeAgents", `name ${others.length + 1} ${what}: pools have ${quote(name ?? "")} here`);
    return name;
  };
  const dummy = first(
    "dummy interfaces",
    specs.flatMap(({ local }) => local.dummyInterface ?? local.extlbint ?? []),
  );
  const globs = specs.map(({ object, local: { localInterface, localint, interfaces = [] } }) => {
    const pattern = localInterface ?? localint ?? "default";
    if (pattern === "default") return []; // The NIC of the default route, beside `interfaces`: the subnet decides which here.
    if (/^[\w.-]+$/.test(pattern)) return [`*${pattern.replaceAll(".", "?")}*`, ...interfaces]; // PureLB looks for it anywhere in the name.
    report.lose(
      title(object),
      `spec.local.localInterface ${quote(pattern)}: it is no name; interfaces are chosen by subnet alone`,
    );
    return [];
  });
  return {
    nics: globs.every((names) => names.length > 0) && globs.length > 0 ? { interfaces: [...new Set(globs.flat())] } : {},
    dummy: dummy === undefined || dummy === "kube-lb0" ? {} : { "dummy-interface": dummy },
  };
}

function pool(object: ManifestObject, { nics, dummy }: AgentInterfaces, report: Report): { readonly name: string }[] {
  const spec = readSpec(object, serviceGroup, report);
  const what = title(object);
  const placing = (of: "local" | "remote" | "netbox", ranges: readonly Range[]) => {
    // The agents of v1 put each address where it belongs by its subnet; since v2 a group says it.
    const placement = of === "remote" ? "routed" : object.version === "v1" ? "auto" : "lan";
    return {
      protocol: "interface",
      ...(placement !== "routed" && { placement, ...nics }),
      ...(placement !== "lan" && { ...dummy, ...aggregation(what, ranges, report) }),
    };
  };
  const kinds = (["local", "remote", "external", "netbox"] as const).filter((kind) => spec[kind] !== undefined);
  const [kind, ...more] = kinds;
  if (kind === undefined || more.length > 0) {
    refuse(object, ["spec"], `needs one of local, remote, external and netbox, but has ${kinds.join(" and ") || "none"}`);
    return [];
  }
  if (kind === "external") {
    report.lose(what, "spec.external: no program is asked for addresses but NetBox, by its own API; the pool is left out");
    return [];
  }
  if (kind === "netbox") return [{ ...ofNetbox(object, spec.netbox ?? {}, report), ...placing("netbox", [spec.netbox ?? {}]) }];
  const given = spec[kind] ?? {};
  if (given.balancePools) report.lose(what, `spec.${kind}.balancePools: the lowest free address is taken here`);
  const every = [given, given.v4pool ?? [], given.v6pool ?? [], given.v4pools ?? [], given.v6pools ?? []].flat();
  const those = every.filter(({ pool }) => pool !== undefined);
  if (those.length === 0) refuse(object, ["spec", kind], "has no pool of addresses");
  return parts(object.name, those, given.multiPool === true, report).map(({ name, ranges }) => ({
    name,
    addresses: ranges.map(({ pool }) => pool),
    ...(name !== "default" && { "auto-assign": false }),
    ...placing(kind, ranges),
  }));
}

/** In a group with `multiPool` each range is a pool, with a range of the other family beside it: a Service names them all. */
function parts(name: string, all: readonly Range[], isMulti: boolean, report: Report) {
  const isV6 = ({ pool = "" }: Range) => pool.includes(":");
  const [v4, v6] = [all.filter((one) => !isV6(one)), all.filter(isV6)];
  const count = Math.max(v4.length, v6.length);
  if (!isMulti || count < 2) return [{ name, ranges: all }];
  const pools = Array.from({ length: count }, (_, index) => ({
    name: index === 0 ? name : `${name}-${index + 1}`,
    ranges: [v4[index], v6[index]].filter((range) => range !== undefined),
  }));
  const names = pools.map((pool) => pool.name).join();
  const what = `ServiceGroup ${quote(name)}`;
  report.note(
    `${what}: with metallb.universe.tf/address-pool: ${names} a Service gets an address of each range, or none at all.`,
  );
  if (name === "default")
    report.lose(what, `multiPool: without that annotation a Service gets addresses of pool ${quote(name)} alone`);
  return pools;
}

// An address of TEST-NET-1: NetBox, which chooses, has no such range, so that nobody gets it.
const unknownAddresses = "192.0.2.0/32";

/** PureLB takes any address that NetBox has reserved for the tenant; here a pool has addresses, of a prefix or range in NetBox. */
function ofNetbox({ name }: ManifestObject, { url, tenant }: NonNullable<GroupSpec["netbox"]>, report: Report) {
  const what = `ServiceGroup ${quote(name)}`;
  report.lose(
    what,
    `spec.netbox: it does not say which addresses there are: put a prefix or range that NetBox has in place of ${unknownAddresses}`,
  );
  report.note(
    `${what}: the token of PureLB's Secret netbox-client belongs into Secret netbox, with its url and a label: docs/netbox.md.`,
  );
  report.note(
    `${what}: NetBox needs the tag purelb, and its records of reserved addresses may go: records are made and deleted here.`,
  );
  return {
    name,
    addresses: [unknownAddresses],
    ...(name !== "default" && { "auto-assign": false }),
    netbox: { url, "token-secret": { name: "netbox" }, tags: ["purelb"], ...(tenant && { tenant }), mode: "allocate" },
  };
}

/** The prefix length of each address on the dummy interface, and so of its route: `/24`, or by default that of the subnet. */
function aggregation(what: string, ranges: readonly Range[], report: Report): object {
  const lengths = { "aggregation-length": new Set<number>(), "aggregation-length-v6": new Set<number>() };
  for (const { pool = "", subnet = "", aggregation = "default" } of ranges) {
    const length = Number((aggregation === "default" || aggregation === "" ? subnet : aggregation).split("/")[1]);
    lengths[pool.includes(":") ? "aggregation-length-v6" : "aggregation-length"].add(length);
  }
  const fields: Record<string, number> = {};
  for (const [field, found] of Object.entries(lengths)) {
    const [length, ...others] = found;
    if (others.length > 0)
      report.lose(what, `aggregation differs between its ranges: every address has a route of its own (${quote(field)})`);
    else if (length === undefined || !Number.isInteger(length) || length >= (field.endsWith("v6") ? 128 : 32)) continue;
    else if (ranges.some(({ pool = "" }) => pool.includes(":") === field.endsWith("v6") && isBeyond(pool, length)))
      report.lose(what, `aggregation /${length} is wider than a range of the pool: every address has a route of its own`);
    else fields[field] = length;
  }
  return fields;
}

/** Whether a prefix of this length around any address of the range has addresses outside of it. */
function isBeyond(text: string, length: number): boolean {
  const prefix = parsePrefix(text);
  const range = prefix === undefined ? parseRange(text) : AddressRange.ofPrefix(prefix);
  if (typeof range === "string") return false; // The configuration's reader says what is wrong.
  return length < Math.min(...range.toPrefixes().map((one) => one.length));
}
