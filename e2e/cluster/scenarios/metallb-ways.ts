import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ingotImage as image, installedHelm, isHelm3, patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { type InstalledCluster, namespace } from "./installed.ts";
import { loadMetallb, loadRoot } from "./metallb.ts";

/** How somebody installed MetalLB, and how docs/migrate-from-metallb-in-place.md replaces it, and takes it back. */
export interface Way {
  /** The same objects before and after. */
  readonly workloads: readonly string[];
  readonly hasFrrK8s: boolean;
  readonly install: (on: InstalledCluster) => Promise<void>;
  /** Resolves when all of it is on the way. */
  readonly takeOver: (on: InstalledCluster) => Promise<void>;
  readonly takeBack: (on: InstalledCluster) => Promise<void>;
}

/** @param directory with MetalLB's programs @param manifest its own */
export function byManifest(directory: string, manifest: string): Way {
  return {
    workloads: ["deployment/controller", "daemonset/speaker"],
    hasFrrK8s: isFrrK8s(manifest),
    install: async (on) => {
      await load(on, directory, manifest);
      await on.kubectl("apply", "-f", manifest);
    },
    takeOver: async (on) => {
      await on.writeOverlay(["crds"]);
      const rendered = join(on.cluster.directory, "ingot.yaml");
      await writeFile(rendered, await on.kubectl("kustomize", on.cluster.directory));
      await on.kubectl("apply", "-f", rendered);
      const those = ["daemonset/frr-k8s-daemon", "deployment/frr-k8s-statuscleaner", "deployment/frr-k8s-webhook-server"];
      if (isFrrK8s(manifest)) await deleteFrrK8s(on, those);
    },
    takeBack: async (on) => {
      if (isFrrK8s(manifest)) await retrySoon(on);
      await on.kubectl("apply", "-f", manifest);
    },
  };
}

/** @param chart the folder of MetalLB's */
export function byChart(directory: string, manifest: string, chart: string): Way {
  const own = resolve(import.meta.dirname, "../../../charts/ingot");
  const program = async () => (await installedHelm()) ?? "helm";
  const helm = async ({ cluster }: InstalledCluster, ...argv: string[]) => {
    const environment = [`KUBECONFIG=${cluster.kubeconfig}`, `HOME=${cluster.directory}`, "PATH=/usr/bin:/bin"];
    return await cluster.client.run(["env", ...environment, await program(), ...argv, "--namespace", namespace]);
  };
  const valuesOf = ({ cluster }: InstalledCluster, name: string) => join(cluster.directory, `${name}-values.yaml`);
  const values = async (on: InstalledCluster, name: string, content: object) => {
    await writeFile(valuesOf(on, name), JSON.stringify(content));
    return ["--values", valuesOf(on, name)];
  };
  return {
    workloads: ["deployment/metallb-controller", "daemonset/metallb-speaker"],
    hasFrrK8s: isFrrK8s(manifest),
    install: async (on) => {
      await load(on, directory, manifest);
      const speaker = { frr: { enabled: manifest.endsWith("-frr.yaml") }, tolerations: [{ key: "edge", operator: "Exists" }] };
      const given = await values(on, "metallb", { frrk8s: { enabled: isFrrK8s(manifest) }, speaker });
      await helm(on, "install", "metallb", chart, ...given, "--create-namespace");
    },
    takeOver: async (on) => {
      for (const crd of (await on.kubectl("get", "crd", "-o", "name")).split("\n").filter((name) => name.endsWith("metallb.io")))
        await on.kubectl("annotate", "--overwrite", crd, "helm.sh/resource-policy=keep");
      const { frrk8s: _, ...before } = JSON.parse(await helm(on, "get", "values", "metallb", "--output", "json"));
      const given = await values(on, "ingot", {
        ...before,
        configSource: "crds",
        image: { repository: image.name, tag: image.tag },
      });
      await helm(on, "upgrade", "metallb", own, ...given);
    },
    takeBack: async (on) => {
      if (isFrrK8s(manifest)) await retrySoon(on);
      if (await isHelm3(await program())) await helm(on, "upgrade", "metallb", chart, "--values", valuesOf(on, "metallb"));
      else await helm(on, "rollback", "metallb", "--force-conflicts");
    },
  };
}

/** @param operator a folder with the operator's `metallb-operator.yaml`, and `root`, the files of its image */
export function byOperator(directory: string, operator: string): Way {
  const manifest = join(operator, "metallb-operator.yaml");
  const ofOurs = byManifest(directory, manifest);
  const hasFrrK8s = existsSync(join(directory, "metallb-frr-k8s.yaml"));
  const ofFrrK8s = ["daemonset/frr-k8s", "deployment/statuscleaner"];
  return {
    ...ofOurs,
    hasFrrK8s,
    install: async (on) => {
      await load(on, directory, manifest);
      const [image = ""] = (await readFile(manifest, "utf8")).match(/quay\.io\/metallb\/metallb-operator:\S+/) ?? [];
      await loadRoot(on, join(operator, "root"), image, { Entrypoint: ["/manager"] });
      await on.kubectl("apply", "-f", manifest);
      await on.rolledOut("deployment/metallb-operator-controller-manager", "deployment/metallb-operator-webhook-server");
      await on.apply({
        apiVersion: "metallb.io/v1beta1",
        kind: "MetalLB",
        metadata: { name: "metallb", namespace },
        spec: { bgpBackend: hasFrrK8s ? "frr-k8s" : "native" },
      });
      for (const name of [...ofOurs.workloads, ...(hasFrrK8s ? ofFrrK8s : [])])
        await waitFor(name, () => on.kubectl("-n", namespace, "get", name, "-o", "name"), patience);
    },
    takeOver: async (on) => {
      await on.kubectl("-n", namespace, "scale", "deployment/metallb-operator-controller-manager", "--replicas=0");
      const key = await on.kubectl("-n", namespace, "get", "secret", "metallb-memberlist", "-o", "jsonpath={.data.secretkey}");
      const literal = `--from-literal=secretkey=${Buffer.from(key, "base64")}`;
      await on.kubectl("-n", namespace, "create", "secret", "generic", "memberlist", literal);
      for (const name of ofOurs.workloads) {
        const object = await on.kubectl("-n", namespace, "get", name, "-o", "yaml");
        await on.cluster.kubectl(["apply", "set-last-applied", "--create-annotation", "-f", "-"], { input: object });
      }
      await ofOurs.takeOver(on);
      if (hasFrrK8s) await deleteFrrK8s(on, ofFrrK8s);
    },
    takeBack: async (on) => {
      if (hasFrrK8s) await retrySoon(on);
      await on.kubectl("apply", "-f", manifest);
      const isBack = async () => {
        const objects = await on.kubectl(
          "-n",
          namespace,
          "get",
          ...ofOurs.workloads,
          "-o",
          "jsonpath={.items[*].spec.template.spec}",
        );
        return !objects.includes(image.name);
      };
      await waitFor("the operator's Deployment and DaemonSet", isBack, patience);
    },
  };
}

/** Loads the images of a manifest. */
async function load(on: InstalledCluster, directory: string, manifest: string): Promise<void> {
  const text = await readFile(manifest, "utf8");
  await loadMetallb(on, directory, (name) => text.match(new RegExp(`quay\\.io/metallb/${name}:v[\\d.]+`))?.[0] ?? name);
  for (const name of ["frr", "frr-k8s"]) {
    const [image] = text.match(new RegExp(`quay\\.io/\\w+/${name}:v?[\\d.]+`)) ?? [];
    if (image !== undefined && existsSync(join(directory, name))) await loadRoot(on, join(directory, name), image, {});
  }
}

/** Ingot has the sessions of nodes on which no FRR has them any more. */
async function deleteFrrK8s(on: InstalledCluster, workloads: readonly string[]): Promise<void> {
  await on.rolledOut("deployment/controller", "daemonset/speaker");
  await on.kubectl("-n", namespace, "delete", ...workloads, "--ignore-not-found");
  await on.kubectl("delete", "validatingwebhookconfiguration", "frr-k8s-validating-webhook-configuration");
}

/** FRR tries to connect beside our speakers, which have the sessions until they end. */
async function retrySoon(on: InstalledCluster): Promise<void> {
  const peers = (await on.kubectl("-n", namespace, "get", "bgppeers", "-o", "name")).trim().split("\n");
  await on.kubectl("-n", namespace, "patch", ...peers, "--type=merge", "-p", '{"spec":{"connectTime":"5s"}}');
}

const isFrrK8s = (manifest: string) => manifest.endsWith("-frr-k8s.yaml");
