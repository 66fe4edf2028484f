/** Makes one checkpoint of what the controller recorded. */
import { assignmentCore } from "#pkg/assignment";
import { makeCheckpointHere } from "#pkg/core";

makeCheckpointHere(assignmentCore);
