import { list, maskControls } from "#pkg/text";
import type { ProbeAnswer } from "../cluster/answers.ts";
import { askService } from "../cluster/ask-services.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import { coloured } from "../cluster/output.ts";
import { askAll, eachOnce, type Processes, type Unreachable } from "../cluster/processes.ts";
import { readSubject } from "../cluster/subject.ts";
import type { Screen } from "../io.ts";

/** The answers of all speakers about one address. */
interface Probed {
  readonly address: string;
  readonly nodes: readonly ProbeAnswer[];
}

export const probe = clusterCommand({
  name: "probe",
  summary: "Try an address on the wire at once, from every other node of its subnet",
  usage: "SUBJECT",
  takes: "one or two",
  subjects: ["svc/"],
  completes: "all",
  isOnce: true,
  help: `SUBJECT is svc/NAME, svc/NAMESPACE/NAME or an IP address. Each node with an interface in the subnet of an address that another node
announces asks by ARP or neighbor discovery who has it, and, where a Service on it has a TCP port, sends a SYN to the one that answers. So it
tells silence, a duplicate, another host and a port that takes no connection apart. Addresses by BGP, and those of nodes that
announce them, cannot be tried from a node: its own kernel would answer.`,
  examples: ["ingotctl probe svc web -n shop", "ingotctl probe 192.0.2.1"],
  exits: "3 also means that something is wrong with an address, or that no node could try it.",
  async find({ processes, namespace, args, screen }) {
    const { addresses, unreachable, none } = await addressesOf(processes, args.join("/"), namespace);
    const probed: Probed[] = [];
    const silent: Unreachable[] = [...unreachable];
    // A speaker tries one at a time.
    for (const address of addresses) {
      const asked = await askAll<ProbeAnswer>(processes, `/v1/probe?address=${encodeURIComponent(address)}`, "speaker");
      probed.push({ address, nodes: asked.answers.map(({ body }) => body) });
      silent.push(...asked.unreachable);
    }
    const text = addresses.length === 0 ? `${maskControls(none)}\n` : probed.map((one) => paragraph(one, screen)).join("\n");
    const isWell = probed.every(({ nodes }) => nodes.some(({ tried }) => tried) && nodes.every(({ tried }) => !tried?.verdict));
    return {
      value: { addresses: probed },
      text,
      unreachable: eachOnce(silent),
      isMissing: addresses.length === 0,
      isLossy: !isWell,
    };
  },
});

async function addressesOf(processes: Processes, subject: string, namespace: string) {
  const about = readSubject(subject, namespace, "cannot probe");
  if (!about.includes("/")) return { addresses: [about], unreachable: [], none: "" };
  const { services, unreachable } = await askService(processes, about);
  const addresses = [...new Set(services.flatMap((one) => one.addresses.map((each) => each.address)))];
  return {
    addresses,
    unreachable,
    none: `no Service ${about} of type LoadBalancer with an address is known; see ingotctl explain`,
  };
}

function paragraph({ address, nodes }: Probed, screen: Screen): string {
  const lines = nodes.map((one) => `  ${maskControls(one.node)}: ${lineOf(one, screen)}\n`);
  const remedy = nodes.find(({ tried }) => tried?.verdict)?.tried?.verdict?.next;
  const isUntried = !nodes.some(({ tried }) => tried);
  const last = isUntried
    ? "  Nobody could try it: that takes a second node with an address in its subnet, and a pool of layer2 or on NICs.\n"
    : remedy
      ? `  ${maskControls(remedy)}\n`
      : "";
  return `${address}\n${lines.join("")}${last}`;
}

function lineOf({ tried, why }: ProbeAnswer, screen: Screen): string {
  if (tried === undefined) return maskControls(`not tried: ${why}`);
  const { interface: link, macs, port, connection, verdict } = tried;
  if (verdict !== null) return `${screen.hasColor ? coloured(verdict.state) : verdict.state}: ${maskControls(verdict.message)}`;
  const connected = port === null || connection === null ? "" : `; TCP port ${port} ${connection} a connection`;
  return maskControls(`answered by ${list(macs)} on ${link}${connected}`);
}
