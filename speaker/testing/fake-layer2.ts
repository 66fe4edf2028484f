import type { AnnounceOptions, ProbeOptions } from "#pkg/layer2";
import type { Address } from "#pkg/net";

/** What `Layer2` was asked to do, a line for each call that is to be seen on the wire. */
export class FakeLayer2 {
  readonly lines: string[] = [];

  announce(address: Address, { interfaces = [] }: AnnounceOptions = {}): void {
    this.lines.push(`announce ${address}${interfaces.length > 0 ? ` on ${interfaces}` : ""}`);
  }

  listen(address: Address): void {
    this.lines.push(`listen ${address}`);
  }

  withdraw(address: Address): void {
    this.lines.push(`withdraw ${address}`);
  }

  reannounce(address?: Address): void {
    this.lines.push(`announce again ${address ?? "all"}`);
  }

  defend(address: Address): void {
    this.lines.push(`defend ${address}`);
  }

  probe(address: Address, { to = "all" }: ProbeOptions = {}): void {
    this.lines.push(`probe ${to} for ${address}`);
  }

  take(): string[] {
    return this.lines.splice(0);
  }
}
