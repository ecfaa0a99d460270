export { createApiServer } from "./server.ts";
export type { ApiServer, ApiServerOptions } from "./server.ts";
export type { Authentication } from "./auth.ts";
export type { User } from "./context.ts";
export type { PortRange } from "./service-allocation.ts";
