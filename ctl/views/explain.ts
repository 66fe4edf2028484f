import { parseAddress } from "#pkg/net";
import { maskControls } from "#pkg/text";
import type { NodeAnswer, VerdictAnswer } from "../cluster/answers.ts";
import { askService, askServices } from "../cluster/ask-services.ts";
import { clusterCommand, type Found, type Question } from "../cluster/cluster-command.ts";
import { age, coloured } from "../cluster/output.ts";
import { askAll, type Unreachable } from "../cluster/processes.ts";
import { type Screen, UsageError } from "../command.ts";
import { askPeers } from "./peers.ts";
import { askPools } from "./pools.ts";

/** A verdict, and on what. */
interface Explained {
  readonly about: string;
  readonly verdict: VerdictAnswer;
}

export const explain = clusterCommand({
  name: "explain",
  summary: "What is the case with a Service, address, node, peer or pool, why, and what to do",
  usage: " SUBJECT",
  takes: 1,
  help: `SUBJECT is one of

  svc/NAME, svc/NAMESPACE/NAME   a Service, then each of its addresses
  ADDRESS                        an IP address: the Services that have it
  node/NAME                      a node, by its speaker
  peer/NAME                      a BGP peer by its address or key, as each node sees it
  pool/NAME                      a pool`,
  async find(question) {
    const [subject = ""] = question.args;
    const [kind, ...rest] = subject.split("/");
    const name = rest.join("/");
    if (kind === "svc" || kind === "service")
      return explainService(question, rest.length === 1 ? `${question.namespace}/${name}` : name);
    if (kind === "node") return explainNode(question, name);
    if (kind === "peer") return explainPeer(question, name);
    if (kind === "pool") return explainPool(question, name);
    const address = parseAddress(subject);
    if (address === undefined)
      throw new UsageError(
        `cannot explain ${JSON.stringify(subject)}: it is no IP address, nor svc/NAME, node/NAME, peer/NAME or pool/NAME`,
      );
    return explainAddress(question, address.toString());
  },
});

async function explainService(question: Question, service: string): Promise<Found> {
  const { services, unreachable } = await askService(question.processes, service);
  const explained = services.flatMap((one): Explained[] => {
    const several = one.addresses.length > 1;
    const each = one.addresses.map(({ address, verdict }) => ({ about: `Address ${address}`, verdict }));
    return [{ about: `Service ${one.service}`, verdict: one.verdict }, ...(several ? each : [])];
  });
  return found(question, explained, unreachable, `there is no Service ${service} of type LoadBalancer`);
}

async function explainAddress(question: Question, address: string): Promise<Found> {
  const { services, unreachable } = await askServices(question.processes);
  const keys = services.filter(({ addresses }) => addresses.some((one) => one.address === address)).map(({ service }) => service);
  const whole = await Promise.all(keys.map((service) => askService(question.processes, service)));
  const explained = whole.flatMap((asked) =>
    asked.services.flatMap(({ service, addresses }) =>
      addresses
        .filter((one) => one.address === address)
        .map(({ verdict }) => ({ about: `Address ${address} of Service ${service}`, verdict })),
    ),
  );
  return found(question, explained, unreachable, `no Service has the address ${address}`);
}

async function explainNode(question: Question, node: string): Promise<Found> {
  const { answers, unreachable } = await askAll<NodeAnswer>(question.processes, "/v1/node", "speaker");
  const those = answers.filter(({ body }) => body.node === node);
  const explained = those.flatMap(({ body }) => body.verdicts.map((verdict) => ({ about: `Node ${node}`, verdict })));
  const ofNode = unreachable.filter(({ target }) => target.node === node);
  return found(question, explained, ofNode, `no speaker answers for node ${node}`);
}

async function explainPeer(question: Question, name: string): Promise<Found> {
  const { peers, unreachable } = await askPeers(question.processes);
  const isIt = (key: string) => key === name || key.startsWith(`${name}:`) || key.startsWith(`[${name}]:`);
  const explained = peers
    .filter(({ peer }) => isIt(peer))
    .map(({ peer, node, verdict }) => ({ about: `Peer ${peer} of node ${node}`, verdict }));
  return found(question, explained, unreachable, `no node has a BGP peer ${name}`);
}

async function explainPool(question: Question, name: string): Promise<Found> {
  const { pools, unreachable } = await askPools(question.processes);
  const explained = pools.filter(({ pool }) => pool === name).map(({ verdict }) => ({ about: `Pool ${name}`, verdict }));
  return found(question, explained, unreachable, `there is no pool ${name}`);
}

function found(
  { screen, now }: Question,
  explained: readonly Explained[],
  unreachable: readonly Unreachable[],
  none: string,
): Found {
  const text =
    explained.length === 0 ? `${maskControls(none)}\n` : explained.map((one) => paragraph(one, screen, now)).join("\n");
  return { value: { verdicts: explained }, text, unreachable, isMissing: explained.length === 0 };
}

function paragraph({ about, verdict }: Explained, { hasColor }: Screen, now: Date): string {
  const { state, cause, message, evidence, next, since } = verdict;
  const lines = [
    `${maskControls(about)}: ${hasColor ? coloured(state) : maskControls(state)} (${maskControls(cause)}) for ${age(since, now)}`,
    `  ${maskControls(message)}`,
    ...(next === "" ? [] : [`  To do: ${maskControls(next)}`]),
    ...evidence.map(({ name, value, source }) => `  - ${maskControls(`${name}: ${value} (${source})`)}`),
  ];
  return `${lines.join("\n")}\n`;
}
