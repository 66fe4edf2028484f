import type { ControllerServices, SpeakerServices } from "./answers.ts";
import { type MergedService, mergeServices } from "./merge.ts";
import { type Answer, askAll, type Processes, type Unreachable } from "./processes.ts";

export interface AskedServices {
  readonly services: readonly MergedService[];
  readonly unreachable: readonly Unreachable[];
}

/** Everything about one Service, by everybody. */
export async function askService(processes: Processes, service: string): Promise<AskedServices> {
  const path = `/v1/services?service=${encodeURIComponent(service)}`;
  const [controllers, speakers] = await Promise.all([
    askAll<ControllerServices>(processes, path, "controller"),
    askAll<SpeakerServices>(processes, path, "speaker"),
  ]);
  const all = mergeServices({ controllers: leaders(controllers.answers), whole: speakers.answers, problems: [] });
  const services = all.filter((one) => one.service === service);
  return { services, unreachable: [...controllers.unreachable, ...speakers.unreachable] };
}

/**
 * All Services. One speaker is asked for all that it knows, the others for their problems: of thousands of Services on hundreds of nodes the
 * rest would be the same once for each node.
 */
export async function askServices(processes: Processes): Promise<AskedServices> {
  const [controllers, speakers] = await Promise.all([
    askAll<ControllerServices>(processes, "/v1/services", "controller"),
    askAll<SpeakerServices>(processes, "/v1/services?problems", "speaker"),
  ]);
  const whole: Answer<SpeakerServices>[] = [];
  for (const { target } of speakers.answers) {
    const one = { targets: [target], get: processes.get.bind(processes), [Symbol.asyncDispose]: async () => {} };
    whole.push(...(await askAll<SpeakerServices>(one, "/v1/services")).answers);
    if (whole.length > 0) break;
  }
  const problems = speakers.answers.filter(({ target }) => target !== whole[0]?.target);
  const services = mergeServices({ controllers: leaders(controllers.answers), whole, problems });
  return { services, unreachable: [...controllers.unreachable, ...speakers.unreachable] };
}

function leaders(answers: readonly Answer<ControllerServices>[]): readonly Answer<ControllerServices>[] {
  return answers.filter(({ body }) => body.leader);
}
