import { randomBytes } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { type Clock, type Random, wallClock } from "#pkg/clock";
import { ConfigReader } from "#pkg/config-reader";
import type { FlagValues } from "#pkg/flags";
import type { Cluster } from "#pkg/k8s";
import type { LeaderElector } from "#pkg/leader-election";
import type { Log } from "#pkg/log";
import type { flags } from "../flags.ts";
import type { Terms } from "../terms.ts";
import { CertificateKeeper } from "./certificate-keeper.ts";
import { reviewChange } from "./review.ts";
import { WebhookServer } from "./webhook-server.ts";

export interface WebhookOptions {
  readonly cluster: Cluster;
  readonly namespace: string;
  readonly values: FlagValues<typeof flags>;
  readonly terms: Pick<Terms, "controller">;
  readonly elector: Pick<LeaderElector, "isLeader">;
  readonly stack: AsyncDisposableStack;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
}

/** Checks changes of the configuration for the API server, where a port is given for that. */
export function startWebhook({ cluster, namespace, values, terms, elector, stack, log, clock, random }: WebhookOptions): void {
  const port = values["webhook-port"];
  if (port === 0) return;
  const reader = stack.use(new ConfigReader(log));
  const configMap = values["config-source"] === "crds" ? undefined : values.config;
  const review = { namespace, configMap, reader, terms };
  const server = stack.use(
    new WebhookServer({
      port,
      review: (request, deadline) =>
        reviewChange(request, review, { now: () => clock.now(), deadline, nextTurn: () => setImmediate() }),
      log,
      clock,
    }),
  );
  const keeper = new CertificateKeeper({
    cluster,
    namespace,
    name: values["webhook-name"],
    configuration: values["webhook-name"],
    elector,
    server,
    randomBytes,
    log,
    clock,
    wallClock,
    random,
  });
  stack.use(keeper).start();
}
