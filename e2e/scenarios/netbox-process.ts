/**
 * A NetBox for tests in a process of its own, such as on a host of a lab, until it is killed.
 * Arguments: the prefixes and ranges that it knows, as text. Prints its URL. Records of others are made and removed by its HTTP API.
 */
import { FakeNetbox } from "#pkg/netbox/testing";

const netbox = await FakeNetbox.start(...process.argv.slice(2));
console.log(`${netbox.url} ${netbox.token}`);
