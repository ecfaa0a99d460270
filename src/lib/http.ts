/**
 * node:http without its ES module façade. `import ... from "node:http"` reads every export once, among them getters that
 * load an HTTP client, WebSocket and all (undici): 35 ms of processor time and some MB in every thread that never uses it.
 */
export const { createServer, request, STATUS_CODES } = process.getBuiltinModule("node:http");
