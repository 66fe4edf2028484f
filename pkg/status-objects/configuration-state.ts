import { type Clock, dateOf } from "#pkg/clock";
import { type ConfigStatus, isInForce } from "#pkg/live-config";
import { escapeControls, forNamespace, upTo } from "#pkg/text";
import { sentence } from "#pkg/verdict";
import { labelValue, type StatusObject, statusKinds } from "./kinds.ts";

const [, , , { nodeLabel }] = statusKinds;
const maxSummary = 1_000;

/** In MetalLB's words, which its tools look for. */
const outcomes = {
  Valid: { status: "True", reason: "Reconciled" },
  Invalid: { status: "False", reason: "ConfigurationError" },
  Unknown: { status: "Unknown", reason: "UnknownError" },
} as const;

/** The controller, or the speaker of a node. */
export type Component = { readonly type: "controller" } | { readonly type: "speaker"; readonly node: string };

/** The ConfigurationState of a component, by the verdict on its configuration at present. @param namespace of the component */
export function configurationState(
  component: Component,
  status: () => Pick<ConfigStatus, "verdict" | "since">,
  { namespace, clock }: { readonly namespace: string; readonly clock: Clock },
): () => readonly [StatusObject] {
  // The date of an instant may differ by the clock's corrections: each instant keeps its first one.
  const dates = { since: Number.NaN, date: "" };
  return () => {
    const { verdict, since } = status();
    if (since !== dates.since) Object.assign(dates, { since, date: secondOf(dateOf(clock, since)) });
    return [stateObject(component, { ...verdict, next: forNamespace(verdict.next, namespace) }, dates.date)];
  };
}

/** The API has no fractions of seconds in conditions. */
function secondOf(date: string): string {
  return date.replace(/\.\d+/, "");
}

/** The name of a component's object, its labels, and the manager of its status, which names its condition, as MetalLB has them. */
function headOf(component: Component) {
  const type = { "metallb.io/component-type": component.type };
  if (component.type === "controller") return { name: "controller", labels: type, manager: "poolReconciler" };
  const node = labelValue(component.node);
  return { name: `speaker-${node}`, labels: { ...type, [nodeLabel]: node }, manager: "configReconciler" };
}

function stateObject(component: Component, verdict: ConfigStatus["verdict"], since: string): StatusObject {
  const { manager, ...head } = headOf(component);
  const isEmpty = verdict.cause === "objectsMissing" && verdict.state === "Pending"; // Nothing was ever there, which MetalLB calls valid.
  const result = isInForce(verdict) || isEmpty ? "Valid" : verdict.cause === "undecided" ? "Unknown" : "Invalid";
  const message = result === "Invalid" ? escapeControls(upTo(sentence(verdict), maxSummary)) : "";
  const condition = { type: `${manager}Valid`, ...outcomes[result], message, lastTransitionTime: since };
  const errorSummary = message === "" ? {} : { errorSummary: message };
  return { ...head, manager, status: { result, ...errorSummary, conditions: [condition] } };
}
