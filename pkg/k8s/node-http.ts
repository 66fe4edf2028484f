// An `import` of node:http reads all that it exports. One of these is `WebSocket`, for which Node loads its `fetch`: 14 MB unused.
export const { Agent: HttpAgent, request: requestHttp } = process.getBuiltinModule("node:http");
export const { Agent: HttpsAgent, request: requestHttps } = process.getBuiltinModule("node:https");
