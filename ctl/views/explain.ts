import { parseAddress, parseRange } from "#pkg/net";
import { age, listOf, maskControls } from "#pkg/text";
import { type Fact, remedyFor, type VerdictAnswer } from "#pkg/verdict";
import {
  type ConfigurationAnswer,
  type ConflictsAnswer,
  type EndpointsOnNode,
  type Explained,
  type NodeAnswer,
  otherHostHasIt,
  type PoolAnswer,
  titleOf,
} from "../cluster/answers.ts";
import { askService, askServicesBriefly } from "../cluster/ask-services.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import type { MergedAddress } from "../cluster/merge.ts";
import { coloured } from "../cluster/output.ts";
import { asFarAsKnown, askAll, only, type Processes, type Unreachable } from "../cluster/processes.ts";
import { unknownSubject } from "../cluster/subject.ts";
import { withoutConsequences } from "../doctor/roots.ts";
import type { Screen } from "../io.ts";
import { hashOf } from "./lagging.ts";
import { askPeers, isPeer } from "./peers.ts";
import { askPools } from "./pools.ts";
import { relatedProblems } from "./related.ts";

export const explain = clusterCommand({
  name: "explain",
  summary: "State of a Service, address, node, peer, pool or the configuration, its reason, and the remedy",
  usage: "SUBJECT",
  takes: "one or two",
  subjects: ["svc/", "node/", "peer/", "pool/", "config"],
  completes: "all",
  help: `SUBJECT is one of these; a blank may stand for the first slash, as in "explain svc web -n shop":

  svc/NAME, svc/NAMESPACE/NAME   a Service, then each of its addresses
  ADDRESS                        an IP address: the Services that have it
  node/NAME                      a node, by its speaker
  peer/NAME                      a BGP peer by its name, address or key, as each node sees it
  pool/NAME                      a pool
  config                         the configuration, by the first process, and by each process with another verdict on it

With a Service come the problems of the nodes that announce it, of its pool and, by BGP, of their peers.`,
  examples: [
    "ingotctl explain svc web -n shop",
    "ingotctl explain 192.0.2.1",
    "ingotctl explain peer/tor-a",
    "ingotctl explain config",
  ],
  async find({ processes, namespace, args, screen, now }) {
    const { explained, unreachable, none, address } = await explainSubject(processes, args.join("/"), namespace);
    const text =
      explained.length === 0 ? `${maskControls(none)}\n` : explained.map((one) => paragraph(one, screen, now)).join("\n");
    const value = address === undefined ? { verdicts: explained } : { verdicts: explained, address };
    return { value, text, unreachable, isMissing: explained.length === 0 };
  },
});

/**
 * Asks for the verdicts on `svc/NAME`, an address, `node/NAME`, `peer/NAME` or `pool/NAME`.
 * @param namespace of a Service that is named without one
 * @throws {UsageError} for any other subject
 */
export async function explainSubject(processes: Processes, subject: string, namespace: string): Promise<Explanation> {
  const found = await explanationOf(processes, subject, namespace);
  return { ...found, explained: found.explained.map(withCommands) };
}

/** With remedies that are commands for the Service or node that it is about. */
function withCommands({ about, verdict }: Explained): Explained {
  const [, kind = "", key = ""] = /\b(Service|node) (\S+)$/i.exec(about) ?? [];
  return { about, verdict: { ...verdict, next: remedyFor(verdict, kind.toLowerCase(), key) } };
}

async function explanationOf(processes: Processes, subject: string, namespace: string): Promise<Explanation> {
  const [word = "", ...rest] = subject.split("/");
  const name = rest.join("/");
  const kind = name === "" ? undefined : (kinds[word] ?? word);
  if (kind === "svc") return explainService(processes, rest.length === 1 ? `${namespace}/${name}` : name);
  if (kind === "node") return explainNode(processes, name);
  if (kind === "peer") return explainPeer(processes, name);
  if (kind === "pool") return explainPool(processes, name);
  if (subject === "config") return explainConfiguration(processes);
  const address = parseAddress(subject);
  if (address === undefined)
    throw unknownSubject("cannot explain", subject, "svc/NAME, node/NAME, peer/NAME, pool/NAME or config");
  return explainAddress(processes, address.toString());
}

interface UnusedAddress {
  /** `foreign`: in no pool; `occupied`: another host has it; `avoided`: never given, because of avoid-buggy-ips; `closed`: its pool is; `unknown`: NetBox may have a record of it. */
  readonly is: "free" | "unknown" | "reserved" | "occupied" | "avoided" | "closed" | "slot" | "foreign";
  readonly pool: string | null;
}

/** All verdicts on one subject. */
export interface Explanation {
  readonly explained: readonly Explained[];
  readonly unreachable: readonly Unreachable[];
  /** The text if there are no verdicts. */
  readonly none: string;
  /** An address that no Service has, and why. */
  readonly address?: UnusedAddress;
  /** The endpoints of the Service, where a speaker says them. */
  readonly endpoints?: readonly EndpointsOnNode[] | undefined;
}

/** Words that kubectl would take: word -> the one that is documented. */
const kinds: Readonly<Record<string, string | undefined>> = {
  service: "svc",
  services: "svc",
  nodes: "node",
  no: "node",
  peers: "peer",
  pools: "pool",
};

async function explainService(processes: Processes, service: string): Promise<Explanation> {
  const { services, unreachable, undecided, endpoints, note } = await askService(processes, service);
  const explained = services.flatMap((one): Explained[] => {
    const several = one.addresses.length > 1;
    const each = one.addresses.map((each) => {
      const verdict = { ...each.verdict, next: remedyFor(each.verdict, "service", one.service) };
      return { about: `Address ${named(each, one.addresses)}`, verdict };
    });
    const verdict = undecided === undefined ? one.verdict : withoutController(one.verdict, undecided);
    const noted =
      note === undefined || note.cause === verdict.cause ? [] : [{ about: `Note on Service ${one.service}`, verdict: note }];
    return [{ about: `Service ${one.service}`, verdict }, ...(several ? each : []), ...noted];
  });
  const related = services.length === 0 ? [] : await relatedProblems(processes, services);
  return {
    explained: [...explained, ...related],
    unreachable,
    none: `there is no Service ${service} of type LoadBalancer${asFarAsKnown(unreachable)}`,
    endpoints,
  };
}

/** Speakers refer to the controller's verdict, which does not exist while no controller decides. */
function withoutController(verdict: VerdictAnswer, undecided: string): VerdictAnswer {
  const evidence = [...verdict.evidence, { name: "controller", value: undecided, source: "ingotctl" }];
  if (verdict.cause !== "noIPAllocated") return { ...verdict, evidence };
  const message = `no controller gives it an address: ${undecided}`;
  return {
    ...verdict,
    message,
    evidence,
    next: "get a controller to work, which assigns addresses: ingotctl doctor says what is wrong",
  };
}

/** With the protocol where it is announced by several. */
function named({ address, protocol }: MergedAddress, all: readonly MergedAddress[]): string {
  const isAlone = all.filter((other) => other.address === address).length === 1;
  return isAlone || protocol === null ? address : `${address} by ${protocol}`;
}

async function explainAddress(processes: Processes, address: string): Promise<Explanation> {
  const { services, unreachable } = await askServicesBriefly(processes);
  const keys = services.filter(({ addresses }) => addresses.some((one) => one.address === address)).map(({ service }) => service);
  const whole = await Promise.all(keys.map((service) => askService(processes, service)));
  const explained = whole.flatMap((asked) =>
    asked.services.flatMap(({ service, addresses }) =>
      addresses
        .filter((one) => one.address === address)
        .map((one, _, all) => ({ about: `Address ${named(one, all)} of Service ${service}`, verdict: one.verdict })),
    ),
  );
  const start = `no Service has the address ${address}${asFarAsKnown(unreachable)}`;
  if (explained.length > 0) return { explained, unreachable, none: start };
  const [{ pools }, conflicts] = await Promise.all([
    askPools(processes),
    askAll<ConflictsAnswer>(processes, "/v1/conflicts", "speaker"),
  ]);
  if (pools.length === 0) return { explained, unreachable, none: start };
  const { words, ...unused } = unusedAddress(
    address,
    pools,
    conflicts.answers.flatMap(({ body }) => body.occupied),
  );
  return { explained, unreachable, none: `${start}: ${words}`, address: unused };
}

/** @param occupied addresses of pools that other hosts have */
function unusedAddress(
  text: string,
  pools: readonly PoolAnswer[],
  occupied: ConflictsAnswer["occupied"],
): UnusedAddress & { readonly words: string } {
  const has = (ranges: readonly string[] = []) => ranges.some((range) => isIn(text, range));
  for (const { pool, slots = [] } of pools) {
    const slot = slots.find(({ address }) => address === text);
    if (slot !== undefined) return { is: "slot", pool, words: `it is a next-hop slot of pool ${pool}, and ${slot.node} has it` };
  }
  const found = pools.find(({ ranges }) => has(ranges));
  if (found === undefined) return { is: "foreign", pool: null, words: "it is in no pool, so that no Service gets it" };
  const { pool, reserved = [], avoidBuggyIPs = false, closed = false, netbox = false } = found;
  const other = occupied.find(({ address }) => address === text);
  if (other !== undefined) return { is: "occupied", pool, words: `it is in pool ${pool}, and ${otherHostHasIt(other)}` };
  if (closed) return { is: "closed", pool, words: `it is in pool ${pool}, which is closed, so that no Service gets it` };
  const kept = reserved.find(({ ranges }) => has(ranges));
  if (kept !== undefined) {
    const { service, namespace } = kept;
    const holder = service !== undefined ? `Service ${service}` : namespace !== undefined ? `namespace ${namespace}` : "nobody";
    return { is: "reserved", pool, words: `it is in pool ${pool}, and reserved for ${holder}` };
  }
  if (avoidBuggyIPs && /^\d+\.\d+\.\d+\.(0|255)$/.test(text))
    return { is: "avoided", pool, words: `it is in pool ${pool}, whose avoid-buggy-ips keeps it from all Services` };
  if (netbox) return { is: "unknown", pool, words: `it is in pool ${pool}, and free if NetBox has no record of it` };
  return { is: "free", pool, words: `it is in pool ${pool}, and free` };
}

/** @param range of a process, such as `192.0.2.1-192.0.2.9` */
function isIn(text: string, range: string): boolean {
  const [address, read] = [parseAddress(text), parseRange(range)];
  return address !== undefined && typeof read !== "string" && read.contains(address);
}

async function explainNode(processes: Processes, node: string): Promise<Explanation> {
  const own = only(processes, (target) => target.node === node);
  const { answers, unreachable } = await askAll<NodeAnswer>(own, "/v1/node", "speaker");
  const explained = answers.flatMap(({ body }) =>
    withoutConsequences(body.verdicts).map((verdict) => ({ about: `Node ${node}`, verdict })),
  );
  return { explained, unreachable, none: `no speaker answers for node ${node}` };
}

/** @param name as the configuration has it, or the peer's address with or without its port */
async function explainPeer(processes: Processes, name: string): Promise<Explanation> {
  const { peers, unreachable } = await askPeers(processes);
  const explained = peers
    .filter((one) => isPeer(one, name))
    .map((one) => {
      const title = titleOf({ name: one.peer, peerName: one.name });
      return { about: `Peer ${title} of node ${one.node}`, verdict: one.verdict };
    });
  return { explained, unreachable, none: `no node has a BGP peer ${name}${asFarAsKnown(unreachable)}` };
}

async function explainPool(processes: Processes, name: string): Promise<Explanation> {
  const { pools, unreachable } = await askPools(processes);
  const explained = pools.flatMap(({ pool, verdict, slots }) => {
    if (pool !== name) return [];
    const evidence = slots === undefined ? verdict.evidence : [...verdict.evidence, ownersOf(slots)];
    return [{ about: `Pool ${name}`, verdict: { ...verdict, evidence } }];
  });
  return { explained, unreachable, none: `there is no pool ${name}${asFarAsKnown(unreachable)}` };
}

/** How many next-hop slots each node has. */
function ownersOf(slots: NonNullable<PoolAnswer["slots"]>): Fact {
  const byNode = [...Map.groupBy(slots, ({ node }) => node)].toSorted(([a], [b]) => a.localeCompare(b, "en", { numeric: true }));
  return {
    name: "next-hop slots",
    value: listOf(byNode, ([node, own]) => `${node} ${own.length}`) || "none",
    source: "speakers",
  };
}

async function explainConfiguration(processes: Processes): Promise<Explanation> {
  const { answers, unreachable } = await askAll<ConfigurationAnswer>(processes, "/v1/configuration");
  const deciding = answers.filter(({ body }) => body.leader !== false); // One that stands by has decided nothing.
  const all = deciding.map(({ body }) => body);
  const distinct = Map.groupBy(deciding, ({ body }) => `${hashOf(body, all)} ${body.verdict.message}`);
  const explained = [...distinct.values()].flatMap((those): Explained[] => {
    const [first] = those;
    if (first === undefined) return [];
    const which = distinct.size === 1 ? "" : ` of ${those.map(({ target }) => target.pod).join(", ")}`;
    return [{ about: `Configuration${which}`, verdict: first.body.verdict }];
  });
  return { explained, unreachable, none: "no process answers" };
}

function paragraph({ about, verdict }: Explained, { hasColor }: Screen, now: Date): string {
  const { state, cause, message, evidence, since, next } = verdict;
  const shown = maskControls(state);
  const lines = [
    ` (${cause})${since === "" ? "" : ` for ${age(since, now)}`}`,
    `  ${message}`,
    ...(next === "" ? [] : [`  To do: ${next}`]),
    ...evidence.map(({ name, value, source }) => `  - ${name}: ${value} (${source})`),
  ];
  return `${maskControls(about)}: ${hasColor ? coloured(shown) : shown}${lines.map(maskControls).join("\n")}\n`;
}
