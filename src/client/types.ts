/** The door to a Kubernetes API, embedded or real. Components know nothing else of the cluster. */

export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path with query: `/api/v1/namespaces/default/pods?limit=500`. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  readonly signal?: AbortSignal;
}

export interface ApiResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Ends with the answer; a watch's body goes on until either side stops. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Carries requests to an API server: over TLS, or by a function call when the server is in this process. */
export interface Transport {
  request(request: ApiRequest): Promise<ApiResponse>;
}
