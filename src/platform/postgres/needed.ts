import pg from 'pg'
import { ATTEMPT_TIMEOUT_MS, whyUnreachable, type NeededServer } from '../process/reachable.ts'
import { isUnavailable } from './errors.ts'

/**
 * The Postgres of a URL, for `untilReachable`. A server that is starting up, or has no connection left, is waited
 * for; one that refuses the user, the password or the database is not.
 */
export function neededPostgres(url: string): NeededServer {
  const options = { connectionString: url, connectionTimeoutMillis: ATTEMPT_TIMEOUT_MS }
  const { host, port } = new pg.Client(options)
  return {
    name: `Postgres at ${placeOf(host, port)}`,
    setting: 'DATABASE_URL',
    async attempt() {
      const client = new pg.Client(options)
      // A connection that breaks fails the attempt, and is told once more.
      client.on('error', () => {})
      try {
        await client.connect()
      } finally {
        void client.end().catch(() => {})
      }
    },
    whyNotYet: (error) => (isUnavailable(error) ? (whyUnreachable(error) ?? error.message) : undefined),
  }
}

function placeOf(host: string, port: number): string {
  if (host.startsWith('/')) return `${host}/.s.PGSQL.${port}`
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
