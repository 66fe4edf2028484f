import { randomBytes } from "node:crypto";
import { type ApiClient, ApiRefusal, type Reference } from "#e2e/demo-cluster";
import { controllerLease } from "#pkg/k8s";
import { statusConfigMap, summaryConfigMap } from "#pkg/live-config";
import { quarantineConfigMap } from "#pkg/quarantine";
import { editObjects, objectEdits } from "../scenarios/harmless-edits.ts";
import type { What } from "./acts.ts";
import { fromPool, namespace, persistently, poolSize, type Target, type TargetNode, type Undo } from "./targets/target.ts";

const ringPort = 7946;
const apiPort = 6443;
const lease: Reference = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: { namespace, name: controllerLease } };
const ownConfigMaps = [statusConfigMap, summaryConfigMap, quarantineConfigMap].map((name): Reference => {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name } };
});
let made = 0;

/** Does it. @returns how to undo it */
export async function carryOut(target: Target, what: What): Promise<Undo> {
  const { lan, controlPlane, router } = target;
  switch (what.type) {
    case "isolate": {
      const node = nodeOf(target, what.node);
      await lan.isolate(node);
      return () => lan.rejoin(node);
    }
    case "unplug": {
      const node = nodeOf(target, what.node);
      await lan.unplug(node);
      return () => lan.plug(node);
    }
    case "impair": {
      const node = nodeOf(target, what.node);
      await lan.impair(node, what.impairment);
      return () => lan.repair(node);
    }
    case "isolateControlPlane":
      await lan.isolate(controlPlane);
      return () => lan.rejoin(controlPlane);
    case "cutApi":
      return withoutApi(nodeOf(target, what.node).run);
    case "cutPair":
      return cutOneWay(target, [what.node, what.other], [what.node, what.other]);
    case "cutOneWay":
      return cutOneWay(target, what.from, what.to);
    case "lose":
      return filtered(nodeOf(target, what.node).run, "input", [
        `udp dport ${ringPort} numgen random mod 100 < ${what.percent} drop`,
      ]);
    case "killRouter":
      await router.kill();
      return () => router.start();
    case "freezeRouter":
      router.freeze();
      return () => router.thaw();
    case "refusedConfiguration":
      return configured(target, "address-pools: [");
    case "otherConfiguration":
      return configured(target, target.configuration("- {name: more, protocol: layer2, addresses: [172.30.0.220/30]}\n"));
    case "moreServices":
      return exposed(
        target,
        Array.from({ length: 3 }, () => undefined),
      );
    case "fillPool":
      return exposed(
        target,
        Array.from({ length: poolSize }, () => fromPool("lan")),
      );
    case "rotateKey":
      await rotateKey(target.api);
      return () => {};
    case "deleteLease":
      return deleted(target.api, [lease]);
    case "deleteState":
      return deleted(target.api, ownConfigMaps);
    case "edit":
      return edited(target, what.edit);
    default:
      return target.carryOut(what);
  }
}

async function cutOneWay(target: Target, from: readonly number[], to: readonly number[]): Promise<Undo> {
  const undos: Undo[] = [];
  for (const one of from) {
    const others = to.filter((node) => node !== one).map((node) => nodeOf(target, node));
    const rules = others.flatMap(({ addresses: [v4, v6] }) => [`ip daddr ${v4} drop`, `ip6 daddr ${v6} drop`]);
    undos.push(await filtered(nodeOf(target, one).run, "output", rules));
  }
  return async () => {
    for (const undo of undos) await undo();
  };
}

function nodeOf({ nodes }: Target, index: number): TargetNode {
  const node = nodes[index];
  if (node === undefined) throw new RangeError(`Cannot find node ${index}: there are ${nodes.length}`);
  return node;
}

/** @param run runs a command in the network of the process that is to be without */
export function withoutApi(run: TargetNode["run"]): Promise<Undo> {
  return filtered(run, "output", [`tcp dport ${apiPort} drop`]);
}

async function filtered(run: TargetNode["run"], hook: "input" | "output", rules: readonly string[]): Promise<Undo> {
  const table = `chaos${++made}`;
  const chain = `chain ${hook} { type filter hook ${hook} priority 0; ${rules.join("; ")}; }`;
  await run(["nft", "-f", "-"], { input: `table inet ${table} {\n${chain}\n}\n` });
  return async () => void (await run(["nft", "delete", "table", "inet", table]));
}

async function exposed(target: Target, each: readonly Parameters<Target["expose"]>[1][]): Promise<Undo> {
  const services = await Promise.all(
    each.map((options) => {
      const name = `more${++made}`;
      return persistently(`to make ${name}`, () => target.expose(name, options));
    }),
  );
  return async () => {
    for (const service of services) await persistently("to delete a Service", () => service.delete());
  };
}

async function configured(target: Target, text: string): Promise<Undo> {
  await configure(target.api, text);
  return () => persistently("to configure as before", () => configure(target.api, target.configuration()));
}

async function configure(api: ApiClient, text: string): Promise<void> {
  await api.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "config", namespace }, data: { config: text } });
}

async function deleted(api: ApiClient, references: readonly Reference[]): Promise<Undo> {
  for (const reference of references) {
    try {
      await api.delete(reference);
    } catch (error) {
      if (!(error instanceof ApiRefusal && error.status === 404)) throw error; // Nobody has written it yet.
    }
  }
  return () => {};
}

async function edited({ api, nodes, services }: Target, name: string): Promise<Undo> {
  const edit = objectEdits[name];
  if (edit === undefined) throw new RangeError(`Cannot edit ${name}: there is no such edit`);
  const names = { services: [...services.keys()], nodes: nodes.map((node) => node.name) };
  await editObjects(api, names, edit, true);
  return () => persistently("to take an edit back", () => editObjects(api, names, edit, false));
}

/** Follows docs/operations.md: the former key is accepted too. */
async function rotateKey(api: ApiClient): Promise<void> {
  const secret = { apiVersion: "v1", kind: "Secret", metadata: { namespace, name: "memberlist" } };
  const { data } = (await api.get(secret)) as unknown as { data: Record<string, string> };
  const secretkey = Buffer.from(randomBytes(64).toString("base64")).toString("base64");
  await api.patch(secret, { data: { secretkey, "secretkey-old": data.secretkey } });
}
