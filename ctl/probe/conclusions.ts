import { list, listOf } from "#pkg/text";
import type { ProbeAnswer, ProbeAttempt } from "../cluster/answers.ts";

/** The fault of an address, from all findings of nodes on the wire and on themselves. */
export interface Conclusion {
  readonly what: "silence" | "duplicate" | "firewall" | "kube-proxy" | "endpoint" | "packet size" | "not told apart";
  readonly found: string;
  /** The remedy. */
  readonly fix: string;
}

type Own = NonNullable<ProbeAnswer["own"]>;

/** Each once, however many nodes found it. */
export function conclusionsOf(address: string, answers: readonly ProbeAnswer[]): readonly Conclusion[] {
  const found = new Map<string, Conclusion>();
  for (const { node, attempts = [] } of answers)
    for (const attempt of attempts) {
      const own = answers.find((one) => one.node === attempt.owner)?.own ?? undefined;
      for (const one of [ofAttempt(address, node, attempt, own), ofSize(address, attempt), ofRefusingEndpoints(own)])
        if (one !== undefined && !found.has(`${one.what} ${attempt.owner}`)) found.set(`${one.what} ${attempt.owner}`, one);
    }
  return [...found.values()];
}

function ofAttempt(address: string, tester: string, { owner, port, connection, verdict }: ProbeAttempt, own: Own | undefined) {
  const conclusion = (what: Conclusion["what"], found: string, fix: string): Conclusion => ({ what, found, fix });
  if (verdict != null && verdict.cause !== "notConnected") {
    const what = verdict.cause === "notAnswered" ? "silence" : "duplicate";
    return conclusion(what, verdict.message, verdict.next);
  }
  if (connection !== "silent" && connection !== "refuses") return undefined;
  const fails = `TCP port ${port} of ${address} ${connection === "silent" ? "does not answer" : "refuses connections"} from ${tester} by way of ${owner}`;
  const endpoints = own?.endpoints ?? undefined;
  if (own !== undefined && endpoints?.length === 0)
    return conclusion("endpoint", `${fails}, and ${own.service} has no ready endpoint`, seePods(own));
  if (own !== undefined && endpoints !== undefined && !endpoints.some((one) => one.connection === "accepts"))
    return conclusion(
      "endpoint",
      `${fails}, and no endpoint that ${owner} tried accepts one: ${list(endpoints.map(textOf))}`,
      seePods(own),
    );
  if (own?.connection === "accepts")
    return conclusion(
      "firewall",
      `${fails}, and ${owner} itself connects there: what comes from outside is stopped`,
      `look for rules that drop or reject it: nft list ruleset, and ${address.includes(":") ? "ip6tables" : "iptables"}-save, on ${owner}; then on what is between${address.includes(":") ? "" : "; then sysctl net.ipv4.conf.all.rp_filter there"}`,
    );
  if (own !== undefined && endpoints !== undefined)
    return conclusion(
      "kube-proxy",
      `${fails}, nor does ${owner} itself connect there, and its endpoints accept connections (${listOf(endpoints, textOf)}): nothing on ${owner} forwards the address to them`,
      `see kube-proxy on ${owner}: kubectl -n kube-system get pods -o wide --field-selector spec.nodeName=${owner}`,
    );
  if (verdict == null) return undefined;
  const fix = `see kube-proxy on ${owner}, firewalls on the way there, and the Service's endpoints`;
  return conclusion("not told apart", verdict.message, fix);
}

function ofSize(address: string, { owner, interface: link, largest }: ProbeAttempt): Conclusion | undefined {
  if (largest == null || largest.arrives) return undefined;
  return {
    what: "packet size",
    found: `packets of ${largest.octets} octets for ${address} are lost on the way from ${link} by ${owner}, and small ones arrive: connections begin, and stall`,
    fix: `give all links on the way one MTU, that of the Pods' network less its headers, and let ICMP pass: ping -M do -s ${largest.octets - (address.includes(":") ? 48 : 28)} tries a path`,
  };
}

/** Clients meet one that refuses from time to time, also where others accept. One that is silent may heed a network policy. */
function ofRefusingEndpoints(own: Own | undefined): Conclusion | undefined {
  const endpoints = own?.endpoints ?? [];
  const refusing = endpoints.filter(({ connection }) => connection === "refuses");
  if (own === undefined || refusing.length === 0) return undefined;
  const found = `${listOf(refusing, textOf)}: what kube-proxy sends there for ${own.service} fails`;
  return { what: "endpoint", found, fix: seePods(own) };
}

function textOf({ address, port, node, connection }: NonNullable<Own["endpoints"]>[number]): string {
  const at = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  return `${at}${node == null ? "" : ` on ${node}`} ${words[connection]}`;
}

export const words = {
  accepts: "accepts",
  refuses: "refuses",
  unreachable: "cannot be reached",
  silent: "is silent",
} as const;

function seePods({ service }: Own): string {
  const [namespace = "", name = ""] = service.split("/");
  return `see that its Pods listen on the port (targetPort), and network policies: kubectl -n ${namespace} get endpointslices -l kubernetes.io/service-name=${name}`;
}
