import type { Cause } from "../cause.ts";

/** Where nothing has ever been in force, nothing is assigned or announced. */
const isRefused = ["Degraded", "Pending"] as const;

/** Causes on the configuration, by each process. */
export const configurationCauses = {
  inForce: {
    states: ["Ready"],
    means: "The ConfigMap's configuration is in force.",
    next: "",
  },
  notSaved: {
    states: ["Degraded"],
    means:
      "The configuration is in force, but the API server refuses to save it in `ingot-status`: while the ConfigMap has errors, a process that starts has an older one, or none.",
    next: "change what the message names; kubectl -n metallb-system delete configmap ingot-status has it made anew, also where it is immutable",
  },
  notReported: {
    states: ["Degraded"],
    means:
      "The configuration is in force, but the API server refuses what the controller writes for people to read, so that this is old: conditions of Services, or the ConfigMap `ingot-summary`.",
    next: "change the policy, the webhook or the rights that the message names; kubectl -n metallb-system delete configmap ingot-summary has that one made anew, also where it is immutable",
  },
  undecided: {
    states: ["Pending"],
    means: "The process has not seen everything that the decision needs.",
    next: "wait; if it stays so, see its /readyz",
  },
  configMapMissing: {
    states: isRefused,
    means: "The ConfigMap does not exist.",
    next: "kubectl -n metallb-system create configmap config --from-file=config=FILE",
  },
  keyMissing: {
    states: isRefused,
    means: "The ConfigMap has no text under the key `config`.",
    next: "name the key config, and save the file as UTF-8: kubectl puts any other, such as UTF-16 of PowerShell, under binaryData",
  },
  objectsMissing: {
    states: isRefused,
    means:
      "With `--config-source=crds`: none of MetalLB's custom resources is there, or none of a kind that the last good configuration has, because its definition was deleted and is back, or they were deleted while nobody looked. The last good configuration stays in force.",
    next: "apply IPAddressPools and their advertisements into the namespace of the controller",
  },
  definitionsMissing: {
    states: isRefused,
    means:
      "With `--config-source=crds`: some CustomResourceDefinitions of MetalLB are not installed, or are being deleted. The last good configuration stays in force.",
    next: "kubectl get crd | grep metallb.io; install those of your release of MetalLB, which are then found within a minute",
  },
  invalid: {
    states: isRefused,
    means:
      "The configuration has errors, which the message lists with line and column, or with object and field. The last good configuration stays in force.",
    next: "kubectl -n metallb-system get configmap config -o yaml | ingotctl validate - lists all: correct them",
  },
  strands: {
    states: isRefused,
    means: "Services hold addresses that would have no pool. The last good configuration stays in force.",
    next: "put these addresses back into a pool, or move the Services first; the configuration is then accepted by itself",
  },
  awaited: {
    states: isRefused,
    means: "The text asks for labels of namespaces, and the controller, which decides on it, has not put it in force.",
    next: "wait a second; if it stays so, see the controller's verdict on the configuration",
  },
} as const satisfies Readonly<Record<string, Cause>>;
