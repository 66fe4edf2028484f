import { parseAddress } from "#pkg/net";
import { age, maskControls } from "#pkg/text";
import type { VerdictAnswer } from "#pkg/verdict";
import { type ConfigurationAnswer, type Explained, type Explanation, type NodeAnswer, titleOf } from "../cluster/answers.ts";
import { askService, askServicesBriefly } from "../cluster/ask-services.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import type { MergedAddress } from "../cluster/merge.ts";
import { coloured } from "../cluster/output.ts";
import { asFarAsKnown, askAll, type Processes } from "../cluster/processes.ts";
import { UsageError } from "../command.ts";
import type { Screen } from "../io.ts";
import { askPeers } from "./peers.ts";
import { askPools } from "./pools.ts";
import { relatedProblems } from "./related.ts";

export const explain = clusterCommand({
  name: "explain",
  summary: "State of a Service, address, node, peer, pool or the configuration, its reason, and the remedy",
  usage: "SUBJECT",
  takes: 1,
  subjects: ["svc/", "node/", "peer/", "pool/", "config"],
  help: `SUBJECT is one of

  svc/NAME, svc/NAMESPACE/NAME   a Service, then each of its addresses
  ADDRESS                        an IP address: the Services that have it
  node/NAME                      a node, by its speaker
  peer/NAME                      a BGP peer by its name, address or key, as each node sees it
  pool/NAME                      a pool
  config                         the configuration, by the first process, and by each process with another verdict on it

With a Service come the problems of the nodes that announce it, of its pool and, by BGP, of their peers.`,
  async find({ processes, namespace, args: [subject = ""], screen, now }) {
    const { explained, unreachable, none } = await explainSubject(processes, subject, namespace);
    const text =
      explained.length === 0 ? `${maskControls(none)}\n` : explained.map((one) => paragraph(one, screen, now)).join("\n");
    return { value: { verdicts: explained }, text, unreachable, isMissing: explained.length === 0 };
  },
});

/**
 * Asks for the verdicts on `svc/NAME`, an address, `node/NAME`, `peer/NAME` or `pool/NAME`.
 * @param namespace of a Service that is named without one
 * @throws {UsageError} for any other subject
 */
export async function explainSubject(processes: Processes, subject: string, namespace: string): Promise<Explanation> {
  const [kind, ...rest] = subject.split("/");
  const name = rest.join("/");
  if (kind === "svc" || kind === "service") return explainService(processes, rest.length === 1 ? `${namespace}/${name}` : name);
  if (kind === "node") return explainNode(processes, name);
  if (kind === "peer") return explainPeer(processes, name);
  if (kind === "pool") return explainPool(processes, name);
  if (subject === "config") return explainConfiguration(processes);
  const address = parseAddress(subject);
  if (address === undefined)
    throw new UsageError(
      `cannot explain ${JSON.stringify(subject)}: it is no IP address, nor svc/NAME, node/NAME, peer/NAME, pool/NAME or config`,
    );
  return explainAddress(processes, address.toString());
}

async function explainService(processes: Processes, service: string): Promise<Explanation> {
  const { services, unreachable, undecided } = await askService(processes, service);
  const explained = services.flatMap((one): Explained[] => {
    const several = one.addresses.length > 1;
    const each = one.addresses.map((each) => ({ about: `Address ${named(each, one.addresses)}`, verdict: each.verdict }));
    const verdict = undecided === undefined ? one.verdict : withoutController(one.verdict, undecided);
    return [{ about: `Service ${one.service}`, verdict }, ...(several ? each : [])];
  });
  const related = services.length === 0 ? [] : await relatedProblems(processes, services);
  return {
    explained: [...explained, ...related],
    unreachable,
    none: `there is no Service ${service} of type LoadBalancer${asFarAsKnown(unreachable)}`,
  };
}

/** Speakers refer to the controller's verdict, which does not exist while no controller decides. */
function withoutController(verdict: VerdictAnswer, undecided: string): VerdictAnswer {
  const evidence = [...verdict.evidence, { name: "controller", value: undecided, source: "ingotctl" }];
  if (verdict.cause !== "noIPAllocated") return { ...verdict, evidence };
  return { ...verdict, evidence, next: "get a controller to work, which assigns addresses: ingotctl doctor says what is wrong" };
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
  return { explained, unreachable, none: `no Service has the address ${address}${asFarAsKnown(unreachable)}` };
}

async function explainNode(processes: Processes, node: string): Promise<Explanation> {
  const { answers, unreachable } = await askAll<NodeAnswer>(processes, "/v1/node", "speaker");
  const those = answers.filter(({ body }) => body.node === node);
  const explained = those.flatMap(({ body }) => body.verdicts.map((verdict) => ({ about: `Node ${node}`, verdict })));
  const ofNode = unreachable.filter(({ target }) => target.node === node);
  return { explained, unreachable: ofNode, none: `no speaker answers for node ${node}` };
}

/** @param name as the configuration has it, or the peer's address with or without its port */
async function explainPeer(processes: Processes, name: string): Promise<Explanation> {
  const { peers, unreachable } = await askPeers(processes);
  const isIt = (key: string) => key === name || key.startsWith(`${name}:`) || key.startsWith(`[${name}]:`);
  const explained = peers
    .filter((one) => one.name === name || isIt(one.peer))
    .map((one) => {
      const title = titleOf({ name: one.peer, peerName: one.name });
      return { about: `Peer ${title} of node ${one.node}`, verdict: one.verdict };
    });
  return { explained, unreachable, none: `no node has a BGP peer ${name}${asFarAsKnown(unreachable)}` };
}

async function explainPool(processes: Processes, name: string): Promise<Explanation> {
  const { pools, unreachable } = await askPools(processes);
  const explained = pools.filter(({ pool }) => pool === name).map(({ verdict }) => ({ about: `Pool ${name}`, verdict }));
  return { explained, unreachable, none: `there is no pool ${name}${asFarAsKnown(unreachable)}` };
}

async function explainConfiguration(processes: Processes): Promise<Explanation> {
  const { answers, unreachable } = await askAll<ConfigurationAnswer>(processes, "/v1/configuration");
  const deciding = answers.filter(({ body }) => body.leader !== false); // One that stands by has decided nothing.
  const distinct = Map.groupBy(deciding, ({ body: { hash, verdict } }) => `${hash} ${verdict.message}`);
  const explained = [...distinct.values()].flatMap((those): Explained[] => {
    const [first] = those;
    if (first === undefined) return [];
    const which = distinct.size === 1 ? "" : ` of ${those.map(({ target }) => target.pod).join(", ")}`;
    return [{ about: `Configuration${which}`, verdict: first.body.verdict }];
  });
  return { explained, unreachable, none: "no process answers" };
}

function paragraph({ about, verdict }: Explained, { hasColor }: Screen, now: Date): string {
  const { state, cause, message, evidence, next, since } = verdict;
  const shown = maskControls(state);
  const lines = [
    ` (${cause}) for ${age(since, now)}`,
    `  ${message}`,
    ...(next === "" ? [] : [`  To do: ${next}`]),
    ...evidence.map(({ name, value, source }) => `  - ${name}: ${value} (${source})`),
  ];
  return `${maskControls(about)}: ${hasColor ? coloured(shown) : shown}${lines.map(maskControls).join("\n")}\n`;
}
