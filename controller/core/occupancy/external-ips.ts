import { portText } from "#pkg/allocator";
import type { Millis } from "#pkg/clock";
import { PartOf } from "#pkg/core";
import type { Service } from "#pkg/k8s";
import { parseAddress } from "#pkg/net";
import { recordedAddresses } from "#pkg/service";
import { type Dated, sentence, verdict } from "#pkg/verdict";
import type { Context } from "../context.ts";

type Services = ReadonlyMap<string, Service>;

// Anybody may make thousands of Services that name an address, each with a thousand ports, and all are looked at for each Service on it.
const maxClaims = 100;
const maxClaimedPorts = 1_000;

/** Addresses that Services have among their `spec.externalIPs`. kube-proxy on each node sends their ports to Pods of these, whoever has the address. */
export class ExternalIPs extends PartOf<Context> {
  private readonly claims = new Map<string, Map<string, Millis>>(); // address -> Service that names it -> since when
  private readonly told = new Map<string, string>(); // Service -> what its last Event said

  /** A Service is another one than before, or gone. @returns the addresses that it names from now on, or did */
  changed(key: string, now: Service | undefined, before: Service | undefined): readonly string[] {
    if (now?.externalIPs === undefined && before?.externalIPs === undefined) return [];
    const [named, were] = [addressesOf(now), addressesOf(before)];
    for (const address of were.difference(named)) {
      const all = this.claims.get(address);
      all?.delete(key);
      if (all?.size === 0) this.claims.delete(address);
    }
    for (const address of named) {
      const all = this.claims.get(address) ?? new Map<string, Millis>();
      this.claims.set(address, all);
      if (!all.has(key) && all.size < maxClaims) all.set(key, this.context.now);
    }
    return [...named.union(were)];
  }

  /** The fault of a Service whose address and port another one names. */
  problemOf(service: Service, services: Services): Dated<Millis> | undefined {
    const { key, namespace, ports } = service;
    const claimed = recordedAddresses(service).filter((address) => this.claims.has(`${address}`));
    if (claimed.length === 0) return undefined;
    const own = new Set(ports.map(portText));
    let left = maxClaimedPorts;
    for (const address of claimed)
      for (const [other, since] of this.claims.get(`${address}`) ?? []) {
        const rival = other === key ? undefined : services.get(other);
        const looked = rival?.ports.slice(0, left) ?? [];
        left -= looked.length;
        const clash = looked.find((one) => own.has(portText(one)));
        if (rival === undefined || clash === undefined) continue;
        const who = rival.namespace === namespace ? `Service ${other}` : "a Service of another namespace";
        const details = {
          message: `${who} has ${address} among its spec.externalIPs: kube-proxy may send what comes to ${clash.protocol} port ${clash.port} there to the Pods of that one`,
          evidence: [{ name: "named by", value: other, source: "spec.externalIPs" }],
          next: `kubectl get services -A | grep ${address} names it: take the address out of its spec.externalIPs`,
        };
        return { verdict: verdict("service", "externalIPs", details), since };
      }
    return undefined;
  }

  /** Records an Event where a Service has another such fault than the last Event said, or has none any more. */
  tell(service: Service, services: Services): void {
    if (this.claims.size === 0 && this.told.size === 0) return;
    const message = this.problemOf(service, services)?.verdict;
    if (message === undefined) {
      if (this.told.delete(service.key))
        this.context.record(service, "Normal", "addressConflictEnded", "no other Service has its address and port any more");
    } else if (this.told.get(service.key) !== message.message) {
      this.told.set(service.key, message.message);
      this.context.record(service, "Warning", "addressClaimed", sentence(message));
    }
  }

  forget(key: string): void {
    this.told.delete(key);
  }
}

/** None of a headless Service or an ExternalName, which kube-proxy passes over. */
function addressesOf(service: Service | undefined): Set<string> {
  const named = service === undefined || service.clusterIPs.length === 0 ? [] : (service.externalIPs ?? []);
  return new Set(named.flatMap((text) => parseAddress(text)?.toString() ?? []));
}
