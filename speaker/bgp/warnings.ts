import type { PeerView, Unsendable } from "#pkg/bgp";

/** What keeps one peer from hearing of this node's addresses, each in a sentence with what to do where that is known. */
export function bgpWarnings(key: string, waitsFor: string | undefined, view: PeerView | undefined): string[] {
  if (waitsFor !== undefined) return [`BGP session with ${key} waits: ${waitsFor}`];
  if (view === undefined) return [];
  if (view.state === "established") return view.unsendable.map((one) => `BGP session with ${key} cannot carry ${describe(one)}`);
  const why = view.lastFailure ?? view.lastDown;
  return why === undefined ? [] : [`BGP session with ${key} is not up: ${why.what}`];
}

function describe({ family, reason, prefixes }: Unsendable): string {
  const what = `${prefixes} ${family} prefix${prefixes === 1 ? "" : "es"}`;
  if (reason === "familyNotNegotiated")
    return `${what}: the router does not offer ${family} unicast; enable it there for this neighbour`;
  const field = family === "IPv4" ? "next-hop" : "next-hop-v6";
  return `${what}: the interface of the session has no ${family} address; give it one, or the advertisement a ${field}`;
}
