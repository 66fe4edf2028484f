import { readFileSync } from "node:fs";
import { load, loadAll } from "js-yaml";
import type { ApiObject } from "./api-client.ts";

/** The one container of each of the project's workloads, as far as it says how to run the process. */
export interface Container {
  readonly name: string;
  /** Node, its flags, the program. */
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly EnvironmentVariable[];
  readonly securityContext?: SecurityContext;
}

interface SecurityContext {
  readonly runAsUser?: number;
  readonly readOnlyRootFilesystem?: boolean;
  readonly capabilities?: { readonly add?: readonly string[] };
}

interface EnvironmentVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly fieldRef?: { readonly fieldPath: string };
    readonly secretKeyRef?: { readonly name: string; readonly key: string };
  };
}

export interface PodTemplate {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
  readonly spec: {
    readonly serviceAccountName: string;
    readonly containers: readonly [Container];
    readonly securityContext?: SecurityContext;
  };
}

const parts = ["base", "components/bgp-passwords"];

/** All objects of `manifests/base` and of the component for BGP passwords, in the order in which they can be created. */
export function baseManifests(): readonly ApiObject[] {
  return parts.flatMap(manifestsOf);
}

/** The objects of a folder of `manifests`. */
export function manifestsOf(part: string): readonly ApiObject[] {
  const folder = new URL(`../../manifests/${part}/`, import.meta.url);
  const { resources } = load(readFileSync(new URL("kustomization.yaml", folder), "utf8")) as { resources: string[] };
  return resources.flatMap((file) => loadAll(readFileSync(new URL(file, folder), "utf8")) as ApiObject[]);
}

/** The Pod template of a Deployment or DaemonSet among them. */
export function podTemplate(manifests: readonly ApiObject[], kind: string, name: string): PodTemplate {
  const workload = manifests.find((object) => object.kind === kind && object.metadata.name === name);
  if (workload === undefined) throw new Error(`Cannot find ${kind} ${name}: it is not in manifests/base`);
  const { metadata, spec } = (workload.spec as { template: PodTemplate }).template;
  const [container] = spec.containers;
  // Settings that the container lacks come from the Pod.
  const securityContext = { ...spec.securityContext, ...container.securityContext };
  return { metadata, spec: { ...spec, containers: [{ ...container, securityContext }] } };
}

interface Changes {
  /** A variable of the container's environment that is left out. */
  readonly variable?: string;
  /** An argument that is left out. */
  readonly argument?: string;
  /** Arguments that come last, so that they win. */
  readonly more?: readonly string[];
}

/** The same with other environment and arguments of its container. */
export function changed(template: PodTemplate, { variable, argument, more = [] }: Changes): PodTemplate {
  const [container] = template.spec.containers;
  const env = (container.env ?? []).filter(({ name }) => name !== variable);
  const args = (container.args ?? []).filter((text) => text !== argument).concat(more);
  return { ...template, spec: { ...template.spec, containers: [{ ...container, env, args }] } };
}

/** Facts that a kubelet knows when it starts a container. */
export interface Surroundings {
  /** `metadata.namespace`, `spec.nodeName`, `status.hostIP`, … -> value */
  readonly fields: Readonly<Record<string, string>>;
  /** A key of a Secret of the Pod's namespace. @throws {Error} while it does not exist */
  readonly secret: (name: string, key: string) => Promise<string>;
}

/** The environment that a container asks for. */
export async function environment({ env = [] }: Container, { fields, secret }: Surroundings): Promise<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const { name, value, valueFrom } of env) {
    const { fieldRef, secretKeyRef } = valueFrom ?? {};
    if (fieldRef !== undefined) {
      const field = fields[fieldRef.fieldPath];
      if (field === undefined) throw new Error(`Cannot set ${name}: no value for ${fieldRef.fieldPath}`);
      values[name] = field;
    } else if (secretKeyRef !== undefined) values[name] = await secret(secretKeyRef.name, secretKeyRef.key);
    else values[name] = value ?? "";
  }
  return values;
}
