import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EnrichError } from './error.ts';
import type { Metrics } from './metrics.ts';

/** What the pipeline says of itself; `/livez` and `/readyz` repeat it and nothing else. */
export type Health = {
  /** Undefined while the loops turn; else what has stopped them. */
  failure: () => string | undefined;
  /** Undefined once clicks are being joined; else what is being waited for. */
  waitingFor: () => string | undefined;
  /** What should be seen to, whether clicks are being joined or not. */
  notes: () => readonly string[];
};

export type HttpServer = { port: number; close: () => Promise<void> };

/**
 * Serves `/metrics` (Prometheus text), `/livez` (200 while the process does its work) and `/readyz`
 * (200 once clicks are joined and committed; from the second line on what else should be seen to). A port in use is `config`.
 */
export async function startHttpServer(options: {
  host: string;
  port: number;
  metrics: Metrics;
  health: Health;
}): Promise<HttpServer> {
  const { metrics, health } = options;
  const server = createServer((request, response) => {
    const say = (status: number, body: string, type = 'text/plain; charset=utf-8'): void => {
      response.writeHead(status, { 'content-type': type }).end(body);
    };
    // Not by `new URL`, which throws at a target such as "//".
    switch ((request.url ?? '').split('?', 1)[0] ?? '') {
      case '/metrics': {
        const { registry } = metrics;
        registry.metrics().then(
          (text) => say(200, text, registry.contentType),
          (error: unknown) => say(500, String(error)),
        );
        return;
      }
      case '/livez':
        return sayHealth(say, health.failure(), []);
      case '/readyz':
        return sayHealth(say, health.failure() ?? health.waitingFor(), health.notes());
      default:
        return say(404, 'not found; there are /metrics, /livez and /readyz\n');
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const where = `${options.host}:${options.port}`;
      const message = `cannot listen on ${where}; set http.port in pipeline.yaml to a free port, or 0 for any`;
      reject(new EnrichError('config', message, { cause }));
    });
    server.listen(options.port, options.host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function sayHealth(
  say: (status: number, body: string) => void,
  problem: string | undefined,
  notes: readonly string[],
): void {
  say(problem === undefined ? 200 : 503, `${[problem ?? 'ok', ...notes].join('\n')}\n`);
}
