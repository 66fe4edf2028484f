import { styleText } from "node:util";
import { list, listOf, maskControls } from "#pkg/text";
import type { ProbeAnswer, ProbeAttempt } from "../cluster/answers.ts";
import { askService } from "../cluster/ask-services.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import { askAll, eachOnce, type Processes, type Unreachable } from "../cluster/processes.ts";
import { readSubject } from "../cluster/subject.ts";
import type { Screen } from "../io.ts";
import { type Conclusion, conclusionsOf, words } from "./conclusions.ts";

/** The answers of all speakers about one address. */
export interface Probed {
  readonly address: string;
  readonly nodes: readonly ProbeAnswer[];
  readonly conclusions: readonly Conclusion[];
}

export const probe = clusterCommand({
  name: "probe",
  summary: "Try an address on the wire at once, from other nodes, and tell what is in the way",
  usage: "SUBJECT",
  takes: "one or two",
  subjects: ["svc/"],
  completes: "svc/",
  isOnce: true,
  help: `SUBJECT is svc/NAME, svc/NAMESPACE/NAME or an IP address. On layer 2 and on NICs each node with an interface in the subnet asks by
ARP or neighbor discovery who has the address, and sends a SYN to a TCP port of a Service on it, and packets as large as the other end
takes. By BGP, and for routed addresses, a node beside each announcing node sends it that as a router would; central speakers name the nodes
that they lead to, which are tried in this way. The announcing nodes connect themselves, to the address and to some endpoints. So silence, a duplicate, a firewall, kube-proxy, endpoints and too large
packets are told apart. Routers themselves, and what is behind them, are not tried.`,
  examples: ["ingotctl probe svc web -n shop", "ingotctl probe 192.0.2.1"],
  exits: "3 also means that something is wrong with an address, or that no node could try it.",
  async find({ processes, namespace, args, screen }) {
    const { addresses, unreachable, none } = await addressesOf(processes, args.join("/"), namespace);
    const silent: Unreachable[] = [...unreachable];
    const probed: Probed[] = [];
    // A speaker tries one at a time.
    for (const address of addresses) {
      const asked = await probeAddress(processes, address);
      probed.push(asked.probed);
      silent.push(...asked.unreachable);
    }
    const text = addresses.length === 0 ? `${maskControls(none)}\n` : probed.map((one) => paragraph(one, screen)).join("\n");
    const isWell = probed.every(({ nodes, conclusions }) => nodes.some(isTried) && conclusions.length === 0);
    return {
      value: { addresses: probed },
      text,
      unreachable: eachOnce(silent),
      isMissing: addresses.length === 0,
      isLossy: !isWell,
    };
  },
});

export async function probeAddress(processes: Processes, address: string) {
  const path = `/v1/probe?address=${encodeURIComponent(address)}`;
  const { answers, unreachable } = await askAll<ProbeAnswer>(processes, path, "speaker");
  const nodes = answers.map(({ body }) => body);
  return { probed: { address, nodes, conclusions: conclusionsOf(address, nodes) }, unreachable };
}

async function addressesOf(processes: Processes, subject: string, namespace: string) {
  const about = readSubject(subject, namespace, "cannot probe");
  if (!about.includes("/")) {
    await askAll(processes, "/v1/node", "speaker"); // One that has answered has more time for what takes long.
    return { addresses: [about], unreachable: [], none: "" };
  }
  const { services, unreachable } = await askService(processes, about);
  const addresses = [...new Set(services.flatMap((one) => one.addresses.map((each) => each.address)))];
  return {
    addresses,
    unreachable,
    none: `no Service ${about} of type LoadBalancer with an address is known; see ingotctl explain`,
  };
}

const isTried = ({ attempts = [] }: ProbeAnswer) => attempts.some(({ why }) => why === undefined);

function paragraph({ address, nodes, conclusions }: Probed, screen: Screen): string {
  const led = new Set(nodes.flatMap(({ nextHops = [] }) => nextHops.flatMap(({ node }) => node ?? [])));
  const lines = nodes
    .flatMap((one) => linesOf(one, led.has(one.node) ? "is a next hop for it" : "announces it"))
    .map((line) => `  ${maskControls(line)}\n`);
  const red = (text: string) => (screen.hasColor ? styleText("red", text, { validateStream: false }) : text);
  const found = conclusions.map(({ what, found, fix }) => `${red(what)}: ${maskControls(found)}\n  -> ${maskControls(fix)}\n`);
  const untried =
    "Nobody could try it: that takes a second node on a link with one that announces it, and a working session by BGP.\n";
  return `${address}\n${lines.join("")}${found.join("")}${nodes.some(isTried) ? "" : untried}`;
}

/** @param role what a node is to the address that has it */
function linesOf({ node, why, attempts = [], own, isHere = false, nextHops = [] }: ProbeAnswer, role: string): string[] {
  if (nextHops.length > 0)
    return [
      `${node}: announces it by way of ${listOf(nextHops, (hop) => (hop.node == null ? hop.address : `${hop.node} (${hop.address})`))}`,
    ];
  if (why !== undefined) return [`${node}: not tried: ${why}`];
  const itself =
    own == null
      ? isHere
        ? [`${node}: ${role}${attempts.length === 0 ? ", and no Service on it has a TCP port that all may connect to" : ""}`]
        : []
      : [`${node}: ${role}; from there port ${own.port} ${words[own.connection]}${endpointsText(own)}`];
  return [...itself, ...attempts.map((attempt) => `${node}: ${attemptText(attempt)}`)];
}

function attemptText({
  owner,
  why,
  isRouted = false,
  interface: link,
  port,
  answeredBy = [],
  connection,
  largest,
}: ProbeAttempt): string {
  if (why !== undefined) return `not tried by way of ${owner}: ${why}`;
  const by = answeredBy.map(({ mac, node }) => (node == null ? mac : `${mac} (${node})`));
  const answered = isRouted
    ? `by way of ${owner} on ${link}${by.length === 0 ? ", which does not answer for its own address" : ""}`
    : `answered by ${by.length === 0 ? "nobody" : list(by)} on ${link}`;
  const connected = port == null || connection == null ? "" : `; TCP port ${port} ${words[connection]}`;
  const sized = largest == null ? "" : `; packets of ${largest.octets} octets ${largest.arrives ? "arrive" : "are lost"}`;
  return `${answered}${connected}${sized}`;
}

function endpointsText({ endpoints }: NonNullable<ProbeAnswer["own"]>): string {
  if (endpoints == null) return "; its endpoints cannot be read";
  if (endpoints.length === 0) return "; no endpoint is ready";
  return `; ${listOf(endpoints, ({ address, port, connection }) => `${address} port ${port} ${words[connection]}`)}`;
}
