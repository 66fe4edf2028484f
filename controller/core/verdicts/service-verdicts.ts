import { type Allocation, poolsOf } from "#pkg/allocator";
import type { Millis } from "#pkg/clock";
import { PartOf } from "#pkg/core";
import type { Service } from "#pkg/k8s";
import { whyNotOurs } from "#pkg/service";
import { quote } from "#pkg/text";
import { type Dated, type Verdict, type VerdictDetails, verdict, worst } from "#pkg/verdict";
import type { Context } from "../context.ts";

interface LastDecision {
  /** Undefined while nothing is wrong. */
  readonly problem: Verdict | undefined;
  readonly since: Millis;
}

/**
 * The meaning of the controller's decisions for each Service, and since when. Decisions without a problem are not kept in words, because
 * most have none.
 */
export class ServiceVerdicts extends PartOf<Pick<Context, "now">> {
  private readonly entries = new Map<string, LastDecision>(); // key of a Service of type LoadBalancer -> the last decision

  /** @param isNew it holds something else than before */
  decided(key: string, service: Service | undefined, problem: Verdict | undefined, isNew: boolean): void {
    if (service?.type !== "LoadBalancer") {
      this.entries.delete(key);
      return;
    }
    const before = this.entries.get(key);
    const isSame =
      before !== undefined && !isNew && before.problem?.cause === problem?.cause && before.problem?.state === problem?.state;
    this.entries.set(key, { problem, since: isSame ? before.since : this.context.now });
  }

  /** The Service is decided on later. An earlier verdict holds until then. */
  waits(key: string, verdict: Verdict): void {
    if (!this.entries.has(key)) this.entries.set(key, { problem: verdict, since: this.context.now });
  }

  forget(key: string): void {
    this.entries.delete(key);
  }

  /** The fault of the Service, or a note; undefined for a Service with neither, for which no words are made. Parameters as of `of`. */
  problemOf(service: Service, allocation: Allocation | undefined, ofStatus: Dated<Millis> | undefined): Verdict | undefined {
    const { problem } = this.entries.get(service.key) ?? { problem: undecided };
    if (problem === undefined && ofStatus === undefined && allocation !== undefined && whyNotOurs(service) === undefined)
      return undefined;
    return this.of(service, allocation, ofStatus).verdict;
  }

  /** @param allocation what it holds @param ofStatus what is wrong with its status */
  of(service: Service, allocation: Allocation | undefined, ofStatus: Dated<Millis> | undefined): Dated<Millis> {
    const { problem, since } = this.entries.get(service.key) ?? { problem: undecided, since: this.context.now };
    const why = whyNotOurs(service);
    if (why !== undefined)
      return { verdict: verdict("service", why, why === "otherLoadBalancerClass" ? classWords(service) : {}), since };
    const decided: Dated<Millis> = { verdict: problem ?? assigned(allocation), since };
    return ofStatus === undefined ? decided : { ...worstOf(decided, ofStatus) };
  }
}

/** For a Service of another class. */
export function classWords({ otherClass }: Service): VerdictDetails & { readonly message: string } {
  if (otherClass === undefined)
    return { message: "the Service has no loadBalancerClass, and this controller serves only its own class" };
  return { message: `the loadBalancerClass of the Service is ${quote(otherClass)}, which this controller does not serve` };
}

const undecided = verdict("service", "undecided");

function worstOf(one: Dated<Millis>, other: Dated<Millis>): Dated<Millis> {
  return worst([one.verdict, other.verdict]) === one.verdict ? one : other;
}

function assigned(allocation: Allocation | undefined): Verdict {
  if (allocation === undefined) return undecided;
  const { addresses, pools } = allocation;
  const each = poolsOf(allocation).map(
    (pool) => `${addresses.filter((_, index) => pools[index] === pool).join(" and ")} of pool ${pool}`,
  );
  return verdict("service", "assigned", {
    message: `${each.join(" and ")} ${addresses.length === 1 ? "is" : "are"} assigned`,
    evidence: poolsOf(allocation).map((value) => ({ name: "pool", value, source: "allocator" })),
  });
}
