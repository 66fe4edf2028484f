/** The next hops that a kernel's route to an address had after each change, as `ip monitor route` says; "Deleted" where it went. */
export function routeChanges(lines: readonly string[], address: string): readonly string[] {
  const changes: { readonly route: string; readonly hops: string[] }[] = [];
  for (const line of lines) {
    const hop = /^\s+nexthop via (\S+)/.exec(line)?.[1];
    if (hop === undefined) changes.push({ route: line, hops: /via (\S+)/.exec(line)?.slice(1) ?? [] });
    else changes.at(-1)?.hops.push(hop);
  }
  const own = changes.filter(({ route }) => route.includes(`${address} `));
  return own.map(({ route, hops }) => (route.startsWith("Deleted") ? "Deleted" : hops.toSorted().join(" ")));
}
