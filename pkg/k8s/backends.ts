import { type Fields, fields, list, optionalText, text } from "#pkg/untrusted";

/** A ready endpoint of a Service, with the port that stands behind one of the Service's. */
export interface Backend {
  readonly address: string;
  readonly port: number;
  readonly node: string | undefined;
}

export interface BackendsWanted {
  /** Name of the Service's port; empty for a port without one. */
  readonly portName: string;
  readonly family: "IPv4" | "IPv6";
}

// A caller tries a few of them.
const maxBackends = 100;

/** The ready endpoints for TCP in a list of EndpointSlices, at most 100, those of other families left out. */
export function backendsOf(slices: Fields, { portName, family }: BackendsWanted): readonly Backend[] {
  const found: Backend[] = [];
  for (const slice of list(slices.items).map(fields)) {
    if (slice.addressType !== family) continue;
    const { port } =
      list(slice.ports)
        .map(fields)
        .find((one) => text(one.name) === portName && (text(one.protocol) || "TCP") === "TCP") ?? {};
    if (typeof port !== "number" || port < 1 || port > 65_535) continue;
    for (const { addresses, conditions, nodeName } of list(slice.endpoints).map(fields)) {
      const address = text(list(addresses)[0]);
      if (fields(conditions).ready === false || address === "") continue;
      found.push({ address, port, node: optionalText(nodeName) });
      if (found.length === maxBackends) return found;
    }
  }
  return found;
}
