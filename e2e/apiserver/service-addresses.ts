import { Address, type Family, families, type Prefix, parseAddress } from "#pkg/net";
import { ApiError, duplicateValue, type FieldError, invalid, invalidValue } from "./api-error.ts";
import { asList, asNumber, asObject, asText, at, type JsonObject, without } from "./json.ts";
import { hasClusterIp, hasHealthCheckNodePort, hasNodePorts, serviceType } from "./kinds/service.ts";
import type { KubeObject } from "./objects.ts";
import { kindSubject, type Resource } from "./resource.ts";
import type { Change, Store } from "./store.ts";

export interface ServiceAddressesOptions {
  /** One or two prefixes of different families; the first one's family is the default of the cluster. */
  readonly clusterCidrs: readonly Prefix[];
  /** Node ports to give out: first and last. */
  readonly nodePorts: readonly [number, number];
}

/**
 * Gives Services their cluster addresses and node ports, lowest free one first, as the policy and the families in their spec ask.
 * The addresses in use are read from the store's changes, so that nothing is lost when a write fails or is only tried.
 */
export class ServiceAddresses {
  readonly #resource: Resource;
  readonly #options: ServiceAddressesOptions;
  readonly #addresses = new Set<string>(); // cluster addresses in use, as text
  readonly #nodePorts = new Set<string>(); // node ports in use, as `TCP/30000`
  readonly #next = new Map<string, bigint>(); // prefix or "nodePorts" -> where to look for a free one

  constructor(store: Store, resource: Resource, options: ServiceAddressesOptions) {
    this.#resource = resource;
    this.#options = options;
    store.listen(resource, (change) => this.#follow(change));
  }

  /** @throws {ApiError} 422 when what the Service asks for cannot be had, 500 when there is nothing left to give */
  assign(object: KubeObject, previous: KubeObject | undefined): KubeObject {
    let spec = asObject(object.spec);
    const own = { addresses: new Set(addressesOf(previous)), nodePorts: new Set(nodePortsOf(previous)) };
    if (hasClusterIp(object)) spec = this.#assignAddresses(object, spec, previous, own.addresses);
    else spec = without(spec, "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy");
    return { ...object, spec: this.#assignNodePorts(object, spec, own.nodePorts) };
  }

  #assignAddresses(object: KubeObject, spec: JsonObject, previous: KubeObject | undefined, own: Set<string>): JsonObject {
    const given = asList(spec.clusterIPs).map(asText);
    const primary = asText(spec.clusterIP);
    const wanted = primary === "" ? given : [primary, ...given.slice(1)];
    const policy = asText(spec.ipFamilyPolicy) || "SingleStack";
    const families = this.#families(object, asList(spec.ipFamilies).map(asText), wanted, policy, previous);
    const filled = { ...spec, ipFamilies: families, ipFamilyPolicy: policy };
    if (wanted[0] === "None") return { ...filled, clusterIP: "None", clusterIPs: ["None"] };

    const clusterIPs = families.map((family, index) => {
      const cidr = this.#cidr(family);
      const text = wanted[index];
      if (cidr === undefined)
        throw this.#invalid(object, invalidValue(`spec.ipFamilies[${index}]`, family, "not configured on this cluster"));
      if (text === undefined || text === "") return this.#freeAddress(cidr);
      const address = parseAddress(text);
      const field = `spec.clusterIPs[${index}]`;
      if (address === undefined)
        throw this.#invalid(object, invalidValue(field, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
      if (address.family !== family)
        throw this.#invalid(
          object,
          invalidValue(field, text, `expected an ${family} value as indicated by \`ipFamilies[${index}]\``),
        );
      const why = !cidr.contains(address)
        ? "the provided network does not match the current range"
        : this.#addresses.has(text) && !own.has(text)
          ? "provided IP is already allocated"
          : undefined;
      if (why !== undefined)
        throw this.#invalid(object, invalidValue("spec.clusterIPs", wanted, `failed to allocate IP ${text}: ${why}`));
      return text;
    });
    return { ...filled, clusterIP: clusterIPs[0], clusterIPs };
  }

  /** The families of the Service, in order: those it names, else those of its addresses, else the cluster's first. */
  #families(
    object: KubeObject,
    named: readonly string[],
    addresses: readonly string[],
    policy: string,
    previous: KubeObject | undefined,
  ): Family[] {
    const ofAddresses = addresses.flatMap((text) => parseAddress(text)?.family ?? []);
    const known: string[] = named.length > 0 ? [...named] : ofAddresses;
    const [first = this.#options.clusterCidrs[0]?.family ?? "IPv4", second] = known;
    for (const [index, family] of [first, ...(second === undefined ? [] : [second])].entries()) {
      if (!families.some((known) => known === family))
        throw this.#invalid(object, { ...invalidValue(`spec.ipFamilies[${index}]`, family, "must be IPv4 or IPv6") });
    }
    if (first === second) throw this.#invalid(object, duplicateValue("spec.ipFamilies[1]", second));
    if (policy === "SingleStack") {
      const wasDual = asList(at(previous, "spec", "ipFamilies")).length > 1;
      if (second !== undefined && !wasDual) {
        const why = "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified";
        throw this.#invalid(object, invalidValue("spec.ipFamilyPolicy", policy, why));
      }
      return [first as Family];
    }
    const other: Family = first === "IPv4" ? "IPv6" : "IPv4";
    if (this.#cidr(other) !== undefined) return [first as Family, other];
    if (policy === "PreferDualStack") return [first as Family];
    throw this.#invalid(
      object,
      invalidValue("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services"),
    );
  }

  #assignNodePorts(object: KubeObject, spec: JsonObject, own: Set<string>): JsonObject {
    const [first, last] = this.#options.nodePorts;
    const taken = new Set<string>(); // By this Service, in this write.
    const ports = asList(spec.ports).map((value, index) => {
      const port = asObject(value);
      const protocol = asText(port.protocol);
      const nodePort = asNumber(port.nodePort);
      if (nodePort === undefined) {
        if (!hasNodePorts(object)) return port;
        const free = this.#freeNodePort(protocol, taken);
        taken.add(`${protocol}/${free}`);
        return { ...port, nodePort: free };
      }
      const field = `spec.ports[${index}].nodePort`;
      const key = `${protocol}/${nodePort}`;
      const type = serviceType(object);
      if (type !== "NodePort" && type !== "LoadBalancer")
        throw this.#invalid(object, {
          reason: "FieldValueForbidden",
          field,
          message: "Forbidden: may not be used when `type` is 'ClusterIP'",
        });
      if (nodePort < first || nodePort > last) {
        const why = `provided port is not in the valid range. The range of valid ports is ${first}-${last}`;
        throw this.#invalid(object, invalidValue(field, nodePort, why));
      }
      if (this.#nodePorts.has(key) && !own.has(key))
        throw this.#invalid(object, invalidValue(field, nodePort, "provided port is already allocated"));
      taken.add(key);
      return port;
    });
    const result = spec.ports === undefined ? spec : { ...spec, ports };
    if (!hasHealthCheckNodePort(object)) return without(result, "healthCheckNodePort");
    return { ...result, healthCheckNodePort: asNumber(spec.healthCheckNodePort) ?? this.#freeNodePort("TCP", taken) };
  }

  #freeAddress(cidr: Prefix): string {
    const reserved = 10n; // The network's own address, and the low ones that people choose by hand.
    const size = cidr.size > 1n << 24n ? 1n << 24n : cidr.size;
    const start = this.#next.get(String(cidr)) ?? reserved;
    for (let step = 0n; step < size; step++) {
      const offset = (start + step) % size;
      const text = String(new Address(cidr.family, cidr.address.value + offset));
      if (offset < reserved || this.#addresses.has(text)) continue;
      this.#next.set(String(cidr), offset + 1n);
      return text;
    }
    throw new ApiError(500, "InternalError", `failed to allocate IP: range ${cidr} is full`);
  }

  #freeNodePort(protocol: string, taken: ReadonlySet<string>): number {
    const [first, last] = this.#options.nodePorts;
    const size = last - first + 1;
    const start = Number(this.#next.get("nodePorts") ?? 0n);
    for (let step = 0; step < size; step++) {
      const offset = (start + step) % size;
      const key = `${protocol}/${first + offset}`;
      if (this.#nodePorts.has(key) || taken.has(key)) continue;
      this.#next.set("nodePorts", BigInt(offset + 1));
      return first + offset;
    }
    throw new ApiError(500, "InternalError", "failed to allocate a nodePort: range is full");
  }

  #cidr(family: string): Prefix | undefined {
    return this.#options.clusterCidrs.find((cidr) => cidr.family === family);
  }

  #invalid(object: KubeObject, error: FieldError): ApiError {
    return invalid(kindSubject(this.#resource, object.metadata.name), [error]);
  }

  #follow({ type, entry, previous }: Change): void {
    for (const address of addressesOf(previous?.object)) this.#addresses.delete(address);
    for (const port of nodePortsOf(previous?.object)) this.#nodePorts.delete(port);
    if (type === "DELETED") return;
    for (const address of addressesOf(entry.object)) this.#addresses.add(address);
    for (const port of nodePortsOf(entry.object)) this.#nodePorts.add(port);
  }
}

function addressesOf(service: KubeObject | undefined): string[] {
  return asList(at(service, "spec", "clusterIPs")).map(asText);
}

function nodePortsOf(service: KubeObject | undefined): string[] {
  const ports = asList(at(service, "spec", "ports")).flatMap((port) => {
    const nodePort = at(port, "nodePort");
    return nodePort === undefined ? [] : [`${asText(at(port, "protocol"))}/${String(nodePort)}`];
  });
  const healthCheck = at(service, "spec", "healthCheckNodePort");
  return healthCheck === undefined ? ports : [...ports, `TCP/${String(healthCheck)}`];
}
