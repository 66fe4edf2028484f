import { remembered } from "#pkg/collections";
import { anyMatches, isIn, type LabelSelector, type NamespaceLabels, type NamespaceSet, type Pool } from "#pkg/config";
import { type AddressRequest, namespaceOf } from "#pkg/service";
import type { Scope } from "./layout.ts";
import type { Refusal } from "./types.ts";

export type Labels = Readonly<Record<string, string>>;

/** The Service that asks. */
export type Tenant = Pick<AddressRequest, "service" | "labels">;

// Tenants choose the labels of their Services, and with them how many answers there are to be remembered.
const maxRemembered = 10_000;

/** Why a Service is outside the pool's fence; undefined where it is not. */
export function fenceRefusal({ service, labels }: Tenant, { name, fence }: Pool, known: NamespaceLabels): Refusal | undefined {
  const namespace = namespaceOf(service);
  if (!isIn(fence, namespace, known)) return { reason: "notForNamespace", pool: name, namespace };
  if (fence.serviceSelectors.length === 0 || anyMatches(fence.serviceSelectors, labels)) return undefined;
  return { reason: "notForService", pool: name };
}

interface OpenTo {
  readonly scopes: readonly Scope[];
  /** Equal for equal scopes. */
  readonly text: string;
}

/**
 * The scopes that are open to a Service, without asking all their selectors each time: answers are remembered by namespace and by those
 * labels of the Service that some fence is about.
 */
export class OpenScopes {
  readonly #always: readonly number[]; // Indexes of scopes without namespaces.
  readonly #byName = new Map<string, number[]>(); // namespace -> indexes of scopes that name it
  readonly #bySelector: readonly number[];
  readonly #scopes: readonly Scope[];
  readonly #labels: NamespaceLabels;
  readonly #keys: readonly string[]; // Labels of Services that fences are about.
  readonly #remembered = new Map<string, OpenTo>();

  constructor(scopes: readonly Scope[], labels: NamespaceLabels) {
    this.#scopes = scopes;
    this.#labels = labels;
    const all = [...scopes.entries()];
    const where = (holds: (set: NamespaceSet) => boolean) => all.filter(([, { fence }]) => holds(fence)).map(([index]) => index);
    this.#always = where((set) => set.namespaces.length + set.namespaceSelectors.length === 0);
    this.#bySelector = where((set) => set.namespaceSelectors.length > 0);
    for (const [index, { fence }] of all)
      for (const name of fence.namespaces) {
        const before = this.#byName.get(name);
        if (before === undefined) this.#byName.set(name, [index]);
        else before.push(index);
      }
    this.#keys = [...new Set(scopes.flatMap(({ fence }) => fence.serviceSelectors.flatMap(keysOf)))];
  }

  /** By the pool of each that is tried first. */
  of(tenant: Tenant): readonly Scope[] {
    return this.#openTo(tenant).scopes;
  }

  /** Equal texts for Services to whom the same scopes are open. */
  textOf(tenant: Tenant): string {
    return this.#openTo(tenant).text;
  }

  /** Some namespace has other labels. */
  forget(): void {
    this.#remembered.clear();
  }

  #openTo(tenant: Tenant): OpenTo {
    const namespace = namespaceOf(tenant.service);
    const key =
      this.#keys.length === 0
        ? namespace
        : JSON.stringify([namespace, tenant.labels === undefined, ...this.#keys.map((key) => tenant.labels?.[key] ?? null)]);
    return remembered(this.#remembered, key, maxRemembered, () => {
      const scopes = this.#find(namespace, tenant.labels);
      return { scopes, text: scopes.map(({ from }) => from).join(" ") };
    });
  }

  #find(namespace: string, labels: Labels | undefined): Scope[] {
    const ofNamespace = this.#labels.get(namespace);
    const selected = this.#bySelector.filter((index) =>
      anyMatches((this.#scopes[index] as Scope).fence.namespaceSelectors, ofNamespace),
    );
    const indexes = new Set([...this.#always, ...(this.#byName.get(namespace) ?? []), ...selected]);
    const scopes = [...indexes].sort((a, b) => a - b).map((index) => this.#scopes[index] as Scope);
    return scopes.filter(({ fence }) => fence.serviceSelectors.length === 0 || anyMatches(fence.serviceSelectors, labels));
  }
}

function keysOf({ matchLabels, matchExpressions }: LabelSelector): string[] {
  return [...matchLabels.keys(), ...matchExpressions.map(({ key }) => key)];
}
