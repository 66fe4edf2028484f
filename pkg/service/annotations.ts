/** MetalLB's annotations on a Service, by the names that people know. Each is also read under `metallb.io/`, MetalLB's newer prefix. */
export const annotations = {
  pool: "metallb.universe.tf/address-pool",
  addresses: "metallb.universe.tf/loadBalancerIPs",
  sharing: "metallb.universe.tf/allow-shared-ip",
} as const;

/** Limit of a value: of a longer one no more is kept than shows that. Anybody may write 256 KiB. */
export const maxAnnotation = 1_024;

type Annotation = (typeof annotations)[keyof typeof annotations];

const newNames = new Map<Annotation, string>(); // name -> the same with the newer prefix
for (const name of Object.values(annotations)) newNames.set(name, name.replace("metallb.universe.tf/", "metallb.io/"));

/** Written by MetalLB since 0.13.9, with the newer prefix since 0.14.9: the pool that gave the addresses. Nobody asks for anything by them. */
export const poolAnnotations: readonly string[] = [
  "metallb.universe.tf/ip-allocated-from-pool",
  "metallb.io/ip-allocated-from-pool",
];

const known: ReadonlySet<string> = new Set([...newNames].flat());

/** All annotations of Services that are read. */
export const annotationNames: readonly string[] = [...known];

/** Whether a Service's annotation of this name is read at all. */
export function isAnnotation(name: string): boolean {
  return known.has(name);
}

/** The annotation's value, and the name under which it stands; of both names the newer one counts. */
export function readAnnotation(
  given: Readonly<Record<string, string>>,
  annotation: Annotation,
): { readonly name: string; readonly value: string } | undefined {
  for (const name of [newNames.get(annotation) ?? annotation, annotation]) {
    const value = given[name];
    if (value !== undefined) return { name, value };
  }
  return undefined;
}
