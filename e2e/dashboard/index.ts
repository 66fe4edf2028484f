/**
 * The dashboard in a real browser: Debian's Chromium, without a window. `DashboardProcess` is `ingotctl dashboard` as a person starts it, `Viewer`
 * the person's browser, `startScene` a lab with something of everything to look at.
 */
export { chromiumRefusal, patience, Viewer } from "./browser.ts";
export { DashboardProcess } from "./dashboard-process.ts";
export { type Scene, startScene } from "./scene.ts";
