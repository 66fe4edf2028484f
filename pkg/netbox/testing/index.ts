/** A NetBox for tests. */
export { FakeNetbox } from "./fake-netbox.ts";
