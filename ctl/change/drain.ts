import { isCentral } from "#pkg/gossip";
import { drainLabel, isDrained } from "#pkg/placement";
import { maskControls, plural } from "#pkg/text";
import { fields, list, text } from "#pkg/untrusted";
import type { HandoversAnswer, NodeAnswer, SpeakerServices } from "../cluster/answers.ts";
import { askServicesBriefly } from "../cluster/ask-services.ts";
import { type CommandInput, type CommandResult, clusterCommand } from "../cluster/cluster-command.ts";
import { done, optional } from "../cluster/installation.ts";
import { table } from "../cluster/output.ts";
import { askAll, eachOnce, only, type Processes } from "../cluster/processes.ts";
import { type Options, readSeconds } from "../command.ts";

const everyMs = 2_000;
const whenCordoned = "when-cordoned";

const drainOptions = {
  wait: { help: "until the node can go" },
  timeout: { value: "SECONDS", help: "how long to wait; 660 by default, after which no connection is kept any more" },
} satisfies Options;

export const drain = clusterCommand({
  name: "drain",
  summary: "Move a node's addresses and routes to other nodes, and say when it can go",
  usage: "NODE",
  takes: 1,
  completes: "node",
  isOnce: true,
  needsApi: true,
  options: drainOptions,
  help: `Sets the label ${drainLabel} on the node. Other nodes take over its addresses; routers are asked to prefer other nodes, and then its
routes go. Addresses that no other node can have stay. It lists what the node announces and its open connections to addresses that went to other
nodes, as far as their pools keep connections. The node can go when neither is left. Pods are not touched: kubectl drain does that, before or after.

Besides the rights that all commands need it takes the right to get and patch the Node.`,
  examples: ["ingotctl drain node1", "ingotctl drain node1 --wait --timeout=120"],
  exits: "3 also means that the node cannot go yet.",
  async find(question, { wait, timeout }) {
    const { args, io } = question;
    const [node = ""] = args;
    const timeoutMs = readSeconds(timeout ?? "660");
    const found = await drainOf(question, node);
    if (found === undefined) return noNode(node);
    const had = found.label;
    if (had !== whenCordoned && (had === null || had === "false")) await setLabel(question, node, "");
    // People who end the program while it waits know what they leave.
    const state =
      had === whenCordoned
        ? `is drained while it is cordoned: kubectl cordon ${node}`
        : `is drained from now on: ingotctl uncordon ${node} takes it back`;
    if (wait === true) io.err(`${maskControls(`${node} ${state}`)}\n`);
    const end = io.now().getTime() + timeoutMs;
    for (let { processes } = question; ; processes = await question.again()) {
      const progress = await progressOf(processes, node, had === whenCordoned);
      if (progress.canGo || wait !== true || io.now().getTime() >= end)
        return { ...result(progress, question), unreachable: progress.unreachable };
      io.progress(`${progress.announced.length} addresses and ${progress.connections ?? "uncounted"} connections at ${node}`);
      await io.sleep(everyMs);
      const now = await drainOf(question, node).catch(() => ({ label: "" })); // The API server may be away for a moment.
      if (now === undefined) return noNode(node);
      if (now.label === null || now.label === "false")
        return {
          value: { node, canGo: false },
          text: `${maskControls(node)} is drained no more\n`,
          unreachable: [],
          isLossy: true,
        };
    }
  },
});

export const uncordon = clusterCommand({
  name: "uncordon",
  summary: "Take a drained node into use again",
  usage: "NODE",
  takes: 1,
  completes: "node",
  isOnce: true,
  needsApi: true,
  help: `Takes the label ${drainLabel} off the node: it may announce addresses and routes again. A label with the value ${whenCordoned} stays. "kubectl
uncordon" lets Pods come back.`,
  examples: ["ingotctl uncordon node1"],
  async find(question) {
    const [node = ""] = question.args;
    const found = await drainOf(question, node);
    if (found === undefined) return noNode(node);
    const isWaiting = found.label === whenCordoned;
    if (found.label !== null && !isWaiting) await setLabel(question, node, null);
    const next = isWaiting ? `is drained while it is cordoned: kubectl uncordon ${node}` : "may announce addresses";
    return { value: { node, drained: isWaiting && found.isDrained }, text: `${node} ${next}\n`, unreachable: [] };
  },
});

async function progressOf(all: Processes, node: string, isWaiting: boolean) {
  const own = only(all, (target) => target.node === node);
  const services = await askServicesBriefly(all);
  const led = await askLed(all, node);
  // Not before: a node that has an address does not count connections to it.
  const [handovers, facts] = await Promise.all([
    askAll<HandoversAnswer>(own, "/v1/handovers", "speaker"),
    askAll<NodeAnswer>(own, "/v1/node", "speaker"),
  ]);
  const announced = services.services.flatMap(({ service, addresses }) =>
    addresses.flatMap(({ address, protocol, nodes }) =>
      nodes.includes(node) ? [{ address, protocol: protocol ?? "", service }] : [],
    ),
  );
  announced.push(...led.announced);
  const [answer] = handovers.answers;
  const served = answer?.body.served ?? [];
  const isCounted = answer !== undefined && served.every(({ connections }) => connections !== null);
  // Undefined while they have not all been counted, or the node's speaker does not answer.
  const connections = isCounted ? served.reduce((sum, one) => sum + (one.connections ?? 0), 0) : undefined;
  const verdict = facts.answers[0]?.body.verdicts.find(({ cause }) => cause === "drained");
  const unseen = isWaiting
    ? `it is drained when it is cordoned: kubectl cordon ${node}`
    : "its speaker has not seen the label yet";
  const speakers = all.targets.filter(({ program }) => program === "speaker");
  const isLedOnly = led.isSaid && speakers.every((target) => isCentral(target.node)); // No connection is kept then.
  const routed = announced.some(({ protocol }) => protocol === "interface") ? "; those of pools with placement: routed stay" : "";
  const stays = announced.length > 0 ? verdict && `${verdict.message}${routed}` : undefined;
  const hasSpeaker = speakers.some((target) => target.node === node);
  const speaker = hasSpeaker ? "its speaker does not answer" : "it has no speaker";
  const unasked = isLedOnly ? undefined : `${speaker}, which alone knows whether connections go through it`;
  // Why it cannot go, where what it has does not say so.
  const obstacle = facts.answers.length === 0 ? unasked : verdict === undefined ? unseen : stays;
  const unreachable = eachOnce([...services.unreachable, ...handovers.unreachable, ...led.unreachable]);
  // A speaker that does not answer may announce what nobody else knows of; without one there is nothing to ask.
  const isKnown = unreachable.every(({ target }) => target.node !== node) && led.isKnown;
  const isLeft = announced.length === 0 && (isLedOnly || (verdict !== undefined && connections === 0));
  return { node, announced, served, connections, obstacle, canGo: isKnown && isLeft, unreachable };
}

/** The addresses for which central speakers lead routers to the node; all of them decide the same. */
async function askLed(all: Processes, node: string) {
  const central = only(all, (target) => isCentral(target.node));
  const path = `/v1/services?via=${encodeURIComponent(node)}&brief`;
  const { answers, unreachable } = await askAll<SpeakerServices>(central, path, "speaker");
  const asked = answers.filter(({ body }) => body.via === node);
  const rows = asked.flatMap(({ body }) =>
    body.services.flatMap(({ service, addresses }) =>
      addresses.map(({ address }) => ({ address, protocol: byCentral, service })),
    ),
  );
  const announced = [...new Map(rows.map((row) => [`${row.address} ${row.service}`, row])).values()];
  return { announced, unreachable, isKnown: answers.length > 0 || unreachable.length === 0, isSaid: asked.length > 0 };
}

const byCentral = "central speakers";

type Progress = Awaited<ReturnType<typeof progressOf>>;

function result(
  { node, announced, served, connections, obstacle, canGo }: Progress,
  { screen, now }: CommandInput,
): Omit<CommandResult, "unreachable"> {
  const rows = [
    ...announced.map(({ address, protocol, service }) => [address, `announced by ${protocol} for ${service}`]),
    ...served.map(({ address, connections, until }) => {
      const left = Math.max(0, Math.ceil((Date.parse(until) - now.getTime()) / 1000));
      const count = connections === null ? "connections are being counted" : plural(connections, "open connection");
      return [address, `${connections === null ? "" : `${connections} `}${count}, kept for ${left} s at most`];
    }),
  ].map((row) => row.map(maskControls));
  const list = rows.length === 0 ? "" : table([`AT ${maskControls(node)}`, ""], rows, screen);
  const name = maskControls(node);
  const why = obstacle === undefined ? "" : `: ${maskControls(obstacle)}`;
  const text = canGo
    ? `${name} can go: it announces nothing, and no kept connection goes through it\n`
    : `${list}${name} cannot go yet${why}\n`;
  return { value: { node, canGo, connections: connections ?? null, announced, served }, text, isLossy: !canGo };
}

function nodePath(node: string): string {
  return `/api/v1/nodes/${encodeURIComponent(node)}`;
}

/** Its label, null without it, and whether the node is drained by it; undefined where there is no such node. @throws {UsageError} */
async function drainOf(question: CommandInput, node: string): Promise<{ label: string | null; isDrained: boolean } | undefined> {
  const found = await optional((await question.api()).read(nodePath(node)), `Node ${node}`);
  if (found === undefined) return undefined;
  const { metadata, spec } = fields(found);
  const label = fields(fields(metadata).labels)[drainLabel];
  if (typeof label !== "string") return { label: null, isDrained: false };
  const taints = list(fields(spec).taints).map((taint) => text(fields(taint).key));
  return { label, isDrained: isDrained({ [drainLabel]: label }, taints) };
}

/** Changes this label alone. @throws {UsageError} */
async function setLabel(question: CommandInput, node: string, value: string | null): Promise<void> {
  const change = { metadata: { labels: { [drainLabel]: value } } };
  await done((await question.api()).write("PATCH", nodePath(node), change), `patch Node ${node}`);
}

function noNode(node: string): CommandResult {
  return { value: { node }, text: "", note: `there is no node ${node}`, unreachable: [], isMissing: true };
}
