/** A NetBox for tests. */
export { FakeNetbox, type Fault } from "./fake-netbox.ts";
