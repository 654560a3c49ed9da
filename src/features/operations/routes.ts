import { Type } from '@sinclair/typebox'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { sql } from 'kysely'
import type { Database } from '../../platform/postgres/pool.ts'
import { within } from '../../platform/time/within.ts'
import type { DeliveryQueue } from '../deliveries/index.ts'

const CHECK_TIMEOUT_MS = 2_000
const tags = ['Operations']
const config = { access: 'public' as const }
const security: never[] = []

const Check = Type.Union([Type.Literal('ok'), Type.Literal('unreachable')])
const Readiness = Type.Object(
  {
    status: Check,
    database: Check,
    queue: Type.Union([Type.Literal('ok'), Type.Literal('unreachable')], {
      description: 'Without the queue events are taken all the same; deliveries follow when it is back.',
    }),
  },
  { examples: [{ status: 'ok', database: 'ok', queue: 'ok' }] },
)

/** What an orchestrator asks, and the machine-readable contract. */
export const operationsRoutes =
  (db: Database, { queue }: DeliveryQueue): FastifyPluginAsyncTypebox =>
  async (app) => {
    app.get(
      '/health/live',
      {
        config,
        schema: {
          tags,
          security,
          operationId: 'isLive',
          summary: 'Whether the process answers',
          description:
            'For the liveness probe of an orchestrator: it is answered as long as the process can answer at all, whatever the state of its database. When it is not, restart the process.',
          response: { 200: Type.Object({ status: Type.Literal('ok') }, { examples: [{ status: 'ok' }] }) },
        },
      },
      async () => ({ status: 'ok' as const }),
    )

    app.get(
      '/health/ready',
      {
        config,
        schema: {
          tags,
          security,
          operationId: 'isReady',
          summary: 'Whether the process can take events',
          description:
            'For the readiness probe of a load balancer: 503 while the database is out of reach, so that requests go elsewhere. Without the queue the process stays ready.',
          response: { 200: Readiness, 503: Readiness },
        },
      },
      async (_request, reply) => {
        const [database, queued] = await Promise.all([
          check(sql`select 1`.execute(db)),
          check(queue.waiting()),
        ])
        return reply.code(database === 'ok' ? 200 : 503).send({ status: database, database, queue: queued })
      },
    )

    app.get(
      '/openapi.json',
      {
        config,
        schema: {
          tags,
          security,
          operationId: 'getOpenApi',
          summary: 'This document',
          description:
            'For tools that make clients, tests or mocks of it: every operation and schema, as OpenAPI 3.1. At `/docs` it is shown to people.',
          response: { 200: Type.Unknown() },
        },
      },
      async () => app.swagger(),
    )
  }

const check = (answer: Promise<unknown>): Promise<'ok' | 'unreachable'> =>
  within(CHECK_TIMEOUT_MS, answer).then(
    () => 'ok' as const,
    () => 'unreachable' as const,
  )
