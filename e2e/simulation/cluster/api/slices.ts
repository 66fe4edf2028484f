import type { JsonObject } from "#e2e/apiserver";
import { nameOf } from "#pkg/memberlist/testing";
import { type Family, families } from "#pkg/net";
import { elsewhere, type ServiceSpec } from "./objects.ts";

/** The slice that Services take from one another. */
export const movingSlice = "moving";
const maxNodes = 8;

/** Nodes with endpoints of one family, by what the endpoints do. */
interface Part {
  readonly ready: readonly number[];
  readonly draining: readonly number[];
  readonly idle: readonly number[];
}

/** All names that slices of a Service may have. */
export function sliceNames(service: string): readonly string[] {
  const nodes = Array.from({ length: maxNodes }, (_, node) => `-n${node}`);
  const ofFamilies = families.flatMap((family) =>
    ["", "-odd", "-again", `-n${elsewhere}`, ...nodes].map((end) => `${nameIn(service, family)}${end}`),
  );
  return [...ofFamilies, `${service}-names`, movingSlice];
}

/** The slices of a Service: name -> object. */
export function slicesOf(service: string, spec: ServiceSpec): ReadonlyMap<string, JsonObject> {
  const { endpoints, endpointsV6, draining = [], drainingV6 = [], idle = [], layout, port } = spec;
  const slices = new Map<string, JsonObject>();
  const add = (family: Family, name: string, part: Part) => slices.set(name, sliceObject(service, name, family, part, port));
  for (const family of families) {
    const ready = family === "IPv4" ? endpoints : endpointsV6;
    if (ready === undefined) continue;
    const all: Part = { ready, draining: family === "IPv4" ? draining : drainingV6, idle };
    const name = nameIn(service, family);
    const own = layout === "moving" && family === "IPv6" ? "odd" : layout;
    if (own === "odd" || own === "moving") {
      add(
        family,
        name,
        partOf(all, (node) => node % 2 === 0),
      );
      add(
        family,
        own === "odd" ? `${name}-odd` : movingSlice,
        partOf(all, (node) => node % 2 !== 0),
      );
    } else if (own === "byNode") {
      const nodes = new Set([...all.ready, ...all.draining, ...all.idle]);
      for (const node of nodes)
        add(
          family,
          `${name}-n${node}`,
          partOf(all, (other) => other === node),
        );
      if (nodes.size === 0) add(family, name, all);
    } else add(family, name, all);
    if (own === "twice") add(family, `${name}-again`, { ...all, draining: [], idle: [] });
  }
  if (layout === "besideNames") slices.set(`${service}-names`, ofNames(service));
  return slices;
}

function nameIn(service: string, family: Family): string {
  return family === "IPv4" ? service : `${service}-v6`;
}

function partOf({ ready, draining, idle }: Part, isIn: (node: number) => boolean): Part {
  return { ready: ready.filter(isIn), draining: draining.filter(isIn), idle: idle.filter(isIn) };
}

// Those of a ready endpoint may be absent; those of older API servers are fewer.
const readyConditions: readonly (JsonObject | undefined)[] = [
  { ready: true },
  { ready: true, serving: true, terminating: false },
  undefined,
  {},
];
const idleConditions: readonly JsonObject[] = [
  { ready: false },
  { ready: false, serving: false, terminating: true },
  { ready: false, serving: false, terminating: false },
];
const drainingConditions = { ready: false, serving: true, terminating: true };

/** @param choice by which the conditions of an endpoint stand in one way or another */
function sliceObject(service: string, name: string, family: Family, part: Part, choice: number): JsonObject {
  const addressOn = (node: number) => (family === "IPv4" ? `10.244.${node + 1}.2` : `fd00:244:${node + 1}::2`);
  const endpoint = (node: number, conditions: JsonObject | undefined) => ({
    addresses: [addressOn(node)],
    ...(node !== elsewhere && { nodeName: nameOf(node) }),
    ...(conditions && { conditions }),
  });
  const oneOf = <T>(all: readonly T[], node: number) => all[(node + 1 + choice) % all.length];
  return {
    metadata: { name, labels: { "kubernetes.io/service-name": service } },
    addressType: family,
    endpoints: [
      ...part.ready.map((node) => endpoint(node, oneOf(readyConditions, node))),
      ...part.draining.map((node) => endpoint(node, drainingConditions)),
      ...part.idle.map((node) => endpoint(node, oneOf(idleConditions, node))),
    ],
  };
}

/** The slice of a Service with a ready endpoint on each of these nodes. */
export function readySlice(service: string, nodes: readonly number[]): JsonObject {
  return sliceObject(service, service, "IPv4", { ready: nodes, draining: [], idle: [] }, 0);
}

function ofNames(service: string): JsonObject {
  return {
    metadata: { name: `${service}-names`, labels: { "kubernetes.io/service-name": service } },
    addressType: "FQDN",
    endpoints: [{ addresses: ["web.example.com"], nodeName: nameOf(0), conditions: { ready: true } }],
  };
}
