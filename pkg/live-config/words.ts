/** Under this key of the ConfigMap `--config` is the configuration. */
export const configKey = "config";
/** The ConfigMap beside it in which the controller keeps what has to survive a restart. */
export const statusConfigMap = "ingot-status";
/** Under this key of `ingot-status` is the text of the last configuration that was accepted. */
export const lastGoodKey = "last-good-config";
