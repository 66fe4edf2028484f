/** Makes one checkpoint of what the controller recorded. */
import { makeCheckpointHere } from "#pkg/core";
import { controllerCore } from "./core/index.ts";

await makeCheckpointHere(controllerCore);
