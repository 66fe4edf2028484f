import assert from "node:assert/strict";
import { asked, textOf } from "#pkg/http/testing";
import { controllerApi } from "../../../controller/api.ts";
import type { World } from "../../../controller/testing/world.ts";

const lists = ["", "problems", "brief", "brief=names", "brief&problems"];

// An answer costs as much as a step of the story.
const stepsPerAnswer = 4;

/**
 * Checks a controller's answers under `/v1`: all of them whenever a decision is of a new kind, and else one answer after another, now and
 * then.
 */
export class Answers {
  /** Kinds of decisions that were answered, such as `service inUse`. */
  static readonly kinds = new Set<string>();
  #turn = 0;

  /** Every answer is JSON, and lists all objects. @param services the number of Services */
  async check(world: World, services: number, about: string): Promise<void> {
    const { controller, recorder, clock } = world;
    const routes = controllerApi({ terms: { controller }, recorder, clock });
    const all = Object.entries(routes).flatMap(([path, route]) =>
      (path === "/v1/recorder" ? ["", `about=${about}`] : lists).map((query) => ({ path, route, query })),
    );
    const kinds = kindsOf(world).filter((kind) => !Answers.kinds.has(kind));
    const next = (this.#turn++ / stepsPerAnswer) % all.length;
    const due = Number.isInteger(next) ? all.slice(next, next + 1) : [];
    for (const { path, route, query } of kinds.length > 0 ? all : due) {
      const answer = await route(asked(query));
      assert.equal(answer.status, 200, path);
      const said = textOf(answer);
      const { services: listed = [], well = [] } = JSON.parse(said);
      assert.doesNotMatch(path === "/v1/recorder" ? "" : said, /object Object|undefined|NaN/);
      if (path === "/v1/services" && !query.includes("problems")) assert.equal(listed.length + well.length, services);
      if (path === "/v1/verdicts" && query === "") for (const kind of kinds) assert.ok(hasKind(JSON.parse(said), kind), kind);
    }
    for (const kind of kinds) Answers.kinds.add(kind);
  }
}

function kindsOf(world: World): string[] {
  const { view } = world.controller;
  const ofServices = Array.from(world.statuses(), ({ verdict }) => `service ${verdict.cause}`);
  const ofPools = Array.from(view.pools(), ({ verdict }) => `pool ${verdict.cause}`);
  return [...new Set([...ofServices, ...ofPools, `configuration ${view.configuration.verdict.cause}`])];
}

function hasKind({ verdicts }: { readonly verdicts: readonly Record<string, string>[] }, of: string): boolean {
  return verdicts.some(({ kind, cause }) => `${kind} ${cause}` === of);
}
